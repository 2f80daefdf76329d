"""Training in phases within one fit call."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance.backend import Callback, ops, rebuild_train_function, with_sublayers
from keras_imbalance.callbacks.ownership import check_sampler, claim, release


class TwoPhaseLearning(Callback):
    """Trains on resampled data, then fine-tunes on the original distribution at a lower learning rate.

    From epoch `switch_epoch` on the sampler draws the natural class distribution, the learning rate is multiplied and,
    where asked, layers are frozen. Which phase holds depends on the epoch alone, so training may start in either. When
    training ends, the distribution, the learning rate and the `trainable` flags are again what they were before the second
    phase.

    Args:
        sampler: an `ArraySampler` whose `dataset()` is being fitted.
        switch_epoch: first epoch of the second phase, >= 1.
        freeze: names of layers, or layers, to freeze in the second phase. Defaults to none.
        learning_rate_factor: what the learning rate is multiplied with in the second phase, > 0. Defaults to 0.1.

    Raises:
        ValueError: for arguments out of range; when training begins for a layer that the model lacks, an optimizer whose
            learning rate follows a schedule, freezing under an optimizer that averages weights, or another callback that sets
            the distribution in the same epochs.

    Example: `model.fit(sampler.dataset(), shuffle=False, epochs=30, callbacks=[TwoPhaseLearning(sampler, switch_epoch=20)])`.

    References: Havaei et al., Brain Tumor Segmentation with Deep Neural Networks, 2017; Buda et al., A Systematic Study of the
    Class Imbalance Problem in Convolutional Neural Networks, 2018, https://arxiv.org/abs/1710.05381
    """

    def __init__(
        self,
        sampler: Any,
        switch_epoch: int,
        freeze: Sequence[Any] | None = None,
        learning_rate_factor: float = 0.1,
    ):
        super().__init__()
        check_sampler(sampler)
        if isinstance(switch_epoch, bool) or not isinstance(switch_epoch, (int, np.integer)) or switch_epoch < 1:
            raise ValueError(
                f"`switch_epoch` must be a whole number of at least 1. Received: switch_epoch={switch_epoch!r}."
            )
        if not np.isfinite(learning_rate_factor) or learning_rate_factor <= 0:
            raise ValueError(
                "`learning_rate_factor` must be finite and more than 0. "
                f"Received: learning_rate_factor={learning_rate_factor}."
            )
        self.sampler = sampler
        self.switch_epoch = int(switch_epoch)
        single = isinstance(freeze, str) or hasattr(freeze, "trainable")
        self.freeze = [freeze] if single else list(freeze or ())
        self.learning_rate_factor = float(learning_rate_factor)
        self._base_rate = 0.0
        self._before: np.ndarray | None = None  # the distribution that the second phase took over from
        self._flags: list[tuple[Any, bool]] = []

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # Read before any callback restores a backup, whose rate may be that of the second phase already.
        optimizer = _rate_owner(model.optimizer)
        if isinstance(optimizer.get_config()["learning_rate"], Mapping):
            raise ValueError(
                "`learning_rate_factor` cannot change a learning rate that follows a schedule. Compile the optimizer with a "
                "number."
            )
        self._base_rate = float(ops.convert_to_numpy(optimizer.learning_rate))

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._before = None
        layers = self._layers()
        optimizer = self.model.optimizer
        if layers and getattr(_rate_owner(optimizer), "use_ema", False):
            raise ValueError(
                "`freeze` does not go with an optimizer that averages weights: Keras would give layers each other's averages. "
                "Received: use_ema=True. Compile the optimizer without it."
            )
        self._flags = [(part, part.trainable) for layer in layers for part in with_sublayers(layer)]
        claim(self.sampler, self, self.switch_epoch, None, self.params)
        # Slots for every variable now: a frozen one that is trained again later finds its own.
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if epoch < self.switch_epoch or self._before is not None:
            return
        self._before = self.sampler.distribution
        self.sampler.set_target("natural")
        _rate_owner(self.model.optimizer).learning_rate = self._base_rate * self.learning_rate_factor
        if self._flags:
            for layer in self._layers():
                layer.trainable = False
            rebuild_train_function(self.model)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        release(self.sampler, self)
        if self._before is None:
            return
        self.sampler.distribution = self._before
        _rate_owner(self.model.optimizer).learning_rate = self._base_rate
        for layer, trainable in self._flags:
            layer.trainable = trainable
        if self._flags:
            rebuild_train_function(self.model)

    def _layers(self):
        known = {layer.name: layer for layer in self.model.layers}
        layers = []
        for wanted in self.freeze:
            name = wanted if isinstance(wanted, str) else getattr(wanted, "name", repr(wanted))
            if name not in known or not (isinstance(wanted, str) or known[name] is wanted):
                raise ValueError(
                    f"`freeze` must name layers of the model. Received: {name!r}. The model has {sorted(known)}."
                )
            layers.append(known[name])
        return layers


def _rate_owner(optimizer):
    """The optimizer that has the learning rate: the inner one where Keras scales the loss (mixed_float16)."""
    return getattr(optimizer, "inner_optimizer", optimizer)
