"""Callbacks that change what a model is trained on while it trains."""

from keras_imbalance.callbacks.dynamic_sampling import DynamicSampling
from keras_imbalance.callbacks.phases import TwoPhaseLearning

__all__ = ["DynamicSampling", "TwoPhaseLearning"]
