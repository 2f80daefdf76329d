"""ClassSampler: row numbers of exact batches that cover, limits on repeats, several classes a batch, shards, its table."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import ArraySampler, ClassSampler, LogitAdjustedLoss, target_distribution

quick = settings(max_examples=60)
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 25, 5]))
class_counts = st.lists(st.integers(1, 30), min_size=2, max_size=5)


def labels_of(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@quick
@given(class_counts, st.integers(1, 12), st.integers(1, 60), st.floats(0, 1.5), st.integers(0, 999))
def test_every_batch_and_every_epoch_have_the_shares_and_every_row_comes_before_any_comes_twice(
    counts, batch_size, rows, q, seed
):
    labels = labels_of(counts, seed)
    sampler = ClassSampler(labels, batch_size=batch_size, target=q, epoch_size=rows, seed=seed)
    shares, seen = target_distribution(counts, q), [[] for _ in counts]
    for _ in range(3):
        batches = list(sampler)
        assert [len(batch) for batch in batches] == [batch_size] * (rows // batch_size) + [rows % batch_size] * (
            rows % batch_size > 0
        )
        assert len(batches) == len(sampler)
        for batch in batches[: rows // batch_size]:
            drawn = np.bincount(labels[batch], minlength=len(counts))
            assert (np.abs(drawn - batch_size * shares) < 1 + 1e-9).all()
        epoch = np.concatenate(batches)
        np.testing.assert_array_equal(sampler.history[-1], np.bincount(labels[epoch], minlength=len(counts)))
        assert (np.abs(sampler.history[-1] - rows * shares) < 2).all()
        for row in epoch:
            seen[labels[row]].append(row)
    for number, drawn in zip(counts, seen, strict=True):
        for start in range(0, len(drawn), number):
            assert len(set(drawn[start : start + number])) == len(drawn[start : start + number])


def test_it_draws_what_the_array_sampler_draws():
    sampler, arrays = (
        ClassSampler(LABELS, batch_size=16, seed=3),
        ArraySampler(np.arange(90), LABELS, batch_size=16, seed=3),
    )
    for _ in range(2):
        for rows, (x, y) in zip(sampler, arrays.dataset(), strict=True):
            np.testing.assert_array_equal(rows, x)
            np.testing.assert_array_equal(LABELS[rows], y)
    assert sampler.state_dict() == arrays.state_dict()


@quick
@given(class_counts, st.floats(0, 1), st.floats(0.6, 6), st.integers(10, 80))
def test_no_class_repeats_its_rows_more_often_than_allowed_and_the_others_keep_their_proportions(
    counts, q, most_repeats, rows
):
    if most_repeats * sum(counts) < rows:
        with pytest.raises(ValueError, match=r"`max_repeats` must let an epoch of .* rows be filled"):
            ClassSampler(labels_of(counts), target=q, max_repeats=most_repeats, epoch_size=rows)
        return
    sampler = ClassSampler(labels_of(counts), target=q, max_repeats=most_repeats, epoch_size=rows, batch_size=8, seed=0)
    wanted, got = target_distribution(counts, q), sampler.distribution
    most = most_repeats * np.array(counts) / rows
    assert got.sum() == pytest.approx(1)
    assert (got <= most + 1e-9).all()
    free = got < most - 1e-9
    # Those below their limit have one common factor; those at it would have had more with that factor.
    factors = (got / wanted)[free]
    if free.any():
        np.testing.assert_allclose(factors, factors[0], rtol=1e-6)
        assert (wanted[~free] * factors[0] >= most[~free] - 1e-9).all()
    list(sampler)
    assert (sampler.history[-1] <= most_repeats * np.array(counts) + 1).all()


def test_a_limit_holds_for_later_targets_too():
    sampler = ClassSampler(LABELS, max_repeats=2, target="natural", seed=0)
    np.testing.assert_allclose(sampler.distribution, [60 / 90, 25 / 90, 5 / 90])
    sampler.target = "balanced"
    np.testing.assert_allclose(sampler.distribution, [4 / 9, 4 / 9, 1 / 9])  # 10 rows of 5, the rest in equal parts
    with pytest.raises(ValueError, match=r"`max_repeats` must .*Received: max_repeats=2.*epoch_size=10"):
        sampler.target = {2: 1.0}
    assert sampler.target == "balanced"


@quick
@given(st.integers(2, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 999))
def test_every_batch_holds_as_many_rows_of_each_of_so_many_classes(num_classes, classes, rows, seed):
    classes = min(classes, num_classes)
    labels = labels_of([12] * num_classes, seed)
    sampler = ClassSampler(
        labels, batch_size=classes * rows, classes_per_batch=classes, epoch_size=40 * classes * rows, seed=seed
    )
    for _ in range(2):
        of_class = np.zeros(num_classes, dtype=int)
        for batch in sampler:
            found, number = np.unique(labels[batch], return_counts=True)
            assert len(found) == classes
            assert (number == rows).all()
            of_class[found] += 1
        assert (np.abs(of_class - 40 * classes / num_classes) < 2).all()


def test_every_two_classes_meet_in_a_batch():
    labels = labels_of([20] * 8)
    sampler = ClassSampler(labels, batch_size=8, classes_per_batch=2, epoch_size=8 * 400, seed=0)
    together = np.zeros((8, 8), dtype=int)
    for batch in sampler:
        first, second = np.unique(labels[batch])
        together[first, second] += 1
    pairs = together[np.triu_indices(8, 1)]
    assert pairs.min() > 0.5 * 400 / 28
    assert pairs.max() < 2 * 400 / 28


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes_per_batch": 3}, "`classes_per_batch` must divide `batch_size`"),
        ({"classes_per_batch": 2, "exact": False}, "`exact` must be True"),
        ({"classes_per_batch": 2, "target": "natural"}, r"`target` must give no class more than 1 / 2.*'0'"),
        ({"classes_per_batch": 0}, "`classes_per_batch` must be None or a whole number"),
        ({"max_repeats": 0}, "`max_repeats` must be None or a finite number"),
        ({"num_shards": 3, "seed": 0}, "`num_shards` must divide `batch_size`"),
        ({"shard_index": 1}, "`shard_index` must be a whole number in"),
        ({"epoch_size": "over"}, "`epoch_size` must be one of"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_before_any_row(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassSampler(LABELS, batch_size=20, **arguments)


@pytest.mark.parametrize("num_shards", [2, 4])
def test_the_shards_of_every_batch_are_together_the_batch(num_shards):
    def sampler(**arguments):
        return ClassSampler(LABELS, batch_size=16, epoch_size=88, seed=1, **arguments)

    whole = sampler()
    shards = [sampler(num_shards=num_shards, shard_index=i) for i in range(num_shards)]
    for _ in range(2):
        for batch, *parts in zip(whole, *shards, strict=True):
            np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(batch))
            drawn = np.array([np.bincount(LABELS[part], minlength=3) for part in parts])
            assert (np.ptp(drawn, axis=0) <= 1).all()
    assert all(shard.state_dict() == whole.state_dict() for shard in shards)


def test_a_state_goes_on_with_the_rows_that_would_have_come():
    sampler = ClassSampler(LABELS, batch_size=7, seed=5)
    list(sampler)
    state = json.loads(json.dumps(sampler.state_dict()))
    rest = [np.concatenate(list(sampler)) for _ in range(2)]
    resumed = ClassSampler(LABELS, batch_size=7, seed=5)
    resumed.load_state_dict(state)
    for expected in rest:
        np.testing.assert_array_equal(np.concatenate(list(resumed)), expected)
    np.testing.assert_array_equal(resumed.history, sampler.history)
    assert len(resumed.history) == 3


def test_a_seed_of_any_size_is_taken():
    seeds = [2**64 + 5, 2**128 - 1]  # secrets.randbits(128), as NumPy advises
    drawn = [[np.concatenate(list(ClassSampler(LABELS, seed=seed))) for _ in range(2)] for seed in seeds]
    for first, again in drawn:
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(drawn[0][0], drawn[1][0])


def test_a_pickled_sampler_draws_what_the_original_draws():
    sampler = ClassSampler(LABELS, batch_size=7, seed=5)
    loss = LogitAdjustedLoss(sampler)
    list(sampler)
    copied, its_loss = pickle.loads(pickle.dumps((sampler, loss)))
    np.testing.assert_array_equal(np.concatenate(list(copied)), np.concatenate(list(sampler)))
    assert len(copied.history) == 2
    copied.target = "natural"
    with pytest.raises(ValueError, match="`target` must give the shares that the loss is adjusted to"):
        list(copied)
    assert list(copied.matched_losses) == [its_loss]
    assert list(sampler.matched_losses) == [loss]
    assert len(list(sampler)) == len(sampler)


def test_iterations_that_overlap_each_have_their_epoch():
    sampler = ClassSampler(LABELS, batch_size=10, seed=0)
    outlived = iter(sampler)
    first = [next(outlived)]
    for _ in range(40):
        list(sampler)
    rest = [*first, *outlived]
    assert sum(map(len, rest)) == 90
    assert len(sampler.history) == 40  # of two plans of one epoch the first that counts is the epoch
    both = list(zip(sampler, sampler, strict=True))
    assert len(both) == 9


def test_what_keras_shows_of_a_sampler_says_what_it_is_for():
    assert "batch_sampler of a DataLoader" in repr(ClassSampler(LABELS))
    sampler = ArraySampler(np.arange(90), LABELS)
    assert ".dataset() to fit" in repr(sampler)
    assert callable(sampler.dataset)


def test_names_as_labels():
    names = np.array(["many", "some", "few"])[LABELS]
    sampler = ClassSampler(np.array(LABELS), class_names=["many", "some", "few"], target={"few": 0.6}, seed=0)
    assert sampler.distribution[2] == pytest.approx(0.6)
    assert (names[next(iter(sampler))] == "few").sum() in (19, 20)


def test_the_table_says_what_is_to_be_drawn():
    sampler = ClassSampler(LABELS, class_names=["many", "some", "few"], epoch_size=180, seed=0)
    lines = sampler.summary().splitlines()
    assert lines[0].split() == ["class", "rows", "share", "drawn", "repeats"]
    assert lines[3].split() == ["few", "5", "5.6%", "33.3%", "12.00"]
    assert len({len(line) for line in lines}) == 1
    many = ClassSampler(labels_of(np.arange(1, 61)), seed=0).summary().splitlines()
    assert len(many) == 32
    assert many[1].split()[:2] == ["59", "60"]
    assert many[-1].split()[:2] == ["0", "1"]
