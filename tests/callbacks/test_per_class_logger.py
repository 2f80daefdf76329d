"""Values of the classes once an epoch: the same as those of every batch's logs, wherever logs go."""

import csv

import numpy as np
import pytest
import sklearn.metrics as oracle
from logger_runs import make_rows, model_with

import keras_imbalance as ki
from keras_imbalance._keras import keras

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def every_metric(log_classes):
    options = {"class_names": NAMES, "log_classes": log_classes}
    return [
        ki.PerClassF1(3, **options),
        ki.PerClassAveragePrecision(3, **options),
        ki.PerClassReport(3, prefix="r_", **options),
    ]


@pytest.mark.parametrize(
    ("jit_compile", "validation_freq"), [(False, 2), pytest.param(True, 1, marks=pytest.mark.slow)]
)
def test_equals_the_values_of_every_batchs_logs(rows, jit_compile, validation_freq, tmp_path):
    found = []
    for log_classes in (True, False):
        model = model_with(every_metric(log_classes), jit_compile=jit_compile)
        loggers = [] if log_classes else [ki.PerClassLogger()]
        log = keras.callbacks.CSVLogger(str(tmp_path / f"{log_classes}.csv"))
        stopper = keras.callbacks.EarlyStopping("f1/c", mode="max", patience=9)
        checkpoint = keras.callbacks.ModelCheckpoint(
            str(tmp_path / "best.keras"), monitor="f1/b", mode="max", save_best_only=True
        )
        history = model.fit(
            *rows, epochs=4, batch_size=32, validation_data=(rows[0][:64], rows[1][:64]), validation_freq=validation_freq,
            callbacks=[*loggers, log, stopper, checkpoint], verbose=0, shuffle=False,
        ).history  # fmt: skip
        np.testing.assert_allclose(stopper.best, max(history["f1/c"]))
        np.testing.assert_allclose(checkpoint.best, max(history["f1/b"]))
        with open(tmp_path / f"{log_classes}.csv", newline="") as file:
            lines = list(csv.DictReader(file))
        for name in NAMES:
            np.testing.assert_allclose([float(line[f"f1/{name}"]) for line in lines], history[f"f1/{name}"])
        found.append(history)
    assert found[0].keys() == found[1].keys()
    assert {"f1/a", "val_f1/a", "average_precision/c", "val_r_recall/b", "val_r_recall"} <= found[0].keys()
    for key, values in found[0].items():
        assert len(values) == (4 // validation_freq if key.startswith("val_") else 4)
        np.testing.assert_allclose(found[1][key], values, atol=1e-6)


def test_a_batchs_logs_hold_the_macro_mean_alone(rows):
    logs = model_with(every_metric(False)).train_on_batch(*rows, return_dict=True)
    assert set(logs) == {"loss", "f1", "average_precision", "r_precision", "r_recall", "r_f1"}


def test_equals_scikit_learn(rows):
    model = model_with([ki.PerClassRecall(3, log_classes=False)])
    history = model.fit(*rows, epochs=2, validation_data=rows, callbacks=[ki.PerClassLogger()], verbose=0).history
    decided = model.predict(rows[0], verbose=0).argmax(axis=1)
    expected = oracle.recall_score(rows[1], decided, average=None)
    np.testing.assert_allclose([history[f"val_recall/{k}"][-1] for k in range(3)], expected, atol=1e-7)
    logger = ki.PerClassLogger()
    logs = model.evaluate(*rows, callbacks=[logger], verbose=0, return_dict=True)
    np.testing.assert_allclose([logger.validation[f"recall/{k}"] for k in range(3)], expected, atol=1e-7)
    np.testing.assert_allclose(logs["recall"], expected.mean(), atol=1e-6)


def test_dynamic_sampling_reads_them(rows):
    sampler = ki.ArraySampler(*rows, batch_size=20, seed=0)
    model = model_with([ki.PerClassF1(3, log_classes=False)])
    callbacks = [ki.PerClassLogger(), ki.DynamicSampling(sampler, floor=0.2, momentum=0.0)]
    history = model.fit(
        sampler.dataset(), epochs=2, shuffle=False, validation_data=rows, callbacks=callbacks, verbose=0
    ).history
    errors = 1 - np.array([history[f"val_f1/{k}"][0] for k in range(3)])
    np.testing.assert_allclose(callbacks[1].targets[1], 0.2 / 3 + 0.8 * errors / errors.sum(), atol=1e-6)


@pytest.mark.parametrize("log_classes", [False, True])
def test_keys_are_a_metrics_own_with_several_outputs_and_weighted_metrics(rows, log_classes):
    x, y = rows
    labels = {"head0": y, "head1": (y + 1) % 3}

    def each(tail):
        return {head: [ki.PerClassRecall(3, name=head[-1] + tail, log_classes=log_classes)] for head in labels}

    model = model_with(each("_recall"), outputs=2, weighted_metrics=each("_weighted"))
    weights = np.linspace(0.1, 2, 96)
    history = model.fit(x, labels, sample_weight=weights, epochs=1, callbacks=[ki.PerClassLogger()], verbose=0).history
    macros = {"0_recall", "1_recall", "0_weighted", "1_weighted"}
    assert {key for key in history if "loss" not in key} == macros | {
        f"{name}/{k}" for name in macros for k in range(3)
    }
    for name in macros:
        np.testing.assert_allclose(history[name][0], np.mean([history[f"{name}/{k}"][0] for k in range(3)]), atol=1e-6)
    assert len({history[f"{name}/2"][0] for name in macros}) > 1


def test_reports_with_one_prefix_are_an_error(rows):
    model = model_with([ki.PerClassReport(3, log_classes=False), ki.PerClassReport(3, log_classes=False, name="again")])
    with pytest.raises(ValueError, match=r"`metrics` must log different keys.*`prefix`"):
        model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=0)
    model = model_with(
        [ki.PerClassF1(3, log_classes=False), ki.PerClassReport(3, metrics=["recall"], log_classes=False)]
    )
    model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=0)


def test_without_a_per_class_metric_it_says_what_is_missing(rows):
    model = model_with([ki.MacroF1(3)])
    with pytest.raises(ValueError, match=r"`metrics` must hold a per-class metric.*PerClassF1"):
        model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=0)
