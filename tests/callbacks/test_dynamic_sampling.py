"""DynamicSampling against the formula of the paper, and in fit."""

import json
import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from keras_imbalance import ArraySampler, DynamicSampling, PerClassF1, PerClassRecall
from keras_imbalance.backend import keras, ops
from keras_imbalance.callbacks.dynamic_sampling import describe_change

quick = settings(deadline=None, max_examples=60)
some_f1 = st.lists(st.floats(0, 1), min_size=2, max_size=6)


def sampler_of(num_classes=3, **arguments):
    labels = np.repeat(np.arange(num_classes), np.arange(num_classes, 0, -1) * 4)
    return ArraySampler(np.zeros((len(labels), 1), "float32"), labels, seed=0, **arguments)


def after_epoch(sampler, f1, epoch=0, **arguments):
    """The distribution that the callback sets when the classes have these F1 values."""
    logs = {f"val_f1/{name}": value for name, value in zip(sampler.class_names, f1, strict=True)}
    DynamicSampling(sampler, **arguments).on_epoch_end(epoch, logs)
    return sampler.distribution


@quick
@given(some_f1)
def test_without_floor_and_momentum_it_is_the_rule_of_the_paper(f1):
    """size_j = (1 - F1_j) / sum_k (1 - F1_k) N*, as shares; uniform when every F1 is 1."""
    errors = [1 - value for value in f1]
    expected = [error / sum(errors) for error in errors] if sum(errors) > 0 else [1 / len(f1)] * len(f1)
    shares = after_epoch(sampler_of(len(f1)), f1, floor=0, momentum=0)
    np.testing.assert_allclose(shares, expected, atol=1e-12)


@quick
@given(some_f1, st.floats(0, 1), st.floats(0, 0.99))
def test_floor_and_momentum(f1, floor, momentum):
    start = after_epoch(sampler_of(len(f1), target="natural"), f1, epoch=0, start_epoch=1)
    rule = after_epoch(sampler_of(len(f1)), f1, floor=0, momentum=0)
    shares = after_epoch(sampler_of(len(f1), target="natural"), f1, floor=floor, momentum=momentum)
    fresh = floor / len(f1) + (1 - floor) * rule
    np.testing.assert_allclose(shares, momentum * start + (1 - momentum) * fresh, atol=1e-12)
    assert shares.min() >= (1 - momentum) * floor / len(f1) - 1e-12


def test_the_worst_class_is_drawn_most_and_a_perfect_one_keeps_its_floor():
    shares = after_epoch(sampler_of(), [1.0, 0.8, 0.3], floor=0.3, momentum=0)
    assert shares[2] > shares[1] > shares[0]
    np.testing.assert_allclose(shares[0], 0.1)


def test_all_perfect_is_uniform():
    np.testing.assert_allclose(after_epoch(sampler_of(), [1, 1, 1], floor=0, momentum=0), np.full(3, 1 / 3))


def test_a_class_without_rows_is_not_drawn():
    labels = np.repeat([0, 2], 6)
    sampler = ArraySampler(np.zeros((12, 1)), labels, target="natural", seed=0)
    np.testing.assert_allclose(after_epoch(sampler, [0.5, 0.0, 0.0], floor=0, momentum=0), [1 / 3, 0, 2 / 3])
    np.testing.assert_allclose(after_epoch(sampler, [1.0, 0.0, 1.0], floor=0.5, momentum=0), [0.5, 0, 0.5])


@pytest.mark.parametrize(("epoch", "changes"), [(0, False), (1, False), (2, True), (3, True), (4, False), (5, False)])
def test_only_the_epochs_between_start_and_stop_are_its_own(epoch, changes):
    """What the end of epoch 4 sets would hold in epoch 5, which is not its own."""
    sampler = sampler_of()
    before = sampler.distribution
    shares = after_epoch(sampler, [0.1, 0.5, 0.9], epoch=epoch, start_epoch=2, stop_epoch=5)
    assert np.allclose(shares, before) is not changes


