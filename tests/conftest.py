"""Settings that must stand before Keras is imported, and what all tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
