"""Cases that users of the callbacks came upon: models built late, fits broken off and compiled anew, folders not writable."""

import numpy as np
import pytest
from kerases import keras_3_only
from phase_runs import Break, BreakOff, Recorder, data, fit, make_model, make_sampler

from keras_imbalance import (
    BackupAndRestore,
    ClassifierRetraining,
    DynamicSampling,
    LearnableWeightScaling,
    Phase,
    PhasedTraining,
    TwoPhaseLearning,
)
from keras_imbalance._keras import keras

# --- models without weights before fit


def built_late():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([layers.Dense(5, activation="relu", name="backbone"), layers.Dense(3, name="head")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda sampler, folder: TwoPhaseLearning(sampler, switch_epoch=1, freeze="backbone"),
        lambda sampler, folder: ClassifierRetraining(sampler, switch_epoch=1, head="head"),
        lambda sampler, folder: BackupAndRestore(folder),
    ],
)
def test_a_model_without_weights_is_refused_before_any_step(tmp_path, make):
    model, recorder, sampler = built_late(), Recorder(), make_sampler()
    if keras.backend.backend() == "tensorflow":  # the others build it before
        with pytest.raises(ValueError, match="needs a model that has its weights before fit"):
            fit(model, sampler, [recorder, make(sampler, tmp_path)], 2)
        assert not recorder.epochs
        model(data()[0][:1])
    fit(model, sampler, [recorder, make(sampler, tmp_path)], 2)
    assert recorder.epochs == [0, 1]
    assert "head" in recorder.changed()[1]


# --- a fit that was broken off, and what was done before the next


def broken_off(phases, epoch):
    model, sampler = make_model(run_eagerly=True), make_sampler()
    with pytest.raises(Break):
        fit(model, sampler, [PhasedTraining(phases, sampler), BreakOff(epoch, batch=0)])
    return model, sampler


@pytest.mark.parametrize(
    "rate", [0.5, pytest.param("schedule", marks=keras_3_only("an optimizer shows a schedule's rate a step late"))]
)
def test_the_rate_of_an_optimizer_compiled_after_a_break_is_its_own(rate):
    model, sampler = broken_off([Phase(1, learning_rate_factor=0.1)], epoch=2)
    scheduled = rate == "schedule"
    rate = keras.optimizers.schedules.ExponentialDecay(0.5, 4, 0.5, staircase=True) if scheduled else rate
    model.compile(keras.optimizers.SGD(rate), model.loss, run_eagerly=True)
    recorder = Recorder()
    fit(
        model,
        sampler,
        [TwoPhaseLearning(sampler, switch_epoch=1, learning_rate_factor=1 if scheduled else 0.1), recorder],
        2,
    )
    np.testing.assert_allclose(recorder.rates, [0.5, 0.25 if scheduled else 0.05], rtol=1e-6)


def test_a_rate_that_was_set_after_a_break_stays():
    model, sampler = broken_off([Phase(1, learning_rate_factor=0.1, freeze="head")], epoch=2)
    model.optimizer.learning_rate = 0.5
    recorder = Recorder()
    fit(model, sampler, [TwoPhaseLearning(sampler, switch_epoch=1), recorder], 2)
    np.testing.assert_allclose(recorder.rates, [0.5, 0.05], rtol=1e-6)


def test_flags_that_were_set_after_a_break_stay_and_the_others_are_put_back():
    model, sampler = broken_off([Phase(0, freeze="head")], epoch=0)
    assert not model.get_layer("head").trainable
    model.get_layer("backbone").trainable = False
    model.compile(keras.optimizers.SGD(0.1), model.loss, run_eagerly=True)
    # JAX would build it over what trains now, before any callback is asked.
    model.optimizer.build(model.get_layer("norm").trainable_variables + model.get_layer("head").weights)
    recorder = Recorder()
    fit(model, sampler, [TwoPhaseLearning(sampler, switch_epoch=1), recorder], 2)
    assert recorder.changed() == [{"norm", "head"}] * 2
    assert not model.get_layer("backbone").trainable
    assert model.get_layer("head").trainable


# --- folders


def test_a_folder_that_cannot_be_written_to_is_an_error_before_any_step(tmp_path):
    (tmp_path / "file").write_text("no folder")
    recorder = Recorder()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="`backup_dir` must be a folder that can be written to"):
            fit(make_model(run_eagerly=True), make_sampler(), [recorder, BackupAndRestore(folder)], 1)
    assert not recorder.epochs
    assert (tmp_path / "file").read_text() == "no folder"


# --- arguments of another type


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: Phase(0, freeze=False), "`freeze` must be layers, or True"),
        (lambda s: Phase(0, unfreeze=3), "`unfreeze` must be a layer, its name, a pattern"),
        (lambda s: Phase(0, reinitialize=3), "`reinitialize` must be a layer, its name, a pattern"),
        (lambda s: TwoPhaseLearning(s, switch_epoch=1, freeze=True), "`freeze` must be a layer, its name, a pattern"),
        (lambda s: ClassifierRetraining(s, switch_epoch=1, head=None), "`head` must be a layer, its name, a pattern"),
        (
            lambda s: LearnableWeightScaling(s, switch_epoch=1, scaling=0),
            "`scaling` must be a layer, its name, a pattern",
        ),
        (lambda s: PhasedTraining(Phase(0)), "`phases` must be a list of at least one Phase"),
        (lambda s: PhasedTraining([Phase(0, reinitialize="head")], seed=-1), "`seed` must be .* at least 0"),
        (lambda s: DynamicSampling(s, floor="0.5"), "`floor` must be"),
        (lambda s: DynamicSampling(s, momentum=None), "`momentum` must be"),
        (lambda s: DynamicSampling(s, threshold=float("nan")), "`threshold` must be"),
    ],
)
def test_an_argument_of_another_type_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(make_sampler())
