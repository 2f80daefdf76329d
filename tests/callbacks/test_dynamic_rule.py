"""The rule of DynamicSampling against the formula of the paper, without a fit."""

import json

import numpy as np
import pytest
import tensorflow as tf
from dynamic_runs import sampler_of
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import SMOTE, ArraySampler, DynamicSampling

quick = settings(max_examples=60)
some_f1 = st.lists(st.floats(0, 1), min_size=2, max_size=6)


def after_epoch(sampler, f1, epoch=0, **arguments):
    """The shares of the next epoch when the classes have these F1 values."""
    logs = {f"val_f1/{name}": value for name, value in zip(sampler.class_names, f1, strict=True)}
    callback = DynamicSampling(sampler, **arguments)
    callback.on_epoch_end(epoch, logs)
    callback.on_epoch_begin(epoch + 1)
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
def test_only_the_epochs_from_start_to_end_are_its_own(epoch, changes):
    """What the end of epoch 4 sets would hold in epoch 5, which is not its own."""
    sampler = sampler_of()
    before = sampler.distribution
    shares = after_epoch(sampler, [0.1, 0.5, 0.9], epoch=epoch, start_epoch=2, end_epoch=5)
    assert np.allclose(shares, before) is not changes


def test_missing_keys_are_listed_with_those_that_are_there():
    callback = DynamicSampling(sampler_of(class_names=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"`monitor` must .*`val_f1/<class>`.*\['b', 'c'\].*\['loss', 'val_f1/a'\]"):
        callback.on_epoch_end(0, {"loss": 1.0, "val_f1/a": 0.5})


@quick
@given(some_f1, st.data(), st.floats(0, 1), st.floats(0, 0.99))
def test_a_class_without_a_score_keeps_its_share_and_the_others_divide_the_rest(f1, data, floor, momentum):
    absent = np.array(data.draw(st.lists(st.booleans(), min_size=len(f1), max_size=len(f1))))
    absent[data.draw(st.integers(0, len(f1) - 1))] = False
    before = sampler_of(len(f1), target="natural").distribution
    scores = np.where(absent, np.nan, f1)
    shares = after_epoch(sampler_of(len(f1), target="natural"), scores, floor=floor, momentum=momentum)
    np.testing.assert_allclose(shares[absent], before[absent], atol=1e-12)
    errors = 1 - np.array(f1)[~absent]
    rule = errors / errors.sum() if errors.sum() > 0 else np.full(len(errors), 1 / len(errors))
    wanted = before[~absent].sum() * (floor / len(errors) + (1 - floor) * rule)
    np.testing.assert_allclose(shares[~absent], momentum * before[~absent] + (1 - momentum) * wanted, atol=1e-12)


def test_no_class_with_a_score_is_an_error():
    with pytest.raises(ValueError, match=r"`monitor` must name a score.*val_f1 of .*nan nan nan.*TerminateOnNaN"):
        after_epoch(sampler_of(), [np.nan] * 3)


def test_all_failing_is_uniform():
    np.testing.assert_allclose(after_epoch(sampler_of(), [0, 0, 0], floor=0, momentum=0), np.full(3, 1 / 3))


@quick
@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=6), st.floats(0, 1), st.floats(0.1, 100))
def test_a_rule_of_ones_own_gives_weights_in_any_scale(f1, floor, scale):
    """The rule 1 / score - 1 and its like: only proportions count."""
    shares = after_epoch(
        sampler_of(len(f1)), f1, floor=floor, momentum=0, rule=lambda scores: scale * np.exp(-3 * scores)
    )
    weights = np.exp(-3 * np.array(f1))
    np.testing.assert_allclose(shares, floor / len(f1) + (1 - floor) * weights / weights.sum(), atol=1e-12)


def test_a_rule_of_ones_own_is_told_which_class_has_no_score():
    seen = []

    def rule(scores):
        seen.append(scores.copy())
        scores[:] = 7  # its own copy
        return [3, np.nan, 1]

    shares = after_epoch(
        sampler_of(target={0: 0.5, 1: 0.2, 2: 0.3}), [0.1, np.nan, 0.9], floor=0, momentum=0, rule=rule
    )
    np.testing.assert_array_equal(seen, [[0.1, np.nan, 0.9]])
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2])


@pytest.mark.parametrize("given_back", [[1, 2], [1, -1, 1], [1, np.nan, 1], [0, 0, 0], ["a", "b", "c"], None, np.inf])
def test_a_rule_that_gives_no_weights_is_refused(given_back):
    with pytest.raises(ValueError, match="`rule` must give a finite weight for each of 3 classes"):
        after_epoch(sampler_of(), [0.1, 0.5, 0.9], rule=lambda scores: given_back)


def test_the_rule_names_what_is_monitored():
    sampler = sampler_of()
    logs = {f"val_{score}/{i}": value for i in range(3) for score, value in (("f1", 0.5), ("recall", i / 4))}
    dynamic = DynamicSampling(sampler, rule="recall", floor=0, momentum=0)
    dynamic.on_epoch_end(0, logs)
    dynamic.on_epoch_begin(1)
    np.testing.assert_allclose(sampler.distribution, np.array([4, 3, 2]) / 9)


