"""The target of a sampler: set as a wish, read back as it was set, kept by a state; what was really drawn."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_imbalance import ArraySampler, StreamSampler, target_distribution
from keras_imbalance._core import Sampler

COUNTS = np.array([60, 25, 5])
NAMES = ["ok", "worn", "broken"]
Y = np.random.default_rng(0).permutation(np.repeat(np.arange(3), COUNTS))
X = np.arange(90.0, dtype="float32")[:, None]


def arrays(**arguments):
    return ArraySampler(X, Y, batch_size=9, class_names=NAMES, seed=0, **arguments)


def stream(**arguments):
    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    return StreamSampler(rows, batch_size=9, class_counts=COUNTS, class_names=NAMES, seed=0, **arguments)


BOTH = pytest.mark.parametrize("make", [arrays, stream])
TARGETS = ["natural", "balanced", "sqrt", 0.25, [0.2, 0.2, 0.6], {"broken": 0.5}, {2: 0.4, 0: 0.1}, [1, 2, 3]]


@BOTH
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_reads_back_as_it_was_set_and_goes_through_a_state_as_json(make, target):
    sampler = make()
    sampler.target = target
    assert sampler.target == target
    expected = target_distribution(COUNTS, target, class_names=NAMES)
    np.testing.assert_array_equal(sampler.distribution, expected)
    resumed = make()
    resumed.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    np.testing.assert_array_equal(resumed.distribution, expected)
    assert resumed.state_dict() == sampler.state_dict()


@BOTH
def test_a_target_as_array_or_series_is_kept_as_it_is(make):
    sampler = make()
    shares = np.array([0.5, 0.25, 0.25])
    sampler.target = shares
    shares[:] = 1 / 3
    np.testing.assert_array_equal(sampler.distribution, [0.5, 0.25, 0.25])
    sampler.target[:] = 1 / 3
    np.testing.assert_array_equal(sampler.target, [0.5, 0.25, 0.25])
    sampler.target = pd.Series([0.5], index=["broken"])
    assert sampler.state_dict()["target"] == {"broken": 0.5}
    assert sampler.target.to_dict() == {"broken": 0.5}


@BOTH
def test_the_distribution_is_only_read(make):
    sampler = make()
    assert isinstance(sampler, Sampler)
    with pytest.raises(AttributeError):
        sampler.distribution = [0.2, 0.2, 0.6]
    sampler.distribution[:] = 0
    np.testing.assert_allclose(sampler.distribution, 1 / 3)


@BOTH
def test_the_drawn_prior_is_what_the_last_epoch_drew(make):
    sampler = make()
    with pytest.raises(ValueError, match=r"`drawn_prior` must be read after an epoch.*`distribution`"):
        _ = sampler.drawn_prior
    for target in ("balanced", [0.5, 0.5, 0], "natural"):
        sampler.target = target
        labels = np.concatenate([y.numpy() for _, y in sampler.dataset()])
        sampler.target = [0, 0, 1]  # of the next epoch, and so without effect
        np.testing.assert_allclose(sampler.drawn_prior, np.bincount(labels, minlength=3) / len(labels), rtol=1e-15)
    resumed = make()
    resumed.load_state_dict(sampler.state_dict())
    np.testing.assert_array_equal(resumed.drawn_prior, sampler.drawn_prior)


def test_an_epoch_without_a_row_has_no_prior():
    sampler = arrays()
    list(sampler.dataset())
    empty = {**sampler.state_dict(), "history": [[30, 30, 30], [0, 0, 0]]}
    sampler.load_state_dict(empty)
    with pytest.raises(ValueError, match=r"`drawn_prior` must.*drew no row"):
        _ = sampler.drawn_prior
