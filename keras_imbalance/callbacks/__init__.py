"""Callbacks that change what a model is trained on while it trains, and report on every class."""

from keras_imbalance.callbacks.dynamic_sampling import DynamicSampling
from keras_imbalance.callbacks.per_class_logger import PerClassLogger, PerClassTensorBoard
from keras_imbalance.callbacks.phase_presets import ClassifierRetraining, LearnableWeightScaling, TwoPhaseLearning
from keras_imbalance.callbacks.phases import Phase, PhasedTraining
from keras_imbalance.callbacks.progressive_sampling import ProgressiveSampling
from keras_imbalance.callbacks.reweighting import DeferredReweighting
from keras_imbalance.callbacks.state import BackupAndRestore, TrainingState

__all__ = [
    "BackupAndRestore",
    "ClassifierRetraining",
    "DeferredReweighting",
    "DynamicSampling",
    "LearnableWeightScaling",
    "PerClassLogger",
    "PerClassTensorBoard",
    "Phase",
    "PhasedTraining",
    "ProgressiveSampling",
    "TrainingState",
    "TwoPhaseLearning",
]
