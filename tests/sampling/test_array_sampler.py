"""ArraySampler: exact batches, passes that cover, the same batches for the same seed, a live distribution."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from training_steps import fitted_batches

from keras_imbalance import ArraySampler, count_classes, target_distribution
from keras_imbalance._keras import keras

quick = settings(max_examples=12)


def skewed(counts=(60, 25, 5), seed=0):
    """x holds the row number, y the class, in mixed order."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return np.arange(len(labels), dtype="float32")[:, None], labels


def epoch(sampler):
    """Row numbers and labels of the batches of one epoch."""
    batches = [(batch[0].numpy().reshape(-1).astype(int), batch[1].numpy()) for batch in sampler.dataset()]
    return [rows for rows, _ in batches], [labels for _, labels in batches]


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@st.composite
def settings_of_samplers(draw):
    counts = draw(st.lists(st.integers(1, 12), min_size=2, max_size=4))
    batch_size = draw(st.integers(1, 13))
    rows = draw(st.integers(1, 40))
    shares = st.lists(st.integers(0, 5), min_size=len(counts), max_size=len(counts)).filter(any)
    return counts, batch_size, rows, draw(st.lists(shares, min_size=2, max_size=3)), draw(st.booleans())


@quick
@given(settings_of_samplers(), st.integers(0, 1000))
def test_exact_batches_and_covering_passes_whatever_the_distribution_does(setting, seed):
    counts, batch_size, rows, distributions, exact = setting
    x, y = skewed(counts, seed)
    sampler = ArraySampler(x, y, batch_size=batch_size, epoch_size=rows, exact=exact, seed=seed)
    assert int(sampler.dataset().cardinality()) == len(sampler) == -(-rows // batch_size)
    seen = [[] for _ in counts]
    for shares in distributions:
        sampler.target = shares
        shares = np.array(shares) / sum(shares)
        drawn_rows, drawn_labels = epoch(sampler)
        assert sum(map(len, drawn_rows)) == rows
        assert {len(batch) for batch in drawn_rows[:-1]} <= {batch_size}
        for numbers, labels in zip(drawn_rows, drawn_labels, strict=True):
            np.testing.assert_array_equal(y[numbers], labels)
            in_batch = np.bincount(labels, minlength=len(counts))
            # The last, smaller batch brings the totals of the epoch to within a row, which may take a second row of it.
            within = 1 if len(labels) == batch_size else 2
            assert not exact or (np.abs(in_batch - len(labels) * shares) < within + 1e-9).all()
            assert (in_batch[shares == 0] == 0).all()
            for row, label in zip(numbers, labels, strict=True):
                seen[label].append(row)
    np.testing.assert_array_equal(sampler.exposure, [len(drawn) for drawn in seen])
    for number, drawn in zip(counts, seen, strict=True):
        for start in range(0, len(drawn), number):
            assert len(set(drawn[start : start + number])) == len(drawn[start : start + number])


@pytest.mark.parametrize(
    ("target", "epoch_size", "rows"),
    [
        ("balanced", "natural", 90),
        ("balanced", "undersample", 15),
        ("balanced", "oversample", 180),
        ("natural", "undersample", 90),
        ("natural", "oversample", 90),
        ({2: 0.5}, "undersample", 10),
        ("balanced", 37, 37),
    ],
)
def test_epoch_sizes(target, epoch_size, rows):
    x, y = skewed()
    sampler = ArraySampler(x, y, batch_size=8, target=target, epoch_size=epoch_size, seed=0)
    batches, _ = epoch(sampler)
    assert sum(map(len, batches)) == rows
    assert int(sampler.dataset().cardinality()) == len(batches) == -(-rows // 8)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 8, 200])
def test_undersampling_draws_no_row_twice_and_oversampling_every_row(batch_size):
    x, y = skewed((31, 20, 6))
    under = np.concatenate(epoch(ArraySampler(x, y, batch_size=batch_size, epoch_size="undersample", seed=0))[0])
    assert len(set(under)) == len(under) == 18
    np.testing.assert_array_equal(count_classes(y[under]), [6, 6, 6])
    over = np.concatenate(epoch(ArraySampler(x, y, batch_size=batch_size, epoch_size="oversample", seed=0))[0])
    assert set(over) == set(range(57))
    np.testing.assert_array_equal(count_classes(y[over]), [31, 31, 31])


@pytest.mark.parametrize("batch_size", [1, 8, 9, 32, 100])
def test_the_natural_epoch_of_the_natural_target_is_a_shuffle(batch_size):
    x, y = skewed()
    sampler = ArraySampler(x, y, batch_size=batch_size, target="natural", seed=0)
    for _ in range(3):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch(sampler)[0])), np.arange(90))


