"""Renders the docstrings as web pages: python docs/api.py [FOLDER]; the start is FOLDER/index.html."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PDOC_ALLOW_EXEC", "1")  # TensorFlow asks the machine what it is when it is imported

import pdoc

import keras_imbalance

PAGES = ("comparison", "metrics", "metrics.functional", "plots")


def main() -> None:
    """Renders every public name."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/api")
    for name in keras_imbalance.__all__:
        setattr(keras_imbalance, name, getattr(keras_imbalance, name))  # pdoc does not see what loads on first use
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc("keras_imbalance", *(f"keras_imbalance.{name}" for name in PAGES), output_directory=folder)
    print(f"Wrote {folder / 'keras_imbalance.html'}")


if __name__ == "__main__":
    main()
