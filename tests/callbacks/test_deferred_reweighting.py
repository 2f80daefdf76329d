"""DeferredReweighting: the losses that fit reports in each epoch, and its steps, against float64 formulas."""

import numpy as np
import pytest
from kerases import compiles, keras_3_only

from keras_imbalance import (
    ClassBalancedLoss,
    CostMatrixLoss,
    DeferredReweighting,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
)
from keras_imbalance._keras import keras

COUNTS = np.array([400, 60, 5])
START = 2
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(48, 4)).astype("float32"), rng.integers(0, 3, 48)
VALIDATION = X_VAL, Y_VAL = rng.normal(size=(20, 4)).astype("float32"), rng.integers(0, 3, 20)


def effective_number(counts, beta=0.9999):
    """Cui et al. 2019: (1 - b) / (1 - b^n), rescaled to sum C."""
    weights = (1 - beta) / (1 - beta ** np.asarray(counts, float))
    return weights * len(weights) / weights.sum()


def weighted_mean(weights, losses):
    """PyTorch's weighted mean, in which the reference code of LDAM-DRW trains."""
    return np.sum(weights * losses) / np.sum(weights)


def cross_entropy(z, y):
    z = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]


def focal(z, y, gamma=2.0):
    p = np.exp(-cross_entropy(z, y))
    return -((1 - p) ** gamma) * np.log(p)


def ldam(z, y, scale=4.0):
    margins = 0.5 * (COUNTS.min() / COUNTS) ** 0.25
    return cross_entropy(scale * (z - margins * np.eye(3)[y]), y)


def inner(loss, **arguments):
    return ClassBalancedLoss(COUNTS, loss=loss(reduction="none", **arguments))


BALANCED = COUNTS.sum() / (3 * COUNTS)  # the weights that a ClassBalancedLoss is compiled with
LOSSES = {
    "balanced": (lambda: ClassBalancedLoss(COUNTS, from_logits=True), cross_entropy),
    "ldam": (lambda: LDAMLoss(COUNTS, scale=4.0), ldam),
    "focal": (lambda: FocalLoss(from_logits=True), focal),
    "balanced ldam": (lambda: inner(LDAMLoss, class_counts=COUNTS, scale=4.0), ldam),
    "balanced focal": (lambda: inner(FocalLoss, from_logits=True), focal),
    "balanced keras": (lambda: inner(keras.losses.SparseCategoricalCrossentropy, from_logits=True), cross_entropy),
}


class Weights(keras.callbacks.Callback):
    """The model's kernel and bias before each epoch and after it."""

    def on_train_begin(self, logs=None):
        self.before, self.after = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.before.append([part.astype(float) for part in self.model.get_weights()])

    def on_epoch_end(self, epoch, logs=None):
        self.after.append([part.astype(float) for part in self.model.get_weights()])


def linear(loss, optimizer=None, **arguments):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    net.compile(optimizer or keras.optimizers.SGD(0.1), loss, **arguments)
    return net


def fit(net, callbacks, epochs=4, **arguments):
    arguments = {"batch_size": 48, "shuffle": False, "verbose": 0, **arguments}
    return net.fit(X, Y, epochs=epochs, callbacks=callbacks, **arguments).history


JITTED = [pytest.param("balanced focal", True, marks=compiles)]


