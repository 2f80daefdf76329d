"""Backups that are damaged, absurd, or of something else: an error that names the file, before any step."""

import json
import os
import pickle
import random

import numpy as np
import pytest
from backup_runs import EPOCHS, Run, stopping, uninterrupted
from phase_runs import data, same

from keras_imbalance import (
    ArraySampler,
    BackupAndRestore,
    DynamicSampling,
    PerClassF1,
    Phase,
    PhasedTraining,
    ProgressiveSampling,
)
from keras_imbalance._keras import keras
from keras_imbalance.callbacks import backup_file
from keras_imbalance.callbacks.backup_file import FORMAT, read_backup, write_backup

HEADER = {"epoch": 3, "stopped": False, "rates": [0.1], "parts": []}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    Run().broken_off((3, 1), backup=[BackupAndRestore(folder)])
    return (folder / "backup.npz").read_bytes()


@pytest.fixture
def backup(tmp_path, good):
    (tmp_path / "backup.npz").write_bytes(good)
    return tmp_path / "backup.npz"


def check_refused(file, run, message, callbacks=None, **arguments):
    """No step, no change of the model or the file, and the file is named."""
    before, weights = file.read_bytes(), run.model.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        run.fit(callbacks, [BackupAndRestore(file.parent, **arguments)])
    assert str(file) in str(caught.value)
    assert "left as it is" in str(caught.value)
    assert run.recorder.epochs == []
    assert same(run.model.get_weights(), weights)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_the_file_of_these_tests_is_gone_on_from_where_it_is_whole(backup):
    resumed = Run()
    resumed.fit(backup=[BackupAndRestore(backup.parent)], epochs=4)
    assert resumed.recorder.epochs == [3]


# --- damage


def check_unreadable(path, damaged):
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="must be a whole backup") as caught:
        read_backup(path)
    assert str(path) in str(caught.value)


def test_every_flipped_bit_of_a_small_backup_is_an_error(tmp_path):
    """Anywhere: in values, names, the header, the archive's own tables, the checksum."""
    path = tmp_path / "backup.npz"
    write_backup(path, HEADER, {"weights0": np.arange(3.0), "part0.sums": np.array([7])})
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 3):  # 3 and 8 have no common factor: every byte and every place in it
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        check_unreadable(path, flipped)


def test_flipped_bits_of_a_whole_run_s_backup_are_errors(backup, good):
    draw = random.Random(0)
    for _ in range(300):
        flipped = bytearray(good)
        flipped[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        check_unreadable(backup, flipped)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_torn_file_is_an_error(backup, good, share):
    check_unreadable(backup, good[: int(share * len(good))])


def test_a_file_with_more_at_its_end_or_its_beginning_is_an_error(backup, good):
    check_unreadable(backup, good + b"\n")
    check_unreadable(backup, b"\n" + good)


def test_damage_is_an_error_before_any_step(backup, good):
    backup.write_bytes(good[:-200])
    check_refused(backup, Run(), "must be a whole backup")


@pytest.mark.parametrize("content", [b"epoch 3\n", pickle.dumps({"format": FORMAT}), b""])
def test_a_foreign_file_is_an_error(tmp_path, content):
    (tmp_path / "backup.npz").write_bytes(content)
    check_refused(tmp_path / "backup.npz", Run(), "must be a whole backup")


def test_an_archive_of_something_else_is_an_error(tmp_path):
    np.savez(tmp_path / "backup.npz", weights=np.zeros(3))
    check_refused(tmp_path / "backup.npz", Run(), "must be a whole backup")


# --- files with a checksum that fits, and a content that does not


def rewritten(path, header=None, arrays=None):
    """Changes a backup as somebody would who writes its checksum anew."""
    old_header, old_arrays = read_backup(path)
    for owned in ("format", "arrays"):
        old_header.pop(owned)
    write_backup(path, {**old_header, **(header or {})}, {**old_arrays, **(arrays or {})})


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"epoch": -3}, "epoch"),
        ({"epoch": 0}, "epoch"),
        ({"epoch": 2.5}, "epoch"),
        ({"epoch": True}, "epoch"),
        ({"epoch": "3"}, "epoch"),
        ({"stopped": 1}, "stopped"),
        ({"rates": [float("nan")]}, "rates"),
        ({"rates": [float("inf")]}, "rates"),
        ({"rates": [-0.1]}, "rates"),
        ({"rates": 0.1}, "rates"),
        ({"parts": [{"type": "ArraySampler"}]}, "parts"),
        ({"parts": {}}, "parts"),
        ({"run": "me"}, "run"),
        ({"format": "keras_imbalance.backup.99"}, "format"),
    ],
)
def test_an_absurd_header_is_an_error(tmp_path, header, named):
    path = tmp_path / "backup.npz"
    write_backup(path, {**HEADER, **header}, {"weights0": np.zeros(2)})
    with pytest.raises(ValueError, match=named) as caught:
        read_backup(path)
    assert str(path) in str(caught.value)


