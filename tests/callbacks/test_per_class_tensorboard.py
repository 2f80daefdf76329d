"""What PerClassTensorBoard writes, read back from the event files."""

import numpy as np
import pytest
from logger_runs import make_rows, model_with
from tensorflow_events import images, scalars

import keras_imbalance as ki

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def test_tensorboard_files_hold_classes_and_pictures(rows, tmp_path):
    model = model_with(
        [
            ki.PerClassF1(3, class_names=NAMES, log_classes=False),
            ki.ConfusionMatrix(3, class_names=NAMES),
            ki.CohenKappa(3, weights="linear"),
        ]
    )
    history = model.fit(
        *rows, epochs=2, validation_data=rows, callbacks=[ki.PerClassTensorBoard(tmp_path)], verbose=0
    ).history
    for part, prefix in (("train", ""), ("validation", "val_")):
        found = scalars(tmp_path / part)
        assert set(found) == {f"f1/{name}" for name in NAMES}
        for name in NAMES:
            np.testing.assert_allclose(found[f"f1/{name}"], history[f"{prefix}f1/{name}"], rtol=1e-6)
        pictures = images(tmp_path / part)
        assert list(pictures) == ["confusion_matrix/confusion_matrix"]  # two equal matrices, one picture
        assert len(pictures["confusion_matrix/confusion_matrix"]) == 2
        for picture in pictures["confusion_matrix/confusion_matrix"]:
            assert picture.ndim == 3
            assert picture.shape[0] > 200
            assert len(np.unique(picture[..., 0])) > 10
    # The picture is drawn from what was counted.
    first, last = images(tmp_path / "validation")["confusion_matrix/confusion_matrix"]
    assert first.shape != last.shape or (first != last).any()


def test_tensorboard_without_pictures(rows, tmp_path):
    model = model_with([ki.PerClassF1(3, class_names=NAMES)])
    model.fit(*rows, callbacks=[ki.PerClassTensorBoard(tmp_path, pictures=False)], verbose=0)
    assert images(tmp_path / "train") == {}
    assert set(scalars(tmp_path / "train")) == {f"f1/{name}" for name in NAMES}


def test_tensorboard_itself_reads_the_files(rows, tmp_path):
    from tensorboard.backend.event_processing import event_accumulator as accumulator

    model = model_with([ki.PerClassF1(3, class_names=NAMES), ki.ConfusionMatrix(3)])
    model.fit(*rows, epochs=2, callbacks=[ki.PerClassTensorBoard(tmp_path)], verbose=0)
    events = accumulator.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    tags = set(events.Tags()["tensors"]) | set(events.Tags()["scalars"]) | set(events.Tags()["images"])
    assert {"f1/a", "f1/b", "f1/c", "confusion_matrix/confusion_matrix"} <= tags


@pytest.mark.parametrize("folder", [None, "", 3])
def test_what_names_no_folder_is_refused(folder):
    with pytest.raises(ValueError, match=f"`log_dir` must name a folder. Received: log_dir={folder!r}"):
        ki.PerClassTensorBoard(folder)


@pytest.mark.parametrize(("argument", "value"), [("pictures", "False"), ("normalize", "pred"), ("normalize", "True")])
def test_another_argument_is_named(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` must be"):
        ki.PerClassTensorBoard("logs", **{argument: value})
