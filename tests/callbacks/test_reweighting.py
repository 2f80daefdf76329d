"""DeferredReweighting: the losses that fit reports in each epoch, against float64 formulas."""

import numpy as np
import pytest

from keras_imbalance import (
    ClassBalancedLoss,
    CostMatrixLoss,
    DeferredReweighting,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
)
from keras_imbalance.backend import keras

COUNTS = np.array([400, 60, 5])
START = 2
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(48, 4)).astype("float32"), rng.integers(0, 3, 48)
X_VAL, Y_VAL = rng.normal(size=(20, 4)).astype("float32"), rng.integers(0, 3, 20)


def effective_number(counts, beta=0.9999):
    """Cui et al. 2019: (1 - b) / (1 - b^n), rescaled to sum C."""
    weights = (1 - beta) / (1 - beta ** np.asarray(counts, float))
    return weights * len(weights) / weights.sum()


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
    arguments = {"validation_data": (X_VAL, Y_VAL), "batch_size": 48, "shuffle": False, "verbose": 0, **arguments}
    return net.fit(X, Y, epochs=epochs, callbacks=callbacks, **arguments).history


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_steps_of_every_epoch_are_those_of_the_formula(name, jit_compile):
    make, formula = LOSSES[name]
    given = {"class_counts": COUNTS} if name == "focal" else {}
    net, weights = linear(make(), jit_compile=jit_compile), Weights()
    history = fit(net, [weights, DeferredReweighting(START, **given)])
    for epoch in range(4):
        w = np.ones(3) if epoch < START else effective_number(COUNTS)
        (kernel, bias), after = weights.before[epoch], weights.after[epoch]
        np.testing.assert_allclose(history["loss"][epoch], np.mean(w[Y] * formula(X @ kernel + bias, Y)), rtol=1e-5)
        expected = np.mean(w[Y_VAL] * formula(X_VAL @ after[0] + after[1], Y_VAL))
        np.testing.assert_allclose(history["val_loss"][epoch], expected, rtol=1e-5)
        # One step of gradient descent, its gradient by central differences.
        for i in range(3):
            step = 1e-5 * np.eye(3)[i]
            sides = [np.mean(w[Y] * formula(X @ kernel + bias + sign * step, Y)) for sign in (1, -1)]
            gradient = (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(after[1][i], bias[i] - 0.1 * gradient, atol=1e-5)


def test_a_fit_that_goes_on_late_is_weighted_at_once():
    """What holds depends on the epoch alone."""
    whole = fit(linear(LDAMLoss(COUNTS, scale=4.0), keras.optimizers.SGD(0.0)), [DeferredReweighting(START)])
    net = linear(LDAMLoss(COUNTS, scale=4.0), keras.optimizers.SGD(0.0))
    late = fit(net, [DeferredReweighting(START)], initial_epoch=3, epochs=4)
    np.testing.assert_allclose(late["loss"], whole["loss"][3:], rtol=1e-6)
    assert abs(whole["loss"][3] / whole["loss"][0] - 1) > 0.1


@pytest.mark.parametrize(
    ("name", "broken_off"), [("balanced", True), ("ldam", True), ("focal", True), ("focal", False)]
)
def test_afterwards_the_loss_is_as_compiled(name, broken_off):
    """`evaluate` gives what it gave before, and a second fit what the first gave; also after a fit that was interrupted."""
    weights = {"balanced": (COUNTS.sum() / COUNTS).tolist(), "ldam": [1.0, 2.0, 4.0], "focal": [0.5, 1.0, 3.0]}[name]
    loss = {
        "balanced": lambda: ClassBalancedLoss(COUNTS, from_logits=True),
        "ldam": lambda: LDAMLoss(COUNTS, scale=4.0, class_weights=weights),
        "focal": lambda: FocalLoss(alpha=weights, from_logits=True),
    }[name]()
    net = linear(loss, keras.optimizers.SGD(0.0), jit_compile=False)
    kernel, bias = net.get_weights()
    z, formula = X_VAL.astype(float) @ kernel + bias, LOSSES[name][1]
    compiled = np.mean(np.array(weights)[Y_VAL] * formula(z, Y_VAL))
    np.testing.assert_allclose(net.evaluate(X_VAL, Y_VAL, verbose=0), compiled, rtol=1e-5)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == START:
                raise KeyboardInterrupt

    if broken_off:
        with pytest.raises(KeyboardInterrupt):
            fit(net, [DeferredReweighting(START, class_counts=COUNTS), Stop()])
    for _ in range(2):
        history = fit(net, [DeferredReweighting(START, class_counts=COUNTS)])
        expected = [np.mean(w[Y_VAL] * formula(z, Y_VAL)) for w in [np.ones(3)] * 2 + [effective_number(COUNTS)] * 2]
        np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-5)
        np.testing.assert_allclose(net.evaluate(X_VAL, Y_VAL, verbose=0), compiled, rtol=1e-5)
    if name == "focal":
        assert loss.alpha == weights
    np.testing.assert_allclose(fit(net, [], epochs=1)["val_loss"], compiled, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "weights"),
    [
        ({"scheme": "inverse_frequency"}, 3 / COUNTS / (1 / COUNTS).sum()),
        ({"scheme": "balanced", "normalize": None}, COUNTS.sum() / (3 * COUNTS)),
        ({"beta": 0.9}, effective_number(COUNTS, 0.9)),
        ({"class_counts": [9, 3, 1]}, effective_number([9, 3, 1])),
    ],
)
def test_scheme_beta_and_counts(arguments, weights):
    net = linear(ClassBalancedLoss(COUNTS, from_logits=True), keras.optimizers.SGD(0.0))
    kernel, bias = net.get_weights()
    history = fit(net, [DeferredReweighting(1, **arguments)], epochs=2)
    losses = cross_entropy(X.astype(float) @ kernel + bias, Y)
    np.testing.assert_allclose(history["loss"], [losses.mean(), np.mean(weights[Y] * losses)], rtol=1e-5)


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
    np.testing.assert_allclose(history["loss"], [losses.mean(), np.mean(weights * losses)], rtol=1e-5)


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
    np.testing.assert_allclose(history["loss"], [losses.mean(), np.mean(weights * losses)], rtol=1e-5)


