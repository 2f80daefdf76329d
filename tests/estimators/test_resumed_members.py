"""Members on disk: a killed run goes on with the next one."""

import json
import os

import numpy as np
import pytest
from ensembles import assert_same_weights, bag, labelled, softmax_net, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import keras_3_only

from keras_imbalance._keras import keras
from keras_imbalance.losses import FocalLoss

pytestmark = keras_3_only("BalancedBagging refuses it")


class Kill(keras.callbacks.Callback):
    """Ends the run in the first epoch of a member, as a kill would."""

    def __init__(self, member, victim, started):
        super().__init__()
        self.member, self.victim, self.started = member, victim, started

    def on_train_begin(self, logs=None):
        self.started.append(self.member)

    def on_epoch_end(self, epoch, logs=None):
        if self.member == self.victim:
            raise KeyboardInterrupt


def resumable(folder, victim=None, started=None, seed=0, data=None, gamma=None, ratio=1, **options):
    loss = None if gamma is None else FocalLoss(gamma)
    bagging = bag(lambda: softmax_net(loss=loss), members=3, seed=seed, ratio=ratio)
    started = [] if started is None else started
    bagging.fit(
        *(data or labelled()),
        epochs=options.pop("epochs", 2),
        callbacks=lambda member: Kill(member, victim, started),
        verbose=0,
        resume_dir=folder,
        **options,
    )
    return weights_of(bagging), bagging.history


@pytest.fixture(scope="module")
def undisturbed():
    return resumable(None)


@pytest.mark.parametrize(
    "victim", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_killed_run_goes_on_with_the_next_member(victim, undisturbed, tmp_path):
    started = []
    with pytest.raises(KeyboardInterrupt):
        resumable(tmp_path, victim, started)
    assert started == list(range(victim + 1))
    started.clear()
    weights, history = resumable(tmp_path, None, started)
    assert started == list(range(victim, 3))
    assert_same_weights(weights, undisturbed[0])
    assert history == undisturbed[1]
    started.clear()
    assert_same_weights(resumable(tmp_path, None, started)[0], undisturbed[0])
    assert started == []


def test_a_member_killed_between_epochs_goes_on_with_the_batches_that_would_have_come(tmp_path):
    x, y = labelled()
    started = []

    class KillInEpoch(keras.callbacks.Callback):
        def __init__(self, victim):
            super().__init__()
            self.victim = victim

        def on_epoch_begin(self, epoch, logs=None):
            started.append(epoch)
            if epoch == self.victim:
                raise KeyboardInterrupt

    def run(victim, folder):
        def callbacks(member):
            return [keras.callbacks.BackupAndRestore(str(folder / f"backup_{member}")), KillInEpoch(victim)]

        bagging = bag()
        bagging.fit(x, y, batch_size=8, epochs=2, callbacks=callbacks, verbose=0, resume_dir=folder / "members")
        return weights_of(bagging)

    expected = run(None, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(1, tmp_path / "killed")
    started.clear()
    assert_same_weights(run(None, tmp_path / "killed"), expected, rtol=1e-6, atol=1e-7)
    assert started == [1, 0, 1]


def test_a_kill_while_a_member_is_written_leaves_none_half_written(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        resumable(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert_same_weights(resumable(tmp_path)[0], undisturbed[0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    resumable(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_only_whole_members_of_the_same_run_are_taken(finished, tmp_path):
    assert sorted(finished) == [f"member_{i}.npz" for i in range(3)]
    x, y = labelled()
    other_x = x.copy()
    other_x += 0.25
    for change, match in (
        ({"seed": 1}, "seed"),
        ({"epochs": 3}, "epochs"),
        ({"ratio": 1.5}, "rows"),
        ({"batch_size": 5}, "batch_size"),
        ({"data": (other_x, y)}, "data"),
        ({"validation_data": (x, y)}, "validation"),
    ):
        for name, content in finished.items():
            (tmp_path / name).write_bytes(content)
        started = []
        with pytest.raises(ValueError, match=rf"`resume_dir` must hold members of the same run.*{match}"):
            resumable(tmp_path, None, started, **change)
        assert started == []


def test_members_of_the_same_loss_with_other_arguments_are_refused(tmp_path):
    expected, _ = resumable(tmp_path, gamma=1.0, epochs=1)
    started = []
    found, _ = resumable(tmp_path, None, started, gamma=1.0, epochs=1)
    assert_same_weights(found, expected)
    with pytest.raises(ValueError, match=r"`resume_dir` must hold members of the same run.*\['loss'\]"):
        resumable(tmp_path, None, started, gamma=2.0, epochs=1)
    assert started == []


@settings(max_examples=8)
@given(st.data())
def test_a_torn_or_foreign_file_is_an_error_before_training(finished, tmp_path_factory, data):
    content = finished["member_1.npz"]
    kind = data.draw(st.sampled_from(["torn", "flipped", "foreign"]))
    if kind == "torn":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif kind == "foreign":
        content = data.draw(st.sampled_from([b"", b"a note", b"\x93NUMPY", json.dumps({"epochs": 3}).encode()]))
    else:
        place = content.index(b"weight_0.npy") + 200  # amid the values of the first weight
        content = content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
    folder = tmp_path_factory.mktemp("broken")
    (folder / "member_1.npz").write_bytes(content)
    started = []
    with pytest.raises(ValueError, match=r"`resume_dir` must hold members that this class has written.*Delete it"):
        resumable(folder, None, started)
    assert started == []


def test_the_folder_of_another_array_file_is_refused(finished, tmp_path):
    np.savez(tmp_path / "member_0.npz", weights=np.zeros(3))
    with pytest.raises(ValueError, match=r"member_0\.npz, which is damaged or something else"):
        resumable(tmp_path)
