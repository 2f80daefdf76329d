"""Arguments and parts of methods that cannot work say so, before any training or as a row of the table."""

import numpy as np
import pytest
from kerases import keras_3_only, needs_multi_optimizer
from planted import PLAIN, bayes, drawn, net

from keras_imbalance import ClassBalancedLoss, Comparison, FocalLoss, Method, compare_methods, layerwise_optimizer
from keras_imbalance._core import columns_of
from keras_imbalance._keras import keras
from keras_imbalance.comparison.code import code_of
from keras_imbalance.comparison.nets import head_of, position_of
from keras_imbalance.comparison.schedule import jobs_of

pytestmark = keras_3_only("compare_methods needs Keras 3")


def compared(*methods, **options):
    x, y = drawn((90, 60, 30), 0)
    options = {"methods": [PLAIN, *methods], "splits": 1, "epochs": 1, "verbose": 0, **options}
    return compare_methods(net, x, y, **options)


@pytest.mark.parametrize("n_jobs", [0, "2", 1.5, None, True])
def test_what_is_no_number_of_processes_is_refused(n_jobs):
    with pytest.raises(ValueError, match="`n_jobs` must be a whole number"):
        jobs_of(n_jobs)


def test_a_head_is_the_layer_in_its_place_in_every_net():
    """Keras numbers the names of layers anew in each net."""

    def build():
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), keras.layers.Dense(3), keras.layers.ReLU()])

    one, other = build(), build()
    assert one.layers[0].name != other.layers[0].name
    for layer in (0, 1):
        assert head_of(other, position_of(one, one.layers[layer].name)) == other.layers[layer].name
    assert head_of(other, position_of(one, None)) == other.layers[1].name
    with pytest.raises(ValueError, match=r"`head` must be one of .*Give the layer a name"):
        position_of(other, one.layers[0].name)


def backbone():
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(4)])


def on(base, optimizer=None):
    """A function that builds nets on one backbone, with one optimizer."""

    def build_model(x_train):
        model = keras.Sequential([keras.Input((1,)), base, keras.layers.Dense(3)])
        return model if optimizer is None else (model, optimizer)

    return build_model


def test_nets_that_share_what_trains_are_refused_before_any_training():
    """They would go on from each other: the second method from the weights of the first, on its test rows."""
    x, y = drawn((90, 60, 30), 0)
    one, frozen = on(backbone())(x), backbone()
    frozen.trainable = False
    options = {"methods": [PLAIN], "splits": 1, "epochs": 1, "verbose": 0}
    shared = {"kernel": on(backbone()), "bias": lambda x: one, "the optimizer": on(frozen, keras.optimizers.SGD())}
    for what, build_model in shared.items():
        with pytest.raises(ValueError, match=f"`build_model` must make all layers that train.*{what}"):
            compare_methods(build_model, x, y, **options)
    assert list(compare_methods(on(frozen), x, y, **options).test) == ["plain"]


def test_a_seed_may_be_a_number_of_numpy():
    one, other = compared(seed=np.int64(3)), compared(seed=3)
    assert one.test["plain"] == other.test["plain"]


def test_an_optimizer_may_be_a_name():
    x, y = drawn((90, 60, 30), 0)
    options = {"methods": [PLAIN], "splits": 1, "epochs": 1, "verbose": 0}
    found = compare_methods(lambda x: (net(x), "sgd"), x, y, **options)
    assert "model, optimizer = build_model(x_train)" in code_of(Method("plain"), found.context)
    for wrong in ("sdg", 0.1):
        with pytest.raises(ValueError, match=r"`build_model` must give .* with an optimizer"):
            compare_methods(lambda x, wrong=wrong: (net(x), wrong), x, y, **options)


def test_a_loss_of_probabilities_is_a_row_with_a_reason():
    losses = {
        "text": lambda run: "sparse_categorical_crossentropy",
        "keras": lambda run: keras.losses.SparseCategoricalCrossentropy(),
        "focal": lambda run: FocalLoss(),
        "inner": lambda run: ClassBalancedLoss(run.class_counts, loss=FocalLoss(reduction=None)),
    }
    reasons = compared(*(Method(name, loss=loss) for name, loss in losses.items())).reasons
    assert list(reasons) == list(losses)
    assert all("the net gives logits, and" in reason for reason in reasons.values())


