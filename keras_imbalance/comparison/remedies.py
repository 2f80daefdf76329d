"""What the methods of this package do, as functions of a `Run`: what data they need, how they train, how they decide."""

from typing import Any

import numpy as np

from keras_imbalance._core import class_weights
from keras_imbalance._keras import learning_rates, tree
from keras_imbalance.callbacks import ClassifierRetraining, DeferredReweighting, DynamicSampling, TwoPhaseLearning
from keras_imbalance.comparison.method import Run
from keras_imbalance.comparison.nets import ends_in_head, with_text
from keras_imbalance.comparison.scores import parts_with
from keras_imbalance.decisions import correct_prior, minimum_cost_decision, tune_macro_f1, tune_thresholds
from keras_imbalance.estimators import BalancedBagging
from keras_imbalance.losses import AsymmetricLoss, ClassBalancedLoss, FocalLoss, LDAMLoss, LogitAdjustedLoss
from keras_imbalance.sampling import SMOTE

MATCHED_Q = 0.75
MOST_REPEATS = 5
MEMBERS = 10
LEAST_ROWS = 500  # to tune the macro-F1 decision on
OBJECTIVES = {"macro_recall": "balanced_accuracy", "worst_recall": "balanced_accuracy", "cost": "cost"}


# What data must have


def one_class_a_row(run: Run) -> str | None:
    """What weighs, draws or moves rows by their class needs one."""
    return None if run.data.one_class else "it needs one class a row, not masks or several labels"


def one_class_a_position(run: Run) -> str | None:
    """What chooses one of several classes."""
    return "it chooses one class, and a row has several labels" if run.data.multi_label else None


def several_labels(run: Run) -> str | None:
    """What is made for labels of which most are absent."""
    return None if run.data.multi_label else "it needs several labels a row, multi_label=True"


def two_epochs(run: Run) -> str | None:
    """Two phases need an epoch each."""
    return None if run.epochs > 1 else "two phases need two epochs at least"


def a_head(run: Run) -> str | None:
    """A new head needs a layer to take the place of."""
    return None if run.head is not None else "the net has no Dense layer to renew; pass head="


def a_head_at_the_end(run: Run) -> str | None:
    """Another last layer needs a net whose output is that of its head."""
    if run.head is not None and ends_in_head(run.model, run.head):
        return None
    return "the net does not end in a Dense layer, whose place CosineDense could take"


def numbers_to_interpolate(run: Run) -> str | None:
    """SMOTE needs floats without NaN, and a second row of each class."""
    leaves = [np.asarray(leaf) for leaf in tree.flatten(run.data.x)]
    if any(leaf.dtype.kind != "f" for leaf in leaves):
        return "x holds text or whole numbers, between which there is nothing"
    if any(np.isnan(leaf).any() for leaf in leaves):
        return "x holds NaN"
    lonely = [run.data.class_names[i] for i in np.flatnonzero(run.class_counts < 2)]
    return f"class {lonely[0]} has one training row" if lonely else None


def enough_validation_rows(run: Run) -> str | None:
    """The macro-F1 decision fits chance on few rows."""
    rows, what = len(run.data.labels(run.split.validation)), "rows" if run.data.one_class else "positions"
    return None if rows >= LEAST_ROWS else f"{rows} validation {what}; about {LEAST_ROWS} are needed"


def two_validation_rows_a_class(run: Run) -> str | None:
    """Thresholds are tuned on some rows of a class and scored on others."""
    few = [run.data.class_names[i] for i in np.flatnonzero(parts_with(run) < 2)]
    which = "with and without label" if run.data.multi_label else "of class"
    return f"fewer than 2 validation rows {which} {few[0]}" if few else None


def enough_steps_for_members(run: Run) -> str | None:
    """An ensemble takes as many steps as one net, and each member an epoch at least."""
    least = MEMBERS * _member_steps(run)
    if run.steps < least:
        return f"one epoch of its {MEMBERS} members is {least} steps, and every method takes {run.steps}"
    return None


def a_cost_matrix(run: Run) -> str | None:
    """A decision by cost needs costs."""
    return None if run.cost_matrix is not None else "no cost_matrix was given"


# How nets are trained


def keras_class_weight(run: Run) -> dict:
    """The `class_weight` of Keras's fit: N / (C n_i)."""
    return class_weights(run.class_counts, as_dict=True)


def logit_adjusted(run: Run) -> Any:
    """Menon et al. 2021."""
    return LogitAdjustedLoss(run.class_counts, **run.loss_form)


def class_balanced(run: Run) -> Any:
    """Cui et al. 2019, effective number with beta .9999."""
    return ClassBalancedLoss(run.class_counts, scheme="effective_number", normalize="sum", **run.loss_form)


def focal(run: Run) -> Any:
    """Lin et al. 2017, gamma 2."""
    return FocalLoss(gamma=2.0, **run.loss_form)


def asymmetric(run: Run) -> Any:
    """Ridnik et al. 2021."""
    return AsymmetricLoss(from_logits=True)


def weighted(run: Run) -> Any:
    """Cross-entropy weighted by N / (C n_i); or a loss whose class weights `DeferredReweighting` sets."""
    return ClassBalancedLoss(run.class_counts, **run.loss_form)


