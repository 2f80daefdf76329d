"""The keys of the logs: nothing overwrites them in silence, and every callback of Keras can read them."""

import csv

import numpy as np
import pytest
from kerases import keras_3_only, tf_keras_only

import keras_imbalance as ki
from keras_imbalance.backend import keras

knows_the_mode = keras_3_only("a callback takes the least of a key that does not say accuracy or AUC")
NAMES = ["ok", "fraud, card", "St. Bernard"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 25, 15])
    return rng.normal(size=(100, 4)).astype("float32") + labels[:, None], labels


def softmax_model(**compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **compiled)
    return model


def two_outputs(**compiled):
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("left", "right")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", **compiled)
    return model


# What a name may be


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b\nc", "d"], "printable"),
        (["a", "", "d"], "printable"),
        (["a", " b", "d"], "blanks"),
        (["a", "b\t", "d"], "printable"),
        (["a", "b"], "3 different names"),
        (["a", "b", "b"], "3 different names"),
        ("abc", "3 different names"),
        ([1, "1", "2"], "3 different names"),
        ([b"a", b"b", b"c"], "decode"),
        ({0: "a", 1: "b", 2: "c"}, "must be a list, in the order of the class numbers.*of a mapping"),
        ({"a", "b", "c"}, "must be a list, in the order"),
        (3, "3 different names"),
    ],
)
def test_class_names_that_would_break_the_logs_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        ki.PerClassF1(3, class_names=names)


@pytest.mark.parametrize("name", ["loss", "learning_rate", "val_f1", "a\nb", ""])
def test_metric_names_that_would_take_another_keys_place_are_refused(name):
    with pytest.raises(ValueError, match="`name`"):
        ki.PerClassF1(3, name=name)
    if name:
        with pytest.raises(ValueError, match="`prefix`"):
            ki.PerClassReport(3, prefix=name)


def test_class_names_of_other_types_become_text():
    assert ki.PerClassF1(2, class_names=[np.int64(3), 7]).log_keys() == ["f1/3", "f1/7", "f1"]


# No overwriting in silence