@pytest.mark.parametrize("target", ["balanced", "sqrt", 0.25, {2: 0.6}, [0.5, 0.0, 0.5]])
def test_targets_are_hit_row_by_row(target):
    x, y = skewed()
    sampler = ArraySampler(x, y, batch_size=64, target=target, epoch_size=6000, exact=False, seed=3)
    wanted = target_distribution([60, 25, 5], target)
    drawn = np.bincount(np.concatenate(epoch(sampler)[1]), minlength=3)
    assert drawn[wanted == 0].sum() == 0
    assert stats.chisquare(drawn[wanted > 0], 6000 * wanted[wanted > 0]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("batch_size", "exact", "built"), [(8, True, True), (8, False, False), (90, True, False), (90, False, True)]
)
def test_fit_sees_the_batches_that_a_loop_sees(built, exact, batch_size):
    x, y = skewed()
    sampler, other = (ArraySampler(x, y, batch_size=batch_size, exact=exact, seed=4) for _ in range(2))
    seen = fitted_batches(sampler, epochs=3, built=built)
    dataset = other.dataset()
    if batch_size == 90 and keras.backend.backend() != "tensorflow":
        list(dataset)  # the build probe reads the whole epoch, and so is one
    looped = [[(a.numpy()[:, 0].astype(int), b.numpy()) for a, b in dataset] for _ in range(3)]
    for fit_epoch, loop_epoch in zip(seen, looped, strict=True):
        assert len(fit_epoch) == len(loop_epoch)
        for (fit_rows, fit_labels), (loop_rows, loop_labels) in zip(fit_epoch, loop_epoch, strict=True):
            np.testing.assert_array_equal(fit_rows, loop_rows)
            np.testing.assert_array_equal(fit_labels.reshape(-1), loop_labels)


def test_a_build_probe_of_the_first_batch_is_no_epoch():
    x, y = skewed()
    sampler, other = (ArraySampler(x, y, batch_size=8, seed=4) for _ in range(2))
    next(iter(sampler.dataset()))
    np.testing.assert_array_equal(sampler.exposure, [0, 0, 0])
    for _ in range(2):
        assert same(epoch(sampler)[0], epoch(other)[0])


@pytest.mark.parametrize("built", [True, False])
def test_fit_under_a_strategy_sees_the_batches_that_a_loop_sees(built):
    """Under a strategy Keras reads a batch before the first epoch, whether the model is built or not, and fetches ahead."""
    x, y = skewed()
    sampler, other = (ArraySampler(x, y, batch_size=8, seed=4) for _ in range(2))
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        seen = fitted_batches(sampler, epochs=2, built=built)
    for batches in seen:
        assert same([rows for rows, _ in batches], epoch(other)[0])


def test_epochs_differ_and_seeds_differ():
    x, y = skewed()
    sampler = ArraySampler(x, y, seed=0)
    epochs = [epoch(sampler)[0] for _ in range(3)] + [epoch(ArraySampler(x, y, seed=1))[0]]
    assert not any(same(epochs[i], epochs[j]) for i in range(4) for j in range(i))


