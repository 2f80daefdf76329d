"""The progress bar of a real fit: which keys it shows, while History, CSVLogger and TensorBoard have all."""

import csv
import re
import warnings

import numpy as np
import pytest
from logger_runs import make_rows, model_with
from tensorflow_events import scalars

import keras_imbalance as ki
from keras_imbalance._keras import keras

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def lines_of(printed):
    """What the bar wrote last into each of its lines, without colours."""
    plain = re.sub(r"\x1b\[\d*m", "", printed)
    return [re.split(r"[\b\r]+", line)[-1] for line in plain.splitlines() if " - loss: " in line]


def everywhere(folder):
    """A CSV file and TensorBoard, and a function that reads the last value of each key from both."""
    callbacks = [keras.callbacks.CSVLogger(str(folder / "log.csv")), keras.callbacks.TensorBoard(str(folder / "board"))]

    def read():
        with open(folder / "log.csv", newline="") as file:
            in_csv = {key: float(value) for key, value in list(csv.DictReader(file))[-1].items()}
        in_board = {}
        for part, prefix in (("train", ""), ("validation", "val_")):
            for key, values in scalars(folder / "board" / part).items():
                in_board[prefix + key.removeprefix("epoch_")] = values[-1]
        return in_csv, in_board

    return callbacks, read


@pytest.mark.parametrize(("log_classes", "verbose"), [(True, 1), (False, 2)])
def test_classes_are_in_all_logs_and_off_the_bar(rows, log_classes, verbose, tmp_path, capsys):
    metrics = [ki.PerClassReport(3, class_names=NAMES, log_classes=log_classes)]
    callbacks, read = everywhere(tmp_path)
    history = (
        model_with(metrics)
        .fit(
            *rows,
            epochs=2,
            batch_size=50,
            validation_data=rows,
            callbacks=[ki.PerClassLogger(), *callbacks],
            verbose=verbose,
        )
        .history
    )
    keys = {
        f"{part}{score}/{name}" for part in ("", "val_") for score in ("precision", "recall", "f1") for name in NAMES
    }
    assert keys <= history.keys()
    for found in read():
        for key in keys:
            np.testing.assert_allclose(found[key], history[key][-1], rtol=1e-6)
    printed = capsys.readouterr().out
    lines = lines_of(printed)
    assert len(lines) >= 2
    assert all("val_f1: " in line for line in lines if "val_loss" in line)
    for key in keys:
        assert f"{key}:" not in printed


def test_only_the_classes_of_metrics_are_off_the_bar(rows, capsys):
    class Own(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["time/epoch"] = 3.0

    model = model_with([ki.PerClassReport(3, prefix="left/", log_classes=False)])
    model.fit(*rows, validation_data=rows, callbacks=[ki.PerClassLogger(), Own()], verbose=2)
    printed = capsys.readouterr().out
    (line,) = lines_of(printed)
    means = {f"{part}left/{score}" for part in ("", "val_") for score in ("precision", "recall", "f1")}
    assert set(re.findall(r"- ([\w/]+): ", line)) == {"loss", "val_loss", "time/epoch"} | means


def test_evaluate_shows_the_means(rows, capsys):
    model = model_with([ki.PerClassF1(3, class_names=NAMES)])
    logs = model.evaluate(*rows, callbacks=[ki.PerClassLogger()], return_dict=True)
    printed = capsys.readouterr().out
    assert "f1: " in printed
    assert "f1/a" not in printed
    assert {"f1", "f1/a"} <= logs.keys()


def test_a_bar_of_the_users_own_shows_what_it_shows(rows, capsys):
    class Whole(keras.callbacks.ProgbarLogger):
        pass

    bar = Whole(**({} if hasattr(keras, "ops") else {"count_mode": "steps"}))
    model = model_with([ki.PerClassF1(3, class_names=NAMES, log_classes=False)])
    model.fit(*rows, callbacks=[ki.PerClassLogger(), bar], verbose=2)
    assert "f1/a: " in capsys.readouterr().out


def test_the_bar_of_a_fit_without_the_logger_is_keras_own(rows, capsys):
    model = model_with([ki.PerClassF1(3, class_names=NAMES)])
    model.fit(*rows, callbacks=[ki.PerClassLogger()], verbose=2)
    model.fit(*rows, verbose=2)
    first, second = lines_of(capsys.readouterr().out)
    assert "f1/a" not in first
    assert "f1/a" in second


def sampler_of(rows):
    return ki.ArraySampler(*rows, batch_size=20, seed=0, class_names=NAMES)


SETTERS = {
    "dynamic": lambda s: ki.DynamicSampling(s, momentum=0.0, floor=0.0),
    "progressive": lambda s: ki.ProgressiveSampling(s),
    "logger": lambda s: ki.PerClassLogger(sampler=s),
    "phases": lambda s: ki.PhasedTraining([ki.Phase(0, target="natural"), ki.Phase(2, target=[0.2, 0.2, 0.6])], s),
    "two phases": lambda s: ki.TwoPhaseLearning(s, switch_epoch=1),
}


@pytest.mark.parametrize(
    "setter",
    [
        "dynamic",
        "logger",
        "phases",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("progressive", "two phases")),
    ],
)
def test_what_an_epoch_drew_is_in_all_logs_and_off_the_bar(rows, setter, tmp_path, capsys):
    sampler = sampler_of(rows)
    sampler.target = "balanced" if setter == "two phases" else "natural"  # two phases end on the natural shares
    callbacks, read = everywhere(tmp_path)
    model = model_with([ki.PerClassF1(3, class_names=NAMES)])
    history = model.fit(
        sampler.dataset(),
        epochs=3,
        shuffle=False,
        validation_data=rows,
        callbacks=[SETTERS[setter](sampler), *callbacks],
    ).history
    drawn = np.array(sampler.history, dtype=float)
    drawn /= drawn.sum(axis=1, keepdims=True)
    assert len(drawn) == 3
    assert (np.ptp(drawn, axis=0).max() > 0.05) == (setter != "logger")  # callbacks that set a target change the shares
    for k, name in enumerate(NAMES):
        np.testing.assert_allclose(history[f"sampling/{name}"], drawn[:, k])
        for found in read():
            np.testing.assert_allclose(found[f"sampling/{name}"], drawn[-1, k], rtol=1e-6)
    assert "sampling/" not in capsys.readouterr().out


