"""What an ensemble needs of the models and callbacks that a user's functions make."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import class_ids, invalid
from keras_imbalance._keras import (
    LEARNING_RATE_CALLBACKS,
    Callback,
    Model,
    graph_ends,
    has_graph,
    has_own_train_step,
    optimizer_config,
    tree,
)


def num_required(function: Callable) -> int:
    """How many arguments a function must have: 0 where nobody can tell, -1 where one must go by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [part for part in parameters if part.default is part.empty]
    if any(part.kind is inspect.Parameter.KEYWORD_ONLY for part in needed):
        return -1
    return sum(part.kind in kinds for part in needed)


def check_maker(function: Any, argument: str, example: str) -> None:
    """Raises unless `function` can be called without arguments or with one."""
    if not callable(function) or isinstance(function, Model) or num_required(function) not in (0, 1):
        required = "be a function without arguments, or of the member's index, that makes new objects in every call"
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


def check_classes(y: Any, classes: Any, rows: int, known: int) -> np.ndarray:
    """Class id of every row, of `classes`, else of `y`; raises unless they are balanced by members of `known` classes."""
    argument, given = ("y", y) if classes is None else ("classes", classes)
    if classes is None and not isinstance(y, np.ndarray):
        raise invalid("classes", "hold the class of each row where `y` is a nest of arrays", classes)
    ids = class_ids(given, known if classes is None else None, name=argument)
    if len(ids) != rows:
        raise invalid("classes", f"hold the class of each of {rows} rows", received=f"{len(ids)}")
    present = np.unique(ids)
    if classes is None and len(present) < known:
        absent = ", ".join(map(str, np.setdiff1d(np.arange(known), present)))
        remedy = "Build members with fewer channels; to balance the classes that are there, pass `classes` too."
        raise invalid("y", f"hold rows of each of {known} classes", received=f"none of class {absent}", remedy=remedy)
    if len(present) < 2:
        raise invalid(argument, "hold rows of at least two classes", received=f"class {present[0]} alone")
    return ids
