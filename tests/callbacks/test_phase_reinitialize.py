"""New values for layers: the right ones, other ones each time, at their epoch alone."""

import numpy as np
import pytest
from phase_runs import (
    Recorder,
    changed,
    compile_eagerly,
    fit,
    make_model,
    make_sampler,
    same,
    weights_of,
)

from keras_imbalance import (
    Phase,
    PhasedTraining,
)
from keras_imbalance._keras import keras

optimizers = keras.optimizers


def test_a_new_head_has_new_values_only_at_its_epoch():
    model, recorder = make_model(run_eagerly=True), Recorder()
    initial = weights_of(model)
    phases = [Phase(0, learning_rate=0.05), Phase(2, reinitialize="head"), Phase(3, reinitialize="head")]
    fit(model, make_sampler(), [PhasedTraining(phases, seed=5), recorder])
    for epoch in (1, 2, 3):
        new = changed(recorder.after[epoch - 1], recorder.before[epoch])
        assert new == ({"head"} if epoch > 1 else set())
    kernels = [initial["head"][0], recorder.before[2]["head"][0], recorder.before[3]["head"][0]]
    assert all(not np.isclose(kernels[i], kernels[j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))
    limit = np.sqrt(6 / (5 + 3))  # Glorot and Bengio 2010
    assert all(limit / 2 < np.abs(kernel).max() <= limit for kernel in kernels)
    assert (recorder.before[2]["head"][1] == 0).all()

    for seed, equal in ((5, True), (6, False)):
        again = Recorder()
        fit(make_model(run_eagerly=True), make_sampler(), [PhasedTraining(phases, seed=seed), again], 3)
        assert np.array_equal(again.before[2]["head"][0], kernels[1]) == equal


@pytest.mark.parametrize("seed", [None, 3])
def test_initializers_with_a_seed_of_their_own_do_not_repeat_their_values(seed):
    keras.utils.set_random_seed(0)
    initializer = keras.initializers.GlorotUniform(seed)
    layers = keras.layers
    head = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, kernel_initializer=initializer, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5, seed=1),
            layers.Dense(4, kernel_initializer=initializer, name="second"),
        ],
        name="head",
    )
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="backbone"), head])
    compile_eagerly(model)
    initial, recorder = weights_of(model), Recorder()
    phases = PhasedTraining([Phase(1, reinitialize="head")])
    fit(model, make_sampler(), [phases, recorder], 2)
    new = recorder.before[1]
    kernels = [kernel for w in (initial, new) for kernel in (w["head/first"][0], w["head/second"][0])]
    assert not np.isclose(kernels[2], kernels[3]).any()
    assert not np.isclose(kernels[0], kernels[2]).any()
    assert not np.isclose(kernels[1], kernels[3]).any()
    np.testing.assert_array_equal(new["head/norm"], [np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)])
    assert same(new["backbone"], recorder.after[0]["backbone"])


class Odd(keras.layers.Layer):
    """Cannot be built from its configuration."""

    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale


def test_a_layer_that_cannot_be_built_anew_is_named():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), Odd(object(), name="odd")])
    compile_eagerly(model)
    with pytest.raises(ValueError, match=r"`reinitialize` must name layers that can be built anew.*'odd', a Odd"):
        fit(model, make_sampler(), [PhasedTraining([Phase(0, reinitialize="odd")])], 1)