def test_arrays_other_than_the_header_lists_are_an_error(tmp_path, monkeypatch):
    path = tmp_path / "backup.npz"
    for change in (
        lambda arrays: {},
        lambda arrays: {**arrays, "more": np.ones(1)},
        lambda arrays: {"w": arrays["w"][:1]},
    ):
        monkeypatch.setattr(backup_file, "np", Changed(change))
        write_backup(path, HEADER, {"w": np.zeros(2)})
        monkeypatch.undo()
        with pytest.raises(ValueError, match="other arrays than its header lists"):
            read_backup(path)


class Changed:
    """NumPy that saves other arrays than it is given."""

    def __init__(self, change):
        self.change = change

    def __getattr__(self, name):
        return getattr(np, name)

    def savez(self, file, header, **arrays):
        np.savez(file, header=header, **self.change(arrays))


def test_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "backup.npz"
    write_backup(path, HEADER, {"w": np.array([print], dtype=object)})
    with pytest.raises(ValueError, match=r"must be a backup that can be read.*pickle"):
        read_backup(path)


def changed_part(path, name, **values):
    """The parts of a backup where one has other values."""
    parts = read_backup(path)[0]["parts"]
    state = next(part["state"] for part in parts if part["type"] == name)
    for key, value in values.items():
        state[key] = value
    return {"parts": json.loads(json.dumps(parts))}


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("DynamicSampling", {"updates": -1}, "DynamicSampling.*updates"),
        ("DynamicSampling", {"next": [0.5, -1, 1.5]}, "DynamicSampling.*next"),
        ("DynamicSampling", {"history": [[float("nan")] * 3]}, "DynamicSampling.*history"),
        ("DynamicSampling", {"monitor": "val_loss"}, "DynamicSampling.*monitor"),
        ("PhasedTraining", {"phase": -2}, "PhasedTraining.*phase"),
        ("PhasedTraining", {"phase": 7}, "PhasedTraining.*phase"),
        ("PhasedTraining", {"base_rates": [-0.1]}, "PhasedTraining.*base_rates"),
        ("ArraySampler", {"epoch": -3}, "ArraySampler"),
        ("ArraySampler", {"epoch": "3"}, "ArraySampler"),
        ("ArraySampler", {"epoch": float("nan")}, "ArraySampler.*epoch"),
        ("ArraySampler", {"drawn": [-1, 2, 3]}, "ArraySampler"),
        ("ArraySampler", {"drawn": None}, "ArraySampler"),
        ("ArraySampler", {"x": [1.0]}, "ArraySampler.*'x'"),
    ],
)
def test_absurd_or_undeclared_values_of_a_part_are_refused(backup, part, values, message):
    rewritten(backup, changed_part(backup, part, **values))
    check_refused(backup, Run(), message)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"filepath": "elsewhere.keras"}, "ModelCheckpoint.*filepath"), ({"best": "high"}, "ModelCheckpoint.*best")],
)
def test_only_what_is_declared_of_keras_s_callbacks_is_taken_from_a_file(tmp_path, values, message):
    (tmp_path / "backup").mkdir()
    path = tmp_path / "backup" / "backup.npz"

    def checkpoint():
        return keras.callbacks.ModelCheckpoint(
            str(tmp_path / "best.weights.h5"), "val_f1", mode="max", save_best_only=True, save_weights_only=True
        )

    broken, resumed, saved, again = Run(), Run(), checkpoint(), checkpoint()
    broken.broken_off((2, 1), [saved], [BackupAndRestore(path.parent, state=[broken.sampler, saved])])
    rewritten(path, changed_part(path, "ModelCheckpoint", **values))
    check_refused(path, resumed, message, [again], state=[resumed.sampler, again])
    assert str(again.filepath) == str(tmp_path / "best.weights.h5")


