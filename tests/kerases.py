"""What one Keras has and another has not, for tests of a feature that is not in all of them."""

import importlib.metadata

import pytest

from keras_imbalance._keras import keras

IS_TF_KERAS = not hasattr(keras, "ops")


HAS_MULTI_OPTIMIZER = hasattr(keras.optimizers, "MultiOptimizer")

needs_multi_optimizer = pytest.mark.skipif(
    not HAS_MULTI_OPTIMIZER, reason="needs keras.optimizers.MultiOptimizer, new in Keras 3.15"
)


compiles = pytest.mark.skipif(
    not IS_TF_KERAS and keras.backend.backend() == "torch",
    reason="torch.compile takes minutes for such steps; test_backends and test_labels compile with it",
)


MISSING_ADDONS = [
    name for name in ("tensorflow-addons", "tf-keras") if not list(importlib.metadata.distributions(name=name))
]
needs_addons = pytest.mark.skipif(
    not IS_TF_KERAS or bool(MISSING_ADDONS),
    reason=f"not installed: {', '.join(MISSING_ADDONS)}"
    if MISSING_ADDONS
    else "needs TF_USE_LEGACY_KERAS=1: this process runs Keras 3",
)


def examples(number):
    """So many examples of shapes that differ, a tenth of them on JAX, which compiles every function for every shape anew."""
    return max(3, number // 10) if not IS_TF_KERAS and keras.backend.backend() == "jax" else number


def since_keras(version, why):
    """Marks a test of what Keras 3 itself cannot do before `version`, such as "3.13"."""
    older = [int(part) for part in keras.__version__.split(".")[:2]] < [int(part) for part in version.split(".")]
    return pytest.mark.skipif(not IS_TF_KERAS and older, reason=f"Keras before {version}: {why}")


def keras_3_only(why):
    """Marks a test of a feature that tf-keras does not have."""
    return pytest.mark.skipif(IS_TF_KERAS, reason=f"tf-keras: {why}")


def tf_keras_only(why):
    """Marks a test of a feature that Keras 3 does not have."""
    return pytest.mark.skipif(not IS_TF_KERAS, reason=f"Keras 3: {why}")
