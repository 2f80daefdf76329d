"""What a backup finds by itself, what has to be listed, and what it says of the rest."""

import gc
import warnings
import weakref

import numpy as np
import pytest
from backup_runs import Run, stopping, uninterrupted
from phase_runs import fit, make_model, make_sampler, same

from keras_imbalance import ArraySampler, BackupAndRestore, DynamicSampling, ProgressiveSampling
from keras_imbalance._keras import _training, keras
from keras_imbalance.callbacks.backup_file import read_backup
from keras_imbalance.callbacks.resumable import registered_callbacks
from keras_imbalance.callbacks.unlisted_samplers import UnlistedSamplers


def said(call):
    """The warnings of this package about backups."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if "resume" in str(w.message) or "`state`" in str(w.message)]


def plateau():
    return keras.callbacks.ReduceLROnPlateau("loss", patience=9)


def no_frame(callback):
    return None


def no_such_frame(callback):
    raise AttributeError("f_locals")


UNSEEN = [no_frame, no_such_frame]


# --- found


def test_callbacks_register_on_their_model_weakly_and_once():
    model, sampler = make_model(run_eagerly=True), make_sampler()
    callback = ProgressiveSampling(sampler, end_epoch=2)
    for _ in range(2):
        fit(model, sampler, [callback], 2)
    assert registered_callbacks(model) == [callback]
    reference = weakref.ref(callback)
    del callback
    model.stop_training = False
    fit(model, sampler, [], 1)  # Keras's own list of the fit before is gone
    gc.collect()
    assert reference() is None
    assert registered_callbacks(model) == []


def test_a_model_with_registered_callbacks_saves_and_clones(tmp_path):
    model, sampler = make_model(run_eagerly=True), make_sampler()
    callback = ProgressiveSampling(sampler, end_epoch=1)
    fit(model, sampler, [callback], 1)
    model.save(tmp_path / "model.keras")
    assert same(keras.models.load_model(tmp_path / "model.keras").get_weights(), model.get_weights())
    assert registered_callbacks(keras.models.clone_model(model)) == []


def test_callbacks_of_an_earlier_fit_are_not_saved(tmp_path):
    run = Run()
    earlier = [ProgressiveSampling(run.sampler, end_epoch=2)]
    run.fit(earlier, epochs=2)
    run.fit(backup=[BackupAndRestore(tmp_path, delete_checkpoint=False)], epochs=1)
    names = [part["type"] for part in read_header(tmp_path)["parts"]]
    assert names == ["ArraySampler", "DynamicSampling", "PhasedTraining"]


def read_header(folder):
    return read_backup(folder / "backup.npz")[0]


def test_what_is_listed_and_found_is_saved_once(tmp_path):
    run = Run()
    callbacks = run.callbacks()
    backup = BackupAndRestore(tmp_path, state=[callbacks[0], run.sampler], delete_checkpoint=False)
    run.fit(callbacks, [backup], epochs=1)
    names = [part["type"] for part in read_header(tmp_path)["parts"]]
    assert names == ["ArraySampler", "DynamicSampling", "PhasedTraining"]


# --- not listed


@pytest.mark.parametrize("make", [stopping, plateau])
def test_a_callback_of_keras_that_is_not_listed_is_named_before_the_first_step(tmp_path, make):
    run, callback = Run(), make()
    messages = said(lambda: run.fit([callback], [BackupAndRestore(tmp_path, state=[run.sampler])], epochs=1))
    assert len(messages) == 1
    assert type(callback).__name__ in messages[0]
    assert "`state`" in messages[0]
    listed = BackupAndRestore(tmp_path, state=[run.sampler, callback])
    assert said(lambda: run.fit([callback], [listed], epochs=1)) == []


def test_a_warning_that_is_an_error_comes_before_the_first_step(tmp_path):
    run = Run()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(UserWarning, match="EarlyStopping"):
            run.fit([stopping()], [BackupAndRestore(tmp_path)], epochs=1)
    assert run.recorder.epochs == []


def test_a_listed_callback_that_fit_lacks_is_named(tmp_path):
    run = Run()
    messages = said(lambda: run.fit([], [BackupAndRestore(tmp_path, state=[run.sampler, plateau()])], epochs=1))
    assert len(messages) == 1
    assert "ReduceLROnPlateau is listed in `state`" in messages[0]


def test_a_sampler_that_draws_and_is_not_saved_is_named_once(tmp_path):
    run, idle = Run(), make_sampler(1)
    (named,) = said(lambda: run.fit([], [BackupAndRestore(tmp_path)], epochs=3))
    assert "ArraySampler of 3 classes" in named
    assert "`state`" in named
    assert not idle.exposure.any()
    assert not said(lambda: Run().fit(backup=[BackupAndRestore(tmp_path)], epochs=2))  # found through its callbacks


def test_validation_rows_of_a_folder_need_no_saving(tmp_path):
    for name in ("ok", "worn"):
        (tmp_path / name).mkdir()
        keras.utils.save_img(tmp_path / name / "0.png", np.zeros((4, 4, 3)), scale=False)
    validation = ArraySampler.from_directory(tmp_path, subset="validation", image_size=4)
    watch = UnlistedSamplers([])
    assert [y.tolist() for _, y in validation.dataset().as_numpy_iterator()] == [[0, 1]]
    assert validation.exposure.any()
    assert said(watch.end_epoch) == []


@pytest.mark.parametrize("unseen", [no_frame, pytest.param(no_such_frame, marks=pytest.mark.slow)])
def test_where_the_list_of_callbacks_cannot_be_seen_only_messages_are_lost(tmp_path, monkeypatch, unseen):
    monkeypatch.setattr(_training, "_calling_list", unseen)
    broken, resumed = Run(), Run()
    broken.broken_off((3, 1), backup=[BackupAndRestore(tmp_path)])
    resumed.fit(backup=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == [3, 4, 5]
    assert same(resumed.everything(), uninterrupted())
    run = Run()
    assert said(lambda: run.fit([stopping()], [BackupAndRestore(tmp_path, state=[run.sampler])], epochs=1)) == []


# --- with Keras's own


def test_keras_s_own_backup_without_ours_is_warned_of_once(tmp_path):
    run, plain = Run(), Run()
    keras_own = keras.callbacks.BackupAndRestore(tmp_path / "keras")
    messages = said(lambda: run.fit(backup=[keras_own], epochs=1))
    assert len(messages) == 1
    assert "does not resume exactly" in messages[0]
    assert "keras_imbalance.BackupAndRestore" in messages[0]
    again = keras.callbacks.BackupAndRestore(tmp_path / "again")
    assert said(lambda: plain.fit([], [again], epochs=1)) == []
    assert said(lambda: Run().fit(backup=[BackupAndRestore(tmp_path / "own")], epochs=1)) == []


def test_two_backups_of_one_fit_are_an_error(tmp_path):
    keras_own = keras.callbacks.BackupAndRestore(tmp_path / "keras")
    for make in (
        lambda: [BackupAndRestore(tmp_path), keras_own],
        lambda: [keras_own, BackupAndRestore(tmp_path)],
        lambda: [BackupAndRestore(tmp_path), BackupAndRestore(tmp_path / "second")],
    ):
        run = Run()
        before = run.model.get_weights()
        with pytest.raises(ValueError, match="two callbacks of this name"):
            run.fit([], make())
        assert run.recorder.epochs == []
        assert same(run.model.get_weights(), before)


class StartsAt(keras.callbacks.Callback):
    """Lets the fit start elsewhere, as a backup of another moment does."""

    def on_train_begin(self, logs=None):
        _training.start_at(self.model, 1)


def test_a_fit_that_another_callback_starts_elsewhere_is_an_error(tmp_path):
    broken, resumed = Run(), Run()
    broken.broken_off((3, 1), backup=[BackupAndRestore(tmp_path)])
    with pytest.raises(ValueError, match=r"backup.npz` must be gone on from at epoch 3.*begins at epoch 1"):
        resumed.fit(backup=[BackupAndRestore(tmp_path), StartsAt()])
    assert resumed.recorder.after == []


# --- order and arguments


@pytest.mark.parametrize("unseen", [None, *UNSEEN])
def test_callbacks_after_the_backup_are_an_error_before_any_step(tmp_path, monkeypatch, unseen):
    """Known without a look at the list of callbacks."""
    if unseen is not None:
        monkeypatch.setattr(_training, "_calling_list", unseen)
    early = stopping()
    for make, late in (
        (lambda run: [BackupAndRestore(tmp_path), *run.callbacks()], "DynamicSampling"),
        (lambda run: [BackupAndRestore(tmp_path, state=[early]), early], "EarlyStopping"),
        (lambda run: [BackupAndRestore(tmp_path, state=[early]), early], "EarlyStopping"),  # used before
    ):
        run = Run()
        before = run.model.get_weights()
        with pytest.raises(ValueError, match=f"must come last.*{late}"):
            run.fit(make(run))
        assert run.recorder.epochs == []
        assert same(run.model.get_weights(), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: BackupAndRestore(""), "`backup_dir` must name a folder. Received: backup_dir=''"),
        (lambda folder: BackupAndRestore(None), "`backup_dir` must name a folder"),
        (lambda folder: BackupAndRestore(3), "`backup_dir` must name a folder"),
        (lambda folder: BackupAndRestore(folder, state="rows"), "`state` must be a list"),
        (lambda folder: BackupAndRestore(folder, state=make_sampler()), "`state` must be a list"),
        (lambda folder: BackupAndRestore(folder, state=[make_sampler().dataset()]), "`state` must hold samplers"),
        (lambda folder: BackupAndRestore(folder, state=[DynamicSampling]), "`state` must hold samplers"),
        (lambda folder: BackupAndRestore(folder, state=[keras.callbacks.History()]), "`state` must hold samplers"),
        (lambda folder: BackupAndRestore(folder, delete_checkpoint="no"), "`delete_checkpoint` must be True or False"),
    ],
)
def test_an_argument_of_another_type_is_named(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        make(tmp_path)
