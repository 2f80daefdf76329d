"""Notebooks: what they show in the repository, and that they show it still when they run anew."""

import base64
import importlib.util
import io
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from kerases import keras_3_only
from matplotlib.image import imread

import keras_imbalance as ki

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"/(?:home|root|tmp|work|usr|opt|Users)\b|[A-Z]:\\")


def cells_of(path):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def texts(outputs):
    """Everything in words that a cell gave."""
    for output in outputs:
        data = output.get("data", {})
        for text in (output.get("text", ""), *(data.get(kind, "") for kind in ("text/plain", "text/html"))):
            yield "".join(text)


def check(cells):
    """Nothing failed, every figure is a picture, and every report a table of as many rows as its text has lines."""
    pictures, tables = 0, 0
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            data = output.get("data", {})
            said = "".join(data.get("text/plain", ""))
            if "Figure" in said:
                pixels = imread(io.BytesIO(base64.b64decode("".join(data["image/png"]))))
                assert min(pixels.shape[:2]) > 300
                assert np.std(pixels[..., :3]) > 0.05
                pictures += 1
            if "macro mean" in said and "text/html" in data:
                lines = [line for line in said.splitlines() if line.strip()]
                assert "".join(data["text/html"]).count("<tr>") == len(lines)
                tables += 1
    assert pictures
    return pictures, tables


def test_there_is_a_notebook():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_lie_here_run_small_and_without_a_trace_of_the_machine(path):
    cells = cells_of(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    check(cells)
    assert path.stat().st_size < 300_000
    for cell in cells:
        for text in texts(cell["outputs"]):
            assert not OF_A_MACHINE.search(text)
            assert "Warning" not in text


def test_the_notebook_of_plots_shows_each_of_them():
    cells = cells_of(DOCS / "notebooks" / "metrics_and_plots.ipynb")
    source = "".join("".join(cell["source"]) for cell in cells)
    assert all(f"plots.{name}(" in source for name in ki.plots.__all__)
    assert check(cells) == (len(ki.plots.__all__), 2)
    printed = "".join(text for cell in cells for text in texts(cell["outputs"]))
    assert printed.count("Epoch 10, validation") == 2  # of PerClassTable, for each net


def notebooks_module():
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_stderr_parts_is_one_text_again():
    make_small = notebooks_module().make_small
    stream = [
        nbformat.v4.new_output("stream", name=name, text=text)
        for name, text in (("stdout", "a"), ("stderr", "!"), ("stdout", "b"))
    ]
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        cells=[nbformat.v4.new_code_cell(outputs=stream)],
    )
    make_small(notebook)
    assert [(output.name, output.text) for output in notebook.cells[0].outputs] == [("stdout", "ab")]


@pytest.mark.documents
@keras_3_only("the notebooks import Keras 3")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    notebooks = notebooks_module()
    before = path.read_bytes()
    notebook = notebooks.executed(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    check(cells)
    assert not re.search(r"\w+Warning\b", "".join(text for cell in cells for text in texts(cell.outputs)))
    notebooks.make_small(notebook)
    for cell, committed in zip(cells, cells_of(path), strict=True):
        kinds, expected = (
            [sorted(output.get("data", {"text": 0})) for output in outputs]
            for outputs in (cell.outputs, committed["outputs"])
        )
        assert kinds == expected
    check(cells)
    assert path.read_bytes() == before
