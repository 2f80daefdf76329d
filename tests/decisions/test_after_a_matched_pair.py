"""One training with a matched pair, then every decision: as good as that of Bayes, and corrected once, whatever prior holds.

The classes are Gaussian, so that a linear net can learn their true log-odds.
"""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from keras_imbalance import (
    ArraySampler,
    LogitAdjustedLoss,
    MinimumCostDecision,
    PriorCorrection,
    correct_prior,
    estimate_prior,
    fold_into_head,
    minimum_cost_decision,
    tradeoff_curve,
    tune_macro_f1,
    tune_temperature,
    tune_thresholds,
)
from keras_imbalance._keras import keras

CENTRES = 1.5 * np.array([[0.0, 0.0], [1.0, 0.5], [0.0, 1.5]])
PRIORS = {"natural": [0.88, 0.08, 0.04], "balanced": [1 / 3, 1 / 3, 1 / 3], "shifted": [0.5, 0.2, 0.3]}
COSTS = np.array([[0.0, 1.0, 1.0], [4.0, 0.0, 1.0], [9.0, 2.0, 0.0]])
POINT = 0.01


def drawn(prior, rows, seed):
    """Labels, rows, and their true probabilities, of classes in these shares."""
    labels = np.repeat(np.arange(3), np.round(np.array(prior) * rows).astype(int))
    x = CENTRES[labels] + np.random.default_rng(seed).normal(size=(len(labels), 2))
    density = np.exp(-0.5 * ((x[:, None] - CENTRES) ** 2).sum(axis=2)) * np.array(prior)
    return labels, x.astype("float32"), density / density.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def trained():
    """The model, the prior that its outputs speak for, and the one that was drawn."""
    labels, x, _ = drawn(PRIORS["natural"], 100_000, 0)
    sampler = ArraySampler(x, labels, batch_size=5000, target=0.75, seed=0)
    loss = LogitAdjustedLoss(sampler)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    rate = keras.optimizers.schedules.CosineDecay(0.3, 200)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(sampler.dataset(), epochs=10, shuffle=False, verbose=0)
    return model, loss.output_prior, sampler.drawn_prior


@pytest.fixture(scope="module", params=PRIORS)
def use(request, trained):
    """Where the model is used: the prior, labels, rows, what the model gives, its probabilities moved, and those of Bayes."""
    true = PRIORS[request.param]
    labels, x, bayes = drawn(true, 20_000, 1)
    given = trained[0].predict(x, batch_size=4096, verbose=0)
    return true, labels, x, given, correct_prior(given, trained[1], true), bayes


def scores(labels, decided):
    """Accuracy, balanced accuracy, macro F1 and, with its sign turned, cost, in units of the largest."""
    macro_f1 = f1_score(labels, decided, average="macro")
    cost = COSTS[labels, decided].mean() / COSTS.max()
    return np.array([(labels == decided).mean(), balanced_accuracy_score(labels, decided), macro_f1, -cost])


def test_the_likeliest_class_and_the_cheapest_are_those_of_bayes(use, trained):
    true, labels, x, given, moved, bayes = use
    for decide in (lambda p: p.argmax(axis=1), lambda p: minimum_cost_decision(p, COSTS)):
        np.testing.assert_allclose(scores(labels, decide(moved)), scores(labels, decide(bayes)), atol=POINT)
    correction = PriorCorrection(trained[1], true)
    deployed = keras.Sequential([trained[0], correction, MinimumCostDecision(COSTS)])
    decided = deployed.predict(x, batch_size=4096, verbose=0)
    assert (decided == minimum_cost_decision(moved, COSTS)).mean() > 0.999
    folded = keras.models.clone_model(trained[0])
    folded.set_weights(trained[0].get_weights())
    fold_into_head(folded, correction)
    np.testing.assert_allclose(folded.predict(x, batch_size=4096, verbose=0), moved, atol=1e-6)
    assert np.abs(given - moved).max() > 0.1 or true == PRIORS["balanced"]


def test_a_second_correction_would_be_seen(use, trained):
    """The outputs speak for `loss.output_prior` alone: taken for what was drawn, they lose more than a point."""
    true, labels, _, given, moved, bayes = use
    twice = correct_prior(given, trained[2], true)
    lost = scores(labels, bayes.argmax(axis=1)) - scores(labels, twice.argmax(axis=1))
    assert lost[:3].max() > 3 * POINT
    assert np.abs(np.log(moved / bayes)).mean() < 0.05 < 0.5 < np.abs(np.log(twice / bayes)).mean()


def test_the_macro_f1_decision_is_that_of_bayes_with_a_known_and_an_unknown_prior(use, trained):
    true, labels, _, given, _, bayes = use
    expected = scores(labels, tune_macro_f1(bayes)(bayes))[2]
    for known in (true, None):
        decided = tune_macro_f1(given, train_prior=trained[1], true_prior=known)(given)
        assert scores(labels, decided)[2] == pytest.approx(expected, abs=POINT)
    balanced = correct_prior(bayes, true, "balanced")
    np.testing.assert_allclose(estimate_prior(given, trained[1]), estimate_prior(balanced, "balanced"), atol=POINT)
    np.testing.assert_allclose(estimate_prior(given, trained[1]), true, atol=2 * POINT)


def test_thresholds_temperature_and_the_curve_are_those_of_bayes(use, trained):
    true, labels, _, given, moved, bayes = use
    tuned, rest = np.arange(len(labels)) % 2 == 0, np.arange(len(labels)) % 2 == 1
    for objective, score in (("f1", 2), ("balanced_accuracy", 1)):
        decided = [tune_thresholds(labels[tuned], p[tuned], objective=objective)(p[rest]) for p in (moved, bayes)]
        found, expected = (scores(labels[rest], part)[score] for part in decided)
        assert found == pytest.approx(expected, abs=POINT)
    assert tune_temperature(labels, moved).value == pytest.approx(1, abs=0.1)
    curves = [tradeoff_curve(labels, p, prior, q=[0, 0.5, 1]) for p, prior in ((given, trained[1]), (bayes, true))]
    np.testing.assert_allclose(curves[0].f1.mean(axis=1), curves[1].f1.mean(axis=1), atol=POINT)
    np.testing.assert_allclose(curves[0].recall.mean(axis=1), curves[1].recall.mean(axis=1), atol=POINT)
