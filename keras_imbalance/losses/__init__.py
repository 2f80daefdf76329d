"""Losses for imbalanced classes, one idea a module. `ImbalanceLoss` documents the arguments that all of them take."""

from keras_imbalance.losses.asymmetric import AsymmetricLoss
from keras_imbalance.losses.base import ImbalanceLoss
from keras_imbalance.losses.class_balanced import ClassBalancedLoss
from keras_imbalance.losses.cost_matrix import CostMatrixLoss
from keras_imbalance.losses.focal import FocalLoss
from keras_imbalance.losses.ldam import LDAMLoss
from keras_imbalance.losses.logit_adjusted import LogitAdjustedLoss
from keras_imbalance.losses.tversky import TverskyLoss
from keras_imbalance.losses.weighted_sum import WeightedSum

__all__ = [
    "AsymmetricLoss",
    "ClassBalancedLoss",
    "CostMatrixLoss",
    "FocalLoss",
    "ImbalanceLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "TverskyLoss",
    "WeightedSum",
]
