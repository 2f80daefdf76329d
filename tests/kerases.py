"""What one Keras has and another has not, for tests of a feature that is not in all of them."""

import pytest

from keras_imbalance.backend import keras

IS_TF_KERAS = not hasattr(keras, "ops")


def keras_3_only(why):
    """Marks a test of a feature that tf-keras does not have."""
    return pytest.mark.skipif(IS_TF_KERAS, reason=f"tf-keras: {why}")


def tf_keras_only(why):
    """Marks a test of a feature that Keras 3 does not have."""
    return pytest.mark.skipif(not IS_TF_KERAS, reason=f"Keras 3: {why}")