def test_without_a_seed_keras_seeds_it():
    x, y = skewed()
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        drawn.append(epoch(ArraySampler(x, y))[0])
    assert same(drawn[0], drawn[1])
    assert not same(drawn[0], drawn[2])


def test_every_form_of_label_gives_the_same_draws():
    x, y = skewed()
    forms = [y, y[:, None], np.eye(3)[y], np.eye(3, dtype=int)[y], y.astype("float32"), y.tolist()]
    drawn = [epoch(ArraySampler(x, form, batch_size=16, seed=2)) for form in forms]
    for form, (rows, labels) in zip(forms, drawn, strict=True):
        assert same(rows, drawn[0][0])
        for numbers, batch in zip(rows, labels, strict=True):
            np.testing.assert_array_equal(batch, np.asarray(form)[numbers])


@pytest.mark.parametrize("built", [True, False])
def test_a_distribution_set_at_the_end_of_an_epoch_holds_from_the_next_batch_on(built):
    x, y = skewed((300, 200, 100))
    sampler = ArraySampler(x, y, batch_size=10, seed=0)
    turns = np.eye(3)[[0, 2, 1, 0]]

    def turn(epoch):
        sampler.target = turns[epoch % 4]

    seen = fitted_batches(sampler, epochs=5, built=built, at_end=turn)
    assert [len(batches) for batches in seen] == [60] * 5
    assert {label for _, batch in seen[0] for label in batch.reshape(-1)} == {0, 1, 2}
    stale = [
        sum((labels != wanted).any() for _, labels in batches)
        for wanted, batches in zip([0, 2, 1, 0], seen[1:], strict=True)
    ]
    assert stale == [0, 0, 0, 0]


def test_a_distribution_set_within_an_epoch_waits_for_the_next():
    x, y = skewed()
    sampler, undisturbed = (ArraySampler(x, y, batch_size=9, seed=0) for _ in range(2))
    rows = []
    for step, (batch, _) in enumerate(sampler.dataset()):
        rows.append(batch.numpy()[:, 0].astype(int))
        if step == 2:
            sampler.target = [1, 0, 0]
    assert same(rows, epoch(undisturbed)[0])
    assert set(np.concatenate(epoch(sampler)[1])) == {0}


def test_state_continues_with_the_batches_that_would_have_come():
    x, y = skewed()
    sampler = ArraySampler(x, y, batch_size=7, seed=5)
    epoch(sampler)
    sampler.target = [0.2, 0.3, 0.5]
    epoch(sampler)
    state = json.loads(json.dumps(sampler.state_dict()))
    resumed = ArraySampler(x, y, batch_size=7, seed=5)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(resumed.exposure, sampler.exposure)
    np.testing.assert_allclose(resumed.distribution, [0.2, 0.3, 0.5])
    for _ in range(3):
        assert same(epoch(sampler)[0], epoch(resumed)[0])
    resumed.load_state_dict(state)
    assert json.loads(json.dumps(resumed.state_dict())) == state


@pytest.mark.parametrize("change", [{"batch_size": 8}, {"y": np.roll(np.repeat([0, 1, 2], 10), 3)}])
def test_a_state_of_other_rows_or_batches_is_refused(change):
    y = np.repeat([0, 1, 2], [12, 10, 8])
    arguments = {"x": np.zeros((30, 1)), "y": y, "batch_size": 7, "seed": 5}
    state = ArraySampler(**arguments).state_dict()
    other = ArraySampler(**{**arguments, **change})
    with pytest.raises(
        ValueError, match=r"`state` must be of a sampler of the same rows.*Received: \[12, 10, 8\].*of 7\."
    ):
        other.load_state_dict(state)
    assert other.exposure.sum() == 0


