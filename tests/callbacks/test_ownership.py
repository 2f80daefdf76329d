"""One callback at a time sets a sampler's target, and fits leave things as they found them."""

import numpy as np
import pytest

from keras_imbalance import ArraySampler, DynamicSampling, ProgressiveSampling, TwoPhaseLearning
from keras_imbalance._keras import keras

Y = np.repeat([0, 1, 2], [60, 24, 12])
X = np.random.default_rng(0).normal(size=(96, 3)).astype("float32")


def sampler():
    return ArraySampler(X, Y, batch_size=24, seed=0)


def model(optimizer=None):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(3, name="b")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer or keras.optimizers.SGD(0.01), loss)
    return net


def fit(net, source, callbacks, **arguments):
    return net.fit(source.dataset(), shuffle=False, callbacks=callbacks, verbose=0, **arguments)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("end_epoch", [None, 4])
def test_overlapping_owners_are_refused_before_any_step(end_epoch, reverse):
    source, net = sampler(), model()
    before = net.get_weights()
    dynamic = DynamicSampling(source, end_epoch=end_epoch, validation_data=(X, Y))
    callbacks = [dynamic, TwoPhaseLearning(source, switch_epoch=2)]
    with pytest.raises(ValueError, match="same epochs"):
        fit(net, source, callbacks[:: -1 if reverse else 1], epochs=4)
    for kept, now in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize("reverse", [False, True])
def test_owners_that_take_turns_compose_in_either_order(reverse):
    source = sampler()
    dynamic = DynamicSampling(source, end_epoch=2, validation_data=(X, Y))
    callbacks = [dynamic, TwoPhaseLearning(source, switch_epoch=2)]
    fit(model(), source, callbacks[:: -1 if reverse else 1], epochs=4)
    np.testing.assert_allclose(dynamic.targets[0], 1 / 3)
    for later in dynamic.targets[2:]:
        np.testing.assert_allclose(later, np.array([60, 24, 12]) / 96)
    fit(model(), source, callbacks[1:], epochs=1)  # what the first fit claimed is released


def test_a_fit_that_was_broken_off_leaves_no_claim():
    source = sampler()
    with pytest.raises(KeyboardInterrupt):
        fit(model(), source, [TwoPhaseLearning(source, switch_epoch=1), Stop()], epochs=3)
    fit(model(), source, [DynamicSampling(source, validation_data=(X, Y))], epochs=2)


class Rates(keras.callbacks.Callback):
    """The learning rate and the labels' shares that each epoch trained with."""

    def __init__(self, source):
        super().__init__()
        self.source, self.rates, self.shares = source, [], []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.shares.append(self.source.distribution)


class Stop(keras.callbacks.Callback):
    """Breaks a fit off in the epoch after the first."""

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def rule(scores):
    return [0, 0, 1]


CALLBACKS = {
    "dynamic": lambda source: [DynamicSampling(source, rule=rule, validation_data=(X, Y))],
    "progressive": lambda source: [ProgressiveSampling(source, end_target=[0, 0, 1], end_epoch=2)],
    "two phases": lambda source: [TwoPhaseLearning(source, switch_epoch=1)],
    "in turn": lambda source: [
        DynamicSampling(source, rule=rule, validation_data=(X, Y), end_epoch=2),
        ProgressiveSampling(source, start_epoch=2, end_epoch=3),
        TwoPhaseLearning(source, switch_epoch=3),
    ],
}


@pytest.mark.parametrize(
    ("name", "step"), [*((name, 1) for name in CALLBACKS), pytest.param("in turn", -1, marks=pytest.mark.slow)]
)
def test_after_training_the_target_is_what_it_was_before(name, step):
    source = sampler()
    source.target = {2: 0.5}
    watch = Rates(source)
    fit(model(), source, [*CALLBACKS[name](source)[::step], watch], epochs=4)
    assert source.target == {2: 0.5}
    assert np.ptp(watch.shares, axis=0).max() > 0.1  # it was another in between


@pytest.mark.parametrize("name", [pytest.param("dynamic", marks=pytest.mark.slow), "in turn"])
def test_after_a_fit_that_was_broken_off_the_next_one_starts_from_the_target_of_before(name):
    source = sampler()
    source.target = {2: 0.5}
    with pytest.raises(KeyboardInterrupt):
        fit(model(), source, [*CALLBACKS[name](source), Stop()], epochs=4)
    assert abs(source.distribution[2] - 0.5) > 0.05
    late = ProgressiveSampling(source, start_epoch=3)
    fit(model(), source, [late], epochs=4)
    np.testing.assert_allclose(late.targets[:3], [[60 / 168, 24 / 168, 0.5]] * 3)
    assert source.target == {2: 0.5}


@pytest.mark.parametrize("target", [pytest.param("sqrt", marks=pytest.mark.slow), {1: 0.6}])
def test_a_target_that_was_set_after_a_break_stays(target):
    source = sampler()
    with pytest.raises(KeyboardInterrupt):
        fit(model(), source, [*CALLBACKS["dynamic"](source), Stop()], epochs=3)
    source.target = target
    expected = source.distribution
    late = ProgressiveSampling(source, start_epoch=1)
    fit(model(), source, [late], epochs=2)
    np.testing.assert_array_equal(late.targets[0], expected)
    np.testing.assert_array_equal(source.distribution, expected)


def test_a_fit_that_goes_on_in_the_second_phase_does_not_lower_the_rate_again():
    source, net = sampler(), model()
    rates = Rates(source)
    callbacks = [TwoPhaseLearning(source, switch_epoch=2), rates]
    fit(net, source, callbacks, epochs=3)
    fit(net, source, callbacks, initial_epoch=3, epochs=5)
    np.testing.assert_allclose(rates.rates, [0.01, 0.01, 0.001, 0.001, 0.001], rtol=1e-5)
    natural = np.array([60, 24, 12]) / 96
    np.testing.assert_allclose(rates.shares, [[1 / 3] * 3] * 2 + [natural] * 3)


def test_a_second_fit_starts_as_the_first_did():
    source, net = sampler(), model()
    rates = Rates(source)
    for _ in range(2):
        fit(net, source, [TwoPhaseLearning(source, switch_epoch=1), rates], epochs=2)
    np.testing.assert_allclose(rates.rates, [0.01, 0.001] * 2, rtol=1e-5)
    np.testing.assert_allclose(rates.shares[0], rates.shares[2])


def test_a_resumed_run_does_not_lower_the_rate_again(tmp_path):
    source = sampler()

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        fit(model(), source, [backup, TwoPhaseLearning(source, switch_epoch=2), Kill()], epochs=5)
    source = sampler()
    rates = Rates(source)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    fit(model(), source, [backup, TwoPhaseLearning(source, switch_epoch=2), rates], epochs=5)
    np.testing.assert_allclose(rates.rates, [0.001, 0.001], rtol=1e-5)


def test_flags_inside_a_frozen_model_are_restored_one_by_one():
    source = sampler()
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Dense(3)], name="inner")
    inner.layers[0].trainable = False
    net = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(3)])
    net.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(net, source, [TwoPhaseLearning(source, switch_epoch=1, freeze="inner")], epochs=2)
    assert [layer.trainable for layer in inner.layers] == [False, True]
