"""From probabilities to decisions: prior correction, calibration, thresholds and costs. NumPy float64 throughout."""

from keras_imbalance.decisions.costs import minimum_cost_decision
from keras_imbalance.decisions.priors import correct_prior, estimate_prior
from keras_imbalance.decisions.temperature import Temperature, tune_temperature
from keras_imbalance.decisions.thresholds import Thresholds, tune_thresholds

__all__ = [
    "Temperature",
    "Thresholds",
    "correct_prior",
    "estimate_prior",
    "minimum_cost_decision",
    "tune_temperature",
    "tune_thresholds",
]