@pytest.mark.parametrize(
    ("name", "jit_compile"), [*((name, False) for name in LOSSES if name != "balanced focal"), *JITTED]
)
def test_losses_and_steps_of_every_epoch_are_those_of_the_formula(name, jit_compile):
    make, formula = LOSSES[name]
    given = {"class_counts": COUNTS} if name == "focal" else {}
    net, weights = linear(make(), jit_compile=jit_compile), Weights()
    history = fit(net, [weights, DeferredReweighting(START, **given)], validation_data=VALIDATION)
    for epoch in range(4):
        w = np.ones(3) if epoch < START else effective_number(COUNTS)
        (kernel, bias), after = weights.before[epoch], weights.after[epoch]
        np.testing.assert_allclose(
            history["loss"][epoch], weighted_mean(w[Y], formula(X @ kernel + bias, Y)), rtol=1e-5
        )
        compiled = BALANCED if name.startswith("balanced") else np.ones(3)
        expected = np.mean(compiled[Y_VAL] * formula(X_VAL @ after[0] + after[1], Y_VAL))
        np.testing.assert_allclose(history["val_loss"][epoch], expected, rtol=1e-5)
        # One step of gradient descent, its gradient by central differences.
        for i in range(3):
            step = 1e-5 * np.eye(3)[i]
            sides = [weighted_mean(w[Y], formula(X @ kernel + bias + sign * step, Y)) for sign in (1, -1)]
            gradient = (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(after[1][i], bias[i] - 0.1 * gradient, atol=1e-5)


def test_a_fit_that_goes_on_late_is_weighted_at_once():
    """What holds depends on the epoch alone."""
    whole = fit(linear(LDAMLoss(COUNTS, scale=4.0), keras.optimizers.SGD(0.0)), [DeferredReweighting(START)])
    net = linear(LDAMLoss(COUNTS, scale=4.0), keras.optimizers.SGD(0.0))
    late = fit(net, [DeferredReweighting(START)], initial_epoch=3, epochs=4)
    np.testing.assert_allclose(late["loss"], whole["loss"][3:], rtol=1e-6)
    assert abs(whole["loss"][3] / whole["loss"][0] - 1) > 0.03


class Stop(keras.callbacks.Callback):
    """Breaks a fit off after the first weighted batch, or after its epoch."""

    def __init__(self, within):
        super().__init__()
        self.within = within

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.within and self.epoch == START:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if epoch == START:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "within"),
    [("balanced", None), pytest.param("ldam", False, marks=pytest.mark.slow), ("focal", True)],
    ids=["whole", "broken off after an epoch", "broken off within one"],
)
def test_afterwards_the_loss_is_as_compiled(name, within):
    """In evaluation, in a fit without the callback, in a batch, and in another fit with it; after an interrupted fit too."""
    weights = {"balanced": BALANCED.tolist(), "ldam": [1.0, 2.0, 4.0], "focal": [0.5, 1.0, 3.0]}[name]
    loss = {
        "balanced": lambda: ClassBalancedLoss(COUNTS, from_logits=True),
        "ldam": lambda: LDAMLoss(COUNTS, scale=4.0, class_weights=weights),
        "focal": lambda: FocalLoss(alpha=weights, from_logits=True),
    }[name]()
    net = linear(loss, keras.optimizers.SGD(0.0), jit_compile=False)
    kernel, bias = net.get_weights()

    def mean_loss(w, x, y):
        return np.mean(np.array(w)[y] * LOSSES[name][1](x.astype(float) @ kernel + bias, y))

    before, compiled = loss.get_config(), mean_loss(weights, X, Y)
    if within is None:
        fit(net, [DeferredReweighting(START, class_counts=COUNTS)])
    else:
        with pytest.raises(KeyboardInterrupt):
            fit(net, [DeferredReweighting(START, class_counts=COUNTS), Stop(within)])
    assert loss.get_config() == before
    np.testing.assert_allclose(net.evaluate(X, Y, batch_size=48, verbose=0), compiled, rtol=1e-5)
    np.testing.assert_allclose(fit(net, [], epochs=1)["loss"], compiled, rtol=1e-5)
    net.reset_metrics()
    np.testing.assert_allclose(net.train_on_batch(X, Y), compiled, rtol=1e-5)
    history = fit(net, [DeferredReweighting(START, class_counts=COUNTS)], validation_data=VALIDATION)
    acting = [np.ones(3)] * START + [effective_number(COUNTS)] * 2
    np.testing.assert_allclose(history["loss"], [mean_loss(w, X, Y) / w[Y].mean() for w in acting], rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], mean_loss(weights, X_VAL, Y_VAL), rtol=1e-5)
    assert not {"train_step", "make_train_function"} & set(vars(net))


def test_val_loss_does_not_step_and_a_stop_on_it_comes_from_the_model():
    net = linear(LDAMLoss(COUNTS, scale=4.0), keras.optimizers.SGD(0.0))
    history = fit(net, [DeferredReweighting(START)], validation_data=VALIDATION)
    np.testing.assert_allclose(history["val_loss"], history["val_loss"][0], rtol=1e-6)
    assert abs(history["loss"][-1] / history["loss"][0] - 1) > 0.03


