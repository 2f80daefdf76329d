"""Values of the classes once an epoch: the same as those of every batch's logs, wherever logs go."""

import csv

import numpy as np
import pytest
import sklearn.metrics as oracle
from tensorflow_events import images, scalars

import keras_imbalance as ki
from keras_imbalance.backend import keras

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 25, 15])
    order = rng.permutation(100)
    return (rng.normal(size=(100, 4)).astype("float32") + labels[:, None])[order], labels[order]


def model_with(metrics, outputs=1, **compiled):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    heads = [keras.layers.Dense(3, activation="softmax", name=f"head{i}")(inputs) for i in range(outputs)]
    model = keras.Model(inputs, heads[0] if outputs == 1 else {f"head{i}": head for i, head in enumerate(heads)})
    model.compile(keras.optimizers.SGD(0.2), "sparse_categorical_crossentropy", metrics=metrics, **compiled)
    return model


def every_metric(log_classes):
    options = {"class_names": NAMES, "log_classes": log_classes}
    return [
        ki.PerClassF1(3, **options),
        ki.PerClassAveragePrecision(3, **options),
        ki.PerClassReport(3, prefix="r_", **options),
    ]


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("validation_freq", [1, 2])
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
            *rows, epochs=4, batch_size=32, validation_data=(rows[0][:50], rows[1][:50]), validation_freq=validation_freq,
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
    before = sampler.distribution
    model.fit(sampler.dataset(), epochs=2, shuffle=False, validation_data=rows, callbacks=callbacks, verbose=0)
    assert not np.allclose(sampler.distribution, before)


def test_several_outputs_and_weighted_metrics_keep_keras_names(rows):
    x, y = rows
    labels = {"head0": y, "head1": (y + 1) % 3}

    def each():
        return {head: [ki.PerClassRecall(3, log_classes=False)] for head in labels}

    model = model_with(each(), outputs=2, weighted_metrics=each())
    weights = np.linspace(0.1, 2, 100)
    history = model.fit(x, labels, sample_weight=weights, epochs=1, callbacks=[ki.PerClassLogger()], verbose=0).history
    macros = {"head0_recall", "head1_recall", "head0_weighted_recall", "head1_weighted_recall"}
    assert macros | {f"{name}/{k}" for name in macros for k in range(3)} <= history.keys()
    for name in macros:
        np.testing.assert_allclose(history[name][0], np.mean([history[f"{name}/{k}"][0] for k in range(3)]), atol=1e-6)
    assert len({history[f"{name}/2"][0] for name in macros}) > 1


def test_reports_with_one_prefix_are_an_error(rows):
    model = model_with([ki.PerClassReport(3, log_classes=False), ki.PerClassReport(3, log_classes=False, name="again")])
    with pytest.raises(ValueError, match="different keys"):
        model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=0)
    model = model_with([ki.PerClassF1(3, log_classes=False), ki.PerClassReport(3, ["recall"], log_classes=False)])
    model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=0)


def test_without_a_per_class_metric_it_says_what_is_missing(rows):
    model = model_with([ki.MacroF1(3)])
    with pytest.raises(ValueError, match="PerClassF1"):
        model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=0)


def test_tensorboard_files_hold_classes_and_pictures(rows, tmp_path):
    model = model_with([ki.PerClassF1(3, NAMES, log_classes=False), ki.ConfusionMatrix(3, NAMES), ki.MacroF1(3)])
    history = model.fit(
        *rows, epochs=2, validation_data=rows, callbacks=[ki.PerClassTensorBoard(tmp_path)], verbose=0
    ).history
    for part, prefix in (("train", ""), ("validation", "val_")):
        found = scalars(tmp_path / part)
        assert set(found) == {f"f1/{name}" for name in NAMES}
        for name in NAMES:
            np.testing.assert_allclose(found[f"f1/{name}"], history[f"{prefix}f1/{name}"], rtol=1e-6)
        pictures = images(tmp_path / part)
        assert list(pictures) == ["confusion_matrix/f1"]  # three equal matrices, one picture
        assert len(pictures["confusion_matrix/f1"]) == 2
        for picture in pictures["confusion_matrix/f1"]:
            assert picture.ndim == 3
            assert picture.shape[0] > 200
            assert len(np.unique(picture[..., 0])) > 10
    # The picture is drawn from what was counted.
    first, last = images(tmp_path / "validation")["confusion_matrix/f1"]
    assert first.shape != last.shape or (first != last).any()


def test_tensorboard_without_pictures(rows, tmp_path):
    model = model_with([ki.PerClassF1(3, NAMES)])
    model.fit(*rows, callbacks=[ki.PerClassTensorBoard(tmp_path, pictures=False)], verbose=0)
    assert images(tmp_path / "train") == {}
    assert set(scalars(tmp_path / "train")) == {f"f1/{name}" for name in NAMES}


def test_tensorboard_itself_reads_the_files(rows, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model = model_with([ki.PerClassF1(3, NAMES)])
    model.fit(*rows, epochs=2, callbacks=[ki.PerClassTensorBoard(tmp_path)], verbose=0)
    events = accumulator.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    tags = set(events.Tags()["tensors"]) | set(events.Tags()["scalars"]) | set(events.Tags()["images"])
    assert {"f1/a", "f1/b", "f1/c", "confusion_matrix/f1"} <= tags


@pytest.mark.parametrize("folder", [None, "", 3])
def test_a_folder_that_is_none_is_named(folder):
    with pytest.raises(ValueError, match=f"`log_dir` must name a folder. Received: log_dir={folder!r}"):
        ki.PerClassTensorBoard(folder)