def test_a_logger_of_a_sampler_that_fit_does_not_draw_from_says_so(rows):
    model = model_with([ki.PerClassF1(3)])
    with pytest.warns(UserWarning, match=r"PerClassLogger has a sampler that drew no row.*dataset\(\)"):
        model.fit(*rows, callbacks=[ki.PerClassLogger(sampler=sampler_of(rows))], verbose=0)
    with pytest.raises(ValueError, match="`sampler` must be None or a sampler"):
        ki.PerClassLogger(sampler=sampler_of(rows).dataset())


def test_a_sampler_that_draws_for_validation_too_logs_what_was_trained_on(rows):
    sampler = sampler_of(rows)
    phases = ki.PhasedTraining([ki.Phase(0, target=[0.1, 0.1, 0.8])], sampler)
    model = model_with([ki.PerClassF1(3)])
    history = model.fit(
        sampler.dataset(), epochs=2, shuffle=False, validation_data=sampler.dataset(), callbacks=[phases], verbose=0
    ).history
    np.testing.assert_allclose(history["sampling/c"], 0.8, atol=0.02)


def test_a_short_bar_is_one_line_of_what_it_is_told(rows, capsys):
    model = model_with([ki.PerClassReport(3, class_names=NAMES)])
    bar = ki.ShortBar("val_f1", "loss", "f1/b")
    history = model.fit(*rows, epochs=2, batch_size=10, validation_data=rows, callbacks=[bar], verbose=1).history
    printed = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    steps = [line for line in re.split(r"[\b\r\n]+", printed) if "loss: " in line]
    assert max(map(len, steps)) <= 80
    for line in steps:
        assert set(re.findall(r"- ([\w/]+): ", line)) <= {"ETA", "val_f1", "loss", "f1/b"}  # ETA: of tf-keras
    ends = [line for line in steps if "val_f1" in line]
    assert len(ends) == 2
    for i, line in enumerate(ends):
        assert line.startswith("10/10 ")
        for key in ("val_f1", "loss", "f1/b"):
            shown = float(re.search(rf"- {key}: ([\d.e-]+)", line).group(1))
            assert shown == pytest.approx(history[key][i], abs=6e-5)
    model.evaluate(*rows, callbacks=[ki.ShortBar("val_f1", "loss", "f1/b")], verbose=1)
    last = re.split(r"[\b\r\n]+", re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).strip())[-1]
    assert set(re.findall(r"- ([\w/]+): ", last)) == {"f1", "loss", "f1/b"}


def test_a_short_bar_keeps_quiet_where_fit_does(rows, capsys):
    model_with([ki.PerClassF1(3)]).fit(*rows, callbacks=[ki.ShortBar("loss")], verbose=0)
    assert capsys.readouterr().out == ""


def test_a_key_that_the_logs_lack_is_told_once(rows):
    model = model_with([ki.PerClassF1(3, class_names=NAMES)])
    with pytest.warns(UserWarning, match=r"ShortBar shows no 'val_f2'.*Did you mean 'val_f1'\?") as told:
        model.fit(*rows, epochs=2, validation_data=rows, callbacks=[ki.ShortBar("loss", "val_f2")], verbose=0)
    assert sum("ShortBar" in str(warning.message) for warning in told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(
            *rows,
            epochs=2,
            validation_data=rows,
            validation_freq=2,
            callbacks=[ki.ShortBar("loss", "val_f1")],
            verbose=0,
        )


def test_without_keys_a_short_bar_shows_the_loss(rows, capsys):
    model_with([ki.PerClassF1(3)]).fit(*rows, callbacks=[ki.ShortBar()], verbose=2)
    (line,) = lines_of(capsys.readouterr().out)
    assert re.findall(r"- ([\w/]+): ", line) == ["loss"]


def test_keys_in_a_list_are_told_how_to_be_given():
    with pytest.raises(ValueError, match=r"`keys`.*ShortBar\('loss', 'val_f1'\)"):
        ki.ShortBar(["loss", "val_f1"])


@pytest.mark.parametrize("key", [None, 3, "", " f1", ["loss"]])
def test_a_key_is_text(key):
    with pytest.raises(ValueError, match="`keys` must be"):
        ki.ShortBar("loss", key)