@pytest.mark.parametrize(
    ("arguments", "weights"),
    [
        ({"scheme": "inverse_frequency"}, 3 / COUNTS / (1 / COUNTS).sum()),
        ({"scheme": "balanced", "normalize": None, "reduction": None}, COUNTS.sum() / (3 * COUNTS)),
        ({"beta": 0.9, "class_counts": [9, 3, 1]}, effective_number([9, 3, 1], 0.9)),
    ],
)
def test_scheme_beta_counts_and_reduction(arguments, weights):
    net = linear(ClassBalancedLoss(COUNTS, from_logits=True), keras.optimizers.SGD(0.0))
    kernel, bias = net.get_weights()
    history = fit(net, [DeferredReweighting(1, **arguments)], epochs=2)
    losses = cross_entropy(X.astype(float) @ kernel + bias, Y)
    second = np.mean(weights[Y] * losses) if "reduction" in arguments else weighted_mean(weights[Y], losses)
    np.testing.assert_allclose(history["loss"], [losses.mean(), second], rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_class_weight"])
def test_a_reduction_other_than_the_mean_stays(reduction):
    net = linear(LDAMLoss(COUNTS, scale=4.0, class_weights=[1, 2, 3], reduction=reduction), keras.optimizers.SGD(0.0))
    kernel, bias = net.get_weights()
    losses, weights = ldam(X.astype(float) @ kernel + bias, Y), effective_number(COUNTS)
    divisor = {"sum": 1, "mean_with_class_weight": weights[Y].sum()}[reduction]
    first = losses.sum() / (1 if reduction == "sum" else 48)
    history = fit(net, [DeferredReweighting(1)], epochs=2)
    np.testing.assert_allclose(history["loss"], [first, np.sum(weights[Y] * losses) / divisor], rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: LDAMLoss([300, 12], scale=4.0), lambda: FocalLoss(0.0, from_logits=True)])
def test_one_sigmoid_channel(make):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    net.compile(keras.optimizers.SGD(0.0), make())
    labels = (Y == 2).astype("float32")
    z = net.predict(X, verbose=0)[:, 0].astype(float)
    if isinstance(net.loss, LDAMLoss):
        margins = 0.5 * (12 / np.array([300, 12])) ** 0.25
        z = 4 * (z - margins[1] * labels + margins[0] * (1 - labels))
    losses = np.log1p(np.exp(np.where(labels == 1, -z, z)))
    history = net.fit(
        X, labels, batch_size=48, epochs=2, callbacks=[DeferredReweighting(1, class_counts=[300, 12])], verbose=0
    ).history
    weights = effective_number([300, 12])[labels.astype(int)]
    np.testing.assert_allclose(history["loss"], [losses.mean(), weighted_mean(weights, losses)], rtol=1e-5)


def test_several_labels_a_row():
    """Each label has a weight for the rows without it and one for those with it."""
    keras.utils.set_random_seed(0)
    counts = np.array([[90, 10], [50, 50], [99, 1]])
    net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    net.compile(keras.optimizers.SGD(0.0), ClassBalancedLoss(counts, from_logits=True, multi_label=True))
    labels = rng.integers(0, 2, (48, 3)).astype("float32")
    z = net.predict(X, verbose=0).astype(float)
    losses = np.log1p(np.exp(np.where(labels == 1, -z, z)))
    table = np.array([effective_number(row) for row in counts])
    weights = np.where(labels == 1, table[:, 1], table[:, 0])
    history = net.fit(X, labels, batch_size=48, epochs=2, callbacks=[DeferredReweighting(1)], verbose=0).history
    np.testing.assert_allclose(history["loss"], [losses.mean(), weighted_mean(weights, losses)], rtol=1e-5)


def two_headed(loss):
    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((4,))
    heads = [keras.layers.Dense(3, name=name)(inputs) for name in ("a", "b")]
    net = keras.Model(inputs, heads)
    net.compile(keras.optimizers.SGD(0.0), loss)
    return net


