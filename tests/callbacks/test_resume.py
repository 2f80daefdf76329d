"""A run that is killed again and again, against one that is not: the largest difference of anything must be 0.0."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_imbalance.backend import keras

SCRIPT = Path(__file__).with_name("resumed_run.py")
EPOCHS, STEPS = 10, 8
SECONDS = 300  # for one process


def run(folder, jit, keeper, place="nowhere", number=0):
    """Runs the script in a process of its own; the exit status."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), str(folder), jit, keeper, place, str(number)]
    # Ends the process, too, when time is up or the test is interrupted.
    done = subprocess.run(command, timeout=SECONDS, capture_output=True, text=True, check=False)
    if done.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"{place} {number} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.returncode


def check_chain(tmp_path, jit, keeper, kills):
    """Each process goes on where the one before was killed, the last one to the end."""
    assert run(tmp_path / "whole", jit, keeper) == 0
    for place, number in kills:
        assert run(tmp_path / "killed", jit, keeper, place, number) == -signal.SIGKILL, (place, number)
        assert not (tmp_path / "killed" / "weights.npz").exists()
    assert run(tmp_path / "killed", jit, keeper) == 0
    with np.load(tmp_path / "whole" / "weights.npz") as whole, np.load(tmp_path / "killed" / "weights.npz") as killed:
        assert set(whole.files) == set(killed.files)
        assert len(whole.files) > 20
        largest = max(np.abs(whole[k].astype(float) - killed[k].astype(float)).max() for k in whole.files)
        assert largest == 0.0
        assert whole["epochs"] == [8]  # EarlyStopping stopped it in both


def seeded_kills(seed, torn=True):
    """Ten points in order: inside epochs, at the three phase changes, halfway through writing, right after writing."""
    rng = np.random.default_rng(seed)
    places = [(epoch, "epoch") for epoch in (2, 4, 6)]
    writing = ("writing", "written") if torn else ("step", "step")
    for place in (*writing, *rng.choice([*writing, "step"], 2), "step", "step", "step"):
        epoch = int(rng.choice([e for e in range(1, 8) if (e, place) not in places or place == "step"]))
        places.append((epoch, str(place)))
    rank = {"epoch": 0, "step": 1, "writing": 2, "written": 3}
    places.sort(key=lambda p: (p[0], rank[p[1]]))
    return [(place, epoch * STEPS + int(rng.integers(STEPS)) if place == "step" else epoch) for epoch, place in places]


def test_a_run_that_is_killed_ends_with_the_same_weights(tmp_path):
    check_chain(tmp_path, "nojit", "own", [("writing", 3)])


JITS = [
    "nojit",
    pytest.param(
        "jit", marks=pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch.compile needs a C++ compiler")
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("jit", JITS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_ten_times_ends_with_the_same_weights(tmp_path, jit, seed):
    kills = seeded_kills(seed)
    assert len(kills) == 10
    check_chain(tmp_path, jit, "own", kills)


@pytest.mark.slow
@pytest.mark.parametrize("jit", JITS)
def test_the_backup_of_keras_with_training_state_does_as_well_where_it_is_whole(tmp_path, jit):
    """Keras's own callback may be killed between its two files, which TrainingState detects: see test_state.py."""
    check_chain(tmp_path, jit, "keras", seeded_kills(3, torn=False)[::2])


def test_kills_are_ten_and_of_every_kind():
    for seed in (1, 2):
        kills = seeded_kills(seed)
        assert {place for place, _ in kills} == {"step", "epoch", "writing", "written"}
        assert [number for place, number in kills if place == "epoch"] == [2, 4, 6]
