"""A sampler, and a loss that is adjusted to what it draws: corrected once, whatever is drawn and whoever changes it."""

import warnings

import numpy as np
import pytest
from phase_runs import Break, BreakOff

from keras_imbalance import (
    ArraySampler,
    ClassBalancedLoss,
    ClassSampler,
    DynamicSampling,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    PerClassLogger,
    PerClassRecall,
    Phase,
    PhasedTraining,
    ProgressiveSampling,
    StreamSampler,
    WeightedSum,
)
from keras_imbalance._keras import keras, ops
from keras_imbalance.callbacks.matched_pair import corrected_twice

COUNTS = np.array([160, 30, 10])
# Rows of every class at each of three points: the only feature of a row is the point that it stands at.
AT_POINT = np.array([[100, 40, 20], [6, 18, 6], [1, 2, 7]])
Y = np.repeat(np.arange(3), COUNTS)
POINTS = np.concatenate([np.repeat(np.arange(3), row) for row in AT_POINT])
X = np.eye(3, dtype="float32")[POINTS]
NATURAL = COUNTS / COUNTS.sum()


def sampler_of(target="balanced", **arguments):
    return ArraySampler(X, Y, batch_size=50, target=target, seed=0, **arguments)


def table(loss, optimizer, **arguments):
    """A net with one logit of each class for every point."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.compile(optimizer, loss, **arguments)
    return model


def fit(model, sampler, epochs, callbacks=(), **arguments):
    arguments = {"shuffle": False, "verbose": 0, **arguments}
    return model.fit(sampler.dataset(), epochs=epochs, callbacks=list(callbacks), **arguments).history


class Decaying(keras.callbacks.Callback):
    """The rate falls to nothing, so that the mean of many batches is learnt."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.3 * (1 - epoch / self.epochs) ** 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("drawn", "wanted"),
    [
        (0.0, NATURAL.tolist()),
        (0.75, "balanced"),
        (1.0, "balanced"),
        ("capped", "balanced"),
        pytest.param("dynamic", NATURAL.tolist(), marks=pytest.mark.every_backend),
    ],
    ids=str,
)
def test_the_logits_learnt_are_those_of_the_prior_asked_for_whatever_is_drawn(drawn, wanted):
    """Bayes: log-odds of the classes at a point are those of the rows there, moved from the natural prior to the one wanted."""
    cap = {"max_repeats": 3} if drawn == "capped" else {}
    size = 500 if cap else 1000
    sampler = sampler_of("balanced" if isinstance(drawn, str) else drawn, epoch_size=size, **cap)
    loss = LogitAdjustedLoss(sampler, output_prior=wanted, from_logits=True)
    model, epochs = table(loss, keras.optimizers.Adam(0.3), metrics=[PerClassRecall(3)]), 60
    callbacks = [Decaying(epochs)]
    if drawn == "dynamic":
        callbacks.append(DynamicSampling(sampler, monitor="recall"))
    fit(model, sampler, epochs, callbacks)
    bayes = np.log(AT_POINT / COUNTS[:, None]).T + np.log(loss.output_prior)
    learnt = model.get_weights()[0].astype(float)
    centred = [part - part.mean(axis=1, keepdims=True) for part in (learnt, bayes)]
    np.testing.assert_allclose(*centred, atol=0.05)


def entropy(shares, logits, prior):
    """Mean loss of rows of these shares: CE(z + log drawn - log wanted), for logits that are the same in every row."""
    shifted = logits + np.log(shares) - np.log(prior)
    return float(np.asarray(shares) @ (np.log(np.exp(shifted).sum()) - shifted))


def still(loss, **arguments):
    """A net that stays as it is: its loss tells what the loss is adjusted to."""
    logits = np.array([1.0, 0.0, -1.0])
    model = table(loss, keras.optimizers.SGD(0.0), **arguments)
    model.set_weights([np.tile(logits, (3, 1))])
    return model, logits


ENDS = [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]


def callbacks_of(kind, sampler):
    if kind == "progressive":
        return [ProgressiveSampling(sampler, start_target=ENDS[0], end_target=ENDS[1])], np.linspace(*ENDS, 3)
    return [PhasedTraining([Phase(0, target=ENDS[0]), Phase(2, target=ENDS[1])], sampler)], [ENDS[0], *ENDS]


WITHIN = {
    "a function": lambda loss: lambda y, logits: loss(y, logits),
    "a sum": lambda loss: WeightedSum([FocalLoss(from_logits=True), loss], weights=[0, 1]),
}


