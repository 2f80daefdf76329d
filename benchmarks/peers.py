"""Other libraries, loaded beside this one in one process."""

import importlib
import importlib.abc
import importlib.util
import os
import sys
import warnings


class _KerasIsTfKeras(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `import keras` with tf_keras, for tensorflow-addons alone."""

    def find_spec(self, name, path=None, target=None):
        if name == "keras" or name.startswith("keras."):
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        return importlib.import_module("tf_" + spec.name)

    def exec_module(self, module):
        pass


def tensorflow_addons():
    """tensorflow-addons on tf-keras, or None where it is not installed.

    Call it before Keras or keras_imbalance is imported: tensorflow decides once what `tf.keras` is.
    """
    if importlib.util.find_spec("tensorflow_addons") is None or importlib.util.find_spec("tf_keras") is None:
        return None
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf

    _ = tf.keras.losses
    del os.environ["TF_USE_LEGACY_KERAS"]
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_keras(name)}
    finder = _KerasIsTfKeras()
    sys.meta_path.insert(0, finder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("tensorflow_addons")
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_keras(name)]:
            del sys.modules[name]
        sys.modules.update(kept)


def _is_keras(name):
    return name == "keras" or name.startswith("keras.")
