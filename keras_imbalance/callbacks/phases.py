"""Training in phases within one fit call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from keras_imbalance.backend import keras, ops, rebuild_train_function
from keras_imbalance.backend.training import callbacks_beside, check_built
from keras_imbalance.callbacks.ownership import UnusedSampler, check_sampler, claim, release
from keras_imbalance.callbacks.resumable import ResumableCallback
from keras_imbalance.callbacks.sampling_callback import whole_epoch
from keras_imbalance.layer_selection import Flags, as_list, find_layers, reinitialize, set_trainable, walk
from keras_imbalance.optimizer_state import Narrowing, is_built, learning_rates, reset_slots, set_learning_rates

BEGUN = "_phased_training_begun"  # attribute of a model, the callbacks of a fit that has not ended


class Phase:
    """What holds from an epoch on. What is None stays as it was in the phase before.

    Args:
        start_epoch: first epoch of the phase, >= 0.
        target: the class distribution that the sampler draws, as in `target_distribution`. Defaults to None.
        trainable: the layers that train, and no others: layers, names, paths `outer/inner` of nested models, or patterns such
            as "block4_*". True lets train what did before training. Defaults to None.
        frozen: in place of `trainable`, the layers that do not train; all others do as before training. Defaults to None.
        learning_rate: a number, a function from the epoch of the phase (0, 1, ...) to a number, or a Keras
            LearningRateSchedule, which is given the steps taken in the phase at the beginning of each epoch. Defaults to None.
        learning_rate_factor: in place of `learning_rate`, what the rate before training is multiplied with. Defaults to None.
        reinitialize: layers, names or patterns whose weights get new initial values at the beginning of `start_epoch`, those
            that do not train too, such as the mean of an adapted Normalization; what the optimizer keeps for them starts
            anew. Defaults to none.
        train_batchnorm: True lets every BatchNormalization layer train, statistics and all, in frozen layers too; False freezes
            them all. Defaults to None: as the layers around them where the phase chooses layers, else as in the phase before.

    Raises:
        ValueError: for arguments out of range, or two that exclude each other.

    Example:
    >>> Phase(20, target="balanced", trainable="head", reinitialize="head", learning_rate=0.01).start_epoch
    20
    """

    def __init__(
        self,
        start_epoch: int,
        target: Any = None,
        trainable: Any = None,
        frozen: Any = None,
        learning_rate: Any = None,
        learning_rate_factor: float | None = None,
        reinitialize: Any = (),
        train_batchnorm: bool | None = None,
    ):
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, (int, np.integer)) or start_epoch < 0:
            raise ValueError(
                f"`start_epoch` must be a whole number of at least 0. Received: start_epoch={start_epoch!r}."
            )
        if trainable is not None and frozen is not None:
            raise ValueError("Give `trainable` or `frozen`, not both: each says which layers train. Received: both.")
        if trainable is False:
            raise ValueError("`trainable` must be layers or True. Received: False. Nothing would train.")
        if learning_rate is not None and learning_rate_factor is not None:
            raise ValueError("Give `learning_rate` or `learning_rate_factor`, not both. Received: both.")
        if learning_rate is not None and not callable(learning_rate):
            check_positive(learning_rate, "learning_rate")
        if learning_rate_factor is not None:
            check_positive(learning_rate_factor, "learning_rate_factor")
        if train_batchnorm not in (None, True, False):
            raise ValueError(
                f"`train_batchnorm` must be None, True or False. Received: train_batchnorm={train_batchnorm!r}."
            )
        self.start_epoch = int(start_epoch)
        self.target = target
        self.trainable = trainable if trainable is None or trainable is True else as_list(trainable, "trainable")
        self.frozen = None if frozen is None else as_list(frozen, "frozen")
        self.learning_rate = learning_rate
        self.learning_rate_factor = learning_rate_factor
        self.reinitialize = as_list(reinitialize, "reinitialize")
        self.train_batchnorm = train_batchnorm

    @property
    def chooses_layers(self) -> bool:
        """Whether the phase says which layers train."""
        return self.trainable is not None or self.frozen is not None

    @property
    def sets_flags(self) -> bool:
        """Whether the phase says what trains."""
        return self.chooses_layers or self.train_batchnorm is not None

    @property
    def sets_rate(self) -> bool:
        """Whether the phase says how fast."""
        return self.learning_rate is not None or self.learning_rate_factor is not None


class PhasedTraining(ResumableCallback):
    """Changes what is drawn, what trains and how fast, from epoch to epoch of one fit.

    Which phase holds depends on the epoch alone, so training may start in any. A frozen layer stays as it is to the bit, under
    weight decay, moving averages and BatchNormalization too; the optimizer keeps what it knows of it for when it trains again.
    (Not so a layer that writes its weights in its own call, trainable or not, as Keras's SpectralNormalization does.)
    When training ends, the distribution, the learning rate and the `trainable` flags are again what they were before it. After
    a fit that was broken off, as by an interrupted cell, they are put back when a fit of the model with a PhasedTraining
    begins. The model must have its weights before fit where a phase chooses layers or re-initialises them.

    A whole model that ModelCheckpoint saves in a phase has the flags of that phase for its own, and Keras drops the state of
    its optimizer when it loads it. To go on from a checkpoint, load its weights into a model that was built anew
    (save_weights_only=True and `TrainingState`), or use `BackupAndRestore` of this package.

    ReduceLROnPlateau may be used beside it, since a rate is set once, when its phase begins. LearningRateScheduler sets the
    rate of every epoch by itself and is refused beside phases that set one.

    Args:
        phases: `Phase`s in the order of their `start_epoch`s.
        sampler: a sampler whose `dataset()` is being fitted; needed where a phase has a `target`. Defaults to None.
        seed: whole number from which re-initialised layers get their values. Defaults to 0.
        verbose: 1 prints a line when a phase begins. Defaults to 0.

    Raises:
        ValueError: for phases out of order; when training begins for a layer that the model lacks, an optimizer whose learning
            rate follows a schedule in a phase that sets one, an optimizer that was built without a variable that a phase
            trains, or another callback that sets the distribution or the rate in the same epochs.

    Warns:
        UserWarning: at the end of a first epoch that drew nothing from `sampler`, where a phase has a target.

    Example:
    ```python
    phases = [
        Phase(0, target="balanced", frozen="backbone"),
        Phase(5, target="natural", trainable=True, learning_rate_factor=0.1),
    ]
    model.fit(sampler.dataset(), shuffle=False, epochs=10, callbacks=[PhasedTraining(phases, sampler)])
    ```
    """

    argument = "trainable"  # what an error about a layer names

    def __init__(self, phases: Sequence[Phase], sampler: Any = None, seed: int = 0, verbose: int = 0):
        super().__init__()
        if (
            not isinstance(phases, Iterable)
            or not (given := list(phases))
            or not all(isinstance(p, Phase) for p in given)
        ):
            raise ValueError(f"`phases` must be a list of at least one Phase. Received: phases={phases!r}.")
        phases = given
        starts = [phase.start_epoch for phase in phases]
        if any(a >= b for a, b in pairwise(starts)):
            raise ValueError(f"`phases` must start one after another. Received: start_epochs={starts}.")
        if sampler is not None:
            check_sampler(sampler)
        targets = [phase for phase in phases if phase.target is not None]
        if targets and sampler is None:
            raise ValueError("`sampler` must be given where a phase has a `target`. Received: sampler=None.")
        for phase in targets:
            _check_target(sampler, phase.target)
        self.phases, self.sampler, self.seed, self.verbose = phases, sampler, whole_epoch(seed, "seed"), verbose
        self._flags: Flags | None = None  # as before training
        self._flags_left: Flags | None = None  # as this callback set them last
        self._narrowing: Narrowing | None = None
        self._base_rates: list[float] | None = None
        self._rates_changed = False
        self._before: Any = None  # the target that the first one took over from
        self._fitted: Any = None  # the model whose fit it is
        self._optimizer: Any = None  # that of the fit, for a model may be compiled anew after one that was broken off
        self._ever_trained: list = []
        self._phase = -1  # the phase whose rate and target hold
        self._flags_phase: int | None = None  # the phase whose flags do
        self._beside: list | None = None
        self._unused: UnusedSampler | None = None

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        self._beside = callbacks_beside(self)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # Where a fit was broken off, of this callback or of another with this model.
        for begun in (self, *model.__dict__.pop(BEGUN, ())):
            begun._put_back(broken_off=True)
        self._fitted, self._optimizer = model, model.optimizer
        # Read before any callback restores a backup, whose rate may be that of a later phase already.
        self._base_rates = learning_rates(model.optimizer)

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._phase, self._flags_phase, self._before, self._rates_changed = -1, None, None, False
        self._check_beside()
        choosing = any(phase.sets_flags or phase.reinitialize for phase in self.phases)
        if choosing:
            check_built(self.model, type(self).__name__)
        self.model.__dict__.setdefault(BEGUN, []).append(self)  # not by setattr, for Keras would look into it
        for phase in self.phases:
            for name in ("trainable", "frozen", "reinitialize"):
                wanted = getattr(phase, name)
                if isinstance(wanted, list):
                    find_layers(self.model, wanted, self.argument if name != "reinitialize" else name)
        with_target = [phase.start_epoch for phase in self.phases if phase.target is not None]
        if with_target:
            claim(self.sampler, self, min(with_target), None, self.params)
        self._unused = UnusedSampler(self) if with_target else None
        if choosing:
            self._prepare_optimizer()
            # For a fit that was killed after its last epoch: what Keras does at the end of training spares frozen layers too.
            self._set_flags(self._number(int(self.params.get("epochs") or 1) - 1))

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._unused is not None:
            self._unused.begin_epoch()
        number = self._number(epoch)
        if number >= 0 and number != self._phase:
            self._enter(number, epoch)
        self._follow_rate(number, epoch)
        if number != self._flags_phase:
            self._set_flags(number)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._unused is not None:
            self._unused.end_epoch()

    def on_train_end(self, logs: Mapping | None = None) -> None:
        if self.sampler is not None:
            release(self.sampler, self)
        self._put_back()

    def state_dict(self) -> dict:
        return {"phase": self._phase, "base_rates": self._base_rates, "before": self._before}

    def load_state_dict(self, state: Mapping) -> None:
        # The rate of that phase, or what a callback made of it since, came back with the optimizer.
        self._phase, self._base_rates, self._before = int(state["phase"]), state["base_rates"], state["before"]
        self._rates_changed = any(phase.sets_rate for phase in self.phases[: self._phase + 1])
        self._set_flags(self._phase)

    def _number(self, epoch):
        """Which phase an epoch is in, -1 before the first."""
        return max((i for i, phase in enumerate(self.phases) if phase.start_epoch <= epoch), default=-1)

    def _enter(self, number, epoch):
        """Sets what the phases up to this one ask for, as if each had been gone through."""
        for i, phase in enumerate(self.phases[self._phase + 1 : number + 1], self._phase + 1):
            if phase.target is not None:
                if self._before is None:
                    self._before = self.sampler.state_dict()["distribution"]
                self.sampler.set_target(phase.target)
            if phase.learning_rate_factor is not None:
                self._set_rates([rate * phase.learning_rate_factor for rate in self._base_rates or ()])
            elif phase.learning_rate is not None and not callable(phase.learning_rate):
                self._set_rates([float(phase.learning_rate)] * len(self._base_rates or ()))
            if phase.reinitialize and phase.start_epoch == epoch:
                self._reinitialize(i)
            if self.verbose and phase.start_epoch == epoch:
                print(f"\nEpoch {epoch + 1}: {_described(phase)}")  # noqa: T201, asked for by verbose
        self._phase = number

    def _follow_rate(self, number, epoch):
        setting = [phase for phase in self.phases[: number + 1] if phase.sets_rate]
        if not setting or not callable(setting[-1].learning_rate):
            return
        phase = setting[-1]
        into = epoch - phase.start_epoch
        if isinstance(phase.learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            if not self.params.get("steps"):
                raise ValueError(
                    "`learning_rate` as a LearningRateSchedule counts steps, and the number of steps of an epoch is not known. "
                    "Pass steps_per_epoch to fit, or give a function of the epoch."
                )
            into *= self.params["steps"]
        rate = float(ops.convert_to_numpy(phase.learning_rate(into)))
        check_positive(rate, "learning_rate", zero=True)
        self._set_rates([rate] * len(self._base_rates or ()))

    def _set_rates(self, rates):
        set_learning_rates(self.model.optimizer, rates)
        self._rates_changed = True

    def _reinitialize(self, number):
        phase = self.phases[number]
        if self._narrowing is not None:
            self._narrowing.widen()
        self._flags_phase = None
        for i, layer in enumerate(find_layers(self.model, phase.reinitialize, "reinitialize")):
            seed = int(np.random.SeedSequence([self.seed, phase.start_epoch, i]).generate_state(1)[0])
            reinitialize(layer, seed)
            own = {id(v) for v in layer.weights}
            reset_slots(self.model.optimizer, [v for v in self._ever_trained if id(v) in own])

    def _set_flags(self, number):
        if self._flags is None or self._narrowing is None:
            return
        self._flags_phase = number
        self._narrowing.widen()
        self._flags.restore()
        self._apply_flags(number)
        self._flags_left = Flags(self.model)
        self._narrowing.narrow(self.model.trainable_variables)
        rebuild_train_function(self.model)

    def _apply_flags(self, number):
        """Flags of a phase, from those before training."""
        past = self.phases[: number + 1]
        since = max((i for i, phase in enumerate(past) if phase.chooses_layers), default=0)
        said = [phase.train_batchnorm for phase in past[since:] if phase.train_batchnorm is not None]
        batchnorm = said[-1] if said else None
        last = past[since] if past and past[since].chooses_layers else None
        if last is not None and last.trainable is not True:
            chosen = find_layers(self.model, last.frozen or last.trainable or [], self.argument)
            set_trainable(self.model, chosen, last.trainable is None, batchnorm)
        elif batchnorm is not None:
            set_trainable(self.model, [], True, batchnorm)

    def _prepare_optimizer(self):
        """Slots for every variable that is ever trained, now: a frozen one that is trained again later finds its own."""
        self._flags = Flags(self.model)
        trained = [list(self.model.trainable_variables)]
        for number in range(len(self.phases)):
            self._apply_flags(number)
            trained.append(list(self.model.trainable_variables))
            self._flags.restore()
            if not trained[-1]:
                raise ValueError(
                    f"The phase from epoch {self.phases[number].start_epoch} on trains nothing. Received a `{self.argument}` "
                    "that leaves no layer with weights."
                )
        ever = {id(v) for variables in trained for v in variables}
        everything = [v for _, layer, _ in walk(self.model) for v in layer.weights] + list(self.model.weights)
        in_order = {id(v): v for v in (*self.model.weights, *everything)}
        self._ever_trained = [v for key, v in in_order.items() if key in ever]
        optimizer = self.model.optimizer
        if not is_built(optimizer):
            optimizer.build(self._ever_trained)
        self._narrowing = Narrowing(optimizer)
        if not self._narrowing.knows(self._ever_trained):
            raise ValueError(
                "The optimizer was built without some of the variables that a phase trains, so it has no place for them. "
                "Let the layers train before this fit, compile the model again, and freeze them in the phases that are to "
                "spare them."
            )

    def _check_beside(self):
        others = [c for c in self._beside or () if isinstance(c, PhasedTraining) and c is not self]
        for said in ("sets_flags", "sets_rate"):
            both = [c for c in (self, *others) if any(getattr(phase, said) for phase in c.phases)]
            if len(both) > 1 and both[0] is self:
                what = "what trains" if said == "sets_flags" else "the learning rate"
                raise ValueError(
                    f"Two callbacks set {what}. Received: {type(both[0]).__name__} and {type(both[1]).__name__}. Put the "
                    "phases of both into one PhasedTraining."
                )
        if not any(phase.sets_rate for phase in self.phases):
            return
        if self._base_rates is None:
            raise ValueError(
                "`learning_rate` and `learning_rate_factor` cannot change a learning rate that follows a schedule. Compile the "
                "optimizer with a number, and give phases a schedule or a function."
            )
        if self._stands_beside("LearningRateScheduler"):
            raise ValueError(
                "LearningRateScheduler sets the learning rate of every epoch and would undo what a phase sets. Give the phases "
                "`learning_rate` as a function of the epoch, and leave LearningRateScheduler out."
            )
        if self._stands_beside("ReduceLROnPlateau") and any(callable(phase.learning_rate) for phase in self.phases):
            raise ValueError(
                "ReduceLROnPlateau changes a learning rate that a phase sets anew in every epoch. Give the phase a number."
            )

    def _stands_beside(self, name):
        return any(isinstance(callback, getattr(keras.callbacks, name)) for callback in self._beside or ())

    def _put_back(self, broken_off=False):
        """Everything as it was before training; after a fit that was broken off what somebody has changed since then stays."""
        if self._before is not None:
            self.sampler.set_target(self._before)
        if self._rates_changed and self._base_rates is not None:
            set_learning_rates(self._optimizer, self._base_rates)
        if self._flags is not None:
            if self._narrowing is not None:
                self._narrowing.widen()
            self._flags.restore(self._flags_left if broken_off else None)
            rebuild_train_function(self._fitted)
        self._before, self._rates_changed, self._flags, self._narrowing = None, False, None, None
        self._flags_phase, self._flags_left = None, None
        if self._fitted is not None and self in self._fitted.__dict__.get(BEGUN, ()):
            self._fitted.__dict__[BEGUN].remove(self)


def check_positive(value: Any, name: str, zero: bool = False) -> None:
    """Raises unless `value` is a finite number of more than 0, or with `zero` of at least 0."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"`{name}` must be finite and more than 0. Received: {name}={value!r}.")


def _check_target(sampler, target):
    """Raises for a target that the sampler cannot draw, before any training."""
    before = sampler.state_dict()
    sampler.set_target(target)
    sampler.load_state_dict(before)


def _described(phase: Phase) -> str:
    said: list[str] = []
    if phase.target is not None:
        said.append(f"draws {phase.target}" if isinstance(phase.target, str) else "draws its target distribution")
    for name in ("trainable", "frozen", "reinitialize"):
        layers = getattr(phase, name)
        if layers:
            listed = (
                "all as before"
                if layers is True
                else ", ".join(layer if isinstance(layer, str) else layer.name for layer in layers)
            )
            said.append(f"{name} {listed}")
    if phase.sets_rate:
        factor = phase.learning_rate_factor
        rate: Callable | float = phase.learning_rate
        said.append(f"learning rate x {factor}" if factor is not None else f"learning rate {rate}")
    return "; ".join(said)