def ldam(run: Run) -> Any:
    """Cao et al. 2019."""
    return LDAMLoss(run.class_counts, ignore_class=run.data.ignore_class)


def balanced(run: Run) -> Any:
    """Every class equally often."""
    return run.new_sampler("balanced")


def square_root(run: Run) -> Any:
    """Classes in proportion to sqrt(n)."""
    return run.new_sampler("sqrt")


def capped(run: Run) -> Any:
    """Balanced, as far as no row is drawn more than five times an epoch."""
    return run.new_sampler("balanced", max_repeats=MOST_REPEATS)


def matched_sampler(run: Run) -> Any:
    """The sampler of the matched pair: n^.75."""
    return run.new_sampler(MATCHED_Q)


def matched_loss(run: Run) -> Any:
    """The loss of the matched pair."""
    return LogitAdjustedLoss(run.sampler, from_logits=True)


def smote(run: Run) -> Any:
    """Chawla et al. 2002."""
    return run.new_sampler("balanced", smote=SMOTE())


def dynamic(run: Run) -> list:
    """Pouyanfar et al. 2018, by the F1 on validation rows."""
    threshold = 0.0 if run.one_channel else 0.5  # of a logit
    return [DynamicSampling(run.sampler, validation_data=run.validation, threshold=threshold)]


def two_phase(run: Run) -> list:
    """Havaei et al. 2017; a rate that follows a schedule is left alone."""
    factor = 1.0 if learning_rates(run.optimizer) is None else 0.1
    return [TwoPhaseLearning(run.sampler, switch_epoch=run.switch_epoch, learning_rate_factor=factor)]


def classifier_retraining(run: Run) -> list:
    """Kang et al. 2020."""
    return [ClassifierRetraining(run.sampler, switch_epoch=run.switch_epoch, head=run.head, seed=run.seed)]


def deferred(run: Run) -> list:
    """Class weights in the last fifth of the epochs."""
    return [DeferredReweighting(run.switch_epoch)]


def bagging(run: Run) -> tuple:
    """Ten members on balanced undersamples, which take together as many steps as one net of the other methods."""

    def member():
        model, optimizer = run.new_model()
        run.model = model
        model.compile(optimizer, run.cross_entropy())
        return model

    ensemble = BalancedBagging(member, num_members=MEMBERS, seed=run.seed, from_logits=True)
    ensemble.fit(with_text(run.x), run.y, batch_size=run.batch_size, epochs=member_epochs(run), verbose=0)
    return ensemble.predict_proba, ensemble.train_prior


def member_epochs(run: Run) -> int:
    """Epochs of each member of the ensemble."""
    return max(1, round(run.steps / (MEMBERS * _member_steps(run))))


def _member_steps(run):
    """Steps of a member in an epoch, on as many rows of each class as the rarest has."""
    return -(-run.num_classes * int(run.class_counts.min()) // run.batch_size)


# How a trained net decides


def after_the_fact(run: Run, probabilities: np.ndarray, labels: np.ndarray) -> Any:
    """Post-hoc logit adjustment: the likeliest class of equally likely ones."""
    return _decided_under(run, np.full_like(run.output_prior, 1 / np.shape(run.output_prior)[-1]))


def half_way(run: Run, probabilities: np.ndarray, labels: np.ndarray) -> Any:
    """The likeliest class where shares are in proportion to n^.75."""
    return _decided_under(run, run.prior**MATCHED_Q)


def _decided_under(run, wanted):
    """The likeliest class, or the labels above 0.5, under these class shares."""
    prior, several = run.output_prior, run.data.multi_label

    def decide(p):
        moved = correct_prior(p, prior, wanted, multi_label=several)
        return (moved > 0.5).astype(np.int64) if several else moved.argmax(axis=1)

    return decide


def macro_f1(run: Run, probabilities: np.ndarray, labels: np.ndarray) -> Any:
    """The decision of the highest expected macro F1; its rows must come in the shares of use."""
    if run.prior_of_use is not None:
        weights = run.weights_of_use(labels)
        drawn = np.random.default_rng(run.seed).choice(len(labels), size=len(labels), p=weights / weights.sum())
        probabilities = probabilities[drawn]
    return tune_macro_f1(probabilities, train_prior=run.output_prior, true_prior=run.true_prior)


def thresholds(run: Run, probabilities: np.ndarray, labels: np.ndarray) -> Any:
    """Thresholds for the score of the comparison, else for F1."""
    objective: Any = OBJECTIVES.get(run.metric, "f1")
    costs = run.cost_matrix if objective == "cost" else None
    rule: dict[str, Any] = {"sample_weight": run.weights_of_use(labels), "multi_label": run.data.multi_label}
    return tune_thresholds(labels, probabilities, objective=objective, cost_matrix=costs, **rule)


def minimum_cost(run: Run, probabilities: np.ndarray, labels: np.ndarray) -> Any:
    """The class of the lowest expected cost."""
    prior, natural, costs = run.output_prior, run.true_prior, np.asarray(run.cost_matrix)
    return lambda p: minimum_cost_decision(correct_prior(p, prior, natural), costs)