def test_state_saved_in_fit_continues_in_another_fit():
    x, y = skewed()
    sampler = ArraySampler(x, y, batch_size=16, seed=6)
    states = []
    seen = fitted_batches(sampler, epochs=4, built=False, at_end=lambda epoch: states.append(sampler.state_dict()))
    resumed = ArraySampler(x, y, batch_size=16, seed=6)
    resumed.load_state_dict(json.loads(json.dumps(states[1])))
    rest = fitted_batches(resumed, epochs=2, built=False)
    assert [same([r for r, _ in a], [r for r, _ in b]) for a, b in zip(seen[2:], rest, strict=True)] == [True, True]


@pytest.mark.parametrize("exact", [True, False])
def test_a_loop_that_stops_early_goes_on_the_same_way_however_far_was_fetched_ahead(exact):
    x, y = skewed()
    whole = ArraySampler(x, y, batch_size=3, exact=exact, seed=7)
    epoch(whole)
    expected = epoch(whole)[0]
    for used in (1, 2, 4, 17):
        sampler = ArraySampler(x, y, batch_size=3, exact=exact, seed=7)
        for step, _ in enumerate(sampler.dataset()):
            if step == used:
                break
        assert same(epoch(sampler)[0], expected)


def test_nests_and_weights_keep_their_rows_together():
    x, y = skewed()
    inputs = {"wide": np.hstack([x, -x]), "pair": (x[:, 0].astype(int), x.astype("float64"))}
    outputs = {"label": y, "size": x[:, 0] * 2}
    sampler = ArraySampler(inputs, outputs, x[:, 0] / 2, classes=y, batch_size=9, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, [60, 25, 5])
    for a, b, weights in sampler.dataset():
        rows = a["wide"].numpy()[:, 0]
        np.testing.assert_array_equal(a["wide"][:, 1], -rows)
        np.testing.assert_array_equal(a["pair"][0], rows)
        np.testing.assert_array_equal(a["pair"][1][:, 0], rows)
        np.testing.assert_array_equal(b["label"], y[rows.astype(int)])
        np.testing.assert_array_equal(b["size"], rows * 2)
        np.testing.assert_array_equal(weights, rows / 2)
        assert (np.bincount(b["label"], minlength=3) == 3).all()


def test_fit_with_weights_equals_fit_on_the_rows_by_hand():
    x, y = skewed()
    weights = np.linspace(0.1, 2, 90).astype("float32")
    arguments = {"batch_size": 15, "seed": 1}
    rows = np.concatenate(epoch(ArraySampler(x, y, weights, **arguments))[0])
    kernels = []
    for data in ((ArraySampler(x / 90, y, weights, **arguments).dataset(),), (x[rows] / 90, y[rows], weights[rows])):
        model = keras.Sequential(
            [keras.layers.Input((1,)), keras.layers.Dense(3, "softmax", kernel_initializer="ones")]
        )
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        given_weights = {"sample_weight": data[2]} if len(data) == 3 else {}
        by_hand = {"batch_size": 15, "shuffle": False} if len(data) == 3 else {}
        model.fit(*data[:2], **given_weights, **by_hand, verbose=0)
        kernels.append(model.get_weights())
    np.testing.assert_allclose(kernels[0][0], kernels[1][0], rtol=1e-6)
    np.testing.assert_allclose(kernels[0][1], kernels[1][1], rtol=1e-6)


@pytest.mark.parametrize("counts", [(1, 1), (1, 2, 3), (40, 1), (3,) * 11])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_tiny_classes_and_more_classes_than_places(counts, batch_size):
    x, y = skewed(counts)
    sampler = ArraySampler(x, y, batch_size=batch_size, epoch_size=len(counts) * 12, seed=0)
    for _ in range(2):
        drawn = np.bincount(np.concatenate(epoch(sampler)[1]), minlength=len(counts))
        assert (np.abs(drawn - 12) <= 6).all()


def test_an_empty_class_is_never_drawn():
    x, y = skewed()
    y = np.where(y == 1, 3, y)
    sampler = ArraySampler(x, y, target={1: 0.0, 3: 0.5}, epoch_size=300, exact=False, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, [60, 0, 5, 25])
    assert set(np.concatenate(epoch(sampler)[1])) == {0, 2, 3}


