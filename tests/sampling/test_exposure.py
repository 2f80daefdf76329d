"""What was drawn, against what a loop counts; and the arrays that a sampler must be able to take."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import SMOTE, ArraySampler
from keras_imbalance._keras import keras

quick = settings(max_examples=10)


def numbered(counts, seed=0):
    """Rows with two features, of which the first is the row's number: points that SMOTE makes have no whole number."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return np.stack([np.arange(len(y)), rng.normal(size=len(y))], axis=1), y


@quick
@given(
    st.lists(st.integers(2, 30), min_size=2, max_size=4),
    st.integers(1, 90),
    st.booleans(),
    st.booleans(),
    st.integers(0, 999),
)
def test_the_report_is_what_a_loop_counts(counts, rows, smote, exact, seed):
    x, y = numbered(counts, seed)
    own = {tuple(row) for row in x.tolist()}
    sampler = ArraySampler(
        x, y, batch_size=7, epoch_size=rows, exact=exact, smote=SMOTE(2) if smote else None, seed=seed
    )
    drawn, made, seen = np.zeros(len(counts), int), np.zeros(len(counts), int), [set() for _ in counts]
    for shares in (np.ones(len(counts)), np.arange(len(counts)) + 1):
        sampler.target = shares
        for features, labels in sampler.dataset().as_numpy_iterator():
            for row, label in zip(features.tolist(), labels, strict=True):
                drawn[label] += 1
                if tuple(row) in own:
                    seen[label].add(tuple(row))
                else:
                    made[label] += 1
    report = sampler.exposure_report()
    assert list(report) == [str(i) for i in range(len(counts))]
    for i, part in enumerate(report.values()):
        assert part == {
            "rows": counts[i],
            "drawn": drawn[i],
            "synthetic": made[i],
            "distinct": len(seen[i]),
            "repeats": pytest.approx((drawn[i] - made[i]) / counts[i]),
        }
    assert smote or not made.any()
    np.testing.assert_array_equal(sampler.exposure, drawn)


def test_names_and_empty_classes_in_the_report():
    x, y = numbered((6, 3))
    sampler = ArraySampler(x, y, class_names=["a", "b", "none"], target="natural", batch_size=3, seed=0)
    assert sampler.exposure_report()["a"] == {"rows": 6, "drawn": 0, "synthetic": 0, "distinct": 0, "repeats": 0.0}
    list(sampler.dataset())
    assert sampler.exposure_report()["b"] == {"rows": 3, "drawn": 3, "synthetic": 0, "distinct": 3, "repeats": 1.0}
    assert sampler.exposure_report()["none"] == {"rows": 0, "drawn": 0, "synthetic": 0, "distinct": 0, "repeats": 0.0}


def fitted_weights(sampler, steps_per_execution, epochs):
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3, "softmax", kernel_initializer="ones")])
    model.compile(
        keras.optimizers.SGD(0.01),
        "sparse_categorical_crossentropy",
        steps_per_execution=steps_per_execution,
        jit_compile=False,
    )
    model.fit(sampler.dataset(), epochs=epochs, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch: Keras takes one step an execution there")
@pytest.mark.parametrize("batch_size", [10, 12])
def test_several_steps_an_execution_train_as_single_ones_do(batch_size):
    """100 rows: 10 batches, which 4 does not divide, or 9, of which the last is smaller."""
    x, y = numbered((70, 20, 10))
    x = x.astype("float32") / 100
    samplers = [ArraySampler(x, y, batch_size=batch_size, seed=0) for _ in range(2)]
    one, four = (fitted_weights(sampler, n, 3) for sampler, n in zip(samplers, (1, 4), strict=True))
    np.testing.assert_allclose(one[0], four[0], rtol=1e-5)
    np.testing.assert_array_equal(samplers[0].exposure, samplers[1].exposure)
    assert samplers[1].exposure.sum() == 300


def test_ten_thousand_classes():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.concatenate([np.arange(10_000), rng.zipf(1.5, 30_000) % 10_000]))
    counts = np.bincount(y)
    sampler = ArraySampler(np.arange(40_000), y, batch_size=256, seed=0)
    rows = np.concatenate([batch for batch, _ in sampler.dataset().as_numpy_iterator()])
    np.testing.assert_array_equal(np.bincount(y[rows]), 4)
    drawn = np.bincount(rows, minlength=40_000)
    assert (drawn <= np.ceil(4 / counts[y])).all()
    assert (drawn >= np.floor(4 / counts[y])).all()
    assert sum(part["distinct"] for part in sampler.exposure_report().values()) == np.minimum(counts, 4).sum()


MAPPED = """
    import os, resource, sys
    import numpy as np
    from keras_imbalance import ArraySampler

    rows, width = 200_000, 1000  # 800 MB on disk, sparse
    x = np.memmap(sys.argv[1], dtype="float32", mode="w+", shape=(rows, width))
    x[:100] = np.arange(100)[:, None]
    x.flush()
    y = (np.arange(rows) < 100).astype(int)
    def anonymous():
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
    for _ in ArraySampler(np.zeros((300, width), "float32"), y[:300], batch_size=64, target="balanced", seed=0).dataset():
        pass
    before, most = anonymous(), 0
    sampler = ArraySampler(x, y, batch_size=64, epoch_size=6400, seed=0)
    found = set()
    for batch, labels in sampler.dataset():
        found.update(batch.numpy()[labels.numpy() == 1, 0].tolist())
        most = max(most, anonymous() - before)
    print(len(found), int(most))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_mapped_rows_are_not_loaded(tmp_path):
    code = textwrap.dedent(MAPPED)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found, grown = map(int, done.stdout.split())
    assert found == 100
    assert grown < 100  # MB, of 800


def test_labels_that_are_true_or_false():
    x, y = numbered((16, 4))
    sampler = ArraySampler(x, y.astype(bool), batch_size=10, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, [16, 4])
    for _, labels in sampler.dataset().as_numpy_iterator():
        assert labels.dtype == bool
        assert labels.sum() == 5


def test_labels_that_are_names_are_numbered_in_sorted_order():
    x, y = numbered((16, 4))
    words = np.array(["no", "yes"])[y]
    for sampler in (ArraySampler(x, words, seed=0), ArraySampler(x, y, classes=words, seed=0)):
        np.testing.assert_array_equal(sampler.class_counts, [16, 4])
        assert sampler.class_names == ["no", "yes"]


def test_labels_that_leave_numbers_out_are_named():
    x, y = numbered((16, 4))
    np.testing.assert_array_equal(ArraySampler(x, y * 5).distribution, [0.5, 0, 0, 0, 0, 0.5])
    sampler = ArraySampler(x, y * 5, classes=(y * 5).astype(str), batch_size=10, seed=0)
    assert sampler.class_names == ["0", "5"]
    for _, labels in sampler.dataset().as_numpy_iterator():
        np.testing.assert_array_equal(np.bincount(labels)[[0, 5]], [5, 5])
