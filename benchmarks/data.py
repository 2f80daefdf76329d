"""The data sets that methods are compared on."""

import csv
from pathlib import Path

import keras
import numpy as np

FOLDER = Path(__file__).parent.parent / "examples" / "data"
IMBALANCE = 100  # rows of the most frequent class for one of the rarest
MOST_ROWS = 3000
VALIDATION_PART = 3  # a validation row for so many training rows
FLAGS = {"f": 0.0, "t": 1.0, "n": 0.0, "y": 1.0, "F": 0.0, "M": 1.0, "white": 0.0, "red": 1.0, "": np.nan}


def read_csv(name):
    """The columns before the last as numbers `(N, D)`, flags as 0 and 1, gaps as NaN; and the last as text `(N,)`."""
    with (FOLDER / name).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    x = [[FLAGS[cell] if cell in FLAGS else float(cell) for cell in row[:-1]] for row in rows]
    return np.array(x), np.array([row[-1] for row in rows])


def numbered(labels):
    """Class ids of text, class 0 with the most rows, and the names."""
    found, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return np.argsort(order)[np.searchsorted(found, labels)].astype("int32"), found[order].tolist()


def read_page_blocks():
    """The ten features of all rows, as logarithms since lengths and areas have long tails, and the names of their classes."""
    x, labels = read_csv("page_blocks.csv")
    return np.log1p(x), labels


def standardized(x, train):
    """Each feature with mean 0 and deviation 1 over the rows `train`, float32."""
    return ((x - x[train].mean(axis=0)) / x[train].std(axis=0)).astype("float32")


def page_blocks():
    """5,472 blocks of pages in five classes, 4,913 to 28 rows."""
    x, labels = read_page_blocks()
    return x.astype("float32"), *numbered(labels)


def wine():
    """6,497 wines by quality, 3 to 9, in the order of the qualities, 2,836 to 5 rows."""
    x, labels = read_csv("wine_quality.csv")
    names, y = np.unique(labels, return_inverse=True)
    return x.astype("float32"), y.astype("int32"), names.tolist()


def skillcraft():
    """3,395 players by league, 1 to 8, 811 to 35 rows, with gaps."""
    x, labels = read_csv("skillcraft.csv")
    names, y = np.unique(labels, return_inverse=True)
    return x.astype("float32"), y.astype("int32"), names.tolist()


def hypothyroid():
    """3,163 patients, 151 of them ill, with gaps."""
    x, labels = read_csv("hypothyroid.csv")
    return x.astype("float32"), *numbered(labels)


def sylva(path):
    """13,086 stands of trees, 6.2 % of them of one pine."""
    with np.load(path) as file:
        return file["x"].astype("float32"), file["y"].astype("int32"), ["other", "pine"]


def exponential_profile(num_classes, most, imbalance):
    """Rows per class n_i = n_0 imbalance^(-i / (C - 1)), rounded down, as Cui et al. 2019 and Cao et al. 2019 have it."""
    return (most * imbalance ** (-np.arange(num_classes) / (num_classes - 1)) + 1e-9).astype(int)


def long_tailed_mnist(seeds, path=None):
    """MNIST with 3,000 zeros down to 30 nines to train on; other rows of the same mix validate, a third as many.

    The test rows are MNIST's own 10,000, about as many of each digit.

    Args:
        seeds: one for each split, of the rows drawn.
        path: file with x_train, y_train, x_test, y_test. Defaults to None: what keras.datasets.mnist downloads.

    Returns:
        Images, class ids, names; and for each seed the pair of rows to train and validate on and of rows to test on.
    """
    (x, y), (x_test, y_test) = mnist(path)
    pairs = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        drawn = [
            rng.permutation(np.flatnonzero(y == digit))[: rows + rows // VALIDATION_PART]
            for digit, rows in enumerate(exponential_profile(10, MOST_ROWS, IMBALANCE))
        ]
        pairs.append((np.concatenate(drawn), np.arange(len(y), len(y) + len(y_test))))
    return np.concatenate([x, x_test]), np.concatenate([y, y_test]), [str(digit) for digit in range(10)], pairs


def mnist(path=None):
    """MNIST's training and test rows, images in [0, 1] with a channel axis; `path` as in `long_tailed_mnist`."""
    if path is None:
        (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
    else:
        with np.load(path) as file:
            x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = ((images[..., None] / 255).astype("float32") for images in (x, x_test))
    return (x, y.astype("int32")), (x_test, y_test.astype("int32"))