def test_missing_keys_are_listed_beside_those_that_are_there():
    callback = DynamicSampling(sampler_of(class_names=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"`val_f1/<class>`.*Missing: \['b', 'c'\].*\['loss', 'val_f1/a'\]"):
        callback.on_epoch_end(0, {"loss": 1.0, "val_f1/a": 0.5})


@quick
@given(some_f1, st.data(), st.floats(0, 1), st.floats(0, 0.99))
def test_a_class_without_a_score_keeps_its_share_and_the_others_divide_the_rest(f1, data, floor, momentum):
    absent = np.array(data.draw(st.lists(st.booleans(), min_size=len(f1), max_size=len(f1))))
    absent[data.draw(st.integers(0, len(f1) - 1))] = False
    before = sampler_of(len(f1), target="natural").distribution
    scores = np.where(absent, np.nan, f1)
    shares = after_epoch(sampler_of(len(f1), target="natural"), scores, floor=floor, momentum=momentum)
    np.testing.assert_allclose(shares[absent], before[absent], atol=1e-12)
    errors = 1 - np.array(f1)[~absent]
    rule = errors / errors.sum() if errors.sum() > 0 else np.full(len(errors), 1 / len(errors))
    wanted = before[~absent].sum() * (floor / len(errors) + (1 - floor) * rule)
    np.testing.assert_allclose(shares[~absent], momentum * before[~absent] + (1 - momentum) * wanted, atol=1e-12)


def test_no_class_with_a_score_is_an_error():
    with pytest.raises(ValueError, match=r"`val_f1` must be defined for at least one class.*nan nan nan"):
        after_epoch(sampler_of(), [np.nan] * 3)


def test_all_failing_is_uniform():
    np.testing.assert_allclose(after_epoch(sampler_of(), [0, 0, 0], floor=0, momentum=0), np.full(3, 1 / 3))


@quick
@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=6), st.floats(0, 1), st.floats(0.1, 100))
def test_a_rule_of_ones_own_gives_weights_in_any_scale(f1, floor, scale):
    """The rule 1 / score - 1 and its like: only proportions count."""
    shares = after_epoch(
        sampler_of(len(f1)), f1, floor=floor, momentum=0, rule=lambda scores: scale * np.exp(-3 * scores)
    )
    weights = np.exp(-3 * np.array(f1))
    np.testing.assert_allclose(shares, floor / len(f1) + (1 - floor) * weights / weights.sum(), atol=1e-12)


def test_a_rule_of_ones_own_is_told_which_class_has_no_score():
    seen = []

    def rule(scores):
        seen.append(scores.copy())
        scores[:] = 7  # its own copy
        return [3, np.nan, 1]

    shares = after_epoch(
        sampler_of(target={0: 0.5, 1: 0.2, 2: 0.3}), [0.1, np.nan, 0.9], floor=0, momentum=0, rule=rule
    )
    np.testing.assert_array_equal(seen, [[0.1, np.nan, 0.9]])
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2])


@pytest.mark.parametrize("given_back", [[1, 2], [1, -1, 1], [1, np.nan, 1], [0, 0, 0], ["a", "b", "c"], None, np.inf])
def test_a_rule_that_gives_no_weights_is_refused(given_back):
    with pytest.raises(ValueError, match="`rule` must give a finite weight for each of 3 classes"):
        after_epoch(sampler_of(), [0.1, 0.5, 0.9], rule=lambda scores: given_back)


def test_the_rule_names_what_is_monitored():
    sampler = sampler_of()
    logs = {f"val_{score}/{i}": value for i in range(3) for score, value in (("f1", 0.5), ("recall", i / 4))}
    DynamicSampling(sampler, rule="recall", floor=0, momentum=0).on_epoch_end(0, logs)
    np.testing.assert_allclose(sampler.distribution, np.array([4, 3, 2]) / 9)


def blobs():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [120, 30, 10]))
    return (rng.normal(size=(160, 2)) + labels[:, None]).astype("float32"), labels


