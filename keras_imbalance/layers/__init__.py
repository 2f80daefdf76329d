"""The last layers of a network, and what is done to a head: `initial_bias` before training, the functions afterwards."""

from keras_imbalance.layers.class_scaling import ClassScaling
from keras_imbalance.layers.cosine_dense import CosineDense
from keras_imbalance.layers.fold_into_head import fold_into_head
from keras_imbalance.layers.initial_bias import initial_bias
from keras_imbalance.layers.tau_normalize import tau_normalize

__all__ = ["ClassScaling", "CosineDense", "fold_into_head", "initial_bias", "tau_normalize"]
