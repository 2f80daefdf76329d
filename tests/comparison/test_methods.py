"""What a method is, which there are, and that the code it stands for does what it does."""

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from kerases import keras_3_only
from planted import COUNTS, drawn, net

import keras_imbalance as ki
from keras_imbalance import Method, compare_methods
from keras_imbalance._keras import keras
from keras_imbalance.comparison.catalogue import DEFAULT, methods_of
from keras_imbalance.comparison.code import code_of, context_of
from keras_imbalance.comparison.method import Run
from keras_imbalance.comparison.nets import default_optimizer
from keras_imbalance.comparison.remedies import weighted
from keras_imbalance.comparison.rows import data_of
from keras_imbalance.comparison.splits import Split
from keras_imbalance.comparison.training import fitted

pytestmark = keras_3_only("compare_methods needs Keras 3")
DEFAULTS = {method.name: method for method in DEFAULT}
TRAINED = {method.training: method for method in reversed(DEFAULT)}


def run_of(x, y, epochs=5):
    rows = np.split(np.arange(len(y)), [int(0.6 * len(y)), int(0.8 * len(y))])
    return Run(data_of(x, y), Split(*rows), 32, epochs, 0, cost_matrix=1 - np.eye(3))


def context_for(run, model):
    return {**context_of(run, model, default_optimizer()), "objective": "f1"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Method(3), "`name` must be text"),
        (lambda: Method("m", loss=ki.FocalLoss(from_logits=True), sampler=3), "`sampler` must be None or a function"),
        (lambda: Method("m", decide=0.5), "`decide` must be None or a function"),
        (lambda: Method("m", train=print, loss=print), "`train` must stand alone"),
        (lambda: Method("m", settings={"los": "x"}), "Did you mean 'loss'"),
        (lambda: methods_of("all"), "`methods` must be one of 'default'"),
        (lambda: methods_of(["matched par"]), "Did you mean 'matched pair'"),
        (lambda: methods_of([print]), "names of methods, or Methods"),
        (lambda: methods_of([Method("a"), Method("a")]), "different names"),
    ],
)
def test_bad_methods(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_plain_training_is_always_among_them_and_decisions_share_it():
    assert [method.name for method in methods_of(["focal loss"])] == ["plain", "focal loss"]
    assert len(methods_of("default")) == len(DEFAULT)
    plain = [method.name for method in DEFAULT if method.training == DEFAULTS["plain"].training]
    assert plain == [name for name in DEFAULTS if name.startswith("plain")]
    assert DEFAULTS["matched pair"].training == DEFAULTS["matched pair, macro-F1 decision"].training


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("SMOTE", {"x": np.arange(100)[:, None]}, "whole numbers"),
        ("SMOTE", {"x": np.full((100, 1), np.nan)}, "NaN"),
        ("SMOTE", {"y": np.repeat([0, 1, 2], [59, 1, 40])}, "class 1 has one training row"),
        ("two-phase learning", {"epochs": 1}, "two epochs"),
        ("plain, macro-F1 decision", {}, "20 validation rows; about 500"),
        ("plain, tuned thresholds", {"y": np.repeat([0, 1, 2], [79, 1, 20])}, "fewer than 2 validation rows of class 1"),
    ],
)  # fmt: skip
def test_a_method_that_does_not_suit_says_why(name, change, reason):
    x, y = np.zeros((100, 1)), np.arange(100) % 3
    run = run_of(**{"x": x, "y": y, **change})
    assert reason in DEFAULTS[name].unsuited(run)


def test_a_net_without_a_dense_head_suits_no_retraining():
    run = run_of(np.zeros((100, 1)), np.arange(100) % 3)
    assert "no Dense layer" in DEFAULTS["cRT"].unsuited(run)
    run.model, run.head = (
        keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, name="d"), keras.layers.ReLU()]),
        "d",
    )
    assert DEFAULTS["cRT"].unsuited(run) is None
    assert "does not end in a Dense layer" in DEFAULTS["LDAM-DRW"].unsuited(run)


