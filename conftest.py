"""Which modules are not searched for examples."""

collect_ignore = ["keras_imbalance/backend/legacy.py"]  # imports tf-keras, which only TF_USE_LEGACY_KERAS=1 asks for
