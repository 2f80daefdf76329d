"""What trains in a phase and what stays as it is to the bit, on the weights themselves."""

import numpy as np
import pytest
from kerases import IS_TF_KERAS, compiles, keras_3_only
from phase_runs import (
    ALL,
    HEAD,
    NORM,
    OPTIMIZERS,
    A,
    B,
    Recorder,
    all_flags,
    changed,
    compile_eagerly,
    fit,
    in_trunk,
    make_model,
    make_sampler,
    mark,
    nested_model,
    weights_of,
    with_optimizer,
)

from keras_imbalance import (
    Phase,
    PhasedTraining,
)
from keras_imbalance._keras import keras, ops

optimizers = keras.optimizers


@pytest.mark.parametrize("name", [mark(name) for name in OPTIMIZERS])
def test_frozen_layers_stay_as_they_are_to_the_bit(name):
    """Frozen, trained and frozen again, where the end of fit writes moving averages into what trained last."""
    model, recorder = with_optimizer(name, run_eagerly=name not in ("adamw", "average written")), Recorder()
    frozen = ["backbone", "norm"]
    phases = PhasedTraining([Phase(1, freeze=frozen), Phase(2, unfreeze=True), Phase(3, freeze=frozen)])
    fit(model, make_sampler(), [phases, recorder])
    assert recorder.changed() == [ALL, {"head"}, ALL, {"head"}]
    last = weights_of(model)
    assert changed(recorder.after[-1], last) <= {"head"}
    # The next fit trains and averages everything; Keras on JAX lets weights and averages share memory until they are set.
    model.set_weights(model.get_weights())
    fit(model, make_sampler(), [], epochs=1)
    assert changed(last, weights_of(model)) == ALL


@compiles
@pytest.mark.parametrize("name", [mark(name) for name in ("adamw", "layerwise")])
def test_frozen_layers_stay_as_they_are_to_the_bit_compiled(name):
    model, recorder = with_optimizer(name, jit_compile=True), Recorder()
    phases = [Phase(0, freeze=["backbone", "norm"]), Phase(1, freeze=True, unfreeze=["backbone", "norm"])]
    fit(model, make_sampler(), [PhasedTraining(phases), recorder], epochs=2)
    assert recorder.changed() == [{"head"}, {"backbone", "norm"}]
    assert "head" not in changed(recorder.after[-1], weights_of(model))


def test_the_end_of_fit_writes_averages_into_what_trained_last_and_only_there():
    """The premise of the tests above: Keras does write at the end of fit."""
    model, recorder = with_optimizer("average"), Recorder()
    fit(model, make_sampler(), [PhasedTraining([Phase(1, freeze="backbone")]), recorder], epochs=2)
    assert changed(recorder.after[-1], weights_of(model)) == {"norm", "head"}


