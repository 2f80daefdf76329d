"""The file of a backup: a NumPy archive of plain data, with a checksum over every byte.

The archive (`.npz`) holds a JSON header, which lists the type and shape of each array, and the arrays. A last line holds the
SHA-256 of all that stands before it. NumPy ignores that line, so `numpy.load` opens the file.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance._core import invalid, write_atomically
from keras_imbalance.callbacks.state_schema import FLAG, TEXT, Kind, list_of, mismatch, number, optional, whole

FORMAT = "keras_imbalance.backup.2"
MARK = b"\nsha256 "
LAST_LINE = len(MARK) + 64 + 1  # the mark, the checksum, the end of the line
CHUNK = 1 << 20
LEFT_AS_IT_IS = "It was left as it is. Move it away to start anew."
HEADER = {
    "format": TEXT,
    "epoch": whole(least=1),
    "stopped": FLAG,
    "rates": optional(list_of(number(least=0))),
    "parts": Kind("a list of parts", lambda parts: isinstance(parts, list) and all(map(_is_part, parts))),
    "arrays": Kind("a list of arrays", lambda arrays: isinstance(arrays, dict)),
}


def write_backup(path: str | os.PathLike, header: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a backup to `path` so that the file is there whole, or is what it was before.

    Args:
        path: the file.
        header: the values of `HEADER` other than "format" and "arrays", as JSON types.
        arrays: arrays of numbers by name. "header" is none of the names.
    """
    listed = {name: [str(value.dtype), list(value.shape)] for name, value in arrays.items()}
    text = json.dumps({"format": FORMAT, **header, "arrays": listed})
    entries: dict[str, Any] = {"header": np.frombuffer(text.encode(), np.uint8), **arrays}

    def write(file: Any) -> None:
        archive = _Summed(file)
        np.savez(archive, **entries)
        file.write(MARK + archive.checksum.hexdigest().encode() + b"\n")

    write_atomically(path, write)


def read_backup(path: str | os.PathLike) -> tuple[dict, dict[str, np.ndarray]]:
    """The header and the arrays that `write_backup` wrote.

    Raises:
        ValueError: for a file that is damaged, of another format, or holds a value that no backup holds. It names the file.
    """
    try:
        arrays = _read_archive(path)
        header: Any = None if arrays is None else json.loads(arrays.pop("header").tobytes().decode())
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise refused(path, "be a backup that can be read", f"{type(error).__name__}: {error}") from error
    if arrays is None:
        raise refused(path, "be a whole backup", "a file that is damaged, or something else")
    _check_header(path, header, arrays)
    return header, arrays


def refused(path: str | os.PathLike, requirement: str, received: str) -> ValueError:
    """The error of a backup that cannot be gone on from: what it must be or do, and what was received."""
    return invalid(str(path), requirement, received=received.removesuffix("."), remedy=LEFT_AS_IT_IS)


def _read_archive(path):
    """The arrays of the archive, or None where the checksum is another."""
    with open(path, "rb") as file:
        if not _is_whole(file):
            return None
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def _check_header(path, header, arrays):
    found = header.get("format") if isinstance(header, dict) else header
    if found != FORMAT:
        raise refused(path, f"have the format {FORMAT!r}", repr(found))
    wrong = mismatch(header, HEADER)
    if wrong is None and header["arrays"] != {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items()}:
        wrong = "other arrays than its header lists"
    if wrong is not None:
        raise refused(path, "hold what a backup holds", wrong)


def _is_part(part):
    return isinstance(part, dict) and mismatch(part, {"type": TEXT, "state": Kind("", lambda _: True)}) is None


def _is_whole(file):
    """Whether the last line is the checksum of the rest; leaves the file at its beginning."""
    left = file.seek(0, os.SEEK_END) - LAST_LINE
    checksum = hashlib.sha256()
    file.seek(0)
    while left > 0:
        chunk = file.read(min(CHUNK, left))
        checksum.update(chunk)
        left -= len(chunk)
    last_line = file.read()
    file.seek(0)
    return last_line == MARK + checksum.hexdigest().encode() + b"\n"


class _Summed(io.RawIOBase):
    """A binary file that sums what is written to it. Nobody can go back in it, so every byte is summed as it stays."""

    def __init__(self, file: Any):
        self._file, self.checksum = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.checksum.update(data)
        return self._file.write(data)
