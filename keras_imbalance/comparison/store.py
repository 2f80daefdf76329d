"""Trainings on disk, so that a comparison that was killed goes on with the next one."""

import hashlib
import json
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from keras_imbalance._core import invalid, write_atomically
from keras_imbalance._keras import optimizer_config, tree
from keras_imbalance.comparison.training import Task, Trained

REMEDY = "Give an empty folder, or delete the file to train anew."


class Store:
    """A folder with a file for each training that is finished.

    Args:
        directory: the folder, made where it is not there yet; None keeps nothing.
        about: what all trainings depend on, as JSON types.
    """

    def __init__(self, directory: str | os.PathLike | None, about: dict):
        self.folder = None if directory is None else Path(directory)
        self.about = about
        if self.folder is not None:
            if self.folder.exists() and not self.folder.is_dir():
                raise invalid("directory", "be a folder, not a file", directory)
            self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, task: Task) -> Trained | None:
        """What an earlier run has found, or None.

        Raises:
            ValueError: for a file that is damaged, or of another comparison.
        """
        if self.folder is None:
            return None
        path = self.folder / _file_of(task)
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                made_by, seconds = about["made_by"], about["seconds"]
                arrays = {name: file[name] for name in ("validation", "test", "output_prior")}
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            received = f"{path}, which is damaged or something else ({type(error).__name__}: {error})"
            raise invalid("directory", "hold trainings of comparisons", received=received, remedy=REMEDY) from error
        expected = self._made_by(task)
        changed = sorted(key for key in {*made_by, *expected} if made_by.get(key) != expected.get(key))
        if changed:
            received = f"{path}, which differs in {changed}"
            raise invalid("directory", "hold trainings of this comparison", received=received, remedy=REMEDY)
        return Trained(**arrays, seconds=seconds)

    def save(self, task: Task, trained: Trained) -> None:
        """Writes a training; the file appears whole or not at all. What failed is not kept, and is tried again."""
        if self.folder is None or trained.error is not None:
            return
        about = json.dumps({"made_by": self._made_by(task), "seconds": trained.seconds})
        arrays = {"validation": trained.validation, "test": trained.test, "output_prior": trained.output_prior}
        write_atomically(self.folder / _file_of(task), lambda file: np.savez(file, about=np.array(about), **arrays))

    def _made_by(self, task):
        split = task.split
        rows = digest((split.train, split.validation, split.test))
        own = {"method": task.method.name, "split": task.number, "rows": rows}
        return json.loads(json.dumps({**own, **self.about}))


def about(task: Task, model: Any, optimizer: Any) -> dict:
    """What all trainings of a comparison depend on, but for what the functions of a method and `build_model` do inside."""
    options = task.options
    return {
        "data": digest((task.data.x, task.data.y)),
        **{name: options[name] for name in ("batch_size", "epochs", "seed")},
        "weights": [[list(weight.shape), str(weight.dtype)] for weight in model.weights],
        "optimizer": f"{type(optimizer).__name__} {optimizer_config(optimizer)}",
    }


def digest(arrays: Any) -> str:
    """A checksum of a nest of arrays, of their values, types and shapes."""
    found = hashlib.blake2b(digest_size=16)
    for leaf in tree.flatten(arrays):
        leaf = np.asarray(leaf)
        found.update(f"{leaf.dtype} {leaf.shape} ".encode())
        found.update(repr(leaf.tolist()).encode() if leaf.dtype == object else np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()


def _file_of(task):
    name = task.method.name
    words = re.sub(r"\W+", "_", name).strip("_")[:40]
    return f"split_{task.number + 1}_{words}_{zlib.crc32(name.encode()):08x}.npz"
