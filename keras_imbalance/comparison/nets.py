"""What `build_model` gives: the net, its optimizer and its head, and what is checked of them before any training."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imbalance._core import check_one_of, invalid, shown
from keras_imbalance._keras import Model, as_array, graph_ends, has_graph, keras, ops, tree
from keras_imbalance.comparison.rows import ONE_OUTPUT, Data, take

EMA_MOMENTUM = 0.98
PREDICTED = 1024  # rows at a time
TRIED = 8  # rows, before any training
MOST_VALUES = 2**22  # at a time, of rows of many values, such as images


def built(build_model: Callable, x: Any) -> tuple[Any, Any]:
    """The net and its optimizer; raises unless it is one with logits that is not compiled."""
    given = build_model(x)
    model, optimizer = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    requirement = "give a functional or sequential model with keras.Input and one output, or (model, optimizer)"
    if not isinstance(model, Model) or not has_graph(model):
        raise invalid("build_model", requirement, received=type(model).__name__)
    if len(model.outputs) != 1 or isinstance(graph_ends(model)[1], dict):
        received = f"a model of {len(model.outputs)} outputs{' by name' if len(model.outputs) == 1 else ''}"
        raise invalid("build_model", requirement, received=received, remedy=ONE_OUTPUT)
    if model.compiled:
        remedy = "Leave out compile: each method has its loss. An optimizer of your own comes as (model, optimizer)."
        raise invalid("build_model", "give a model that is not compiled", received=model.name, remedy=remedy)
    return model, default_optimizer() if optimizer is None else _optimizer(optimizer)


def _optimizer(given):
    """An optimizer, given as `compile` takes it."""
    try:
        return keras.optimizers.get(given)
    except (TypeError, ValueError) as error:
        requirement = "give (model, optimizer) with an optimizer, or the name of one"
        raise invalid("build_model", requirement, received=f"{given!r}") from error


def default_optimizer() -> Any:
    """That of all methods, where `build_model` gives none."""
    return keras.optimizers.Adam(use_ema=True, ema_momentum=EMA_MOMENTUM)


def check_anew(pair: tuple[Any, Any], again: tuple[Any, Any]) -> None:
    """Raises where two nets and their optimizers, from two calls, share what trains: one method would go on from the other."""
    (model, optimizer), (other, of_other) = pair, again
    known = {id(weight) for weight in model.trainable_variables}
    found = [weight.path for weight in other.trainable_variables if id(weight) in known]
    found += ["the optimizer"] if optimizer is of_other else []
    if found:
        requirement = "make all layers that train, and the optimizer, anew in each call"
        remedy = (
            "Make them inside build_model: of a pretrained net keras.models.clone_model(net), then set_weights. One that "
            "stays frozen, net.trainable = False, may be shared."
        )
        raise invalid("build_model", requirement, received=f"{shown(found)} of an earlier call", remedy=remedy)


def check_logits(model: Any, x: Any, data: Data) -> None:
    """Raises unless the model gives logits `(N, C)`, of masks `(N, ..., C)`, or one where there are two classes.

    Args:
        model: the net.
        x: a few rows.
        data: all rows, with their labels.
    """
    try:
        outputs = outputs_of(model, x)
    except Exception as error:  # every layer and backend has its own
        remedy = (
            "A frame with a column of text comes as a dict of columns: give the net an Input of that name for each."
        )
        raise invalid("build_model", "give a net that takes rows of x", received=str(error), remedy=remedy) from error
    _check_shape(outputs, data)
    if np.isnan(outputs).any():
        raise invalid("build_model", "give logits that are numbers", received=f"NaN, before any training{gaps_in(x)}")
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", "")
    sums_to_one = outputs.shape[-1] > 1 and (outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3)
    if activation in ("softmax", "sigmoid") or sums_to_one:
        remedy = "End it in Dense(num_classes) without an activation: losses and priors need logits."
        received = f"probabilities ({activation or 'rows sum to 1'})"
        raise invalid("build_model", "give logits", received=received, remedy=remedy)


def _check_shape(outputs, data):
    classes = len(data.class_names)
    positions = () if data.multi_label else data.y.shape[1:]
    # Keras's binary cross-entropy ignores no class.
    one_will_do = classes == 2 and not data.multi_label and data.ignore_class is None
    expected = [(len(outputs), *positions, channels) for channels in ((1, 2) if one_will_do else (classes,))]
    if outputs.shape not in expected:
        shape = ", ".join(["N", *map(str, expected[-1][1:])])
        raise invalid("build_model", f"give logits of shape ({shape})", received=f"outputs of shape {outputs.shape}")


def a_few(x: Any) -> Any:
    """Some of these rows to try a net on, such with gaps among them."""
    gaps = _with_gaps(x)
    return take(x, np.union1d(np.arange(min(TRIED, len(gaps))), np.flatnonzero(gaps)[:TRIED]))


def position_of(model: Any, head: Any) -> int | None:
    """The position of a layer in `model.layers`, since Keras numbers its own names anew in each model; None for None."""
    names = [layer.name for layer in model.layers]
    if head is None:
        return None
    return names.index(check_one_of(head, "head", names, remedy="Give the layer a name in build_model."))


def head_of(model: Any, head: int | None) -> str | None:
    """The name of the layer that retraining methods renew: by its position, or the last Dense; None where there is none."""
    if head is not None:
        return model.layers[head].name
    dense = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return dense[-1] if dense else None


def ends_in_head(model: Any, head: str | None) -> bool:
    """Whether the output of the model is that of its head, so that another can take its place."""
    return head is not None and model.get_layer(head).output is graph_ends(model)[1]


def gaps_in(x: Any) -> str:
    """What may be the reason of NaN: gaps in the features."""
    columns = x if isinstance(x, dict) else {"x": x}
    gaps = [str(name) for name, column in columns.items() if _with_gaps(column).any()]
    return f"; x holds NaN in {shown(gaps)}, which the net must fill" if gaps else ""


def _with_gaps(x):
    """Which rows hold NaN."""
    leaves = [np.asarray(leaf) for leaf in tree.flatten(x)]
    found = np.zeros(len(leaves[0]), bool)
    for leaf in leaves:
        if leaf.dtype.kind == "f":
            found |= np.isnan(leaf).reshape(len(leaf), -1).any(axis=1)
    return found


def with_text(x: Any) -> Any:
    """A nest of arrays with text as `fit` takes it: objects, and no letters of fixed number."""
    return tree.map_structure(lambda leaf: leaf.astype(object) if leaf.dtype.kind in "US" else leaf, x)


def outputs_of(model: Any, x: Any) -> np.ndarray:
    """What the model gives for all rows, called batch by batch: `predict` would be traced anew for every net."""
    leaves = [np.asarray(leaf) for leaf in tree.flatten(x)]
    if any(leaf.dtype.kind not in "biuf" for leaf in leaves):
        x = tree.map_structure(ops.convert_to_tensor, x)
    values = sum(leaf.size for leaf in leaves) // max(len(leaves[0]), 1)
    rows = max(1, min(PREDICTED, MOST_VALUES // max(values, 1)))
    cuts = [slice(start, start + rows) for start in range(0, len(leaves[0]), rows)]
    batches = (tree.map_structure(lambda leaf, cut=cut: leaf[cut], x) for cut in cuts)
    return np.concatenate([as_array(ops.convert_to_numpy(model(batch, training=False))) for batch in batches])
