"""DynamicSampling against the formula of the paper, and in fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import ArraySampler, DynamicSampling, PerClassF1
from keras_imbalance.backend import keras

quick = settings(deadline=None, max_examples=60)
some_f1 = st.lists(st.floats(0, 1), min_size=2, max_size=6)


def sampler_of(num_classes=3, **arguments):
    labels = np.repeat(np.arange(num_classes), np.arange(num_classes, 0, -1) * 4)
    return ArraySampler(np.zeros((len(labels), 1), "float32"), labels, seed=0, **arguments)


def after_epoch(sampler, f1, epoch=0, **arguments):
    """The distribution that the callback sets when the classes have these F1 values."""
    logs = {f"val_f1/{name}": value for name, value in zip(sampler.class_names, f1, strict=True)}
    DynamicSampling(sampler, **arguments).on_epoch_end(epoch, logs)
    return sampler.distribution


@quick
@given(some_f1)
def test_without_floor_and_momentum_it_is_the_rule_of_the_paper(f1):
    """size_j = (1 - F1_j) / sum_k (1 - F1_k) N*, as shares; uniform when every F1 is 1."""
    errors = [1 - value for value in f1]
    expected = [error / sum(errors) for error in errors] if sum(errors) > 0 else [1 / len(f1)] * len(f1)
    shares = after_epoch(sampler_of(len(f1)), f1, floor=0, momentum=0)
    np.testing.assert_allclose(shares, expected, atol=1e-12)


@quick
@given(some_f1, st.floats(0, 1), st.floats(0, 0.99))
def test_floor_and_momentum(f1, floor, momentum):
    start = after_epoch(sampler_of(len(f1), target="natural"), f1, epoch=0, start_epoch=1)
    rule = after_epoch(sampler_of(len(f1)), f1, floor=0, momentum=0)
    shares = after_epoch(sampler_of(len(f1), target="natural"), f1, floor=floor, momentum=momentum)
    fresh = floor / len(f1) + (1 - floor) * rule
    np.testing.assert_allclose(shares, momentum * start + (1 - momentum) * fresh, atol=1e-12)
    assert shares.min() >= (1 - momentum) * floor / len(f1) - 1e-12


def test_the_worst_class_is_drawn_most_and_a_perfect_one_keeps_its_floor():
    shares = after_epoch(sampler_of(), [1.0, 0.8, 0.3], floor=0.3, momentum=0)
    assert shares[2] > shares[1] > shares[0]
    np.testing.assert_allclose(shares[0], 0.1)


def test_all_perfect_is_uniform():
    np.testing.assert_allclose(after_epoch(sampler_of(), [1, 1, 1], floor=0, momentum=0), np.full(3, 1 / 3))


def test_a_class_without_rows_is_not_drawn():
    labels = np.repeat([0, 2], 6)
    sampler = ArraySampler(np.zeros((12, 1)), labels, target="natural", seed=0)
    np.testing.assert_allclose(after_epoch(sampler, [0.5, 0.0, 0.0], floor=0, momentum=0), [1 / 3, 0, 2 / 3])
    np.testing.assert_allclose(after_epoch(sampler, [1.0, 0.0, 1.0], floor=0.5, momentum=0), [0.5, 0, 0.5])


@pytest.mark.parametrize(("epoch", "changes"), [(0, False), (1, False), (2, True), (3, True), (4, False), (5, False)])
def test_only_the_epochs_between_start_and_stop_are_its_own(epoch, changes):
    """What the end of epoch 4 sets would hold in epoch 5, which is not its own."""
    sampler = sampler_of()
    before = sampler.distribution
    shares = after_epoch(sampler, [0.1, 0.5, 0.9], epoch=epoch, start_epoch=2, stop_epoch=5)
    assert np.allclose(shares, before) is not changes


def test_missing_keys_are_listed_beside_those_that_are_there():
    callback = DynamicSampling(sampler_of(class_names=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"`val_f1/<class>`.*Missing: \['b', 'c'\].*\['loss', 'val_f1/a'\]"):
        callback.on_epoch_end(0, {"loss": 1.0, "val_f1/a": 0.5})


def test_undefined_values_are_refused():
    with pytest.raises(ValueError, match="`val_f1` must be defined for every class"):
        after_epoch(sampler_of(), [0.5, np.nan, 0.1])


def blobs():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [120, 30, 10]))
    return (rng.normal(size=(160, 2)) + labels[:, None]).astype("float32"), labels


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
    after = []
    recorder = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(sampler.distribution))
    history = model.fit(
        sampler.dataset(), validation_data=(x, y), epochs=4, callbacks=[dynamic, recorder], verbose=0
    ).history
    shares = np.full(3, 1 / 3)
    for epoch in range(4):
        np.testing.assert_allclose(dynamic.history[epoch], shares, atol=1e-12)
        errors = 1 - np.array([history[f"val_f1/{name}"][epoch] for name in names])
        shares = 0.25 * shares + 0.75 * (0.1 / 3 + 0.9 * errors / errors.sum())
        np.testing.assert_allclose(after[epoch], shares, atol=1e-6)
    assert np.ptp(after[-1]) > 0.01
    # Within one row a batch of 40, what was drawn has the shares that held.
    assert (np.abs(sampler.exposure - 160 * np.sum(dynamic.history, axis=0)) <= 4).all()


def test_in_fit_a_missing_metric_is_an_error_after_the_first_epoch():
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"`val_f1/<class>`.*The logs hold: \['loss'\]"):
        model.fit(sampler.dataset(), callbacks=[DynamicSampling(sampler)], verbose=0)
