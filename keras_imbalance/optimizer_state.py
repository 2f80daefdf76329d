"""What an optimizer keeps for each variable, and its learning rate: read, reset, and left alone for frozen variables.

An optimizer that is built over every variable that is ever trained keeps its slots while some are frozen. Keras applies
gradients of a part of the variables by themselves, but its moving averages and its stateless form take the list it was built
with. So for as long as some are frozen that list is replaced by a shorter one, and put back afterwards; `variables` and what is
saved stay the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import ops

LISTS = ("_trainable_variables", "_model_variables_moving_average")  # one entry a variable, in the order of building
NOT_SLOTS = ("_variables", "_trainable_variables", "_model_variables_moving_average")


def parts(optimizer: Any) -> list:
    """The optimizer and those that it is made of: the inner one of a scaled loss, or those of a MultiOptimizer."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None and on_demand(optimizer):  # Lookahead and MovingAverage of tensorflow-addons
        inner = getattr(optimizer, "_optimizer", None)
    inners = [inner] if inner is not None else list(getattr(optimizer, "optimizers", ()))
    inners += [spec["optimizer"] for spec in getattr(optimizer, "optimizer_specs", ())]  # its MultiOptimizer
    return [optimizer, *inners]


def on_demand(optimizer: Any) -> bool:
    """Whether the optimizer makes slots when it first needs them, as do the legacy ones of tf-keras."""
    return not hasattr(optimizer, "build")


def learners(optimizer: Any) -> list:
    """Those of `parts` that have a learning rate and slots."""
    found = parts(optimizer)
    return found[1:] or found


def learning_rates(optimizer: Any) -> list[float] | None:
    """The learning rate of each of `learners`, or None where one follows a schedule and cannot be set."""
    rates = []
    for learner in learners(optimizer):
        rate = learner.learning_rate  # a number before the first step of a legacy optimizer
        settable = hasattr(rate, "assign") or isinstance(rate, (int, float))
        if isinstance(learner.get_config()["learning_rate"], Mapping) or not settable:
            return None
        rates.append(float(rate.numpy() if hasattr(rate, "numpy") else rate))
    return rates


def set_learning_rates(optimizer: Any, rates: Sequence[float]) -> None:
    """Sets the learning rate of each of `learners`."""
    for learner, rate in zip(learners(optimizer), rates, strict=True):
        learner.learning_rate = rate


def is_built(optimizer: Any) -> bool:
    """Whether the optimizer has made its slots, or makes them without being asked to."""
    return bool(getattr(optimizer, "built", False) or getattr(optimizer, "_built", False) or on_demand(optimizer))


def steps_taken(optimizer: Any) -> int:
    """How many steps the optimizer has taken."""
    return int(learners(optimizer)[0].iterations.numpy())


def places(optimizer: Any) -> dict | None:
    """The place of each variable, by its key, in the lists of an optimizer that is built; None where it keeps no lists."""
    if "_trainable_variables" in vars(optimizer):
        return {optimizer._var_key(v): i for i, v in enumerate(vars(optimizer)["_trainable_variables"])}
    return vars(optimizer).get("_index_dict")  # tf-keras


class Narrowing:
    """Makes an optimizer leave alone what is not trained, to the bit, and undoes it.

    Args:
        optimizer: one that is built.
    """

    def __init__(self, optimizer: Any):
        self._whole = [
            (part, self._lists(part), place)
            for part in parts(optimizer)
            if is_built(part) and (place := places(part))  # what scales a loss keeps no list of its own in older Keras
        ]

    def knows(self, variables: Sequence[Any]) -> bool:
        """Whether the optimizer was built over all of these variables."""
        return all({part._var_key(v) for v in variables} <= set(place) for part, _, place in self._whole[:1])

    def narrow(self, variables: Sequence[Any]) -> None:
        """From now on only these variables, in this order, are the optimizer's."""
        for part, lists, place in self._whole:
            chosen = [place[key] for key in map(part._var_key, variables) if key in place]
            # Not by setattr: Keras would take the model's variables for the optimizer's own.
            for name in LISTS:
                if lists.get(name):
                    vars(part)[name] = [lists[name][i] for i in chosen]
            index = lists.get("_trainable_variables_indices")
            if index is not None:
                vars(part)["_trainable_variables_indices"] = {key: i for key, i in index.items() if i in set(chosen)}

    def widen(self) -> None:
        """All variables are the optimizer's again."""
        for part, lists, _ in self._whole:
            vars(part).update(lists)

    @staticmethod
    def _lists(part):
        if "_trainable_variables" not in vars(part):  # tf-keras finds everything by the variable
            return {}
        names = (*LISTS, "_trainable_variables_indices")
        return {name: vars(part)[name] for name in names if name in vars(part)}


def reset_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Gives every slot of these variables the value that it has in a new optimizer.

    Args:
        optimizer: one that is built and not narrowed.
        variables: some of those it was built over.
    """
    for learner in learners(optimizer):
        if not is_built(learner):
            continue
        known = places(learner)
        if known is None:
            _reset_made_on_demand(learner, variables)
            continue
        own = [v for v in variables if learner._var_key(v) in known]
        if not own:
            continue
        fresh = type(learner).from_config(learner.get_config())
        fresh.build(own)
        for name, slots in vars(learner).items():
            if name in NOT_SLOTS or not _are_slots(slots, len(known)):
                continue
            for variable, new in zip(own, getattr(fresh, name), strict=True):
                slot = slots[known[learner._var_key(variable)]]
                if slot is not None:
                    slot.assign(ops.convert_to_numpy(new))
        for variable in own if getattr(learner, "use_ema", False) else ():
            average = learner._model_variables_moving_average[known[learner._var_key(variable)]]
            # A copy: Keras on JAX gives the memory of variables away in each step.
            average.assign(np.array(ops.convert_to_numpy(variable)))


def _reset_made_on_demand(learner, variables):
    """`reset_slots` of a legacy optimizer of tf-keras."""
    names = learner.get_slot_names()
    own = [v for v in variables if names and learner._slots.get(v._unique_id)]
    if own:
        fresh = type(learner).from_config(learner.get_config())
        fresh._create_all_weights(own)
        for variable in own:
            for name in names:
                learner.get_slot(variable, name).assign(fresh.get_slot(variable, name))


def _are_slots(value, number):
    """Whether an attribute of an optimizer holds a slot, or None, for each of its variables."""
    whole = isinstance(value, list) and len(value) == number
    return whole and all(slot is None or hasattr(slot, "assign") for slot in value)
