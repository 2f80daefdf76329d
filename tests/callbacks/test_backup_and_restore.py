"""A fit that was broken off and is gone on with ends as one that was not."""

import numpy as np
import pytest
from backup_runs import EPOCHS, Run, broken_off_at_the_end, stopping, uninterrupted
from kerases import keras_3_only, needs_multi_optimizer
from phase_runs import same

from keras_imbalance import BackupAndRestore, Phase, PhasedTraining
from keras_imbalance._keras import keras, ops
from keras_imbalance.callbacks.resumable import ResumableCallback


@pytest.mark.parametrize(
    ("optimizer", "at"),
    [
        (None, (3, 1)),  # in the epoch that gave the head new values, which it then gives again
        pytest.param(None, (5, 0), marks=pytest.mark.slow),
        ("averaged", (2, None)),  # after the backup of an epoch
        pytest.param("layerwise", (4, 0), marks=[needs_multi_optimizer, pytest.mark.slow]),
        pytest.param(
            "scaled", (1, 1), marks=[keras_3_only("no LossScaleOptimizer of such arguments"), pytest.mark.slow]
        ),
    ],
)
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(tmp_path, optimizer, at):
    Run(optimizer).broken_off(at, backup=[BackupAndRestore(tmp_path)])
    resumed = Run(optimizer)
    resumed.fit(backup=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == list(range(at[0] + (at[1] is None), EPOCHS))
    assert same(resumed.everything(), uninterrupted(optimizer))


def test_the_history_and_the_settings_go_on_too(tmp_path):
    whole, broken, resumed = Run(), Run(), Run()
    callbacks = [run.callbacks() for run in (whole, broken, resumed)]
    whole.fit(callbacks[0])
    broken.broken_off((3, 1), callbacks[1], [BackupAndRestore(tmp_path)])
    resumed.fit(callbacks[2], [BackupAndRestore(tmp_path)])
    assert same(callbacks[2][0].targets, callbacks[0][0].targets)
    assert resumed.recorder.rates == whole.recorder.rates[3:]
    assert same(resumed.recorder.shares, whole.recorder.shares[3:])
    unnamed = [[[entry[1:] for entry in epoch] for epoch in run.recorder.flags] for run in (resumed, whole)]
    assert unnamed[0] == unnamed[1][3:]
    # The target and the rate are again those of before, as after the run that nothing broke off.
    np.testing.assert_allclose(resumed.sampler.distribution, [0.2, 0.3, 0.5])
    assert float(ops.convert_to_numpy(resumed.model.optimizer.learning_rate)) == pytest.approx(0.1)


@pytest.mark.slow
def test_the_rate_that_a_plateau_lowered_is_saved(tmp_path):
    def setup():
        run = Run()
        plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1, min_delta=100.0)
        callbacks = [PhasedTraining([Phase(1, learning_rate=0.4)]), plateau]
        return run, callbacks, [BackupAndRestore(tmp_path, state=[run.sampler, plateau])]

    (whole, callbacks, _), broken, resumed = setup(), setup(), setup()
    whole.fit(callbacks, epochs=9)
    assert whole.recorder.rates[-1] < 0.2
    broken[0].broken_off((4, 1), *broken[1:], epochs=9)
    resumed[0].fit(*resumed[1:], epochs=9)
    assert resumed[0].recorder.rates == whole.recorder.rates[4:]
    assert same(resumed[0].everything(), whole.everything())


def test_early_stopping_goes_on_waiting_with_its_best_weights(tmp_path):
    """It waits from epoch 1, and epoch 4 is the third without a better one."""
    whole, broken, resumed, early = Run(), Run(), Run(), [stopping(), stopping()]
    whole.fit([early[0]], epochs=9)
    assert whole.recorder.epochs == [0, 1, 2, 3, 4]
    late = stopping()
    broken.broken_off((3, 0), [late], [BackupAndRestore(tmp_path, state=[broken.sampler, late])], epochs=9)
    resumed.fit([early[1]], [BackupAndRestore(tmp_path, state=[resumed.sampler, early[1]])], epochs=9)
    assert resumed.recorder.epochs == [3, 4]
    for name in ("wait", "best", "best_epoch", "stopped_epoch"):
        assert getattr(early[1], name) == getattr(early[0], name)
    assert same(early[1].best_weights, early[0].best_weights)
    assert same(resumed.everything(), whole.everything())


@pytest.mark.slow
def test_a_run_that_had_stopped_trains_no_further_epoch(tmp_path):
    whole, resumed, early = Run(), Run(), stopping()
    whole.fit([stopping()], epochs=9)
    broken_off_at_the_end(tmp_path, [stopping()], 9)
    resumed.fit([early], [BackupAndRestore(tmp_path, state=[resumed.sampler, early])], epochs=9)
    assert resumed.recorder.epochs == []
    assert same(resumed.everything(), whole.everything())


