"""Members as a user's functions build them, and the one model that averages them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_imbalance._keras import (
    Activation,
    Average,
    Callback,
    Input,
    Model,
    compute_dtype,
    graph_ends,
    seeded,
    tree,
    without_compilation,
)
from keras_imbalance.estimators.checks import check_callbacks, check_members, num_required, required_names

COUNTS = "class_counts"  # an argument that `build_model` may have


def seed_of(seed: int, member: int) -> int:
    """The seed of what is random in one member."""
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def build_members(
    build_model: Callable, num_members: int, seed: int, from_logits: bool, class_counts: np.ndarray
) -> list:
    """New members, each with initial weights of its own; raises unless they suit an ensemble.

    Args:
        build_model: what makes one, of the member's index and `class_counts` where it must have them.
        num_members: how many.
        seed: the ensemble's.
        from_logits: whether they give logits.
        class_counts: what members are trained on of every class, float64 `(C,)`.
    """
    members = _made_for_each(build_model, num_members, seed, {COUNTS: class_counts})
    check_members(members, from_logits)
    return members


def make_callbacks(make: Callable | None, num_members: int, seed: int, joint: bool) -> list[list]:
    """New callbacks for each member; raises unless they are new and suit the way of training."""
    if make is None:
        return [[] for _ in range(num_members)]
    made = [[own] if isinstance(own, Callback) else own for own in _made_for_each(make, num_members, seed, {})]
    check_callbacks(made, joint)
    return [list(own) for own in made]


def _made_for_each(function, num_members, seed, offered):
    """What `function` makes for each member: where it must have an argument it is given that of `offered`, or the index."""
    by_name = {name: offered[name] for name in required_names(function) & set(offered)}
    made = []
    for i in range(num_members):
        with seeded(seed_of(seed, i)):
            made.append(function(*[i] * num_required(function, by_name), **by_name))
    return made


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
