"""Trainings on disk, so that a comparison that was killed goes on with the next one.

A training that is finished is an npz file. One that failed is a json file with the reason and a checksum of the code that
failed: it is trained again where that has changed, and read where it has not.
"""

import hashlib
import json
import os
import re
import types
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from keras_imbalance._core import digest, invalid, write_atomically
from keras_imbalance._keras import keras, optimizer_config
from keras_imbalance.comparison.method import PARTS
from keras_imbalance.comparison.training import Task, Trained
from keras_imbalance.version import __version__

REMEDY = "Give an empty folder, or delete the file to train anew."
FAILED = ".failed.json"


class Store:
    """A folder with a file for each training that is finished.

    Args:
        directory: the folder, made where it is not there yet; None keeps nothing.
        about: what all trainings depend on, as JSON types.
        retry_failed: whether trainings that failed are forgotten.
    """

    def __init__(self, directory: str | os.PathLike | None, about: dict, retry_failed: bool = False):
        self.folder = None if directory is None else Path(directory)
        self.about = about
        self.retry_failed = retry_failed
        if self.folder is not None:
            if self.folder.exists() and not self.folder.is_dir():
                raise invalid("directory", "be a folder, not a file", directory)
            self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, task: Task) -> Trained | None:
        """What an earlier run has found, or None; of a training that failed the reason.

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
            return None if self.retry_failed else self._failure(task)
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
        """Writes a training, or why it failed; the file appears whole or not at all."""
        if self.folder is None:
            return
        about: dict = {"made_by": self._made_by(task), "seconds": trained.seconds}
        path = self.folder / _file_of(task)
        if trained.error is not None:
            text = json.dumps({**about, "code": code_of_task(task), "error": trained.error}, indent=1)
            write_atomically(path.with_suffix(FAILED), lambda file: file.write(text.encode()))
            return
        arrays = {"validation": trained.validation, "test": trained.test, "output_prior": trained.output_prior}
        write_atomically(path, lambda file: np.savez(file, about=np.array(json.dumps(about)), **arrays))
        path.with_suffix(FAILED).unlink(missing_ok=True)

    def _failure(self, task):
        """Why this training failed in an earlier run, unless something is not as it was."""
        try:
            kept = json.loads((self.folder / _file_of(task)).with_suffix(FAILED).read_text("utf-8"))
            same = kept["made_by"] == self._made_by(task) and kept["code"] == code_of_task(task)
            return Trained(error=kept["error"], seconds=kept["seconds"]) if same else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _made_by(self, task):
        split = task.split
        rows = digest((split.train, split.validation, split.test))
        own = {"method": task.method.name, "split": task.number, "rows": rows}
        return json.loads(json.dumps({**own, **_arguments(task), **self.about}))


def _arguments(task):
    """What functions of a user's own may read of a run, and those of this package train without."""
    parts = (part for part in task.method.training if not (part is None or hasattr(part, "fit_resample")))
    if all(str(getattr(part, "__module__", "")).startswith("keras_imbalance.") for part in parts):
        return {}
    given = {name: task.options[name] for name in ("cost_matrix", "prior_of_use")}
    return {name: value.tolist() for name, value in given.items() if value is not None}


def about(task: Task, model: Any, optimizer: Any) -> dict:
    """What all trainings of a comparison depend on, but for what the functions of a method and `build_model` do inside."""
    options = task.options
    head = None if task.head is None else str(task.head)
    return {
        "versions": f"keras_imbalance {__version__}, keras {keras.__version__}, {keras.backend.backend()}",
        **({} if head is None else {"head": head}),
        "data": digest((task.data.x, task.data.y)),
        **{name: options[name] for name in ("batch_size", "epochs", "seed")},
        "weights": [[list(weight.shape), str(weight.dtype)] for weight in model.weights],
        "optimizer": f"{type(optimizer).__name__} {optimizer_config(optimizer)}",
        **({"multi_label": True} if task.data.multi_label else {}),
        **({} if task.data.ignore_class is None else {"ignore_class": task.data.ignore_class}),
    }


def code_of_task(task: Task) -> str:
    """A checksum of the code of `build_model` and of a method's parts, and of the versions that ran it.

    What these functions call is not followed. What has no code of its own, such as an object that is called, counts as changed.
    """
    versions = f"{__version__} {keras.__version__} {keras.backend.backend()}"
    parts = [task.build_model, *(getattr(task.method, part) for part in PARTS)]
    return hashlib.blake2b(f"{versions} {[_code(part) for part in parts]}".encode(), digest_size=16).hexdigest()


def _code(part, seen=()):
    """What a function does, as text or lists of it; functions that it keeps of the one around it, too."""
    if isinstance(part, types.CodeType):
        return [part.co_code.hex(), part.co_names, [_code(constant) for constant in part.co_consts]]
    if not isinstance(part, types.FunctionType):
        return repr(part)
    if part in seen:
        return part.__name__
    kept = [_cell(cell, (*seen, part)) for cell in part.__closure__ or ()]
    return [_code(part.__code__), repr(part.__defaults__), repr(part.__kwdefaults__), kept]


def _cell(cell, seen):
    try:
        return _code(cell.cell_contents, seen)
    except ValueError:  # empty
        return None


def _file_of(task):
    name = task.method.name
    words = re.sub(r"\W+", "_", name).strip("_")[:40]
    return f"split_{task.number + 1}_{words}_{zlib.crc32(name.encode()):08x}.npz"
