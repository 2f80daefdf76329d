"""Decision layers are a part of what is exported: a SavedModel, and int8 of TFLite."""

import numpy as np
import pytest
from kerases import keras_3_only

from keras_imbalance import MacroF1Decision, MinimumCostDecision, PriorCorrection, Temperature, Thresholds
from keras_imbalance._keras import keras

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TFLite converts models of TensorFlow"),
    keras_3_only("model.export is of Keras 3"),
]

X = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
LAYERS = {
    "PriorCorrection": lambda: PriorCorrection([8, 1, 1], "balanced"),
    "Temperature": lambda: Temperature(1.6),
    "MacroF1Decision": lambda: MacroF1Decision([1, 2, 3], [0.1, 0.3, 0.5], ratio=[1, 2, 2]),
    "MinimumCostDecision": lambda: MinimumCostDecision([[0, 1, 2], [1, 0, 1], [3, 3, 0]]),
    "Thresholds": lambda: Thresholds([-0.5, 0.2, 0.3], kind="multi_class"),
    "Thresholds of labels": lambda: Thresholds([0.3, 0.4, 0.2], kind="multi_label"),
}


def model_of(layer):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer="ones"), layer])


def built(name):
    model = model_of(LAYERS[name]())
    model.layers[0].set_weights([np.random.default_rng(1).normal(size=(4, 3)), np.array([1.0, 0.0, -0.5])])
    return model, model.predict(X, verbose=0)


@pytest.mark.parametrize("name", LAYERS)
def test_a_saved_model_decides_as_the_model(name, tmp_path):
    import tensorflow as tf

    model, expected = built(name)
    model.export(str(tmp_path / "exported"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(served.serve(X), expected, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_int8_decides_nearly_as_the_model(name):
    import tensorflow as tf

    model, expected = built(name)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in X)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    first, last = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for row in X:
        interpreter.set_tensor(first, row[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(last)[0])
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, atol=0.1)
    else:
        assert (np.array(found) == expected).mean() > 0.93
    assert len(np.unique(expected)) > 1
