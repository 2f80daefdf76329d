"""Callbacks that change what a model is trained on while it trains, and report on every class."""

from keras_imbalance.callbacks.backup_and_restore import BackupAndRestore
from keras_imbalance.callbacks.deferred_reweighting import DeferredReweighting
from keras_imbalance.callbacks.dynamic_sampling import DynamicSampling
from keras_imbalance.callbacks.layerwise_optimizer import layerwise_optimizer
from keras_imbalance.callbacks.per_class_logger import PerClassLogger
from keras_imbalance.callbacks.per_class_table import PerClassTable
from keras_imbalance.callbacks.per_class_tensorboard import PerClassTensorBoard
from keras_imbalance.callbacks.phase import Phase
from keras_imbalance.callbacks.phase_presets import ClassifierRetraining, LearnableWeightScaling, TwoPhaseLearning
from keras_imbalance.callbacks.phases import PhasedTraining
from keras_imbalance.callbacks.progressive_sampling import ProgressiveSampling
from keras_imbalance.callbacks.short_bar import ShortBar

__all__ = [
    "BackupAndRestore",
    "ClassifierRetraining",
    "DeferredReweighting",
    "DynamicSampling",
    "LearnableWeightScaling",
    "PerClassLogger",
    "PerClassTable",
    "PerClassTensorBoard",
    "Phase",
    "PhasedTraining",
    "ProgressiveSampling",
    "ShortBar",
    "TwoPhaseLearning",
    "layerwise_optimizer",
]
