"""Rebalancing tf.data pipelines. Importing this package imports TensorFlow, whatever backend Keras runs on."""

import keras_imbalance.backend.tensorflow_beside  # noqa: F401  first, so that TensorFlow takes no GPU from JAX or PyTorch
from keras_imbalance.sampling.arrays import ArraySampler
from keras_imbalance.sampling.smote import SMOTE
from keras_imbalance.sampling.streams import StreamSampler
from keras_imbalance.sampling.tomek import remove_tomek_links, tomek_links

__all__ = ["SMOTE", "ArraySampler", "StreamSampler", "remove_tomek_links", "tomek_links"]