def test_a_loss_of_logits_trains():
    losses = {
        "inner": lambda run: ClassBalancedLoss(run.class_counts, loss=FocalLoss(from_logits=True, reduction=None)),
        "own": lambda run: lambda y, logits: keras.ops.mean(logits**2, axis=-1),
    }
    assert not compared(*(Method(name, loss=loss) for name, loss in losses.items())).reasons


@pytest.mark.parametrize("kind", ["accumulates", pytest.param("one a layer", marks=needs_multi_optimizer), "skips"])
def test_what_an_optimizer_counts_is_its_own(kind):
    """Of gradients that are accumulated, layers that are frozen, and steps that overflow, optimizers count fewer steps."""
    x, y = drawn((90, 60, 30), 0)

    def build_model(x_train):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4), keras.layers.Dense(3)])
        optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2 if kind == "accumulates" else None)
        if kind == "one a layer":
            optimizer = layerwise_optimizer(model, optimizer, {model.layers[0].name: 0.1})
        return model, keras.optimizers.LossScaleOptimizer(optimizer, 1e38) if kind == "skips" else optimizer

    options = {"methods": ["plain", "cRT"], "splits": 1, "epochs": 2, "verbose": 0}
    assert not compare_methods(build_model, x, y, **options).reasons


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="text inside a net needs TensorFlow")
def test_text_reaches_a_net_with_and_without_a_sampler():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [70, 30]))

    def build_model(texts):
        words = keras.layers.TextVectorization(output_mode="multi_hot")
        words.adapt(texts)
        model = keras.Sequential([keras.Input((), dtype="string"), words, keras.layers.Dense(2)])
        return model, keras.optimizers.SGD(1.0)

    options = {
        "methods": ["plain", "matched pair", "bagging"],
        "splits": 1,
        "epochs": 10,
        "batch_size": 10,
        "verbose": 0,
    }
    found = compare_methods(build_model, np.array(["all is well", "down again"])[y], y, **options)
    assert not found.reasons
    assert found.test["plain"]["macro_recall"] == 1


def test_class_weights_are_a_dict_and_1_for_a_class_without():
    """Keras's fit counts the rows of such a class once."""
    given = {"array": lambda run: np.ones(3), "of one class": lambda run: {2: 2.0}}
    given["of all"] = lambda run: {0: 1.0, 1: 1.0, 2: 2.0}
    found = compared(*(Method(name, class_weight=weights) for name, weights in given.items()))
    assert "`class_weight` must give a dict" in found.reasons["array"]
    for score, values in found.test["of all"].items():
        np.testing.assert_array_equal(found.test["of one class"][score], values)


RULES = {
    "(N, 1)": lambda p: p.argmax(axis=1)[:, None],
    "one row": lambda p: p.argmax(axis=1)[:1],
    "a share": lambda p: p[:, 1],
    "class 3": lambda p: np.full(len(p), 3),
}


def test_parts_of_methods_that_fail_are_rows_with_a_reason():
    methods = [Method(name, train=bayes, decide=lambda run, p, y, rule=rule: rule) for name, rule in RULES.items()]
    found = compared(
        *methods,
        Method("no rule", train=bayes, decide=lambda run, p, y: p),
        Method("raises", train=bayes, needs=lambda run: run.foo),
    )
    assert list(found.test) == ["plain"]
    reasons = found.reasons
    assert "left out: its `needs` failed: AttributeError" in reasons["raises"]
    for name in ("(N, 1)", "one row"):
        assert "`decide` must give a function from probabilities to class ids (N,)" in reasons[name]
        assert "Received: shape (" in reasons[name]
    assert "`decisions` must hold class ids, which are whole numbers" in reasons["a share"]
    assert "`decisions` must hold class ids from 0 below 3" in reasons["class 3"]
    assert "`decide` must give a function from probabilities to decisions" in reasons["no rule"]


def test_notes_are_wrapped_by_the_columns_of_a_terminal():
    name = "少数类重采样方法" * 9
    found = Comparison([Method(name)], "macro_recall", 1, 0.3)
    found.remove(
        Method(name), "left out: the net has no Dense layer to renew, and none of its others can take its place"
    )
    for width in (60, 100):
        lines = found.table(width=width).splitlines()
        assert width - 2 <= max(map(columns_of, lines)) <= width
        assert "".join("".join(lines).split()) == f"{name}:{found.reasons[name]}.".replace(" ", "")
