"""A callback on another sampler than the one that is fitted says so, and on the right one never does."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

import keras_imbalance as ki
from keras_imbalance._keras import keras

Y = np.repeat([0, 1, 2], [60, 24, 12])
X = np.random.default_rng(0).normal(size=(96, 3)).astype("float32")
CALLBACKS = {
    "dynamic": lambda source: ki.DynamicSampling(source, validation_data=(X, Y)),
    "progressive": lambda source: ki.ProgressiveSampling(source, end_epoch=2),
    "two phases": lambda source: ki.TwoPhaseLearning(source, switch_epoch=1),
}


def arrays(**arguments):
    return ki.ArraySampler(X, Y, **{"batch_size": 24, "seed": 0, **arguments})


def stream():
    rows = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96, seed=0).batch(48)
    return ki.StreamSampler(rows, batch_size=24, num_classes=3, seed=0)


@pytest.fixture(scope="module")
def net():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(model, data, callbacks, epochs=2, **arguments):
    """The warnings about a sampler that draws nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(data, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=0, **arguments)
    return [str(warning.message) for warning in caught if "drew no row" in str(warning.message)]


@pytest.mark.parametrize(("name", "make"), [("dynamic", arrays), ("progressive", stream), ("two phases", arrays)])
def test_another_sampler_is_noticed_once_and_the_own_one_never(net, name, make):
    callback = CALLBACKS[name](make())
    said = fit(net, make().dataset(), [callback], epochs=3)
    assert len(said) == 1
    assert said[0].startswith(type(callback).__name__)
    assert "model.fit(sampler.dataset()" in said[0]
    assert fit(net, callback.sampler.dataset(), [callback]) == []
    assert len(fit(net, make().dataset(), [callback])) == 1  # each fit by itself


def test_arrays_in_place_of_a_dataset_are_noticed(net):
    with pytest.warns(UserWarning, match="DynamicSampling has .* drew no row"):
        net.fit(X, Y, batch_size=24, epochs=2, callbacks=[CALLBACKS["dynamic"](arrays())], verbose=0)


PIPELINES = {
    "validation": lambda source: {"data": source.dataset(), "validation_data": (X, Y)},
    "fetched ahead": lambda source: {"data": source.dataset().prefetch(8)},
    "one of two workers": lambda source: {"data": source.dataset(num_shards=2, shard_index=1)},
    "repeated": lambda source: {"data": source.dataset().repeat(), "steps_per_epoch": 4},
}


@pytest.mark.parametrize("name", PIPELINES)
def test_no_pipeline_over_the_own_sampler_is_a_false_alarm(net, name):
    source = arrays()
    assert fit(net, callbacks=[CALLBACKS["dynamic"](source)], epochs=3, **PIPELINES[name](source)) == []


@pytest.mark.parametrize("name", ["progressive", "two phases"])
def test_a_cache_that_repeats_the_first_epoch_is_noticed_once(net, name):
    source = arrays()
    callback = CALLBACKS[name](source)
    with pytest.warns(UserWarning, match="drew no row in this epoch.*cache") as told:
        net.fit(source.dataset().cache(), epochs=4, shuffle=False, callbacks=[callback], verbose=0)
    assert len([warning for warning in told if "drew no row" in str(warning.message)]) == 1
    assert len(source.history) == 1


def test_fewer_steps_than_the_sampler_has_batches_are_no_false_alarm_of_a_logger():
    source, model = arrays(), keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[ki.PerClassF1(3)])
    logger = ki.PerClassLogger(sampler=source)
    assert fit(model, source.dataset().repeat(), [logger], epochs=4, steps_per_epoch=2) == []


def test_no_epoch_of_one_batch_is_a_false_alarm(net):
    source = arrays(batch_size=96)
    assert fit(net, source.dataset(), [CALLBACKS["two phases"](source)]) == []


def test_a_model_that_fit_builds_and_several_steps_in_one_are_no_false_alarm():
    source = arrays()
    model = keras.Sequential([keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # PyTorch knows one step at a time alone.
    model.compile("sgd", loss, steps_per_execution=1 if keras.backend.backend() == "torch" else 3)
    assert fit(model, source.dataset(), [CALLBACKS["progressive"](source)]) == []


def test_an_epoch_that_was_stopped_says_nothing(net):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    source = arrays()
    assert fit(net, source.dataset(), [CALLBACKS["dynamic"](source), Stop()]) == []


def test_phases_that_draw_nothing_need_no_sampler_of_the_fit(net):
    phases = [ki.Phase(0, learning_rate=0.01)]
    assert fit(net, X, [ki.PhasedTraining(phases, sampler=arrays())], y=Y) == []


def test_an_interrupted_cell_that_is_run_again_is_no_false_alarm(net, tmp_path):
    """The sampler goes back to where the backup was, and then has drawn as much as before the restart."""

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and not told:
                told.append("interrupted")
                raise KeyboardInterrupt

    source, told = arrays(), []

    def cell():
        backup = ki.BackupAndRestore(tmp_path)
        return fit(net, source.dataset(), [CALLBACKS["dynamic"](source), Interrupt(), backup], epochs=3)

    with pytest.raises(KeyboardInterrupt):
        cell()
    drawn = source.exposure
    told.append("restarted")
    assert cell() == []
    np.testing.assert_array_less(drawn, source.exposure)
