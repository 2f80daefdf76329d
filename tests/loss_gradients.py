"""Values and gradients of a loss on whichever backend runs."""

import numpy as np

from keras_imbalance.backend import keras, ops


def loss_and_gradient(loss, y_true, y_pred, sample_weight=None):
    """Unreduced or reduced loss, and the gradient of its sum with respect to `y_pred`, as float64 arrays."""
    y_pred = ops.convert_to_tensor(y_pred)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            values = loss(y_true, y_pred, sample_weight)
        gradients = tape.gradient(values, y_pred)
    elif backend == "jax":
        import jax

        def total(prediction):
            values = loss(y_true, prediction, sample_weight)
            return values.sum(), values

        gradients, values = jax.grad(total, has_aux=True)(y_pred)
    else:
        y_pred = y_pred.detach().clone().requires_grad_(True)
        values = loss(y_true, y_pred, sample_weight)
        values.sum().backward()
        gradients = y_pred.grad
    return to_float64(values), to_float64(gradients)


def to_float64(tensor):
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")), dtype=np.float64)
