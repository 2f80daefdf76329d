"""TrainingState and BackupAndRestore: fits broken off and gone on with, and files that are damaged or of something else."""

import functools
import json
import os
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from kerases import keras_3_only, needs_multi_optimizer
from phase_runs import (
    Break,
    BreakOff,
    Recorder,
    data,
    fit,
    make_model,
    make_sampler,
    optimizer_values,
    same,
)

from keras_imbalance import (
    ArraySampler,
    BackupAndRestore,
    DynamicSampling,
    PerClassF1,
    Phase,
    PhasedTraining,
    ProgressiveSampling,
    TrainingState,
    layerwise_optimizer,
)
from keras_imbalance.backend import keras, ops
from keras_imbalance.callbacks import state as state_module

optimizers = keras.optimizers
EMA = {"use_ema": True, "ema_momentum": 0.7}
EPOCHS = 6
OPTIMIZERS = {
    "averaged": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, **EMA),
    "layerwise": lambda model: layerwise_optimizer(model, optimizers.AdamW(0.05, **EMA), {"backbone": 0.5}),
    "scaled": lambda model: optimizers.LossScaleOptimizer(optimizers.SGD(0.05, momentum=0.9)),
}


class Run:
    """One run, as a process that starts anew would set it up."""

    def __init__(self, optimizer=None, seed=0, target=(0.2, 0.3, 0.5), units=3, dropout=0.0):
        self.sampler = make_sampler(seed, target=list(target), batch_size=50)
        self.model = make_model(metrics=[PerClassF1(3)], run_eagerly=True)
        if units != 3 or dropout:
            layers = [keras.Input((4,)), keras.layers.Dropout(dropout, seed=2), keras.layers.Dense(units, name="head")]
            self.model = keras.Sequential(layers)
        if units != 3 or dropout or optimizer:
            made = OPTIMIZERS[optimizer](self.model) if optimizer else optimizers.SGD(0.1)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.model.compile(made, loss, metrics=[PerClassF1(units)], run_eagerly=True)
        self.recorder = Recorder(self.sampler)

    def callbacks(self):
        """One of each kind that knows more than the epoch."""
        phases = [
            Phase(1, trainable="head", learning_rate_factor=0.5),
            Phase(3, trainable=True, reinitialize="head"),
            Phase(5, target="natural", trainable="head"),
        ]
        return [
            DynamicSampling(self.sampler, stop_epoch=5),
            PhasedTraining(phases, self.sampler),
        ]

    def fit(self, callbacks=None, keeper=(), **arguments):
        callbacks = self.callbacks() if callbacks is None else callbacks
        arguments = {"epochs": EPOCHS, "validation_data": data(1), "validation_batch_size": 100, **arguments}
        return fit(self.model, self.sampler, [self.recorder, *callbacks, *keeper], **arguments)

    def broken_off(self, at, callbacks=None, keeper=(), **arguments):
        with pytest.raises(Break):
            self.fit(callbacks, [*keeper, BreakOff(*at)], **arguments)
        return self

    def everything(self):
        exposure = self.sampler.exposure
        return [*self.model.get_weights(), *optimizer_values(self.model), exposure, self.sampler.distribution]


@functools.cache
def uninterrupted(optimizer=None):
    """Weights, optimizer, exposure and distribution at the end of a run that nothing broke off."""
    run = Run(optimizer)
    run.fit()
    return run.everything()


# --- going on


