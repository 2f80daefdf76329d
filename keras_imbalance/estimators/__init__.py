"""What trains models itself: ensembles on balanced draws, and a classifier for scikit-learn that resamples in `fit`."""

from keras_imbalance.estimators.balanced_bagging import BalancedBagging
from keras_imbalance.estimators.disagreement import disagreement
from keras_imbalance.estimators.rows import member_rows
from keras_imbalance.estimators.sampled_classifier import SampledClassifier

__all__ = ["BalancedBagging", "SampledClassifier", "disagreement", "member_rows"]
