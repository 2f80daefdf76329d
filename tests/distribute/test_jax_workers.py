"""Two processes on JAX with `keras.distribution`: `fit` of Keras 3 on several machines; one killed and both restarted."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from processes import Workers, free_addresses, run_to_the_end

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed"),
]
SCRIPT = Path(__file__).with_name("jax_fit.py")


def environments(number):
    address = free_addresses(1)[0]
    jax = {"KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "0", "JAX_PLATFORMS": "cpu", "ADDRESS": address}
    return [{**jax, "INDEX": str(index)} for index in range(number)]


def results(folder, workers):
    return [dict(np.load(folder / f"result-{i}.npz")) for i in range(workers)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run_to_the_end([SCRIPT, folder, 1], environments(1), folder)
    return results(folder, 1)[0]


def assert_trained_alike(result, alone, first_epoch=0):
    np.testing.assert_array_equal(result["exposure"], alone["exposure"])
    kept = [key for key in alone if key.startswith(("arr_", "log "))]
    assert {"log loss", "log f1/2", "arr_0"} <= set(kept)
    for key in kept:
        expected = alone[key][first_epoch:] if key.startswith("log ") else alone[key]
        np.testing.assert_allclose(result[key], expected, rtol=1e-5, atol=1e-5, err_msg=key)


def test_two_processes_train_what_one_trains(alone, tmp_path):
    assert alone["log loss"][-1] < 0.5 * alone["log loss"][0]
    run_to_the_end([SCRIPT, tmp_path, 2], environments(2), tmp_path)
    for result in results(tmp_path, 2):
        assert_trained_alike(result, alone)


def test_one_process_is_killed_and_both_go_on_from_the_backup(alone, tmp_path):
    with Workers([SCRIPT, tmp_path, 2, 2], environments(2), tmp_path) as workers:
        codes = workers.wait(480)
        assert codes[1] == -9, workers.text()
    run_to_the_end([SCRIPT, tmp_path, 2], environments(2), tmp_path)
    for result in results(tmp_path, 2):
        assert result["epochs"].tolist() == [2, 3]
        assert_trained_alike(result, alone, first_epoch=2)
