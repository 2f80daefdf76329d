"""Which classes and rows an epoch draws: exact shares, cycles that cover, and randomness that is random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from keras_imbalance.sampling.draws import Cycles, batch_classes, batch_starts, rounded

quick = settings(max_examples=100)
some_shares = (
    st.lists(st.one_of(st.just(0), st.integers(1, 1000)), min_size=1, max_size=9)
    .filter(any)
    .map(lambda parts: np.array(parts) / sum(parts))
)


def drawn_classes(shares, exact=True, num_batches=7, batch_size=10, seed=0):
    """The classes of a whole epoch of `num_batches` batches."""
    rng, shares = np.random.default_rng(seed), np.asarray(shares)
    order = rng.permutation(np.flatnonzero(shares))
    starts = batch_starts(0, num_batches, num_batches, float(rng.random()))
    return batch_classes(shares, order, starts, batch_size, rng, exact)


@quick
@given(some_shares, st.integers(1, 70), st.integers(1, 40), st.integers(0, 10**6))
def test_every_class_is_within_one_row_of_its_share_in_every_batch_and_in_all(shares, batch_size, num_batches, seed):
    classes = drawn_classes(shares, True, num_batches, batch_size, seed)
    assert classes.shape == (num_batches, batch_size)
    totals = np.bincount(classes.reshape(-1), minlength=len(shares))
    assert (np.abs(totals - classes.size * shares) < 1 + 1e-6).all()
    for batch in classes:
        counts = np.bincount(batch, minlength=len(shares))
        assert (np.abs(counts - batch_size * shares) < 1 + 1e-9).all()
        assert (counts[shares == 0] == 0).all()


@quick
@given(some_shares, st.integers(1, 20), st.integers(0, 10**6))
def test_a_share_of_nothing_is_never_drawn_row_by_row_either(shares, batch_size, seed):
    classes = drawn_classes(shares, False, 5, batch_size, seed)
    assert (shares[classes] > 0).all()


@quick
@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_fewer_places_than_classes_still_reach_every_class(num_classes, batch_size, seed):
    shares = np.full(num_classes, 1 / num_classes)
    totals = np.bincount(drawn_classes(shares, True, 120, batch_size, seed).reshape(-1), minlength=num_classes)
    wanted = 120 * batch_size / num_classes
    assert (np.abs(totals - wanted) < 0.5 * wanted).all()


@pytest.mark.parametrize("offset", [0.0, 0.3, 1 - 1e-12])
@pytest.mark.parametrize("number", [1, 2, 30, 997])
def test_the_starts_of_an_epoch_are_equally_spaced_however_they_are_cut(number, offset):
    starts = batch_starts(0, number, number, offset)
    np.testing.assert_allclose(np.sort(starts), (np.arange(number) + offset) / number, atol=1e-6)
    cut = number // 3
    np.testing.assert_array_equal(starts[cut:], batch_starts(cut, number - cut, number, offset))
    # Any run of them is spread out as well.
    run = np.sort(starts[: number // 2 + 1])
    assert np.diff(run, prepend=run[-1] - 1).max() < 4.5 / len(run)


@quick
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 30), st.integers(0, 10**6))
def test_shares_of_whole_rows_are_exact_in_the_epoch(parts, num_batches, seed):
    """As many batches of sum(parts) rows as wanted: each class has a whole number in each batch and in all."""
    classes = drawn_classes(np.array(parts) / sum(parts), True, num_batches, sum(parts), seed)
    for batch in classes:
        np.testing.assert_array_equal(np.bincount(batch, minlength=len(parts)), parts)


@pytest.mark.parametrize("exact", [True, False])
def test_shares_are_hit(exact):
    shares = np.array([0.6, 0.3, 0.07, 0.03])
    classes = drawn_classes(shares, exact, 400, 50, 1)
    counts = np.bincount(classes.reshape(-1), minlength=4)
    p_value = stats.chisquare(counts, shares * classes.size).pvalue
    assert p_value > 1e-4


def test_row_by_row_draws_vary_as_a_binomial_does():
    classes = drawn_classes([0.7, 0.3], False, 2000, 40, 2)
    of_class_one = (classes == 1).sum(axis=1)
    assert abs(of_class_one.var() / (40 * 0.7 * 0.3) - 1) < 0.15
    assert (drawn_classes([0.7, 0.3], True, 2000, 40, 2) == 1).sum(axis=1).var() < 0.3


def test_classes_stand_in_shuffled_places():
    """Each half of the batch holds each class as often as the other half, and neighbours do not depend on each other."""
    classes = drawn_classes([0.5, 0.5], True, 3000, 8, 4)
    of_each_place = (classes == 1).sum(axis=0)
    assert stats.chisquare(of_each_place).pvalue > 1e-4
    same = (classes[:, 1:] == classes[:, :-1]).mean()
    assert abs(same - 3 / 7) < 0.02


@pytest.mark.parametrize("parts", [2, 4, 8])
@quick
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.integers(1, 4), st.integers(0, 10**6))
def test_every_replica_has_each_class_to_within_a_row(parts, weights, eighths, seed):
    shares = np.array(weights) / sum(weights)
    classes = drawn_classes(shares, True, 6, 64 * eighths, seed)
    for part in classes.reshape(6 * parts, -1):
        counts = np.bincount(part, minlength=len(shares))
        assert (np.abs(counts - part.size * shares) < 1 + 1e-6).all()


@quick
@given(st.lists(st.floats(-0.9, 5), min_size=1, max_size=8), st.integers(0, 10**6))
def test_rounded_is_the_number_below_or_above(wanted, seed):
    wanted = np.array(wanted)
    total = max(int(np.ceil(wanted.sum())), 0)
    wanted = wanted + (total - wanted.sum()) / len(wanted)
    counts = rounded(wanted, total, np.random.default_rng(seed), wanted)
    assert counts.sum() == total
    assert (counts >= 0).all()
    assert (counts <= np.maximum(np.ceil(wanted + 1e-6), 0)).all()
    if (wanted >= 0).all():
        assert (np.abs(counts - wanted) < 1 + 1e-6).all()


@st.composite
def requests(draw):
    """Rows of some classes, and batches of places that ask for them."""
    counts = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any))
    full = [k for k, n in enumerate(counts) if n]
    batches = draw(st.lists(st.lists(st.sampled_from(full), min_size=1, max_size=40), min_size=1, max_size=6))
    return np.array(counts), [np.array(batch) for batch in batches]


@quick
@given(requests(), st.integers(0, 10**6))
def test_within_a_class_every_row_comes_once_before_any_comes_twice(request, seed):
    counts, batches = request
    ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    cycles = Cycles(ids, counts, seed)
    drawn = np.zeros(len(counts), dtype=np.int64)
    seen = [[] for _ in counts]
    for batch in batches:
        rows, repeats = cycles.draw(batch, drawn)
        np.testing.assert_array_equal(ids[rows], batch)
        drawn = drawn + np.bincount(batch, minlength=len(counts))
        for row, times, owner in zip(rows, repeats, batch, strict=True):
            assert times == seen[owner].count(row)
            seen[owner].append(row)
    for owner, rows in enumerate(seen):
        number = counts[owner]
        for start in range(0, len(rows), max(number, 1)):
            one_pass = rows[start : start + number]
            assert len(set(one_pass)) == len(one_pass)


@quick
@given(requests(), st.integers(0, 10**6))
def test_draws_depend_on_what_was_drawn_and_on_nothing_else(request, seed):
    """One request after another, all at once, and by an object that knows nothing of the ones before: the same rows."""
    counts, batches = request
    ids = np.repeat(np.arange(len(counts)), counts)
    kept = Cycles(ids, counts, seed)
    drawn = np.zeros(len(counts), dtype=np.int64)
    one_by_one = []
    for batch in batches:
        one_by_one.append(kept.draw(batch, drawn)[0])
        np.testing.assert_array_equal(Cycles(ids, counts, seed).draw(batch, drawn)[0], one_by_one[-1])
        drawn = drawn + np.bincount(batch, minlength=len(counts))
    together = Cycles(ids, counts, seed).draw(np.concatenate(batches), np.zeros(len(counts), dtype=np.int64))[0]
    np.testing.assert_array_equal(together, np.concatenate(one_by_one))


def test_cycles_are_uniform_permutations():
    """Over many cycles of 4 rows each of the 24 orders comes equally often, and seeds and cycles differ."""
    counts = np.array([3, 4])
    cycles = Cycles(np.repeat([0, 1], counts), counts, seed=5)
    orders = cycles.draw(np.ones(4 * 4800, dtype=int), np.zeros(2, dtype=np.int64))[0].reshape(-1, 4)
    _, number = np.unique(orders, axis=0, return_counts=True)
    assert len(number) == 24
    assert stats.chisquare(number).pvalue > 1e-4


def test_successive_cycles_and_seeds_and_classes_differ():
    counts = np.array([50, 50])
    ids = np.repeat([0, 1], counts)
    both = np.repeat([0, 1], [100, 50])
    first = Cycles(ids, counts, seed=1).draw(both, np.zeros(2, dtype=np.int64))[0]
    second = Cycles(ids, counts, seed=2).draw(both, np.zeros(2, dtype=np.int64))[0]
    orders = [first[:50], first[50:100], first[100:] - 50, second[:50], second[50:100], second[100:] - 50]
    for i, one in enumerate(orders):
        for other in orders[:i]:
            assert (one == other).sum() < 12
