"""What an ensemble needs of the models and callbacks that a user's functions make."""

import inspect
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import MOST_CLASSES, class_ids, invalid, number_anew, same_shares, shown
from keras_imbalance._keras import (
    LEARNING_RATE_CALLBACKS,
    Callback,
    Model,
    compiled_losses,
    graph_ends,
    has_graph,
    has_own_train_step,
    optimizer_config,
    tree,
)
from keras_imbalance.losses import ClassBalancedLoss, LogitAdjustedLoss

COUNTED = (ClassBalancedLoss, LogitAdjustedLoss)  # losses that correct for the class counts that they are given


def required_names(function: Callable) -> set[str]:
    """The arguments that a function must have, those that can be given by name."""
    needed = [part for part in _parameters(function).values() if _is_required(part)]
    return {part.name for part in needed if part.kind is not part.POSITIONAL_ONLY}


def num_required(function: Callable, named: Collection[str] = ()) -> int:
    """How many arguments a function must have besides `named`: 0 where nobody can tell, -1 where one must go by name."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [part for name, part in _parameters(function).items() if _is_required(part) and name not in named]
    if any(part.kind is inspect.Parameter.KEYWORD_ONLY for part in needed):
        return -1
    return sum(part.kind in kinds for part in needed)


def _parameters(function):
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _is_required(parameter):
    return parameter.default is parameter.empty


def check_maker(function: Any, argument: str, example: str, named: Collection[str] = ()) -> None:
    """Raises unless `function` can be called without arguments or with one, and with those of `named` that it must have."""
    if not callable(function) or isinstance(function, Model) or num_required(function, named) not in (0, 1):
        given = "".join(f" and `{name}`" for name in named)
        required = (
            f"be a function without arguments, or of the member's index{given}, that makes new objects in every call"
        )
        raise invalid(argument, required, function, f"Pass {argument}={example}.")


def check_new(objects: Iterable[Any], argument: str, kind: str) -> None:
    """Raises where a function has given the same object twice."""
    ids = [id(made) for made in objects]
    if len(set(ids)) < len(ids):
        remedy = "Create all of them inside the function: what one has seen of a member must not reach the next."
        raise invalid(argument, f"make new {kind} in every call", received="the same object twice", remedy=remedy)


def has_one_output(model: Any) -> bool:
    """Whether the inputs of a model are known and it has one output."""
    return has_graph(model) and hasattr(graph_ends(model)[1], "shape")


def _is_compiled(model):
    return bool(model.compiled and model.loss and model.optimizer is not None)


def _has_classes_last(model):
    shape = graph_ends(model)[1].shape
    return len(shape) >= 2 and shape[-1] is not None


# Whether a model is what a member must be, in words, and what to do; each test relies on those before it.
_MEMBER = (
    (lambda model: isinstance(model, Model), "a Keras model", ""),
    (has_one_output, "a model with known inputs and one output", "Begin it with keras.Input(...)."),
    (
        _is_compiled,
        "a model compiled with an optimizer and a loss",
        "Call model.compile(optimizer, loss) in the function.",
    ),
    (_has_classes_last, "a model whose last output axis holds the classes", ""),
)


def check_members(members: Sequence[Any], from_logits: bool) -> None:
    """Raises unless every member can be trained, and they are new and of one form."""
    for member in members:
        for fits, required, remedy in _MEMBER:
            if not fits(member):
                raise invalid("build_model", f"return {required}", received=repr(member), remedy=remedy)
        by_loss = _takes_logits(member.loss)
        if by_loss not in (None, from_logits):
            required = f"be {by_loss}, as in the members' loss: their probabilities are averaged"
            raise invalid("from_logits", required, from_logits)
    check_new((variable for member in members for variable in member.trainable_variables), "build_model", "weights")
    shapes = sorted({str(_shapes(graph_ends(member))) for member in members})
    if len(shapes) > 1:
        raise invalid("build_model", "build models with the same inputs and outputs", received=" and ".join(shapes))


def _takes_logits(loss):
    """What a loss says of the outputs it takes, or None where it says nothing."""
    if isinstance(loss, str):
        return False if loss.endswith("crossentropy") else None  # by its name it has Keras's default
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return bool(config["from_logits"]) if "from_logits" in config else None


def _shapes(nest):
    return tree.map_structure(lambda part: tuple(part.shape), nest)


def check_side_by_side(members: Sequence[Any]) -> None:
    """Raises unless one optimizer can train all members as each would be trained alone."""
    optimizer = members[0].optimizer
    kinds = {f"{type(member.optimizer).__name__} {optimizer_config(member.optimizer)}" for member in members}
    obstacles = {
        "members with different optimizers, because one optimizer trains all": len(kinds) > 1,
        "an optimizer with global_clipnorm, which acts on all members at once, unlike clipnorm": getattr(
            optimizer, "global_clipnorm", None
        ),
        "an optimizer with use_ema, which acts on all members at once": getattr(optimizer, "use_ema", False),
        "a model with a `train_step` of its own": has_own_train_step(members[0]),
    }
    for obstacle, found in obstacles.items():
        if found:
            raise invalid("joint", f"be False for {obstacle}", True)


def check_callbacks(made: Sequence[Any], joint: bool) -> None:
    """Raises unless `made` holds a list of new callbacks for each member that suit the way of training."""
    for own in made:
        if not _holds_callbacks(own):
            raise invalid("callbacks", "make a list of callbacks for each member", received=repr(own))
    callbacks = [callback for own in made for callback in own]
    check_new(callbacks, "callbacks", "callbacks")
    sharing = [type(callback).__name__ for callback in callbacks if isinstance(callback, LEARNING_RATE_CALLBACKS)]
    if joint and sharing:
        raise shared_rate_error(sharing[0])


def _holds_callbacks(value):
    return isinstance(value, (list, tuple)) and all(isinstance(callback, Callback) for callback in value)


def shared_rate_error(received: str) -> ValueError:
    """The error of a callback that changes the learning rate, which members side by side share."""
    required = "leave the learning rate alone with joint=True, where the members share one optimizer"
    remedy = "Compile the members with a learning rate schedule, or use joint=False."
    return invalid("callbacks", required, received=received, remedy=remedy)


def check_backbone(backbone: Any) -> None:
    """Raises unless `backbone` is a model with known inputs and one output."""
    if not isinstance(backbone, Model) or not has_one_output(backbone):
        raise invalid("shared_backbone", "be a model with known inputs and one output", backbone)


def check_heads(members: Sequence[Any], backbone: Any) -> None:
    """Raises unless every member takes what the backbone gives."""
    given = graph_ends(backbone)[1]
    for taken in [graph_ends(member)[0] for member in members]:
        fits = hasattr(taken, "shape") and len(taken.shape) == len(given.shape)
        if not fits or any(
            None not in axis and len(set(axis)) > 1 for axis in zip(taken.shape, given.shape, strict=True)
        ):
            required = f"build heads that take the output of `shared_backbone`, of shape {tuple(given.shape)}"
            raise invalid("build_model", required, received=f"a model of inputs {_shapes(taken)}")


def check_ids_are_few(ids: np.ndarray, argument: str) -> None:
    """Raises for ids so large that they number something else than classes."""
    if ids.max(initial=0) >= MOST_CLASSES:
        requirement = f"hold class ids below {MOST_CLASSES:,}"
        raise invalid(argument, requirement, received=f"{ids.max()}", remedy=number_anew(argument))


def class_of_each_row(y: Any, classes: Any, rows: int) -> np.ndarray:
    """Class id of every row, of `classes`, else of `y`."""
    argument, given = ("y", y) if classes is None else ("classes", classes)
    if classes is None and not isinstance(y, np.ndarray):
        raise invalid("classes", "hold the class of each row where `y` is a nest of arrays", classes)
    ids = class_ids(given, name=argument)
    if len(ids) != rows:
        raise invalid("classes", f"hold the class of each of {rows} rows", received=f"{len(ids)}")
    check_ids_are_few(ids, argument)
    if classes is not None and len(np.unique(ids)) < 2:
        raise invalid("classes", "hold rows of at least two classes", received=f"class {ids[0]} alone")
    return ids


def check_classes(y: Any, ids: np.ndarray, known: int) -> None:
    """Raises unless labels y, whose classes are `ids`, are balanced by members of `known` classes."""
    class_ids(y, known, name="y")
    absent = np.setdiff1d(np.arange(known), ids)
    if absent.size:
        received = f"none of class {', '.join(map(str, absent))}"
        remedy = "Build members with fewer channels; to balance the classes that are there, pass `classes` too."
        raise invalid("y", f"hold rows of each of {known} classes", received=received, remedy=remedy)


def warn_of_double_correction(members: Sequence[Any], shares: np.ndarray) -> None:
    """Warns of a loss that corrects once more what the choice of the rows, of these class shares, has corrected."""
    for loss, counted in (found for member in members for found in _counted_losses(member, shares)):
        if not same_shares(counted, shares):
            other, own = (shown(part.round(3).tolist()) for part in (counted, shares))
            warnings.warn(
                f"{type(loss).__name__} is given class counts in the shares {other}, and members are trained on rows in the "
                f"shares {own}: the two correct twice. Let the function take the counts that members see, "
                "`def build_model(class_counts)`, and compile LogitAdjustedLoss(class_counts).",
                UserWarning,
                stacklevel=3,
            )
            return


def prior_of_outputs(members: Sequence[Any], shares: np.ndarray) -> np.ndarray:
    """The class shares that the members' outputs speak for, when they are trained on rows of these shares."""
    priors = []
    for member in members:
        prior = shares
        for loss, _ in _counted_losses(member, shares):
            if isinstance(loss, LogitAdjustedLoss):
                prior = prior * loss.output_prior / loss.drawn_prior
        priors.append(prior / prior.sum())
    return np.mean(priors, axis=0)


def _counted_losses(member, shares):
    """The losses of a member that are given class counts, and the shares of these."""
    losses = [loss for _, loss, _ in compiled_losses(member) if isinstance(loss, COUNTED)]
    return [(loss, loss.class_shares()) for loss in losses if np.shape(loss.class_shares()) == shares.shape]
