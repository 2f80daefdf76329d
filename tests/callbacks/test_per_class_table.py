"""The table of an epoch: its figures are scikit-learn's, and it fits a terminal."""

import re

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from logger_runs import make_rows, model_with

import keras_imbalance as ki
from keras_imbalance._core import columns_of
from keras_imbalance._keras import keras, ops
from keras_imbalance.callbacks.per_class_table import Seen, chosen_classes, table_of

NAMES = ["a", "b", "c"]
ROW = re.compile(r"^(.+?)  +([\d.]+)((?:  +[-\d.]+){3})(?:  +([-+][\d.]+))?$")


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def tables(printed):
    """Of each table, by its title: a dict from name to rows, precision, recall, F1, change (NaN for none)."""
    found = {}
    for block in re.split(r"\n(?=Epoch \d+, )", f"\n{printed}")[1:]:
        title, *lines = block.split("\n\n")[0].splitlines()
        rows = [ROW.match(line).groups() for line in lines]
        found[re.split(r"  +", title)[0]] = {
            name: np.array([counted, *scores.split(), change or "nan"], dtype=float)
            for name, counted, scores, change in rows
        }
    return found


def fit(rows, metrics, capsys, epochs=2, verbose=0, table=None, more=(), **arguments):
    model = model_with(metrics)
    table = ki.PerClassTable() if table is None else table
    history = model.fit(
        *rows, epochs=epochs, batch_size=25, callbacks=[*more, table], verbose=verbose, **arguments
    ).history
    return model, history, capsys.readouterr().out


def expected_of(model, x, y):
    decided = ops.convert_to_numpy(model(x)).argmax(axis=1)
    parts = oracle.precision_recall_fscore_support(y, decided, labels=range(3), zero_division=0)
    return np.stack([parts[3], *parts[:3]], axis=1)


@pytest.mark.parametrize(
    "metrics",
    [
        lambda: [ki.PerClassReport(3, class_names=NAMES)],
        pytest.param(
            lambda: ["accuracy", ki.PerClassRecall(3, class_names=NAMES, log_classes=False)], marks=pytest.mark.slow
        ),
        lambda: [ki.ConfusionMatrix(3, class_names=NAMES)],
    ],
    ids=["report", "recall, not logged", "matrix"],
)
def test_the_figures_are_those_of_scikit_learn_on_the_validation_data(rows, metrics, capsys):
    held_out = rows[0][:60], rows[1][:60]
    model, _, printed = fit(rows, metrics(), capsys, validation_data=held_out)
    found = tables(printed)
    assert list(found) == ["Epoch 1, validation", "Epoch 2, validation"]
    last = found["Epoch 2, validation"]
    expected = expected_of(model, *held_out)
    np.testing.assert_allclose([last[name][:4] for name in NAMES], expected, atol=5.1e-4)
    np.testing.assert_allclose(last["macro mean"][:4], [60, *expected[:, 1:].mean(axis=0)], atol=5.1e-4)
    assert np.isnan(found["Epoch 1, validation"]["a"][4])
    for name in (*NAMES, "macro mean"):
        change = last[name][3] - found["Epoch 1, validation"][name][3]
        np.testing.assert_allclose(last[name][4], change, atol=1.6e-3)


def test_an_epoch_without_validation_shows_what_it_trained_on(rows, capsys):
    metrics = [ki.PerClassF1(3, class_names=NAMES)]
    _, history, printed = fit(rows, metrics, capsys, epochs=3, validation_data=rows, validation_freq=2)
    found = tables(printed)
    assert list(found) == ["Epoch 1, training", "Epoch 2, validation", "Epoch 3, training"]
    for epoch, key in ((0, "f1"), (1, "val_f1"), (2, "f1")):
        of_epoch = found[f"Epoch {epoch + 1}, {'validation' if 'val' in key else 'training'}"]
        values = history[f"{key}/b"]
        np.testing.assert_allclose(of_epoch["b"][3], values[0 if "val" in key else epoch], atol=5.1e-4)
    # Two runs are not compared with each other.
    assert np.isnan(found["Epoch 2, validation"]["b"][4])
    np.testing.assert_allclose(found["Epoch 3, training"]["b"][4], history["f1/b"][2] - history["f1/b"][0], atol=5.1e-4)


def test_every_other_epoch_and_the_last(rows, capsys):
    _, history, printed = fit(rows, [ki.PerClassF1(3)], capsys, epochs=5, table=ki.PerClassTable(every=2))
    found = tables(printed)
    assert list(found) == ["Epoch 2, training", "Epoch 4, training", "Epoch 5, training"]
    change = history["f1/0"][3] - history["f1/0"][1]
    np.testing.assert_allclose(found["Epoch 4, training"]["0"][4], change, atol=5.1e-4)


def test_the_epoch_that_stops_a_fit_has_its_table(rows, capsys):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    _, _, printed = fit(rows, [ki.PerClassF1(3)], capsys, epochs=9, more=[Stop()])
    assert list(tables(printed)) == ["Epoch 1, training", "Epoch 2, training"]


def test_it_stands_between_the_lines_of_two_epochs(rows, capsys):
    _, _, printed = fit(rows, [ki.PerClassF1(3, log_classes=False)], capsys, epochs=2, verbose=2)
    kinds = [
        "bar"
        if " - loss: " in line
        else "epoch"
        if re.match(r"Epoch \d/2$", line)
        else "table"
        if "macro mean" in line
        else ""
        for line in printed.splitlines()
    ]
    assert [kind for kind in kinds if kind] == ["epoch", "bar", "table"] * 2


