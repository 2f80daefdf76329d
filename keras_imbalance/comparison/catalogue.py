"""The methods of this package as rows of the table, each with the code that it stands for."""

from collections.abc import Sequence
from typing import Any

from keras_imbalance._core import check_one_of, invalid, nearest
from keras_imbalance.comparison.method import Method
from keras_imbalance.comparison.remedies import (
    MEMBERS,
    MOST_REPEATS,
    a_cost_matrix,
    a_head,
    a_head_at_the_end,
    after_the_fact,
    asymmetric,
    bagging,
    balanced,
    capped,
    class_balanced,
    classifier_retraining,
    deferred,
    dynamic,
    enough_steps_for_members,
    enough_validation_rows,
    focal,
    half_way,
    keras_class_weight,
    ldam,
    logit_adjusted,
    macro_f1,
    matched_loss,
    matched_sampler,
    minimum_cost,
    numbers_to_interpolate,
    one_class_a_position,
    one_class_a_row,
    several_labels,
    smote,
    square_root,
    thresholds,
    two_epochs,
    two_phase,
    two_validation_rows_a_class,
    weighted,
)
from keras_imbalance.comparison.rows import Data
from keras_imbalance.layers import CosineDense

PLAIN = "plain"
# The table. Code is written for `Comparison.settings`, which gives it class_counts, sampler and the like. Its last expression
# is the part; lines before that lead to it.
BALANCED_SAMPLER = 'ki.ArraySampler(x_train, y_train{classes}, batch_size={batch_size}, target="balanced")'
MATCHED = {
    "sampler": "ki.ArraySampler(x_train, y_train, batch_size={batch_size}, target=0.75)",
    "loss": "ki.LogitAdjustedLoss(sampler, from_logits=True)",
}
TUNED_F1 = "{drawn_as_used}ki.tune_macro_f1({tuned_on}, train_prior=output_prior, true_prior={prior})"
BAGGING = f"""def compiled_model():
    {{build}}
    model.compile({{optimizer}}, {{plain_loss}})
    return model


ensemble = ki.BalancedBagging(compiled_model, num_members={MEMBERS}, from_logits=True)
ensemble.fit(x_train, y_train, batch_size={{batch_size}}, epochs={{member_epochs}})
ensemble.predict_proba, ensemble.train_prior"""
DEFERRED = "[ki.DeferredReweighting({switch_epoch})]"
WEIGHTED = "ki.ClassBalancedLoss(class_counts, {loss_form})"

