"""What a callback's history says is what was drawn, and epochs of fit that are not the sampler's are refused or named."""

import json
import warnings

import numpy as np
import pytest
from dynamic_runs import blobs, softmax_model
from kerases import keras_3_only

from keras_imbalance import ArraySampler, DynamicSampling, ProgressiveSampling, TwoPhaseLearning
from keras_imbalance._keras import keras

ROWS = 160


def sampler_of(**arguments):
    x, y = blobs()
    return ArraySampler(x, y, batch_size=40, seed=0, **arguments)


def fit(sampler, callbacks, data=None, **arguments):
    data = sampler.dataset() if data is None else data
    return softmax_model().fit(data, shuffle=False, callbacks=callbacks, verbose=0, **arguments)


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_five_shares_told_and_drawn_in_five_epochs_are_equal_within_a_row(steps_per_execution):
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler, start_target=[0.8, 0.1, 0.1], end_target=[0.1, 0.1, 0.8])
    model = softmax_model()
    steps = {} if keras.backend.backend() == "torch" else {"steps_per_execution": steps_per_execution}
    model.compile("sgd", "sparse_categorical_crossentropy", **steps)
    model.fit(sampler.dataset(), shuffle=False, epochs=5, callbacks=[progressive], verbose=0)
    told = [[0.8 - 0.175 * k, 0.1, 0.1 + 0.175 * k] for k in range(5)]
    np.testing.assert_allclose(progressive.targets, told, atol=1e-12)
    np.testing.assert_allclose(progressive.history, told, atol=(1 + 1e-9) / ROWS)
    drawn = np.array(sampler.history[-5:])
    np.testing.assert_allclose(progressive.history, drawn / drawn.sum(axis=1, keepdims=True), rtol=1e-12)
    assert drawn.sum(axis=1).tolist() == [ROWS] * 5


@keras_3_only("has no PyDataset")
@pytest.mark.parametrize("workers", [1, 2])
def test_dynamic_sampling_over_a_py_dataset_draws_what_it_tells(workers):
    sampler = sampler_of()
    dynamic = DynamicSampling(sampler, validation_data=blobs(), momentum=0, floor=0.1)
    fit(sampler, [dynamic], sampler.py_dataset(workers=workers), epochs=4)
    assert np.ptp(dynamic.targets, axis=0).max() > 0.05
    np.testing.assert_allclose(dynamic.history, dynamic.targets, atol=(1 + 1e-9) / ROWS)


def test_what_validation_draws_from_the_same_sampler_is_not_in_the_history():
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler)
    fit(sampler, [progressive], epochs=3, validation_data=sampler.dataset())
    assert len(sampler.history) == 6
    told = np.array(progressive.targets)
    assert np.ptp(told[:, 2]) > 0.2
    np.testing.assert_allclose(progressive.history, told, atol=(1 + 1e-9) / ROWS)


def test_history_and_targets_are_in_the_state():
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler)
    fit(sampler, [progressive], epochs=2)
    other = ProgressiveSampling(sampler_of())
    other.load_state_dict(json.loads(json.dumps(progressive.state_dict())))
    np.testing.assert_array_equal(other.history, progressive.history)
    np.testing.assert_array_equal(other.targets, progressive.targets)


MAKE = {
    "dynamic": lambda sampler: DynamicSampling(sampler, validation_data=blobs()),
    "progressive": ProgressiveSampling,
    "two phases": lambda sampler: TwoPhaseLearning(sampler, switch_epoch=1),
}


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("repeat", [False, True])
def test_epochs_of_fit_that_are_not_the_samplers_are_refused_before_any_step(name, repeat):
    sampler = sampler_of()
    dataset = sampler.dataset().repeat() if repeat else sampler.dataset()
    before = json.dumps(sampler.state_dict())
    with pytest.raises(ValueError, match=r"3 batches an epoch of fit, 4 of the sampler.*epoch_size=3 \*"):
        fit(sampler, [MAKE[name](sampler)], dataset, epochs=2, steps_per_epoch=3)
    assert json.dumps(sampler.state_dict()) == before or keras.backend.backend() != "tensorflow"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", message="`shuffle=True`|.*ran out of data|.*input ran out")
        fit(sampler, [MAKE[name](sampler)], epochs=2, steps_per_epoch=4)  # the same number by another name


def test_without_a_callback_of_ours_any_number_of_steps_is_fine():
    sampler = sampler_of()
    fit(sampler, [], sampler.dataset().repeat(), epochs=2, steps_per_epoch=3)


@keras_3_only("tf-keras reads no batch of the next epoch ahead")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="what reads ahead is TensorFlow's own")
def test_what_reads_ahead_into_the_next_epoch_is_named():
    sampler = sampler_of()
    progressive = ProgressiveSampling(sampler, start_target=[1, 0, 0], end_target=[0, 0, 1])
    with pytest.warns(UserWarning, match=r"Epoch \d drew other class shares.*\.repeat\(\)\.prefetch"):
        fit(sampler, [progressive], sampler.dataset().repeat().prefetch(8), epochs=4, steps_per_epoch=4)
    # What it says was drawn is so, whatever was told: here what was told one or two epochs before.
    drawn = np.array(sampler.history[:4])
    np.testing.assert_allclose(progressive.history, drawn / ROWS, atol=1e-12)
    assert not np.allclose(progressive.history, progressive.targets, atol=0.1)
