"""The keys of the logs: nothing overwrites them in silence, and every callback of Keras can read them."""

import csv
import posixpath
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kerases import IS_TF_KERAS, keras_3_only, tf_keras_only

import keras_imbalance as ki
from keras_imbalance._keras import keras

knows_the_mode = keras_3_only("a callback takes the least of a key that does not say accuracy or AUC")
NAMES = ["ok", "fraud, card", "St. Bernard"]
KEYS = ["ok", "fraud_ card", "St_ Bernard"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [57, 24, 15])
    return rng.normal(size=(96, 4)).astype("float32") + labels[:, None], labels


def softmax_model(**compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **{"jit_compile": False, **compiled})
    return model


def two_outputs(**compiled):
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("left", "right")}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False, **compiled)
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
        ({0: "a", 1: "b", 2: "c"}, "must be a list of.*in the order of the class ids.*of a mapping"),
        ({"a", "b", "c"}, "must be a list of"),
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


@pytest.mark.parametrize("sign", [".", "[", ":", "{", "}", "!"])
def test_metric_names_that_would_break_a_format_string_are_refused(sign):
    with pytest.raises(ValueError, match=r"`name` must.*name='f1_a'"):
        ki.MacroF1(3, name=f"f1{sign}a")
    with pytest.raises(ValueError, match=r"`prefix` must.*prefix='left_'"):
        ki.PerClassReport(3, prefix=f"left{sign}")


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=4))
def test_a_metric_name_that_is_taken_is_a_key_of_a_format_string(name):
    try:
        (key,) = ki.PerClassF1(2, name=name, log_classes=False).log_keys()
    except ValueError:
        return
    assert f"{{val_{key}:.1f}}".format(**{f"val_{key}": 0.5}) == "0.5"


def test_a_letter_and_its_accent_stay_a_letter():
    names = ["cafe\u0301", "caf\u00e9s"]
    metric = ki.PerClassF1(2, class_names=names)
    assert metric.class_keys("f1") == ["f1/caf\u00e9", "f1/caf\u00e9s"]
    assert metric.class_names == names


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
                ki.PerClassF1(3, name="x", class_names=["a", "b", "c"]),
                ki.PerClassF1(3, class_names=["a", "b", "c"], name="x/b"),
            ]
        },
        {
            "metrics": [
                ki.PerClassF1(3, log_classes=False, average=["macro", "weighted"]),
                ki.PerClassRecall(3, name="f1_weighted", log_classes=False),
            ]
        },
    ],
    ids=["twice", "weighted", "report", "reports", "Keras after", "Keras before", "slash", "average"],
)
def test_equal_keys_are_an_error_before_the_first_step(rows, compiled):
    again = {part: [type(m).from_config(m.get_config()) for m in metrics] for part, metrics in compiled.items()}
    model = softmax_model(**again)
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


def test_monitors(rows):
    ups = [("val_f1", "max"), ("val_f1/St_ Bernard", "max")]
    if not IS_TF_KERAS:  # which knows no way without the mode
        ups += [(key, "auto") for key in ("val_f1", "f1", "val_f1/fraud_ card", "val_f1_micro")]
    kinds = keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau
    callbacks = [
        kind(monitor=key, mode=mode, patience=2)
        for kind in kinds
        for key, mode in [*ups, ("val_expected_cost", "auto")]
    ]
    metrics = [ki.PerClassF1(3, class_names=NAMES, average=["macro", "micro"]), ki.ExpectedCost(1 - np.eye(3))]
    _, history = fit(rows, callbacks, epochs=2, metrics=metrics)
    for callback in callbacks:
        best = min if callback.monitor == "val_expected_cost" else max
        assert len(history[callback.monitor]) == 2
        np.testing.assert_allclose(callback.best, best(history[callback.monitor]))


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
def test_tf_keras_needs_the_mode_and_a_warning_says_so_once(rows, tmp_path):
    # Without it tf-keras looks for "acc" and "auc" in the key, and keeps the worst epoch of any other score.
    stopper = keras.callbacks.EarlyStopping("val_f1", patience=5)
    kept, every = (
        keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}"), "f1/ok", save_best_only=b) for b in (True, False)
    )
    reducer = keras.callbacks.ReduceLROnPlateau("f1/ok")
    right = [keras.callbacks.EarlyStopping("val_f1", mode="max"), keras.callbacks.EarlyStopping("val_expected_cost")]
    with pytest.warns(UserWarning, match="takes the least") as told:
        _, history = fit(rows, [stopper, kept, every, reducer, *right], epochs=3)
    (message,) = (str(warning.message) for warning in told if "takes the least" in str(warning.message))
    assert re.findall(r"(\w+)\(monitor='(.*?)'\)", message) == [
        ("EarlyStopping", "val_f1"),
        ("ModelCheckpoint", "f1/ok"),
        ("ReduceLROnPlateau", "f1/ok"),
    ]
    assert "mode='max'" in message
    assert stopper.best == min(history["val_f1"]) < max(history["val_f1"])


