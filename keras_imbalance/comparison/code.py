"""The code that a method of the table stands for."""

from typing import Any

from keras_imbalance._keras import optimizer_config
from keras_imbalance.comparison.method import PARTS, Method, Run
from keras_imbalance.comparison.training import head_of

LIKELIEST = ".argmax(-1)"
ENSEMBLE = """import keras
import keras_imbalance as ki


def compiled_model():
    model = build_model(x_train)
    model.compile({optimizer}, {plain_loss})
    return model


ensemble = {train}
ensemble.fit(x_train, y_train, batch_size={batch_size})
output_prior = ensemble.train_prior
probabilities = ensemble.predict_proba(x_validation)"""


def code_of(method: Method, context: dict[str, Any]) -> str:
    """Lines that build, train and decide as a method does, on class ids `y_train` and, where it decides, validation rows.

    Args:
        method: of the comparison.
        context: epochs, batch_size, switch_epoch, head, channels, optimizer, plain_loss, softmax, objective, and how to call
            functions for such labels: loss_form, several, ignored, classes, counts, natural, half_way, likeliest, one_class.
    """
    parts = {part: _part(method, part).format(**context) for part in PARTS if getattr(method, part) is not None}
    if "train" in parts:
        of_pairs = {**context, "likeliest": LIKELIEST}  # the ensemble gives both classes of one logit
        return "\n".join([ENSEMBLE.format(**context, **parts), *_decision(parts, of_pairs)]) + "\n"
    lines = ["import keras", "import keras_imbalance as ki", "", "model = build_model(x_train)"]
    if "rarest_classes(" in parts.get("sampler", ""):
        lines.insert(2, "from keras_imbalance.sampling import rarest_classes")
    if "head" in parts:
        lines += [
            f"features = model.get_layer({context['head']}).input",
            f"model = keras.Model(model.inputs, {parts['head']}(features))",
        ]
    lines.append(f"class_counts = {context['counts']}")
    if "sampler" in parts:
        lines.append(f"sampler = {parts['sampler']}")
    lines += [
        f"loss = {parts.get('loss', context['plain_loss'])}",
        f"model.compile({context['optimizer']}, loss)",
        _fit(parts, context),
        *_prior(parts, context),
        f"probabilities = keras.ops.convert_to_numpy({context['softmax']}(model.predict(x_validation)))",
        *_decision(parts, context),
    ]
    return "\n".join(lines) + "\n"


def _fit(parts, context):
    rows = (
        "sampler.dataset(), shuffle=False"
        if "sampler" in parts
        else f"x_train, y_train, batch_size={context['batch_size']}"
    )
    options = [f"epochs={context['epochs']}"]
    options += [f"{part}={parts[part]}" for part in ("class_weight", "callbacks") if part in parts]
    return f"model.fit({', '.join([rows, *options])})"


def _prior(parts, context):
    """What the probabilities speak for; nothing where a sampler draws rows of several classes."""
    if "LogitAdjustedLoss" in parts.get("loss", ""):
        return ["output_prior = loss.output_prior"]
    if "class_weight" in parts:
        return ['output_prior = ki.target_distribution(class_counts, "balanced")']
    if "sampler" not in parts:
        return [f"output_prior = {context['natural']}"]
    return ["output_prior = sampler.drawn_prior"] if context["one_class"] else []


def _decision(parts, context):
    if "decide" in parts:
        return [f"decision = {parts['decide']}", "decided = decision(probabilities)"]
    return [f"decided = probabilities{context['likeliest']}"]


def _part(method, part):
    """The code of a part, or what a function of the user's own is called."""
    if part in method.code:
        return method.code[part]
    function = getattr(method, part)
    name = getattr(function, "__qualname__", None)
    if name is None:
        return repr(function).replace("{", "{{").replace("}", "}}")
    return f"{name.replace('<', '').replace('>', '')}(run)  # `{part}` of {method.name}"


def context_of(run: Run, model: Any, optimizer: Any) -> dict[str, Any]:
    """What the code of every method of a comparison holds."""
    channels, head = model.outputs[0].shape[-1], head_of(model, run.head)
    names = [layer.name for layer in model.layers]
    return {
        "batch_size": run.batch_size,
        "epochs": run.epochs,
        "switch_epoch": run.switch_epoch,
        # Keras numbers its own names anew in each model.
        "head": repr(run.head) if run.head or not head else f"model.layers[{names.index(head) - len(names)}].name",
        "channels": channels,
        "optimizer": _optimizer_code(optimizer),
        "softmax": "keras.ops.sigmoid" if channels == 1 or run.data.multi_label else "keras.ops.softmax",
        **_of_labels(run, channels == 1),
    }


def _of_labels(run, one_logit):
    """How losses and functions are called for such labels."""
    several, ignored = run.data.multi_label, run.data.ignore_class
    of_several, of_ignored = (
        ", multi_label=True" if several else "",
        "" if ignored is None else f", ignore_class={ignored}",
    )
    loss = "BinaryCrossentropy" if one_logit or several else "SparseCategoricalCrossentropy"
    natural = "class_counts / class_counts.sum(axis=1, keepdims=True)" if several else "ki.class_prior(class_counts)"
    above_half = " > 0.5" if several else "[..., 0] > 0.5" if one_logit else ""
    return {
        "several": of_several,
        "ignored": of_ignored,
        "loss_form": f"from_logits=True{of_several}{of_ignored}",
        "plain_loss": f"keras.losses.{loss}(from_logits=True{of_ignored})",
        "counts": f"ki.count_classes(y_train{of_several}{of_ignored})",
        "classes": _sampled_by(run.data),
        "natural": natural,
        "prior": natural if run.prior_of_use is None else f"{run.prior_of_use.round(6).tolist()}",
        "half_way": f"({natural}) ** 0.75" if several else "ki.target_distribution(class_counts, 0.75)",
        "likeliest": above_half or LIKELIEST,
        "one_class": run.data.one_class,
    }


def _sampled_by(data):
    """What a sampler is told of rows that have no single class."""
    if data.one_class:
        return ""
    if data.multi_label or (data.ignore_class is None and data.y.ndim > 2):
        return ', classes="rarest"'
    ignored = "" if data.ignore_class is None else f", ignore_class={data.ignore_class}"
    return f", classes=rarest_classes(y_train[..., None]{ignored})"


def _optimizer_code(optimizer):
    """The call that makes such an optimizer; "optimizer" where it holds more than numbers and words."""
    try:
        defaults = optimizer_config(type(optimizer)())
    except TypeError:
        return "optimizer"
    changed = {name: value for name, value in optimizer_config(optimizer).items() if defaults.get(name) != value}
    if not all(isinstance(value, (bool, int, float, str)) for value in changed.values()):
        return "optimizer"
    values = (f"{name}={value:.6g}" if type(value) is float else f"{name}={value!r}" for name, value in changed.items())
    return f"keras.optimizers.{type(optimizer).__name__}({', '.join(values)})"
