"""Layers against float64 formulas."""

import numpy as np
import pytest

from keras_imbalance import ClassScaling, CosineDense
from keras_imbalance._keras import keras, ops


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


def test_class_scaling_multiplies_each_logit_by_the_factor_of_its_class():
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).astype("float32")
    layer = ClassScaling()
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    assert layer.name == "class_scaling"
    assert layer.compute_output_shape((6, 2, 3)) == (6, 2, 3)
    factors = np.array([0.5, -2.0, 3.0], "float32")
    layer.set_weights([factors])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x * factors)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
def test_class_scaling_is_saved_with_its_factors(tmp_path, dtype):
    x = np.arange(8.0).reshape(4, 2)
    model = keras.Sequential([keras.Input((2,), dtype="float64"), ClassScaling(name="scales", dtype=dtype)])
    model.layers[-1].set_weights([np.array([0.5, 3.0])])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    np.testing.assert_array_equal(np.asarray(ops.convert_to_numpy(loaded(x)), float), x * [0.5, 3.0])


def test_class_scaling_lets_a_mask_through():
    inputs = np.array([[1, 2, 0]])
    model = keras.Sequential([keras.layers.Embedding(3, 2, mask_zero=True), ClassScaling()])
    np.testing.assert_array_equal(ops.convert_to_numpy(model(inputs)._keras_mask), [[True, True, False]])