@pytest.mark.parametrize(
    ("optimizer", "at"),
    [
        (None, (3, 1)),  # in the epoch that gave the head new values, which it then gives again
        (None, (5, 0)),
        ("averaged", (2, None)),  # after the backup of an epoch
        pytest.param("layerwise", (4, 0), marks=needs_multi_optimizer),
        pytest.param("scaled", (1, 1), marks=keras_3_only("no LossScaleOptimizer of such arguments")),
    ],
)
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(tmp_path, optimizer, at):
    Run(optimizer).broken_off(at, keeper=[BackupAndRestore(tmp_path)])
    resumed = Run(optimizer)
    resumed.fit(keeper=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == list(range(at[0] + (at[1] is None), EPOCHS))
    assert same(resumed.everything(), uninterrupted(optimizer))
    assert os.listdir(tmp_path) == []


def test_the_history_and_the_settings_go_on_too(tmp_path):
    whole, broken, resumed = Run(), Run(), Run()
    callbacks = [run.callbacks() for run in (whole, broken, resumed)]
    whole.fit(callbacks[0])
    broken.broken_off((3, 1), callbacks[1], [BackupAndRestore(tmp_path)])
    resumed.fit(callbacks[2], [BackupAndRestore(tmp_path)])
    assert same(callbacks[2][0].history, callbacks[0][0].history)
    assert resumed.recorder.rates == whole.recorder.rates[3:]
    assert same(resumed.recorder.shares, whole.recorder.shares[3:])
    unnamed = [[[entry[1:] for entry in epoch] for epoch in run.recorder.flags] for run in (resumed, whole)]
    assert unnamed[0] == unnamed[1][3:]
    # The distribution is again the one that the last phase took over, in the first run.
    np.testing.assert_allclose(resumed.sampler.distribution, callbacks[0][0].history[4])
    assert float(ops.convert_to_numpy(resumed.model.optimizer.learning_rate)) == pytest.approx(0.1)


def test_the_rate_that_a_plateau_lowered_is_kept(tmp_path):
    def callbacks():
        plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1, min_delta=100.0)
        return [PhasedTraining([Phase(1, learning_rate=0.4)]), plateau]

    whole, resumed = Run(), Run()
    whole.fit(callbacks(), epochs=9)
    assert whole.recorder.rates[-1] < 0.2
    broken = Run()
    broken.broken_off((4, 1), callbacks(), [BackupAndRestore(tmp_path, broken.sampler)], epochs=9)
    resumed.fit(callbacks(), [BackupAndRestore(tmp_path, resumed.sampler)], epochs=9)
    assert resumed.recorder.rates == whole.recorder.rates[4:]
    assert same(resumed.everything(), whole.everything())


def stopping():
    return keras.callbacks.EarlyStopping(
        "val_f1", mode="max", patience=3, min_delta=10.0, start_from_epoch=1, restore_best_weights=True
    )


def test_early_stopping_goes_on_waiting_with_its_best_weights(tmp_path):
    """It waits from epoch 1, and epoch 4 is the third without a better one."""
    whole, broken, resumed, early = Run(), Run(), Run(), [stopping(), stopping()]
    whole.fit([early[0]], epochs=9)
    assert whole.recorder.epochs == [0, 1, 2, 3, 4]
    broken.broken_off((3, 0), [stopping()], [BackupAndRestore(tmp_path, broken.sampler)], epochs=9)
    resumed.fit([early[1]], [BackupAndRestore(tmp_path, resumed.sampler)], epochs=9)
    assert resumed.recorder.epochs == [3, 4]
    for name in ("wait", "best", "best_epoch", "stopped_epoch"):
        assert getattr(early[1], name) == getattr(early[0], name)
    assert same(early[1].best_weights, early[0].best_weights)
    assert same(resumed.everything(), whole.everything())


