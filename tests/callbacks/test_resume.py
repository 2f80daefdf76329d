"""A run that is killed again and again, against one that is not: the largest difference of anything must be 0.0."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_imbalance._keras import keras

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("resumed_run.py")
EPOCHS, STEPS = 10, 8
SECONDS = 300  # for one process


def run(folder, jit, moment="nowhere", number=0):
    """Runs the script in a process of its own; the exit status."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), str(folder), jit, moment, str(number)]
    # Ends the process, too, when time is up or the test is interrupted.
    done = subprocess.run(command, timeout=SECONDS, capture_output=True, text=True, check=False)
    if done.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"{moment} {number} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.returncode


def check_chain(tmp_path, jit, kills):
    """Each process goes on where the one before was killed, the last one to the end."""
    assert run(tmp_path / "whole", jit) == 0
    for moment, number in kills:
        assert run(tmp_path / "killed", jit, moment, number) == -signal.SIGKILL, (moment, number)
        assert not (tmp_path / "killed" / "weights.npz").exists()
    assert run(tmp_path / "killed", jit) == 0
    with np.load(tmp_path / "whole" / "weights.npz") as whole, np.load(tmp_path / "killed" / "weights.npz") as killed:
        assert set(whole.files) == set(killed.files)
        assert len(whole.files) > 20
        largest = max(np.abs(whole[k].astype(float) - killed[k].astype(float)).max() for k in whole.files)
        assert largest == 0.0
        assert whole["epochs"] == [8]  # EarlyStopping stopped it in both


def seeded_kills(seed):
    """Ten moments in order: inside epochs, at the three phase changes, halfway through writing, right after writing."""
    rng = np.random.default_rng(seed)
    moments = [(epoch, "epoch") for epoch in (2, 4, 6)]
    for moment in ("writing", "written", *rng.choice(["writing", "written", "step"], 2), "step", "step", "step"):
        epoch = int(rng.choice([e for e in range(1, 8) if (e, moment) not in moments or moment == "step"]))
        moments.append((epoch, str(moment)))
    rank = {"epoch": 0, "step": 1, "writing": 2, "written": 3}
    moments.sort(key=lambda m: (m[0], rank[m[1]]))
    return [(moment, e * STEPS + int(rng.integers(STEPS)) if moment == "step" else e) for e, moment in moments]


@pytest.mark.every_backend
@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="on TensorFlow a run is killed ten times, below")
def test_a_run_that_is_killed_ends_with_the_same_weights(tmp_path):
    check_chain(tmp_path, "nojit", [("writing", 3)])


def test_a_run_that_is_killed_ten_times_ends_with_the_same_weights(tmp_path):
    kills = seeded_kills(1)
    assert len(kills) == 10
    assert {moment for moment, _ in kills} == {"step", "epoch", "writing", "written"}
    assert [number for moment, number in kills if moment == "epoch"] == [2, 4, 6]
    check_chain(tmp_path, "jit", kills)