@pytest.mark.parametrize(("form", "output"), [("dict", "a"), ("list", None)])
def test_one_output_of_several(form, output):
    losses = [LDAMLoss(COUNTS, scale=4.0), ClassBalancedLoss(COUNTS, from_logits=True)]
    net = two_headed(dict(zip("ab", losses, strict=True)) if form == "dict" else losses)
    z = [part.astype(float) for part in net.predict(X, verbose=0)]
    labels = dict.fromkeys("ab", Y) if form == "dict" else [Y, Y]
    history = net.fit(
        X, labels, batch_size=48, epochs=2, callbacks=[DeferredReweighting(1, output=output)], verbose=0
    ).history
    compiled = {"a": np.ones(3), "b": BALANCED}
    for name, values in (("a", ldam(z[0], Y)), ("b", cross_entropy(z[1], Y))):
        chosen = output in (None, name)
        drawn = [values.mean(), weighted_mean(effective_number(COUNTS)[Y], values)]
        expected = drawn if chosen else [np.mean(compiled[name][Y] * values)] * 2
        np.testing.assert_allclose(history[f"{name}_loss"], expected, rtol=1e-5)


def test_one_loss_for_several_outputs_is_weighted_for_all_or_refused():
    net = two_headed(LDAMLoss(COUNTS, scale=4.0))
    z = [part.astype(float) for part in net.predict(X, verbose=0)]
    history = net.fit(X, [Y, Y], batch_size=48, epochs=2, callbacks=[DeferredReweighting(1)], verbose=0).history
    totals = [sum(weighted_mean(w[Y], ldam(part, Y)) for part in z) for w in (np.ones(3), effective_number(COUNTS))]
    np.testing.assert_allclose(history["loss"], totals, rtol=1e-5)
    with pytest.raises(ValueError, match="`output` must have a loss of its own"):
        net.fit(X, [Y, Y], callbacks=[DeferredReweighting(1, output="a")], verbose=0)


