"""`axis` and `ignore_class` of decisions: channels in another place, and the same rows without those that are ignored."""

import numpy as np
import pytest

from keras_imbalance import (
    MinimumCostDecision,
    PriorCorrection,
    correct_prior,
    estimate_prior,
    minimum_cost_decision,
    tune_temperature,
    tune_thresholds,
)
from keras_imbalance._keras import ops

AXES = [1, 2, -2]
TRAIN, TRUE = [0.4, 0.3, 0.3], [0.9, 0.07, 0.03]
COSTS = [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [25.0, 30.0, 0.0]]
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (20, 4, 5))
LOGITS = RNG.normal(size=(20, 4, 5, 3)) + 1.5 * np.eye(3)[LABELS]
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True)
SIGMOIDS, SEVERAL = 1 / (1 + np.exp(-LOGITS)), (RNG.random(LOGITS.shape) < 1 / (1 + np.exp(-LOGITS))).astype(int)


def moved(values, axis):
    return np.moveaxis(values, -1, axis)


@pytest.mark.parametrize("axis", AXES)
def test_priors_and_costs_take_channels_on_any_axis(axis):
    given = moved(P, axis)
    corrected = correct_prior(P, TRAIN, TRUE)
    np.testing.assert_array_equal(correct_prior(given, TRAIN, TRUE, axis=axis), moved(corrected, axis))
    of_labels = correct_prior(SIGMOIDS, "balanced", [0.9, 0.1], multi_label=True)
    found = correct_prior(moved(SIGMOIDS, axis), "balanced", [0.9, 0.1], multi_label=True, axis=axis)
    np.testing.assert_array_equal(found, moved(of_labels, axis))
    np.testing.assert_array_equal(estimate_prior(given, TRAIN, axis=axis), estimate_prior(P.reshape(-1, 3), TRAIN))
    decided = minimum_cost_decision(P, COSTS)
    np.testing.assert_array_equal(minimum_cost_decision(given, COSTS, axis=axis), decided)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("from_logits", [False, True])
def test_layers_take_channels_on_any_axis(from_logits, axis):
    last = (LOGITS if from_logits else P).astype("float32")
    given, options = moved(last, axis), {"from_logits": from_logits}
    corrected = ops.convert_to_numpy(PriorCorrection(TRAIN, TRUE, **options)(last))
    layer = PriorCorrection(TRAIN, TRUE, axis=axis, **options)
    found = ops.convert_to_numpy(layer(given))
    np.testing.assert_allclose(found, moved(corrected, axis), rtol=1e-6, atol=1e-7)
    assert tuple(layer.compute_output_shape(given.shape)) == found.shape
    decision = MinimumCostDecision(COSTS, axis=axis, **options)
    found = ops.convert_to_numpy(decision(given))
    np.testing.assert_array_equal(found, minimum_cost_decision(P, COSTS))
    assert tuple(decision.compute_output_shape(given.shape)) == found.shape
    again = type(decision).from_config(decision.get_config())
    np.testing.assert_array_equal(ops.convert_to_numpy(again(given)), found)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("multi_label", [False, True])
def test_what_is_tuned_takes_channels_on_any_axis(multi_label, axis):
    labels, p = (SEVERAL, SIGMOIDS) if multi_label else (LABELS, P)
    given, options = moved(p, axis), {"multi_label": multi_label}
    given_labels = [moved(SEVERAL, axis)] if multi_label else [LABELS, moved(np.eye(3, dtype=int)[LABELS], axis)]
    flat = p.reshape(-1, 3)
    flat_labels = labels.reshape(-1, 3) if multi_label else labels.reshape(-1)
    for tune in (tune_thresholds, tune_temperature):
        wanted = tune(flat_labels, flat, **options)
        shape = LABELS.shape if tune is tune_thresholds and not multi_label else p.shape
        for of_form in given_labels:
            tuned = tune(of_form, given, axis=axis, **options)
            np.testing.assert_array_equal(tuned.value if tune is tune_temperature else tuned.values, values(wanted))
            expected = wanted(flat).reshape(shape)
            np.testing.assert_array_equal(tuned(given), expected if shape == LABELS.shape else moved(expected, axis))


def values(tuned):
    return tuned.value if hasattr(tuned, "value") else tuned.values


def score(tuned):
    return tuned.loss if hasattr(tuned, "loss") else tuned.score


HIDDEN = RNG.random(LABELS.shape) < 0.3
KINDS = {
    "a filler": (np.where(HIDDEN, 255, LABELS), P, 255),
    "a negative filler": (np.where(HIDDEN, -1, LABELS), P, -1),
    "one sigmoid": (np.where(HIDDEN, 255, LABELS > 0), P[..., 1:].sum(axis=-1, keepdims=True), 255),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tune", [tune_thresholds, tune_temperature])
def test_an_ignored_position_may_hold_anything_and_tunes_nothing(tune, kind):
    labels, p, ignored = KINDS[kind]
    kept = ~HIDDEN
    junk = p.copy()
    junk[~kept] = np.nan
    wanted = tune(labels[kept], p[kept])
    found = tune(labels, junk, ignore_class=ignored)
    np.testing.assert_array_equal(values(found), values(wanted))
    assert score(found) == score(wanted)
    weighted = tune(np.where(kept, labels, 0), p, sample_weight=kept * 1.0)
    np.testing.assert_allclose(values(weighted), values(wanted), rtol=1e-9)


@pytest.mark.parametrize("tune", [tune_thresholds, tune_temperature])
def test_an_ignored_label_of_several_leaves_the_others_of_its_row(tune):
    hidden = RNG.random(SEVERAL.shape) < 0.3
    labels, p = np.where(hidden, -1, SEVERAL).reshape(-1, 3), np.where(hidden, np.nan, SIGMOIDS).reshape(-1, 3)
    found = tune(labels, p, multi_label=True, ignore_class=-1)
    kept = labels >= 0
    if tune is tune_temperature:
        wanted = tune(labels[kept], p[kept])
        np.testing.assert_allclose([found.value, found.loss], [wanted.value, wanted.loss], rtol=1e-9)
    else:
        alone = [tune(labels[kept[:, j], j], p[kept[:, j], j]) for j in range(3)]
        np.testing.assert_array_equal(found.values, [one.values for one in alone])
        assert found.score == np.mean([one.score for one in alone])