def test_in_fit_the_distribution_follows_from_the_logs():
    keras.utils.set_random_seed(0)
    x, y = blobs()
    names = ["many", "some", "few"]
    sampler = ArraySampler(x, y, batch_size=40, class_names=names, seed=0)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(
        keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=[PerClassF1(3, class_names=names)]
    )
    dynamic = DynamicSampling(sampler, floor=0.1, momentum=0.25)
    after = []
    recorder = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(sampler.distribution))
    history = model.fit(
        sampler.dataset(), validation_data=(x, y), epochs=4, callbacks=[dynamic, recorder], verbose=0
    ).history
    shares = np.full(3, 1 / 3)
    for epoch in range(4):
        np.testing.assert_allclose(dynamic.history[epoch], shares, atol=1e-12)
        errors = 1 - np.array([history[f"val_f1/{name}"][epoch] for name in names])
        shares = 0.25 * shares + 0.75 * (0.1 / 3 + 0.9 * errors / errors.sum())
        np.testing.assert_allclose(after[epoch], shares, atol=1e-6)
    assert np.ptp(after[-1]) > 0.01
    # Within one row a batch of 40, what was drawn has the shares that held.
    assert (np.abs(sampler.exposure - 160 * np.sum(dynamic.history, axis=0)) <= 4).all()


def softmax_model(metrics=(), channels=3):
    keras.utils.set_random_seed(0)
    activation, loss = "softmax", "sparse_categorical_crossentropy"
    if channels == 1:
        activation, loss = "sigmoid", "binary_crossentropy"
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(channels, activation=activation)])
    model.compile(keras.optimizers.SGD(0.3), loss, metrics=list(metrics))
    return model


@pytest.mark.parametrize("validation_freq", [1, 2])
def test_in_fit_a_missing_metric_is_an_error_once_fit_has_validated(validation_freq):
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    seen = []
    counter = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    with pytest.raises(ValueError, match=r"`val_f1/<class>`.*The logs hold: \['loss', 'val_loss'\]"):
        softmax_model().fit(
            sampler.dataset(),
            epochs=4,
            validation_data=(x, y),
            validation_freq=validation_freq,
            callbacks=[DynamicSampling(sampler), counter],
            verbose=0,
        )
    assert len(seen) == validation_freq


def test_in_fit_without_validation_data_the_first_epoch_says_so():
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    with pytest.raises(ValueError, match=r"`val_f1/<class>`.*The logs hold: \['f1', 'f1/0', .*pass validation_data"):
        softmax_model([PerClassF1(3)]).fit(sampler.dataset(), epochs=4, callbacks=[DynamicSampling(sampler)], verbose=0)


def test_epochs_without_validation_leave_the_distribution_alone():
    x, y = blobs()
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    dynamic = DynamicSampling(sampler, floor=0, momentum=0)
    history = (
        softmax_model([PerClassF1(3)])
        .fit(
            sampler.dataset(),
            epochs=7,
            validation_data=(x, y),
            validation_freq=3,
            callbacks=[dynamic],
            verbose=0,
        )
        .history
    )
    errors = 1 - np.array([history[f"val_f1/{i}"] for i in range(3)]).T
    rules = errors / errors.sum(axis=1, keepdims=True)
    expected = [np.full(3, 1 / 3)] * 3 + [rules[0]] * 3 + [rules[1]]
    np.testing.assert_allclose(dynamic.history, expected, atol=1e-6)
    assert np.ptp(rules, axis=1).min() > 0.01


@pytest.mark.parametrize("epochs", [2, 3])
def test_a_fit_that_never_validated_is_warned_about(epochs):
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        softmax_model([PerClassF1(3)]).fit(
            sampler.dataset(),
            epochs=epochs,
            validation_data=(x, y),
            validation_freq=3,
            callbacks=[DynamicSampling(sampler)],
            verbose=0,
            shuffle=False,
        )
    found = [str(entry.message) for entry in caught if "DynamicSampling" in str(entry.message)]
    assert len(found) == (epochs == 2)
    assert all("`val_f1/<class>`" in message and "'f1/0'" in message for message in found)