DEFAULT = (
    Method(PLAIN),
    Method(
        "class_weight",
        class_weight=keras_class_weight,
        needs=one_class_a_row,
        settings={"class_weight": "ki.class_weights(class_counts, as_dict=True)"},
    ),
    Method(
        "logit adjustment",
        loss=logit_adjusted,
        settings={"loss": "ki.LogitAdjustedLoss(class_counts, {loss_form})"},
    ),
    Method(
        "class-balanced loss",
        loss=class_balanced,
        settings={
            "loss": 'ki.ClassBalancedLoss(class_counts, scheme="effective_number", normalize="sum", {loss_form})'
        },
    ),
    Method("focal loss", loss=focal, settings={"loss": "ki.FocalLoss(gamma=2.0, {loss_form})"}),
    Method("balanced sampling", sampler=balanced, settings={"sampler": BALANCED_SAMPLER}),
    Method(
        "square-root sampling",
        sampler=square_root,
        settings={"sampler": 'ki.ArraySampler(x_train, y_train{classes}, batch_size={batch_size}, target="sqrt")'},
    ),
    Method(
        "capped sampling",
        sampler=capped,
        settings={"sampler": f"{BALANCED_SAMPLER[:-1]}, max_repeats={MOST_REPEATS})"},
    ),
    Method("matched pair", sampler=matched_sampler, loss=matched_loss, needs=one_class_a_row, settings=MATCHED),
    Method(
        "SMOTE",
        sampler=smote,
        needs=[one_class_a_row, numbers_to_interpolate],
        settings={"sampler": f"{BALANCED_SAMPLER[:-1]}, smote=ki.SMOTE())"},
    ),
    Method(
        "dynamic sampling",
        sampler=balanced,
        callbacks=dynamic,
        needs=one_class_a_row,
        settings={
            "sampler": BALANCED_SAMPLER,
            "callbacks": "[ki.DynamicSampling(sampler, validation_data=(x_validation, y_validation){threshold})]",
        },
    ),
    Method(
        "two-phase learning",
        sampler=balanced,
        callbacks=two_phase,
        needs=two_epochs,
        settings={
            "sampler": BALANCED_SAMPLER,
            "callbacks": "[ki.TwoPhaseLearning(sampler, switch_epoch={switch_epoch}{rate_factor})]",
        },
    ),
    Method(
        "cRT",
        sampler=balanced,
        callbacks=classifier_retraining,
        needs=[two_epochs, a_head],
        settings={
            "sampler": BALANCED_SAMPLER,
            "callbacks": "[ki.ClassifierRetraining(sampler, switch_epoch={switch_epoch}, head={head})]",
        },
    ),
    Method(
        "DRW",
        loss=weighted,
        callbacks=deferred,
        settings={"loss": WEIGHTED, "callbacks": DEFERRED},
    ),
    Method(
        "LDAM-DRW",
        loss=ldam,
        callbacks=deferred,
        head=CosineDense,
        needs=[one_class_a_row, a_head_at_the_end],
        settings={
            "head": "ki.CosineDense({channels})",
            "loss": "ki.LDAMLoss(class_counts)",
            "callbacks": DEFERRED,
        },
    ),
    Method(
        "bagging",
        train=bagging,
        needs=[one_class_a_row, enough_steps_for_members],
        settings={"train": BAGGING},
    ),
    Method(
        "plain, adjusted afterwards",
        decide=after_the_fact,
        settings={"decide": 'lambda p: ki.correct_prior(p, output_prior, "balanced"{several}){likeliest}'},
    ),
    Method(
        "plain, adjusted to n^.75",
        decide=half_way,
        settings={"decide": "lambda p: ki.correct_prior(p, output_prior, {half_way}{several}){likeliest}"},
    ),
    Method(
        "plain, macro-F1 decision",
        decide=macro_f1,
        needs=[one_class_a_position, enough_validation_rows],
        settings={"decide": TUNED_F1},
    ),
    Method(
        "plain, tuned thresholds",
        decide=thresholds,
        needs=two_validation_rows_a_class,
        settings={
            "decide": "{weighted_as_used}ki.tune_thresholds({labels}, {scored}, "
            "objective={objective!r}{costs}{weights}{several})"
        },
    ),
    Method(
        "plain, minimum cost",
        decide=minimum_cost,
        needs=[one_class_a_position, a_cost_matrix],
        settings={
            "decide": "lambda p: ki.minimum_cost_decision(ki.correct_prior(p, output_prior, {prior}), cost_matrix)"
        },
    ),
    Method(
        "matched pair, macro-F1 decision",
        sampler=matched_sampler,
        loss=matched_loss,
        decide=macro_f1,
        needs=[one_class_a_row, enough_validation_rows],
        settings={**MATCHED, "decide": TUNED_F1},
    ),
)
# Of other labels than one class a row.
MORE = (
    Method("weighted loss", loss=weighted, settings={"loss": WEIGHTED}),
    Method(
        "asymmetric loss",
        loss=asymmetric,
        needs=several_labels,
        settings={"loss": "ki.AsymmetricLoss(from_logits=True)"},
    ),
)
BY_SEVERAL_LABELS = (
    PLAIN,
    "weighted loss",
    "logit adjustment",
    "focal loss",
    "asymmetric loss",
    "balanced sampling",
    "square-root sampling",
    "two-phase learning",
    "plain, adjusted afterwards",
    "plain, adjusted to n^.75",
    "plain, tuned thresholds",
)
BY_POSITIONS = (
    *(name for name in BY_SEVERAL_LABELS if name != "asymmetric loss"),
    "plain, macro-F1 decision",
    "plain, minimum cost",
)


def methods_of(given: Any, data: Data | None = None) -> list[Method]:
    """The methods to compare, plain training among them.

    Args:
        given: "default", all of this package for such labels; or a list of their names and of `Method`s.
        data: the rows and their labels. Defaults to None, one class a row.

    Raises:
        ValueError: for unknown names and for two methods of one name.
    """
    known = {method.name: method for method in (*DEFAULT, *MORE)}
    if isinstance(given, str):
        check_one_of(given, "methods", ("default",), remedy="Or pass a list of names and Methods.")
        return [known[name] for name in _default(data)]
    if not isinstance(given, Sequence) or not given:
        raise invalid("methods", "be 'default' or a list of names and Methods", given)
    found = [_method_of(method, known) for method in given]
    names = [method.name for method in found]
    if len(set(names)) < len(names):
        raise invalid("methods", "have different names", names)
    return found if PLAIN in names else [known[PLAIN], *found]


def _default(data):
    if data is None or data.one_class:
        return [method.name for method in DEFAULT]
    return BY_SEVERAL_LABELS if data.multi_label else BY_POSITIONS


def _method_of(given, known):
    """A method by its name, or as it is."""
    if isinstance(given, Method):
        return given
    if not isinstance(given, str) or given not in known:
        remedy = nearest(given, known) or f"Known are {', '.join(known)}."
        raise invalid("methods", "hold names of methods, or Methods", given, remedy)
    return known[given]
