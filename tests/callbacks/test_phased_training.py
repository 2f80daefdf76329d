"""PhasedTraining: what trains, how fast and from which values, on the weights themselves and against formulas in float64."""

import numpy as np
import pytest
from kerases import IS_TF_KERAS, keras_3_only, needs_multi_optimizer, since_keras
from phase_runs import (
    Break,
    BreakOff,
    Recorder,
    Seen,
    Tap,
    all_flags,
    changed,
    data,
    fit,
    make_model,
    make_sampler,
    optimizer_values,
    same,
    weights_of,
)

from keras_imbalance import (
    ClassifierRetraining,
    ClassScaling,
    LearnableWeightScaling,
    Phase,
    PhasedTraining,
    TwoPhaseLearning,
    layerwise_optimizer,
)
from keras_imbalance.backend import keras, ops

optimizers = keras.optimizers
EMA = {"use_ema": True, "ema_momentum": 0.7}
OPTIMIZERS = {
    "adamw": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, global_clipnorm=1.0),
    "momentum": lambda model: optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "average": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, **EMA),
    "average written": lambda model: optimizers.AdamW(0.05, ema_overwrite_frequency=3, **EMA),
    "accumulation": lambda model: optimizers.AdamW(0.05, weight_decay=0.1, gradient_accumulation_steps=3),
    "scaled": lambda model: optimizers.LossScaleOptimizer(optimizers.AdamW(0.05, weight_decay=0.1, **EMA)),
    "layerwise": lambda model: layerwise_optimizer(
        model, optimizers.AdamW(0.05, weight_decay=0.1, **EMA), {"backbone": 0.5, "head": 2.0}
    ),
}
IN_TF_KERAS = ("adamw", "momentum", "average", "average written")
ALL = {"backbone", "norm", "head"}


def with_optimizer(name, **arguments):
    model = make_model(**arguments)
    optimizer = OPTIMIZERS[name](model)
    model.compile(optimizer, model.loss, **arguments)
    return model


def mark(name):
    if name == "layerwise":
        return pytest.param(name, marks=needs_multi_optimizer)
    return name if name in IN_TF_KERAS else pytest.param(name, marks=keras_3_only(f"no optimizer for {name!r}"))


@pytest.mark.parametrize("name", [mark(name) for name in OPTIMIZERS])
def test_frozen_layers_stay_as_they_are_to_the_bit(name):
    """Frozen, trained and frozen again, where the end of fit writes moving averages into what trained last."""
    model, recorder = with_optimizer(name, run_eagerly=name not in ("adamw", "average written")), Recorder()
    frozen = ["backbone", "norm"]
    phases = PhasedTraining([Phase(1, frozen=frozen), Phase(2, trainable=True), Phase(3, frozen=frozen)])
    fit(model, make_sampler(), [phases, recorder])
    assert recorder.changed() == [ALL, {"head"}, ALL, {"head"}]
    last = weights_of(model)
    assert changed(recorder.after[-1], last) <= {"head"}
    # The next fit trains and averages everything; Keras on JAX lets weights and averages share memory until they are set.
    model.set_weights(model.get_weights())
    fit(model, make_sampler(), [], epochs=1)
    assert changed(last, weights_of(model)) == ALL


@pytest.mark.parametrize("name", [mark(name) for name in ("adamw", "layerwise")])
def test_frozen_layers_stay_as_they_are_to_the_bit_compiled(name):
    model, recorder = with_optimizer(name, jit_compile=True), Recorder()
    phases = [Phase(0, frozen=["backbone", "norm"]), Phase(1, trainable=["backbone", "norm"])]
    fit(model, make_sampler(), [PhasedTraining(phases), recorder], epochs=2)
    assert recorder.changed() == [{"head"}, {"backbone", "norm"}]
    assert "head" not in changed(recorder.after[-1], weights_of(model))


def test_the_end_of_fit_writes_averages_into_what_trained_last_and_only_there():
    """The premise of the tests above: Keras does write at the end of fit."""
    model, recorder = with_optimizer("average"), Recorder()
    fit(model, make_sampler(), [PhasedTraining([Phase(1, frozen="backbone")]), recorder], epochs=2)
    assert changed(recorder.after[-1], weights_of(model)) == {"norm", "head"}


