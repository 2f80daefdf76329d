"""ProgressiveSampling against Kang et al. 2020: (1 - t/T) natural + t/T balanced, reaching the end in the last epoch."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import ArraySampler, DynamicSampling, ProgressiveSampling, StreamSampler, TwoPhaseLearning
from keras_imbalance._keras import keras, ops

COUNTS = np.array([120, 30, 10])
NATURAL, BALANCED = COUNTS / 160, np.full(3, 1 / 3)
Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], COUNTS))
X = np.random.default_rng(1).normal(size=(160, 2)).astype("float32")
quick = settings(max_examples=40)


def sampler_of(target="balanced"):
    return ArraySampler(X, Y, batch_size=40, target=target, seed=0)


def q_sampling(q):
    shares = COUNTS.astype(float) ** q
    return shares / shares.sum()


def drawn(progressive, sampler, epochs):
    """What each epoch would draw, without a fit."""
    shares = []
    for epoch in epochs:
        progressive.on_epoch_begin(epoch)
        shares.append(sampler.distribution)
    return np.array(shares)


FORMULAS = {
    "linear": lambda t: t,
    "cosine": lambda t: (1 - np.cos(np.pi * t)) / 2,
    "exponential": lambda t: (1 - np.exp(-5 * t)) / (1 - np.exp(-5)),
}


@pytest.mark.parametrize("schedule", FORMULAS)
@pytest.mark.parametrize("epochs", [2, 3, 10])
def test_the_share_of_every_epoch_is_that_of_the_formula(schedule, epochs):
    sampler = sampler_of()
    shares = drawn(ProgressiveSampling(sampler, end_epoch=epochs, schedule=schedule), sampler, range(epochs))
    s = FORMULAS[schedule](np.arange(epochs) / (epochs - 1))[:, None]
    np.testing.assert_allclose(shares, (1 - s) * NATURAL + s * BALANCED, atol=1e-12)


@quick
@given(st.floats(0, 3), st.floats(0, 3), st.integers(1, 30), st.integers(0, 20), st.sampled_from(sorted(FORMULAS)))
def test_it_ends_exactly_and_moves_one_way(start, end, epochs, start_epoch, schedule):
    """Of q-sampling by numbers; the order in which epochs are asked for does not matter."""
    sampler = sampler_of()
    progressive = ProgressiveSampling(
        sampler,
        start_target=start,
        end_target=end,
        schedule=schedule,
        start_epoch=start_epoch,
        end_epoch=start_epoch + epochs,
    )
    own = np.arange(start_epoch, start_epoch + epochs)
    shares = drawn(progressive, sampler, own)
    np.testing.assert_array_equal(shares, drawn(progressive, sampler, own[::-1])[::-1])
    np.testing.assert_allclose(shares[-1], q_sampling(end), atol=1e-12)
    if epochs > 1:
        np.testing.assert_allclose(shares[0], q_sampling(start), atol=1e-12)
    direction = np.sign(q_sampling(end) - q_sampling(start))
    assert (np.diff(shares, axis=0) * direction >= -1e-12).all()
    sampler.target = end
    np.testing.assert_array_equal(shares[-1], sampler.distribution)


@pytest.mark.parametrize(
    ("target", "shares"),
    [
        ({2: 0.4}, [0.48, 0.12, 0.4]),
        ([1, 2, 1], [0.25, 0.5, 0.25]),
        ("sqrt", q_sampling(0.5)),
        (0.25, q_sampling(0.25)),
    ],
)
def test_any_target_of_the_sampler_may_be_at_either_end(target, shares):
    sampler = sampler_of()
    there = drawn(
        ProgressiveSampling(sampler, start_target="balanced", end_target=target, end_epoch=3), sampler, range(3)
    )
    np.testing.assert_allclose(there, [BALANCED, (BALANCED + shares) / 2, shares], atol=1e-12)
    back = drawn(ProgressiveSampling(sampler, start_target=target, end_epoch=3), sampler, range(3))
    np.testing.assert_allclose(back, there[::-1], atol=1e-12)


def test_a_schedule_of_ones_own():
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler, end_epoch=5, schedule=lambda t: float(t >= 0.5))
    np.testing.assert_allclose(drawn(progressive, sampler, range(5)), [NATURAL] * 2 + [BALANCED] * 3, atol=1e-12)


class Labels(keras.callbacks.Callback):
    """How many rows of every class each epoch trained on, counted by the model's own train step."""

    def __init__(self):
        super().__init__()
        self.counts = []

    def on_epoch_end(self, epoch, logs=None):
        self.counts.append([round(float(logs[f"rows_{i}"])) for i in range(3)])


