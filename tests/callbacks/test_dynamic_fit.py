"""DynamicSampling in fit, with the scores of its logs."""

import warnings

import numpy as np
import pytest
from dynamic_runs import blobs, softmax_model

from keras_imbalance import ArraySampler, DynamicSampling, PerClassF1
from keras_imbalance._keras import keras


def test_in_fit_the_distribution_follows_from_the_logs():
    keras.utils.set_random_seed(0)
    x, y = blobs()
    names = ["many", "some", "few"]
    sampler = ArraySampler(x, y, batch_size=40, class_names=names, seed=0)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(
        keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=[PerClassF1(3, class_names=names)]
    )
    dynamic = DynamicSampling(sampler, floor=0.1, momentum=0.25)
    before = []
    recorder = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: before.append(sampler.distribution))
    history = model.fit(
        sampler.dataset(), validation_data=(x, y), epochs=4, callbacks=[dynamic, recorder], verbose=0
    ).history
    shares = np.full(3, 1 / 3)
    for epoch in range(4):
        np.testing.assert_allclose(dynamic.targets[epoch], shares, atol=1e-12)
        errors = 1 - np.array([history[f"val_f1/{name}"][epoch] for name in names])
        shares = 0.25 * shares + 0.75 * (0.1 / 3 + 0.9 * errors / errors.sum())
    assert np.ptp(dynamic.targets[-1]) > 0.01
    np.testing.assert_array_equal(before, dynamic.targets)
    assert sampler.target == "balanced"  # as before training
    # Within one row a batch of 40, what was drawn has the shares that held.
    assert (np.abs(sampler.exposure - 160 * np.sum(dynamic.targets, axis=0)) <= 4).all()


@pytest.mark.filterwarnings("ignore:DynamicSampling keeps the target")
@pytest.mark.parametrize("validation_freq", [1, 2])
def test_in_fit_a_missing_metric_is_an_error_once_fit_has_validated(validation_freq):
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    seen = []
    counter = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    with pytest.raises(ValueError, match=r"`monitor` must .*`val_f1/<class>`.*\['loss', 'val_loss'\]"):
        softmax_model().fit(
            sampler.dataset(),
            epochs=4,
            validation_data=(x, y),
            validation_freq=validation_freq,
            callbacks=[counter, DynamicSampling(sampler)],  # the first might add any key, for all that is known
            verbose=0,
        )
    assert len(seen) == validation_freq


def fit_and_listen(epochs, **arguments):
    """What DynamicSampling warned of before each epoch, and in all."""
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def said():
            return [str(entry.message) for entry in caught if "DynamicSampling" in str(entry.message)]

        so_far = []
        listener = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: so_far.append(len(said())))
        softmax_model([PerClassF1(3)]).fit(
            sampler.dataset(),
            epochs=epochs,
            callbacks=[DynamicSampling(sampler), listener],
            verbose=0,
            shuffle=False,
            **arguments,
        )
        return so_far, said()


def test_in_fit_without_validation_data_the_first_epoch_says_so():
    so_far, said = fit_and_listen(epochs=3)
    assert so_far == [0, 1, 1]
    assert "keeps the target" in said[0]
    assert "'f1/0'" in said[0]
    assert "Pass validation_data to fit" in said[0]
    assert len(said) == 2


@pytest.mark.filterwarnings("ignore:DynamicSampling keeps the target")
def test_epochs_without_validation_leave_the_target_alone():
    x, y = blobs()
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    dynamic = DynamicSampling(sampler, floor=0, momentum=0)
    history = (
        softmax_model([PerClassF1(3)])
        .fit(
            sampler.dataset(),
            epochs=7,
            validation_data=(x, y),
            validation_freq=3,
            callbacks=[dynamic],
            verbose=0,
        )
        .history
    )
    errors = 1 - np.array([history[f"val_f1/{i}"] for i in range(3)]).T
    rules = errors / errors.sum(axis=1, keepdims=True)
    expected = [np.full(3, 1 / 3)] * 3 + [rules[0]] * 3 + [rules[1]]
    np.testing.assert_allclose(dynamic.targets, expected, atol=1e-6)
    assert np.ptp(rules, axis=1).min() > 0.01


@pytest.mark.parametrize("epochs", [2, 3])
def test_a_fit_that_never_validated_is_warned_about(epochs):
    _, said = fit_and_listen(epochs, validation_data=blobs(), validation_freq=3)
    found = [message for message in said if "never set the target" in message]
    assert len(found) == (epochs == 2)
    assert all("`val_f1/<class>`" in message and "'f1/0'" in message for message in found)
