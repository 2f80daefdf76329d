"""Which rows each member is trained on."""

from collections import Counter

import numpy as np
import pytest
from ensembles import labelled
from hypothesis import given
from hypothesis import strategies as st

from keras_imbalance import ClassSampler, target_distribution
from keras_imbalance.estimators import member_rows
from keras_imbalance.estimators.rows import deal, rows_of_classes


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_rows_are_dealt_evenly_and_so_they_are_in_a_hand(count, hands, data):
    size = data.draw(st.integers(1, 3 * count))
    rows = np.arange(100, 100 + count)
    dealt = deal(rows, hands, size, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert dealt.shape == (hands, size)
    for i, hand in enumerate(dealt):
        in_hand = Counter(hand.tolist())
        assert max(in_hand.values()) - min(in_hand[row] for row in rows.tolist()) <= 1
        so_far = Counter(dealt[: i + 1].reshape(-1).tolist())
        times = [so_far[row] for row in rows.tolist()]
        assert sum(times) == (i + 1) * size
        assert max(times) - min(times) <= 1


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 8), st.integers(0, 99))
def test_members_hold_the_whole_minority_and_together_all_rows(counts, members, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 2, counts))
    size = min(counts)
    for sampling in ("undersample", "bootstrap"):
        rows = member_rows(classes, num_members=members, sampling=sampling, seed=seed)
        np.testing.assert_array_equal(rows, member_rows(classes, num_members=members, sampling=sampling, seed=seed))
        for own in rows:
            assert set(np.unique(classes[own], return_counts=True)[1]) == {size}
    rows = member_rows(classes, num_members=members, seed=seed)
    for i in np.flatnonzero(np.array(counts) == size):
        np.testing.assert_array_equal(rows[classes[rows] == 2 * i], np.tile(np.flatnonzero(classes == 2 * i), members))
    assert all(len(set(own)) == len(own) for own in rows.tolist())
    for i, count in enumerate(counts):
        used = np.unique(rows[classes[rows] == 2 * i])
        assert len(used) == min(count, members * size)


def test_member_counts_are_those_of_imbalanced_learn():
    from imblearn.ensemble import BalancedBaggingClassifier
    from sklearn.dummy import DummyClassifier

    seen = []

    class Recorder(DummyClassifier):
        def fit(self, x, y):
            seen.append(np.bincount(y, minlength=3).tolist())
            return super().fit(x, y)

    x, y = labelled()
    BalancedBaggingClassifier(Recorder(), n_estimators=4, bootstrap=False, random_state=0).fit(x, y)
    assert [np.bincount(y[own]).tolist() for own in member_rows(y, num_members=4)] == seen


@given(st.lists(st.integers(1, 30), min_size=2, max_size=4), st.integers(1, 6), st.floats(1, 40), st.integers(0, 99))
def test_of_other_classes_members_hold_the_ratio_or_all(counts, members, ratio, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    expected = np.minimum(counts, round(ratio * min(counts)))
    for sampling in ("undersample", "bootstrap"):
        rows = member_rows(classes, num_members=members, sampling=sampling, seed=seed, ratio=ratio)
        for own in rows:
            np.testing.assert_array_equal(np.bincount(classes[own]), expected)
        if sampling == "undersample":
            for i in np.flatnonzero(counts == expected):
                np.testing.assert_array_equal(rows[classes[rows] == i], np.tile(np.flatnonzero(classes == i), members))
            assert all(len(set(own)) == len(own) for own in rows.tolist())
            used = [len(np.unique(rows[classes[rows] == i])) for i in range(len(counts))]
            np.testing.assert_array_equal(used, np.minimum(counts, members * expected))


@pytest.mark.parametrize("ratio", [2, 5, 100])
def test_the_ratio_is_that_of_imbalanced_learn(ratio):
    from imblearn.under_sampling import RandomUnderSampler

    x, y = labelled((300, 12))
    share = max(1 / ratio, 12 / 300)  # theirs refuses more rows of the rest than there are
    _, kept = RandomUnderSampler(sampling_strategy=share, random_state=0).fit_resample(x, y)
    for own in member_rows(y, num_members=3, ratio=ratio):
        np.testing.assert_array_equal(np.bincount(y[own]), np.bincount(kept))


@given(
    st.lists(st.integers(1, 2000), min_size=2, max_size=6),
    st.sampled_from(["balanced", "natural", "sqrt", 0.75, 0.3]),
    st.floats(1, 50),
    st.one_of(st.none(), st.floats(0.3, 5)),
)
def test_members_hold_the_shares_of_the_target_as_far_as_rows_last(counts, target, ratio, most):
    """An epoch of a sampler with the same target and the same cap has the same shares."""
    counts = np.array(counts)
    found = rows_of_classes(counts, target, ratio=ratio, max_repeats=most)
    shares = target_distribution(counts, target)
    limit = np.inf if most is None else np.maximum(np.round(most * counts), 1)
    assert (found <= limit).all()
    free = found < limit  # the other classes stand in the shares that were asked for, to rounding
    level = ratio * min(1.0, most or 1.0) * (counts / shares).min()
    np.testing.assert_allclose(found[free], np.maximum(level * shares[free], 1), atol=0.5 + 1e-9)
    assert (np.maximum(level * shares, 1)[~free] >= np.broadcast_to(limit, counts.shape)[~free] - 0.5 - 1e-6).all()


def test_a_capped_target_is_that_of_a_sampler_of_as_many_rows_an_epoch():
    labels = np.repeat(np.arange(3), [900, 90, 10])
    for target, ratio, most in (("balanced", 20.0, 3.0), (0.5, 4.0, 2.0), ("balanced", 60.0, 1.0)):
        found = rows_of_classes(np.array([900, 90, 10]), target, ratio=ratio, max_repeats=most)
        size = int(found.sum())
        sampler = ClassSampler(labels, target=target, max_repeats=most, epoch_size=size, seed=0)
        np.testing.assert_allclose(found / size, sampler.distribution, atol=1 / size)


def test_members_draw_different_rows_and_seeds_change_them():
    _, y = labelled((200, 20))
    rows = member_rows(y, num_members=5)
    assert len({tuple(own) for own in rows.tolist()}) == 5
    assert (rows != member_rows(y, num_members=5, seed=1)).any()
    repeated = member_rows(y, num_members=5, sampling="bootstrap")
    assert any(len(set(own)) < len(own) for own in repeated.tolist())
    # Drawn with replacement, the rows that no member uses are many; dealt out, there are none beyond 5 * 20 of 200.
    assert len(np.unique(repeated[y[repeated] == 0])) < len(np.unique(rows[y[rows] == 0])) == 100


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"num_members": 0}, "num_members"),
        ({"sampling": "oversample"}, "sampling"),
        ({"seed": -1}, "seed"),
        ({"ratio": 0.5}, "ratio"),
        ({"max_repeats": 0}, "max_repeats"),
        ({"target": [1, 0]}, "target"),
        ({"target": "even"}, "target"),
        ({"classes": ["a", "b"]}, "classes"),
        ({"classes": [0.5, 1]}, "classes"),
        ({"classes": []}, "classes"),
    ],
)
def test_arguments_are_checked(arguments, argument):
    with pytest.raises(ValueError, match=f"`{argument}` must"):
        member_rows(**{"classes": [0, 0, 1], **arguments})