@pytest.mark.parametrize(
    "compiled",
    [
        {"metrics": [ki.PerClassF1(3), ki.PerClassF1(3, beta=2.0)]},
        {"metrics": [ki.PerClassF1(3)], "weighted_metrics": [ki.PerClassF1(3)]},
        {"metrics": [ki.PerClassF1(3), ki.PerClassReport(3)]},
        {"metrics": [ki.PerClassReport(3)], "weighted_metrics": [ki.PerClassReport(3, name="other")]},
        {"metrics": [ki.PerClassRecall(3), keras.metrics.SparseCategoricalAccuracy(name="recall")]},
        {"metrics": [keras.metrics.SparseCategoricalAccuracy(name="recall"), ki.PerClassRecall(3)]},
        {
            "metrics": [
                ki.PerClassF1(3, name="x", class_names=["a", "y/b", "c"]),
                ki.PerClassF1(3, ["a", "b", "c"], name="x/y"),
            ]
        },
    ],
    ids=["twice", "weighted", "report", "reports", "Keras after", "Keras before", "slash"],
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_equal_keys_are_an_error_before_the_first_step(rows, compiled, jit_compile):
    again = {part: [type(m).from_config(m.get_config()) for m in metrics] for part, metrics in compiled.items()}
    model = softmax_model(jit_compile=jit_compile, **again)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"different keys.*name|two metrics with the same name"):
        model.fit(*rows, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.raises(ValueError, match=r"different keys|two metrics with the same name"):
        model.evaluate(*rows, verbose=0)


@pytest.mark.parametrize("build", [ki.PerClassF1, ki.MacroF1, ki.ConfusionMatrix])
def test_one_object_compiled_twice_is_an_error(rows, build):
    metric = build(3)
    with pytest.raises(ValueError, match=r"compiled once|duplicated metrics"):
        softmax_model(metrics=[metric], weighted_metrics=[metric]).fit(*rows, verbose=0)


def test_two_outputs_need_two_names(rows):
    x, y = rows
    labels = {"left": y, "right": (y + 1) % 3}
    model = two_outputs(metrics={"left": [ki.PerClassRecall(3)], "right": [ki.PerClassRecall(3)]})
    with pytest.raises(ValueError, match="different keys"):
        model.fit(x, labels, verbose=0)
    model = two_outputs(
        metrics={
            "left": [ki.PerClassRecall(3, name="left_recall"), ki.PerClassReport(3, prefix="left/"), ki.MacroF1(3)],
            "right": [ki.PerClassRecall(3, name="right_recall"), ki.PerClassReport(3, prefix="right/"), ki.MacroF1(3)],
        }
    )
    logs = model.evaluate(x, labels, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0)
    for side in ("left", "right"):
        metric = ki.PerClassReport(3)
        metric.update_state(labels[side], predicted[side])
        for key, value in metric.result().items():
            np.testing.assert_allclose(logs[f"{side}/{key}"], float(value), atol=1e-6)
        np.testing.assert_allclose(logs[f"{side}_recall/1"], logs[f"{side}/recall/1"])
        np.testing.assert_allclose(logs[f"{side}_macro_f1"], logs[f"{side}/f1"], atol=1e-6)


def test_two_models_in_one_process_do_not_disturb_each_other(rows):
    first, second = (softmax_model(metrics=[ki.PerClassF1(3)]) for _ in range(2))
    assert first.evaluate(*rows, verbose=0, return_dict=True) == second.evaluate(*rows, verbose=0, return_dict=True)


def test_metrics_and_weighted_metrics_under_two_names(rows):
    x, y = rows
    weights = np.linspace(0.1, 2, len(y))
    model = softmax_model(metrics=[ki.PerClassRecall(3)], weighted_metrics=[ki.PerClassRecall(3, name="weighted")])
    logs = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    decided = model.predict(x, verbose=0).argmax(axis=1)
    for k in range(3):
        of = y == k
        np.testing.assert_allclose(logs[f"recall/{k}"], (decided[of] == k).mean(), atol=1e-6)
        np.testing.assert_allclose(logs[f"weighted/{k}"], np.average(decided[of] == k, weights=weights[of]), atol=1e-6)


# The callbacks of Keras


def fit(rows, callbacks, epochs=3, metrics=None):
    metrics = metrics or [ki.PerClassF1(3, class_names=NAMES), ki.ExpectedCost(1 - np.eye(3))]
    model = softmax_model(metrics=metrics)
    return model, model.fit(*rows, epochs=epochs, validation_data=rows, callbacks=callbacks, verbose=0).history


@pytest.mark.parametrize(
    ("monitor", "mode", "up"),
    [
        pytest.param("val_f1", "auto", True, marks=knows_the_mode),
        pytest.param("f1", "auto", True, marks=knows_the_mode),
        ("val_f1", "max", True),
        ("val_f1/fraud, card", "max", True),
        ("val_f1/St. Bernard", "max", True),
        ("val_expected_cost", "auto", False),
    ],
)
@pytest.mark.parametrize("kind", [keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau])
def test_monitors(rows, kind, monitor, mode, up):
    callback = kind(monitor=monitor, mode=mode, patience=1)
    _, history = fit(rows, [callback], epochs=2)
    assert len(history[monitor]) == 2
    best = max(history[monitor]) if up else min(history[monitor])
    np.testing.assert_allclose(callback.best, best)


METRICS = [build(3) for build in (ki.PerClassPrecision, ki.PerClassSpecificity, ki.BalancedAccuracy, ki.GeometricMean)]
METRICS += [build(3) for build in (ki.MatthewsCorrelation, ki.CohenKappa, ki.PerClassAveragePrecision, ki.MacroF1)]


@knows_the_mode
def test_every_metric_says_which_way_is_better(rows):
    stoppers = [keras.callbacks.EarlyStopping(f"val_{metric.name}", patience=5) for metric in METRICS]
    _, history = fit(rows, stoppers, epochs=2, metrics=METRICS)
    for stopper, metric in zip(stoppers, METRICS, strict=True):
        np.testing.assert_allclose(stopper.best, max(history[f"val_{metric.name}"]))


def test_early_stopping_stops_on_a_class(rows):
    stopper = keras.callbacks.EarlyStopping("val_f1/ok", mode="max", patience=1, min_delta=2.0)
    _, history = fit(rows, [stopper], epochs=9)
    assert len(history["val_f1/ok"]) == 2


@tf_keras_only("knows which way is better")
def test_tf_keras_needs_the_mode(rows):
    # Without it tf-keras looks for "acc" and "auc" in the key, and keeps the worst epoch of any other score.
    stopper = keras.callbacks.EarlyStopping("val_f1")
    _, history = fit(rows, [stopper], epochs=3)
    assert stopper.best == min(history["val_f1"]) < max(history["val_f1"])


@knows_the_mode
def test_a_report_needs_the_mode_and_keras_says_so(rows):
    model = softmax_model(metrics=[ki.PerClassReport(3)])
    with pytest.raises(ValueError, match="mode='max'"):
        model.fit(*rows, validation_data=rows, callbacks=[keras.callbacks.EarlyStopping("val_f1")], verbose=0)
    stopper = keras.callbacks.EarlyStopping("val_f1", mode="max")
    model.fit(*rows, validation_data=rows, callbacks=[stopper], verbose=0)
    assert stopper.best is not None


def test_model_checkpoint(rows, tmp_path):
    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "{epoch}-{val_f1:.3f}-{val_f1/fraud, card:.3f}.keras"),
        monitor="val_f1/fraud, card",
        mode="max",
    )
    _, history = fit(rows, [best], epochs=2)
    expected = [
        f"{epoch + 1}-{history['val_f1'][epoch]:.3f}-{history['val_f1/fraud, card'][epoch]:.3f}.keras"
        for epoch in range(2)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


def test_a_name_with_a_dot_cannot_stand_in_a_file_name_and_keras_says_so(rows, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "{val_f1/St. Bernard:.3f}.keras"))
    with pytest.raises(KeyError, match=r"Failed to format|St"):
        fit(rows, [checkpoint], epochs=1)
    by_class = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), monitor="val_f1/St. Bernard", mode="max")
    fit(rows, [by_class], epochs=1)
    assert (tmp_path / "best.keras").exists()


