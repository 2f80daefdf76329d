"""What logs classes changes nothing of what Keras's own callbacks do, before or after them in the list."""

import numpy as np
import pytest
from kerases import keras_3_only
from logger_runs import make_rows, model_with

from keras_imbalance import PerClassF1, PerClassLogger, PerClassTable, PerClassTensorBoard, ShortBar
from keras_imbalance._keras import keras

EPOCHS = {"epochs": 5, "initial_epoch": 1, "batch_size": 25, "verbose": 0}
LOGGERS = {
    "PerClassLogger": lambda folder: PerClassLogger(),
    "PerClassTable": lambda folder: PerClassTable(),
    "ShortBar": lambda folder: ShortBar("loss"),
    "PerClassTensorBoard": lambda folder: PerClassTensorBoard(folder / "logs", pictures=False),
}


def of_keras(folder):
    """A rate that follows both the epoch and a plateau, the best weights in the end, and what writes files."""
    callbacks = keras.callbacks
    return [
        callbacks.LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
        callbacks.ReduceLROnPlateau("val_f1", mode="max", patience=1, min_delta=1.0, factor=0.5),
        callbacks.ModelCheckpoint(folder / "best.weights.h5", "val_f1", mode="max", save_weights_only=True),
        callbacks.CSVLogger(folder / "log.csv"),
        callbacks.TerminateOnNaN(),
        callbacks.BackupAndRestore(folder / "backup"),
        callbacks.EarlyStopping("val_f1", mode="max", min_delta=1.0, patience=2, restore_best_weights=True),
    ]


def fitted(folder, before=(), after=(), callbacks=of_keras, optimizer=None):
    folder.mkdir()
    model = model_with([PerClassF1(3, log_classes=False)], run_eagerly=True)
    if optimizer is not None:
        model.compile(optimizer, model.loss, metrics=[PerClassF1(3, log_classes=False)], run_eagerly=True)
    make = [[LOGGERS[name](folder) for name in names] for names in (before, after)]
    listed = [*make[0], *callbacks(folder), *make[1]]
    history = model.fit(*make_rows(), validation_data=make_rows(), callbacks=listed, **EPOCHS)
    return model.get_weights(), history


def check_same(one, other):
    assert one[1].epoch == other[1].epoch
    for weight, same in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(weight, same)
    for key, values in one[1].history.items():
        np.testing.assert_array_equal(values, other[1].history[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.every_backend
@pytest.mark.parametrize("name", list(LOGGERS)[:3])
def test_a_logger_changes_nothing_of_what_they_do_in_either_order(name, tmp_path):
    alone = fitted(tmp_path / "alone")
    assert alone[1].epoch == [1, 2, 3]  # stopped early
    first, last = (
        fitted(tmp_path / "first", before=[name]),
        fitted(tmp_path / "last", after=[name]),
    )
    check_same(alone, first)
    check_same(alone, last)
    header = {folder: (tmp_path / folder / "log.csv").read_text().splitlines()[0] for folder in ("first", "last")}
    assert ("val_f1/2" in header["first"]) == (name == "PerClassLogger")  # what comes later sees the classes
    assert "val_f1/2" not in header["last"]


@keras_3_only("tf-keras has no SwapEMAWeights")
@pytest.mark.parametrize("on_epoch", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_logger_and_swapped_averages(on_epoch, tmp_path):
    def swap(folder):
        return [keras.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)]

    def optimizer():
        return keras.optimizers.SGD(0.2, use_ema=True, ema_momentum=0.5)

    names = ["PerClassLogger", "PerClassTable"]
    runs = [
        fitted(tmp_path / str(i), *lists, callbacks=swap, optimizer=optimizer())
        for i, lists in enumerate([((), ()), (names, ()), ((), names)])
    ]
    check_same(runs[0], runs[1])
    check_same(runs[0], runs[2])
