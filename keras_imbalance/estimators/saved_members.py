"""Members on disk, so that a run killed between two of them goes on with the next."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from keras_imbalance._core import invalid, write_atomically

REMEDY = "Delete it to train this member anew, or give an empty folder."


def path_of(folder: Path, member: int) -> Path:
    """Where a member is kept."""
    return folder / f"member_{member}.npz"


def save_member(path: Path, model: Any, history: dict, made_by: dict) -> None:
    """Writes a trained member; the file appears whole or not at all.

    Args:
        path: the file to write.
        model: the trained member.
        history: its logs, a list of values a key.
        made_by: what the member depends on, as JSON types.
    """
    # NumPy's files have no bfloat16; float32 holds each of its values.
    weights = [value.astype("float32") if value.dtype.kind == "V" else value for value in model.get_weights()]
    about = json.dumps({"made_by": made_by, "history": history})
    arrays = {f"weight_{i}": value for i, value in enumerate(weights)}
    write_atomically(path, lambda file: np.savez(file, about=np.array(about), **arrays))


def load_member(path: Path, model: Any, made_by: dict) -> dict | None:
    """Gives `model` the weights that `save_member` wrote.

    Returns:
        The member's logs, or None when there is no such file.

    Raises:
        ValueError: when the file is damaged, or of a member that depends on other things than `made_by` holds.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            found, history = about["made_by"], about["history"]
            weights = [file[f"weight_{i}"] for i in range(len(file.files) - 1)]
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        received = f"{path}, which is damaged or something else ({type(error).__name__}: {error})"
        raise invalid(
            "resume_dir", "hold members that this class has written", received=received, remedy=REMEDY
        ) from error
    expected = json.loads(json.dumps(made_by))
    changed = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    if changed:
        received = f"{path}, which differs in {changed}"
        raise invalid("resume_dir", "hold members of the same run", received=received, remedy=REMEDY)
    model.set_weights(weights)
    return history
