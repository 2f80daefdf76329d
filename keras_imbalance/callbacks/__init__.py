"""Callbacks that change what a model is trained on while it trains, and report on every class."""

from keras_imbalance.callbacks.dynamic_sampling import DynamicSampling
from keras_imbalance.callbacks.per_class_logger import PerClassLogger, PerClassTensorBoard
from keras_imbalance.callbacks.phases import TwoPhaseLearning

__all__ = ["DynamicSampling", "PerClassLogger", "PerClassTensorBoard", "TwoPhaseLearning"]
