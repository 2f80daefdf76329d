"""What holds from an epoch on."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy.typing as npt

from keras_imbalance._core import check_flag, check_number, check_whole, invalid
from keras_imbalance._keras import Layer
from keras_imbalance.callbacks.layer_selection import as_list

# A layer, its name, a path or a pattern, or a list of those.
Layers: TypeAlias = Layer | str | Sequence[Layer | str]
# A learning rate, or a function of the epoch; Keras's schedules are such functions, of the step.
Rate: TypeAlias = float | Callable[[int], float]
# A word, an exponent or shares, as in `target_distribution`.
Target: TypeAlias = npt.ArrayLike | Mapping[int | str, float]


class Phase:
    """What changes at an epoch of `PhasedTraining`. What a phase leaves unmentioned stays as the phase before left it.

    `freeze` acts first, then `unfreeze`, then `train_batchnorm`: `Phase(20, freeze=True, unfreeze="head")` trains the head
    alone, and `Phase(30, unfreeze=True)` trains everything from epoch 30 on, what was frozen before fit too.

    Args:
        start_epoch: first epoch of the phase, >= 0.
        target: the class shares that the sampler draws, as in `target_distribution`. Defaults to None.
        freeze: layers that train no more, with all layers inside them: layers, names, paths `outer/inner` of nested models, or
            patterns such as "block4_*"; True for all. Defaults to None.
        unfreeze: layers that train from now on, in the same forms. Defaults to None.
        reinitialize: layers whose weights get new initial values at the beginning of `start_epoch`, those that do not train
            too, such as the mean of an adapted Normalization; what the optimizer keeps for them starts anew. Defaults to None.
        learning_rate: a number, a function from the epoch of the phase (0, 1, ...) to a number, or a Keras
            LearningRateSchedule, which is given the steps taken in the phase at the beginning of each epoch. Defaults to None.
        learning_rate_factor: in place of `learning_rate`, what the rate before training is multiplied with. Defaults to None.
        train_batchnorm: True lets every BatchNormalization layer train, statistics and all, in frozen layers too; False freezes
            them all. Defaults to None: they follow `freeze` and `unfreeze` like any layer.

    Raises:
        ValueError: for arguments out of range, or two that exclude each other.

    Example:
    >>> Phase(20, target="balanced", freeze=True, unfreeze="head", reinitialize="head", learning_rate=0.01)
    Phase(20, target='balanced', freeze=True, unfreeze=['head'], reinitialize=['head'], learning_rate=0.01)
    """

    def __init__(
        self,
        start_epoch: int,
        *,
        target: Target | None = None,
        freeze: Layers | bool | None = None,
        unfreeze: Layers | bool | None = None,
        reinitialize: Layers | None = None,
        learning_rate: Rate | None = None,
        learning_rate_factor: float | None = None,
        train_batchnorm: bool | None = None,
    ):
        self.start_epoch: int = check_whole(start_epoch, "start_epoch", 0)
        self.target = target
        self.freeze: list | bool | None = _layers(freeze, "freeze")
        self.unfreeze: list | bool | None = _layers(unfreeze, "unfreeze")
        self.reinitialize: list = [] if reinitialize is None else as_list(reinitialize, "reinitialize")
        if learning_rate is not None and not callable(learning_rate):
            check_number(learning_rate, "learning_rate", above=0)
        self.learning_rate = learning_rate
        self.learning_rate_factor = check_number(learning_rate_factor, "learning_rate_factor", above=0, optional=True)
        if learning_rate is not None and learning_rate_factor is not None:
            raise invalid("learning_rate_factor", "be left out where `learning_rate` is given", learning_rate_factor)
        self.train_batchnorm = check_flag(train_batchnorm, "train_batchnorm", optional=True)

    @property
    def sets_flags(self) -> bool:
        """Whether the phase says what trains."""
        return any(value is not None for value in (self.freeze, self.unfreeze, self.train_batchnorm))

    @property
    def chooses_layers(self) -> bool:
        """Whether the phase says what trains, or what starts from new values."""
        return self.sets_flags or bool(self.reinitialize)

    @property
    def sets_rate(self) -> bool:
        """Whether the phase says how fast."""
        return self.learning_rate is not None or self.learning_rate_factor is not None

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if name != "start_epoch" and value not in (None, [])}
        listed = [f"{name}={_named(value)}" for name, value in given.items()]
        return f"Phase({', '.join([str(self.start_epoch), *listed])})"


def _layers(wanted, argument):
    """None, True, or a list of layers."""
    if wanted is None or wanted is True:
        return wanted
    if wanted is False:
        raise invalid(argument, "be layers, or True for all", wanted, "Leave it out where nothing changes.")
    return as_list(wanted, argument)


def _named(value):
    """What a phase was given, with layers by their names."""
    if isinstance(value, list):
        return str([getattr(entry, "name", entry) for entry in value])
    return repr(value)