@pytest.mark.parametrize("name", ["logit adjustment", "class-balanced loss", "focal loss", "matched pair", "LDAM-DRW"])
def test_the_code_makes_the_loss_that_is_compared(name, monkeypatch):
    """The whole code runs, with fit left out, on the net of the comparison."""
    x, y = drawn(COUNTS, 0)
    monkeypatch.setattr(keras.Model, "fit", lambda self, *data, **options: None)
    run = run_of(x, y)
    names = {"build_model": net, "x_train": run.x, "y_train": run.y, "x_validation": run.validation[0]}
    exec(code_of(DEFAULTS[name], context_for(run, net(x))), names)
    if DEFAULTS[name].sampler is not None:
        run.sampler = DEFAULTS[name].sampler(run)
    assert names["loss"].get_config() == DEFAULTS[name].loss(run).get_config()
    assert names["decided"].shape == run.validation[1].shape


def test_the_code_for_one_logit_decides_between_two_classes(monkeypatch):
    x, y = drawn((900, 100), 0)
    monkeypatch.setattr(keras.Model, "fit", lambda self, *data, **options: None)
    run = run_of(x, y)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[1.0]]), np.array([-2.5])])
    context = context_for(run, model)
    names = {"build_model": lambda x: model, "x_train": run.x, "y_train": run.y, "x_validation": run.validation[0]}
    exec(code_of(DEFAULTS["plain, adjusted afterwards"], context), names)
    rare = 1 / (1 + np.exp(2.5 - run.validation[0][:, 0].astype(float)))
    expected = rare / run.prior[1] > (1 - rare) / run.prior[0]
    np.testing.assert_array_equal(names["decided"], expected)
    assert 0 < expected.sum() < len(expected)
    exec(code_of(DEFAULTS["plain"], context), names)
    np.testing.assert_array_equal(names["decided"], rare > 0.5)


@pytest.mark.parametrize("name", list(DEFAULTS))
def test_every_method_has_code_that_python_reads(name):
    x, y = drawn(COUNTS, 0)
    code = code_of(DEFAULTS[name], context_for(run_of(x, y), net(x)))
    compile(code, name, "exec")
    assert "{" not in code.replace("{0", "")


@pytest.mark.parametrize(
    "method",
    [
        Method("a", sampler=lambda run: run.new_sampler(), loss=weighted),
        Method("b", sampler=lambda run: run.new_sampler("sqrt"), loss=DEFAULTS["logit adjustment"].loss),
        Method("c", sampler=lambda run: run.new_sampler(), class_weight=DEFAULTS["class_weight"].class_weight),
        Method("d", loss=DEFAULTS["logit adjustment"].loss, class_weight=DEFAULTS["class_weight"].class_weight),
        Method("e", sampler=RandomOverSampler(), class_weight=DEFAULTS["class_weight"].class_weight),
    ],
    ids=lambda method: method.name,
)  # fmt: skip
def test_two_corrections_of_the_class_shares_are_refused(method):
    x, y = drawn(COUNTS, 0)
    run = run_of(x, y)
    run.new_model = lambda: (net(x), keras.optimizers.Adam())
    with pytest.raises(ValueError, match="correct the class shares twice"):
        fitted(run, method)


def softmax_net(x):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, activation="softmax")])


def compiled_net(x):
    model = net(x)
    model.compile("adam", "mse")
    return model


def named_output():
    inputs = keras.Input((1,))
    return keras.Model(inputs, {"scores": keras.layers.Dense(3)(inputs)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"build_model": softmax_net}, "`build_model` must give logits"),
        ({"build_model": compiled_net}, "not compiled"),
        ({"build_model": lambda x: keras.Sequential([keras.Input((1,)), keras.layers.Dense(4)])}, r"logits of shape \(N, 3\)"),
        ({"build_model": lambda x: "net"}, "functional or sequential model"),
        ({"build_model": lambda x: named_output()}, "a model of 1 outputs by name"),
        ({"build_model": lambda x: keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)])}, "takes rows of x"),
        ({"head": "top"}, "`head` must be one of"),
        ({"metric": "accuracy"}, "`metric` must be one of"),
        ({"metric": "cost"}, "`cost_matrix` must be given"),
        ({"cost_matrix": np.ones((2, 2))}, "`cost_matrix` must be 3 x 3"),
        ({"time_limit": -1}, "`time_limit` must be"),
        ({"train": (1, 2)}, "`train` must come with validation= and test= as pairs"),
        ({"epochs": 0}, "`epochs` must be a whole number"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_before_training(options, said):
    x, y = drawn((30, 20, 10), 0)
    with pytest.raises(ValueError, match=said):
        compare_methods(**{"build_model": net, "x": x, "y": y, "epochs": 1, "verbose": 0, **options})