def test_the_history_goes_on_where_a_saved_state_left_off():
    """What the scores of the last epoch ask for is kept: the uninterrupted run has the same history, to the last bit."""
    sampler = sampler_of()
    first = DynamicSampling(sampler)
    scores = [[0.1, 0.5, 0.8], [0.3, 0.3, 0.3], [0.2, 0.9, 0.6], [0.9, 0.1, 0.4]]
    logs = [{f"val_f1/{i}": value for i, value in enumerate(row)} for row in scores]
    for epoch in range(2):
        first.on_epoch_begin(epoch)
        first.on_epoch_end(epoch, logs[epoch])
    saved, of_sampler = (json.loads(json.dumps(part.state_dict())) for part in (first, sampler))
    for epoch in (2, 3):
        first.on_epoch_begin(epoch)
        first.on_epoch_end(epoch, logs[epoch])
    again = sampler_of()
    second = DynamicSampling(again)
    second.load_state_dict(saved)
    again.load_state_dict(of_sampler)
    for epoch in (2, 3):
        second.on_epoch_begin(epoch)
        second.on_epoch_end(epoch, logs[epoch])
    np.testing.assert_array_equal(second.targets, first.targets)
    assert len(second.targets) == 4
    assert (second.targets[2] != second.targets[1]).any()


def rows_of(labels):
    return tf.data.Dataset.from_tensor_slices((np.zeros((2, 1)), labels))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "accuracy"}, "`rule` must be one of"),
        ({"rule": None}, "`rule` must be one of"),
        ({"rule": "recal"}, "Did you mean 'recall'"),
        ({"monitor": 3}, "`monitor` must be None or the name"),
        ({"start_epoch": 0.5}, "`start_epoch` must be a whole number"),
        ({"end_epoch": True}, "`end_epoch` must be None or a whole number"),
        ({"start_epoch": 3, "end_epoch": 3}, "`end_epoch` must be .* of at least 4"),
        ({"batch_size": 0}, "`batch_size` must be .* of at least 1"),
        ({"floor": 1.5}, "`floor` must be"),
        ({"floor": "0.5"}, "`floor` must be"),
        ({"momentum": 1}, "`momentum` must be"),
        ({"momentum": None}, "`momentum` must be"),
        ({"threshold": float("nan")}, "`threshold` must be"),
        ({"verbose": "yes"}, "`verbose` must be"),
        ({"monitor": "val_loss", "validation_data": (np.zeros((2, 1)), [0, 1])}, "`monitor` must be one of .*'val_f1'"),
        ({"validation_data": (np.zeros((2, 1)),)}, "`validation_data` must be .*1 entries"),
        ({"validation_data": (np.zeros((2, 1)), np.zeros(3))}, r"arrays of one length.*\[2, 3\]"),
        ({"validation_data": (np.zeros((2, 1)), [0, 3])}, "`validation_data` must hold class ids"),
        ({"validation_data": iter([1])}, "`validation_data` must be arrays .*read again"),
        ({"validation_data": 3}, "`validation_data` must be arrays .*read again"),
        ({"validation_data": tf.data.Dataset.range(3).repeat()}, "`validation_data` must be finite"),
        ({"validation_data": tf.data.Dataset.range(3)}, r"`validation_data` must yield \(x, y\)"),
        ({"validation_data": rows_of([0, 1])}, "`validation_data` must give batches.*dataset.batch"),
        ({"validation_data": rows_of(["a", "b"]).batch(2)}, "`validation_data` must give class ids.*StringLookup"),
        ({"validation_data": (np.zeros((0, 1)), np.zeros(0))}, "`validation_data` must hold at least one row"),
        ({"validation_data": ArraySampler(np.zeros(2), [0, 1])}, "`validation_data` must be arrays .*read again"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicSampling(sampler_of(), **arguments)


REFUSED = [
    ({"max_repeats": 2}, 0.0, 0.01),  # class 2 alone cannot fill an epoch
    (
        {"classes_per_batch": 2, "batch_size": 8, "target": "balanced"},
        0.5,
        0.75,
    ),  # it may have half of the rows at most
]


@pytest.mark.parametrize(("options", "too_low", "enough"), REFUSED)
def test_a_floor_that_lets_scores_ask_for_what_is_refused_is_an_error_before_training(options, too_low, enough):
    sampler = sampler_of(**options)
    with pytest.raises(ValueError, match=f"`floor` must .*class 2.*floor={too_low:g}.*{next(iter(options))}"):
        DynamicSampling(sampler, floor=too_low)
    dynamic = DynamicSampling(sampler, floor=enough, momentum=0)
    np.testing.assert_array_equal(sampler.distribution, sampler_of(**options).distribution)
    dynamic.on_epoch_end(0, {"val_f1/0": 1.0, "val_f1/1": 1.0, "val_f1/2": 0.0})
    dynamic.on_epoch_begin(1)
    assert sampler.distribution.argmax() == 2 or "max_repeats" in options


def test_new_points_of_a_class_of_one_row_are_refused_before_training():
    x, y = np.zeros((9, 1), "float32"), np.repeat([0, 1, 2], [5, 3, 1])
    sampler = ArraySampler(x, y, smote=SMOTE(), target="natural")
    with pytest.raises(ValueError, match=r"`floor` must .*class 2.*`smote`"):
        DynamicSampling(sampler)
