"""Ensembles of models, each trained on a balanced draw of the rows."""

from keras_imbalance.ensemble.balanced_bagging import BalancedBagging
from keras_imbalance.ensemble.disagreement import disagreement
from keras_imbalance.ensemble.rows import member_rows

__all__ = ["BalancedBagging", "disagreement", "member_rows"]
