"""Two workers under MultiWorkerMirroredStrategy: `fit` of tf-keras, one killed and both restarted."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from processes import Workers, cluster, run_to_the_end

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="tf-keras is not installed"),
]
SCRIPT = Path(__file__).with_name("two_worker_fit.py")
EPOCHS, STEPS, BATCH = 4, 12, 32
SOURCES = ("arrays", "rows", "records")
TF_KERAS = {"TF_USE_LEGACY_KERAS": "1", "KERAS_BACKEND": "tensorflow"}
KERAS_3 = {"TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"}


def two_workers(keras):
    return [{**keras, "TF_CONFIG": config} for config in cluster(2)]


def results(folder, workers=2):
    return [dict(np.load(folder / f"result-{i}.npz")) for i in range(workers)]


def weights_and_logs(result):
    return {key: value for key, value in result.items() if key.startswith(("arr_", "log "))}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run_to_the_end([SCRIPT, folder], [TF_KERAS], folder)
    return results(folder, 1)[0]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    run_to_the_end([SCRIPT, folder], two_workers(TF_KERAS), folder)
    return results(folder)


def test_two_workers_train_what_one_process_trains(alone, together):
    logs = weights_and_logs(alone)
    assert {"log loss", "log f1", "log f1/2", "arr_0"} <= set(logs)
    assert alone["log loss"][-1] < 0.5 * alone["log loss"][0]  # it learns something
    assert [bool(worker["writes"]) for worker in (alone, *together)] == [True, True, False]
    for worker in together:
        for key, values in logs.items():
            np.testing.assert_allclose(worker[key], values, rtol=1e-5, atol=1e-6, err_msg=key)
        np.testing.assert_array_equal(worker["exposure"], alone["exposure"])


def test_workers_draw_disjoint_rows_and_the_global_mix_hits_the_target(alone, together):
    labels, batches = alone["labels"], [worker["rows"].reshape(EPOCHS, STEPS, BATCH // 2) for worker in together]
    both = np.concatenate(batches, axis=2)
    counts = np.bincount(labels)
    for epoch in range(EPOCHS):
        # From the natural distribution to the balanced one, linearly; the exact batches round it.
        share = epoch / (EPOCHS - 1)
        target = (1 - share) * counts / counts.sum() + share / 3
        for step in range(STEPS):
            rows = both[epoch, step]
            of_class = [rows[labels[rows] == c] for c in range(3)]
            assert all(abs(len(r) - BATCH * t) < 1 + 1e-6 for r, t in zip(of_class, target, strict=True))
            for worker in batches:
                half = np.bincount(labels[worker[epoch, step]], minlength=3)
                assert (np.abs(half - BATCH / 2 * target) < 1 + 1e-6).all()
        drawn = np.bincount(labels[both[epoch].reshape(-1)], minlength=3)
        assert (np.abs(drawn - STEPS * BATCH * target) < 1 + 1e-6).all()
    # Every row of a class once before any twice: no worker drew what the other had drawn before the class was through.
    for c in range(3):
        drawn = both.reshape(EPOCHS, -1)[labels[both.reshape(EPOCHS, -1)] == c]
        for start in range(0, len(drawn), counts[c]):
            part = drawn[start : start + counts[c]]
            twice = len(part) - len(set(part))
            assert twice <= 1 + 2 * np.ceil(BATCH * 2 / 3)  # halves of a batch lie one behind the other
    np.testing.assert_array_equal(np.sort(both[:, :, :].reshape(-1)), np.sort(alone["rows"].reshape(-1)))


def test_one_worker_is_killed_and_both_go_on_from_the_backup(together, tmp_path):
    with Workers([SCRIPT, tmp_path, 2], two_workers(TF_KERAS), tmp_path) as workers:
        codes = workers.wait(480)
        assert codes[1] == -9, workers.text()
    assert not list(tmp_path.glob("result-*"))
    run_to_the_end([SCRIPT, tmp_path], two_workers(TF_KERAS), tmp_path)
    for resumed, whole in zip(results(tmp_path), together, strict=True):
        assert resumed["epochs"].tolist() == [2, 3]
        np.testing.assert_array_equal(resumed["rows"], whole["rows"][2:])
        np.testing.assert_array_equal(resumed["exposure"], whole["exposure"])
        for key, values in weights_and_logs(whole).items():
            expected = values[2:] if key.startswith("log ") else values
            np.testing.assert_allclose(resumed[key], expected, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("keras", [TF_KERAS, KERAS_3], ids=["tf-keras", "Keras 3"])
def test_workers_divide_the_batches_of_every_sampler(keras, tmp_path):
    """However the batches are divided, and wherever they come from, together they are those of one process."""
    script = SCRIPT.with_name("two_worker_batches.py")
    run_to_the_end([script, tmp_path], two_workers(keras), tmp_path)
    first, second = results(tmp_path)
    names = {key.rpartition(" ")[0] for key in first}
    assert names == {f"{source} {way}" for source in SOURCES for way in ("divided", "by worker")}
    for name in names:
        number = sum(key.startswith(f"{name} ") for key in first) // 2
        assert number == 5
        for i in range(number):
            expected = first[f"{name} whole{i}"]
            parts = [worker[f"{name} part{i}"] for worker in (first, second)]
            assert {len(part) for part in parts} <= {len(expected) // 2, -(-len(expected) // 2)}
            np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(expected), err_msg=name)
        everything = np.concatenate([first[f"{name} whole{i}"] for i in range(number)])
        assert len(set(everything)) == len(everything)  # no row twice, so none in both


def test_fit_of_keras_3_still_refuses_several_workers(tmp_path):
    """keras#20585: were it mended, the documentation would have to say so."""
    with Workers([SCRIPT, tmp_path], two_workers(KERAS_3), tmp_path) as workers:
        codes = workers.wait(480)
        assert 1 in codes, workers.text()
        assert "PerReplica" in workers.text()
