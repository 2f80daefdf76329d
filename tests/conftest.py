"""Settings that must stand before Keras is imported, and what all tests share."""

import gc
import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from hypothesis import HealthCheck, settings

gc.disable()  # until all is imported, which stays

# How fast examples come says how busy a machine is. A run that decides whether a change lands tries the same ones
# each time; at a desk every run tries new ones.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# An example in a docstring that imports Keras itself means Keras 3.
IMPORTS_KERAS = re.compile(r"import keras\b|from keras\b")


def pytest_collection_modifyitems(items):
    from kerases import IS_TF_KERAS, needs_multi_optimizer

    for item in items:
        if not isinstance(item, pytest.DoctestItem):
            continue
        needs_keras_3 = any(IMPORTS_KERAS.match(example.source) for example in item.dtest.examples)
        if IS_TF_KERAS and (needs_keras_3 or item.name.endswith("layerwise_optimizer")):
            item.add_marker(pytest.mark.skip(reason="tf-keras: needs Keras 3"))
        elif item.name.endswith("layerwise_optimizer"):
            item.add_marker(needs_multi_optimizer)


def pytest_collection_finish():
    """What is imported by now stays: the collector would take most of a second each time to walk through it."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _compiled_functions_are_let_go():
    """JAX keeps what it compiled for ever, which is gigabytes by the end of the tests."""
    yield
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        jax.clear_caches()
