"""What the optimizer knows of a layer goes on from phase to phase: against formulas in float64 and new optimizers."""

import json

import numpy as np
import pytest
from kerases import IS_TF_KERAS, keras_3_only, needs_multi_optimizer, since_keras
from phase_runs import (
    EMA,
    Break,
    BreakOff,
    Recorder,
    data,
    fit,
    linear_model,
    make_model,
    make_sampler,
    optimizer_values,
    same,
    slots,
    weights_of,
)

from keras_imbalance import (
    Phase,
    PhasedTraining,
    layerwise_optimizer,
)
from keras_imbalance._keras import keras, ops

optimizers = keras.optimizers


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
    phases = [Phase(2, freeze="backbone"), Phase(4, unfreeze=True), Phase(6, reinitialize="head")]
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


BROKEN = {
    "Muon": [since_keras("3.13", "Muon fails in its first step")],
    "parts by map": [needs_multi_optimizer],
    "parts by function": [needs_multi_optimizer],
}
QUICK = {"Adam", "SGD", "Adafactor", "Nadam", "loss scale", "parts by map"}


def one_of_each(name, *arguments):
    """A case of an optimizer, slow where another keeps what it knows in much the same way."""
    marks = BROKEN.get(name, [])
    return pytest.param(name, *arguments, marks=marks if name in QUICK else [*marks, pytest.mark.slow])


@pytest.mark.parametrize("name", [one_of_each(name) for name in SLOTS])
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


class Idle(keras.layers.Layer):
    """A weight whose gradient is 0, so that freezing it changes nothing but the optimizer."""

    def build(self, input_shape):
        self.idle = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="idle")

    def call(self, inputs):
        return inputs + 0.0 * self.idle


class ByName(optimizers.Optimizer):
    """Momentum in a dict, as optimizers of one's own may keep it."""

    def build(self, variables):
        super().build(variables)
        self.kept = {i: self.add_variable_from_reference(v, name="kept") for i, v in enumerate(variables)}

    def update_step(self, gradient, variable, learning_rate):
        kept = self.kept[self._get_variable_index(variable)]  # on TensorFlow what is given has no path
        self.assign(kept, ops.add(0.9 * kept, gradient))
        self.assign_sub(variable, ops.multiply(kept, ops.cast(learning_rate, variable.dtype)))


def slot_values(optimizer):
    """Every variable of the optimizer, with its path without the optimizer's name."""
    return [(v.path.split("/", 1)[-1], np.array(ops.convert_to_numpy(v))) for v in optimizer.variables]


def parts():
    """A function that gives a MultiOptimizer a new part for every variable."""
    return lambda v: optimizers.SGD(0.02, momentum=0.9) if "head" in v.path else optimizers.Adam(0.02)


def multi(map_of_optimizers):
    return optimizers.MultiOptimizer(map_of_optimizers)


def by_map():
    return multi(optimizers.OptimizerMap(optimizers.Adam(0.02), {"head/.*": optimizers.SGD(0.02, momentum=0.9)}))


def without_decay_of_biases():
    optimizer = optimizers.AdamW(0.02, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


# One of each way in which an optimizer keeps what it knows.
UNDISTURBED = {
    **{
        name: (lambda name=name: getattr(optimizers, name)(0.02, **SLOTS[name]))
        for name in ("Adam", "AdamW", "RMSprop")
    },
    **{name: (lambda name=name: getattr(optimizers, name)(0.02)) for name in ("Adafactor", "Nadam", "Muon")},
    "accumulation": lambda: optimizers.Adam(0.02, gradient_accumulation_steps=3),
    "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.02, **EMA), dynamic_growth_steps=5),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.05, 12)),
    "function of the rate": lambda: optimizers.SGD(lambda: 0.02, momentum=0.9),
    "no decay of biases": without_decay_of_biases,
    "slots by name": lambda: ByName(0.02),
    "parts by map": by_map,
    "parts by function": lambda: multi(parts()),
}


@keras_3_only("one optimizer serves every phase")
@pytest.mark.parametrize(
    ("name", "equal_names"),
    [
        *(one_of_each(name, False) for name in UNDISTURBED),
        *((name, True) for name in ("Adam", "Adafactor")),  # every way of finding slots once
    ],
)
def test_a_new_optimizer_in_every_epoch_equals_an_undisturbed_fit(name, equal_names):
    """The oracle is fit without phases, to the bit; layers of equal names in nested models have equal paths."""
    weights, values = [], []
    for phases in ([], [PhasedTraining([Phase(i, **{["freeze", "unfreeze"][i % 2]: "idle"}) for i in range(3)])]):
        keras.utils.set_random_seed(2)
        names = ["twin", "twin"] if equal_names else ["one", "two"]
        inner = [
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="tanh", name=name)], name=f"part{i}")
            for i, name in enumerate(names)
        ]
        layers = [keras.Input((4,)), *inner, Idle(name="idle"), keras.layers.Dense(3, name="head")]
        model = keras.Sequential(layers, name="model")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(UNDISTURBED[name](), loss, run_eagerly=True)
        fit(model, make_sampler(batch_size=50), phases, 3)
        weights.append([w for path, of_layer in weights_of(model).items() if path != "idle" for w in of_layer])
        # Where every variable has a part of its own, that of the idle one has a clock of its own too.
        compared = "kernel" if name == "parts by function" else ""
        values.append([(p, v) for p, v in slot_values(model.optimizer) if "idle" not in p and compared in p])
    assert same(*weights)
    for (path, one), (_, other) in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=path)