@knows_the_mode
@pytest.mark.parametrize("log_classes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_key_says_which_way_is_better(rows, log_classes, tmp_path):
    averages = {"average": ["macro", "weighted", "micro"], "log_classes": log_classes}
    metrics = [
        ki.PerClassReport(3, class_names=NAMES, prefix="r_", **averages),
        ki.PerClassAUC(3, class_names=NAMES, num_bins=64, **averages),
        ki.ExpectedCost(1 - np.eye(3)),
    ]
    keys = [key for metric in metrics[:2] for key in metric.monitored_keys()]
    assert len(keys) == 4 * 6
    assert "r_f1/St_ Bernard" in keys
    stoppers = {key: keras.callbacks.EarlyStopping(f"val_{key}", patience=5) for key in [*keys, "expected_cost"]}
    reducer = keras.callbacks.ReduceLROnPlateau("val_r_recall/ok", patience=5)
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_r_f1/ok", save_best_only=True)
    _, history = fit(rows, [ki.PerClassLogger(), *stoppers.values(), reducer, best], epochs=2, metrics=metrics)
    for key, stopper in stoppers.items():
        values = history[f"val_{key}"]
        np.testing.assert_allclose(stopper.best, min(values) if key == "expected_cost" else max(values), err_msg=key)
    np.testing.assert_allclose(reducer.best, max(history["val_r_recall/ok"]))
    np.testing.assert_allclose(best.best, max(history["val_r_f1/ok"]))


@knows_the_mode
def test_a_scalar_of_one_of_several_outputs_says_which_way_is_better(rows):
    x, y = rows
    model = two_outputs(metrics={"left": [ki.MacroF1(3)], "right": [ki.ExpectedCost(1 - np.eye(3))]})
    stoppers = {key: keras.callbacks.EarlyStopping(key) for key in ("left_macro_f1", "right_expected_cost")}
    history = model.fit(x, {"left": y, "right": y}, epochs=2, callbacks=list(stoppers.values()), verbose=0).history
    for best, (key, stopper) in zip((max, min), stoppers.items(), strict=True):
        np.testing.assert_allclose(stopper.best, best(history[key]))


@knows_the_mode
def test_a_key_that_no_metric_writes_is_named_with_the_mode(rows):
    with pytest.raises(ValueError, match=r"monitor=val_f1/no such class.*mode='max'"):
        fit(rows, [keras.callbacks.EarlyStopping("val_f1/no such class")], epochs=1)


@knows_the_mode
def test_directions_go_with_the_compiled_metrics_and_leave_no_trace(rows, tmp_path):
    def first_row(y_true, y_pred):
        return y_pred[:, 0]

    model = softmax_model(metrics=[ki.ExpectedCost(1 - np.eye(3), name="m")])
    with_ours = model.fit(*rows, callbacks=[keras.callbacks.EarlyStopping("m")], verbose=0).history
    assert set(with_ours) == {"loss", "m"}
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.evaluate(*rows, verbose=0, return_dict=True) == model.evaluate(*rows, verbose=0, return_dict=True)
    kept = model.metrics  # as what refers to itself is, until the collector comes
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[keras.metrics.MeanMetricWrapper(first_row, "m")])
    with pytest.raises(ValueError, match="mode='max'"):
        model.fit(*rows, callbacks=[keras.callbacks.EarlyStopping("m")], verbose=0)
    assert kept