class Batches(keras.utils.PyDataset if hasattr(keras.utils, "PyDataset") else keras.utils.Sequence):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if not 0 <= i < 4:
            raise RuntimeError("read beyond the end")
        return tuple(part[i::4] for part in self.arrays)


def shuffled(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).shuffle(1000).batch(32)


FORMS = {
    "arrays": lambda *arrays: arrays,
    "list": lambda *arrays: list(arrays),
    "shuffled dataset": shuffled,
    "py dataset": Batches,
    "list of tensors": lambda *arrays: tuple(tf.constant(part) for part in arrays),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_with_validation_data_of_its_own_the_scores_are_those_of_scikit_learn(form, weighted):
    x, y = blobs()
    x_val, y_val = x[::-1][:100] + 0.3, y[::-1][:100]
    weights = np.random.default_rng(0).uniform(0.5, 2, 100).astype("float32") if weighted else None
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    data = FORMS[form](x_val, y_val, weights) if weighted else FORMS[form](x_val, y_val)
    dynamic = DynamicSampling(sampler, floor=0.1, momentum=0.25, validation_data=data, batch_size=32)
    model, scores = softmax_model(), []

    class Scores(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert list(logs) == ["loss"]
            decisions = ops.convert_to_numpy(model(x_val)).argmax(axis=1)
            scores.append(f1_score(y_val, decisions, average=None, labels=range(3), sample_weight=weights))

    model.fit(sampler.dataset(), epochs=3, callbacks=[Scores(), dynamic], verbose=0)
    shares = np.full(3, 1 / 3)
    for epoch in range(3):
        np.testing.assert_allclose(dynamic.history[epoch], shares, atol=1e-9)
        errors = 1 - scores[epoch]
        shares = 0.25 * shares + 0.75 * (0.1 / 3 + 0.9 * errors / errors.sum())
    np.testing.assert_allclose(sampler.distribution, shares, atol=1e-6)
    assert np.ptp(shares) > 0.01


@pytest.mark.parametrize(("monitor", "score"), [("val_recall", recall_score), ("val_precision", precision_score)])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_score_of_its_own_validation_data(monitor, score, channels):
    x, y = blobs()
    y = (y > 0).astype(int)
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    model = softmax_model(channels=channels)
    dynamic = DynamicSampling(
        sampler, monitor, lambda scores: scores + 0.1, floor=0, momentum=0, validation_data=(x, y)
    )
    model.fit(sampler.dataset(), callbacks=[dynamic], verbose=0)
    outputs = ops.convert_to_numpy(model(x))
    decisions = (outputs[:, 0] > 0.5).astype(int) if channels == 1 else outputs.argmax(axis=1)
    wanted = score(y, decisions, average=None, labels=[0, 1]) + 0.1
    np.testing.assert_allclose(sampler.distribution, wanted / wanted.sum(), atol=1e-6)


def test_a_threshold_for_logits_of_one_channel():
    x, y = blobs()
    y = (y > 0).astype(int)
    sampler = ArraySampler(x, y, batch_size=40, seed=0)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.3), keras.losses.BinaryCrossentropy(from_logits=True))
    dynamic = DynamicSampling(sampler, rule="recall", floor=0, momentum=0, validation_data=(x, y), threshold=0.0)
    model.fit(sampler.dataset(), callbacks=[dynamic], verbose=0)
    logits = ops.convert_to_numpy(model(x))[:, 0]
    errors = 1 - recall_score(y, logits > 0, average=None)
    assert ((logits > 0) & (logits < 0.5)).any()
    np.testing.assert_allclose(sampler.distribution, errors / errors.sum(), atol=1e-6)