@keras_3_only("one optimizer serves every phase")
def test_an_average_that_begins_late_begins_at_the_weight():
    """At a rate of almost 0 weights stay, so their averages must be the weights."""
    model = make_model(optimizers.Adam(1e-12, **EMA))
    model.get_layer("backbone").trainable = False
    model.compile(model.optimizer, model.loss)
    before = weights_of(model)["backbone"]
    fit(model, make_sampler(), [PhasedTraining([Phase(2, unfreeze="backbone")])])
    np.testing.assert_allclose(weights_of(model)["backbone"][0], before[0], rtol=1e-6)


@keras_3_only("one optimizer serves every phase")
def test_a_layer_that_freezes_takes_its_average():
    """The oracle is a fit without phases that ends where the layer freezes."""
    ended, model, recorder = (
        (make_model(optimizers.Adam(0.05, **EMA), run_eagerly=True) for _ in range(2)),
        None,
        Recorder(),
    )
    ended, model = ended
    fit(ended, make_sampler(), [], 2)
    fit(model, make_sampler(), [PhasedTraining([Phase(2, freeze="backbone")]), recorder], 3)
    assert same(recorder.before[2]["backbone"], weights_of(ended)["backbone"])
    assert same(recorder.before[2]["head"], recorder.after[1]["head"])
    assert not same(recorder.after[1]["backbone"], recorder.before[2]["backbone"])


def test_after_fit_the_model_has_its_own_optimizer_with_all_that_was_learnt():
    model, copies = make_model(optimizers.Adam(0.05), run_eagerly=True), []
    fit(model, make_sampler(), [], 1)
    own, before = model.optimizer, slots(model.optimizer)
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: copies.append(model.optimizer))
    fit(model, make_sampler(), [PhasedTraining([Phase(1, freeze=True, unfreeze="head")]), watch], 3)
    assert model.optimizer is own
    assert [copy is own for copy in copies] == ([True] * 3 if IS_TF_KERAS else [True, False, False])
    after = slots(own)
    assert all(not np.array_equal(before[name], after[name]) for name in before if "head" in name)
    assert int(ops.convert_to_numpy(own.iterations)) == 16
    model.optimizer.learning_rate = 0.5  # what a user has at hand is the model's
    recorder = Recorder()
    fit(model, make_sampler(), [recorder], 1)
    assert recorder.rates == [0.5]


@keras_3_only("one optimizer serves every phase")
def test_an_optimizer_that_cannot_be_made_anew_is_an_error_before_training():
    class Own(optimizers.SGD):
        def __init__(self, needed, rate):
            super().__init__(rate)

    class Scattered(optimizers.SGD):
        def build(self, variables):
            super().build(variables)
            self.scattered = {v.path: self.add_variable(v.shape, name="x") for v in variables}

    for optimizer, message in (
        (Own(1, 0.1), "The optimizer must be one that Keras can make anew"),
        (Scattered(0.1), "slots"),
    ):
        model = make_model(optimizer)
        before = model.get_weights()
        with pytest.raises(ValueError, match=message):
            fit(model, make_sampler(), [PhasedTraining([Phase(1, freeze="head")])], 2)
        assert same(before, model.get_weights())


@keras_3_only("nothing is set aside")
@pytest.mark.parametrize(
    "killed", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_a_fit_that_goes_on_from_its_state_finds_the_slots_of_frozen_layers(killed):
    """The oracle is the fit that was not killed, to the bit: the state goes through JSON, the arrays do not."""
    (x, y), kept = data(), {}

    def run(*callbacks, **arguments):
        model = make_model(optimizers.AdamW(0.05, weight_decay=0.1), run_eagerly=True)
        phases = PhasedTraining(
            [
                Phase(1, freeze=True, unfreeze="head", learning_rate_factor=0.5),
                Phase(2, unfreeze="norm"),
                Phase(3, unfreeze=True),
            ]
        )
        if arguments:  # a run that is started again keeps its backup last
            callbacks = [keras.callbacks.LambdaCallback(on_train_begin=lambda logs: restore(model, phases))]
        else:
            callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: keep(epoch, model, phases))]
        model.fit(x, y, 50, 4, shuffle=False, verbose=0, callbacks=[phases, *callbacks], **arguments)
        return model

    def keep(epoch, model, phases):
        if epoch + 1 == killed:
            kept["state"], kept["arrays"] = json.dumps(phases.state_dict()), phases.state_arrays()
            kept["weights"], kept["optimizer"] = model.get_weights(), optimizer_values(model)

    def restore(model, phases):
        phases.load_state_dict(json.loads(kept["state"]))
        phases.load_state_arrays(kept["arrays"])
        model.set_weights(kept["weights"])
        for variable, value in zip(model.optimizer.variables, kept["optimizer"], strict=True):
            variable.assign(value)

    whole, resumed = run(), run(initial_epoch=killed)
    assert bool(kept["arrays"]) == (killed > 1)
    assert same(whole.get_weights(), resumed.get_weights())
    assert same(optimizer_values(whole), optimizer_values(resumed))


@keras_3_only("nothing is set aside")
def test_arrays_of_another_optimizer_are_refused():
    phases = PhasedTraining([Phase(0, freeze="head")])
    for arrays in ({"0._momentums": np.zeros(3)}, {"99._momentums": np.zeros(3)}, {"0.path": np.zeros(3)}):
        load = keras.callbacks.LambdaCallback(
            on_train_begin=lambda logs, arrays=arrays: phases.load_state_arrays(arrays)
        )
        with pytest.raises(ValueError, match="must be a slot"):
            fit(make_model(optimizers.Adam(0.1)), make_sampler(), [phases, load], 1)