class SaveAlways(keras.callbacks.Callback):
    """Saves the model in every hook of training, and notes what the loss holds there."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.configs, self.files = folder, [], []

    def save(self, *arguments, logs=None):
        self.configs.append(self.model.loss.get_config())
        self.files.append(self.folder / f"{len(self.files)}.keras")
        self.model.save(self.files[-1])

    on_train_begin = on_train_end = on_epoch_begin = on_epoch_end = on_train_batch_end = on_test_batch_end = save


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (lambda: LDAMLoss(COUNTS, class_weights=[1.0, 2.0, 3.0]), False),
        pytest.param(lambda: FocalLoss(alpha=[1.0, 2.0, 3.0], from_logits=True), True, marks=pytest.mark.slow),
        (lambda: ClassBalancedLoss(COUNTS, scheme="sqrt", from_logits=True), True),
    ],
    ids=["ldam, by a later callback", "focal, by an earlier one", "balanced, by an earlier one"],
)
def test_a_model_saved_at_any_time_has_the_loss_as_it_was_compiled(make, first, tmp_path):
    net, save, deferred = linear(make()), SaveAlways(tmp_path), DeferredReweighting(1, class_counts=COUNTS)
    compiled = net.loss.get_config()
    fit(net, [save, deferred] if first else [deferred, save], epochs=2, validation_data=VALIDATION)
    assert len(save.files) == 10
    assert all(config == compiled for config in save.configs)
    for file in save.files[5:]:
        saved = keras.models.load_model(file)
        assert saved.loss.get_config() == compiled
    np.testing.assert_allclose(saved.evaluate(X, Y, verbose=0), net.evaluate(X, Y, verbose=0), rtol=1e-5)


class OwnStep(keras.Model):
    """Trains by a step of its own."""

    def train_step(self, *arguments):
        return super().train_step(*arguments)


class OwnFunction(keras.Model):
    """Trains past `train_step`."""

    def make_train_function(self, force=False):
        self.train_function = lambda *arguments: {"loss": 0.0}
        return self.train_function


def subclassed(kind):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    net = kind(inputs, keras.layers.Dense(3)(inputs))
    net.compile(keras.optimizers.SGD(0.0), LDAMLoss(COUNTS, scale=4.0))
    return net


def test_a_model_with_a_train_step_of_its_own_is_weighted_too():
    net = subclassed(OwnStep)
    z = net.predict(X, verbose=0).astype(float)
    history = fit(net, [DeferredReweighting(1)], epochs=2)
    expected = [weighted_mean(w[Y], ldam(z, Y)) for w in (np.ones(3), effective_number(COUNTS))]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


@keras_3_only("tf-keras reads what its own train function returns")
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="the train function of JAX gives back a state")
def test_a_model_that_trains_in_another_way_is_an_error_and_not_an_unweighted_run():
    with pytest.raises(ValueError, match=r"`model`.*train_step"):
        fit(subclassed(OwnFunction), [DeferredReweighting(1)])


def test_a_train_function_that_is_made_anew_in_fit_keeps_the_weights():
    """As phases make it, before and after the weights change."""

    class Rebuild(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.make_train_function(force=True)

    for order in (1, -1):
        net = linear(LDAMLoss(COUNTS, scale=4.0), keras.optimizers.SGD(0.0))
        kernel, bias = net.get_weights()
        history = fit(net, [DeferredReweighting(START), Rebuild()][::order])
        values = ldam(X.astype(float) @ kernel + bias, Y)
        expected = [weighted_mean(w[Y], values) for w in [np.ones(3)] * 2 + [effective_number(COUNTS)] * 2]
        np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


def test_a_train_function_is_made_only_where_the_weights_change():
    made = []

    class Counted(keras.Model):
        def make_train_function(self, force=False):
            made.append(force)
            return super().make_train_function(force=force)

    net = subclassed(Counted)
    fit(net, [DeferredReweighting(2)], epochs=5)
    assert made.count(True) <= 3  # at the beginning, at the switch, at the end


plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("loss", "callbacks", "message"),
    [
        (plain, [DeferredReweighting(1)], "`loss`.*SparseCategoricalCrossentropy.*ClassBalancedLoss"),
        ("sparse_categorical_crossentropy", [DeferredReweighting(1)], "`loss`.*sparse_categorical_crossentropy"),
        (LogitAdjustedLoss(COUNTS, from_logits=True), [DeferredReweighting(1)], "`loss`.*LogitAdjustedLoss"),
        (CostMatrixLoss(1 - np.eye(3), from_logits=True), [DeferredReweighting(1)], "`loss`.*CostMatrixLoss"),
        (FocalLoss(from_logits=True), [DeferredReweighting(1)], "`class_counts`.*count_classes"),
        (FocalLoss(from_logits=True), [DeferredReweighting(1, class_counts=[3, 1])], "`class_counts`.*3 channels"),
        (LDAMLoss(COUNTS), [DeferredReweighting(1, class_counts=[3, 1])], "`class_counts` must have the shape"),
        (LDAMLoss(COUNTS), [DeferredReweighting(1, output="head")], "`output`.*has a loss"),
        (LDAMLoss(COUNTS), [DeferredReweighting(1), DeferredReweighting(3)], "two DeferredReweighting callbacks"),
        (
            FocalLoss(from_logits=True, multi_label=True),
            [DeferredReweighting(1, class_counts=[[3, 1]] * 3)],
            "multi_label=True.*ClassBalancedLoss",
        ),
    ],
)
def test_what_cannot_be_weighted_is_refused_before_training(loss, callbacks, message):
    net = linear(loss)
    before = net.get_weights()
    labels = np.eye(3)[Y] if getattr(loss, "multi_label", False) else Y
    with pytest.raises(ValueError, match=message):
        net.fit(X, labels, epochs=1, callbacks=callbacks, verbose=0)
    for kept, now in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_without_an_output_name_all_outputs_need_class_weights():
    net = two_headed([LDAMLoss(COUNTS), plain])
    with pytest.raises(ValueError, match=r"name one of the outputs \['a', 'b'\] as `output`"):
        net.fit(X, [Y, Y], callbacks=[DeferredReweighting(1)], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_epoch": -1}, "`start_epoch`.*at least 0"),
        ({"start_epoch": 1.5}, "`start_epoch`.*whole number"),
        ({"start_epoch": True}, "`start_epoch`.*whole number"),
        ({"start_epoch": 1, "scheme": "cubic"}, "`scheme` must be one of"),
        ({"start_epoch": 1, "beta": 1.0}, "`beta`"),
        ({"start_epoch": 1, "normalize": "mean"}, "`normalize` must"),
        ({"start_epoch": 1, "output": 0}, "`output`.*name"),
        ({"start_epoch": 1, "class_counts": [5, 0]}, "`class_counts`.*positive"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeferredReweighting(**arguments)
