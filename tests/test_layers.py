"""CosineDense against a float64 formula."""

import numpy as np
import pytest

from keras_imbalance import CosineDense
from keras_imbalance.backend import ops


def test_outputs_are_cosines_of_any_scale():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 2, 7)) * np.array([1e-30, 1.0, 1e15])[:, None, None].repeat(2, axis=0)
    layer = CosineDense(4)
    got = ops.convert_to_numpy(layer(x.astype("float32")))
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    expected = x @ kernel / np.linalg.norm(x, axis=-1, keepdims=True) / np.linalg.norm(kernel, axis=0)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert layer.compute_output_shape((6, 2, 7)) == got.shape


def test_a_row_of_zeros_has_cosine_0():
    assert (ops.convert_to_numpy(CosineDense(3)(np.zeros((2, 5), "float32"))) == 0).all()


@pytest.mark.parametrize("units", [0, -1, 1.5, True, "3"])
def test_units_must_be_a_positive_whole_number(units):
    with pytest.raises(ValueError, match="`units`"):
        CosineDense(units)