def rows_of(label):
    class Rows(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name=f"rows_{label}")
            self.total = self.add_weight(name="total", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(ops.sum(ops.cast(ops.equal(ops.cast(y_true, "int32"), label), "float32")))

        def result(self):
            return ops.convert_to_tensor(self.total)

    return Rows()


def model():
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.SGD(0.01), loss, metrics=[rows_of(i) for i in range(3)])
    return net


def fit(sampler, callbacks, epochs, **arguments):
    labels = Labels()
    model().fit(sampler.dataset(), shuffle=False, epochs=epochs, callbacks=[*callbacks, labels], verbose=0, **arguments)
    return np.array(labels.counts)


def test_in_fit_every_epoch_trains_on_the_shares_set_for_it():
    """By default up to the last epoch of fit; no batch of an epoch comes from the shares of another."""
    sampler = sampler_of("sqrt")
    progressive = ProgressiveSampling(sampler)
    counts = fit(sampler, [progressive], 5)
    expected = [(1 - k / 4) * NATURAL + k / 4 * BALANCED for k in range(5)]
    np.testing.assert_allclose(progressive.targets, expected, atol=1e-12)
    assert (np.abs(counts - 160 * np.array(expected)) <= 1).all()
    assert sampler.target == "sqrt"  # as before training
    assert (np.abs(fit(sampler, [progressive], 2) - 160 * np.array([NATURAL, BALANCED])) <= 1).all()


@pytest.mark.parametrize("initial_epoch", [1, pytest.param(3, marks=pytest.mark.slow), 5, 6])
def test_a_run_that_goes_on_later_draws_what_it_would_have_drawn(initial_epoch):
    """A function of the epoch, before start_epoch and after the end too."""
    whole = ProgressiveSampling(sampler := sampler_of("sqrt"), start_epoch=2, end_epoch=5)
    fit(sampler, [whole], 7)
    late = ProgressiveSampling(sampler := sampler_of("sqrt"), start_epoch=2, end_epoch=5)
    fit(sampler, [late], 7, initial_epoch=initial_epoch)
    np.testing.assert_array_equal(late.targets, whole.targets[initial_epoch:])
    expected = [q_sampling(0.5)] * 2 + [NATURAL, (NATURAL + BALANCED) / 2, BALANCED, BALANCED, BALANCED]
    np.testing.assert_allclose(whole.targets, expected, atol=1e-12)


def test_the_history_is_kept_in_the_state():
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler)
    fit(sampler, [progressive], 4)
    other = ProgressiveSampling(sampler_of())
    other.load_state_dict(json.loads(json.dumps(progressive.state_dict())))
    np.testing.assert_array_equal(other.targets, progressive.targets)
    assert len(other.targets) == 4


@pytest.mark.parametrize("reverse", [False, True])
def test_it_takes_turns_with_other_owners_in_either_order(reverse):
    """DynamicSampling sets the shares of epochs 1 and 2, this one those of 3 to 5, TwoPhaseLearning the rest."""
    sampler = sampler_of()
    progressive = ProgressiveSampling(
        sampler, start_target="balanced", end_target=[0, 0, 1], start_epoch=3, end_epoch=6
    )
    rule = DynamicSampling(
        sampler, rule=lambda scores: [0, 1, 0], floor=0, momentum=0, end_epoch=3, validation_data=(X, Y)
    )
    callbacks = [rule, progressive, TwoPhaseLearning(sampler, switch_epoch=6)]
    counts = fit(sampler, callbacks[:: -1 if reverse else 1], 8)
    shares = [BALANCED, [0, 1, 0], [0, 1, 0], BALANCED, [1 / 6, 1 / 6, 2 / 3], [0, 0, 1], NATURAL, NATURAL]
    assert (np.abs(counts - 160 * np.array(shares)) <= 1).all()
    late = fit(sampler, callbacks[:: -1 if reverse else 1], 8, initial_epoch=6)
    assert (np.abs(late - 160 * np.array(shares[6:])) <= 1).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_same_epochs_as_another_owner_are_refused(reverse):
    sampler = sampler_of()
    callbacks = [ProgressiveSampling(sampler, end_epoch=3), DynamicSampling(sampler, start_epoch=1)]
    with pytest.raises(ValueError, match=r"same epochs.*ProgressiveSampling from epoch 0 until before 3"):
        fit(sampler, callbacks[::-1] if reverse else callbacks, 5)