CHOICES = {
    "frozen container": ({"freeze": "trunk"}, {HEAD}),
    "frozen name": ({"freeze": "a"}, {NORM, B, HEAD}),
    "frozen path": ({"freeze": ["trunk/block/b", "head"]}, {A, NORM}),
    "frozen pattern": ({"freeze": "trunk/*"}, {HEAD}),
    "frozen pattern of names": ({"freeze": ["?"]}, {NORM, HEAD}),
    "nothing frozen": ({"freeze": []}, {A, NORM, B, HEAD}),
    "trainable name inside containers": ({"freeze": True, "unfreeze": "b"}, {B}),
    "trainable container": ({"freeze": True, "unfreeze": "trunk/block"}, {B}),
    "trainable list": ({"freeze": True, "unfreeze": [HEAD, A]}, {A, HEAD}),
    "trainable layer": (lambda model: {"freeze": True, "unfreeze": model.get_layer("head")}, {HEAD}),
    "layer inside a container": (lambda model: {"freeze": [in_trunk(model, "a"), "norm"]}, {B, HEAD}),
    "container as a layer": (lambda model: {"freeze": in_trunk(model, "block")}, {A, NORM, HEAD}),
    "batchnorm in a frozen container": ({"freeze": "trunk", "train_batchnorm": True}, {NORM, HEAD}),
    "batchnorm and what trains": ({"freeze": True, "unfreeze": "head", "train_batchnorm": True}, {NORM, HEAD}),
    "batchnorm in what trains": ({"freeze": True, "unfreeze": "trunk", "train_batchnorm": False}, {A, B}),
    "batchnorm alone": ({"train_batchnorm": False}, {A, B, HEAD}),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_chosen_layers_train_and_no_others(name):
    choice, expected = CHOICES[name]
    model, recorder = nested_model(), Recorder()
    phase = Phase(0, **(choice(model) if callable(choice) else choice))
    before = all_flags(model)
    fit(model, make_sampler(), [PhasedTraining([phase]), recorder], epochs=1)
    assert recorder.changed() == [expected]
    assert all_flags(model) == before


@pytest.mark.parametrize("train", [True, False])
def test_batchnorm_trains_statistics_and_all_or_neither(train):
    model, recorder = nested_model(), Recorder()
    phases = [Phase(0, freeze=True, unfreeze="head", train_batchnorm=train), Phase(1, learning_rate=0.1)]
    fit(model, make_sampler(), [PhasedTraining(phases), recorder], epochs=2)
    for before, after in zip(recorder.before, recorder.after, strict=True):
        parts = zip(before[NORM], after[NORM], strict=True)
        assert [np.array_equal(a, b) for a, b in parts] == [not train] * 4  # gamma, beta, mean, variance


def test_a_layer_that_two_containers_hold_is_chosen_with_either():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    shared = keras.layers.Dense(4, name="shared")
    one = keras.Sequential([keras.Input((4,)), shared], name="one")
    two = keras.Sequential([keras.Input((4,)), shared, keras.layers.Dense(3, name="own")], name="two")
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(two(one(inputs))))
    compile_eagerly(model)
    for phase, expected in (
        (Phase(0, freeze="one"), {"two/own", "head"}),
        (Phase(0, freeze="two"), {"head"}),
        (Phase(0, freeze=True, unfreeze="one"), {"one/shared", "two/shared"}),
    ):
        before = weights_of(model)
        fit(model, make_sampler(), [PhasedTraining([phase])], epochs=1)
        assert changed(before, weights_of(model)) - {"two/shared"} == expected - {"two/shared"}


def test_what_did_not_train_before_trains_only_where_a_phase_names_it():
    model, recorder = nested_model(), Recorder()
    in_trunk(model, "a").trainable = False
    compile_eagerly(model)  # tf-keras goes by the flags of then
    if IS_TF_KERAS:  # whose optimizer must know all that a phase trains
        model.optimizer.build([v for layer in model.layers for v in layer.weights if "moving" not in v.name])
    phases = [Phase(1, freeze="head"), Phase(2, freeze=True, unfreeze=["a", "norm"]), Phase(3, unfreeze=True)]
    fit(model, make_sampler(), [PhasedTraining(phases), recorder])
    assert recorder.changed() == [{NORM, B, HEAD}, {NORM, B}, {A, NORM}, {A, NORM, B, HEAD}]
    assert not in_trunk(model, "a").trainable


@pytest.mark.parametrize("built", [False, True])
def test_a_layer_that_was_frozen_before_compile_trains_in_a_phase(built):
    model, recorder = make_model(optimizers.AdamW(0.05, weight_decay=0.1)), Recorder()
    model.get_layer("backbone").trainable = False
    model.compile(model.optimizer, model.loss)
    if built:
        fit(model, make_sampler(), [], 1)
    if built and IS_TF_KERAS:
        with pytest.raises(ValueError, match="must be built over all variables that a phase trains"):
            fit(model, make_sampler(), [PhasedTraining([Phase(0, unfreeze="backbone")])], 1)
        return
    fit(model, make_sampler(), [PhasedTraining([Phase(1, unfreeze="backbone")]), recorder], 2)
    assert recorder.changed() == [{"norm", "head"}, ALL]
    assert not model.get_layer("backbone").trainable
    before = weights_of(model)
    fit(model, make_sampler(), [], epochs=1)
    assert changed(before, weights_of(model)) == {"norm", "head"}


@keras_3_only("no LoRA")
def test_a_kernel_under_lora_stays_frozen_while_its_layer_trains():
    model = make_model()
    model.get_layer("head").enable_lora(2)
    model.compile(optimizers.AdamW(0.1, weight_decay=0.1), model.loss, run_eagerly=True)
    kernel = ops.convert_to_numpy(model.get_layer("head")._kernel)
    flags = all_flags(model)
    recorder = Recorder()
    fit(
        model,
        make_sampler(),
        [PhasedTraining([Phase(0, freeze="backbone"), Phase(1, freeze=True, unfreeze="head")]), recorder],
        2,
    )
    assert recorder.changed() == [{"norm", "head"}, {"head"}]
    np.testing.assert_array_equal(kernel, ops.convert_to_numpy(model.get_layer("head")._kernel))
    assert all_flags(model) == flags
