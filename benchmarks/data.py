"""The two data sets that methods are compared on, each cut into rows to train on, to validate on and to test on."""

import csv
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from sklearn.model_selection import train_test_split

PAGE_BLOCKS = Path(__file__).parent.parent / "examples" / "data" / "page_blocks.csv"
IMBALANCE = 100  # rows of the most frequent class for one of the rarest
MOST_ROWS = 3000
VALIDATION_PART = 3  # a validation row for so many training rows


@dataclass
class Rows:
    """Features and class ids of each part, and the number of classes."""

    train: tuple
    validation: tuple
    test: tuple
    num_classes: int


def read_page_blocks():
    """The ten features of all rows, as logarithms since lengths and areas have long tails, and the names of their classes."""
    with PAGE_BLOCKS.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.log1p(np.array([row[:-1] for row in rows], dtype="float64")), np.array([row[-1] for row in rows])


def standardized(x, train):
    """Each feature with mean 0 and deviation 1 over the rows `train`, float32."""
    return ((x - x[train].mean(axis=0)) / x[train].std(axis=0)).astype("float32")


def page_blocks(seed):
    """Five classes, 4,913 rows to 28: half to train, a quarter each to validate and to test, every part with the same mix."""
    x, labels = read_page_blocks()
    found, counts = np.unique(labels, return_counts=True)
    y = np.argsort(np.argsort(-counts))[np.searchsorted(found, labels)].astype("int32")  # class 0 has most rows
    train, rest = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=seed)
    x = standardized(x, train)
    return Rows(*((x[part], y[part]) for part in (train, validation, test)), len(found))


def exponential_profile(num_classes, most, imbalance):
    """Rows per class n_i = n_0 imbalance^(-i / (C - 1)), rounded down, as Cui et al. 2019 and Cao et al. 2019 have it."""
    return (most * imbalance ** (-np.arange(num_classes) / (num_classes - 1)) + 1e-9).astype(int)


def long_tailed_mnist(seed, path=None):
    """MNIST with 3,000 zeros down to 30 nines, drawn by the seed; other rows of the same mix validate, a third as many.

    The test rows are MNIST's own 10,000, about as many of each digit.

    Args:
        seed: of the rows drawn.
        path: file with x_train, y_train, x_test, y_test. Defaults to None: what keras.datasets.mnist downloads.
    """
    (x, y), (x_test, y_test) = mnist(path)
    rng, train, validation = np.random.default_rng(seed), [], []
    for digit, rows in enumerate(exponential_profile(10, MOST_ROWS, IMBALANCE)):
        drawn = rng.permutation(np.flatnonzero(y == digit))[: rows + rows // VALIDATION_PART]
        train.append(drawn[:rows])
        validation.append(drawn[rows:])
    parts = ((x[rows], y[rows]) for rows in map(np.concatenate, (train, validation)))
    return Rows(*parts, (x_test, y_test), 10)


def mnist(path=None):
    """MNIST's training and test rows, images in [0, 1] with a channel axis; `path` as in `long_tailed_mnist`."""
    if path is None:
        (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
    else:
        with np.load(path) as file:
            x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = ((images[..., None] / 255).astype("float32") for images in (x, x_test))
    return (x, y.astype("int32")), (x_test, y_test.astype("int32"))
