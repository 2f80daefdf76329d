"""Losses for imbalanced classes, one idea a module."""

from keras_imbalance.losses.asymmetric import AsymmetricLoss
from keras_imbalance.losses.class_balanced import ClassBalancedLoss
from keras_imbalance.losses.cost_matrix import CostMatrixLoss
from keras_imbalance.losses.focal import FocalLoss
from keras_imbalance.losses.ldam import LDAMLoss
from keras_imbalance.losses.logit_adjusted import LogitAdjustedLoss

__all__ = [
    "AsymmetricLoss",
    "ClassBalancedLoss",
    "CostMatrixLoss",
    "FocalLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
]