@pytest.mark.parametrize("class_counts", [None, COUNTS])
def test_with_a_stream(class_counts):
    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    sampler = StreamSampler(
        rows, batch_size=40, class_counts=class_counts, num_classes=3, target="natural", block_bytes=384, seed=0
    )
    progressive = ProgressiveSampling(sampler, end_epoch=3)
    counts = fit(sampler, [progressive], 3)
    np.testing.assert_array_equal(counts[0], COUNTS)  # natural passes every row on once, counts known or not
    np.testing.assert_allclose(progressive.targets[0], NATURAL, atol=1e-12)
    np.testing.assert_allclose(progressive.targets[1:], [(NATURAL + BALANCED) / 2, BALANCED], atol=1e-12)
    np.testing.assert_allclose(counts[1:] / counts[1:].sum(axis=1, keepdims=True), progressive.targets[1:], atol=0.03)


def test_making_one_leaves_the_sampler_as_it_is():
    sampler = sampler_of({0: 0.5})
    before = sampler.state_dict()
    ProgressiveSampling(sampler)
    assert sampler.state_dict() == before


EMPTY = ArraySampler(np.zeros((4, 1)), [0, 0, 2, 2], target="natural", seed=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_target": "even"}, "`start_target` must be a target .*'even'"),
        ({"end_target": -1.0}, "`end_target` must be a target"),
        ({"end_target": [0.5, 0.5]}, "`end_target` must be a target"),
        ({"sampler": EMPTY, "end_target": [0, 1, 0]}, "`end_target` must be a target .*no rows"),
        ({"end_epoch": 0}, "`end_epoch` must be .* of at least 1"),
        ({"start_epoch": 4, "end_epoch": 4}, "`end_epoch` must be .* of at least 5"),
        ({"end_epoch": 2.5}, "`end_epoch` must be None or a whole number"),
        ({"schedule": "cosin"}, "`schedule` must be one of .*Did you mean 'cosine'"),
        ({"schedule": None}, "`schedule` must be one of"),
        ({"start_epoch": -1}, "`start_epoch` must be .* of at least 0"),
        ({"sampler": None}, "`sampler` must be a sampler"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProgressiveSampling(**{"sampler": sampler_of(), **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": lambda t: 1.5 * t}, r"`schedule` must give values in \[0, 1\].*schedule\(0.75\)"),
        ({"schedule": lambda t: float("nan")}, r"`schedule` must give values in \[0, 1\]"),
        ({"start_epoch": 5}, "`start_epoch` must come before the last epoch of fit"),
    ],
)
def test_what_fit_alone_can_tell_is_refused_before_training(arguments, message):
    sampler = sampler_of()
    with pytest.raises(ValueError, match=message):
        fit(sampler, [ProgressiveSampling(sampler, **arguments)], 5)
    assert sampler.exposure.sum() == 0


@pytest.mark.parametrize("schedule", ["cosine", lambda t: t**2])
def test_a_run_of_very_many_epochs_starts_at_once(schedule):
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler, schedule=schedule, end_epoch=10**18)
    progressive.set_params({"epochs": 10**18, "steps": 4})
    progressive.on_train_begin()
    np.testing.assert_allclose(drawn(progressive, sampler, [0, 10**18 - 1]), [NATURAL, BALANCED], atol=1e-12)


@pytest.mark.parametrize("wrong_at", [0.0, 0.5, 1.0])
def test_a_schedule_for_very_many_epochs_is_tried_at_both_ends_and_between(wrong_at):
    sampler = sampler_of()

    def schedule(t):
        return 2.0 if abs(t - wrong_at) < 0.01 else t

    progressive = ProgressiveSampling(sampler, schedule=schedule, end_epoch=10**18)
    progressive.set_params({"epochs": 10**18})
    with pytest.raises(ValueError, match="`schedule` must give values"):
        progressive.on_train_begin()
