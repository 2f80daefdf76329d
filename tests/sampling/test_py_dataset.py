"""ArraySampler.py_dataset() in fit and in loops, on every backend; the oracle is the row numbers that ClassSampler gives."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from kerases import keras_3_only
from training_steps import fitted_batches

from keras_imbalance import SMOTE, ArraySampler, ClassSampler, ProgressiveSampling, target_distribution
from keras_imbalance._keras import keras

pytestmark = keras_3_only("has a Sequence, which is not told when an epoch begins; see test_tf_keras.py")

Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 25, 5]))
X = np.arange(90.0, dtype="float32")[:, None]
COUNTS = np.array([60, 25, 5])
# Keras looks at one batch on JAX and PyTorch as it would begin an epoch of one batch.
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
STEPS = 1 if keras.backend.backend() == "torch" else 4  # Keras takes no more a call there
WORKERS = pytest.mark.parametrize("workers", [1, 3])


def sampler_of(batch_size=12, **arguments):
    return ArraySampler(X, Y, batch_size=batch_size, seed=3, **arguments)


def planned(batch_size=12, epochs=3, **arguments):
    """Row numbers that ClassSampler gives, epoch after epoch: an epoch is a list of batches."""
    sampler = ClassSampler(Y, batch_size=batch_size, seed=3, **arguments)
    return [[rows.tolist() for rows in sampler] for _ in range(epochs)]


def numbers(batches):
    """Row numbers of batches, each with the labels of its rows."""
    batches = list(batches)
    found = [np.asarray(batch[0]).reshape(-1).astype(int).tolist() for batch in batches]
    for rows, batch in zip(found, batches, strict=True):
        np.testing.assert_array_equal(np.asarray(batch[1]).reshape(-1), Y[rows])
    return found


@WORKERS
def test_every_iteration_is_the_next_epoch_of_the_plan(workers):
    batches = sampler_of().py_dataset(workers=workers)
    assert isinstance(batches, keras.utils.PyDataset)
    assert len(batches) == 8
    assert [numbers(list(batches)) for _ in range(3)] == planned()


def test_iterations_side_by_side_have_an_epoch_each():
    sampler = sampler_of()
    batches = sampler.py_dataset()
    one, other = iter(batches), iter(batches)
    drawn = [next(one), next(one), next(other), next(one), next(other)]
    first, second = planned(epochs=2)
    assert numbers(drawn[:2] + drawn[3:4]) == first[:3]
    assert numbers([drawn[2], drawn[4]]) == second[:2]


@pytest.mark.parametrize(("batch_size", "workers"), [(12, 1), (12, 3), (45, 1), (90, 3)])
def test_fit_sees_what_a_loop_sees(batch_size, workers):
    sampler = sampler_of(batch_size)
    seen = fitted_batches(sampler, epochs=3, data=sampler.py_dataset(workers=workers))
    shifted = batch_size == 90 and not ON_TENSORFLOW  # one batch an epoch: Keras's look takes it
    assert [numbers(batches) for batches in seen] == planned(batch_size, 3 + shifted)[shifted:]
    assert len(sampler.history) == 3 + shifted
    np.testing.assert_array_equal(sampler.exposure, np.sum(sampler.history, axis=0))


def test_a_model_that_is_not_built_begins_with_the_first_epoch_too():
    sampler = sampler_of()
    seen = fitted_batches(sampler, epochs=2, built=False, data=sampler.py_dataset(), shuffle=False)
    assert [numbers(batches) for batches in seen[-2:]] == planned(epochs=2)


def test_initial_epoch_leaves_the_sampler_where_it_is():
    sampler = sampler_of()
    seen = fitted_batches(sampler, epochs=5, initial_epoch=3, data=sampler.py_dataset())
    assert [numbers(batches) for batches in seen[-2:]] == planned(epochs=2)


def test_validation_on_the_same_sampler_has_epochs_of_its_own():
    sampler = sampler_of()
    data, held_out = sampler.py_dataset(workers=2), sampler.py_dataset()
    seen = fitted_batches(sampler, epochs=2, data=data, validation_data=held_out)
    drawn = planned(epochs=4)
    assert [numbers(batches) for batches in seen] == [drawn[0], drawn[2]]
    assert len(sampler.history) == 4


@WORKERS
@pytest.mark.skipif(ON_TENSORFLOW, reason="TensorFlow reads ahead, as the docstring says")
def test_fewer_steps_than_batches_begin_a_new_plan_each_epoch(workers):
    sampler = sampler_of()
    seen = fitted_batches(sampler, epochs=2, steps_per_epoch=3, data=sampler.py_dataset(workers=workers))
    assert [numbers(batches) for batches in seen] == [batches[:3] for batches in planned(epochs=2)]


class Break(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise KeyboardInterrupt


def test_after_a_fit_that_was_broken_off_come_new_rows():
    sampler = sampler_of()
    data = sampler.py_dataset(workers=2)
    with pytest.raises(KeyboardInterrupt):
        fitted_batches(sampler, epochs=3, data=data, callbacks=[Break()])
    seen = fitted_batches(sampler, epochs=2, data=data)
    assert [numbers(batches) for batches in seen] == planned(epochs=3)[1:]


def test_a_look_at_the_first_batch_is_no_epoch_and_a_loop_that_was_left_is_one():
    sampler = sampler_of()
    data = sampler.py_dataset()
    first, second = planned(epochs=2)
    assert numbers([data[0], data[5], next(iter(data))]) == [first[0], first[1], first[0]]
    assert not sampler.history
    for _ in zip(range(2), data, strict=False):
        pass
    assert numbers(list(data)) == second


def test_an_epoch_draws_the_target_that_a_callback_set_for_it():
    sampler = sampler_of(epoch_size=100, batch_size=20)
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=STEPS)
    progressive = ProgressiveSampling(sampler, end_target=[0, 0.5, 0.5])
    model.fit(sampler.py_dataset(workers=2), epochs=5, callbacks=[progressive], verbose=0)
    natural, end = target_distribution(COUNTS, "natural"), np.array([0, 0.5, 0.5])
    for told, drawn in zip(np.linspace(0, 1, 5), sampler.history, strict=True):
        np.testing.assert_allclose(drawn, 100 * ((1 - told) * natural + told * end), atol=1)


def test_shards_are_together_the_batches_of_one_process():
    shards = [numbers(sampler_of().py_dataset(num_shards=2, shard_index=i)) for i in range(2)]
    for whole, *divided in zip(planned(epochs=1)[0], *shards, strict=True):
        assert sorted(divided[0] + divided[1]) == sorted(whole)


def test_map_fn_makes_each_row_that_is_drawn():
    sampler = ArraySampler({"a": X, "b": Y}, Y, X[:, 0], batch_size=12, seed=3)
    calls = []

    def map_fn(x, y, weight):
        calls.append(threading.get_ident())
        return (x["a"] * 2, {"c": np.full((2, 2), x["b"])}), y + 1, weight / 2

    for batches, rows in zip(sampler.py_dataset(map_fn=map_fn, workers=3), planned(epochs=1)[0], strict=True):
        (double, nest), y, weight = batches
        np.testing.assert_array_equal(double, X[rows] * 2)
        np.testing.assert_array_equal(nest["c"], np.broadcast_to(Y[rows][:, None, None], (len(rows), 2, 2)))
        np.testing.assert_array_equal(y, Y[rows] + 1)
        np.testing.assert_array_equal(weight, X[rows, 0] / 2)
    assert len(calls) == 90
    assert threading.get_ident() not in calls


def test_pass_repeats_tells_how_often_a_row_came_before():
    sampler = sampler_of()
    batches = sampler.py_dataset(map_fn=lambda x, y, repeats: (x, np.array(repeats)), pass_repeats=True)
    before = np.zeros(90, int)
    for x, repeats in [batch for _ in range(2) for batch in batches]:
        for row, told in zip(x[:, 0].astype(int), repeats, strict=True):
            assert told == before[row]
            before[row] += 1
    assert before.max() > 10


def test_threads_make_batches_while_the_model_trains():
    made = []
    data = sampler_of().py_dataset(map_fn=lambda x, y: (made.append(1), (x, y))[1], workers=2)
    data[0]
    assert len(made) == 12  # Keras's look before training makes no more than it sees
    made.clear()
    batches = iter(data)
    next(batches)
    deadline = time.monotonic() + 30
    while len(made) < 48 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(made) == 48  # two batches a thread


def test_an_error_in_a_thread_reaches_the_loop():
    data = sampler_of().py_dataset(map_fn=lambda x, y: (x, y, y, y), workers=2)
    with pytest.raises(ValueError, match=r"`map_fn` must return a tuple \(x, y\) or \(x, y, sample_weight\)"):
        list(data)


def test_rows_of_different_shapes_are_refused():
    data = sampler_of().py_dataset(map_fn=lambda x, y: (np.zeros(int(y) + 1), y))
    with pytest.raises(ValueError, match=r"`map_fn` must give rows of one shape.*\(1,\).*\(3,\)"):
        list(data)


def test_new_points_of_smote_lie_between_rows_of_their_class():
    x = np.stack([X[:, 0], Y * 1000.0], axis=1)
    sampler = ArraySampler(x, Y, batch_size=30, seed=3, smote=SMOTE(seed=0))
    drawn = np.concatenate([rows for rows, _ in sampler.py_dataset(workers=2)])
    new = ~np.isin(drawn[:, 0], X[:, 0])
    assert new.sum() >= 20
    np.testing.assert_array_equal(drawn[:, 1] % 1000, 0)
    assert sampler.exposure_report()["2"]["synthetic"] == 25
    # The same points as tf.data delivers.
    other = ArraySampler(x, Y, batch_size=30, seed=3, smote=SMOTE(seed=0))
    np.testing.assert_array_equal(drawn, np.concatenate([rows for rows, _ in other.dataset()]))


@pytest.mark.skipif(ON_TENSORFLOW, reason="TensorFlow keeps what a generator of fit reads from (tensorflow#57690)")
def test_rows_are_freed_with_the_sampler_and_its_dataset():
    x = np.zeros((90, 4), "float32")
    sampler = ArraySampler(x, Y, batch_size=45, seed=3)
    alive = weakref.ref(x)
    data = sampler.py_dataset(workers=2)
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data, epochs=1, verbose=0)
    del sampler, data, x
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"map_fn": 3}, "`map_fn` must be None or a function"),
        ({"workers": 0}, "`workers`"),
        ({"num_shards": 5}, "`num_shards` must divide"),
        ({"shard_index": 1}, "`shard_index`"),
        ({"pass_repeats": True}, "`pass_repeats` must be False where there is no `map_fn`"),
        ({"map_fn": len, "pass_repeats": 1}, "`pass_repeats`"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        sampler_of().py_dataset(**arguments)