def linear_model(optimizer):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(5, name="backbone"), keras.layers.Dense(3, name="head")]
    model = keras.Sequential(layers)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class ByHand:
    """Two linear layers, cross-entropy, and Adam or SGD with momentum, in float64.

    With `own_clocks`, as the parts of a MultiOptimizer have, Adam counts the steps that trained a weight, not all.
    """

    def __init__(self, weights, rates, adam, own_clocks):
        self.w = [np.asarray(w, float) for w in weights]
        self.m, self.v = ([np.zeros_like(w) for w in self.w] for _ in range(2))
        self.rates, self.adam, self.own_clocks, self.steps = rates, adam, own_clocks, np.zeros(4)

    def epoch(self, x, y, batch, trained):
        for start in range(0, len(x), batch):
            self.step(x[start : start + batch].astype(float), y[start : start + batch], trained)

    def step(self, x, y, trained):
        h = x @ self.w[0] + self.w[1]
        z = h @ self.w[2] + self.w[3]
        p = np.exp(z - z.max(axis=1, keepdims=True))
        dz = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[y]) / len(x)
        dh = dz @ self.w[2].T
        gradients = [x.T @ dh, dh.sum(axis=0), h.T @ dz, dz.sum(axis=0)]
        self.steps[trained if self.own_clocks else slice(None)] += 1
        for i in trained:
            self.update(i, gradients[i])

    def update(self, i, g):
        if not self.adam:
            self.m[i] = 0.9 * self.m[i] - self.rates[i] * g
            self.w[i] = self.w[i] + self.m[i]
            return
        rate = self.rates[i] * np.sqrt(1 - 0.999 ** self.steps[i]) / (1 - 0.9 ** self.steps[i])
        self.m[i] = 0.9 * self.m[i] + 0.1 * g
        self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
        self.w[i] = self.w[i] - rate * self.m[i] / (np.sqrt(self.v[i]) + 1e-7)


@pytest.mark.parametrize("adam", [True, False])
@pytest.mark.parametrize("layerwise", [False, pytest.param(True, marks=needs_multi_optimizer)])
def test_layers_that_train_again_find_the_slots_they_left(adam, layerwise):
    """All train, then the head alone, then all, then the head from new values and slots: every step as by hand."""
    optimizer = optimizers.Adam(0.02) if adam else optimizers.SGD(0.02, momentum=0.9)
    model = linear_model(optimizer)
    rates = [0.02] * 4
    if layerwise:
        model.compile(layerwise_optimizer(model, optimizer, {"backbone": 0.5}), model.loss)
        rates[:2] = [0.01] * 2
    by_hand, recorder = ByHand(model.get_weights(), rates, adam, layerwise), Recorder()
    phases = [Phase(2, frozen="backbone"), Phase(4, trainable=True), Phase(6, reinitialize="head")]
    x, y = data()
    model.fit(
        x, y, batch_size=25, shuffle=False, epochs=8, verbose=0, callbacks=[PhasedTraining(phases, seed=4), recorder]
    )
    for epoch in range(8):
        if epoch == 6:
            by_hand.w[2:] = [w.astype(float) for w in recorder.before[6]["head"]]
            for i in (2, 3):
                by_hand.m[i], by_hand.v[i] = 0 * by_hand.m[i], 0 * by_hand.v[i]
        by_hand.epoch(x, y, 25, [2, 3] if epoch in (2, 3) else [0, 1, 2, 3])
        got = [*recorder.after[epoch]["backbone"], *recorder.after[epoch]["head"]]
        for one, other in zip(got, by_hand.w, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5, err_msg=f"epoch {epoch}")


