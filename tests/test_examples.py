"""The examples run as a user runs them: in a process of their own, from another folder."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import crepes
import numpy as np
import pytest
from kerases import keras_3_only
from matplotlib.image import imread

import keras_imbalance as ki

pytestmark = [pytest.mark.documents, keras_3_only("the examples import Keras 3")]
EXAMPLES = Path(__file__).parents[1] / "examples"
CLASSES = ["text", "horizontal_line", "picture", "vertical_line", "graphic"]
FIGURES = ["confusion_matrices.png", "recall_and_sampling.png"]


def run(example, folder, *arguments):
    command = [sys.executable, str(EXAMPLES / f"{example}.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def run_page_blocks(folder, *arguments):
    return run("page_blocks", folder, "--epochs", "2", *arguments)


@pytest.fixture
def module(monkeypatch):
    """An example as a module of this process, for what takes no training."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


@pytest.fixture
def refusal(module, tmp_path, monkeypatch, capsys):
    """What an example says to arguments that it refuses, having written nothing."""

    def run(example, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [example, *arguments])
        with pytest.raises(SystemExit, match="2"):
            module(example).main()
        assert not list(tmp_path.iterdir())
        return capsys.readouterr().err

    return run


@pytest.fixture(scope="module", params=[("focal", "2")], ids="-".join)
def page_blocks(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page_blocks")
    loss, seeds = request.param
    done = run_page_blocks(folder, "--loss", loss, "--seeds", seeds, "--output", "figures")
    assert done.returncode == 0, done.stderr
    return done.stdout, folder / "figures"


def table_row(output, name):
    """The scores (2, 3) of one row: plain, then plugin; precision, recall, F1."""
    line = re.search(rf"^{name} .*$", output, flags=re.MULTILINE).group()
    return np.array(re.findall(r"\d\.\d{3}", line), dtype=float).reshape(2, 3)


def test_page_blocks_prints_a_table_that_adds_up(page_blocks):
    output, _ = page_blocks
    classes = np.stack([table_row(output, name) for name in CLASSES])
    assert ((classes >= 0) & (classes <= 1)).all()
    np.testing.assert_allclose(table_row(output, "macro mean"), classes.mean(axis=0), atol=1e-3)
    # The mean over seeds of the worst class is at most the worst mean.
    assert (table_row(output, "worst class") <= classes.min(axis=0) + 1e-3).all()


def test_page_blocks_shows_the_epochs_of_both_nets(page_blocks):
    output, _ = page_blocks
    assert output.count("Epoch 2/2") == output.count(": 2 epochs")
    assert "val_recall" in output


def test_page_blocks_fits_a_terminal(page_blocks):
    table = page_blocks[0][page_blocks[0].index("Test rows") :]
    assert "macro mean" in table
    assert max(map(len, table.splitlines())) <= 80


def test_the_bar_of_an_epoch_fits_a_terminal(module, capsys):
    example = module("page_blocks")
    bar = ki.ShortBar(*example.SHOWN)
    bar.set_params({"verbose": 1, "epochs": 2, "steps": 43})
    bar.on_epoch_begin(0)
    bar.on_train_batch_end(0, {"loss": 0.5})
    bar.on_epoch_end(0, {"loss": 0.25, "recall/text": 0.5, "val_loss": 0.25, "val_recall": 0.5, "val_f1": 0.5})
    last = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()[-1]
    assert last.startswith("43/43 ")
    assert last.count(": ") == 3
    assert "val_recall: 0.5000" in last
    assert len(last) <= 80


@pytest.mark.parametrize("example", ["page_blocks", "streaming_tfrecord", "two_workers"])
@pytest.mark.parametrize("below", ["", "/pictures"])
def test_an_example_refuses_a_file_as_its_folder_before_it_trains(
    module, example, below, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(sys, "argv", [example, "--output", f"{file}{below}"])
    with pytest.raises(SystemExit, match="2"):
        module(example).main()
    assert (
        f"argument --output: Expected a folder. Received: {file}{below}, where {file} is a file"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", FIGURES)
def test_page_blocks_draws_figures(page_blocks, name):
    image = imread(page_blocks[1] / name)
    assert image.shape[0] >= 400
    assert image.shape[1] >= 800
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 20  # drawn on, not blank


@pytest.mark.parametrize("argument", [("--seeds", "0"), ("--epochs", "1"), ("--loss", "mse")])
def test_page_blocks_refuses(refusal, argument):
    said = refusal("page_blocks", *argument)
    assert argument[0] in said
    assert argument[1] in said


def numbers(line):
    return [float(number) for number in re.findall(r"-?\d+\.\d+|\d+", line)]


def check_picture(path):
    image = imread(path)
    assert min(image.shape[:2]) >= 400
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 20


def rows_of(printed, names):
    """The figures of the rows of a table that begin with these names, in their order."""
    lines = printed.splitlines()
    return [numbers(next(line for line in lines if line.startswith(f"{name}  ")).removeprefix(name)) for name in names]


def test_fraud_is_decided_by_cost_and_its_probabilities_put_back(tmp_path):
    done = run("fraud", tmp_path, "--epochs", "4", "--rows", "30000", "--output", "figures")
    assert done.returncode == 0, done.stderr
    names = ["plain at 0.5", "plain, by cost", "balanced, by cost", "balanced, put back", "true densities, by cost"]
    now, later = done.stdout.split("a month with")
    at_half, by_cost, balanced, put_back, best = rows_of(
        now, names
    )  # avg prec, log loss, alarms, recall, precision, cost
    assert by_cost[-1] < at_half[-1]
    assert put_back[0] == pytest.approx(balanced[0], abs=0.002)  # the ranking stays
    assert put_back[1] < balanced[1] / 2
    assert put_back[-1] < balanced[-1]
    assert best[1] < min(by_cost[1], put_back[1])
    as_trained, moved = rows_of(later, ["plain, by cost", "moved, by cost"])
    estimated, true = numbers(next(line for line in now.splitlines() if line.startswith("Later month")))
    assert min(estimated, true) > 0.3  # more than the 0.2 % of training
    assert moved[0] == pytest.approx(as_trained[0], abs=0.002)
    assert moved[3] > as_trained[3]  # the recall
    check_picture(tmp_path / "figures" / "fraud.png")


def test_the_true_probabilities_of_the_payments_are_calibrated(module):
    fraud = module("fraud")
    x, y = fraud.draw_payments(200_000, 0.05, np.random.default_rng(0))
    p = fraud.true_probability(x, 0.05)
    for low, high in ((0, 0.01), (0.01, 0.1), (0.1, 0.5), (0.5, 1)):
        within = (p > low) & (p <= high)
        error = np.sqrt((p[within] * (1 - p[within])).sum()) / within.sum()
        assert y[within].mean() == pytest.approx(p[within].mean(), abs=4 * error)


def test_a_frame_goes_into_keras_and_into_cross_validation(tmp_path):
    done = run("tabular_frame", tmp_path, "--epochs", "3", "--folds", "2", "--output", "figures")
    assert done.returncode == 0, done.stderr
    in_keras, in_scikit_learn = done.stdout[done.stdout.index("test rows") :].split("2 folds")
    for table in (in_keras, in_scikit_learn):
        for scores in rows_of(table, ["plain", "balanced, repeats", "balanced, SMOTE-NC"]):
            assert len(scores) >= 4
            assert all(0 <= score <= 1 for score in scores)
    check_picture(tmp_path / "figures" / "tabular_frame.png")


def test_what_smote_nc_made_are_new_rows_with_words_of_the_frame(module):
    example = module("tabular_frame")
    frame, text = example.read_frame()
    train = example.filled(frame, np.arange(len(frame)), text)
    *_, (_, sampler) = example.samplers(train, text, seed=0)
    made = example.made_by(sampler, train)
    ill = train[train["class"] == "hypothyroid"]
    assert len(made) > 1000  # 1,582 drawn of 151
    assert all(set(made[name]) <= set(ill[name]) for name in text)
    assert (made[example.NUMBERS].max() <= ill[example.NUMBERS].max() + 1e-5).all()


def test_prediction_sets_keep_the_promise_in_every_class(tmp_path):
    done = run("prediction_sets", tmp_path, "--epochs", "5", "--seeds", "2", "--output", "figures")
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout, [*CLASSES, "all rows"])  # calibrated on, one limit, one a class, sizes
    assert min(row[2] for row in rows) > 0.8 > min(row[1] for row in rows)
    assert rows[-1][1] == pytest.approx(0.9, abs=0.03)
    check_picture(tmp_path / "figures" / "prediction_sets.png")


def test_sets_are_those_of_crepes(module):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [330, 78, 27])  # a tenth of n + 1 is whole for none: there crepes takes one score more
    p = rng.dirichlet(np.ones(3), size=935) + 0.3 * np.eye(3)[np.r_[y, rng.choice(3, size=500)]]
    p /= p.sum(axis=1, keepdims=True)
    strange, new = 1 - p[np.arange(435), y], 1 - p[435:]
    of_all, of_each = module("prediction_sets").limits_of(p[:435], y).values()
    theirs = crepes.ConformalClassifier().fit(strange).predict_set(new, confidence=0.9, smoothing=False)
    np.testing.assert_array_equal(new <= of_all, theirs)
    by_class = crepes.ConformalClassifier().fit(strange, bins=y)
    for k in range(3):
        theirs = by_class.predict_set(new[:, [k]], bins=np.full(500, k), confidence=0.9, smoothing=False)
        np.testing.assert_array_equal((new <= of_each)[:, [k]], theirs)


@pytest.mark.parametrize(
    ("example", "rows", "picture"),
    [
        ("long_tailed_images", ["plain", "logit adjustment", "classifier retraining"], "long_tailed_images.png"),
        ("two_phase_transfer", ["all at once", "phase by phase"], "two_phase_transfer.png"),
        ("multi_label", ["cross-entropy, tuned", "asymmetric loss, tuned"], "multi_label.png"),
    ],
)
def test_an_example_prints_a_row_for_each_way_and_draws(example, rows, picture, tmp_path):
    done = run(example, tmp_path, "--epochs", "3", "--output", "figures")
    assert done.returncode == 0, done.stderr
    for row in rows:
        line = next(line for line in done.stdout.splitlines() if re.match(rf"{row}  ", line))
        scores = numbers(line)
        assert len(scores) >= 4
        assert all(0 <= score <= 1 for score in scores)
    check_picture(tmp_path / "figures" / picture)


def test_image_folder_decodes_what_is_drawn(tmp_path):
    done = run("image_folder", tmp_path, "--epochs", "2", "--images", "500", "--folder", "parts", "--output", "figures")
    assert done.returncode == 0, done.stderr
    as_they_come, balanced = (
        numbers(line.replace(",", "")) for line in done.stdout.splitlines() if line.startswith("The first epoch")
    )
    assert as_they_come[:3] == [400, 400, 400]
    decoded, opened, files = balanced[:3]
    assert decoded == files == 400
    assert opened < files
    table = done.stdout[done.stdout.index("test images") :]
    for name in ("clean", "scratch", "stain", "dent", "crack", "mean", "worst"):
        scores = numbers(next(line for line in table.splitlines() if line.startswith(f"{name}  ")))
        assert len(scores) == 4
        assert all(0 <= score <= 1 for score in scores)
    assert len(list(tmp_path.glob("parts/train/*/*.jpg"))) == pytest.approx(500, abs=2)  # rounded class by class
    check_picture(tmp_path / "figures" / "image_folder.png")
    again = run("image_folder", tmp_path, "--folder", "parts")
    assert "argument --folder: Expected an empty folder. Received: parts" in again.stderr


def test_segmentation_prints_a_row_for_each_way_and_draws(tmp_path):
    done = run("segmentation", tmp_path, "--epochs", "2", "--rows", "100", "--output", "figures")
    assert done.returncode == 0, done.stderr
    shares = [float(share) for share in re.findall(r"(\d+\.\d+)%", done.stdout)]
    assert sum(shares) == pytest.approx(100, abs=0.05)
    assert shares[-1] < 0.5
    table = done.stdout[done.stdout.index("test images") :]
    for row in ("cross-entropy", "Tversky and cross-entropy", "... and images by rarest class"):
        *ious, iou, dice, _ = numbers(next(line for line in table.splitlines() if line.startswith(f"{row}  ")))
        assert iou == pytest.approx(np.mean(ious), abs=1e-3)
        assert dice == pytest.approx(2 * ious[-1] / (1 + ious[-1]), abs=2e-3)  # what links the two scores of a class
    check_picture(tmp_path / "figures" / "segmentation.png")


def test_the_stream_is_balanced_and_its_probabilities_are_put_back(tmp_path):
    done = run("streaming_tfrecord", tmp_path, "--epochs", "2", "--rows", "16000", "--output", "figures")
    assert done.returncode == 0, done.stderr
    honest, fraud = (
        numbers(next(x for x in done.stdout.splitlines() if x.startswith(f"{name}  "))) for name in ("honest", "fraud")
    )
    assert honest[0] + fraud[0] == pytest.approx(16000, abs=8)
    assert fraud[1] == pytest.approx(honest[1], rel=0.25)
    assert fraud[3] < fraud[2]
    assert fraud[3] == pytest.approx(fraud[4], abs=0.02)
    check_picture(tmp_path / "figures" / "streaming_precision_recall.png")


@pytest.mark.parametrize(
    ("example", "argument"),
    [
        ("long_tailed_images", ("--data", "absent.npz")),
        ("two_workers", ("--workers", "0")),
        ("fraud", ("--seeds", "0")),
    ],
)
def test_an_example_refuses_what_it_cannot_do(example, argument, refusal):
    said = refusal(example, *argument)
    assert f"argument {argument[0]}: " in said
    assert f"Received: {argument[1]}" in said


def test_which_remedy_shows_a_table_and_code_that_python_reads(tmp_path):
    done = run("which_remedy", tmp_path, "--epochs", "3", "--splits", "1", "--output", "figures")
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.index("Test rows") : done.stdout.index("To go on with")]
    for row in ("plain", "class_weight", "matched pair", "matched pair, macro-F1 decision"):
        line = next(line for line in table.splitlines() if line.startswith(f"{row}  "))
        assert all(0 <= score <= 1 for score in numbers(line.removeprefix(row))[:3])
    code = done.stdout[done.stdout.index("To go on with") :].partition("\n\n")[2].partition("Wrote")[0]
    compile(code, "settings", "exec")
    check_picture(tmp_path / "figures" / "which_remedy.png")


def test_images_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 30)
    x = (rng.integers(0, 60, size=(300, 12, 12)) + 19 * y[:, None, None]).astype("uint8")
    np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    done = run("long_tailed_images", tmp_path, "--epochs", "2", "--data", "images.npz")
    assert done.returncode == 0, done.stderr
    assert "[30, 18, 11," in done.stdout
