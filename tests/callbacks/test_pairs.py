"""Each callback with each other and with Keras's, in both orders: the same result and everything as before, or refused."""

import numpy as np
import pytest
from kerases import IS_TF_KERAS
from phase_runs import all_flags, data, make_sampler, optimizer_values, rate_of, same

import keras_imbalance as ki
from keras_imbalance._keras import keras

pytestmark = pytest.mark.slow
COUNTS = (60, 30, 10)
callbacks = keras.callbacks
OURS = {
    "dynamic": lambda sampler, folder: ki.DynamicSampling(sampler, validation_data=data(1), batch_size=100),
    "progressive": lambda sampler, folder: ki.ProgressiveSampling(sampler, end_epoch=4),
    "layers": lambda sampler, folder: ki.PhasedTraining([ki.Phase(0, freeze="head"), ki.Phase(2, unfreeze=True)]),
    "anew": lambda sampler, folder: ki.PhasedTraining([ki.Phase(2, reinitialize="head")]),
    "two phases": lambda sampler, folder: ki.TwoPhaseLearning(sampler, switch_epoch=2, freeze="backbone"),
    "weights": lambda sampler, folder: ki.DeferredReweighting(2),
    "logger": lambda sampler, folder: ki.PerClassLogger(sampler=sampler),
    "backup": lambda sampler, folder: ki.BackupAndRestore(folder / "ours", state=[sampler]),
}
KERAS = {
    "early": lambda sampler, folder: callbacks.EarlyStopping("val_loss", min_delta=9.0, restore_best_weights=True),
    "plateau": lambda sampler, folder: callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=9.0, factor=0.5),
    "scheduler": lambda sampler, folder: callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.8**epoch),
    "checkpoint": lambda sampler, folder: callbacks.ModelCheckpoint(folder / "best.weights.h5", save_weights_only=True),
    "keras's backup": lambda sampler, folder: callbacks.BackupAndRestore(folder / "keras"),
    **({} if IS_TF_KERAS else {"averages": lambda sampler, folder: callbacks.SwapEMAWeights()}),
    **({} if IS_TF_KERAS else {"averages kept": lambda sampler, folder: callbacks.SwapEMAWeights(swap_on_epoch=True)}),
}
SETS_RATE = {"plateau", "scheduler"}
CHANGES_NOTHING = {"logger", "backup", "checkpoint", "keras's backup"}
SET_TARGET = {"dynamic", "progressive", "two phases"}
CHOOSE_LAYERS = {"layers", "anew", "two phases"}
WITH_A_STATE = SET_TARGET | CHOOSE_LAYERS | {"early", "plateau", "checkpoint", "averages kept"}


def may_be(first, second):
    """Whether the guide on callbacks allows these two in this order."""
    names = {first, second}
    together = [{"two phases", "scheduler"}, {"backup", "keras's backup"}]
    if names in together or names <= SET_TARGET or names <= CHOOSE_LAYERS:
        return False
    if second == "averages kept" and first in {"dynamic"} | CHOOSE_LAYERS:
        return False
    return not (first == "backup" and second in WITH_A_STATE)


class Rates(callbacks.Callback):
    """What each epoch began with."""

    def __init__(self, sampler):
        super().__init__()
        self.sampler, self.epochs = sampler, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append((epoch, rate_of(self.model), self.sampler.distribution.tolist(), all_flags(self.model)))


def run(names, folder, averaged):
    """A fit of one epoch, then one of two that begins in the middle: weights, slots, logs, and what epochs began with."""
    folder.mkdir()
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="backbone"), keras.layers.Dense(3, name="head")]
    model, sampler = keras.Sequential(layers, name="net"), make_sampler(batch_size=50)
    optimizer = keras.optimizers.Adam(0.05, **({"use_ema": True, "ema_momentum": 0.7} if averaged else {}))
    loss = ki.ClassBalancedLoss(COUNTS, from_logits=True)
    model.compile(optimizer, loss, metrics=[ki.PerClassF1(3)], run_eagerly=True)
    if averaged:
        optimizer.build(model.trainable_variables)
    listed = [{**OURS, **KERAS}[name](sampler, folder) for name in names]
    for backup in listed:
        if isinstance(backup, ki.BackupAndRestore):
            backup.state += [c for c, name in zip(listed, names, strict=True) if name in WITH_A_STATE & set(KERAS)]
    if averaged and not set(names) & set(OURS):
        listed.append(
            ki.PhasedTraining([ki.Phase(0, learning_rate_factor=1.0)])
        )  # with JAX, Keras alone cannot fit twice
    before, rates, logs = (all_flags(model), sampler.target), Rates(sampler), []
    for initial_epoch, epochs in ((0, 1), (1, 3)):
        history = model.fit(
            sampler.dataset(),
            shuffle=False,
            initial_epoch=initial_epoch,
            epochs=epochs,
            validation_data=data(1),
            validation_batch_size=100,
            callbacks=[*listed, rates],
            verbose=0,
        )
        logs.append((history.epoch, {key: values for key, values in history.history.items() if "loss" in key}))
        assert (all_flags(model), sampler.target) == before
        assert model.optimizer is optimizer
        if not SETS_RATE & set(names):
            assert rate_of(model) == pytest.approx(0.05)
    assert not list(folder.rglob("backup*"))
    return model.get_weights(), optimizer_values(model), logs, rates.epochs


def close(one, other):
    return len(one) == len(other) and all(np.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


def check_same(one, other, averaged):
    equal = (
        close if averaged and keras.backend.backend() == "tensorflow" else same
    )  # it swaps by adding and subtracting
    assert equal(one[0], other[0])
    assert equal(one[1], other[1])
    for (epochs, values), (others, other_values) in zip(one[2], other[2], strict=True):
        assert epochs == others
        for key in values:
            np.testing.assert_allclose(values[key], other_values[key], rtol=1e-4, err_msg=key)
    assert one[3] == other[3]


NAMES = [*OURS, *KERAS]


ON_EVERY_BACKEND = pytest.param("dynamic", marks=pytest.mark.every_backend)  # predicts in the middle of a fit


@pytest.mark.parametrize("name", [ON_EVERY_BACKEND, *(name for name in OURS if name != "dynamic")])
def test_a_callback_beside_each_other_one(name, tmp_path):
    alone = {}
    for position, other in enumerate(NAMES[NAMES.index(name) + 1 :]):
        averaged, results = other.startswith("averages"), []
        for number, names in enumerate([(name, other), (other, name)]):
            folder = tmp_path / f"{position}.{number}"
            if may_be(*names):
                results.append(run(names, folder, averaged))
                continue
            with pytest.raises(ValueError, match="Received"):
                run(names, folder, averaged)
        for result in results[1:]:
            check_same(results[0], result, averaged)
        for idle, one in ((name, other), (other, name)):
            if results and idle in CHANGES_NOTHING:
                if (one, averaged) not in alone:
                    alone[one, averaged] = run([one], tmp_path / f"alone.{len(alone)}", averaged)
                check_same(results[0], alone[one, averaged], averaged)
