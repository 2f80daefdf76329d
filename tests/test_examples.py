"""The examples run as a user runs them: in a process of their own, from another folder."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

EXAMPLES = Path(__file__).parents[1] / "examples"
CLASSES = ["text", "horizontal_line", "picture", "vertical_line", "graphic"]
FIGURES = ["confusion_matrices.png", "recall_and_sampling.png"]


def run_page_blocks(folder, *arguments):
    command = [sys.executable, str(EXAMPLES / "page_blocks.py"), "--epochs", "2", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module", params=[("class_balanced", "1"), ("focal", "2")], ids="-".join)
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


@pytest.mark.parametrize("name", FIGURES)
def test_page_blocks_draws_figures(page_blocks, name):
    image = imread(page_blocks[1] / name)
    assert image.shape[0] >= 400
    assert image.shape[1] >= 800
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 20  # drawn on, not blank


@pytest.mark.parametrize("argument", [("--seeds", "0"), ("--epochs", "1"), ("--loss", "mse")])
def test_page_blocks_refuses(tmp_path, argument):
    done = run_page_blocks(tmp_path, *argument)
    assert done.returncode == 2
    assert argument[0] in done.stderr
    assert argument[1] in done.stderr
    assert not list(tmp_path.iterdir())