def nested_model():
    """trunk/a, trunk/norm, trunk/block/b and head."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    block = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="b")], name="block")
    trunk = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="norm"), block], name="trunk"
    )
    model = keras.Sequential([keras.Input((4,)), trunk, layers.Dense(3, name="head")])
    compile_eagerly(model)
    return model


def compile_eagerly(model):
    optimizer = optimizers.AdamW(0.05, weight_decay=0.1)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)


def in_trunk(model, name):
    return model.get_layer("trunk").get_layer(name)


A, NORM, B, HEAD = "trunk/a", "trunk/norm", "trunk/block/b", "head"
CHOICES = {
    "frozen container": ({"frozen": "trunk"}, {HEAD}),
    "frozen name": ({"frozen": "a"}, {NORM, B, HEAD}),
    "frozen path": ({"frozen": ["trunk/block/b", "head"]}, {A, NORM}),
    "frozen pattern": ({"frozen": "trunk/*"}, {HEAD}),
    "frozen pattern of names": ({"frozen": ["?"]}, {NORM, HEAD}),
    "nothing frozen": ({"frozen": []}, {A, NORM, B, HEAD}),
    "trainable name inside containers": ({"trainable": "b"}, {B}),
    "trainable container": ({"trainable": "trunk/block"}, {B}),
    "trainable list": ({"trainable": [HEAD, A]}, {A, HEAD}),
    "trainable layer": (lambda model: {"trainable": model.get_layer("head")}, {HEAD}),
    "layer inside a container": (lambda model: {"frozen": [in_trunk(model, "a"), "norm"]}, {B, HEAD}),
    "container as a layer": (lambda model: {"frozen": in_trunk(model, "block")}, {A, NORM, HEAD}),
    "batchnorm in a frozen container": ({"frozen": "trunk", "train_batchnorm": True}, {NORM, HEAD}),
    "batchnorm beside what trains": ({"trainable": "head", "train_batchnorm": True}, {NORM, HEAD}),
    "batchnorm in what trains": ({"trainable": "trunk", "train_batchnorm": False}, {A, B}),
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
    phases = [Phase(0, trainable="head", train_batchnorm=train), Phase(1, learning_rate=0.1)]
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
        (Phase(0, frozen="one"), {"two/own", "head"}),
        (Phase(0, frozen="two"), {"head"}),
        (Phase(0, trainable="one"), {"one/shared", "two/shared"}),
    ):
        before = weights_of(model)
        fit(model, make_sampler(), [PhasedTraining([phase])], epochs=1)
        assert changed(before, weights_of(model)) - {"two/shared"} == expected - {"two/shared"}


def test_what_did_not_train_before_trains_only_where_a_phase_names_it():
    model, recorder = nested_model(), Recorder()
    in_trunk(model, "a").trainable = False
    compile_eagerly(model)  # tf-keras goes by the flags of then
    model.optimizer.build([v for layer in model.layers for v in layer.weights if "moving" not in v.name])
    phases = [Phase(1, frozen="head"), Phase(2, trainable=["a", "norm"]), Phase(3, trainable=True)]
    fit(model, make_sampler(), [PhasedTraining(phases), recorder])
    assert recorder.changed() == [{NORM, B, HEAD}, {NORM, B}, {A, NORM}, {NORM, B, HEAD}]
    assert not in_trunk(model, "a").trainable


@keras_3_only("no LoRA")
def test_a_kernel_under_lora_stays_frozen_while_its_layer_trains():
    model = make_model()
    model.get_layer("head").enable_lora(2)
    model.compile(optimizers.AdamW(0.1, weight_decay=0.1), model.loss, run_eagerly=True)
    kernel = ops.convert_to_numpy(model.get_layer("head")._kernel)
    flags = all_flags(model)
    recorder = Recorder()
    fit(model, make_sampler(), [PhasedTraining([Phase(0, frozen="backbone"), Phase(1, trainable="head")]), recorder], 2)
    assert recorder.changed() == [{"norm", "head"}, {"head"}]
    np.testing.assert_array_equal(kernel, ops.convert_to_numpy(model.get_layer("head")._kernel))
    assert all_flags(model) == flags


# --- re-initialisation


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


SLOTS = {
    "Adam": {},
    "AdamW": {"use_ema": True, "ema_momentum": 0.5},
    "SGD": {"momentum": 0.9},
    "Adagrad": {"initial_accumulator_value": 0.3},
    "Ftrl": {"initial_accumulator_value": 0.2},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adafactor": {},
    "Adadelta": {},
    "Nadam": {},
    "Lion": {},
    "Muon": {},
    "Adamax": {},
}


BROKEN = {"Muon": since_keras("3.13", "Muon fails in its first step")}


@pytest.mark.parametrize("name", [pytest.param(name, marks=BROKEN.get(name, ())) for name in SLOTS])
def test_slots_of_a_new_head_are_those_of_a_new_optimizer(name):
    if not hasattr(optimizers, name):
        pytest.skip(f"this Keras has no {name}")
    model = make_model()
    model.compile(getattr(optimizers, name)(0.05, **SLOTS[name]), model.loss, run_eagerly=True)
    seen = []
    phases = PhasedTraining([Phase(1, reinitialize="head")])
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append((slots(model.optimizer), model.get_weights()))
    )
    fit(model, make_sampler(), [phases, look, BreakOff(1, batch=0)], 1)
    before = slots(model.optimizer)
    with pytest.raises(Break):
        fit(model, make_sampler(), [phases, look, BreakOff(1, batch=0)], 2, initial_epoch=1)
    after, weights = seen[-1]
    fresh = getattr(optimizers, name)(0.05, **SLOTS[name])
    fresh.build(model.trainable_variables)
    new = slots(fresh)
    head, rest = ([key for key in after if ("head" in key) == wanted] for wanted in (True, False))
    assert head
    assert rest
    for key in head:
        expected = weights[-2:]["bias" in key] if key.endswith("average") else new[key]
        np.testing.assert_array_equal(after[key], expected, err_msg=key)
    for key in rest:
        np.testing.assert_array_equal(after[key], before[key], err_msg=key)
    assert any(not np.array_equal(before[key], new[key]) for key in head)


def slots(optimizer):
    """The slots by name without that of the optimizer, as arrays."""
    variables = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    names = [getattr(v, "path", v.name).split("/", 1)[-1] for v in variables]
    return {
        name: value
        for name, value in zip(names, optimizer_values_of(variables), strict=True)
        if "/" in name or "_" in name
    }


def optimizer_values_of(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


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


# --- the learning rate


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
        [Phase(0, learning_rate=lambda epoch: 0.1 + epoch), Phase(2, frozen="head")],
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


def rate_of(model):
    return float(ops.convert_to_numpy(model.optimizer.learning_rate))


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


def test_reduce_on_plateau_works_beside_it():
    """The rate of a phase is set once; the plateau, of every epoch here, halves it from there."""
    model, recorder = make_model(run_eagerly=True), Recorder()
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    phases = PhasedTraining([Phase(0, learning_rate=0.4), Phase(3, learning_rate_factor=0.1)])
    fit(model, make_sampler(), [phases, plateau, recorder], 5)
    np.testing.assert_allclose(recorder.rates, [0.4, 0.4, 0.2, 0.01, 0.005], rtol=1e-6)
    assert rate_of(model) == pytest.approx(0.1)


def test_what_sets_the_rate_of_every_epoch_is_refused_beside_a_phase_that_does():
    class OwnScheduler(keras.callbacks.LearningRateScheduler):
        pass

    plateau = keras.callbacks.ReduceLROnPlateau("loss")
    every = Phase(0, learning_rate=lambda epoch: 0.1)
    model = make_model(run_eagerly=True)
    before = model.get_weights()
    for phase, beside, message in (
        (Phase(0, learning_rate=0.1), OwnScheduler(lambda epoch, rate: rate), "LearningRateScheduler sets the"),
        (every, plateau, "ReduceLROnPlateau changes a learning rate that a phase sets anew"),
    ):
        for callbacks in ([beside, PhasedTraining([phase])], [PhasedTraining([phase]), beside]):
            with pytest.raises(ValueError, match=message):
                fit(model, make_sampler(), callbacks, 1)
    assert same(before, model.get_weights())
    recorder = Recorder()
    scheduler = OwnScheduler(lambda epoch, rate: 0.01 * (1 + epoch))
    fit(model, make_sampler(), [scheduler, PhasedTraining([Phase(1, frozen="head")]), recorder], 2)
    np.testing.assert_allclose(recorder.rates, [0.01, 0.02], rtol=1e-6)
    assert recorder.changed()[1] == {"backbone", "norm"}


def test_an_optimizer_with_a_schedule_is_refused_only_where_a_phase_sets_a_rate():
    schedule = optimizers.schedules.CosineDecay(0.1, 100)
    model, recorder = make_model(optimizers.SGD(schedule), run_eagerly=True), Recorder()
    with pytest.raises(ValueError, match="cannot change a learning rate that follows a schedule"):
        fit(model, make_sampler(), [PhasedTraining([Phase(1, learning_rate=0.1)])], 1)
    fit(model, make_sampler(), [PhasedTraining([Phase(0, trainable="head")]), recorder], 2)
    assert recorder.changed() == [{"head"}, {"head"}]


# --- before and after


def test_everything_is_as_before_after_fit_and_two_fits_are_alike():
    results = []
    for repeat in (True, False):
        model, sampler = make_model(optimizers.SGD(0.1), run_eagerly=True), make_sampler()
        sampler.distribution = [0.2, 0.3, 0.5]
        model.get_layer("norm").trainable = False
        model.compile(optimizers.SGD(0.1), model.loss, run_eagerly=True)
        flags, phases = all_flags(model), whole(sampler)
        for _ in range(2):
            recorder = Recorder(sampler)
            fit(model, sampler, [phases, recorder])
            assert recorder.changed() == [{"backbone", "head"}, {"head"}, {"head"}, {"backbone", "head"}]
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
            Phase(1, target="balanced", trainable="head", learning_rate=0.02),
            Phase(3, target="natural", trainable=True),
        ],
        sampler,
    )


@pytest.mark.parametrize("same_callback", [True, False])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_fit_that_was_broken_off_leaves_no_trace_in_the_next(same_callback, epoch):
    sampler, model = make_sampler(), make_model(run_eagerly=True)
    sampler.distribution = [0.2, 0.3, 0.5]
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


# --- presets


def test_retrained_classifiers_train_on_data_as_they_are_then_a_new_head_on_balanced_classes():
    sampler = make_sampler(target="sqrt")
    model = make_model(optimizers.AdamW(0.05, weight_decay=0.1), metrics=[Seen()])
    recorder, tap = Recorder(sampler), Tap()
    phases = ClassifierRetraining(sampler, switch_epoch=2, head="head", learning_rate=0.01)
    target = sampler.distribution
    fit(model, sampler, [phases, recorder, tap])
    natural, balanced = [0.6, 0.3, 0.1], [1 / 3] * 3
    assert len(tap.batches) == 16
    assert tap.stale([natural, natural, balanced, balanced], 25) == 0
    assert tap.stale([balanced, balanced, natural, natural], 25) == 16
    assert recorder.changed() == [ALL, ALL, {"head"}, {"head"}]
    assert changed(recorder.after[1], recorder.before[2]) == {"head"}
    np.testing.assert_allclose(recorder.rates, [0.05, 0.05, 0.01, 0.01], rtol=1e-6)
    np.testing.assert_allclose(sampler.distribution, target, rtol=1e-15)


def test_the_head_may_be_kept():
    sampler, recorder = make_sampler(), Recorder()
    phases = ClassifierRetraining(sampler, 1, head=["norm", "head"], target=0.5, reinitialize=False)
    fit(make_model(run_eagerly=True), sampler, [phases, recorder], 2)
    assert recorder.changed() == [ALL, {"norm", "head"}]
    assert changed(recorder.after[0], recorder.before[1]) == set()


def test_learnable_weight_scaling_learns_one_factor_per_class_at_the_end():
    keras.utils.set_random_seed(0)
    sampler = make_sampler()
    layers = [keras.Input((4,)), keras.layers.Dense(5, name="backbone"), keras.layers.Dense(3, name="logits")]
    model = keras.Sequential([*layers, ClassScaling()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.AdamW(0.05, weight_decay=0.1), loss, metrics=[Seen()])
    recorder, tap = Recorder(sampler), Tap()
    fit(model, sampler, [LearnableWeightScaling(sampler, switch_epoch=2), recorder, tap])
    plain, scaling = {"backbone", "logits"}, {"class_scaling"}
    assert recorder.changed() == [plain, plain, scaling, scaling]
    np.testing.assert_array_equal(recorder.before[2]["class_scaling"], [[1, 1, 1]])
    natural, balanced = [0.6, 0.3, 0.1], [1 / 3] * 3
    assert tap.stale([natural, natural, balanced, balanced], 25) == 0
    assert all_flags(model)[-1] == ("class_scaling", True, [True])


def test_verbose_prints_a_line_for_each_phase(capsys):
    sampler = make_sampler()
    phases = [
        Phase(0, target="balanced", frozen="backbone", learning_rate_factor=0.5),
        Phase(1, target=[0.2, 0.3, 0.5], trainable=True, reinitialize="head", learning_rate=0.01),
    ]
    fit(make_model(run_eagerly=True), sampler, [PhasedTraining(phases, sampler, verbose=1)], 3)
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "Epoch 1: draws balanced; frozen backbone; learning rate x 0.5",
        "Epoch 2: draws its target distribution; trainable all as before; reinitialize head; learning rate 0.01",
    ]


# --- bad arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_epoch": -1}, "`start_epoch` must be a whole number of at least 0. Received: start_epoch=-1"),
        ({"start_epoch": 1.5}, "`start_epoch`"),
        ({"start_epoch": True}, "`start_epoch`"),
        ({"trainable": "a", "frozen": "b"}, "Give `trainable` or `frozen`, not both"),
        ({"trainable": False}, "`trainable` must be layers or True"),
        ({"learning_rate": 0.1, "learning_rate_factor": 0.1}, "Give `learning_rate` or `learning_rate_factor`"),
        ({"learning_rate": 0}, "`learning_rate` must be finite and more than 0. Received: learning_rate=0"),
        ({"learning_rate": float("nan")}, "`learning_rate`"),
        ({"learning_rate": "fast"}, "`learning_rate`"),
        ({"learning_rate_factor": -1}, "`learning_rate_factor` must be finite and more than 0"),
        ({"learning_rate_factor": float("inf")}, "`learning_rate_factor`"),
        ({"train_batchnorm": "no"}, "`train_batchnorm` must be None, True or False. Received: train_batchnorm='no'"),
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
        (lambda: PhasedTraining([Phase(0, target="even")], sampler), "`target` must be one of"),
        (lambda: PhasedTraining([Phase(0, target=[1, 2])], sampler), "`target`"),
        (lambda: TwoPhaseLearning(sampler, 0), "`switch_epoch` must be a whole number of at least 1"),
        (lambda: TwoPhaseLearning(sampler, 1.5), "`switch_epoch`"),
        (lambda: TwoPhaseLearning(sampler, 1, learning_rate_factor=0), "`learning_rate_factor`"),
        (lambda: TwoPhaseLearning(None, 1), "`sampler`"),
        (lambda: ClassifierRetraining(sampler, 0, "head"), "`switch_epoch`"),
        (lambda: ClassifierRetraining(sampler, 1, []), "`head` must name at least one layer"),
        (lambda: ClassifierRetraining(sampler, 1, "head", target=[0, 0, 0]), "`target`"),
        (lambda: LearnableWeightScaling(sampler, True), "`switch_epoch`"),
    ):
        before = sampler.state_dict()
        with pytest.raises(ValueError, match=message):
            make()
        assert sampler.state_dict() == before


def test_what_cannot_work_is_an_error_before_any_step():
    sampler = make_sampler()
    known = r"\['backbone', 'head', 'norm'\]"
    once = Phase(0, trainable="head")
    for callbacks, message in (
        ([PhasedTraining([Phase(0, trainable="hed")])], f"`trainable` must name layers.*'hed'.*{known}"),
        ([PhasedTraining([Phase(9, frozen="x*")])], f"`trainable` must name layers of the model.*{known}"),
        ([PhasedTraining([Phase(9, reinitialize="hed")])], f"`reinitialize` must name layers.*{known}"),
        ([ClassifierRetraining(sampler, 1, "hed")], f"`head` must name layers.*{known}"),
        ([LearnableWeightScaling(sampler, 1)], f"`scaling` must name layers.*'class_scaling'.*{known}"),
        ([PhasedTraining([Phase(1, frozen="*")])], "The phase from epoch 1 on trains nothing"),
        ([PhasedTraining([once]), PhasedTraining([once])], "Two callbacks set what trains"),
        (
            [TwoPhaseLearning(sampler, 1), PhasedTraining([Phase(0, learning_rate=1.0)])],
            "Two callbacks set the learning",
        ),
        ([TwoPhaseLearning(sampler, 1), ClassifierRetraining(sampler, 1, "head")], "Two callbacks set the class dist"),
    ):
        model = make_model()
        before, flags = model.get_weights(), all_flags(model)
        with pytest.raises(ValueError, match=message):
            fit(model, sampler, callbacks, 1)
        assert same(before, model.get_weights())
        assert all_flags(model) == flags


def test_a_learning_rate_that_is_none_is_an_error_in_its_epoch():
    phases = PhasedTraining([Phase(0, learning_rate=lambda epoch: float("nan"))])
    with pytest.raises(ValueError, match="`learning_rate` must be finite"):
        fit(make_model(run_eagerly=True), make_sampler(), [phases], 1)


def test_an_optimizer_without_place_for_a_layer_is_an_error():
    model = make_model(run_eagerly=True)
    model.get_layer("backbone").trainable = False
    model.compile(optimizers.SGD(0.1), model.loss, run_eagerly=True)
    fit(model, make_sampler(), [], 1)
    with pytest.raises(ValueError, match="The optimizer was built without some of the variables"):
        fit(model, make_sampler(), [PhasedTraining([Phase(0, trainable="backbone")])], 1)


def test_optimizer_state_is_whole_again_after_fit():
    model = make_model(run_eagerly=True)
    fit(model, make_sampler(), [], 1)
    shapes = [value.shape for value in optimizer_values(model)]
    fit(model, make_sampler(), [PhasedTraining([Phase(0, trainable="head")])], 1)
    assert [value.shape for value in optimizer_values(model)] == shapes
    before = weights_of(model)
    fit(model, make_sampler(), [], 1)
    assert changed(before, weights_of(model)) == ALL
