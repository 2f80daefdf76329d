"""TensorFlow where Keras may run on another backend: it reads and samples data there, and leaves the GPUs to Keras."""

import contextlib
from types import ModuleType
from typing import Any

import numpy as np

from keras_imbalance._keras._backend import keras


def tensorflow() -> ModuleType:
    """The module `tensorflow`, imported when it is asked for, without the GPUs unless Keras runs on it.

    It would take their memory with its first operation. A process whose TensorFlow runs already, or that chose devices for it,
    keeps them.

    Raises:
        ImportError: where it is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            f"This needs TensorFlow, which cannot be imported. Received: {error}. Install it: pip install tensorflow. "
            "On JAX and PyTorch fit `ArraySampler.py_dataset()`, or use `ClassSampler`, which draw batches without it."
        ) from error
    if keras.backend.backend() != "tensorflow":
        gpus = tf.config.list_physical_devices("GPU")
        if gpus and tf.config.get_visible_devices("GPU") == gpus:
            with contextlib.suppress(RuntimeError):  # TensorFlow runs already
                tf.config.set_visible_devices([], "GPU")
    return tf


def text_tensor(array: np.ndarray) -> Any:
    """An array of text as a tensor, which every way into a model takes; on other backends than TensorFlow as it is."""
    if keras.backend.backend() != "tensorflow":
        return array
    return tensorflow().convert_to_tensor(array, dtype="string")
