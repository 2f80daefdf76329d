"""Which rows come next: samplers, SMOTE and Tomek links. Each name loads on first use, and TensorFlow with what needs it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what the table below says, for type checkers and editors
    from keras_imbalance.sampling.arrays import ArraySampler
    from keras_imbalance.sampling.class_sampler import ClassSampler
    from keras_imbalance.sampling.distribution import live_samplers
    from keras_imbalance.sampling.inputs import rarest_classes
    from keras_imbalance.sampling.smote import SMOTE
    from keras_imbalance.sampling.streams import StreamSampler
    from keras_imbalance.sampling.tomek import tomek_keep_indices, tomek_links

FILE_OF = {
    "SMOTE": "smote",
    "ArraySampler": "arrays",
    "ClassSampler": "class_sampler",
    "StreamSampler": "streams",
    "live_samplers": "distribution",
    "rarest_classes": "inputs",
    "tomek_keep_indices": "tomek",
    "tomek_links": "tomek",
}
__all__ = [
    "SMOTE",
    "ArraySampler",
    "ClassSampler",
    "StreamSampler",
    "live_samplers",
    "rarest_classes",
    "tomek_keep_indices",
    "tomek_links",
]


def __getattr__(name: str) -> Any:
    if name not in FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{FILE_OF[name]}"), name)
    except ImportError as error:
        if name != "StreamSampler":  # its file is written in tf.data
            raise
        value = _refusing(error)
    globals()[name] = value
    return value


def _refusing(error):
    """StreamSampler without TensorFlow: it can be imported, as by *, and says what it needs when one is made."""

    def refuse(self, *arguments, **options):
        raise ImportError(str(error)) from error

    return type("StreamSampler", (), {"__init__": refuse, "__doc__": str(error), "__module__": __name__})


def __dir__() -> list[str]:
    return sorted(__all__)
