"""Runs the notebooks of docs/notebooks anew and keeps them small: python docs/notebooks.py

What libraries write to stderr and the times of the run are left out, and pictures have 256 colours.
"""

import base64
import io
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ExecutePreprocessor
from PIL import Image

NOTEBOOKS = Path(__file__).parent / "notebooks"


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with what its cells give now; the file stays as it is."""
    notebook = nbformat.read(path, as_version=4)
    run = ExecutePreprocessor(timeout=300, kernel_name="python3", record_timing=False)
    return run.preprocess(notebook, {"metadata": {"path": str(path.parent)}})[0]


def make_small(notebook: nbformat.NotebookNode) -> None:
    """Leaves out what differs from machine to machine, and makes the pictures small."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _printed(cell.outputs)
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _in_256_colours(output.data["image/png"])


def _printed(outputs):
    """The outputs without stderr; what it parted of stdout is one text again."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.get("name") == "stdout" and kept and kept[-1].get("name") == "stdout":
            kept[-1].text += output.text
        elif output.get("name") != "stderr":
            kept.append(output)
    return kept


def _in_256_colours(png):
    small = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(256).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def main() -> None:
    """Every notebook in its place."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = executed(path)
        make_small(notebook)
        nbformat.write(notebook, path)
        print(f"Wrote {path}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