def two_headed(loss):
    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((4,))
    heads = [keras.layers.Dense(3, name=name)(inputs) for name in ("a", "b")]
    net = keras.Model(inputs, heads)
    net.compile(keras.optimizers.SGD(0.0), loss)
    return net


@pytest.mark.parametrize("form", ["dict", "list"])
@pytest.mark.parametrize("output", ["a", "b", None])
def test_one_output_of_several(form, output):
    losses = [LDAMLoss(COUNTS, scale=4.0), ClassBalancedLoss(COUNTS, from_logits=True)]
    net = two_headed(dict(zip("ab", losses, strict=True)) if form == "dict" else losses)
    z = [part.astype(float) for part in net.predict(X, verbose=0)]
    labels = dict.fromkeys("ab", Y) if form == "dict" else [Y, Y]
    history = net.fit(
        X, labels, batch_size=48, epochs=2, callbacks=[DeferredReweighting(1, output=output)], verbose=0
    ).history
    compiled = {"a": np.ones(3), "b": COUNTS.sum() / COUNTS}
    for name, values in (("a", ldam(z[0], Y)), ("b", cross_entropy(z[1], Y))):
        chosen = output in (None, name)
        rows = [np.ones(3), effective_number(COUNTS)] if chosen else [compiled[name]] * 2
        np.testing.assert_allclose(history[f"{name}_loss"], [np.mean(w[Y] * values) for w in rows], rtol=1e-5)


