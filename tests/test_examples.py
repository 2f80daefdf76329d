"""The examples run as a user runs them: in a process of their own, from another folder."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

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


def test_rare_event_puts_the_probabilities_back(tmp_path):
    done = run("rare_event", tmp_path, "--epochs", "5", "--output", "figures")
    assert done.returncode == 0, done.stderr
    rows = {
        name: numbers(line.removeprefix(name))
        for line in done.stdout.splitlines()
        for name in ("ensemble at 0.5", "corrected at 0.5", "corrected, by cost")
        if line.startswith(name)
    }
    before, after, by_cost = rows.values()
    assert before[0] == pytest.approx(after[0], abs=0.002)  # the ranking stays
    assert after[1] < before[1] / 2  # the Brier score falls
    assert after[2] < before[2]  # and so does the recall at 0.5
    assert by_cost[2] > after[2]
    assert "plain net, by cost" in done.stdout  # what the ensemble must be held against
    check_picture(tmp_path / "figures" / "reliability.png")


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
        ("rare_event", ("--seeds", "0")),
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
