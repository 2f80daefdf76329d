"""ClassSampler as the batch_sampler of PyTorch's DataLoader, with and without worker processes, in loops and in fit."""

import numpy as np
import pytest
from training_steps import fitted_batches

from keras_imbalance import ClassSampler
from keras_imbalance._keras import keras

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
if keras.backend.backend() == "jax":
    pytest.skip("JAX: worker processes fork, and JAX's threads may deadlock them", allow_module_level=True)

Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 25, 5]))
X = np.arange(90, dtype="float32")[:, None]
LOADERS = pytest.mark.parametrize(
    ("num_workers", "persistent_workers"), [(0, False), (2, False), (2, True)], ids=["none", "two", "two kept"]
)


def sampler_of(num_workers=0):
    return ClassSampler(Y, batch_size=12, seed=3, read_ahead=2 * num_workers)


def loader_of(sampler, num_workers=0, **arguments):
    rows = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(rows, batch_sampler=sampler, num_workers=num_workers, **arguments)


def planned(epochs):
    sampler = sampler_of()
    return [[rows.tolist() for rows in sampler] for _ in range(epochs)]


def numbers(batches):
    found = [(np.asarray(x).reshape(-1).astype(int), np.asarray(y)) for x, y in batches]
    for rows, labels in found:
        np.testing.assert_array_equal(labels, Y[rows])
    return [rows.tolist() for rows, _ in found]


@LOADERS
def test_a_loader_gives_the_batches_of_the_plan(num_workers, persistent_workers):
    sampler = sampler_of(num_workers)
    loader = loader_of(sampler, num_workers, persistent_workers=persistent_workers)
    assert len(loader) == 8
    assert [numbers(loader) for _ in range(2)] == planned(2)
    assert len(sampler.history) == 2


@LOADERS
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="Keras takes a DataLoader of PyTorch's own rows there")
def test_each_epoch_of_fit_is_one_epoch(num_workers, persistent_workers):
    sampler = sampler_of(num_workers)
    loader = loader_of(sampler, num_workers, persistent_workers=persistent_workers)
    seen = fitted_batches(sampler, epochs=3, data=loader, shuffle=False)
    assert [numbers(batches) for batches in seen] == planned(3)
    assert len(sampler.history) == 3


def test_a_loader_that_was_only_begun_is_no_epoch():
    sampler = sampler_of(num_workers=2)
    iter(loader_of(sampler, num_workers=2))
    assert not sampler.history


def test_read_ahead_is_checked():
    with pytest.raises(ValueError, match="`read_ahead` must be"):
        ClassSampler(Y, read_ahead=-1)