def test_arrays_that_no_part_declares_are_refused(backup):
    rewritten(backup, arrays={"part1.best0": np.zeros(3)})
    check_refused(backup, Run(), "DynamicSampling.*best0")


def test_best_weights_of_another_model_are_refused(tmp_path):
    path, run, other, early, again = tmp_path / "backup.npz", Run(), Run(), stopping(), stopping()
    run.broken_off((4, 0), [early], [BackupAndRestore(tmp_path, state=[run.sampler, early])])
    rewritten(path, arrays={"part1.best0": np.zeros(3)})
    check_refused(path, other, "EarlyStopping.*best weights", [again], state=[other.sampler, again])


def test_a_negative_counter_of_the_optimizer_is_refused(backup):
    arrays = {name: value - 100 for name, value in read_backup(backup)[1].items() if value.dtype.kind in "iu"}
    counters = {name: value for name, value in arrays.items() if name.startswith("optimizer")}
    assert counters
    rewritten(backup, arrays=counters)
    check_refused(backup, Run(), "counter of the optimizer below 0")


# --- of another model or run


def test_a_backup_of_another_model_is_an_error(backup):
    check_refused(backup, Run(units=4), "samplers and callbacks", [])
    wide = Run(units=4)
    wide.callbacks = lambda: [DynamicSampling(wide.sampler), PhasedTraining([Phase(0)])]
    check_refused(backup, wide, "backup of this model.*8 weights variables for 2")
    adam = Run()
    adam.model.compile(keras.optimizers.Adam(0.1), adam.model.loss, metrics=[PerClassF1(3)], run_eagerly=True)
    # tf-keras counts the variables of an optimizer first.
    check_refused(backup, adam, "(PhasedTraining can go on from.*this|this model's) optimizer")


def test_a_backup_of_another_run_is_an_error(backup):
    check_refused(backup, Run(), "same samplers and callbacks", [])
    other = Run()
    progressive = [ProgressiveSampling(other.sampler, end_epoch=2)]
    check_refused(backup, other, r"\['ArraySampler', 'ProgressiveSampling'\].*'DynamicSampling'", progressive)
    check_refused(backup, Run(seed=1), "ArraySampler.*seed 1")


def test_a_sampler_of_other_classes_is_an_error(backup):
    run = Run()
    run.sampler = ArraySampler(*data(), batch_size=25, target="natural", class_names=["a", "b", "c", "d"], seed=0)
    before, weights = backup.read_bytes(), run.model.get_weights()
    with pytest.raises(ValueError, match=r"ArraySampler.*4 classes"):
        run.fit([DynamicSampling(run.sampler), PhasedTraining([Phase(0)])], [BackupAndRestore(backup.parent)])
    assert same(run.model.get_weights(), weights)
    assert backup.read_bytes() == before


# --- writing


@pytest.mark.parametrize("when", ["halfway", pytest.param("at the end", marks=pytest.mark.slow)])
def test_a_full_disk_leaves_the_backup_that_was_there(tmp_path, monkeypatch, when):
    broken, resumed, seen = Run(), Run(), []

    class Full(Changed):
        def savez(self, file, **arrays):
            if len(seen) == 2 and when == "halfway":
                file.write(b"PK")
                raise OSError(28, "No space left on device")
            np.savez(file, **arrays)
            if len(seen) == 2:
                raise OSError(28, "No space left on device")
            seen.append((tmp_path / "backup.npz").read_bytes() if seen else b"")

    monkeypatch.setattr(backup_file, "np", Full(None))
    with pytest.raises(OSError, match="No space left"):
        broken.fit(backup=[BackupAndRestore(tmp_path)])
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["backup.npz"]
    resumed.fit(backup=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == list(range(2, EPOCHS))
    assert same(resumed.everything(), uninterrupted())


def test_an_unfinished_file_of_a_killed_run_is_no_backup_and_goes(tmp_path):
    (tmp_path / "backup.npz.7-abc.unfinished").write_bytes(b"PK\x03\x04")
    run = Run()
    run.fit(backup=[BackupAndRestore(tmp_path, delete_checkpoint=False)], epochs=1)
    assert run.recorder.epochs == [0]
    assert os.listdir(tmp_path) == ["backup.npz"]


def test_numpy_opens_a_backup(backup):
    with np.load(backup, allow_pickle=False) as archive:
        assert json.loads(archive["header"].tobytes())["format"] == FORMAT
