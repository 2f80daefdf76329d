"""tf-keras: when it is taken, and where it is told apart from Keras 3. All else is in the tests that both pass."""

import os
import subprocess
import sys

import numpy as np
import pytest
from kerases import tf_keras_only

import keras_imbalance as ki
from keras_imbalance._keras import keras


def script(code, **environment):
    """Runs Python code in a process of its own, with these changes of the environment; None unsets."""
    env = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=env)


@tf_keras_only("takes any backend")
def test_another_backend_is_refused():
    done = script("import keras_imbalance", KERAS_BACKEND="jax")
    assert done.returncode != 0
    assert "tf-keras runs on TensorFlow alone. Received: TF_USE_LEGACY_KERAS='1' and Keras 3 on 'jax'" in done.stderr


@tf_keras_only("needs no tf-keras")
def test_without_tf_keras_the_error_says_what_to_do():
    done = script("import sys; sys.modules['tf_keras'] = None; import keras_imbalance", KERAS_BACKEND=None)
    assert done.returncode != 0
    assert "pip install tf-keras" in done.stderr


@tf_keras_only("takes no variable")
def test_the_environment_stays_as_it_is():
    code = "import os; before = dict(os.environ); import keras_imbalance as ki; import keras; "
    code += "assert ki._keras.keras.__name__ == 'tf_keras'; assert keras.__version__.startswith('3.'); "
    code += "assert {k: v for k, v in os.environ.items() if 'KERAS' in k} == {k: v for k, v in before.items() if 'KERAS' in k}"
    done = script(code, KERAS_BACKEND=None)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_reduction_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"reduction"):
        ki.FocalLoss(reduction="average")


def test_names_of_several_outputs_survive_a_file(tmp_path):
    inputs = keras.Input((4,))
    heads = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("left", "right")}
    model = keras.Model(inputs, heads)
    metrics = {"left": [ki.PerClassRecall(3), ki.MacroF1(3)], "right": [ki.PerClassRecall(3, name="r"), ki.MacroF1(3)]}
    model.compile("sgd", dict.fromkeys(heads, "sparse_categorical_crossentropy"), metrics=metrics)
    x, y = np.random.default_rng(0).normal(size=(12, 4)).astype("float32"), np.arange(12) % 3
    targets = {"left": y, "right": y}
    logs = model.evaluate(x, targets, verbose=0, return_dict=True)
    assert {"recall/0", "recall", "r/2", "r", "left_macro_f1", "right_macro_f1"} <= set(logs)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").evaluate(x, targets, verbose=0, return_dict=True)
    assert {"recall/0", "recall", "r/2", "r"} <= set(again)
    for key in ("recall/0", "recall", "r/2", "r", "loss"):
        np.testing.assert_allclose(again[key], logs[key], rtol=1e-6)


REPLICAS = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras_imbalance as ki
from keras_imbalance._keras import keras
rng = np.random.default_rng(0)
x, y = rng.normal(size=(16, 4)).astype("float32"), rng.integers(3, size=16)

def trained(reduction):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), ki.FocalLoss(2.0, from_logits=True, reduction=reduction))
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return [*model.get_weights(), history["loss"]]

for reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"):
    alone = trained(reduction)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        together = trained(reduction)
    for a, b in zip(alone[:2], together[:2]):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6, err_msg=reduction)
    if reduction != "sum":
        np.testing.assert_allclose(together[2], alone[2], rtol=1e-4, err_msg=reduction)
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")
def test_two_replicas_train_as_one_device_whatever_the_reduction():
    done = script(REPLICAS)
    assert done.returncode == 0, done.stderr[-2500:]
