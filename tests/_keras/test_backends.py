"""One package on every backend of Keras: what is imported when, and what TensorFlow may take next to another backend."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from kerases import keras_3_only
from loss_gradients import loss_and_gradient, second_derivatives

from keras_imbalance._keras import custom_gradient, deterministic_ops, keras, ops, tensorflow
from keras_imbalance._keras._gradients import custom_gradient_of

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

IMPORTS = """
import sys
import keras_imbalance as ki
from keras_imbalance._keras import keras
import numpy as np

def has_tensorflow():
    return "tensorflow" in sys.modules

said = [has_tensorflow()]
y = np.repeat([0, 1], [9, 3])
x = np.arange(12, dtype="float32")[:, None]
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
model.compile("sgd", ki.ClassBalancedLoss(ki.count_classes(y), from_logits=True), metrics=[ki.PerClassF1(2)])
model.fit(x, y, callbacks=[ki.PerClassLogger()], verbose=0)
said.append(has_tensorflow())
sampler = ki.ArraySampler(x, y, batch_size=4, seed=0)
said.append(has_tensorflow())
model.fit(sampler.dataset(), epochs=2, verbose=0)
print(*said, has_tensorflow(), sampler.exposure.tolist())
"""


@pytest.mark.slow
def test_tensorflow_is_not_imported_on_another_backend_until_a_sampler_gives_its_dataset():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    # Two epochs of 12 rows, half of each class.
    assert done.stdout.strip() == f"{ON_TENSORFLOW} {ON_TENSORFLOW} {ON_TENSORFLOW} True [12, 12]"


class Devices:
    """tf.config of a machine with GPUs."""

    def __init__(self, visible=("GPU:0", "GPU:1"), running=False):
        self.visible, self.running = list(visible), running

    def list_physical_devices(self, kind):
        return ["GPU:0", "GPU:1"] if kind == "GPU" else ["CPU:0"]

    def get_visible_devices(self, kind):
        return self.visible if kind == "GPU" else ["CPU:0"]

    def set_visible_devices(self, devices, kind):
        if self.running:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        assert kind == "GPU"
        self.visible = devices


@pytest.mark.parametrize(
    ("devices", "left"),
    [
        (Devices(), ["GPU:0", "GPU:1"] if ON_TENSORFLOW else []),
        (Devices(running=True), ["GPU:0", "GPU:1"]),
        (Devices(visible=["GPU:1"]), ["GPU:1"]),
        (Devices(visible=[]), []),
    ],
    ids=["fresh", "running", "chosen", "none"],
)
def test_tensorflow_leaves_the_gpus_to_another_backend(devices, left, monkeypatch):
    monkeypatch.setattr(tf, "config", devices)
    tensorflow()
    assert devices.visible == left


@pytest.mark.slow
def test_tensorflow_hides_devices_only_before_it_runs():
    # What `running` above stands for; the day this fails, TensorFlow has changed its mind.
    code = "import tensorflow as tf; tf.constant(1) + 1; tf.config.set_visible_devices([], 'CPU')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "RuntimeError" in done.stderr


@custom_gradient
def cube_with_a_slope(x, slope):
    """x^3, whose derivative is said to be `slope` x^2."""
    return x * x * x, lambda upstream: upstream * slope * x * x


def test_a_gradient_written_by_hand_is_taken_and_differentiated_again():
    x, slope = np.array([[1.0, -2.0, 3.0]], "float32"), ops.convert_to_tensor(7.0)

    def total(y_true, y_pred, sample_weight=None):
        return ops.sum(cube_with_a_slope(y_pred, slope))

    value, gradient = loss_and_gradient(total, None, x)
    np.testing.assert_allclose(value, 20)
    np.testing.assert_allclose(gradient, 7 * x**2)
    np.testing.assert_allclose(second_derivatives(total, None, x), np.diag(14 * x[0]))


@pytest.mark.parametrize("taken", [True, False])
def test_a_gradient_written_by_hand_in_a_condition(taken):
    x, slope = np.array([[1.0, -2.0]], "float32"), ops.convert_to_tensor([7.0, 8.0])

    def total(y_true, y_pred, sample_weight=None):
        first = ops.convert_to_tensor(taken)
        doubled = slope * 2  # a value of the condition's surroundings
        return ops.sum(ops.cond(first, lambda: cube_with_a_slope(y_pred, doubled), lambda: y_pred))

    gradient = loss_and_gradient(total, None, x)[1]
    np.testing.assert_allclose(gradient, [[14, 64]] if taken else [[1, 1]])


def test_a_backend_without_training_is_refused():
    with pytest.raises(ImportError, match=r"one of tensorflow, jax, torch. Received: KERAS_BACKEND='numpy'"):
        custom_gradient_of("numpy")


@keras_3_only("jit_compile is TensorFlow's XLA there")
def test_a_batch_of_one_hot_rows_trains_alike_compiled_and_not():
    import keras_imbalance as ki

    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 4)).astype("float32")
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, 24)]
    y[5] = [0.5, 0.25, 0.25]  # one batch of three is soft
    weights = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile(keras.optimizers.SGD(0.1), ki.FocalLoss(1.5, from_logits=True), jit_compile=jit_compile)
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-4, atol=1e-6)


@keras_3_only("comparisons need Keras 3")
def test_operations_are_deterministic_for_a_while_and_then_as_before():
    before = is_deterministic()
    with deterministic_ops():
        assert is_deterministic() or keras.backend.backend() == "jax"
    assert is_deterministic() == before


def is_deterministic():
    if ON_TENSORFLOW:
        from tensorflow.python.framework.config import is_op_determinism_enabled

        return is_op_determinism_enabled()
    torch = sys.modules.get("torch")
    return torch is not None and torch.are_deterministic_algorithms_enabled()
