"""Two replicas in one process: same losses, metrics, weights and class shares as one device."""

import importlib.util
import os
from pathlib import Path

import pytest
from processes import run_to_the_end

from keras_imbalance._keras import keras

SCRIPT = Path(__file__).with_name("mirrored_fit.py")
NEEDS_TF_KERAS = pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="tf-keras is not installed")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")


@pytest.mark.slow
def test_two_replicas_train_what_one_device_trains(tmp_path):
    assert "focal: the same logs and weights" in run_to_the_end([SCRIPT, "focal"], [{}], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("legacy", ["0", pytest.param("1", marks=NEEDS_TF_KERAS)])
def test_every_loss_on_two_replicas_in_both_kerases(legacy, tmp_path):
    losses = ["class_balanced", "cost_matrix", "logit_adjusted", "ldam", "sum"]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": legacy, "KERAS_BACKEND": "tensorflow"}
    said = run_to_the_end([SCRIPT, *losses], [environment], tmp_path)
    assert [name for name in losses if f"{name}: the same logs and weights" in said] == losses