def test_csv_logger(rows, tmp_path):
    _, history = fit(rows, [keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    with open(tmp_path / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    for key, values in history.items():
        np.testing.assert_allclose([float(line[key]) for line in lines], values)
    assert "val_f1/fraud, card" in lines[0]


def test_tensorboard(rows, tmp_path):
    pytest.importorskip("tensorboard")
    _, history = fit(rows, [keras.callbacks.TensorBoard(tmp_path)], epochs=2)
    from tensorflow_events import scalars

    found = scalars(tmp_path / "validation")
    for name in NAMES:
        np.testing.assert_allclose(found[f"epoch_f1/{name}"], history[f"val_f1/{name}"], rtol=1e-6)


def test_progress_bar_and_evaluate(rows, capsys):
    model = softmax_model(metrics=[ki.PerClassF1(3, class_names=NAMES), ki.ConfusionMatrix(3)])
    model.fit(*rows, verbose=2)
    shown = capsys.readouterr().out
    assert all(f"f1/{name}: " in shown for name in NAMES)
    logs = model.evaluate(*rows, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "f1", *(f"f1/{name}" for name in NAMES)}
    assert len(model.evaluate(*rows, verbose=0)) == 5


@pytest.mark.parametrize(("name", "plain"), [("b_accuracy", ["accuracy"]), ("a_loss", []), ("b_loss", [])])
def test_keys_that_keras_makes_of_an_outputs_name_are_not_overwritten(name, plain):
    inputs = keras.Input((4,))
    outputs = {key: keras.layers.Dense(3, activation="softmax", name=key)(inputs) for key in ("a", "b")}
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd",
        dict.fromkeys(outputs, "sparse_categorical_crossentropy"),
        metrics={"a": [ki.PerClassF1(3, name=name)], "b": plain},
    )
    x, y = np.zeros((6, 4), "float32"), np.arange(6) % 3
    with pytest.raises(ValueError, match=name):
        model.fit(x, {"a": y, "b": y}, verbose=0)
