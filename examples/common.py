"""What the examples share: arguments, the page blocks, tables and pictures."""

import argparse
import csv
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # must stand before Keras is imported

import matplotlib

matplotlib.use("Agg")  # draws into files, also where there is no screen
import numpy as np

DATA = Path(__file__).parent / "data"
# A bar redraws its line, which a file cannot: there Keras writes one line an epoch.
VERBOSE = 1 if sys.stdout.isatty() else 2


def at_least(least):
    """A type for argparse: whole numbers from `least` on."""

    def whole(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"Expected a whole number of at least {least}. Received: {value}")
        return value

    return whole


def folder(text):
    """A type for argparse: a folder, there already or to be made."""
    path = Path(text)
    files = [str(part) for part in (path, *path.parents) if part.exists() and not part.is_dir()]
    if files:
        raise argparse.ArgumentTypeError(f"Expected a folder. Received: {text}, where {files[0]} is a file")
    return path


def parser_of(doc, epochs, least_epochs=2):
    """A parser with what every example takes: --epochs, --seed and --output."""
    parser = argparse.ArgumentParser(
        description=doc.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--epochs", type=at_least(least_epochs), default=epochs, help="epochs of each fit")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the split, the weights and the batches")
    parser.add_argument("--output", type=folder, default=Path("output"), help="folder of the pictures")
    return parser


def add_seeds(parser):
    """--seeds: how many runs, of the seeds from --seed on."""
    parser.add_argument("--seeds", type=at_least(1), default=1, help="train with so many seeds and print the mean")


def page_blocks():
    """Features (N, 10), with the long tails of lengths and areas taken off, labels (N,), and names, most rows first."""
    with (DATA / "page_blocks.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    labels = np.array([row[-1] for row in rows])
    found, counts = np.unique(labels, return_counts=True)
    names = found[np.argsort(-counts)].tolist()
    y = np.array([names.index(label) for label in labels], dtype="int32")
    return np.log1p(np.array([row[:-1] for row in rows], dtype="float64")), y, names


def standardized(x, train):
    """Features with the mean 0 and the deviation 1 of the rows `train`, float32."""
    deviation = x[train].std(axis=0)
    return ((x - x[train].mean(axis=0)) / np.where(deviation > 0, deviation, 1)).astype("float32")


def print_table(header, rows):
    """Columns of text: the first to the left, the others to the right; numbers with three digits after the point."""
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) + 2 for i in range(len(header))]
    lines = [
        row[0].ljust(widths[0]) + "".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in cells
    ]
    rule = "-" * len(lines[0])
    print("\n".join(["", lines[0], rule, *lines[1:], rule]))


def save(figure, folder, name):
    """Writes a picture and says where."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, dpi=120, bbox_inches="tight")
    print(f"Wrote {folder / name}")
