"""Losses for imbalanced classes, one idea a module."""

from keras_imbalance.losses.class_balanced import ClassBalancedLoss
from keras_imbalance.losses.cost_matrix import CostMatrixLoss
from keras_imbalance.losses.focal import FocalLoss

__all__ = ["ClassBalancedLoss", "CostMatrixLoss", "FocalLoss"]
