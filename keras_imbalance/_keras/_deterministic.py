"""Operations that give the same numbers in every run."""

from collections.abc import Iterator
from contextlib import contextmanager

from keras_imbalance._keras._backend import keras


@contextmanager
def deterministic_ops() -> Iterator[None]:
    """Lets TensorFlow and PyTorch run deterministic operations alone, for a while; JAX has no others on CPU.

    What the user has set holds again afterwards. TensorFlow can only be told to go back by a module inside it; a version
    without that module stays deterministic.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        with _of_tensorflow():
            yield
    elif backend == "torch":
        with _of_torch():
            yield
    else:
        yield


@contextmanager
def _of_tensorflow():
    import tensorflow as tf

    try:
        from tensorflow.python.framework.config import disable_op_determinism, is_op_determinism_enabled
    except ImportError:
        tf.config.experimental.enable_op_determinism()
        yield
        return
    before = is_op_determinism_enabled()
    tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            disable_op_determinism()


@contextmanager
def _of_torch():
    import torch

    before, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