@pytest.mark.slow
def test_frozen_layers_stay_as_they_are_where_no_epoch_is_left(tmp_path):
    """What Keras does at the end of training, moving averages into weights, is done over what trained last."""
    resumed = Run("averaged")
    broken_off_at_the_end(tmp_path, None, EPOCHS, "averaged")
    resumed.fit(backup=[BackupAndRestore(tmp_path)])
    assert resumed.recorder.epochs == []
    assert same(resumed.everything(), uninterrupted("averaged"))


@pytest.mark.slow
def test_a_second_fit_starts_at_the_first_epoch(tmp_path):
    Run().broken_off((3, 1), backup=[BackupAndRestore(tmp_path)])
    run = Run()
    run.fit(backup=[BackupAndRestore(tmp_path)])
    assert run.recorder.epochs == [3, 4, 5]
    for backup in ([], [BackupAndRestore(tmp_path)]):
        run.recorder.epochs.clear()
        run.fit(backup=backup)
        assert run.recorder.epochs == list(range(EPOCHS))


@pytest.mark.slow
def test_a_fit_after_one_that_was_resumed_and_broken_off_starts_at_the_first_epoch(tmp_path):
    Run().broken_off((3, 1), backup=[BackupAndRestore(tmp_path)])
    run = Run().broken_off((4, 0), backup=[BackupAndRestore(tmp_path)])
    assert run.recorder.epochs == [3, 4]
    run.recorder.epochs.clear()
    run.fit(epochs=2)
    assert run.recorder.epochs == [0, 1]


def test_the_backup_and_its_empty_folder_are_deleted(tmp_path):
    Run().fit(backup=[BackupAndRestore(tmp_path / "backup")], epochs=2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_stays(tmp_path):
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "backup.npz.elsewhere").write_text("mine")
    Run().fit(backup=[BackupAndRestore(tmp_path)], epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.npz.elsewhere", "notes"]


@pytest.mark.slow
def test_a_backup_that_was_left_is_gone_on_from_when_there_are_more_epochs(tmp_path):
    longer = Run()
    Run().fit(backup=[BackupAndRestore(tmp_path, delete_checkpoint=False)], epochs=2)
    longer.fit(backup=[BackupAndRestore(tmp_path, delete_checkpoint=False)])
    assert longer.recorder.epochs == [2, 3, 4, 5]
    assert same(longer.everything(), uninterrupted())


def test_a_sampler_that_no_callback_acts_on_is_saved_where_listed(tmp_path):
    whole, broken, resumed = Run(), Run(), Run()
    whole.fit([])
    broken.broken_off((2, 1), [], [BackupAndRestore(tmp_path, state=[broken.sampler])])
    resumed.fit([], [BackupAndRestore(tmp_path, state=[resumed.sampler])])
    assert same(resumed.everything(), whole.everything())


@keras_3_only("does not tell where a random layer is in its sequence")
def test_random_layers_go_on_where_they_were(tmp_path):
    def run():
        keras.utils.set_random_seed(0)  # unseeded dropout of PyTorch draws from the generator of the process
        return Run(dropout=0.3)

    whole = run()
    whole.fit([])
    broken = run()
    broken.broken_off((3, 1), [], [BackupAndRestore(tmp_path, state=[broken.sampler])])
    resumed = run()
    resumed.fit([], [BackupAndRestore(tmp_path, state=[resumed.sampler])])
    assert same(resumed.everything(), whole.everything())


class Arrays(ResumableCallback):
    """Keeps a sum over epochs in an array, and says when it was loaded."""

    def on_train_begin(self, logs=None):
        self.sums, self.loaded, self.weights = np.zeros(3), [], self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        self.sums += epoch

    def state_arrays(self):
        return {"sums": self.sums}

    def load_state_dict(self, state):
        self.loaded += ["state", same(self.model.get_weights(), self.weights)]

    def load_state_arrays(self, arrays):
        self.loaded += ["arrays", same(self.model.get_weights(), self.weights)]
        self.sums = arrays["sums"]


def test_arrays_of_a_callback_are_loaded_after_its_state_and_before_the_variables(tmp_path):
    broken, resumed, callback = Run(), Run(), Arrays()
    broken.broken_off((4, 0), [Arrays()], [BackupAndRestore(tmp_path)])
    resumed.fit([callback], [BackupAndRestore(tmp_path)])
    assert callback.loaded == ["state", True, "arrays", True]
    assert callback.sums.tolist() == [15.0, 15.0, 15.0]