class BreakOffAtTheEnd(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        raise Break


def test_a_run_that_had_stopped_trains_no_further_epoch(tmp_path):
    whole, resumed = Run(), Run()
    whole.fit([stopping()], epochs=9)
    killed_at_the_end(tmp_path, [stopping()], 9)
    resumed.fit([stopping()], [BackupAndRestore(tmp_path, resumed.sampler)], epochs=9)
    assert resumed.recorder.epochs == []
    assert same(resumed.everything(), whole.everything())


def test_frozen_layers_stay_as_they_are_where_no_epoch_is_left(tmp_path):
    """What Keras does at the end of training, moving averages into weights, is done over what trained last."""
    resumed = Run("averaged")
    killed_at_the_end(tmp_path, None, EPOCHS, "averaged")
    resumed.fit(keeper=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == []
    assert same(resumed.everything(), uninterrupted("averaged"))


def killed_at_the_end(folder, callbacks, epochs, optimizer=None):
    run = Run(optimizer)
    callbacks = [BreakOffAtTheEnd(), *(run.callbacks() if callbacks is None else callbacks)]
    with pytest.raises(Break):
        run.fit(callbacks, [BackupAndRestore(folder, run.sampler)], epochs=epochs)
    assert os.listdir(folder) == ["backup.npz"]


def test_a_second_fit_starts_at_the_first_epoch(tmp_path):
    Run().broken_off((3, 1), keeper=[BackupAndRestore(tmp_path)])
    run = Run()
    run.fit(keeper=[BackupAndRestore(tmp_path)])
    assert run.recorder.epochs == [3, 4, 5]
    for keeper in ([], [BackupAndRestore(tmp_path)]):
        run.recorder.epochs.clear()
        run.fit(keeper=keeper)
        assert run.recorder.epochs == list(range(EPOCHS))


def test_a_fit_after_one_that_was_resumed_and_broken_off_starts_at_the_first_epoch(tmp_path):
    Run().broken_off((3, 1), keeper=[BackupAndRestore(tmp_path)])
    run = Run().broken_off((4, 0), keeper=[BackupAndRestore(tmp_path)])
    assert run.recorder.epochs == [3, 4]
    run.recorder.epochs.clear()
    run.fit(epochs=2)
    assert run.recorder.epochs == [0, 1]


@pytest.mark.parametrize("delete", [True, False])
def test_the_backup_is_deleted_when_asked(tmp_path, delete):
    run = Run()
    run.fit(keeper=[BackupAndRestore(tmp_path, delete_checkpoint=delete)], epochs=2)
    assert os.listdir(tmp_path) == [] if delete else ["backup.npz"]
    if not delete:  # and gone on from when there are more epochs
        longer = Run()
        longer.fit(keeper=[BackupAndRestore(tmp_path, delete_checkpoint=delete)])
        assert longer.recorder.epochs == [2, 3, 4, 5]


def test_samplers_beside_the_callbacks_are_kept_where_named(tmp_path):
    def keeper(run):
        return [BackupAndRestore(tmp_path, sampler=[run.sampler])]

    whole, broken, resumed = Run(), Run(), Run()
    whole.fit([])
    broken.broken_off((2, 1), [], keeper(broken))
    resumed.fit([], keeper(resumed))
    assert same(resumed.everything(), whole.everything())


@keras_3_only("does not tell where a random layer is in its sequence")
@pytest.mark.parametrize("keeper", ["own", "state"])
def test_random_layers_go_on_where_they_were(tmp_path, keeper):
    whole, broken, resumed = (Run(dropout=0.5) for _ in range(3))
    whole.fit([])
    kept = checkpoints if keeper == "state" else lambda folder, run: [BackupAndRestore(folder, sampler=run.sampler)]
    broken.broken_off((3, 1), [], kept(tmp_path, broken))
    start = {}
    if keeper == "state":
        resumed.model.optimizer.build(resumed.model.trainable_variables)
        resumed.model.load_weights(tmp_path / "epoch-3.weights.h5")
        start = {"initial_epoch": 3}
    resumed.fit([], kept(tmp_path, resumed), **start)
    assert same(resumed.everything(), whole.everything())


def checkpoints(folder, run):
    saved = keras.callbacks.ModelCheckpoint(f"{folder}/epoch-{{epoch}}.weights.h5", save_weights_only=True)
    return [saved, TrainingState(f"{folder}/state", sampler=run.sampler)]


@keras_3_only("weights files without the optimizer")
@pytest.mark.parametrize("epoch", [2, 4])
def test_model_checkpoint_and_initial_epoch_resume_exactly(tmp_path, epoch):
    """Also from an earlier epoch than the last one."""
    broken, resumed = Run("averaged"), Run("averaged")
    broken.broken_off((5, 1), keeper=checkpoints(tmp_path, broken))
    resumed.model.optimizer.build(resumed.model.trainable_variables)
    resumed.model.load_weights(tmp_path / f"epoch-{epoch}.weights.h5")
    resumed.fit(keeper=checkpoints(tmp_path, resumed), initial_epoch=epoch)
    assert resumed.recorder.epochs == list(range(epoch, EPOCHS))
    assert same(resumed.everything(), uninterrupted("averaged"))


def test_as_many_states_are_kept_as_asked(tmp_path):
    run = Run()
    run.fit(keeper=[TrainingState(tmp_path, keep=2)])
    assert sorted(os.listdir(tmp_path)) == ["epoch-00005.npz", "epoch-00006.npz"]


# --- beside Keras's own BackupAndRestore


def keras_backup(folder):
    return [TrainingState(f"{folder}/state"), keras.callbacks.BackupAndRestore(f"{folder}/backup")]


@keras_3_only("a backup of another form")
def test_keras_s_backup_goes_on_exactly_where_it_is_whole(tmp_path):
    Run().broken_off((3, 1), keeper=keras_backup(tmp_path))
    resumed = Run()
    resumed.fit(keeper=keras_backup(tmp_path))
    assert resumed.recorder.epochs == [3, 4, 5]
    assert same(resumed.everything(), uninterrupted())


@keras_3_only("a backup of another form")
def test_keras_s_backup_spares_frozen_layers_where_no_epoch_is_left(tmp_path):
    run, resumed = Run("averaged"), Run("averaged")
    with pytest.raises(Break):
        run.fit([BreakOffAtTheEnd(), *run.callbacks()], keras_backup(tmp_path))
    resumed.fit(keeper=keras_backup(tmp_path))
    assert resumed.recorder.epochs == []
    whole = uninterrupted("averaged")
    assert same(resumed.model.get_weights(), whole[: len(resumed.model.get_weights())])


@keras_3_only("a backup of another form")
def test_a_kill_between_the_weights_and_the_number_of_the_epoch_is_detected(tmp_path):
    """Keras alone trains the third epoch twice."""
    number = tmp_path / "backup" / "training_metadata.json"
    Run().broken_off((1, None), keeper=keras_backup(tmp_path))
    older = number.read_bytes()
    assert json.loads(older)["epoch"] == 2
    Run().broken_off((3, 1), keeper=keras_backup(tmp_path))
    number.write_bytes(older)
    before = contents(tmp_path)
    alone, beside = Run(), Run()
    alone.fit([], [keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)], epochs=3)
    assert alone.recorder.epochs == [2]
    shutil.rmtree(tmp_path / "backup")
    restore_contents(tmp_path, before)
    with pytest.raises(ValueError, match=r"must have the weights that epoch 2 starts from, after 4 .* a model after 6"):
        beside.fit(keeper=keras_backup(tmp_path))
    assert beside.recorder.after == []
    assert contents(tmp_path) == before


@keras_3_only("a backup of another form")
def test_a_stopped_run_with_keras_s_backup_is_said_to_be_over(tmp_path):
    run, resumed = Run(), Run()
    with pytest.raises(Break):
        run.fit([BreakOffAtTheEnd(), stopping()], keras_backup(tmp_path), epochs=9)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="A callback had stopped the run after epoch 5"):
        resumed.fit([stopping()], keras_backup(tmp_path), epochs=9)
    assert resumed.recorder.after == []
    assert contents(tmp_path) == before


