"""What samplers refuse on tf-keras, in words."""

import numpy as np
import pytest
from kerases import IS_TF_KERAS

from keras_imbalance import ArraySampler


@pytest.mark.skipif(not IS_TF_KERAS, reason="needs TF_USE_LEGACY_KERAS=1: this process runs Keras 3")
def test_py_dataset_is_refused_and_the_way_out_is_told():
    sampler = ArraySampler(np.zeros((4, 1)), [0, 0, 1, 1])
    with pytest.raises(ImportError, match=r"py_dataset\(\) needs Keras 3.*fit `dataset\(\)`"):
        sampler.py_dataset()