def test_model_checkpoint(rows, tmp_path):
    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "{epoch}-{val_f1:.3f}-{val_f1/St_ Bernard:.3f}.keras"),
        monitor="val_f1/fraud_ card",
        mode="max",
    )
    _, history = fit(rows, [best], epochs=2)
    expected = [
        f"{epoch + 1}-{history['val_f1'][epoch]:.3f}-{history['val_f1/St_ Bernard'][epoch]:.3f}.keras"
        for epoch in range(2)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


# What mlflow's log_metrics takes for a name: these signs, and a path that names itself (mlflow/utils/validation.py,
# https://github.com/mlflow/mlflow/blob/001cc178a1442b488da41853c497adc5285a284d/mlflow/utils/validation.py).
LOGGERS = re.compile(r"^[/\w.\- ]*$")


def logger_takes(key):
    path = posixpath.normpath(key)
    return LOGGERS.match(key) is not None and path == key and path != "." and not path.startswith(("..", "/"))


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=2, unique=True)
)
def test_any_class_name_is_a_key_that_format_strings_and_loggers_take(names):
    metric = ki.PerClassF1(len(names), class_names=names)
    assert metric.class_names == names
    keys = metric.class_keys("f1")
    assert len(set(keys)) == len(names)
    for i, key in enumerate(keys):
        assert logger_takes(key)
        assert key.count("/") == 1
        assert f"{{{key}:.1f}}".format(**dict.fromkeys(keys, 0.25) | {key: i}) == f"{i}.0"


def test_every_key_of_a_fit_is_one_that_loggers_take(rows):
    model = softmax_model(metrics=[ki.PerClassReport(3, class_names=NAMES), ki.PerClassAUC(3, class_names=NAMES)])
    sampler = ki.ArraySampler(*rows, class_names=NAMES, seed=0)
    data = sampler.dataset() if keras.backend.backend() == "tensorflow" else sampler.py_dataset()
    logger = ki.PerClassLogger(sampler=sampler)
    history = model.fit(data, shuffle=False, validation_data=rows, callbacks=[logger], verbose=0).history
    assert {key.split("/")[0] for key in history} >= {"sampling", "val_f1", "val_auc"}
    assert [key for key in history if not logger_takes(key)] == []
    assert not logger_takes("f1/a:b")
    assert not logger_takes("f1/../b")


def test_safe_names_are_kept():
    names = ["ok", "großer Hund", "x_1", "-2"]
    assert ki.PerClassF1(4, class_names=names).class_keys("f1") == [f"f1/{name}" for name in names]


@pytest.mark.slow
@keras_3_only("KerasTuner takes models of Keras 3")
def test_keras_tuner_takes_every_key_as_an_objective(rows, tmp_path):
    import keras_tuner as tuner

    x, y = rows

    def build(parameters):
        model = softmax_model(metrics=[ki.PerClassReport(3, class_names=NAMES)])
        model.optimizer.learning_rate = parameters.Choice("rate", [1e-6, 1.0])
        return model

    with pytest.raises(ValueError, match="Objective"):  # of a name alone it knows only Keras's own metrics
        tuner.GridSearch(build, objective="val_f1/ok", directory=tmp_path)
    for key in ("val_f1", "val_f1/St_ Bernard"):
        objective = tuner.Objective(key, "max")
        search = tuner.GridSearch(build, objective=objective, directory=tmp_path, project_name=key[-3:])
        search.search(x, y, validation_data=rows, epochs=2, verbose=0)
        scores = [trial.score for trial in search.oracle.get_best_trials(2)]
        assert scores[0] == max(scores) > min(scores)


def test_csv_logger(rows, tmp_path):
    _, history = fit(rows, [keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    with open(tmp_path / "log.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    for key, values in history.items():
        np.testing.assert_allclose([float(line[key]) for line in lines], values)
    assert "val_f1/fraud_ card" in lines[0]


def test_tensorboard(rows, tmp_path):
    _, history = fit(rows, [keras.callbacks.TensorBoard(tmp_path)], epochs=2)
    from tensorflow_events import scalars

    found = scalars(tmp_path / "validation")
    for name in KEYS:
        np.testing.assert_allclose(found[f"epoch_f1/{name}"], history[f"val_f1/{name}"], rtol=1e-6)


def test_progress_bar_and_evaluate(rows, capsys):
    model = softmax_model(metrics=[ki.PerClassF1(3, class_names=NAMES), ki.ConfusionMatrix(3)])
    model.fit(*rows, verbose=2)
    shown = capsys.readouterr().out
    assert all(f"f1/{name}: " in shown for name in KEYS)
    logs = model.evaluate(*rows, verbose=0, return_dict=True)
    assert set(logs) == {"loss", "f1", *(f"f1/{name}" for name in KEYS)}
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
