"""What to try first, from the class counts alone, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_cost_matrix,
    check_counts,
    check_counts_with_empty_classes,
    check_one_of,
    check_shares,
    delivery_for_fit,
    invalid,
)

OBJECTIVES = ("recall", "f1", "cost", "probabilities")
EVEN = 1.5  # largest to smallest class: below it there is no imbalance to speak of
LEAST_ROWS = 500  # for the macro-F1 decision
LEAST_A_CLASS = 20  # validation rows, for an offset of its own
LARGE, RARE = 5_000, 200  # rows of the majority and of the rarest class, for an ensemble

FACTS = {
    "ema": (
        "Moving averages gave -0.1 to +1.2 points of balanced accuracy over six methods and three data sets, +0.6 in the "
        "median."
    ),
    "pair": (
        "Above class weights by 1.2, 1.6 and 0.9 points of balanced accuracy on three data sets, by -0.2 to +3.8 on eight "
        "more; often a point, sometimes nothing. On the six of benchmarks/effect.py by -0.1 to +2.7, and -1.6 to +0.6 beside "
        "LogitAdjustedLoss(class_counts) on plain batches, mostly with more macro F1: measure both."
    ),
    "balanced": (
        "Menon et al. 2021: balanced accuracy is best where all classes are equally likely. Tuned on validation rows, no other "
        "exponent beat it."
    ),
    "half": "Shares in proportion to n^.75 gained balanced accuracy and kept macro F1 on 8 of 9 data sets.",
    "f1": (
        "Koyejo et al. 2014, Schultheis et al. 2023. Over the likeliest class of a plain net +1.6, +8.1 and +2.0 points of "
        "macro F1 on three data sets; -1.9 to +12.9 on others."
    ),
    "natural": "Saerens et al. 2002. Moved back, the calibration error was 0.003 where class weights left 0.021.",
    "cost": "Elkan 2001: argmin_k sum_j p_j cost[j, k]. Costs in the loss and in the decision would count twice.",
    "offsets": "With fewer than 20 validation rows a class, offsets tuned on them lost 1.6 to 4.5 points on new rows.",
    "bagging": "Liu, Wu and Zhou 2009: members that each see another part of a large majority vary less together.",
}


class Step(NamedTuple):
    """One piece of advice, and what it rests on."""

    advice: str
    why: str


@dataclass
class Recommendation:
    """What to try first; see `recommend`, which returns it.

    Attributes:
        steps: advice, each with its source or measurement.
        settings: code to paste, for a `model` that gives one logit a class, also of two classes, and for `x_train`, `y_train`,
            `x_validation` and `x_new`.
    """

    steps: list[Step]
    settings: str

    def __str__(self) -> str:
        lines = [f"{i}. {step.advice}\n   Why: {step.why}" for i, step in enumerate(self.steps, 1)]
        return "\n".join([*lines, "", self.settings])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(step.advice)}<br><small>{escape(step.why)}</small></li>" for step in self.steps)
        return f"<ol>{items}</ol><pre>{escape(self.settings)}</pre>"


def recommend(
    class_counts: npt.ArrayLike,
    *,
    objective: Literal["recall", "f1", "cost", "probabilities"] = "recall",
    validation_counts: npt.ArrayLike | None = None,
    prior: Literal["balanced"] | npt.ArrayLike | Mapping[int, float] | None = None,
    cost_matrix: npt.ArrayLike | None = None,
) -> Recommendation:
    """Says what to try first on data of these class counts, and why. It trains nothing: `compare_methods` measures.

    The rules are those that measurements bear out; where they disagree between data sets the advice says 'measure it'.

    Args:
        class_counts: training rows of every class `(C,)`, positive.
        objective: what matters: "recall" (balanced accuracy), "f1" (macro F1), "cost" (with `cost_matrix`), or
            "probabilities" that can be believed. Defaults to "recall".
        validation_counts: validation rows of every class `(C,)`. Defaults to None: what needs them is said with a condition.
        prior: class shares where the model is used, "balanced" or one share a class. Defaults to None: those of training.
        cost_matrix: `(C, C)`, row = true class, column = decision. Defaults to None.

    Returns:
        A `Recommendation`: `steps`, `settings` (code), and both as text.

    Raises:
        ValueError: for counts that are not positive, an unknown objective, and "cost" without a matrix.

    Example:
    >>> found = recommend([4000, 300, 40], objective="f1", validation_counts=[1000, 60, 8])
    >>> [step.advice.split(":")[0] for step in found.steps]
    ['Train a matched pair with moving-average weights', 'Decide by tune_macro_f1', 'Tune no offset a class', 'Measure it']
    """
    counts = check_counts(class_counts)
    check_one_of(objective, "objective", OBJECTIVES)
    if (objective == "cost") != (cost_matrix is not None):
        requirement = "be given for objective='cost', and for no other"
        raise invalid("cost_matrix", requirement, cost_matrix)
    if cost_matrix is not None and len(check_cost_matrix(cost_matrix)) != len(counts):
        raise invalid("cost_matrix", f"be {len(counts)} x {len(counts)}", cost_matrix)
    shares = None if prior is None else check_shares(prior, "prior", num_classes=len(counts))
    validation = None if validation_counts is None else _validation_rows(validation_counts, len(counts))
    steps, code = _training(counts, objective)
    more, lines = _DECISIONS[objective](shares, validation)
    steps += more
    if counts.max() >= LARGE and counts.min() <= RARE:
        advice = "Try BalancedBagging too: the majority is large, and ten members on balanced draws are cheap."
        steps.append(Step(advice, f"{FACTS['bagging']} It pays where rows are cheap to train on: measure it."))
    if validation is not None and validation.min() < LEAST_A_CLASS:
        fewest = int(validation.min())
        advice = f"Tune no offset a class: the rarest has {fewest} validation rows, and {LEAST_A_CLASS} are needed."
        steps.append(Step(advice, FACTS["offsets"]))
    advice = (
        "Measure it: compare_methods(build_model, x, y, epochs=...) says what helps on your data, and how sure that is."
    )
    why = "No remedy wins everywhere (CLIMB, 2025: 73 data sets; TILBench, 2026: 57)."
    return Recommendation([*steps, Step(advice, why)], "\n".join([*code, *lines, ""]))


def _training(counts, objective):
    """How to train, and its code."""
    ratio = counts.max() / counts.min()
    optimizer = "keras.optimizers.Adam(use_ema=True, ema_momentum=0.98)"
    head = [
        "import keras",
        "import keras_imbalance as ki",
        "",
        f"# model ends in {len(counts)} logits, one a class: Dense({len(counts)}), without activation",
        "class_counts = ki.count_classes(y_train)",
    ]
    if ratio < EVEN:
        advice = f"Train plainly, with moving-average weights: the largest class is {ratio:.2g} times the smallest."
        code = [
            "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
            f"model.compile({optimizer}, loss)",
            "model.fit(x_train, y_train, batch_size=64, epochs=40)",
            "output_prior = ki.class_prior(class_counts)",
        ]
        return [Step(advice, f"There is little to correct. {FACTS['ema']}")], head + code
    advice = (
        "Train a matched pair with moving-average weights: a sampler of n^.75, and LogitAdjustedLoss, which is given the "
        "sampler; use_ema=True, ema_momentum .98 to .99."
    )
    code = [
        "sampler = ki.ArraySampler(x_train, y_train, batch_size=64, target=0.75)",
        "loss = ki.LogitAdjustedLoss(sampler, from_logits=True)",
        f"model.compile({optimizer}, loss)",
        f"model.fit(sampler.{delivery_for_fit()}(), shuffle=False, epochs=40)",
        "output_prior = loss.output_prior",
    ]
    return [Step(advice, f"{FACTS['pair']} {FACTS['ema']}")], head + code


PROBABILITIES = "probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(model.predict({})))"


def _prior_code(shares):
    """The shares of use, as code."""
    return "ki.class_prior(class_counts)" if shares is None else repr(np.round(shares, 6).tolist())


def _recall(shares, validation):
    advice = 'Decide for the likeliest class of equally likely ones, the prior "balanced".'
    again = (
        "Where macro F1 must not fall, move the probabilities to shares of n^.75: "
        "PriorCorrection(output_prior, target_distribution(class_counts, .75))."
    )
    lines = [
        PROBABILITIES.format("x_new"),
        'decided = ki.correct_prior(probabilities, output_prior, "balanced").argmax(-1)',
        '# without loss of macro F1: ki.target_distribution(class_counts, 0.75) in place of "balanced"',
    ]
    return [Step(advice, FACTS["balanced"]), Step(again, FACTS["half"])], lines


def _f1(shares, validation):
    prior = _prior_code(shares)
    rows = None if validation is None else int(validation.sum())
    if rows is not None and rows < LEAST_ROWS:
        advice = (
            f"Decide for the likeliest class under the prior of use: {rows} validation rows are too few for the macro-F1 "
            f"decision, which needs about {LEAST_ROWS}, without labels."
        )
        lines = [
            PROBABILITIES.format("x_new"),
            f"decided = ki.correct_prior(probabilities, output_prior, {prior}).argmax(-1)",
        ]
        return [Step(advice, FACTS["f1"])], lines
    condition = "" if rows is not None else f" It needs about {LEAST_ROWS} rows."
    advice = f"Decide by tune_macro_f1: it needs no labels, but probabilities that are calibrated.{condition}"
    lines = [
        PROBABILITIES.format("x_validation"),
        f"decision = ki.tune_macro_f1(probabilities, train_prior=output_prior, true_prior={prior})",
        PROBABILITIES.format("x_new"),
        "decided = decision(probabilities)",
    ]
    return [Step(advice, FACTS["f1"])], lines


def _probabilities(shares, validation):
    advice = "Move the probabilities to the prior of use, and decide nothing at 0.5."
    lines = [
        PROBABILITIES.format("x_new"),
        f"probabilities = ki.correct_prior(probabilities, output_prior, {_prior_code(shares)})",
    ]
    return [Step(advice, FACTS["natural"])], lines


def _cost(shares, validation):
    steps, lines = _probabilities(shares, validation)
    advice = "Decide by minimum_cost_decision on these probabilities; put no costs into the loss."
    decide = "decided = ki.minimum_cost_decision(probabilities, cost_matrix)"
    return [*steps, Step(advice, FACTS["cost"])], [*lines, decide]


_DECISIONS: Mapping[str, Any] = {"recall": _recall, "f1": _f1, "cost": _cost, "probabilities": _probabilities}


def _validation_rows(counts: Any, num_classes: int) -> np.ndarray:
    rows = check_counts_with_empty_classes(counts, "validation_counts")
    if rows.shape != (num_classes,):
        received = f"{len(rows)} counts"
        raise invalid("validation_counts", f"hold one count for each of {num_classes} classes", received=received)
    return rows
