"""Counts, weights and target distributions against exact arithmetic, scikit-learn and the formulas of the papers."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from keras_imbalance import (
    ClassBalancedLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    StreamSampler,
    class_prior,
    class_weights,
    count_classes,
    target_distribution,
)

quick = settings(max_examples=60)
some_counts = st.lists(st.integers(1, 10**9), min_size=1, max_size=12)
LABELS = np.array([2, 0, 0, 3, 2, 2, 0, 0])
COUNTS = [4, 0, 3, 1]


def exact_effective_number(counts, beta):
    """(1 - b) / (1 - b^n) rescaled to sum C, in 80 digits."""
    with localcontext() as context:
        context.prec = 80
        base = Decimal(beta)
        weights = [(1 - base) / (1 - base**n) for n in counts]
        return [float(w * len(counts) / sum(weights)) for w in weights]


@quick
@given(some_counts)
def test_inverse_frequency_is_rows_over_rows_of_the_class(counts):
    expected = [float(Fraction(sum(counts), n)) for n in counts]
    np.testing.assert_allclose(class_weights(counts, scheme="inverse_frequency"), expected, rtol=1e-14)


@quick
@given(some_counts)
def test_sqrt_is_the_root_of_inverse_frequency(counts):
    expected = [float(Fraction(sum(counts), n)) ** 0.5 for n in counts]
    np.testing.assert_allclose(class_weights(counts, scheme="sqrt"), expected, rtol=1e-14)


@quick
@given(st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_balanced_equals_scikit_learn(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(class_weights(counts, scheme="balanced"), expected, rtol=1e-14)
    np.testing.assert_allclose(class_weights(count_classes(labels)), expected, rtol=1e-14)


@quick
@given(some_counts, st.sampled_from([0.5, 0.9, 0.99, 0.999, 0.9999, 1 - 1e-6, 1 - 1e-7, 1 - 1e-8, 1 - 1e-9]))
def test_effective_number_equals_exact_arithmetic(counts, beta):
    expected = exact_effective_number(counts, beta)
    np.testing.assert_allclose(class_weights(counts, scheme="effective_number", beta=beta), expected, rtol=1e-12)


def test_effective_number_at_its_ends():
    counts = [10**9, 10**6, 3]
    np.testing.assert_array_equal(class_weights(counts, scheme="effective_number", beta=0.0), np.ones(3))
    inverse = 1 / np.array(counts)
    near_one = class_weights(counts, scheme="effective_number", beta=1 - 1e-16)
    np.testing.assert_allclose(near_one, 3 * inverse / inverse.sum(), rtol=1e-6)


@quick
@given(some_counts, st.sampled_from(["inverse_frequency", "balanced", "sqrt", "effective_number"]))
def test_normalized_weights_sum_to_the_number_of_classes_in_the_same_ratio(counts, scheme):
    plain, rescaled = class_weights(counts, scheme=scheme), class_weights(counts, scheme=scheme, normalize="sum")
    assert rescaled.dtype == np.float64
    np.testing.assert_allclose(rescaled.sum(), len(counts), rtol=1e-12)
    np.testing.assert_allclose(rescaled / rescaled[0], plain / plain[0], rtol=1e-12)


@quick
@given(some_counts, st.randoms())
def test_permuting_classes_permutes_weights_and_shares(counts, random):
    order = list(range(len(counts)))
    random.shuffle(order)
    counts = np.array(counts)
    for scheme in ("inverse_frequency", "balanced", "sqrt", "effective_number"):
        np.testing.assert_allclose(
            class_weights(counts[order], scheme=scheme), class_weights(counts, scheme=scheme)[order], rtol=1e-12
        )
    for target in ("natural", "balanced", "sqrt", 0.3):
        expected = target_distribution(counts, target)[order]
        np.testing.assert_allclose(target_distribution(counts[order], target), expected, rtol=1e-12)


def test_prior_and_named_targets():
    np.testing.assert_allclose(class_prior([75, 20, 5]), [0.75, 0.2, 0.05], rtol=1e-15)
    np.testing.assert_allclose(target_distribution([900, 100], "natural"), [0.9, 0.1])
    np.testing.assert_allclose(target_distribution([900, 100], "balanced"), [0.5, 0.5])
    np.testing.assert_allclose(target_distribution([900, 100], "sqrt"), [0.75, 0.25])
    np.testing.assert_allclose(target_distribution([0, 3, 1], "natural"), [0, 0.75, 0.25])


@quick
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.floats(0, 3))
def test_q_sampling_is_the_formula(counts, q):
    powers = np.array(counts, dtype=np.float64) ** q
    np.testing.assert_allclose(target_distribution(counts, q), powers / powers.sum(), rtol=1e-9)


def test_q_sampling_joins_the_named_targets_and_does_not_overflow():
    counts = [10**9, 10**5, 7]
    for q, name in ((1, "natural"), (0.5, "sqrt"), (0, "balanced")):
        np.testing.assert_allclose(target_distribution(counts, q), target_distribution(counts, name), rtol=1e-12)
    np.testing.assert_allclose(target_distribution([10**9, 10], 300.0), [1, 0], atol=1e-300)
    np.testing.assert_allclose(target_distribution([4, 0, 4], 0.0), [0.5, 0, 0.5])


def test_mapping_gives_the_rest_in_proportion_to_the_counts():
    np.testing.assert_allclose(target_distribution([900, 90, 10], {2: 0.34}), [0.6, 0.06, 0.34])
    named = target_distribution([900, 90, 10], {"rare": 0.34}, class_names=["common", "some", "rare"])
    np.testing.assert_allclose(named, [0.6, 0.06, 0.34])
    np.testing.assert_allclose(target_distribution([0.09, 0.01, 0.9], {2: 0.5}), [0.45, 0.05, 0.5])
    np.testing.assert_allclose(target_distribution([5, 0, 5], {0: 0.25, 1: 0.0}), [0.25, 0, 0.75])
    np.testing.assert_allclose(target_distribution([5, 7], {0: 0.2, 1: 0.8}), [0.2, 0.8])


def test_array_target_is_rescaled():
    np.testing.assert_allclose(target_distribution([5, 5, 5], [2, 1, 1]), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(target_distribution([5, 0, 5], np.array([0.3, 0, 0.7])), [0.3, 0, 0.7])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32, np.int8])
def test_counts_of_every_label_form(dtype):
    ids = LABELS.astype(dtype)
    for labels in (ids, ids[:, None], np.eye(4, dtype=dtype)[LABELS], ids.tolist()):
        counts = count_classes(labels, num_classes=4)
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, COUNTS)
    np.testing.assert_array_equal(count_classes(ids, num_classes=6), [*COUNTS, 0, 0])
    np.testing.assert_array_equal(count_classes(np.array([True, False, True])), [1, 2])


@pytest.mark.parametrize("form", ["ids", "column", "one_hot"])
@pytest.mark.parametrize("batching", ["rows", "batches", "full_batches"])
@pytest.mark.parametrize("features", ["array", "dict", "weighted"])
def test_counts_of_a_dataset(form, batching, features):
    labels = {"ids": LABELS, "column": LABELS[:, None], "one_hot": np.eye(4)[LABELS]}[form]
    x = np.zeros((8, 5))
    parts = {"array": (x, labels), "dict": ({"a": x, "b": x}, labels), "weighted": (x, labels, np.ones(8))}[features]
    dataset = tf.data.Dataset.from_tensor_slices(parts)
    if batching == "batches":
        dataset = dataset.batch(3)
    elif batching == "full_batches":
        dataset = dataset.batch(2, drop_remainder=True)
    np.testing.assert_array_equal(count_classes(dataset, num_classes=4), COUNTS)
    np.testing.assert_array_equal(count_classes(dataset), COUNTS)


def test_counts_of_a_dataset_grow_with_the_largest_id():
    dataset = tf.data.Dataset.from_tensor_slices((np.zeros(4), [0, 1, 0, 5])).batch(2)
    np.testing.assert_array_equal(count_classes(dataset), [2, 1, 0, 0, 0, 1])


def test_an_infinite_dataset_is_refused():
    dataset = tf.data.Dataset.from_tensor_slices((np.zeros(4), [0, 1, 0, 1])).batch(2).repeat()
    with pytest.raises(ValueError, match="infinite"):
        count_classes(dataset)


def test_a_dataset_without_rows_or_labels_is_refused():
    empty = tf.data.Dataset.from_tensor_slices((np.zeros((0, 2)), np.zeros(0, int))).batch(2)
    with pytest.raises(ValueError, match=r"`labels` must hold at least one"):
        count_classes(empty)
    with pytest.raises(ValueError, match="`labels` must be a dataset that yields"):
        count_classes(tf.data.Dataset.range(3))


class Series:
    """What a pandas Series looks like, without pandas: values that know which class they are of."""

    def __init__(self, values, index):
        self.values, self.index = list(values), list(index)

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def to_numpy(self):
        return np.array(self.values)

    def to_dict(self):
        return dict(zip(self.index, self.values, strict=True))


@pytest.mark.parametrize("index", [[2, 0, 1], [1, 2, 3], ["ok", "worn", "broken"]])
def test_counts_that_come_in_no_order_of_classes_are_refused(index):
    """As `labels.value_counts()` gives them: the largest first, whichever class that is."""
    counts = Series([900, 90, 10], index)
    for call in (class_weights, class_prior, lambda counts: target_distribution(counts, "sqrt")):
        with pytest.raises(
            ValueError, match=r"`class_counts` must come in the order of the class ids.*class_counts\.sort_index\(\)"
        ):
            call(counts)
    for loss in (ClassBalancedLoss, LogitAdjustedLoss, LDAMLoss):
        with pytest.raises(ValueError, match="`class_counts` must come in the order of the class ids"):
            loss(counts)
    with pytest.raises(ValueError, match="`alpha` must come in the order of the class ids"):
        FocalLoss(alpha=counts)


def test_counts_in_the_order_of_classes_are_taken_as_an_array():
    counts = Series([900, 90, 10], range(3))
    np.testing.assert_array_equal(class_weights(counts), class_weights([900, 90, 10]))
    np.testing.assert_array_equal(target_distribution(counts, "sqrt"), target_distribution([900, 90, 10], "sqrt"))
    assert ClassBalancedLoss(counts).get_config() == ClassBalancedLoss([900, 90, 10]).get_config()


@pytest.mark.parametrize("index", [[2, 0], ["broken", "ok"]])
def test_a_target_with_an_index_says_which_class_a_share_is_of(index):
    shares = target_distribution([900, 90, 10], Series([0.34, 0.5], index), class_names=["ok", "worn", "broken"])
    np.testing.assert_allclose(shares, [0.5, 0.16, 0.34])


def test_a_stream_keeps_a_target_with_an_index_as_a_mapping():
    """What it leaves out follows the counts once they are known."""
    rows = tf.data.Dataset.from_tensor_slices((np.zeros(100), np.repeat([0, 1, 2], [60, 20, 20])))
    samplers = [
        StreamSampler(rows.shuffle(100, seed=0), batch_size=10, num_classes=3, target=target, seed=0)
        for target in (Series([0.5], [2]), {2: 0.5})
    ]
    for sampler in samplers:
        assert len(list(sampler.dataset())) == 10
        np.testing.assert_allclose(sampler.distribution, [0.375, 0.125, 0.5])
    np.testing.assert_array_equal(samplers[0].exposure, samplers[1].exposure)


MASKS = np.array([[[0, 2, 255], [2, 2, 1]], [[255, 0, 0], [1, 255, 2]]])  # two masks of 2 x 3 pixels


@pytest.mark.parametrize("ignored", [255, 2, -1])
def test_counts_are_those_of_the_positions_without_the_ignored(ignored):
    """Of masks, of one-hot masks on any axis, of datasets of rows, of batches, and of what Python reads in passes."""
    masks = np.where(MASKS == 255, ignored, MASKS)
    wanted = np.bincount(masks[masks != ignored], minlength=3)
    filler = masks == ignored
    one_hot = np.where(filler[..., None], 0 if ignored != 2 else np.eye(3)[2], np.eye(3)[np.where(filler, 0, masks)])
    rows = tf.data.Dataset.from_tensor_slices((np.zeros(2), masks))
    for labels in (masks, masks[..., None], rows, rows.batch(2), rows.batch(1)):
        np.testing.assert_array_equal(count_classes(labels, num_classes=3, ignore_class=ignored), wanted)
    np.testing.assert_array_equal(count_classes(one_hot, ignore_class=ignored), wanted)
    first = np.moveaxis(one_hot, -1, 1)
    np.testing.assert_array_equal(count_classes(first, axis=1, ignore_class=ignored), wanted)
    batches = tf.data.Dataset.from_tensor_slices((np.zeros(2), first)).batch(2)
    np.testing.assert_array_equal(count_classes(batches, axis=1, ignore_class=ignored), wanted)
    with pytest.raises(ValueError, match="`labels` must hold at least one label"):
        count_classes(np.full((2, 3), ignored), ignore_class=ignored)


def test_an_ignored_label_of_several_is_in_neither_count():
    labels = np.array([[1, 0, -1], [0, -1, 1], [1, 1, 1]])
    wanted = [[(column == value).sum() for value in (0, 1)] for column in labels.T]
    dataset = tf.data.Dataset.from_tensor_slices((np.zeros(3), labels)).batch(2)
    for source in (labels, dataset):
        found = count_classes(source, multi_label=True, ignore_class=-1)
        np.testing.assert_array_equal(found, wanted)
    moved = count_classes(labels.T, multi_label=True, ignore_class=-1, axis=0)
    np.testing.assert_array_equal(moved, wanted)


@pytest.mark.parametrize("scheme", ["balanced", "inverse_frequency", "sqrt", "effective_number"])
def test_weights_are_those_of_the_classes_without_the_ignored(scheme):
    counts = [40, 7, 300, 25]
    for normalize in (None, "sum"):
        for ignored in range(4):
            options = {"scheme": scheme, "normalize": normalize}
            found = class_weights(counts, ignore_class=ignored, **options)
            assert found[ignored] == 0
            np.testing.assert_allclose(np.delete(found, ignored), class_weights(np.delete(counts, ignored), **options))
        for filler in (255, -1, None):
            np.testing.assert_array_equal(
                class_weights(counts, ignore_class=filler, **options), class_weights(counts, **options)
            )
    np.testing.assert_array_equal(class_weights([40, 0, 40], ignore_class=1), [1, 0, 1])
