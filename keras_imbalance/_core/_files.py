"""Files that appear whole or not at all, and checksums of what they are made from."""

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from keras_imbalance._keras import tree


def write_atomically(path: str | os.PathLike, write: Callable[[Any], Any]) -> None:
    """Writes a file so that `path` holds the whole new content, or what it held before.

    The content goes into an unfinished file of its own name in the same folder, so that two processes never share one. It is
    flushed to the disk, replaces `path` in one step, and the folder is flushed too, which makes the change outlast a
    loss of power. When anything fails, the unfinished file is removed. Only a kill leaves one behind.

    Args:
        path: the file. Its folder must exist.
        write: called with the binary file, open for writing.

    Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_atomically(f"{folder}/state", lambda file: file.write(b"whole"))
    >>> os.listdir(folder)
    ['state']
    """
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.unfinished")
    try:
        with unfinished.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder):
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        with suppress(OSError):  # some network file systems refuse
            os.fsync(handle)
    finally:
        os.close(handle)


def digest(arrays: Any) -> str:
    """A checksum of a nest of arrays, of their values, types and shapes."""
    found = hashlib.blake2b(digest_size=16)
    for leaf in tree.flatten(arrays):
        leaf = np.asarray(leaf)
        found.update(f"{leaf.dtype} {leaf.shape} ".encode())
        found.update(repr(leaf.tolist()).encode() if leaf.dtype == object else np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()
