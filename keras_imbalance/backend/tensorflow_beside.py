"""`tf`, TensorFlow where it may run beside another backend: it reads and samples data there, and leaves the GPUs to Keras."""

import contextlib

import tensorflow as tf

from keras_imbalance.backend import keras

__all__ = ["hide_gpus", "tf"]


def hide_gpus() -> None:
    """Hides the GPUs from TensorFlow unless Keras runs on it, or it would take their memory with its first operation.

    A process whose TensorFlow runs already, or that chose devices for it, keeps them.
    """
    if keras.backend.backend() == "tensorflow":
        return
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and tf.config.get_visible_devices("GPU") == gpus:
        with contextlib.suppress(RuntimeError):  # TensorFlow runs already
            tf.config.set_visible_devices([], "GPU")


hide_gpus()
