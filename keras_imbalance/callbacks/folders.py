"""Folders that callbacks write to."""

import os
import tempfile
from pathlib import Path
from typing import Any

from keras_imbalance._core import invalid


def check_folder(folder: Any, argument: str) -> str:
    """`folder` as text; raises unless it names one."""
    if not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder):
        raise invalid(argument, "name a folder", folder)
    return str(os.fspath(folder))


def make_folder(folder: str, argument: str) -> None:
    """Makes a folder where it is missing; raises unless files can be written there."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise invalid(argument, "be a folder that can be written to", received=f"{folder!r} ({error})") from error
