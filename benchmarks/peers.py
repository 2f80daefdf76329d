"""Other libraries, loaded next to this one in one process."""

import importlib.util
import os


def tensorflow_addons():
    """tensorflow-addons on tf-keras in a process of Keras 3, or None where it is not installed.

    Its functions can be called there; its metrics and optimizers cannot be compiled into models of Keras 3. Call it before
    Keras or keras_imbalance is imported: tensorflow decides once what `tf.keras` is.
    """
    if importlib.util.find_spec("tensorflow_addons") is None or importlib.util.find_spec("tf_keras") is None:
        return None
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf

    _ = tf.keras.losses
    del os.environ["TF_USE_LEGACY_KERAS"]
    from keras_imbalance._keras._addons import import_over_tf_keras

    return import_over_tf_keras()
