"""What counts as an epoch of a sampler: an iteration to its last batch, or beyond what a build probe of Keras takes."""

import time
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf
from kerases import keras_3_only
from training_steps import fitted_batches

from keras_imbalance import ArraySampler, StreamSampler
from keras_imbalance._keras import keras

Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 25, 5]))
X = np.arange(90.0, dtype="float32")[:, None]


def arrays(batch_size=6, **arguments):
    return ArraySampler(X, Y, batch_size=batch_size, seed=3, **arguments)


def stream(batch_size=6, **arguments):
    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    return StreamSampler(rows, batch_size=batch_size, class_counts=[60, 25, 5], seed=3, **arguments)


BOTH = pytest.mark.parametrize("make", [arrays, stream])


def epoch(sampler):
    return np.concatenate([y.numpy() for _, y in sampler.dataset()])


def read(sampler, batches):
    iterator = iter(sampler.dataset())
    return [next(iterator) for _ in range(batches)]


@BOTH
def test_every_iteration_to_the_end_is_an_epoch_with_random_numbers_of_its_own(make):
    sampler = make()
    orders = []
    for number in range(4):
        assert sampler.state_dict()["epoch"] == number
        orders.append(tuple(epoch(sampler)))
        assert sampler.state_dict()["epoch"] == number + 1
    assert len(set(orders)) == 4


def test_the_classes_of_an_epoch_are_drawn_by_its_number():
    """The counters of the rows drawn are left aside: the order of the classes follows the epoch alone."""
    sampler, other = arrays(target="natural"), arrays(target="natural")
    orders = [tuple(epoch(sampler)) for _ in range(3)]
    assert len(set(orders)) == 3
    other.load_state_dict({**other.state_dict(), "epoch": 2})
    assert tuple(epoch(other)) == orders[2]


@BOTH
@pytest.mark.parametrize(("scope", "probed"), [(False, 1), (True, 8)])
def test_what_a_build_probe_may_read_is_no_epoch_and_is_drawn_once_more(make, scope, probed):
    sampler, other = make(), make()
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope() if scope else nullcontext():
        read(sampler, probed)
        assert sampler.state_dict() == other.state_dict()
        np.testing.assert_array_equal(epoch(sampler), epoch(other))
        read(sampler, probed + 1)
    assert sampler.state_dict()["epoch"] == 2


@pytest.mark.parametrize("batch_size", [18, 45, 90])
def test_a_short_epoch_counts_with_its_last_batch(batch_size):
    sampler = arrays(batch_size)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        read(sampler, len(sampler) - 1)
        assert sampler.state_dict()["epoch"] == 0
        read(sampler, len(sampler))
    assert sampler.state_dict()["epoch"] == 1
    assert sampler.exposure.sum() == 90


def test_large_rows_which_are_fetched_ahead_count_alike():
    sampler = ArraySampler(
        np.zeros((40, 1 << 18), "float32"), np.repeat([0, 1], 20), batch_size=2, epoch_size=30, seed=0
    )
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        read(sampler, 5)
        assert sampler.state_dict()["epoch"] == 0
        read(sampler, 9)
    assert sampler.state_dict()["epoch"] == 1


def slowly_traced(y_true, y_pred):
    """The probe has fetched all it will by then; TensorFlow may crash where it drops an iterator that still fetches."""
    time.sleep(0.3)
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


@keras_3_only("tf-keras builds models without a probe")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")
@pytest.mark.parametrize("batch_size", [8, 45])
def test_each_epoch_of_fit_under_a_strategy_is_one_epoch(batch_size):
    """What Keras fetches ahead for its build probe is a whole short epoch, and counts; longer ones are told apart."""
    sampler, other = arrays(batch_size), arrays(batch_size)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        seen = fitted_batches(sampler, epochs=3, loss=slowly_traced)
    begun_by_the_probe = sampler.state_dict()["epoch"] - 3
    assert begun_by_the_probe == (batch_size == 45)
    for _ in range(begun_by_the_probe):
        epoch(other)
    for batches in seen:
        np.testing.assert_array_equal(np.concatenate([labels.reshape(-1) for _, labels in batches]), epoch(other))
