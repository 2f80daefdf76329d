"""DynamicSampling, TwoPhaseLearning, DeferredReweighting and EarlyStopping in one fit, in any order."""

from itertools import permutations

import numpy as np
import pytest
from phase_runs import COUNTS, Recorder, Seen, Tap, changed, data, fit, make_sampler, same, weights_of

from keras_imbalance import (
    BackupAndRestore,
    ClassBalancedLoss,
    DeferredReweighting,
    DynamicSampling,
    PerClassF1,
    ProgressiveSampling,
    TwoPhaseLearning,
)
from keras_imbalance.backend import keras

EPOCHS, SWITCH, STOPPED = 8, 3, 6
ORDERS = list(permutations(range(4)))
FEW = [ORDERS[i] for i in (0, 9, 16, 18, 23)]


def compiled_model(**arguments):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="relu", name="backbone"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(3, name="head"),
        ]
    )
    loss = ClassBalancedLoss(COUNTS, from_logits=True)
    optimizer = keras.optimizers.AdamW(0.02, weight_decay=0.1)
    model.compile(optimizer, loss, metrics=[PerClassF1(3), Seen()], **arguments)
    return model


def four(sampler):
    """They stop after six of eight epochs and go back to the best."""
    stopping = keras.callbacks.EarlyStopping(
        "val_f1", mode="max", patience=2, min_delta=10.0, start_from_epoch=3, restore_best_weights=True
    )
    return [
        DynamicSampling(sampler, stop_epoch=SWITCH),
        TwoPhaseLearning(sampler, switch_epoch=SWITCH, freeze=["backbone", "norm"]),
        DeferredReweighting(start_epoch=4),
        stopping,
    ]


def run(order, more=(), **arguments):
    sampler, model = make_sampler(), compiled_model(**arguments)
    callbacks = four(sampler)
    history = fit(model, sampler, [*(callbacks[i] for i in order), *more], EPOCHS, validation_data=data(1))
    return sampler, model, callbacks, history


@pytest.fixture(scope="module")
def first():
    _, model, _, history = run(ORDERS[0], run_eagerly=True)
    return model.get_weights(), history


def check_order(order, first):
    weights, history = first
    _, model, _, again = run(order, run_eagerly=True)
    assert again.epoch == history.epoch == list(range(STOPPED))
    assert again.history == history.history
    assert same(model.get_weights(), weights)


@pytest.mark.parametrize("order", FEW[1:])
def test_the_order_of_the_callbacks_does_not_matter(order, first):
    check_order(order, first)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS[1:])
def test_no_order_of_the_callbacks_matters(order, first):
    check_order(order, first)


@pytest.mark.parametrize("order", [ORDERS[0], ORDERS[-1]])
def test_train_steps_see_the_labels_of_the_distribution_that_was_set_for_their_epoch(order, tmp_path):
    """In the compiled step, with the backup beside; what was set is computed here from the scores in the logs."""
    recorder, tap = Recorder(), Tap()
    sampler, model, callbacks, history = run(order, [recorder, tap, BackupAndRestore(tmp_path / "backup")])
    shares = [np.full(3, 1 / 3)]
    for epoch in range(SWITCH - 1):
        lacking = 1 - np.array([history.history[f"val_f1/{i}"][epoch] for i in range(3)])
        shares.append(0.5 * shares[-1] + 0.5 * (0.5 / 3 + 0.5 * lacking / lacking.sum()))
    shares += [np.array(COUNTS) / 100] * (STOPPED - SWITCH)
    assert len(tap.batches) == 4 * STOPPED
    assert tap.stale(shares, 25) == 0
    np.testing.assert_allclose(callbacks[0].history, shares, rtol=1e-5)
    natural = [np.array(COUNTS) / 100] * STOPPED
    assert tap.stale(natural, 25) == 4 * SWITCH  # the count can tell
    assert recorder.changed() == [{"backbone", "norm", "head"}] * SWITCH + [{"head"}] * (STOPPED - SWITCH)
    assert not changed(recorder.after[STOPPED - 3], weights_of(model))  # the best epoch's, the first that was watched
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert all(layer.trainable for layer in model.layers)
    assert not sampler.owners


def test_the_weights_of_classes_are_those_of_the_epoch_beside_all_others():
    """With the learning rate at 0 the loss of an epoch is that of the initial weights, weighted or not."""
    model = compiled_model()
    model.get_layer("norm").trainable = False
    model.compile(keras.optimizers.SGD(0.0), model.loss, metrics=[PerClassF1(3)])
    sampler = make_sampler()
    history = fit(model, sampler, four(sampler)[:3], 6, validation_data=data(1)).history
    x, y = data(1)
    z = np.asarray(model.predict(x, verbose=0), float)
    z -= z.max(axis=1, keepdims=True)
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(100), y]
    weights = (1 - 0.9999) / (1 - 0.9999 ** np.array(COUNTS, float))
    weights *= 3 / weights.sum()
    expected = [losses.mean()] * 4 + [(weights[y] * losses).mean()] * 2
    np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-5)


def test_two_owners_of_the_distribution_are_an_error_in_either_order():
    for make in (
        lambda s: [DynamicSampling(s), TwoPhaseLearning(s, 2)],
        lambda s: [ProgressiveSampling(s, epochs=4), TwoPhaseLearning(s, 2)],
        lambda s: [ProgressiveSampling(s, epochs=4), DynamicSampling(s)],
    ):
        for step in (1, -1):
            sampler, model = make_sampler(), compiled_model(run_eagerly=True)
            before = model.get_weights()
            with pytest.raises(ValueError, match="Two callbacks set the class distribution of one sampler"):
                fit(model, sampler, make(sampler)[::step], 6, validation_data=data(1))
            assert same(before, model.get_weights())
