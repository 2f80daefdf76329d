"""Members as a user's function builds them, and the one model that averages them."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback, compute_dtype
from keras_imbalance.backend.models import (
    LEARNING_RATE_CALLBACKS,
    Activation,
    Average,
    Input,
    Model,
    graph_ends,
    has_graph,
    has_own_train_step,
    optimizer_config,
    seeded,
    tree,
    without_compilation,
)


def seed_of(seed: int, member: int) -> int:
    """The seed of what is random in one member."""
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def call_for_member(function: Callable, member: int) -> Any:
    """Calls `function` with the member's number where it must have an argument, else without."""
    return function(member) if _num_required(function) else function()


def check_maker(function: Any, name: str, example: str) -> None:
    """Raises unless `function` can be called without arguments or with one."""
    if not callable(function) or isinstance(function, Model) or _num_required(function) not in (0, 1):
        raise ValueError(
            f"`{name}` must be a function without arguments, or of the member's number, that makes new ones for each "
            f"member: {example}. Received: {name}={function!r}."
        )


def build_members(build_model: Callable, num_members: int, seed: int, from_logits: bool) -> list:
    """New members, each with initial weights of its own; raises unless they suit an ensemble."""
    members: list[Any] = []
    for i in range(num_members):
        with seeded(seed_of(seed, i)):
            member = call_for_member(build_model, i)
        _check_member(member, from_logits)
        members.append(member)
    owner: dict[int, int] = {}
    for i, member in enumerate(members):
        for variable in member.trainable_variables:
            if owner.setdefault(id(variable), i) != i:
                raise ValueError(
                    "`build_model` must build a new model in every call. Received: models that share the weight "
                    f"{variable.path}. Create all layers that are trained inside it."
                )
    shapes = {str(_shapes(graph_ends(member))) for member in members}
    if len(shapes) > 1:
        raise ValueError(
            "`build_model` must build members with the same inputs and outputs. Received: shapes "
            f"{' and '.join(sorted(shapes))}."
        )
    return members


def check_side_by_side(members: Sequence[Any]) -> None:
    """Raises unless one optimizer can train all members as each would be trained alone."""
    configs = [(type(member.optimizer).__name__, optimizer_config(member.optimizer)) for member in members]
    differing = [i for i, config in enumerate(configs) if str(config) != str(configs[0])]
    if differing:
        raise ValueError(
            "`joint` must be False for members with different optimizers: one optimizer trains all of them. Received: "
            f"{configs[0]} for member 0, {configs[differing[0]]} for member {differing[0]}."
        )
    for argument, remedy in (("global_clipnorm", "clipnorm, which clips each weight by itself"), ("use_ema", "False")):
        if getattr(members[0].optimizer, argument, None):
            raise ValueError(
                f"`joint` must be False for an optimizer with {argument}, which acts on all members at once. Use {remedy}, "
                "or joint=False."
            )
    if has_own_train_step(members[0]):
        raise ValueError("`joint` must be False for a model with a `train_step` of its own.")


def make_callbacks(make: Callable | None, num_members: int, seed: int, joint: bool) -> list[list]:
    """New callbacks for each member; raises unless they are new and suit the way of training."""
    made: list[list] = []
    for i in range(num_members):
        with seeded(seed_of(seed, i)):
            own = [] if make is None else call_for_member(make, i)
        own = [own] if isinstance(own, Callback) else own
        if not isinstance(own, (list, tuple)) or not all(isinstance(callback, Callback) for callback in own):
            raise ValueError(f"`callbacks` must make a list of callbacks for each member. Received: {own!r}.")
        made.append(list(own))
    ids = [id(callback) for own in made for callback in own]
    if len(set(ids)) != len(ids):
        raise ValueError(
            "`callbacks` must make new callbacks in every call: what one has seen of a member must not decide over the "
            "next. Received: the same object twice. Create the callbacks inside the function."
        )
    sharing = [
        type(callback).__name__ for own in made for callback in own if isinstance(callback, LEARNING_RATE_CALLBACKS)
    ]
    if joint and sharing:
        raise ValueError(
            "`callbacks` must leave the learning rate alone with joint=True, where the members share one optimizer. "
            f"Received: {sharing[0]}. Compile the members with a learning rate schedule, or use joint=False."
        )
    return made