def contents(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def restore_contents(folder, files):
    for path, value in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(value)


# --- files that are damaged or of something else


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    Run().broken_off((3, 1), keeper=[BackupAndRestore(folder)])
    return (folder / "backup.npz").read_bytes()


@pytest.fixture
def backup(tmp_path, good):
    (tmp_path / "backup.npz").write_bytes(good)
    return tmp_path / "backup.npz"


def check_refused(file, run, message, callbacks=None):
    """No step, no change of the model or the file."""
    before, weights = file.read_bytes(), run.model.get_weights()
    with pytest.raises(ValueError, match=message):
        run.fit(callbacks, [BackupAndRestore(file.parent)])
    assert run.recorder.epochs == []
    assert same(run.model.get_weights(), weights)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.999])
def test_a_torn_file_is_an_error(backup, share):
    whole = backup.read_bytes()
    backup.write_bytes(whole[: int(share * len(whole))])
    check_refused(backup, Run(), "backup.npz.* must be a state that keras_imbalance wrote.*damaged or something else")


def test_the_file_of_these_tests_is_gone_on_from_where_it_is_whole(backup):
    resumed = Run()
    resumed.fit(keeper=[BackupAndRestore(backup.parent)], epochs=4)
    assert resumed.recorder.epochs == [3]


