"""From probabilities to decisions: prior correction, calibration, thresholds and costs. NumPy float64 throughout."""

from keras_imbalance.decisions.costs import minimum_cost_decision
from keras_imbalance.decisions.layers import MinimumCostDecision, PriorCorrection
from keras_imbalance.decisions.macro_f1 import MacroF1Decision, tune_macro_f1
from keras_imbalance.decisions.prior_estimate import estimate_prior
from keras_imbalance.decisions.priors import correct_prior
from keras_imbalance.decisions.temperature import Temperature, tune_temperature
from keras_imbalance.decisions.thresholds import Thresholds, tune_thresholds
from keras_imbalance.decisions.tradeoff import TradeoffCurve, tradeoff_curve

__all__ = [
    "MacroF1Decision",
    "MinimumCostDecision",
    "PriorCorrection",
    "Temperature",
    "Thresholds",
    "TradeoffCurve",
    "correct_prior",
    "estimate_prior",
    "minimum_cost_decision",
    "tradeoff_curve",
    "tune_macro_f1",
    "tune_temperature",
    "tune_thresholds",
]
