"""Training in phases within one fit call."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from keras_imbalance._core import Sampler, check_one_of, check_sampler, check_target, check_whole, invalid
from keras_imbalance._keras import build_parts, check_built, phase_optimizers, rebuild_functions, writes_own_weights
from keras_imbalance.callbacks.fit_checks import check_no_scheduler, check_swap_comes_first, warn_of_late_epoch
from keras_imbalance.callbacks.layer_selection import Flags, change_flags, find_layers, reinitialize, walk
from keras_imbalance.callbacks.ownership import claim, note_target, release, set_target
from keras_imbalance.callbacks.phase import Phase
from keras_imbalance.callbacks.phase_rates import PhaseRates
from keras_imbalance.callbacks.resumable import ResumableCallback
from keras_imbalance.callbacks.sampler_watch import SamplerWatch
from keras_imbalance.callbacks.state_schema import Kind, list_of, number, optional, whole

BEGUN = "_phased_training_begun"  # attribute of a model, the callbacks of a fit that has not ended
LAYERS = ("freeze", "unfreeze", "reinitialize")  # arguments of a phase that name layers


class PhasedTraining(ResumableCallback):
    """Changes what is drawn, what trains and how fast, from epoch to epoch of one fit.

    The model must have its weights before fit where a phase freezes, unfreezes or re-initialises layers. While a phase holds
    whose layers are not those that trained before fit, `model.optimizer` is a copy that is built over what trains: callbacks
    reach the optimizer as `self.model.optimizer`. After fit it is the model's own again, with all that was learnt.

    A frozen layer stays as it is to the bit, and finds its slots again when it trains again. When training ends, the target,
    the learning rate and the `trainable` flags are again what they were before it. In the place of LearningRateScheduler give
    a phase `learning_rate` as a function. The guide to callbacks says more of moving averages, ModelCheckpoint and
    ReduceLROnPlateau.

    Args:
        phases: `Phase`s in the order of their `start_epoch`s.
        sampler: a sampler whose `dataset()` is being fitted; needed where a phase has a `target`. Defaults to None.
        seed: whole number from which re-initialised layers get their values. Defaults to 0.
        verbose: 1 prints a line when a phase begins. Defaults to 0.

    Raises:
        ValueError: for phases out of order; when training begins for a layer that the model lacks, an optimizer whose learning
            rate follows a schedule in a phase that sets one, an optimizer that Keras cannot make anew from its configuration, a
            phase that trains nothing or freezes a SpectralNormalization (which changes its weights in its own call), another
            callback of this package that sets the target, what trains or starts anew, or the rate, a LearningRateScheduler
            where phases set the rate, or SwapEMAWeights(swap_on_epoch=True) after this one.

    Warns:
        UserWarning: when training begins, for a phase that it does not reach; where a phase has a target, at the end of a first
            epoch that drew nothing from `sampler`, and of an epoch that drew other shares than it was told; where another
            callback changes the rate that a phase set.

    Example:
    >>> from keras_imbalance import ArraySampler
    >>> from keras_imbalance._keras import keras
    >>> rng = np.random.default_rng(0)
    >>> sampler = ArraySampler(rng.normal(size=(60, 4)).astype("float32"), np.repeat([0, 1], [50, 10]), batch_size=20, seed=0)
    >>> layers = [keras.Input((4,)), keras.layers.Dense(8, name="backbone"), keras.layers.Dense(2, name="head")]
    >>> model = keras.Sequential(layers)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> phases = [
    ...     Phase(0, target="balanced", freeze="backbone"),
    ...     Phase(2, target="natural", unfreeze=True, learning_rate_factor=0.1),
    ... ]
    >>> callback = PhasedTraining(phases, sampler, verbose=1)
    >>> _ = model.fit(sampler.dataset(), shuffle=False, epochs=3, verbose=0, callbacks=[callback])
    <BLANKLINE>
    Epoch 1: target balanced; freeze backbone
    <BLANKLINE>
    Epoch 3: target natural; unfreeze all; learning rate x 0.1
    """

    argument_of: Mapping[str, str] = {}
    state_schema: ClassVar[Mapping[str, Kind]] = {"phase": whole(-1), "base_rates": optional(list_of(number(0)))}

    def __init__(self, phases: Sequence[Phase], sampler: Sampler | None = None, *, seed: int = 0, verbose: int = 0):
        super().__init__()
        self.phases: list[Phase] = _in_order(phases)
        self.sampler: Any = _fitting(sampler, self.phases)
        self.seed, self.verbose = check_whole(seed, "seed", 0), check_one_of(verbose, "verbose", (0, 1))
        self._flags: Any = None  # as before training
        self._flags_left: Flags | None = None  # as this callback set them last
        self._optimizers: Any = None  # what exchanges the model's optimizer
        self._rates: Any = None
        self._fitted: Any = None  # the model whose fit it is
        self._trained = False  # whether an epoch has ended since the flags changed
        self._phase = -1  # the phase whose rate and target hold
        self._flags_phase = -1  # the phase whose flags do
        self._watch: SamplerWatch | None = None

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # Where a fit was broken off, of this callback or of another with this model.
        left = (self, *model.__dict__.pop(BEGUN, ()))
        for begun in left:
            begun.finish_optimizer()
        for begun in left:
            begun.put_back(broken_off=True)
        self._fitted = model
        build_parts(model, type(self).__name__)
        # Read before any callback restores a backup, whose rate may be that of a later phase already.
        self._rates = PhaseRates(self.phases, model.optimizer)

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._phase, self._flags_phase, self._trained = -1, -1, False
        self._check_other_callbacks()
        self._rates.check()
        choosing = any(phase.chooses_layers for phase in self.phases)
        if choosing:
            check_built(self.model, type(self).__name__)
            self._check_layers()
            check_swap_comes_first(self, "exchanges the optimizer, and with it the averages, when a phase begins")
        if any(phase.sets_rate for phase in self.phases):
            check_no_scheduler(self)
        # Not by setattr, for Keras would look into it. Held strongly: after a fit that was broken off nobody else may hold it.
        self.model.__dict__.setdefault(BEGUN, []).append(self)
        self._claim_sampler()
        if choosing:
            self._prepare()
        for phase in self.phases[-1:]:
            argument = self.argument_of.get("start_epoch", "start_epoch")
            warn_of_late_epoch(self, argument, phase.start_epoch, f"{phase} never begins")

    def _claim_sampler(self):
        with_target = [phase.start_epoch for phase in self.phases if phase.target is not None]
        if with_target:
            claim(self, min(with_target))
        self._watch = SamplerWatch(self) if with_target else None

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._watch is not None:
            self._watch.begin_epoch()
        number = self._number(epoch)
        entered = number != self._phase
        if entered:
            self._enter(number, epoch)
        self._rates.follow(self.model.optimizer, number, epoch, self.params.get("steps"))
        if number != self._flags_phase:
            self._set_flags(number, self._trained)
        if entered and self.phases[number].start_epoch == epoch:
            self._reinitialize(self.phases[number])
        self._rates.begin_epoch(self.model.optimizer)

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        if self._watch is not None:
            self._watch.end_training()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self._trained = True
        super().on_epoch_end(epoch, logs)
        self._rates.end_epoch(self.model.optimizer, logs or {})
        if self._watch is not None:
            self._watch.end_epoch(epoch, logs)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.put_back()
        super().on_train_end(logs)

    def state_dict(self) -> dict:
        return {"phase": self._phase, "base_rates": None if self._rates is None else self._rates.base}

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on in the phase of the state. The optimizer is then as it was when the state was written, up to its values."""
        phase = check_whole(state["phase"], "phase", -1, most=len(self.phases) - 1)
        self._phase = phase
        self._rates.resume(state["base_rates"], phase)
        self._set_flags(phase, trained=False)
        self._trained = True
        if self.sampler is not None:
            note_target(self.sampler)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """What the optimizer of this moment does not hold: slots of the layers that are frozen."""
        return {} if self._optimizers is None else self._optimizers.arrays()

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes what `state_arrays` gave, after `load_state_dict`."""
        if self._optimizers is not None:
            self._optimizers.load_arrays(arrays)

    def _number(self, epoch):
        """Which phase an epoch is in, -1 before the first."""
        return max((i for i, phase in enumerate(self.phases) if phase.start_epoch <= epoch), default=-1)

    def _layers(self, phase, name):
        """The layers that an argument of a phase means; True and None as they are."""
        wanted = getattr(phase, name)
        return find_layers(self.model, wanted, self.argument_of.get(name, name)) if isinstance(wanted, list) else wanted

    def _enter(self, number, epoch):
        """Sets the targets and rates that the phases up to this one ask for, as if each had been gone through."""
        for phase in self.phases[self._phase + 1 : number + 1]:
            if phase.target is not None:
                set_target(self.sampler, phase.target)
            self._rates.enter(self.model.optimizer, phase)
            if self.verbose and phase.start_epoch == epoch:
                print(f"\nEpoch {epoch + 1}: {_described(phase)}")  # noqa: T201, asked for by verbose
        self._phase = number

    def _set_flags(self, number, trained):
        """Sets the flags of a phase and gives the model an optimizer of what trains; nothing where they are so already."""
        if self._flags is None:
            return
        self._flags_phase = number
        now = Flags(self.model)
        self._apply_flags(number)
        self._flags_left = Flags(self.model)
        if self._flags_left.equal(now):
            return
        self._optimizers.switch(trained)
        rebuild_functions(self.model)
        self._trained = False

    def _apply_flags(self, number):
        """Flags of a phase, from those before training."""
        self._flags.restore()
        past = [phase for phase in self.phases[: number + 1] if phase.sets_flags]
        if past:
            chosen = [(self._layers(p, "freeze"), self._layers(p, "unfreeze"), p.train_batchnorm) for p in past]
            change_flags(self.model, chosen)

    def _reinitialize(self, phase):
        for i, layer in enumerate(self._layers(phase, "reinitialize")):
            seed = int(np.random.SeedSequence([self.seed, phase.start_epoch, i]).generate_state(1)[0])
            reinitialize(layer, seed)
            self._optimizers.forget(layer.weights)

    def _prepare(self):
        """Learns what each phase trains, and raises before training where that cannot be."""
        self._flags = Flags(self.model)
        ever = {id(v) for v in self.model.trainable_variables}
        try:
            for number, phase in enumerate(self.phases):
                self._apply_flags(number)
                trained = list(self.model.trainable_variables)
                self._check_phase(phase, trained)
                ever.update(id(v) for v in trained)
        finally:
            self._flags.restore()
        variables = [v for _, layer in walk(self.model) for v in layer.weights] + list(self.model.weights)
        in_order = {id(v): v for v in (*self.model.weights, *variables)}
        self._optimizers = phase_optimizers(self.model, [v for key, v in in_order.items() if key in ever])

    def _check_layers(self):
        for phase in self.phases:
            for name in LAYERS:
                self._layers(phase, name)

    def _check_phase(self, phase, trained):
        if not trained:
            raise ValueError(
                f"The phase from epoch {phase.start_epoch} on trains nothing. Received: {phase}. Unfreeze a layer with weights."
            )
        trained_before = {id(layer): trainable for layer, trainable in self._flags.layers}
        for path, layer in walk(self.model):
            if writes_own_weights(layer) and trained_before.get(id(layer)) and not layer.trainable:
                raise invalid(
                    self.argument_of.get("freeze", "freeze"),
                    "leave out layers that change their weights in their own call, frozen or not",
                    received=f"{path!r}, a {type(layer).__name__}",
                    remedy="Let it train, or build the model with the layer inside it alone.",
                )

    def _check_other_callbacks(self):
        others = [callback for callback in self.model.__dict__.get(BEGUN, ()) if callback.params is self.params]
        for sets, what in (("chooses_layers", "what trains or starts anew"), ("sets_rate", "the learning rate")):
            both = [c for c in (*others, self) if any(getattr(phase, sets) for phase in c.phases)]
            if len(both) > 1 and both[-1] is self:
                raise ValueError(
                    f"Two callbacks set {what}. Received: {type(both[0]).__name__} and {type(self).__name__}. Put the phases "
                    "of both into one PhasedTraining."
                )

    def finish_optimizer(self) -> None:
        """Gives the model its own optimizer back, where this callback has exchanged it."""
        if self._optimizers is not None:
            self._optimizers.finish()

    def put_back(self, broken_off: bool = False) -> None:
        """Puts everything back as it was before training; after an interrupted fit, what was changed since then stays."""
        if self.sampler is not None:
            release(self)
        # Of all first: the model's own optimizer takes over the rate of a copy that another callback made.
        for begun in (self, *([] if self._fitted is None else self._fitted.__dict__.get(BEGUN, ()))):
            begun.finish_optimizer()
        if self._rates is not None:
            self._rates.put_back(broken_off)
        if self._flags is not None:
            self._flags.restore(self._flags_left if broken_off else None)
        if self._flags_left is not None:  # otherwise nothing was ever compiled for other flags
            rebuild_functions(self._fitted)
        self._flags, self._flags_left = None, None
        self._optimizers, self._rates, self._flags_phase = None, None, -1
        if self._fitted is not None and self in self._fitted.__dict__.get(BEGUN, ()):
            self._fitted.__dict__[BEGUN].remove(self)


def _in_order(phases):
    """The phases as a list; raises unless they are such and start one after another."""
    given = list(phases) if isinstance(phases, Iterable) else []
    if not given or not all(isinstance(phase, Phase) for phase in given):
        raise invalid("phases", "be a list of at least one Phase", phases)
    starts = [phase.start_epoch for phase in given]
    if any(a >= b for a, b in pairwise(starts)):
        raise invalid("phases", "start one after another", received=f"start_epochs={starts}")
    return given


def _fitting(sampler, phases):
    """The sampler; raises where it is missing, or cannot draw the target of a phase."""
    targets = [phase.target for phase in phases if phase.target is not None]
    if sampler is None and targets:
        raise invalid("sampler", "be given where a phase has a `target`", sampler)
    if sampler is not None:
        check_sampler(sampler)
    for target in targets:
        check_target(sampler, target)
    return sampler


def _described(phase: Phase) -> str:
    said: list[str] = []
    if phase.target is not None:
        said.append(f"target {phase.target if isinstance(phase.target, (str, int, float)) else 'of given shares'}")
    for name in LAYERS:
        layers = getattr(phase, name)
        if layers:
            names = "all" if layers is True else ", ".join(getattr(layer, "name", layer) for layer in layers)
            said.append(f"{name} {names}")
    if phase.learning_rate_factor is not None:
        said.append(f"learning rate x {phase.learning_rate_factor}")
    elif phase.learning_rate is not None:
        said.append(f"learning rate {phase.learning_rate}")
    return "; ".join(said)
