"""All of the package but tf.data works on JAX and PyTorch where TensorFlow cannot be imported."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import importlib.abc
import sys

import keras  # looks for tensorflow on PyTorch, but does not load it

class NoTensorFlow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("tensorflow", "tf_keras"):
            raise ImportError(f"No module named {name!r}, says the test")

sys.meta_path.insert(0, NoTensorFlow())

import numpy as np
from keras_imbalance import *

y = np.repeat([0, 1, 2], [60, 30, 10])
x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32") + y[:, None]
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
model.compile("sgd", LogitAdjustedLoss([60, 30, 10]), metrics=[PerClassF1(3)])
sampler = ArraySampler(x, y, batch_size=20, smote=SMOTE(), seed=0)
history = model.fit(
    sampler.py_dataset(workers=2),
    validation_data=(x, y),
    epochs=2,
    callbacks=[ProgressiveSampling(sampler), PerClassLogger()],
    verbose=0,
).history
assert np.isfinite(history["loss"]).all() and len(history["val_f1/2"]) == 2, history
assert [drawn.tolist() for drawn in sampler.history] == [[60, 30, 10], sampler.history[1].tolist()]
assert sorted(sampler.history[1].tolist()) == [33, 33, 34]
assert len(tomek_keep_indices(x, y)) <= 100
assert len(list(ClassSampler(y, batch_size=20))) == 5
assert classification_report(y, model.predict(x, verbose=0)).to_dict()
assert not any(name.partition(".")[0] == "tensorflow" for name in sys.modules)
for call in (sampler.dataset, lambda: StreamSampler(iter(()), batch_size=2)):
    try:
        call()
    except ImportError as error:
        assert "pip install tensorflow" in str(error) and "py_dataset()" in str(error), error
    else:
        raise AssertionError("a dataset of TensorFlow without it")
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_samplers_losses_and_callbacks_run(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout == "done\n", done.stderr[-2000:]
