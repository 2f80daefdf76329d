"""Values, derivatives and compiled graphs on whichever backend runs."""

import contextlib

import numpy as np

from keras_imbalance._keras import kept_logits, keras, ops

BACKEND = keras.backend.backend()


def loss_and_gradient(loss, y_true, y_pred, sample_weight=None):
    """Unreduced or reduced loss, and the gradient of its sum with respect to `y_pred`, as float64 arrays."""
    y_pred = ops.convert_to_tensor(y_pred)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            values = loss(y_true, y_pred, sample_weight)
        gradients = tape.gradient(values, y_pred)
    elif BACKEND == "jax":
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


def second_derivatives(loss, y_true, y_pred):
    """The Hessian of a reduced loss with respect to predictions `(1, C)`, as a float64 array `(C, C)`."""
    y_pred = ops.convert_to_tensor(y_pred)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(persistent=True) as outer:
            outer.watch(y_pred)
            with tf.GradientTape() as inner:
                inner.watch(y_pred)
                value = loss(y_true, y_pred)
            gradient = inner.gradient(value, y_pred)
        found = outer.jacobian(gradient, y_pred, experimental_use_pfor=False)
    elif BACKEND == "jax":
        import jax

        found = jax.hessian(lambda prediction: loss(y_true, prediction))(y_pred)
    else:
        import torch

        found = torch.autograd.functional.hessian(lambda prediction: loss(y_true, prediction), y_pred)
    return to_float64(found)[0, :, 0]


def compiled(function):
    """The function of tensors as one compiled graph, in which no value can be read."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.compile(function, backend="eager", fullgraph=True)


def double_precision():
    """A context in which float64 is float64; JAX has to be asked."""
    if BACKEND != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def keeps_logits_in_fit():
    """Whether Keras hands a loss the logits of an activation in fit; a traced array of JAX cannot carry them."""
    kept = []

    def probe(y_true, y_pred):
        kept.append(kept_logits(y_pred) is not None)
        return ops.mean(y_pred)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", probe)
    model.evaluate(np.ones((1, 1)), np.ones((1, 1)), verbose=0)
    return kept[-1]  # the first may be a call on shapes alone


def shows_wrong_labels(evaluate):
    """Whether invalid labels are noticed: as an error where values can be read, as NaN from a compiled graph."""
    try:
        found = evaluate()
    except ValueError as error:
        return "y_true" in str(error)
    return np.isnan(found).any()


def to_float64(tensor):
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")), dtype=np.float64)
