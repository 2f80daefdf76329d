"""The code that a method of the table stands for."""

import ast
import re
from typing import Any

import numpy as np

from keras_imbalance._core import check_table, delivery_for_fit, is_frame, is_text
from keras_imbalance._keras import learning_rates, optimizer_config
from keras_imbalance.comparison.method import PARTS, Method, Run
from keras_imbalance.comparison.nets import EMA_MOMENTUM, default_optimizer, head_of
from keras_imbalance.comparison.remedies import member_epochs
from keras_imbalance.comparison.rows import Data

PLACE = re.compile(r"\{(\w+)(!r)?\}")
# What each part is called in the code.
NAMES = {"head": "new_head", "train": "predict, output_prior", "decide": "decision"}
DEFAULT_OPTIMIZER = f"keras.optimizers.Adam(use_ema=True, ema_momentum={EMA_MOMENTUM})"
KNOWN_LOSSES = ("ki.", "keras.losses.")


def code_of(method: Method, context: dict[str, Any]) -> str:
    """Lines that build, train and decide as a method does, on class ids `y_train` and, where it decides, validation rows.

    What a function of the user's own gives is `...`, to be filled in, unless `settings` of the method has code for it.

    Args:
        method: of the comparison.
        context: what `context_of` gives, and the objective of tuned thresholds.
    """
    parts = {part: _part(method, part, context) for part in PARTS if getattr(method, part) is not None}
    assigned = {part: _assigned(part, code) for part, code in parts.items()}
    class_counts = f"class_counts = {context['counts']}"
    if "train" in parts:
        lines = [class_counts, *assigned["train"], "probabilities = predict(x_validation)"]
    else:
        lines = [context["build"], *_new_head(assigned, context), class_counts, *assigned.get("sampler", [])]
        lines += assigned.get("loss", [f"loss = {context['plain_loss']}"])
        lines += [line for part in ("class_weight", "callbacks") for line in assigned.get(part, [])]
        lines += [f"model.compile({context['optimizer']}, loss)", _fit(parts, context), *_prior(parts, context)]
        lines += [f"logits = {_scale(parts)}model.predict(x_validation)", f"probabilities = {context['activated']}"]
    lines += assigned.get("decide", [])
    lines.append(
        "decided = decision(probabilities)" if "decide" in parts else f"decided = probabilities{context['likeliest']}"
    )
    code = "\n".join(lines)
    text = "\n".join([*(f"{name} = {form}" for name, form in context["forms"].items() if name in code), code])
    return "\n".join([*_imports(text), "", text]) + "\n"


def _imports(text):
    lines = ["import keras"]
    if re.search(r"\bnp\.", text):
        lines.append("import numpy as np")
    lines.append("import keras_imbalance as ki")
    return [*lines, "from keras_imbalance.sampling import rarest_classes"] if "rarest_classes(" in text else lines


def _part(method, part, context):
    """The code of a part; of a function of the user's own what it is called, as a comment, and "..."."""
    if part in method.code:
        return PLACE.sub(lambda place: _filled(place, context), method.code[part])
    given = getattr(method, part)
    if hasattr(given, "fit_resample"):
        return _resampled(given, context)
    called = " ".join(getattr(given, "__qualname__", repr(given)).split())
    return f"# What {called} gives as {part}; settings= of the Method can say.\n..."


def _filled(place, context):
    """What stands in a place such as {batch_size}; braces of other words are Python's."""
    name, as_text = place.groups()
    if name not in context:
        return place.group()
    return repr(context[name]) if as_text else str(context[name])


def _assigned(part, code):
    """The lines before the last expression of some code, and that expression under the name of the part."""
    try:
        last = ast.parse(code).body[-1]
    except (SyntaxError, IndexError):
        first = 0
    else:
        first = last.lineno - 1 if isinstance(last, ast.Expr) else 0
    lines = code.splitlines()
    return [*lines[:first], f"{NAMES.get(part, part)} = {lines[first]}", *lines[first + 1 :]]


def _resampled(sampler, context):
    """A sampler of the rows that one of imbalanced-learn gives, in epochs of as many as the training rows."""
    parameters = sampler.get_params()
    made = [sampler, *(value for value in parameters.values() if hasattr(value, "get_params"))]
    seeded = sampler
    if "random_state" in parameters:
        seeded = type(sampler)(**{**sampler.get_params(deep=False), "random_state": context["seed"]})
    places = {(_public(type(each).__module__), type(each).__name__) for each in made}
    lines = [f"from {module} import {name}" for module, name in sorted(places) if module]
    rows = f"{seeded!r}.fit_resample(x_train.reshape(len(x_train), -1), y_train)"
    return "\n".join(
        [
            *lines,
            f"x_resampled, y_resampled = {rows}",
            "x_resampled = x_resampled.reshape(-1, *x_train.shape[1:])",
            f'ki.ArraySampler(x_resampled, y_resampled, batch_size={context["batch_size"]}, target="natural", '
            "epoch_size=len(y_train))",
        ]
    )