@pytest.mark.parametrize("batches", [False, True])
def test_a_class_that_its_own_validation_data_lacks_keeps_its_share(batches):
    """It may be predicted, and yet has no score: sampling it more would answer to nothing."""
    x, y = blobs()
    kept = y != 2
    sampler = ArraySampler(x, y, batch_size=40, target={2: 0.2}, seed=0)
    before = sampler.distribution
    data = (x[kept], y[kept])
    dynamic = DynamicSampling(sampler, momentum=0, validation_data=shuffled(*data) if batches else data)
    softmax_model().fit(sampler.dataset(), epochs=3, callbacks=[dynamic], verbose=0)
    np.testing.assert_allclose([shares[2] for shares in dynamic.history], 0.2, atol=1e-12)
    np.testing.assert_allclose(dynamic.history[0], before, atol=1e-12)
    assert not np.allclose(dynamic.history[1], before, atol=0.01)


class Running(keras.callbacks.Callback):
    """What the running metrics hold at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_epoch_end(self, epoch, logs=None):
        variables = [variable for metric in self.model.metrics for variable in metric.variables]
        self.values.append([np.array(variable) for variable in variables])


def test_its_own_validation_data_does_not_touch_the_running_metrics():
    """`evaluate` would; a fit with the callback is the fit without it, as long as the rule leaves the shares alone."""
    x, y = blobs()

    def fitted(callbacks):
        sampler = ArraySampler(x, y, batch_size=40, seed=0)
        model, before, after = softmax_model([PerClassRecall(3), "accuracy"]), Running(), Running()
        callbacks = [before, *callbacks(sampler), after]
        history = model.fit(sampler.dataset(), epochs=3, callbacks=callbacks, verbose=0).history
        return history, model.get_weights(), before.values, after.values

    def same(sampler):
        return [DynamicSampling(sampler, rule=lambda scores: np.ones(3), momentum=0, validation_data=(x, y))]

    history, weights, before, after = fitted(same)
    expected_history, expected_weights, running, _ = fitted(lambda sampler: [])
    assert history == expected_history
    for kept, now in zip(expected_weights, weights, strict=True):
        np.testing.assert_array_equal(kept, now)
    for epoch in range(3):
        for kept, first, now in zip(running[epoch], before[epoch], after[epoch], strict=True):
            np.testing.assert_array_equal(first, kept)
            np.testing.assert_array_equal(now, kept)


def test_predictions_that_are_no_numbers_are_an_error():
    x, y = blobs()
    sampler = ArraySampler(x, y, seed=0)
    model = softmax_model()
    model.set_weights([np.full((2, 3), np.nan), np.zeros(3)])
    with pytest.raises(ValueError, match=r"predictions for `validation_data` must be numbers.*TerminateOnNaN"):
        model.fit(sampler.dataset(), callbacks=[DynamicSampling(sampler, validation_data=(x, y))], verbose=0)


def test_several_outputs_need_a_compiled_metric():
    x, y = blobs()
    sampler = ArraySampler(x, {"a": y, "b": y}, classes=y, seed=0)
    inputs = keras.layers.Input((2,))
    heads = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("a", "b")}
    model = keras.Model(inputs, heads)
    losses = dict.fromkeys("ab", "sparse_categorical_crossentropy")
    model.compile("sgd", losses)
    with pytest.raises(ValueError, match=r"needs a model of one output.*name it as `monitor`"):
        model.fit(sampler.dataset(), callbacks=[DynamicSampling(sampler, validation_data=(x, y))], verbose=0)
    model.compile("sgd", losses, metrics={"a": [PerClassF1(3, name="a_f1")], "b": [PerClassF1(3, name="b_f1")]})
    dynamic = DynamicSampling(sampler, "val_b_f1", floor=0, momentum=0)
    logs = model.fit(sampler.dataset(), validation_data=(x, {"a": y, "b": y}), callbacks=[dynamic], verbose=0).history
    errors = 1 - np.array([logs[f"val_b_f1/{i}"][-1] for i in range(3)])
    np.testing.assert_allclose(sampler.distribution, errors / errors.sum(), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "accuracy"}, "`rule` must be one of"),
        ({"rule": None}, "`rule` must be one of"),
        ({"monitor": 3}, "`monitor` must be None or the name"),
        ({"start_epoch": 0.5}, "`start_epoch` must be a whole number"),
        ({"stop_epoch": True}, "`stop_epoch` must be a whole number"),
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
        ({"monitor": "val_loss", "validation_data": (np.zeros((2, 1)), [0, 1])}, "`monitor` must be one of .*'val_f1'"),
        ({"validation_data": (np.zeros((2, 1)),)}, "`validation_data` must be .*1 parts"),
        ({"validation_data": (np.zeros((2, 1)), np.zeros(3))}, r"arrays of one length.*\[2, 3\]"),
        ({"validation_data": (np.zeros((2, 1)), [0, 3])}, "`validation_data` must hold class numbers"),
        ({"validation_data": iter([1])}, "`validation_data` must be arrays .*read again"),
        ({"validation_data": 3}, "`validation_data` must be arrays .*read again"),
        ({"validation_data": tf.data.Dataset.range(3).repeat()}, "`validation_data` must be finite"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicSampling(sampler_of(), **arguments)


def test_the_history_goes_on_where_a_saved_state_left_off():
    """The uninterrupted run draws from as many distributions, the same ones, to the last bit."""
    sampler = sampler_of()
    first = DynamicSampling(sampler)
    scores = [[0.1, 0.5, 0.8], [0.3, 0.3, 0.3], [0.2, 0.9, 0.6], [0.9, 0.1, 0.4]]
    logs = [{f"val_f1/{i}": value for i, value in enumerate(row)} for row in scores]
    for epoch in range(2):
        first.on_epoch_end(epoch, logs[epoch])
    saved, of_sampler = (json.loads(json.dumps(part.state_dict())) for part in (first, sampler))
    for epoch in (2, 3):
        first.on_epoch_end(epoch, logs[epoch])
    again = sampler_of()
    second = DynamicSampling(again)
    second.load_state_dict(saved)
    again.load_state_dict(of_sampler)
    for epoch in (2, 3):
        second.on_epoch_end(epoch, logs[epoch])
    np.testing.assert_array_equal(second.history, first.history)
    assert len(second.history) == 4


@quick
@given(st.integers(2, 300), st.integers(0, 5000), st.lists(st.text("abcdefgh ij", min_size=1, max_size=60), max_size=9))
def test_a_line_about_the_change_fits_100_columns(num_classes, epoch, names):
    random = np.random.default_rng(num_classes)
    before, after = (random.dirichlet(np.ones(num_classes)) for _ in range(2))
    names = [f"{i}{(names or [''])[i % max(len(names), 1)]}" for i in range(num_classes)]
    line = describe_change(epoch, names, before, after)
    assert len(line) <= 100
    assert "\n" not in line
    largest = int(np.argmax(np.abs(after - before)))
    assert f"{names[largest][:19]}"[:5] in line
    assert f"{after[largest]:.3f}"[1:] in line


def test_the_line_of_few_classes_is_whole_and_that_of_many_says_what_it_leaves_out(capsys):
    sampler = sampler_of(class_names=["ok", "worn", "broken"])
    logs = {f"val_f1/{name}": value for name, value in zip(sampler.class_names, [0.9, 0.5, 0.1], strict=True)}
    DynamicSampling(sampler, floor=0, momentum=0, verbose=1).on_epoch_end(4, logs)
    assert capsys.readouterr().out.strip() == (
        "Epoch 5: next class shares ok .333 -> .067, worn .333 -> .333, broken .333 -> .600"
    )
    before = np.full(100, 0.01)
    after = before.copy()
    after[[7, 40]] = [0.0, 0.02]
    line = describe_change(0, [f"class {i}" for i in range(100)], before, after)
    assert line.startswith("Epoch 1: next class shares class 7 .010 -> .000, class 40 .010 -> .020, ")
    assert line.endswith(" that change less")
