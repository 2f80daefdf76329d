"""Bad arguments of phases, and what cannot work, before any step."""

import pytest
from phase_runs import (
    all_flags,
    fit,
    make_model,
    make_sampler,
    same,
)

from keras_imbalance import (
    ClassifierRetraining,
    LearnableWeightScaling,
    Phase,
    PhasedTraining,
    TwoPhaseLearning,
)
from keras_imbalance._keras import keras

optimizers = keras.optimizers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_epoch": -1}, "`start_epoch` must be a whole number of at least 0. Received: start_epoch=-1"),
        ({"start_epoch": 1.5}, "`start_epoch`"),
        ({"start_epoch": True}, "`start_epoch`"),
        ({"freeze": False}, "`freeze` must be layers, or True"),
        ({"unfreeze": False}, "`unfreeze` must be layers, or True"),
        ({"freeze": 3}, "`freeze` must be a layer, its name"),
        ({"reinitialize": True}, "`reinitialize` must be a layer, its name"),
        ({"learning_rate": 0.1, "learning_rate_factor": 0.1}, "`learning_rate_factor` must be left out"),
        ({"learning_rate": 0}, "`learning_rate` must be a finite number of more than 0. Received: learning_rate=0"),
        ({"learning_rate": float("nan")}, "`learning_rate`"),
        ({"learning_rate": "fast"}, "`learning_rate`"),
        ({"learning_rate_factor": -1}, "`learning_rate_factor` must be .*more than 0"),
        ({"learning_rate_factor": float("inf")}, "`learning_rate_factor`"),
        ({"train_batchnorm": "no"}, "`train_batchnorm` must be True, False or None. Received: train_batchnorm='no'"),
    ],
)
def test_bad_phases(arguments, message):
    with pytest.raises(ValueError, match=message):
        Phase(**{"start_epoch": 0, **arguments})


def test_bad_arguments():
    sampler = make_sampler()
    for make, message in (
        (lambda: PhasedTraining([]), "`phases` must be a list of at least one Phase"),
        (lambda: PhasedTraining([0]), "`phases` must be a list of at least one Phase"),
        (lambda: PhasedTraining([Phase(2), Phase(1)]), r"`phases` must start one after another.*\[2, 1\]"),
        (lambda: PhasedTraining([Phase(1), Phase(1)]), "`phases` must start one after another"),
        (lambda: PhasedTraining([Phase(0, target="balanced")]), "`sampler` must be given where a phase has a `target`"),
        (lambda: PhasedTraining([Phase(0)], sampler.dataset()), "`sampler` must be a sampler such as ArraySampler"),
        (lambda: PhasedTraining([Phase(0)], verbose="yes"), "`verbose` must be one of 0, 1"),
        (lambda: PhasedTraining([Phase(0, target="even")], sampler), "`target`"),
        (lambda: PhasedTraining([Phase(0, target=[1, 2])], sampler), "`target`"),
        (lambda: TwoPhaseLearning(sampler, switch_epoch=0), "`switch_epoch` must be a whole number of at least 1"),
        (lambda: TwoPhaseLearning(sampler, switch_epoch=1.5), "`switch_epoch`"),
        (lambda: TwoPhaseLearning(sampler, switch_epoch=1, learning_rate_factor=0), "`learning_rate_factor`"),
        (lambda: TwoPhaseLearning(None, switch_epoch=1), "`sampler`"),
        (lambda: ClassifierRetraining(sampler, switch_epoch=0, head="head"), "`switch_epoch`"),
        (lambda: ClassifierRetraining(sampler, switch_epoch=1, head=[]), "`head` must name at least one layer"),
        (lambda: ClassifierRetraining(sampler, switch_epoch=1, head="head", target=[0, 0, 0]), "`target`"),
        (lambda: LearnableWeightScaling(sampler, switch_epoch=True), "`switch_epoch`"),
    ):
        before = sampler.state_dict()
        with pytest.raises(ValueError, match=message):
            make()
        assert sampler.state_dict() == before


def test_what_cannot_work_is_an_error_before_any_step():
    sampler = make_sampler()
    known = r"\['backbone', 'head', 'norm'\]"
    once = Phase(0, freeze=True, unfreeze="head")
    for callbacks, message in (
        (
            [PhasedTraining([Phase(0, freeze=True, unfreeze="hed")])],
            f"`unfreeze` must name layers.*Did you mean 'head'.*{known}",
        ),
        ([PhasedTraining([Phase(9, freeze="x*")])], f"`freeze` must name layers of the model.*{known}"),
        ([PhasedTraining([Phase(9, reinitialize="hed")])], f"`reinitialize` must name layers.*{known}"),
        ([ClassifierRetraining(sampler, switch_epoch=1, head="hed")], f"`head` must name layers.*{known}"),
        ([LearnableWeightScaling(sampler, switch_epoch=1)], f"`scaling` must name layers.*'class_scaling'.*{known}"),
        ([PhasedTraining([Phase(1, freeze="*")])], "The phase from epoch 1 on trains nothing"),
        ([PhasedTraining([once]), PhasedTraining([once])], "Two callbacks set what trains"),
        *(
            (
                [PhasedTraining([once]), PhasedTraining([Phase(1, reinitialize="head")])][::step],
                "Two callbacks set what",
            )
            for step in (1, -1)
        ),
        (
            [TwoPhaseLearning(sampler, switch_epoch=1), PhasedTraining([Phase(0, learning_rate=1.0)])],
            "Two callbacks set the learning",
        ),
        (
            [TwoPhaseLearning(sampler, switch_epoch=1), ClassifierRetraining(sampler, switch_epoch=1, head="head")],
            "Two callbacks set the target of one sampler",
        ),
    ):
        model = make_model()
        before, flags = model.get_weights(), all_flags(model)
        with pytest.raises(ValueError, match=message):
            fit(model, sampler, callbacks, 1)
        assert same(before, model.get_weights())
        assert all_flags(model) == flags


@pytest.mark.skipif(not hasattr(keras.layers, "SpectralNormalization"), reason="this Keras has none")
def test_a_layer_that_changes_its_weights_in_its_own_call_cannot_be_frozen():
    def model():
        layers = [keras.Input((4,)), keras.layers.SpectralNormalization(keras.layers.Dense(5), name="spectral")]
        model = keras.Sequential([*layers, keras.layers.Dense(3, name="head")])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
        return model

    for phase in (Phase(1, freeze="spectral"), Phase(1, freeze=True, unfreeze="head")):
        with pytest.raises(ValueError, match=r"`freeze` must leave out layers.*'spectral', a SpectralNormalization"):
            fit(model(), make_sampler(), [PhasedTraining([phase])], 1)
    fit(model(), make_sampler(), [PhasedTraining([Phase(0, freeze="head")])], 1)
    frozen = model()
    frozen.get_layer("spectral").trainable = False  # by hand: what a phase does not freeze is not its promise
    frozen.compile("sgd", frozen.loss, run_eagerly=True)
    fit(frozen, make_sampler(), [PhasedTraining([Phase(0, learning_rate=0.1)])], 1)


def test_layers_may_come_from_a_generator():
    phase = Phase(0, freeze=(name for name in ("backbone", "norm")))
    assert repr(phase) == repr(phase) == "Phase(0, freeze=['backbone', 'norm'])"