def _public(module):
    """The module up to its first private part, from which it takes names for others; of a script nothing."""
    return re.sub(r"(^|\.)_.*", "", module)


def _new_head(assigned, context):
    if "head" not in assigned:
        return []
    return [
        *assigned["head"],
        f"model = keras.Model(model.inputs, new_head(model.get_layer({context['head']}).input))",
    ]


def _fit(parts, context):
    rows = (
        f"sampler.{context['batches']}(), shuffle=False"
        if "sampler" in parts
        else f"x_train, y_train, batch_size={context['batch_size']}"
    )
    options = [f"epochs={context['epochs']}"]
    options += [f"{part}={part}" for part in ("class_weight", "callbacks") if part in parts]
    return f"model.fit({', '.join([rows, *options])})"


def _scale(parts):
    """The factor of an LDAM loss, which its logits are trained with."""
    if "LDAMLoss(" in parts.get("loss", ""):
        return "loss.scale * "
    return "(loss.scale if isinstance(loss, ki.LDAMLoss) else 1.0) * " if _unknown_loss(parts) else ""


def _unknown_loss(parts):
    return "loss" in parts and not parts["loss"].startswith(KNOWN_LOSSES)


def _prior(parts, context):
    """What the probabilities speak for: what the loss says, else drawn shares times class weights."""
    loss, adjusted = parts.get("loss", ""), "loss.output_prior"
    if "LogitAdjustedLoss(" in loss:
        return [f"output_prior = {adjusted}"]
    before, drawn = context["drawn"] if "sampler" in parts else ([], "class_counts")
    found, weights = _acting_weights(parts, context)
    lines = [*before, *found]
    if weights is None and drawn != "drawn":
        return [*lines, f"output_prior = {drawn if 'sampler' in parts else context['natural']}"]
    lines.append(f"shares = {drawn}{'' if weights is None else f' * {weights}'}")
    lines.append("output_prior = shares / shares.sum(axis=-1, keepdims=True)")
    if _unknown_loss(parts):
        lines += ["if isinstance(loss, ki.LogitAdjustedLoss):", f"    output_prior = {adjusted}"]
    return lines


def _acting_weights(parts, context):
    """Lines that lead to what each class counted at the end of the training, and these weights, or None."""
    if "DeferredReweighting(" in parts.get("callbacks", ""):
        of_counts = "ki.class_weights({}, scheme=deferred.scheme, beta=deferred.beta)"
        weights = of_counts.format("class_counts")
        if context["several"]:
            weights = f"np.array([{of_counts.format('counts')} for counts in class_counts])"
        return ["deferred = next(each for each in callbacks if isinstance(each, ki.DeferredReweighting))"], weights
    if "ClassBalancedLoss(" in parts.get("loss", ""):
        return [], "np.array(loss.class_weights)"
    if "class_weight" in parts:
        return [], "np.array([class_weight[i] for i in range(len(class_counts))])"
    if _unknown_loss(parts):
        return [], "np.array(loss.class_weights if isinstance(loss, ki.ClassBalancedLoss) else 1.0)"
    return [], None


def context_of(run: Run, model: Any, optimizer: Any) -> dict[str, Any]:
    """What the code of every method of a comparison holds: numbers, and how functions are called for such labels."""
    channels, head = model.outputs[0].shape[-1], head_of(model, run.head)
    names = [layer.name for layer in model.layers]
    # An optimizer of one's own comes with the model.
    own = type(optimizer) is not type(default_optimizer()) or optimizer_config(optimizer) != optimizer_config(
        default_optimizer()
    )
    return {
        "batch_size": run.batch_size,
        "epochs": run.epochs,
        "switch_epoch": run.switch_epoch,
        "member_epochs": member_epochs(run) if run.data.one_class else 1,
        "seed": run.seed,
        # Keras numbers its own names anew in each model.
        "head": f"model.layers[{names.index(head) - len(names)}].name" if head else "None",
        "channels": channels,
        "build": f"model{', optimizer' if own else ''} = build_model(x_train)",
        "optimizer": "optimizer" if own else DEFAULT_OPTIMIZER,
        "rate_factor": ", learning_rate_factor=1.0" if learning_rates(optimizer) is None else "",
        "threshold": ", threshold=0.0" if channels == 1 else "",
        "batches": delivery_for_fit(),
        "forms": {},
        **_of_labels(run, channels == 1),
        **_of_use(run),
    }


def forms_of(x: Any, y: Any, data: Data) -> dict[str, str]:
    """What the code makes of rows and labels of the form in which they were given, where that is not the form compared."""
    forms, labels = {}, check_table(y, "y")
    kept = isinstance(y, np.ndarray) and labels.shape == data.y.shape and labels.dtype.kind in "iu"
    for part in ("train", "validation"):
        rows, ids = f"x_{part}", f"y_{part}"
        if is_frame(x):
            columns = f"{{column: np.asarray({rows}[column]) for column in {rows}}}"
            forms[rows] = columns if isinstance(data.x, dict) else f'{rows}.to_numpy("{data.x.dtype}")'
        elif isinstance(data.x, np.ndarray) and is_text(data.x):
            forms[rows] = f"np.asarray({rows}, dtype=object)"
        if not kept:
            numbers = f'np.asarray({ids}, dtype="int32")'
            if is_text(labels):
                numbers = f"np.vectorize({data.class_names}.index)({ids})"
            elif labels.size > data.y.size:  # one-hot
                numbers = f"np.asarray({ids}).argmax(axis=-1)"
            forms[ids] = f"{numbers}.reshape({', '.join(map(str, (-1, *data.y.shape[1:])))})"
    return forms