def test_a_second_fit_begins_anew(rows, capsys):
    table = ki.PerClassTable()
    fit(rows, [ki.PerClassF1(3)], capsys, table=table)
    _, _, printed = fit(rows, [ki.PerClassF1(3)], capsys, epochs=1, table=table)
    assert np.isnan(tables(printed)["Epoch 1, training"]["0"][4])


def test_of_several_outputs_one_is_named(rows, capsys):
    x, y = rows
    labels = {"head0": y, "head1": (y + 1) % 3}
    metrics = {head: [ki.PerClassRecall(3, name=f"{head}_own", log_classes=False)] for head in labels}
    model = model_with(metrics, outputs=2)
    model.fit(x, labels, epochs=1, callbacks=[ki.PerClassTable()], verbose=0)
    (title,) = tables(capsys.readouterr().out)
    chosen = title.rpartition(", ")[2]
    assert chosen == "head0_own"
    for second in (
        "head1_own",
        "head1_own/2",
        "head1_head1_own",
    ):  # the key of a mean, of a class, and Keras's own name
        model.fit(x, labels, epochs=1, callbacks=[ki.PerClassTable(metric=second)], verbose=0)
        ((title, found),) = tables(capsys.readouterr().out).items()
        assert title.endswith(f", {second}")
        assert [found[name][0] for name in "012"] == np.bincount(labels["head1"]).tolist()
    with pytest.raises(ValueError, match=r"`metric` must name.* compiled with \['head0_own', 'head1_own'\]"):
        model.fit(x, labels, callbacks=[ki.PerClassTable(metric="accuracy")], verbose=0)


def test_a_report_is_named_by_any_of_its_keys(rows, capsys):
    x, y = rows
    labels = {"head0": y, "head1": (y + 1) % 3}
    model = model_with({head: [ki.PerClassReport(3, prefix=f"{head}_")] for head in labels}, outputs=2)
    model.fit(x, labels, epochs=1, callbacks=[ki.PerClassTable(metric="head1_f1")], verbose=0)
    ((title, found),) = tables(capsys.readouterr().out).items()
    assert title.endswith(", head1_f1")
    assert [found[name][0] for name in "012"] == np.bincount(labels["head1"]).tolist()


def seen_of(f1, rows, names=None):
    scores = np.stack([f1, f1, f1], axis=1)
    names = [str(i) for i in range(len(f1))] if names is None else names
    return Seen("Epoch 10, validation", "validation", names, rows, scores, scores.mean(axis=0))


@settings(max_examples=50)
@given(st.integers(2, 120), st.integers(0, 10**6))
def test_many_classes_show_the_worst_and_the_best_five(size, seed):
    rng = np.random.default_rng(seed)
    f1, rows = rng.integers(0, 20, size) / 19, rng.integers(0, 4, size).astype(float)
    chosen = chosen_classes(rows, f1)
    shown = [i for i in chosen if i is not None]
    assert len(set(shown)) == len(shown)
    if size <= 11:
        assert shown == list(range(size))
        return
    scores = np.sort(f1[rows > 0])
    at_most = scores if len(scores) <= 10 else np.concatenate([scores[:5], scores[-5:]])
    np.testing.assert_array_equal(f1[shown], at_most)
    assert (rows[shown] > 0).all()
    left_out = next(line for line in table_of(seen_of(f1, rows), None).splitlines() if line.startswith("... "))
    assert sum(map(int, re.findall(r"\d+", left_out))) == size - len(shown)


@pytest.mark.parametrize("size", [2, 5, 100, 20000])
def test_a_table_fits_a_terminal(size):
    rng = np.random.default_rng(0)
    names = [f"{i} 猫 a name that is longer than the terminal has columns for it, and {i} goes on" for i in range(size)]
    now = seen_of(rng.random(size), np.full(size, 1234567.0), names)
    lines = table_of(now, now._replace(scores=now.scores - 0.5)).splitlines()
    assert max(map(columns_of, lines)) <= 80
    assert len(lines) <= 13
    assert len({columns_of(line) for line in lines if not line.startswith("...")}) == 1


def test_a_class_that_is_not_defined_is_a_dash():
    table = table_of(seen_of(np.array([0.5, np.nan]), np.array([3.5, 0.0])), None)
    assert re.search(r"^0 +3\.50 +0\.500 +0\.500 +0\.500$", table, flags=re.MULTILINE)
    assert re.search(r"^1 +0 +- +- +-$", table, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be a whole number of at least 1"),
        ({"every": 1.5}, "`every` must be a whole number"),
        ({"metric": 3}, "`metric` must be text"),
        ({"metric": ""}, "`metric` must be printable text"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ki.PerClassTable(**arguments)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            ki.PerClassTable(),
            "`metrics` must hold one that counts decisions for PerClassTable.*average_precision.*PerClassF1",
        ),
        (
            ki.PerClassTable(metric="f1s"),
            r"`metric` must name a metric that counts decisions.*'f1s'.*Did you mean 'f1'\?",
        ),
    ],
)
def test_without_the_metric_it_says_what_is_missing(rows, table, message, capsys):
    name = "average_precision" if table.metric is None else "f1"
    metric = ki.PerClassAveragePrecision(3) if table.metric is None else ki.PerClassF1(3)
    with pytest.raises(ValueError, match=message):
        fit(rows, [metric], capsys, epochs=1, table=table)
    assert name == metric.name