def check_backbone(backbone: Any) -> None:
    """Raises unless `backbone` is a model with known inputs and one output."""
    if not isinstance(backbone, Model) or not has_graph(backbone) or not hasattr(graph_ends(backbone)[1], "shape"):
        raise ValueError(
            "`shared_backbone` must be a functional or sequential model with known inputs and one output. "
            f"Received: {backbone!r}."
        )


def check_head(member: Any, backbone: Any) -> None:
    """Raises unless the member takes what the backbone gives."""
    taken, given = graph_ends(member)[0], graph_ends(backbone)[1]
    fits = hasattr(taken, "shape") and len(taken.shape) == len(given.shape)
    if not fits or any(None not in (a, b) and a != b for a, b in zip(taken.shape[1:], given.shape[1:], strict=True)):
        raise ValueError(
            "`build_model` must build heads that take the output of `shared_backbone`, of shape "
            f"{tuple(given.shape)}. Received: a model of inputs {_shapes(taken)}."
        )


def probabilities_of_members(members: Sequence[Any], backbone: Any, from_logits: bool) -> tuple[Any, list]:
    """Symbolic inputs, and the probabilities that each member gives for them."""
    first, output = graph_ends(members[0] if backbone is None else backbone)
    inputs = tree.map_structure(lambda part: Input(part.shape[1:], dtype=part.dtype, name=part.name), first)
    features = inputs if backbone is None else without_compilation(backbone, "backbone")(inputs, training=False)
    found = []
    for i, member in enumerate(members):
        output = without_compilation(member, f"member_{i}")(features)
        if from_logits:
            kind = "sigmoid" if output.shape[-1] == 1 else "softmax"
            output = Activation(kind, dtype=compute_dtype(output.dtype), name=f"probabilities_{i}")(output)
        found.append(output)
    return inputs, found


def average_of(inputs: Any, probabilities: list) -> Any:
    """The model that gives the mean of the members' probabilities."""
    if len(probabilities) == 1:
        return Model(inputs, probabilities[0], name="balanced_bagging")
    dtype = compute_dtype(probabilities[0].dtype)
    return Model(inputs, Average(dtype=dtype, name="average")(probabilities), name="balanced_bagging")


def _check_member(member, from_logits):
    if not isinstance(member, Model):
        raise ValueError(f"`build_model` must return a compiled Keras model. Received: {member!r}.")
    if not has_graph(member) or not hasattr(graph_ends(member)[1], "shape"):
        raise ValueError(
            "`build_model` must return a functional or sequential model with known inputs and one output. Received: "
            f"{member!r}. Begin it with keras.Input(...)."
        )
    if not member.compiled or not member.loss or member.optimizer is None:
        raise ValueError(
            "`build_model` must return a model that is compiled with an optimizer and a loss. Received: one that is not. "
            "Call model.compile(optimizer, loss) before you return it."
        )
    shape = tuple(graph_ends(member)[1].shape)
    if len(shape) < 2 or shape[-1] is None:
        raise ValueError(
            "`build_model` must return a model whose last output axis holds the classes. Received: outputs of shape "
            f"{shape}."
        )
    by_loss = _takes_logits(member.loss)
    if by_loss is not None and by_loss != from_logits:
        raise ValueError(
            "`from_logits` must say whether members give logits, as their loss does: probabilities are averaged. Received: "
            f"from_logits={from_logits}, and members whose loss has from_logits={by_loss}."
        )


def _takes_logits(loss):
    """What a loss says of the outputs it takes, or None where it says nothing."""
    if isinstance(loss, str):
        return False if loss.endswith("crossentropy") else None  # by its name it has Keras's default
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return bool(config["from_logits"]) if "from_logits" in config else None


def _shapes(nest):
    return tree.map_structure(lambda part: tuple(part.shape), nest)


def _num_required(function):
    """How many arguments a function must have; 0 where nobody can tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [part for part in parameters if part.default is part.empty]
    if any(part.kind is inspect.Parameter.KEYWORD_ONLY for part in needed):
        return -1
    return sum(part.kind in kinds for part in needed)