def test_a_file_with_a_changed_byte_is_an_error(backup):
    """In the values, where only the checksum tells."""
    whole = bytearray(backup.read_bytes())
    place = whole.index(b"weights_0") + 400
    whole[place] ^= 0xFF
    backup.write_bytes(whole)
    check_refused(backup, Run(), "must be a state that keras_imbalance wrote")


def foreign_npz(path):
    np.savez(path, weights=np.zeros(3))


def foreign_text(path):
    path.write_text("epoch 3\n")


def foreign_pickle(path):
    path.write_bytes(pickle.dumps({"format": "keras_imbalance.training_state.1"}))


def pickled_npz(path):
    np.savez(path, state=np.array([{"format": "keras_imbalance.training_state.1"}], dtype=object))


def other_json(path):
    np.savez(path, state=np.frombuffer(b'["a list"]', dtype=np.uint8))


def other_format(path):
    state = json.dumps({"format": "keras_imbalance.training_state.99"}).encode()
    np.savez(path, state=np.frombuffer(state, dtype=np.uint8))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (foreign_npz, "must be a state that keras_imbalance wrote"),
        (foreign_text, "must be a state that keras_imbalance wrote"),
        (foreign_pickle, "must be a state that keras_imbalance wrote"),
        (pickled_npz, "must be a state that keras_imbalance wrote"),
        (other_json, r"must be a state in the format 'keras_imbalance.training_state.1'. Received: \['a list'\]"),
        (other_format, "must be a state in the format .* Received: 'keras_imbalance.training_state.99"),
    ],
)
def test_a_foreign_file_is_an_error(tmp_path, write, message):
    write(tmp_path / "backup.npz")
    check_refused(tmp_path / "backup.npz", Run(), message)


def test_a_backup_of_something_else_is_an_error(backup):
    wide = Run(units=4)
    check_refused(backup, wide, "must be the backup of this model. Received: 8 weights variables for 2", [])
    adam = Run()
    adam.model.compile(optimizers.Adam(0.1), adam.model.loss, metrics=[PerClassF1(3)], run_eagerly=True)
    check_refused(backup, adam, "must be the backup of this model. Received: .* optimizer variables")
    without, other = Run(), Run()
    check_refused(backup, without, "must be the state of a run with the same samplers and callbacks", [])
    progressive = [ProgressiveSampling(other.sampler, epochs=2)]
    check_refused(
        backup, other, r"callbacks, \['ArraySampler', 'ProgressiveSampling'\].*'DynamicSampling'", progressive
    )
    check_refused(backup, Run(seed=1), "`state` must be of a sampler of 3 classes with seed 1")


def test_a_sampler_of_other_classes_is_an_error(backup):
    run = Run()
    run.sampler = ArraySampler(*data(), batch_size=25, target="natural", class_names=["a", "b", "c", "d"], seed=0)
    state = BackupAndRestore(backup.parent, sampler=run.sampler)
    before, weights = backup.read_bytes(), run.model.get_weights()
    with pytest.raises(ValueError, match="`state` must be of a sampler of 4 classes"):
        run.fit([DynamicSampling(run.sampler), PhasedTraining([Phase(0)])], [state])
    assert same(run.model.get_weights(), weights)
    assert backup.read_bytes() == before


@pytest.mark.parametrize("damage", ["torn", "foreign", "missing", "other seed"])
def test_training_state_refuses_as_well_before_the_first_step(tmp_path, damage):
    Run().broken_off((3, 1), keeper=[TrainingState(tmp_path)])
    file = tmp_path / "epoch-00002.npz"
    run = Run(seed=7 if damage == "other seed" else 0)
    message = "must be a state that keras_imbalance wrote"
    if damage == "torn":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "foreign":
        foreign_npz(file)
    elif damage == "missing":
        file.unlink()
        message = r"`directory` must hold the state of the epoch .*epoch-00002.npz.* with the epochs \[1, 3\]"
    else:
        message = "`state` must be of a sampler of 3 classes with seed 7"
    before, weights = contents(tmp_path), run.model.get_weights()
    with pytest.raises(ValueError, match=message):
        run.fit(keeper=[TrainingState(tmp_path)], initial_epoch=2)
    assert run.recorder.after == []
    assert same(run.model.get_weights(), weights)
    assert contents(tmp_path) == before