def test_one_loss_for_several_outputs_is_weighted_for_all_or_refused():
    net = two_headed(LDAMLoss(COUNTS, scale=4.0))
    z = [part.astype(float) for part in net.predict(X, verbose=0)]
    history = net.fit(X, [Y, Y], batch_size=48, epochs=2, callbacks=[DeferredReweighting(1)], verbose=0).history
    totals = [sum(np.mean(w[Y] * ldam(part, Y)) for part in z) for w in (np.ones(3), effective_number(COUNTS))]
    np.testing.assert_allclose(history["loss"], totals, rtol=1e-5)
    with pytest.raises(ValueError, match="`output` must have a loss of its own"):
        net.fit(X, [Y, Y], callbacks=[DeferredReweighting(1, output="a")], verbose=0)


@pytest.mark.parametrize(
    ("make", "attribute"),
    [
        (lambda: LDAMLoss(COUNTS, class_weights=[1.0, 2.0, 3.0]), "class_weights"),
        (lambda: FocalLoss(alpha=[1.0, 2.0, 3.0], from_logits=True), "alpha"),
        (lambda: ClassBalancedLoss(COUNTS, "sqrt", from_logits=True), "class_weights"),
    ],
)
def test_a_model_saved_in_either_phase_has_the_loss_as_it_was_compiled(make, attribute, tmp_path):
    class Set(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            during.append(getattr(self.model.loss, attribute))

    during: list = []
    net = linear(make())
    save = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    fit(net, [DeferredReweighting(1, class_counts=COUNTS), Set(), save], epochs=2)
    np.testing.assert_allclose(during[1], effective_number(COUNTS), rtol=1e-6)
    compiled = getattr(make(), attribute)
    for epoch in (1, 2):
        saved = keras.models.load_model(tmp_path / f"{epoch}.keras")
        np.testing.assert_allclose(getattr(saved.loss, attribute), compiled, rtol=1e-12)
    np.testing.assert_allclose(saved.evaluate(X, Y, verbose=0), net.evaluate(X, Y, verbose=0), rtol=1e-5)


plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("loss", "callbacks", "message"),
    [
        (
            plain,
            [DeferredReweighting(1)],
            "with class weights.*Received: SparseCategoricalCrossentropy.*ClassBalancedLoss",
        ),
        ("sparse_categorical_crossentropy", [DeferredReweighting(1)], "Received: 'sparse_categorical_crossentropy'"),
        (LogitAdjustedLoss(COUNTS, from_logits=True), [DeferredReweighting(1)], "Received: LogitAdjustedLoss"),
        (CostMatrixLoss(1 - np.eye(3), from_logits=True), [DeferredReweighting(1)], "Received: CostMatrixLoss"),
        (FocalLoss(from_logits=True), [DeferredReweighting(1)], "`class_counts` must be given for a FocalLoss"),
        (
            FocalLoss(from_logits=True),
            [DeferredReweighting(1, class_counts=[3, 1])],
            "`class_counts` must hold 3 counts",
        ),
        (LDAMLoss(COUNTS), [DeferredReweighting(1, class_counts=[3, 1])], "`class_counts` must have the shape"),
        (LDAMLoss(COUNTS), [DeferredReweighting(1, output="head")], "`output` must be an output that has a loss"),
        (LDAMLoss(COUNTS), [DeferredReweighting(1), DeferredReweighting(3)], "Two DeferredReweighting callbacks"),
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
        ({"start_epoch": -1}, "`start_epoch` must not be negative"),
        ({"start_epoch": 1.5}, "`start_epoch` must be a whole number"),
        ({"start_epoch": True}, "`start_epoch` must be a whole number"),
        ({"start_epoch": 1, "scheme": "cubic"}, "`scheme` must be one of"),
        ({"start_epoch": 1, "beta": 1.0}, "`beta` must be in"),
        ({"start_epoch": 1, "normalize": "mean"}, "`normalize` must"),
        ({"start_epoch": 1, "output": 0}, "`output` must be None or the name"),
        ({"start_epoch": 1, "class_counts": [5, 0]}, "`class_counts` must hold one positive"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeferredReweighting(**arguments)
