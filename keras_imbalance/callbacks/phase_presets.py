"""What the literature trains in two phases, as presets of PhasedTraining."""

from typing import Any

import numpy as np

from keras_imbalance.callbacks.ownership import check_sampler
from keras_imbalance.callbacks.phases import Phase, PhasedTraining, check_positive
from keras_imbalance.layer_selection import as_list


class TwoPhaseLearning(PhasedTraining):
    """Trains on resampled data, then fine-tunes on the original distribution at a lower learning rate.

    From epoch `switch_epoch` on the sampler draws the natural class distribution, the learning rate is multiplied and,
    where asked, layers are frozen. See `PhasedTraining`, of which it is a preset.

    Args:
        sampler: a sampler whose `dataset()` is being fitted.
        switch_epoch: first epoch of the second phase, >= 1.
        freeze: names of layers, patterns, or layers, to freeze in the second phase. Defaults to none.
        learning_rate_factor: what the learning rate is multiplied with in the second phase, > 0; 1 leaves it alone, which an
            optimizer whose rate follows a schedule needs. Defaults to 0.1.
        verbose: 1 prints a line when the second phase begins. Defaults to 0.

    Raises:
        ValueError: for arguments out of range, and when training begins as in `PhasedTraining`.

    Example: `model.fit(sampler.dataset(), shuffle=False, epochs=30, callbacks=[TwoPhaseLearning(sampler, switch_epoch=20)])`.

    References: Havaei et al., Brain Tumor Segmentation with Deep Neural Networks, 2017; Buda et al., A Systematic Study of the
    Class Imbalance Problem in Convolutional Neural Networks, 2018, https://arxiv.org/abs/1710.05381
    """

    argument = "freeze"

    def __init__(
        self,
        sampler: Any,
        switch_epoch: int,
        freeze: Any = None,
        learning_rate_factor: float = 0.1,
        verbose: int = 0,
    ):
        check_sampler(sampler)
        _check_switch(switch_epoch)
        check_positive(learning_rate_factor, "learning_rate_factor")
        second = Phase(
            switch_epoch,
            target="natural",
            frozen=freeze if freeze is None or as_list(freeze, "freeze") else None,
            learning_rate_factor=None if learning_rate_factor == 1 else learning_rate_factor,
        )
        super().__init__([second], sampler, verbose=verbose)
        self.switch_epoch = int(switch_epoch)


class ClassifierRetraining(PhasedTraining):
    """Classifier re-training (cRT): learn the features on data as they are, then a new head on balanced classes.

    Before epoch `switch_epoch` everything trains on the natural class distribution. From it on the head, with new initial
    values, trains alone on `target`; the backbone is frozen, BatchNormalization statistics and all. See `PhasedTraining`, of
    which it is a preset.

    Args:
        sampler: a sampler whose `dataset()` is being fitted.
        switch_epoch: first epoch of the head's training, >= 1.
        head: the layers of the classifier: layers, names, paths or patterns.
        target: what the sampler draws for the head. Defaults to "balanced".
        learning_rate: of the head, as in `Phase`. Defaults to None: as compiled.
        reinitialize: whether the head starts from new values. Defaults to True.
        seed: whole number from which the head gets its values. Defaults to 0.
        verbose: 1 prints a line when a phase begins. Defaults to 0.

    Raises:
        ValueError: for arguments out of range, and when training begins as in `PhasedTraining`.

    Example: `callbacks=[ClassifierRetraining(sampler, switch_epoch=20, head="logits")]`.

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    argument = "head"

    def __init__(
        self,
        sampler: Any,
        switch_epoch: int,
        head: Any,
        target: Any = "balanced",
        learning_rate: Any = None,
        reinitialize: bool = True,
        seed: int = 0,
        verbose: int = 0,
    ):
        check_sampler(sampler)
        _check_switch(switch_epoch)
        head = as_list(head, "head")
        if not head:
            raise ValueError(f"`head` must name at least one layer. Received: head={head!r}.")
        learn = Phase(
            switch_epoch,
            target=target,
            trainable=head,
            learning_rate=learning_rate,
            reinitialize=head if reinitialize else (),
        )
        super().__init__([Phase(0, target="natural"), learn], sampler, seed, verbose)
        self.switch_epoch = int(switch_epoch)


class LearnableWeightScaling(PhasedTraining):
    """Learnable weight scaling (LWS): after training on data as they are, learn one factor per class on balanced classes.

    The model ends in a `layers.ClassScaling`, whose factors are 1 and frozen before epoch `switch_epoch`; from it on they alone
    train. See `PhasedTraining`, of which it is a preset.

    Args:
        sampler: a sampler whose `dataset()` is being fitted.
        switch_epoch: first epoch in which the factors train, >= 1.
        scaling: the `layers.ClassScaling` of the model, or its name. Defaults to "class_scaling".
        target: what the sampler draws for the factors. Defaults to "balanced".
        learning_rate: of the factors, as in `Phase`. Defaults to None: as compiled.
        verbose: 1 prints a line when a phase begins. Defaults to 0.

    Raises:
        ValueError: for arguments out of range, and when training begins as in `PhasedTraining`.

    Example: `callbacks=[LearnableWeightScaling(sampler, switch_epoch=20)]`.

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    argument = "scaling"

    def __init__(
        self,
        sampler: Any,
        switch_epoch: int,
        scaling: Any = "class_scaling",
        target: Any = "balanced",
        learning_rate: Any = None,
        verbose: int = 0,
    ):
        check_sampler(sampler)
        _check_switch(switch_epoch)
        scaling = as_list(scaling, "scaling")
        learn = Phase(switch_epoch, target=target, trainable=scaling, learning_rate=learning_rate)
        super().__init__([Phase(0, target="natural", frozen=scaling), learn], sampler, verbose=verbose)
        self.switch_epoch = int(switch_epoch)


def _check_switch(switch_epoch):
    if isinstance(switch_epoch, bool) or not isinstance(switch_epoch, (int, np.integer)) or switch_epoch < 1:
        raise ValueError(
            f"`switch_epoch` must be a whole number of at least 1. Received: switch_epoch={switch_epoch!r}."
        )
