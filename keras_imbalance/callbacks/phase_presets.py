"""What the literature trains in two phases, as presets of PhasedTraining."""

from collections.abc import Mapping

from keras_imbalance._core import Sampler, check_flag, check_number, check_sampler, check_whole, invalid
from keras_imbalance.callbacks.layer_selection import as_list
from keras_imbalance.callbacks.phase import Layers, Phase, Rate, Target
from keras_imbalance.callbacks.phases import PhasedTraining


class TwoPhaseLearning(PhasedTraining):
    """Trains on resampled data, then fine-tunes on the data as they are at a lower learning rate.

    From epoch `switch_epoch` on the sampler draws the natural class shares, the learning rate is multiplied and, on request,
    layers freeze. A preset of `PhasedTraining`, which see for what holds after fit and with other callbacks.

    Args:
        sampler: a sampler whose `dataset()` is being fitted.
        switch_epoch: first epoch of the second phase, >= 1.
        freeze: layers that freeze in the second phase: layers, names, paths or patterns. Defaults to None.
        learning_rate_factor: what the learning rate is multiplied with in the second phase, > 0; 1 leaves it alone, which an
            optimizer whose rate follows a schedule needs. Defaults to 0.1.
        verbose: 1 prints a line when the second phase begins. Defaults to 0.

    Raises:
        ValueError: for arguments out of range, and when training begins as in `PhasedTraining`.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> from keras_imbalance._keras import keras
    >>> x, y = np.random.default_rng(0).normal(size=(60, 4)).astype("float32"), np.repeat([0, 1], [50, 10])
    >>> sampler = ArraySampler(x, y, batch_size=20, seed=0)
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> callback = TwoPhaseLearning(sampler, switch_epoch=2, verbose=1)
    >>> _ = model.fit(sampler.dataset(), shuffle=False, epochs=3, verbose=0, callbacks=[callback])
    <BLANKLINE>
    Epoch 3: target natural; learning rate x 0.1

    References: Havaei et al., Brain Tumor Segmentation with Deep Neural Networks, 2017; Buda et al., A Systematic Study of the
    Class Imbalance Problem in Convolutional Neural Networks, 2018, https://arxiv.org/abs/1710.05381
    """

    argument_of: Mapping[str, str] = {"start_epoch": "switch_epoch"}

    def __init__(
        self,
        sampler: Sampler,
        *,
        switch_epoch: int,
        freeze: Layers | None = None,
        learning_rate_factor: float = 0.1,
        verbose: int = 0,
    ):
        check_sampler(sampler)
        self.switch_epoch: int = check_whole(switch_epoch, "switch_epoch", 1)
        check_number(learning_rate_factor, "learning_rate_factor", above=0)
        second = Phase(
            switch_epoch,
            target="natural",
            freeze=None if freeze is None else as_list(freeze, "freeze") or None,
            learning_rate_factor=None if learning_rate_factor == 1 else learning_rate_factor,
        )
        super().__init__([second], sampler, verbose=verbose)


class ClassifierRetraining(PhasedTraining):
    """Classifier re-training (cRT): learn the features on data as they are, then a new head on balanced classes.

    Before epoch `switch_epoch` everything trains on the natural class shares. From it on the head, with new initial values,
    trains alone on `target`; the backbone is frozen, BatchNormalization statistics and all. A preset of `PhasedTraining`,
    which see for what holds after fit and with other callbacks.

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

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> from keras_imbalance._keras import keras
    >>> x, y = np.random.default_rng(0).normal(size=(60, 4)).astype("float32"), np.repeat([0, 1], [50, 10])
    >>> sampler = ArraySampler(x, y, batch_size=20, seed=0)
    >>> layers = [keras.Input((4,)), keras.layers.Dense(8, name="backbone"), keras.layers.Dense(2, name="head")]
    >>> model = keras.Sequential(layers)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> callback = ClassifierRetraining(sampler, switch_epoch=2, head="head", verbose=1)
    >>> _ = model.fit(sampler.dataset(), shuffle=False, epochs=3, verbose=0, callbacks=[callback])
    <BLANKLINE>
    Epoch 1: target natural
    <BLANKLINE>
    Epoch 3: target balanced; freeze all; unfreeze head; reinitialize head

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    argument_of: Mapping[str, str] = {"start_epoch": "switch_epoch", "unfreeze": "head", "reinitialize": "head"}

    def __init__(
        self,
        sampler: Sampler,
        *,
        switch_epoch: int,
        head: Layers,
        target: Target = "balanced",
        learning_rate: Rate | None = None,
        reinitialize: bool = True,
        seed: int = 0,
        verbose: int = 0,
    ):
        check_sampler(sampler)
        self.switch_epoch: int = check_whole(switch_epoch, "switch_epoch", 1)
        head = as_list(head, "head")
        if not head:
            raise invalid("head", "name at least one layer", head)
        learn = Phase(
            switch_epoch,
            target=target,
            freeze=True,
            unfreeze=head,
            learning_rate=learning_rate,
            reinitialize=head if check_flag(reinitialize, "reinitialize") else None,
        )
        super().__init__([Phase(0, target="natural"), learn], sampler, seed=seed, verbose=verbose)


class LearnableWeightScaling(PhasedTraining):
    """Learnable weight scaling (LWS): after training on data as they are, learn one factor per class on balanced classes.

    The model ends in a `layers.ClassScaling`, whose factors are 1 and frozen before epoch `switch_epoch`; from it on they alone
    train. A preset of `PhasedTraining`, which see for what holds after fit and with other callbacks.

    Args:
        sampler: a sampler whose `dataset()` is being fitted.
        switch_epoch: first epoch in which the factors train, >= 1.
        scaling: the `layers.ClassScaling` of the model, or its name. Defaults to "class_scaling".
        target: what the sampler draws for the factors. Defaults to "balanced".
        learning_rate: of the factors, as in `Phase`. Defaults to None: as compiled.
        verbose: 1 prints a line when a phase begins. Defaults to 0.

    Raises:
        ValueError: for arguments out of range, and when training begins as in `PhasedTraining`.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import ArraySampler, ClassScaling
    >>> from keras_imbalance._keras import keras
    >>> x, y = np.random.default_rng(0).normal(size=(60, 4)).astype("float32"), np.repeat([0, 1], [50, 10])
    >>> sampler = ArraySampler(x, y, batch_size=20, seed=0)
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), ClassScaling(name="scaling")])
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> callback = LearnableWeightScaling(sampler, switch_epoch=2, scaling="scaling", verbose=1)
    >>> _ = model.fit(sampler.dataset(), shuffle=False, epochs=3, verbose=0, callbacks=[callback])
    <BLANKLINE>
    Epoch 1: target natural; freeze scaling
    <BLANKLINE>
    Epoch 3: target balanced; freeze all; unfreeze scaling

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    argument_of: Mapping[str, str] = {"start_epoch": "switch_epoch", "freeze": "scaling", "unfreeze": "scaling"}

    def __init__(
        self,
        sampler: Sampler,
        *,
        switch_epoch: int,
        scaling: Layers = "class_scaling",
        target: Target = "balanced",
        learning_rate: Rate | None = None,
        verbose: int = 0,
    ):
        check_sampler(sampler)
        self.switch_epoch: int = check_whole(switch_epoch, "switch_epoch", 1)
        scaling = as_list(scaling, "scaling")
        learn = Phase(switch_epoch, target=target, freeze=True, unfreeze=scaling, learning_rate=learning_rate)
        super().__init__([Phase(0, target="natural", freeze=scaling), learn], sampler, verbose=verbose)
