"""tensorflow-addons on the TensorFlow and the tf-keras of today, for users of code that needs it.

Its last release, 0.23, asks for TensorFlow 2.15 and takes a few names from the package `keras`, which was Keras 2 then. On a
later TensorFlow tf-keras is what Keras 2 was; it only has another name.
"""

import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from keras_imbalance._keras._backend import keras

VERSION = "0.23"
INSTALL = 'pip install "keras-imbalance[addons]"'


def load_tensorflow_addons() -> ModuleType:
    """Imports tensorflow-addons 0.23 on tf-keras, in a process with TF_USE_LEGACY_KERAS=1.

    Its metrics, losses and optimizers then go into one `compile` with the parts of this package. Nothing else changes: what
    `import keras` gives, the import system and the modules already loaded are afterwards what they were. Its operations
    written in C++ (in `text`, `image` and `layers`) need TensorFlow 2.15.

    Returns:
        The module `tensorflow_addons`.

    Raises:
        ImportError: when the process trains with Keras 3, and when tensorflow-addons is not installed, is of another release,
            or not released for this Python (its last releases are for 3.11).

    Example:
    >>> try:
    ...     tfa = load_tensorflow_addons()
    ... except ImportError:  # a process of Keras 3, or an environment without it
    ...     tfa = None
    >>> tfa is None or tfa.__version__.startswith("0.23")
    True
    """
    _check_installed()
    _check_tf_keras()
    return import_over_tf_keras()


def _check_installed() -> None:
    """Raises unless tensorflow-addons 0.23 is installed."""
    try:
        version = importlib.metadata.version("tensorflow-addons")
    except importlib.metadata.PackageNotFoundError:
        remedy = f"Install it: {INSTALL}."
        if sys.version_info >= (3, 12):
            remedy = "It was not released for Python 3.12 or later: use Python 3.11, or this package's own losses and metrics."
        python = ".".join(map(str, sys.version_info[:3]))
        raise ImportError(
            f"tensorflow-addons must be installed. Received: Python {python} without it. {remedy}"
        ) from None
    if version != VERSION and not version.startswith(VERSION + "."):
        raise ImportError(
            f"tensorflow-addons must be of release {VERSION}. Received: {version}. Install it: {INSTALL}."
        )


def _check_tf_keras() -> None:
    """Raises unless this package and `tf.keras` are both Keras 2, by the name of tf-keras or by its own."""
    if int(keras.__version__.split(".")[0]) < 3:
        import tensorflow as tf

        if tf.keras.layers.Layer is keras.layers.Layer:
            return
    raise ImportError(
        "tensorflow-addons runs on tf-keras, and in this process `tf.keras` or this package is Keras 3. Received: Keras "
        f"{keras.__version__}, TF_USE_LEGACY_KERAS={os.environ.get('TF_USE_LEGACY_KERAS')!r}. Install tf-keras and set "
        "TF_USE_LEGACY_KERAS=1 before TensorFlow or this package is imported, or use this package's own losses and metrics."
    )


def import_over_tf_keras() -> ModuleType:
    """Imports tensorflow-addons while `keras` means what `tf.keras` is; leaves no trace when that fails."""
    import tensorflow as tf

    package = tf.keras.layers.Layer.__module__.split(".")[0]  # of a class, since the module itself loads lazily
    before = set(sys.modules)
    try:
        with _keras_means(package), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it is no longer developed, and of an unknown TensorFlow
            return importlib.import_module("tensorflow_addons")
    except BaseException:
        for name in set(sys.modules) - before:
            if name.split(".")[0] == "tensorflow_addons":
                del sys.modules[name]
        raise


@contextmanager
def _keras_means(package: str) -> Iterator[None]:
    """Within it `import keras` gives the modules of another package."""
    if package == "keras":
        yield
        return
    kept = {name: module for name, module in sys.modules.items() if _is_keras(name)}
    for name in kept:
        del sys.modules[name]
    finder = _Alias("keras", package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_keras(name)]:
            del sys.modules[name]
        sys.modules.update(kept)


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers the import of one package with the modules of another."""

    def __init__(self, name: str, package: str):
        self.name, self.package = name, package
        self.specs: dict[str, Any] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname == self.name or fullname.startswith(self.name + "."):
            return importlib.util.spec_from_loader(fullname, self)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        module = importlib.import_module(self.package + spec.name[len(self.name) :])
        self.specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just given the module the spec of its other name.
        alias = module.__spec__.name if module.__spec__ is not None else ""
        module.__spec__ = self.specs.pop(alias, module.__spec__)


def _is_keras(name):
    return name == "keras" or name.startswith("keras.")
