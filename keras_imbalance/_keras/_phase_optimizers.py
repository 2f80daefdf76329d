"""Optimizers of a fit in phases: what trains changes, what the optimizer knows of each variable is kept.

An optimizer of Keras 3 is built over a list of variables for good. So a phase that trains other variables gets a new optimizer
of the same configuration, built over what trains; iterations, schedules and slots go on from the one before, and slots of
variables that are frozen now are kept aside. When the fit ends, the model has its own optimizer back, with everything it knew.

tf-keras finds what it knows by the variable, so there one optimizer that is built over all serves every phase.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from keras_imbalance._keras._backend import IS_KERAS_3, keras
from keras_imbalance._keras._optimizers import AVERAGE, fresh_copy, is_built, learners, on_demand, parts
from keras_imbalance._keras._training import assign, check_built

# Settings that no configuration holds: what `exclude_from_weight_decay` was told.
UNSAVED = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
NOT_SLOTS = ("_variables", "_trainable_variables")
REMEDY = "An optimizer class of your own needs a `get_config` that holds all arguments of its constructor."


def phase_optimizers(model: Any, ever_trained: Sequence[Any]) -> Any:
    """What exchanges the optimizer of `model` from phase to phase.

    Args:
        model: compiled and built, with its `trainable` flags as before training.
        ever_trained: every variable that some phase trains.
    """
    kind = PhaseOptimizers if IS_KERAS_3 else TfKerasOptimizers
    return kind(model, ever_trained)


def build_parts(model: Any, needed_by: str) -> None:
    """Builds a MultiOptimizer of a function, which has no parts, and so no learning rates, before.

    Raises:
        ValueError: where the model has no weights to build it over.
    """
    if getattr(model.optimizer, "optimizers", None) == []:
        check_built(model, needed_by)
        build(model, model.optimizer, model.trainable_variables)


def build(model: Any, optimizer: Any, variables: Sequence[Any]) -> None:
    """Builds an optimizer over variables, where those of `model` are."""
    strategy = getattr(model, "distribute_strategy", None)
    with nullcontext() if strategy is None else strategy.scope():
        optimizer.build(variables)


def same_optimizer(optimizer: Any) -> Any:
    """An optimizer of the same settings that has taken no step and is not built.

    Raises:
        ValueError: for one that cannot be made anew from its configuration.
    """
    if hasattr(optimizer, "inner_optimizer"):
        config = {k: v for k, v in optimizer.get_config().items() if k != "inner_optimizer"}
        return type(optimizer)(same_optimizer(optimizer.inner_optimizer), **config)
    if hasattr(optimizer, "_optimizer_map"):
        return type(optimizer)(_same_map(optimizer), loss_scale_factor=optimizer.loss_scale_factor, name=optimizer.name)
    try:
        config = optimizer.get_config()
        if isinstance(config.get("learning_rate"), Mapping):  # a schedule or function, the very one
            config["learning_rate"] = optimizer._learning_rate
        new = type(optimizer).from_config(config)
    except Exception as error:
        raise ValueError(
            f"The optimizer must be one that Keras can make anew, for phases that freeze layers. Received: {optimizer!r}, for "
            f"which this failed: {error}. {REMEDY}"
        ) from error
    for name in UNSAVED:
        if name in vars(optimizer):
            setattr(new, name, getattr(optimizer, name))
    return new


class _SameParts:
    """What chooses the part of a MultiOptimizer for a variable, among new parts in the order of the old ones."""

    def __init__(self, optimizer: Any):
        self._choose = optimizer._optimizer_map
        self._known = dict(getattr(optimizer, "_var_to_optimizer_idx", {}))
        self._key = optimizer._var_key
        self._old = list(optimizer.optimizers)
        self._new = [same_optimizer(part) for part in self._old]

    def values(self) -> list:
        return list(self._new)

    def new(self, old: Any) -> Any:
        for before, now in zip(self._old, self._new, strict=True):
            if before is old:
                return now
        self._old.append(old)
        self._new.append(same_optimizer(old))
        return self._new[-1]

    def __call__(self, variable: Any) -> Any:
        # A function may make a new optimizer at every call, so it is asked for unknown variables alone.
        position = self._known.get(self._key(variable))
        return self.new(self._choose(variable)) if position is None else self._new[position]


def _same_map(optimizer):
    """The map of a MultiOptimizer with new parts; as in the old one, one part may serve many keys."""
    old, chosen = optimizer._optimizer_map, _SameParts(optimizer)
    if not isinstance(old, keras.optimizers.OptimizerMap):
        return chosen
    return keras.optimizers.OptimizerMap(chosen.new(old.default_optimizer), {key: chosen.new(old[key]) for key in old})


def built_over(optimizer: Any) -> list:
    """The variables that an optimizer of Keras 3 was built over, in order."""
    found = list(vars(optimizer).get("_trainable_variables", ()))
    inner = getattr(optimizer, "inner_optimizer", None)  # in older Keras what scales a loss keeps no list of its own
    return found if found or inner is None else built_over(inner)


def slots(optimizer: Any) -> tuple[dict[tuple[int, str], Any], list]:
    """What an optimizer keeps: its slots by (id of the model's variable, name), and the rest, such as the iterations, in order.

    A slot is found by its position in a list with one entry a variable, or by its path, which starts with that of the variable.
    """
    found: dict[tuple[int, str], Any] = {}
    rest: list = []
    for part in parts(optimizer):
        own = {id(v): v for v in vars(part)["_variables"]}
        over = list(vars(part).get("_trainable_variables", ()))
        of_part = _aligned(part, over, own)
        taken = {id(slot) for slot in of_part.values()}
        for variable in own.values():
            if id(variable) not in taken:
                owner = _owner(variable, over)
                if owner is None:
                    rest.append(variable)
                else:
                    of_part[owner] = variable
        found.update(of_part)
    return found, rest


def _aligned(part, over, own):
    """Slots in the lists of an optimizer that have one entry, or None, for each of its variables."""
    found = {}
    for name, values in vars(part).items():
        if name not in NOT_SLOTS and _one_a_variable(values, len(over)):
            found.update({(id(v), name): slot for v, slot in zip(over, values, strict=True) if id(slot) in own})
    return found


def _one_a_variable(values, size):
    whole = isinstance(values, list) and len(values) == size > 0
    return whole and all(value is None or hasattr(value, "assign") for value in values)


def _owner(slot, over):
    """(id of the variable, name) of a slot that stands in no list, by its path '<optimizer>/<path of the variable>_<name>'."""
    tail = slot.path.split("/", 1)[-1]
    prefixes = [(v, f"{v.path.replace('/', '_')}_") for v in over]
    fitting = [(v, prefix) for v, prefix in prefixes if tail.startswith(prefix)]
    if not fitting:
        return None
    longest = max(len(prefix) for _, prefix in fitting)
    variables = [v for v, prefix in fitting if len(prefix) == longest]
    # Two variables of one path, as in nested models with layers of equal names, cannot be told apart.
    return (id(variables[0]), tail[longest:]) if len(variables) == 1 else None


def _value(variable):
    # A copy: on JAX a step gives the memory of its variables away. A variable of several workers has no other way.
    return np.array(variable.numpy())


class PhaseOptimizers:
    """The optimizers of one fit with Keras 3; see the module.

    Args:
        model: compiled and built, with its `trainable` flags as before training.
        ever_trained: every variable that some phase trains.
    """

    def __init__(self, model: Any, ever_trained: Sequence[Any]):
        self._model, self._own = model, model.optimizer
        self._before = list(model.trainable_variables)
        if not is_built(self._own):
            build(self._model, self._own, self._before)
        self._exchanged = self._own  # what this set last
        self._variables = list({id(v): v for v in (*ever_trained, *built_over(self._own))}.values())
        self._aside: dict[tuple[int, str], np.ndarray] = {}  # slots that the model's optimizer of now does not hold
        self._check()

    def switch(self, trained: bool) -> None:
        """Gives the model an optimizer of what trains now.

        Args:
            trained: whether steps were taken since the last switch: where a variable freezes then, moving averages are
                written into it, as Keras does at the end of a fit.
        """
        old, now = self._model.optimizer, list(self._model.trainable_variables)
        rest = self._take(old)
        if trained:
            goes_on = {id(v) for v in now}
            for variable in built_over(old):
                average = self._aside.get((id(variable), AVERAGE))
                if average is not None and id(variable) not in goes_on:
                    assign(variable, average)
        new = self._own
        if [id(v) for v in now] != [id(v) for v in self._before]:
            new = same_optimizer(self._own)
            build(self._model, new, now)
        self._give(new, rest)

    def forget(self, variables: Iterable[Any]) -> None:
        """Gives every slot of these variables the value that it has in a new optimizer."""
        chosen = [v for v in self._variables if id(v) in {id(w) for w in variables}]
        if not chosen:
            return
        fresh = same_optimizer(self._own)
        build(self._model, fresh, chosen)
        held, _ = slots(self._model.optimizer)
        weights = {id(v): v for v in chosen}
        for key, slot in slots(fresh)[0].items():
            value = _value(weights[key[0]] if key[1] == AVERAGE else slot)
            if key in held:
                assign(held[key], value)
            elif key in self._aside:
                self._aside[key] = value

    def finish(self) -> None:
        """Gives the model its own optimizer back, with what was learnt since; nothing where it was compiled anew."""
        if self._model.optimizer is not self._exchanged or self._exchanged is self._own:
            return
        if hasattr(self._model, "jax_state_sync"):
            self._model.jax_state_sync()  # a fit that was broken off may have left the values elsewhere
        self._give(self._own, self._take(self._exchanged))

    def arrays(self) -> dict[str, np.ndarray]:
        """Slots that the model's optimizer does not hold at this moment, by position of the variable and name."""
        position = {id(v): i for i, v in enumerate(self._variables)}
        return {f"{position[of]}.{name}": value for (of, name), value in self._aside.items()}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes what `arrays` gave in the same phase.

        Raises:
            ValueError: for a name or a shape that no slot of this optimizer has.
        """
        whole = same_optimizer(self._own)
        build(self._model, whole, self._variables)
        position = {id(v): i for i, v in enumerate(self._variables)}
        known = {f"{position[key[0]]}.{key[1]}": (key, tuple(slot.shape)) for key, slot in slots(whole)[0].items()}
        for name, value in arrays.items():
            if name not in known or known[name][1] != np.shape(value):
                expected = f"of shape {known[name][1]}" if name in known else "of this optimizer"
                raise ValueError(f"{name!r} must be a slot {expected}. Received: an array of shape {np.shape(value)}.")
            self._aside[known[name][0]] = np.asarray(value)

    def _check(self):
        """Raises before training for an optimizer that cannot be made anew, or whose slots cannot be told apart."""
        one = same_optimizer(self._own)
        build(self._model, one, self._variables[:1])
        if len(slots(one)[1]) != len(slots(self._own)[1]):
            raise ValueError(
                "The optimizer must keep its slots in lists with one entry a variable, or under paths that begin with the "
                f"variable's, for phases that freeze layers. Received: {type(self._own).__name__}, with slots that belong to "
                "no variable. Make them with `add_optimizer_variables`, and give layers of nested models different names."
            )

    def _take(self, optimizer):
        """Sets the slots of an optimizer aside; gives the values of the rest."""
        held, rest = slots(optimizer)
        self._aside.update({key: _value(slot) for key, slot in held.items()})
        return [_value(variable) for variable in rest]

    def _give(self, optimizer, rest):
        """Makes an optimizer the model's, with all that is kept of its variables and the rest of the one before."""
        held, own_rest = slots(optimizer)
        over = {id(v): v for v in built_over(optimizer)}
        for key, slot in held.items():
            if key in self._aside:
                assign(slot, self._aside.pop(key))
            elif key[1] == AVERAGE:  # one that begins now, at the weight, not at its initial value
                assign(slot, _value(over[key[0]]))
        # Not strict: a MultiOptimizer of a function gets one more part, at the end, for a variable that it did not know.
        for variable, value in zip(own_rest, rest, strict=False):
            assign(variable, value)
        self._model.optimizer = self._exchanged = optimizer


class TfKerasOptimizers:
    """The one optimizer of a fit with tf-keras, built over all that is ever trained, with the methods of `PhaseOptimizers`.

    Raises:
        ValueError: where it was built without a variable that a phase trains.
    """

    def __init__(self, model: Any, ever_trained: Sequence[Any]):
        self._model, self._optimizer, self._variables = model, model.optimizer, list(ever_trained)
        self._trained = list(model.trainable_variables)
        if not is_built(self._optimizer):
            self._optimizer.build(self._variables)
        part = next((part for part in parts(self._optimizer) if index_of(part) is not None), None)
        if part is not None and not {part._var_key(v) for v in self._variables} <= set(index_of(part) or ()):
            raise ValueError(
                "The optimizer of tf-keras must be built over all variables that a phase trains. Received: one that was "
                "built without some. Compile the model again before this fit."
            )

    def switch(self, trained: bool) -> None:
        """Writes moving averages into what freezes now."""
        now = list(self._model.trainable_variables)
        goes_on = {id(v) for v in now}
        leaving = [v for v in self._trained if id(v) not in goes_on]
        self._trained = now
        if trained and leaving and getattr(self._optimizer, "use_ema", False):
            self._optimizer.finalize_variable_values(leaving)

    def forget(self, variables: Iterable[Any]) -> None:
        """Gives every slot of these variables the value that it has in a new optimizer."""
        chosen = [v for v in self._variables if id(v) in {id(w) for w in variables}]
        for learner in learners(self._optimizer):
            known = index_of(learner)
            if on_demand(learner):
                _forget_made_on_demand(learner, chosen)
            elif known is not None:
                _forget_built(learner, [v for v in chosen if learner._var_key(v) in known], known)

    def finish(self) -> None:
        """Nothing was exchanged."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Nothing is set aside."""
        return {}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Nothing is set aside."""


def index_of(optimizer: Any) -> dict | None:
    """The index of each variable, by its key, in the slots of an optimizer of tf-keras; None for a legacy one."""
    return vars(optimizer).get("_index_dict")


def _forget_built(learner, variables, known):
    if not variables:
        return
    fresh = fresh_copy(learner)
    fresh.build(variables)
    names = [name for name, values in vars(learner).items() if _one_a_variable(values, len(known))]
    for name in names:
        if name in ("_variables", AVERAGE):
            continue
        for variable, new in zip(variables, getattr(fresh, name), strict=True):
            slot = getattr(learner, name)[known[learner._var_key(variable)]]
            if slot is not None:
                slot.assign(new)
    for variable in variables if AVERAGE in names else ():
        getattr(learner, AVERAGE)[known[learner._var_key(variable)]].assign(variable)


def _forget_made_on_demand(learner, variables):
    """Legacy optimizers make slots when they first need them."""
    names = learner.get_slot_names()
    own = [v for v in variables if names and learner._slots.get(v._unique_id)]
    if own:
        fresh = fresh_copy(learner)
        fresh._create_all_weights(own)
        for variable in own:
            for name in names:
                learner.get_slot(variable, name).assign(fresh.get_slot(variable, name))
