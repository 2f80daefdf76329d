"""Rebalancing tf.data pipelines. Importing this package imports TensorFlow, whatever backend Keras runs on."""

from keras_imbalance.sampling.arrays import ArraySampler

__all__ = ["ArraySampler"]