def test_weights_that_were_not_loaded_are_an_error(tmp_path):
    Run().broken_off((3, 1), keeper=[TrainingState(tmp_path)])
    with pytest.raises(ValueError, match=r"must have the weights that epoch 2 starts from, after 4 .* a model after 0"):
        Run().fit(keeper=[TrainingState(tmp_path)], initial_epoch=2)


# --- writing


@pytest.mark.parametrize("when", ["halfway", "replacing"])
def test_a_full_disk_leaves_the_backup_that_was_there(tmp_path, monkeypatch, when):
    broken, resumed = Run(), Run()
    seen = []

    def full(file, **arrays):
        np.savez(file, **arrays)
        if len(seen) == 2:
            file.truncate(file.tell() // 2)
            raise OSError(28, "No space left on device")

    def replace(source, target):
        if when == "replacing" and len(seen) == 2:
            raise OSError(28, "No space left on device")
        os.replace(source, target)
        seen.append((tmp_path / "backup.npz").read_bytes())

    if when == "halfway":
        monkeypatch.setattr(state_module, "np", SimpleNamespace(**{**vars(np), "savez": full}))
    monkeypatch.setattr(state_module, "os", SimpleNamespace(**{**vars(os), "replace": replace}))
    with pytest.raises(OSError, match="No space left"):
        broken.fit(keeper=[BackupAndRestore(tmp_path)])
    monkeypatch.undo()
    assert len(seen) == 2
    assert os.listdir(tmp_path) == ["backup.npz"]
    assert (tmp_path / "backup.npz").read_bytes() == seen[1]
    resumed.fit(keeper=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == [2, 3, 4, 5]
    assert same(resumed.everything(), uninterrupted())


def test_an_unfinished_file_is_no_backup(tmp_path):
    (tmp_path / "backup.npz.unfinished").write_bytes(b"PK\x03\x04")
    run = Run()
    run.fit(keeper=[BackupAndRestore(tmp_path, delete_checkpoint=False)], epochs=1)
    assert run.recorder.epochs == [0]
    assert os.listdir(tmp_path) == ["backup.npz"]


# --- order and arguments


def test_the_wrong_order_is_an_error_before_any_step(tmp_path):
    keras_own = keras.callbacks.BackupAndRestore(tmp_path / "keras")
    for make, message in (
        (
            lambda run: [BackupAndRestore(tmp_path), *run.callbacks()],
            "BackupAndRestore must come after .*DynamicSampling",
        ),
        (lambda run: [TrainingState(tmp_path), stopping()], "TrainingState must come after .*EarlyStopping"),
        (lambda run: [keras_own, TrainingState(tmp_path)], "TrainingState must come before BackupAndRestore"),
        (lambda run: [BackupAndRestore(tmp_path), keras_own], "keeps all that is needed.*BackupAndRestore"),
        (lambda run: [keras_own, BackupAndRestore(tmp_path)], "keeps all that is needed.*BackupAndRestore"),
        (lambda run: [TrainingState(tmp_path), BackupAndRestore(tmp_path)], "keeps all that is needed.*TrainingState"),
    ):
        run = Run()
        before = run.model.get_weights()
        with pytest.raises(ValueError, match=message):
            run.fit(make(run))
        assert run.recorder.epochs == []
        assert same(run.model.get_weights(), before)


def test_bad_arguments(tmp_path):
    for make, message in (
        (lambda: TrainingState(""), "`directory` must name a folder"),
        (lambda: BackupAndRestore(""), "`backup_dir` must name a folder. Received: backup_dir=''"),
        (lambda: BackupAndRestore(None), "`backup_dir` must name a folder. Received: backup_dir=None"),
        (lambda: TrainingState(None), "`directory` must name a folder. Received: directory=None"),
        (lambda: TrainingState(3), "`directory` must name a folder. Received: directory=3"),
        (
            lambda: TrainingState(tmp_path, keep=0),
            "`keep` must be a whole number of at least 1. Received: keep=0",
        ),
        (lambda: TrainingState(tmp_path, keep=True), "`keep`"),
        (lambda: TrainingState(tmp_path, sampler="rows"), "`sampler` must be a sampler or a list of samplers"),
        (
            lambda: TrainingState(tmp_path).set_params({}),
            "TrainingState must be passed to fit in its list of callbacks",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