@pytest.mark.parametrize(("kind", "within"), [("progressive", "a function"), ("phases", "a sum")])
def test_the_compiled_step_follows_whoever_changes_the_target(kind, within):
    sampler = sampler_of(NATURAL.tolist())
    loss = LogitAdjustedLoss(sampler, from_logits=True)
    model, logits = still(WITHIN[within](loss))
    callbacks, shares = callbacks_of(kind, sampler)
    fit(model, sampler, 1)  # what was traced without callbacks is no obstacle
    for _ in range(2):
        history = fit(model, sampler, 3, callbacks, validation_data=(X, Y), validation_batch_size=200)
        np.testing.assert_allclose(history["loss"], [entropy(s, logits, np.ones(3) / 3) for s in shares], rtol=2e-5)
        # What is validated has the natural shares, and the loss that of the epoch.
        val = [NATURAL @ (np.log(np.exp(z).sum()) - z) for z in (logits + np.log(s) for s in np.asarray(shares))]
        np.testing.assert_allclose(history["val_loss"], val, rtol=1e-5)
        np.testing.assert_allclose(loss.drawn_prior, NATURAL)
        np.testing.assert_allclose(sampler.distribution, NATURAL)
    after = fit(model, sampler, 1)["loss"][0]
    np.testing.assert_allclose(after, entropy(NATURAL, logits, np.ones(3) / 3), rtol=2e-5)


def test_after_a_fit_that_was_broken_off_the_loss_is_that_of_the_target():
    sampler = sampler_of(NATURAL.tolist())
    loss = LogitAdjustedLoss(sampler, from_logits=True)
    model, logits = still(loss)
    progressive, shares = callbacks_of("progressive", sampler)
    with pytest.raises(Break):
        fit(model, sampler, 3, [*progressive, BreakOff(1)])
    history = fit(model, sampler, 3, progressive)
    np.testing.assert_allclose(history["loss"], [entropy(s, logits, np.ones(3) / 3) for s in shares], rtol=2e-5)
    np.testing.assert_allclose(loss.drawn_prior, NATURAL)


def test_one_sigmoid_channel_is_matched_too():
    labels = np.minimum(Y, 1)
    sampler = ArraySampler(X, labels[:, None], classes=labels, batch_size=50, target=0.5, seed=0)
    loss = LogitAdjustedLoss(sampler, output_prior=[0.7, 0.3], from_logits=True)
    drawn = sampler.distribution
    z = np.array([[0.5]])
    shifted = z + np.log(drawn[1] / drawn[0]) - np.log(0.3 / 0.7)
    np.testing.assert_allclose(float(loss(np.array([[1.0]]), z)), np.log1p(np.exp(-shifted))[0, 0], rtol=1e-6)


def test_a_loss_for_other_shares_than_are_drawn_is_an_error_at_the_sampler():
    sampler = sampler_of()
    loss = LogitAdjustedLoss(sampler, from_logits=True)
    sampler.target = 0.75
    with pytest.raises(ValueError, match="`target` must give the shares that the loss is adjusted to"):
        sampler.dataset()
    rows = ClassSampler(Y, seed=0)
    other = LogitAdjustedLoss(rows, from_logits=True)
    rows.target = "natural"
    with pytest.raises(ValueError, match="`target`"):
        next(iter(rows))
    another = LogitAdjustedLoss(rows, from_logits=True)  # that of another model is still there
    assert len(next(iter(rows)))
    assert len({id(loss), id(other), id(another)}) == 3


def test_a_loss_that_is_gone_is_no_obstacle():
    sampler = sampler_of()
    LogitAdjustedLoss(sampler)
    sampler.target = 0.75
    assert sampler.dataset() is not None


def test_a_saved_loss_holds_numbers(tmp_path):
    sampler = sampler_of(0.5)
    loss = LogitAdjustedLoss(sampler, output_prior=[0.5, 0.3, 0.2], from_logits=True)
    model = table(loss, "sgd")
    fit(model, sampler, 2, [ProgressiveSampling(sampler)])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    z = np.array([[1.0, 0.0, 2.0]])
    assert float(again.loss(np.array([1]), z)) == pytest.approx(float(loss(np.array([1]), z)), rel=1e-6)
    assert again.loss.class_counts == sampler.distribution.tolist()
    weights = [w.shape for w in again.weights]
    assert weights == [(3, 3)]  # nothing of the pair among them


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LogitAdjustedLoss(sampler_of([0.5, 0.5, 0.0])),
            r"`class_counts` must be a sampler that draws every.*'2'",
        ),
        (lambda: LogitAdjustedLoss(sampler_of(), multi_label=True), r"`class_counts` must hold counts \(C, 2\)"),
        (lambda: LogitAdjustedLoss(sampler_of().dataset()), "`class_counts`"),
    ],
)
def test_what_is_no_pair_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def said(loss, target, callbacks):
    sampler = sampler_of(target)
    model, _ = still(loss if isinstance(loss, keras.losses.Loss) else loss(sampler), metrics=[PerClassRecall(3)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, sampler, 3, callbacks(sampler))
    return [str(w.message) for w in caught if "correct twice" in str(w.message)]


def phases_to(target):
    return lambda sampler: [PhasedTraining([Phase(1, target=target)], sampler)]


def test_counts_of_the_data_beside_shares_that_are_not_natural_are_warned_of_once():
    adjusted, weighted = LogitAdjustedLoss(COUNTS, from_logits=True), ClassBalancedLoss(COUNTS, from_logits=True)
    for loss, compiled in ((adjusted, adjusted), (weighted, WeightedSum([FocalLoss(from_logits=True), weighted]))):
        (message,) = said(compiled, "natural", phases_to("balanced"))
        assert type(loss).__name__ in message
        assert "LogitAdjustedLoss(sampler)" in message


@pytest.mark.parametrize("with_phases", [False, True])
def test_a_logger_of_a_sampler_warns_of_counts_of_the_data_too(with_phases):
    def callbacks(sampler):
        return [PerClassLogger(sampler=sampler), *(phases_to("balanced")(sampler) if with_phases else [])]

    assert len(said(LogitAdjustedLoss(COUNTS, from_logits=True), "balanced", callbacks)) == 1
    assert not said(LogitAdjustedLoss([1, 1, 1], from_logits=True), "balanced", callbacks)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (lambda sampler: LogitAdjustedLoss(sampler, from_logits=True), "balanced"),
        (LogitAdjustedLoss([1, 1, 1], from_logits=True), "balanced"),
        (ClassBalancedLoss(COUNTS, from_logits=True), "natural"),
    ],
)
def test_what_corrects_once_is_no_reason_to_warn(loss, target):
    assert not said(loss, target, phases_to(target))


