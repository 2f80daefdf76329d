"""Functions with a gradient written by hand, on every backend.

Keras's own `ops.custom_gradient` takes what a function closes over for constants. JAX refuses that inside a condition, and
PyTorch then differentiates twice without a word and without the terms that those constants hide.
"""

from collections.abc import Callable


def custom_gradient_of(backend: str) -> Callable:
    """`custom_gradient(function)` for a backend of Keras.

    `function(x, *constants)` returns a value and `gradient`, which turns the derivative with respect to the value into that
    with respect to x. The decorated function returns the value alone. Constants are tensors and have no gradient. Gradients
    of the gradient are those of the code that computes it.
    """
    known = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    if backend not in known:
        raise ImportError(
            f"keras_imbalance needs a backend that trains: one of {', '.join(known)}. Received: KERAS_BACKEND={backend!r}."
        )
    return known[backend]()


def _on_tensorflow():
    import tensorflow as tf

    def custom_gradient(function):
        def decorated(x, *constants):
            return tf.custom_gradient(lambda x: function(x, *constants))(x)

        return decorated

    return custom_gradient


def _on_jax():
    import jax

    def custom_gradient(function):
        def with_every_gradient(x, *constants):
            value, gradient = function(x, *constants)
            return value, lambda upstream: (gradient(upstream), *[None for _ in constants])

        return jax.custom_gradient(with_every_gradient)

    return custom_gradient


def _on_torch():
    import torch

    class WithGradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx, function, x, *constants):
            value, ctx.gradient = function(x, *constants)
            ctx.function = function
            ctx.save_for_backward(x, *constants)
            return value

        @staticmethod
        def backward(ctx, upstream):
            gradient = ctx.gradient
            if torch.is_grad_enabled():  # a gradient of the gradient is coming, and `forward` ran without a tape
                gradient = ctx.function(*ctx.saved_tensors)[1]
            return None, gradient(upstream), *[None for _ in ctx.saved_tensors[1:]]

    def custom_gradient(function):
        return lambda x, *constants: WithGradient.apply(function, x, *constants)

    return custom_gradient
