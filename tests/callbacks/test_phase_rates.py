"""The learning rate of every epoch of a fit in phases."""

import warnings

import numpy as np
import pytest
from kerases import needs_multi_optimizer
from phase_runs import (
    Break,
    BreakOff,
    Recorder,
    data,
    fit,
    linear_model,
    make_model,
    make_sampler,
    rate_of,
)

from keras_imbalance import (
    Phase,
    PhasedTraining,
    layerwise_optimizer,
)
from keras_imbalance._keras import keras

optimizers = keras.optimizers

RATES = {
    "number": ([Phase(1, learning_rate=0.3)], [0.1, 0.3, 0.3, 0.3]),
    "factors of the compiled rate": (
        [Phase(1, learning_rate_factor=0.5), Phase(2, learning_rate_factor=0.1)],
        [0.1, 0.05, 0.01, 0.01],
    ),
    "function of the epoch of the phase": (
        [Phase(1, learning_rate=lambda epoch: 0.2 / (1 + epoch))],
        [0.1, 0.2, 0.1, 0.2 / 3],
    ),
    "function, kept by the next phase": (
        [Phase(0, learning_rate=lambda epoch: 0.1 + epoch), Phase(2, freeze="head")],
        [0.1, 1.1, 2.1, 3.1],
    ),
    "schedule of the steps of the phase": (
        [Phase(1, learning_rate=optimizers.schedules.InverseTimeDecay(0.2, 4, 1.0))],
        [0.1, 0.2, 0.1, 0.2 / 3],  # 4 steps an epoch
    ),
    "function, then factor": (
        [Phase(0, learning_rate=lambda epoch: 0.4), Phase(3, learning_rate_factor=2)],
        [0.4, 0.4, 0.4, 0.2],
    ),
}


@pytest.mark.parametrize("name", RATES)
def test_the_learning_rate_of_every_epoch(name):
    phases, expected = RATES[name]
    model, recorder = make_model(run_eagerly=True), Recorder()
    fit(model, make_sampler(), [PhasedTraining(phases), recorder])
    np.testing.assert_allclose(recorder.rates, expected, rtol=1e-6)
    assert rate_of(model) == pytest.approx(0.1)
    started_late = Recorder()
    fit(make_model(run_eagerly=True), make_sampler(), [PhasedTraining(phases), started_late], initial_epoch=2)
    np.testing.assert_allclose(started_late.rates, expected[2:], rtol=1e-6)


def test_steps_are_as_large_as_the_rate_says():
    """Plain SGD without momentum: the first step of a phase at rate 0 changes nothing, at twice the rate twice as much."""
    x, y = data()
    moved = []
    for factor in (1.0, 2.0):
        model = linear_model(optimizers.SGD(0.05))
        phase = Phase(0, learning_rate_factor=factor)
        before = model.get_weights()
        model.fit(x, y, batch_size=100, epochs=1, verbose=0, callbacks=[PhasedTraining([phase])])
        moved.append([after - b for after, b in zip(model.get_weights(), before, strict=True)])
    for one, two in zip(*moved, strict=True):
        np.testing.assert_allclose(two, 2 * one, atol=1e-6)


@needs_multi_optimizer
def test_every_part_of_a_layerwise_optimizer_is_multiplied():
    model = make_model()
    optimizer = layerwise_optimizer(model, optimizers.SGD(0.1), {"backbone": 0.5})
    model.compile(optimizer, model.loss, run_eagerly=True)
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append([float(o.learning_rate) for o in optimizer.optimizers])
    )
    fit(model, make_sampler(), [PhasedTraining([Phase(1, learning_rate_factor=0.1)]), look], 2)
    np.testing.assert_allclose(seen, [[0.05, 0.1], [0.005, 0.01]], rtol=1e-6)
    np.testing.assert_allclose([float(o.learning_rate) for o in optimizer.optimizers], [0.05, 0.1], rtol=1e-6)


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("broken", [False, True])
def test_the_rate_is_that_of_before_where_another_callback_says_what_trains(step, broken):
    """The copy of the optimizer that one made has the rate that the other set."""
    model, sampler = make_model(run_eagerly=True), make_sampler(batch_size=50)
    phases = [PhasedTraining([Phase(0, learning_rate=0.5)]), PhasedTraining([Phase(0, freeze="head")])][::step]
    if broken:
        with pytest.raises(Break):
            fit(model, sampler, [*phases, BreakOff(0, batch=0)], 1)
        recorder = Recorder()
        fit(model, sampler, [PhasedTraining([Phase(0, freeze="head")]), recorder], 1)
        assert recorder.rates == pytest.approx([0.1])
    else:
        fit(model, sampler, phases, 1)
    assert rate_of(model) == pytest.approx(0.1)


def test_reduce_on_plateau_lowers_a_rate_that_stays():
    """The rate of a phase is set once; the plateau, of every epoch here, halves it from there."""
    model, recorder = make_model(run_eagerly=True), Recorder()
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    phases = PhasedTraining([Phase(0, learning_rate=0.4), Phase(3, learning_rate_factor=0.1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(model, make_sampler(), [phases, plateau, recorder], 5)
    np.testing.assert_allclose(recorder.rates, [0.4, 0.4, 0.2, 0.01, 0.005], rtol=1e-6)
    assert rate_of(model) == pytest.approx(0.1)


class SetsRate(keras.callbacks.Callback):
    """A schedule of somebody's own."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.01 * (1 + epoch)


@pytest.mark.parametrize("first", [True, False])
def test_another_callback_that_sets_rates_is_warned_of(first):
    """One that comes after the phases overwrites a number at once; a phase of every epoch undoes what others did."""
    number, function = Phase(0, learning_rate=0.1), Phase(0, learning_rate=lambda epoch: 0.1)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    cases = [(function, plateau), (function, SetsRate()), *([] if first else [(number, SetsRate())])]
    for phase, other in cases:
        phases = PhasedTraining([phase])
        callbacks = [other, phases] if first else [phases, other]
        with pytest.warns(UserWarning, match="Another callback changed the learning rate.*LearningRateScheduler"):
            fit(make_model(run_eagerly=True), make_sampler(), callbacks, 4)


def test_schedulers_of_the_rate_work_with_phases_that_leave_it_alone():
    recorder = Recorder()
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 * (1 + epoch))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        phases = PhasedTraining([Phase(1, freeze="head")])
        fit(make_model(run_eagerly=True), make_sampler(), [scheduler, phases, recorder], 2)
    np.testing.assert_allclose(recorder.rates, [0.01, 0.02], rtol=1e-6)
    assert recorder.changed()[1] == {"backbone", "norm"}


def test_an_optimizer_with_a_schedule_is_refused_only_where_a_phase_sets_a_rate():
    schedule = optimizers.schedules.CosineDecay(0.1, 100)
    model, recorder = make_model(optimizers.SGD(schedule), run_eagerly=True), Recorder()
    with pytest.raises(ValueError, match="cannot change a learning rate that follows a schedule"):
        fit(model, make_sampler(), [PhasedTraining([Phase(1, learning_rate=0.1)])], 1)
    fit(model, make_sampler(), [PhasedTraining([Phase(0, freeze=True, unfreeze="head")]), recorder], 2)
    assert recorder.changed() == [{"head"}, {"head"}]


def test_a_learning_rate_that_is_none_is_an_error_in_its_epoch():
    phases = PhasedTraining([Phase(0, learning_rate=lambda epoch: float("nan"))])
    with pytest.raises(ValueError, match="`learning_rate` must be a finite number"):
        fit(make_model(run_eagerly=True), make_sampler(), [phases], 1)
