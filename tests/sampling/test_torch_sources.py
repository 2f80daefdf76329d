"""Rows of PyTorch's Datasets."""

import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import ArraySampler
from keras_imbalance.sampling.sources import Source, rows_of

torch = pytest.importorskip("torch", reason="PyTorch is no dependency of the tests: runs where it is installed")

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 8, 2]))
X = np.random.default_rng(1).normal(size=(30, 3)).astype("float32")


def epoch(*parts, **arguments):
    batches = list(ArraySampler(*parts, batch_size=6, seed=0, **arguments).dataset().as_numpy_iterator())
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)


@pytest.mark.parametrize("known", [False, True])
def test_a_dataset_of_pairs(known):
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(LABELS))
    wanted = epoch(X, LABELS)
    for found, expected in zip(epoch(pairs, classes=LABELS if known else None), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_subset_is_asked_for_many_rows_at_once():
    rows = np.arange(0, 30, 2)
    subset = torch.utils.data.Subset(torch.utils.data.TensorDataset(torch.from_numpy(X)), rows.tolist())
    assert hasattr(subset, "__getitems__")
    (found,), labels = epoch(subset, LABELS[rows])
    wanted = epoch(X[rows], LABELS[rows])
    np.testing.assert_array_equal(found, wanted[0])
    np.testing.assert_array_equal(labels, wanted[1])


def test_a_tensor_is_an_array():
    assert not isinstance(rows_of(torch.from_numpy(X), "x"), Source)
