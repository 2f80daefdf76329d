"""DynamicSampling, TwoPhaseLearning, DeferredReweighting and EarlyStopping in one fit, in any order."""

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
from keras_imbalance._keras import keras

EPOCHS, SWITCH, STOPPED = 8, 3, 6
ORDERS = [(0, 1, 2, 3), (3, 2, 1, 0)]


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
        DynamicSampling(sampler, end_epoch=SWITCH),
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


@pytest.mark.slow
def test_the_callbacks_do_the_same_the_other_way_round(first):
    check_order(ORDERS[-1], first)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)])  # each first and last once
def test_no_order_of_the_callbacks_matters(order, first):
    check_order(order, first)


@pytest.mark.parametrize("order", ORDERS[:1])
def test_train_steps_see_the_labels_of_the_target_that_was_set_for_their_epoch(order, tmp_path):
    """In the compiled step, with the backup too; what was set is computed here from the scores in the logs."""
    recorder, tap = Recorder(), Tap()
    sampler, model, callbacks, history = run(order, [recorder, tap, BackupAndRestore(tmp_path / "backup")])
    shares = [np.full(3, 1 / 3)]
    for epoch in range(SWITCH - 1):
        lacking = 1 - np.array([history.history[f"val_f1/{i}"][epoch] for i in range(3)])
        shares.append(0.5 * shares[-1] + 0.5 * (0.5 / 3 + 0.5 * lacking / lacking.sum()))
    shares += [np.array(COUNTS) / 100] * (STOPPED - SWITCH)
    assert len(tap.batches) == 4 * STOPPED
    assert tap.stale(shares, 25) == 0
    np.testing.assert_allclose(callbacks[0].targets, shares, rtol=1e-5)
    natural = [np.array(COUNTS) / 100] * STOPPED
    assert tap.stale(natural, 25) == 4 * SWITCH  # the count can tell
    assert recorder.changed() == [{"backbone", "norm", "head"}] * SWITCH + [{"head"}] * (STOPPED - SWITCH)
    assert not changed(recorder.after[STOPPED - 3], weights_of(model))  # the best epoch's, the first that was watched
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert all(layer.trainable for layer in model.layers)
    assert sampler.target == "balanced"


def test_the_weights_of_classes_are_those_of_the_epoch_with_all_other_callbacks():
    """Logits that are the same for every row, and a learning rate of 0: the loss of an epoch tells its class weights."""
    model, logits = compiled_model(), np.array([1.0, 0.0, -1.0])
    model.get_layer("norm").trainable = False
    model.get_layer("head").set_weights([np.zeros((5, 3)), logits])
    model.compile(keras.optimizers.SGD(0.0), model.loss, metrics=[PerClassF1(3)])
    sampler = make_sampler()
    history = fit(model, sampler, four(sampler)[:3], 6, validation_data=data(1)).history
    counts = np.array(COUNTS, float)
    shares, losses = counts / counts.sum(), np.log(np.exp(logits).sum()) - logits
    deferred = (1 - 0.9999) / (1 - 0.9999**counts)
    deferred *= 3 / deferred.sum()
    natural = [
        shares @ losses,
        *[shares @ (deferred * losses) / (shares @ deferred)] * 2,  # over the sum of the weights
    ]  # epochs 3 to 5, when the sampler draws rows as they are
    np.testing.assert_allclose(history["loss"][SWITCH], natural[0], rtol=1e-5)
    # A mean of the means of batches, of which each has its shares to within a row.
    np.testing.assert_allclose(history["loss"][SWITCH + 1 :], natural[1:], rtol=0.005)
    compiled = shares @ (losses / (3 * shares))  # `val_loss` is that of the loss as it was compiled
    np.testing.assert_allclose(history["val_loss"], [compiled] * 6, rtol=1e-5)


def test_two_callbacks_that_set_the_target_are_an_error_in_either_order():
    for make in (
        lambda s: [DynamicSampling(s), TwoPhaseLearning(s, switch_epoch=2)],
        lambda s: [ProgressiveSampling(s, end_epoch=4), TwoPhaseLearning(s, switch_epoch=2)],
        lambda s: [ProgressiveSampling(s, end_epoch=4), DynamicSampling(s)],
    ):
        for step in (1, -1):
            sampler, model = make_sampler(), compiled_model(run_eagerly=True)
            before = model.get_weights()
            with pytest.raises(ValueError, match="Two callbacks set the target of one sampler"):
                fit(model, sampler, make(sampler)[::step], 6, validation_data=data(1))
            assert same(before, model.get_weights())
