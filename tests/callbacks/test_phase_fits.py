"""What a fit in phases leaves behind: nothing, also after one that was broken off."""

import numpy as np
import pytest
from kerases import IS_TF_KERAS
from phase_runs import (
    ALL,
    Break,
    BreakOff,
    Recorder,
    all_flags,
    fit,
    make_model,
    make_sampler,
    rate_of,
    same,
)

from keras_imbalance import (
    Phase,
    PhasedTraining,
)
from keras_imbalance._keras import keras

optimizers = keras.optimizers


def test_everything_is_as_before_after_fit_and_two_fits_are_alike():
    results = []
    for repeat in (True, False):
        model, sampler = make_model(optimizers.SGD(0.1), run_eagerly=True), make_sampler()
        sampler.target = [0.2, 0.3, 0.5]
        model.get_layer("norm").trainable = False
        model.compile(optimizers.SGD(0.1), model.loss, run_eagerly=True)
        flags, phases = all_flags(model), whole(sampler)
        for _ in range(2):
            recorder = Recorder(sampler)
            fit(model, sampler, [phases, recorder])
            assert recorder.changed() == [{"backbone", "head"}, {"head"}, {"head"}, ALL]
            assert all_flags(model) == flags
            assert rate_of(model) == pytest.approx(0.1)
            np.testing.assert_array_equal(sampler.distribution, [0.2, 0.3, 0.5])
            np.testing.assert_allclose(recorder.rates, [0.1, 0.02, 0.02, 0.02], rtol=1e-6)
            np.testing.assert_allclose(recorder.shares[1:], [[1 / 3] * 3] * 2 + [[0.6, 0.3, 0.1]])
            phases = phases if repeat else whole(sampler)
        results.append(model.get_weights())
    assert same(*results)


def whole(sampler):
    return PhasedTraining(
        [
            Phase(1, target="balanced", freeze=True, unfreeze="head", learning_rate=0.02),
            Phase(3, target="natural", unfreeze=True),
        ],
        sampler,
    )


@pytest.mark.parametrize("same_callback", [True, False])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_fit_that_was_broken_off_leaves_no_trace_in_the_next(same_callback, epoch):
    sampler, model = make_sampler(), make_model(run_eagerly=True)
    sampler.target = [0.2, 0.3, 0.5]
    flags, phases = all_flags(model), whole(sampler)
    with pytest.raises(Break):
        fit(model, sampler, [phases, BreakOff(epoch, batch=1)])
    recorder = Recorder(sampler)
    fit(model, sampler, [phases if same_callback else whole(sampler), recorder])
    np.testing.assert_allclose(recorder.rates, [0.1, 0.02, 0.02, 0.02], rtol=1e-6)
    np.testing.assert_allclose(recorder.shares[0], [0.2, 0.3, 0.5])
    assert recorder.changed() == [ALL, {"head"}, {"head"}, ALL]
    if not IS_TF_KERAS:  # which itself puts back the flags that a fit began with, those of the one that was broken off
        assert all_flags(model) == flags
    assert rate_of(model) == pytest.approx(0.1)
    np.testing.assert_array_equal(sampler.distribution, [0.2, 0.3, 0.5])


def test_a_callback_goes_from_one_model_to_another():
    sampler = make_sampler()
    phases = whole(sampler)
    one, two = make_model(run_eagerly=True), make_model(run_eagerly=True)
    flags = all_flags(one)
    with pytest.raises(Break):
        fit(one, sampler, [phases, BreakOff(1, batch=1)])
    fit(two, sampler, [phases], 2)
    assert all_flags(one) == flags
    assert [entry[1:] for entry in all_flags(two)] == [entry[1:] for entry in flags]
    assert rate_of(one) == rate_of(two) == pytest.approx(0.1)


def test_verbose_prints_a_line_for_each_phase(capsys):
    sampler = make_sampler()
    phases = [
        Phase(0, target="balanced", freeze="backbone", learning_rate_factor=0.5),
        Phase(1, target=[0.2, 0.3, 0.5], unfreeze=True, reinitialize="head", learning_rate=0.01),
    ]
    fit(make_model(run_eagerly=True), sampler, [PhasedTraining(phases, sampler, verbose=1)], 3)
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "Epoch 1: target balanced; freeze backbone; learning rate x 0.5",
        "Epoch 2: target of given shares; unfreeze all; reinitialize head; learning rate 0.01",
    ]
