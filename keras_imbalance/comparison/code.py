"""The code that a method of the table stands for."""

from typing import Any

from keras_imbalance.comparison.method import PARTS, Method

ENSEMBLE = """import keras
import keras_imbalance as ki


def compiled_model():
    model = build_model(x_train)
    model.compile({optimizer}, {plain_loss})
    return model


ensemble = {train}
ensemble.fit(x_train, y_train, batch_size={batch_size})
output_prior = ensemble.train_prior
probabilities = ensemble.predict(x_validation)"""


def code_of(method: Method, context: dict[str, Any]) -> str:
    """Lines that build, train and decide as a method does, on class ids `y_train` and, where it decides, validation rows.

    Args:
        method: of the comparison.
        context: epochs, batch_size, switch_epoch, head, channels, optimizer, plain_loss, softmax and objective.
    """
    parts = {part: _part(method, part).format(**context) for part in PARTS if getattr(method, part) is not None}
    if "train" in parts:
        return "\n".join([ENSEMBLE.format(**context, **parts), *_decision(parts, context)]) + "\n"
    lines = ["import keras", "import keras_imbalance as ki", "", "model = build_model(x_train)"]
    if "head" in parts:
        lines += [
            f"features = model.get_layer({context['head']}).input",
            f"model = keras.Model(model.inputs, {parts['head']}(features))",
        ]
    lines.append("class_counts = ki.count_classes(y_train)")
    if "sampler" in parts:
        lines.append(f"sampler = {parts['sampler']}")
    lines += [
        f"loss = {parts.get('loss', context['plain_loss'])}",
        f"model.compile({context['optimizer']}, loss)",
        _fit(parts, context),
        f"output_prior = {_prior(method, parts)}",
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


def _prior(method, parts):
    """What the probabilities speak for."""
    if "LogitAdjustedLoss" in parts.get("loss", ""):
        return "loss.output_prior"
    if "class_weight" in parts:
        return 'ki.target_distribution(class_counts, "balanced")'
    return "sampler.drawn_prior" if "sampler" in parts else "ki.class_prior(class_counts)"


def _decision(parts, context):
    if "decide" in parts:
        return [f"decision = {parts['decide']}", "decided = decision(probabilities)"]
    return [
        "decided = (probabilities[:, 0] > 0.5).astype(int)"
        if context["channels"] == 1
        else "decided = probabilities.argmax(-1)"
    ]


def _part(method, part):
    """The code of a part, or what a function of the user's own is called."""
    if part in method.code:
        return method.code[part]
    function = getattr(method, part)
    name = getattr(function, "__qualname__", None)
    if name is None:
        return repr(function).replace("{", "{{").replace("}", "}}")
    return f"{name.replace('<', '').replace('>', '')}(run)  # `{part}` of {method.name}"