def test_classes_by_name():
    x, y = skewed()
    words = np.array(["many", "some", "few"])[y]
    sampler = ArraySampler(x, x, classes=words, target={"few": 0.5}, seed=0)
    assert sampler.class_names == ["few", "many", "some"]
    np.testing.assert_array_equal(sampler.class_counts, [5, 60, 25])
    np.testing.assert_allclose(sampler.distribution, [0.5, 0.5 * 60 / 85, 0.5 * 25 / 85])
    drawn = words[np.concatenate(epoch(sampler)[0])]
    assert abs((drawn == "few").sum() - 45) <= len(drawn) // 32


def test_class_names_order_classes_that_are_given_by_name():
    x, y = skewed()
    names = ["many", "some", "few"]
    sampler = ArraySampler(x, y, classes=np.array(names)[y], class_names=names, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, count_classes(y))
    sampler.target = {"few": 1.0}
    assert set(np.concatenate(epoch(sampler)[1])) == {2}
    with_empty = ArraySampler(x, y, classes=np.array(names)[y], class_names=[*names, "none"], target="natural")
    np.testing.assert_array_equal(with_empty.class_counts, [60, 25, 5, 0])


def test_string_features_pass_through():
    x, y = skewed()
    words = np.array([f"row {i}" for i in range(90)], dtype=object)
    sampler = ArraySampler({"text": words, "number": x[:, 0]}, y, seed=0)
    for batch, _ in sampler.dataset():
        expected = [f"row {int(i)}".encode() for i in batch["number"]]
        assert batch["text"].numpy().tolist() == expected


def test_arrays_are_left_as_they_are(tmp_path):
    x, y = skewed()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    before = y.copy()
    assert same(epoch(ArraySampler(mapped, y, seed=0))[0], epoch(ArraySampler(x, y, seed=0))[0])
    np.testing.assert_array_equal(y, before)


def test_what_is_read_is_a_copy():
    sampler = ArraySampler(*skewed(), seed=0)
    for read in (sampler.distribution, sampler.class_counts, sampler.exposure):
        read[:] = 77
    np.testing.assert_allclose(sampler.distribution, np.full(3, 1 / 3))
    np.testing.assert_array_equal(sampler.class_counts, [60, 25, 5])
    np.testing.assert_array_equal(sampler.exposure, [0, 0, 0])


@settings(max_examples=15)
@given(
    st.lists(st.integers(2, 60), min_size=2, max_size=5),
    st.lists(st.floats(0.2, 1), min_size=5, max_size=5),
    st.integers(1, 40),
    st.integers(0, 10**6),
)
def test_epoch_sizes_keep_their_word_for_any_target(counts, shares, batch_size, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    for size in ("undersample", "oversample"):
        sampler = ArraySampler(
            np.arange(len(y)), y, batch_size=batch_size, target=shares[: len(counts)], epoch_size=size, seed=seed
        )
        if sampler.epoch_rows > 2000:
            continue
        rows = np.concatenate([rows for rows, _ in sampler.dataset().as_numpy_iterator()])
        drawn = np.bincount(rows, minlength=len(y))
        assert len(rows) == sampler.epoch_rows
        assert drawn.max() == 1 if size == "undersample" else drawn.min() >= 1
        totals = np.bincount(y[rows], minlength=len(counts))
        # Within a row; in about one of 10^4 random settings a small last batch cannot bring all classes there at once.
        assert (np.abs(totals - sampler.epoch_rows * sampler.distribution) < 2).all()


@pytest.mark.slow
def test_every_public_name_is_completed():
    """Those of sampling load on first use, which hides them from `dir` unless it is told; seen before that use."""
    code = (
        "import sys, keras_imbalance as ki\n"
        "print(set(ki.__all__) <= set(dir(ki)), 'keras_imbalance.sampling' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "False"], done.stderr[-2000:]
