"""What takes processes of its own, or every method of the package."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from kerases import keras_3_only
from planted import COUNTS, PLAIN, drawn, net

from keras_imbalance import Method, compare_methods
from keras_imbalance._keras import keras
from keras_imbalance.comparison.catalogue import DEFAULT

pytestmark = [pytest.mark.slow, keras_3_only("compare_methods needs Keras 3")]
HERE = Path(__file__).parent


def equal(one, other):
    """Whether two comparisons hold the same scores."""
    assert list(one.test) == list(other.test)
    for name, scores in one.test.items():
        for score, values in scores.items():
            np.testing.assert_array_equal(values, other.test[name][score], err_msg=f"{name} {score}")


def quick(x, channels=3):
    """A net that learns in few steps."""
    layers = [keras.layers.Dense(4, activation="relu"), keras.layers.Dense(channels)]
    return keras.Sequential([keras.Input((1,)), *layers]), keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.8)


def one_logit(x):
    return quick(x, channels=1)


def test_all_methods_of_the_package_on_one_split():
    x, y = drawn((2000, 300, 200), 0)
    found = compare_methods(
        quick, x, y, splits=1, epochs=3, batch_size=64, cost_matrix=1 - np.eye(3), validation=0.25, verbose=0
    )
    assert not found.reasons
    assert set(found.test) == {method.name for method in DEFAULT}
    recalls = {name: scores["macro_recall"][0] for name, scores in found.test.items()}
    assert min(recalls.values()) > 1 / 3, recalls


def test_a_net_of_one_logit_and_a_sampler_of_imbalanced_learn():
    x, y = drawn((900, 100), 0)
    methods = [
        *("matched pair", "dynamic sampling", "plain, tuned thresholds"),
        Method("imblearn", sampler=RandomOverSampler()),
    ]
    found = compare_methods(one_logit, x, np.array(["no", "yes"])[y], splits=1, epochs=4, methods=methods, verbose=0)
    assert not found.reasons
    assert found.test["imblearn"]["macro_recall"][0] > 0.6


CODE = """
import sys, time
sys.path.insert(0, {here!r})
from planted import bayes, drawn, net, COUNTS
from keras_imbalance import Method, compare_methods

def slow(run):
    time.sleep(float(sys.argv[1]))
    return bayes(run)

def breaks(run):
    time.sleep(float(sys.argv[1]))
    raise RuntimeError("no memory")

x, y = drawn(COUNTS, 0)
methods = [Method("plain", train=slow), Method("breaks", train=breaks)]
found = compare_methods(net, x, y, methods=methods, splits=5, epochs=1, directory={folder!r})
print(found.reasons)
print(found.test["plain"]["macro_recall"].tolist())
"""


def test_a_killed_comparison_goes_on(tmp_path):
    def command(sleep, folder):
        return [sys.executable, "-c", CODE.format(here=str(HERE), folder=str(folder)), str(sleep)]

    killed = subprocess.Popen(command(1.5, tmp_path / "killed"), stdout=subprocess.DEVNULL)
    deadline = time.time() + 60
    while len(list((tmp_path / "killed").glob("*.npz"))) < 2 and time.time() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = len(list((tmp_path / "killed").glob("*.npz")))
    assert 2 <= finished < 5
    resumed = subprocess.run(command(0, tmp_path / "killed"), capture_output=True, text=True, check=True)
    x, y = drawn(COUNTS, 0)
    whole = compare_methods(net, x, y, methods=[PLAIN], splits=5, epochs=1, verbose=0)
    lines = resumed.stdout.splitlines()
    assert lines[-1] == str(whole.test["plain"]["macro_recall"].tolist())
    assert lines[-2] == str({"breaks": "failed in split 1: RuntimeError: no memory"})
    assert sum("(of an earlier run" in line for line in lines) == 1
    assert len(lines) == 8  # a line for each training, what failed among them, and what is printed


def test_scores_are_the_same_however_trainings_are_spread():
    x, y = drawn(COUNTS, 0)
    options = {"splits": 1, "epochs": 2, "methods": ["matched pair"], "verbose": 0}
    one, two = (compare_methods(net, x, y, n_jobs=jobs, **options) for jobs in (1, 2))
    equal(one, two)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="text inside a net needs TensorFlow")
def test_a_frame_with_text_reaches_a_net_that_is_adapted_on_training_rows():
    rng = np.random.default_rng(0)
    y = np.repeat(["healthy", "ill"], [300, 60])
    frame = pd.DataFrame({"age": rng.normal(size=360) + 2 * (y == "ill"), "sex": rng.choice(["f", "m"], 360)})

    def build_model(columns):
        age, sex = keras.Input((1,), name="age"), keras.Input((1,), dtype="string", name="sex")
        normal = keras.layers.Normalization()
        normal.adapt(columns["age"][:, None])
        text = keras.layers.StringLookup(output_mode="one_hot")
        text.adapt(columns["sex"])
        joined = keras.layers.Concatenate()([normal(age), text(sex)])
        return keras.Model({"age": age, "sex": sex}, keras.layers.Dense(2)(joined))

    options = {"splits": 1, "epochs": 3, "methods": ["matched pair", "SMOTE"], "verbose": 0}
    found = compare_methods(build_model, frame, y, **options)
    assert found.reasons == {"SMOTE": "left out: x holds text or whole numbers, between which there is nothing"}
    assert len(found.test) == 2