def _of_labels(run, one_logit):
    """How losses and functions are called for such labels."""
    several, ignored = run.data.multi_label, run.data.ignore_class
    y = "y_train" if several or run.data.one_class else "y_train[..., None]"  # ids of positions, not one-hot rows
    of_several, of_ignored = _told(several, ignored)
    loss = "BinaryCrossentropy" if one_logit or several else "SparseCategoricalCrossentropy"
    natural = "class_counts / class_counts.sum(axis=1, keepdims=True)" if several else "ki.class_prior(class_counts)"
    activated = "keras.ops.sigmoid(logits)" if several else "keras.ops.softmax(logits)"
    if one_logit and not several:  # of both classes
        activated = "keras.ops.softmax(np.insert(logits, 0, 0, axis=-1))"
    return {
        "several": of_several,
        "ignored": of_ignored,
        "loss_form": f"from_logits=True{of_several}{of_ignored}",
        "plain_loss": f"keras.losses.{loss}(from_logits=True{of_ignored})",
        "counts": f"ki.count_classes({y}{of_several}{of_ignored})",
        "classes": _sampled_by(run.data),
        "natural": natural,
        "drawn": _drawn(run.data),
        "activated": f"keras.ops.convert_to_numpy({activated})",
        "half_way": f"({natural}) ** 0.75" if several else "ki.target_distribution(class_counts, 0.75)",
        "likeliest": " > 0.5" if several else ".argmax(-1)",
    }


def _of_use(run):
    """How decisions are tuned on the validation rows, or positions, that count, in the shares of use."""
    ignored, prior, classes = run.data.ignore_class, run.prior_of_use, run.num_classes
    labels, scored, lines = "y_validation", "probabilities", ""
    if ignored is not None:
        labels, scored = "labels", "scored"
        lines = f"counted = y_validation != {ignored}\nlabels, scored = y_validation[counted], probabilities[counted]\n"
    elif not run.data.one_class and not run.data.multi_label:
        labels, scored = "labels", "scored"
        lines = f"labels, scored = y_validation.ravel(), probabilities.reshape(-1, {classes})\n"
    found = {
        "labels": labels,
        "scored": scored,
        "tuned_on": scored,
        "weighted_as_used": lines,
        "drawn_as_used": lines,
        "weights": "",
        "costs": ", cost_matrix=cost_matrix" if run.metric == "cost" else "",
        "prior": _of_labels(run, False)["natural"],
    }
    if prior is None:
        return found
    shares = [float(f"{share:.6g}") for share in prior]
    weighted = (
        f"{lines}row_counts = np.maximum(np.bincount({labels}, minlength={classes}), 1)\n"
        f"weights = (np.array({shares}) * len({labels}) / row_counts)[{labels}]\n"
    )
    drawn = (
        f"rng, size = np.random.default_rng({run.seed}), len({labels})\n"
        "drawn = rng.choice(size, size=size, p=weights / weights.sum())\n"
    )
    return {
        **found,
        "prior": f"{shares}",
        "weights": ", sample_weight=weights",
        "weighted_as_used": weighted,
        "drawn_as_used": weighted + drawn,
        "tuned_on": f"{scored}[drawn]",
    }


def _sampled_by(data):
    """What a sampler is told of rows that have no single class."""
    if data.one_class:
        return ""
    if data.multi_label or (data.ignore_class is None and data.y.ndim > 2):
        return ', classes="rarest"'
    return f", classes=rarest_classes(y_train[..., None]{_told(False, data.ignore_class)[1]})"


def _told(several, ignored):
    """Arguments that say what labels are, where they say something."""
    return ", multi_label=True" if several else "", "" if ignored is None else f", ignore_class={ignored}"


def _drawn(data):
    """Lines that lead to the shares of classes in what a sampler drew, and these shares."""
    if data.one_class:
        return [], "sampler.drawn_prior"
    several, ignored = _told(data.multi_label, data.ignore_class)
    y = "y_train" if data.multi_label else "y_train[..., None]"
    classes = "" if data.multi_label else f", num_classes={len(data.class_names)}"
    counts = f"ki.count_classes({y}[row_classes == i]{classes}{several}{ignored})"
    return [
        f"row_classes = rarest_classes({y}{ignored})",
        "times = sampler.drawn_prior / np.maximum(np.bincount(row_classes), 1)  # each of its rows was drawn",
        f"drawn = sum(times[i] * {counts} for i in np.unique(row_classes))",
    ], "drawn"