@pytest.mark.parametrize(
    ("counts", "name"), [(np.repeat([9, 1], 1000), "LogitAdjustedLoss"), (np.ones(2000), None)], ids=["data", "drawn"]
)
def test_shares_of_thousands_of_classes_are_told_apart(counts, name):
    sampler = ClassSampler(np.repeat(np.arange(2000), np.repeat([9, 1], 1000)), target="balanced")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2000)])
    model.compile("sgd", LogitAdjustedLoss(counts, from_logits=True))
    assert corrected_twice(model, sampler) == name


@pytest.mark.parametrize("form", ["ids", "one-hot"])
@pytest.mark.parametrize("make", [LogitAdjustedLoss, ClassBalancedLoss, LDAMLoss])
def test_labels_are_smoothed_towards_the_class_prior(make, form):
    """In float64: the loss is linear in the label, so it is that of the label and those of all classes, mixed."""
    logits = np.random.default_rng(0).normal(size=(6, 3))
    ids, arguments = np.array([0, 1, 2, 2, 1, 0]), {"reduction": "none", "from_logits": True}

    def losses(labels, **more):
        given = np.eye(3)[labels] if form == "one-hot" else labels
        return np.asarray(ops.convert_to_numpy(make(COUNTS, **arguments, **more)(given, logits)), dtype=float)

    if make is LDAMLoss:  # its margins depend on the label: a soft one has a soft margin
        prior = 0.9 * np.eye(3)[ids] + 0.1 * NATURAL
        margins = (COUNTS.min() / COUNTS) ** 0.25 * 0.5
        z = 30 * (logits - margins * prior)
        expected = (prior * (np.log(np.exp(z).sum(axis=1, keepdims=True)) - z)).sum(axis=1)
    else:
        weights = (
            make(COUNTS).class_weights if make is ClassBalancedLoss else np.ones(3)
        )  # that of the class of the row
        of_class = np.stack([losses(np.full(6, c)) for c in range(3)], axis=1) / weights
        expected = 0.9 * losses(ids) + 0.1 * np.asarray(weights)[ids] * (of_class @ NATURAL)
    np.testing.assert_allclose(losses(ids, label_smoothing=0.1), expected, rtol=2e-5)


def test_training_on_smoothed_labels_keeps_the_share_of_a_rare_class():
    """A net that can learn any probabilities learns those of the smoothed labels, so that their formula is the oracle."""
    model = table(LogitAdjustedLoss(COUNTS, label_smoothing=0.1, from_logits=True), keras.optimizers.Adam(0.3))
    rows = {"x": np.tile(X, (50, 1)), "y": np.tile(Y, 50)}  # all of them in each batch
    model.fit(**rows, batch_size=200, shuffle=False, epochs=6, callbacks=[Decaying(6)], verbose=0)
    shifted = model.get_weights()[0].astype(float) + np.log(NATURAL)
    learnt = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    at_point = (AT_POINT / AT_POINT.sum(axis=0)).T
    np.testing.assert_allclose(learnt, 0.9 * at_point + 0.1 * NATURAL, rtol=0.05)
    np.testing.assert_allclose(AT_POINT.sum(axis=0) / 200 @ learnt, NATURAL, rtol=0.02)
    # Evenly smoothed, the class of 10 in 200 rows would have 1.6 times its share, and at the first point 3 times.
    evenly = 0.9 * at_point + 0.1 / 3
    assert (AT_POINT.sum(axis=0) / 200 @ evenly)[2] > 1.5 * NATURAL[2]
    assert evenly[0, 2] > 2.5 * learnt[0, 2]


def test_a_stream_of_known_counts_is_matched():
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(200, seed=0).batch(50)
    stream = StreamSampler(rows, batch_size=50, class_counts=COUNTS, target=0.5, seed=0)
    loss = LogitAdjustedLoss(stream, from_logits=True)
    np.testing.assert_allclose(loss.drawn_prior, stream.distribution)
    stream.target = "balanced"
    with pytest.raises(Exception, match="shares that the loss is adjusted to"):
        next(iter(stream.dataset()))
