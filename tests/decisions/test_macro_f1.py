"""The macro F1 decision against an exhaustive search, the threshold of theory, and the layer against the function."""

import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import f1_score

from keras_imbalance import MacroF1Decision, correct_prior, tune_macro_f1
from keras_imbalance._keras import keras, ops

PRIOR = np.array([0.9, 0.07, 0.03])


def mixture(rows, prior, seed=0, speaks_for=None, distance=1.5):
    """Labels drawn by a prior, and true probabilities moved to the shares that they are to speak for."""
    rng = np.random.default_rng(seed)
    size = len(prior)
    labels = rng.choice(size, rows, p=prior)
    x = rng.normal(size=(rows, size)) + distance * np.eye(size)[labels]
    return labels, softmax(distance * x + np.log(prior if speaks_for is None else speaks_for), axis=1)


def macro_f1(labels, decided):
    return f1_score(labels, decided, average="macro", zero_division=0)


def best_of_all_offsets(labels, p, steps=25):
    """The highest macro F1 of argmax(log p + offsets) on a grid of offsets, with the labels known."""
    grid, best = np.linspace(-0.5, 4, steps), 0.0
    log_p = np.log(p)
    for first in grid:
        for second in grid:
            decided = (log_p + np.array([0.0, first, second])).argmax(axis=1)
            counts = np.bincount(labels * 3 + decided, minlength=9).reshape(3, 3)
            best = max(best, (2 * np.diagonal(counts) / (counts.sum(axis=0) + counts.sum(axis=1))).mean())
    return best


@pytest.mark.parametrize("seed", range(3))
def test_it_is_nearly_as_good_as_the_best_of_all_offsets_that_see_the_labels(seed):
    labels, p = mixture(4000, PRIOR, seed)
    decided = tune_macro_f1(p)(p)
    assert macro_f1(labels, decided) >= 0.98 * best_of_all_offsets(labels, p)
    assert macro_f1(labels, decided) >= macro_f1(labels, p.argmax(axis=1)) - 0.005


def test_its_expected_f1_is_reached_on_other_rows():
    decision = tune_macro_f1(mixture(20_000, PRIOR)[1])
    labels, p = mixture(20_000, PRIOR, seed=1)
    assert macro_f1(labels, decision(p)) == pytest.approx(decision.expected_f1, abs=0.02)
    assert decision.expected_f1 > macro_f1(labels, p.argmax(axis=1)) + 0.03


@pytest.mark.parametrize("true", [[0.9, 0.07, 0.03], [0.4, 0.35, 0.25]])
@pytest.mark.parametrize("known", [True, False])
def test_probabilities_for_another_prior_are_moved_first(true, known):
    """As good as from probabilities that speak for the prior of use, whether that is given or estimated."""
    balanced = np.full(3, 1 / 3)
    labels, p = mixture(8000, true, speaks_for=balanced)
    _, right = mixture(8000, true)
    wanted = tune_macro_f1(right)
    decision = tune_macro_f1(p, train_prior="balanced", true_prior=true if known else None)
    scores = [macro_f1(labels, one(of)) for one, of in ((wanted, right), (decision, p))]
    assert scores[1] == pytest.approx(scores[0], abs=0.01)
    if known:
        np.testing.assert_array_equal(decision(p), wanted(correct_prior(p, balanced, true)))


def test_a_sigmoid_is_two_classes():
    labels, p = mixture(3000, np.array([0.95, 0.05]))
    pair, single = tune_macro_f1(p), tune_macro_f1(p[:, 1])
    np.testing.assert_array_equal(pair(p), single(p[:, 1]))
    np.testing.assert_array_equal(single(p[:, 1:]), single(p[:, 1]))
    cuts = np.quantile(p[:, 1], np.linspace(0.5, 1, 60))
    best = max(macro_f1(labels, p[:, 1] > cut) for cut in cuts)
    assert macro_f1(labels, pair(p)) >= 0.98 * best


def test_a_class_that_no_row_can_be_is_never_taken():
    _, p = mixture(1000, PRIOR)
    with_absent = np.insert(p, 1, 0.0, axis=1)
    decided = tune_macro_f1(with_absent)(with_absent)
    assert set(decided) <= {0, 2, 3}
    np.testing.assert_array_equal(decided - (decided > 1), tune_macro_f1(p)(p))


@pytest.mark.parametrize("axis", [-1, 1])
def test_the_layer_decides_as_the_function_and_is_saved(axis, tmp_path):
    _, p = mixture(1200, PRIOR, speaks_for=np.full(3, 1 / 3))
    given = np.moveaxis(p.reshape(60, 20, 3), -1, axis).astype("float32")
    decision = tune_macro_f1(given, train_prior="balanced", true_prior=PRIOR, axis=axis)
    expected = decision(given)
    assert expected.dtype == np.int64
    assert expected.shape == (60, 20)
    model = keras.Sequential([keras.Input(given.shape[1:]), decision])
    found = model.predict(given, verbose=0)
    assert (found == expected).mean() > 0.999
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(given, verbose=0), found)
    np.testing.assert_array_equal(again.layers[-1](given), expected)
    logits = np.log(given)
    config = decision.get_config() | {"from_logits": True}
    of_logits = MacroF1Decision.from_config(config)
    assert (ops.convert_to_numpy(of_logits(ops.convert_to_tensor(logits))) == expected).mean() > 0.999
    assert (of_logits(logits) == expected).mean() > 0.999 or axis == 1


def test_a_tensor_with_nan_is_no_class():
    p = ops.convert_to_tensor(np.array([[0.2, np.nan, 0.3], [0.2, 0.5, 0.3]], "float32"))
    assert ops.convert_to_numpy(MacroF1Decision([1, 1, 1], [0, 0, 0])(p)).tolist() == [-1, 1]


def test_few_rows_warn():
    _, p = mixture(499, PRIOR)
    with pytest.warns(UserWarning, match="`probabilities` have 499 rows.*about 500"):
        tune_macro_f1(p)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tune_macro_f1(np.tile(p, (2, 1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probabilities": [[0.5, 0.4]]}, "`probabilities` must"),
        ({"probabilities": np.zeros((0, 3))}, "`probabilities` must hold at least one row"),
        ({"true_prior": [1, 1, 1]}, "`train_prior` must be given with a `true_prior`"),
        ({"train_prior": 0.3}, r"`train_prior`.*\[1 - p, p\]"),
        ({"train_prior": [1, 1]}, "`train_prior`"),
        ({"train_prior": "balanced", "true_prior": [1, 0, 1]}, "`true_prior`"),
        ({"class_names": ["a", "b"]}, "`class_names`"),
        ({"axis": 3}, "`axis`"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        tune_macro_f1(**{"probabilities": [[0.2, 0.3, 0.5]] * 600, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gain": [1]}, "`gain` must hold one finite number a class"),
        ({"gain": [1, -1]}, "`gain`"),
        ({"cost": [1, 2, 3]}, "`cost`"),
        ({"ratio": [1, float("nan")]}, "`ratio`"),
        ({"expected_f1": "high"}, "`expected_f1`"),
        ({"from_logits": 1}, "`from_logits`"),
    ],
)
def test_arguments_of_the_layer_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        MacroF1Decision(**{"gain": [1, 1], "cost": [0, 0], **arguments})
    with pytest.raises(ValueError, match="`probabilities` must have 2 channels"):
        MacroF1Decision([1, 1], [0, 0])([[0.2, 0.3, 0.5]])
