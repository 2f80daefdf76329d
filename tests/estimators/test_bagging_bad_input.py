"""What BalancedBagging refuses, before anything is trained."""

from pathlib import Path

import numpy as np
import pytest
from ensembles import backbone_and_head, labelled, sigmoid_net, softmax_net
from kerases import keras_3_only

from keras_imbalance import BalancedBagging
from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"build_model": None}, "build_model"),
        ({"build_model": lambda a, b: None}, "build_model"),
        ({"num_members": 0}, "num_members"),
        ({"num_members": 2.5}, "num_members"),
        ({"num_members": True}, "num_members"),
        ({"sampling": "oversample"}, "sampling"),
        ({"joint": 1}, "joint"),
        ({"from_logits": None}, "from_logits"),
        ({"seed": -1}, "seed"),
        ({"ratio": 0.5}, "ratio"),
        ({"ratio": np.inf}, "ratio"),
        ({"ratio": np.nan}, "ratio"),
        ({"ratio": True}, "ratio"),
        ({"ratio": "5"}, "ratio"),
        ({"ratio": [1, 2]}, "ratio"),
        ({"max_repeats": 0}, "max_repeats"),
        ({"max_repeats": "3"}, "max_repeats"),
        ({"oob_score": 1}, "oob_score"),
        ({"build_model": lambda a, class_counts, b: None}, "build_model"),
        ({"shared_backbone": "resnet"}, "shared_backbone"),
    ],
)
def test_arguments_are_checked(arguments, match):
    with pytest.raises(ValueError, match=f"`{match}` must"):
        BalancedBagging(**{"build_model": softmax_net, **arguments})


def uncompiled():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


def without_input():
    net = keras.Sequential([keras.layers.Dense(3)])
    net.compile("sgd", "mse")
    return net


def with_two_outputs():
    inputs = keras.Input((4,))
    net = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])
    net.compile("sgd", "mse")
    return net


def logits_net():
    return softmax_net(None, 3, None, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))


SHARED = []


def the_same_net():
    if not SHARED:
        SHARED.append(softmax_net())
    return SHARED[0]


class OneForAll(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise AssertionError("training has begun")


ONE = OneForAll()


@pytest.mark.parametrize(
    ("build", "options", "fit", "match"),
    [
        (lambda: "net", {}, {}, "`build_model` must return a Keras model"),
        (uncompiled, {}, {}, "compiled with an optimizer and a loss"),
        (without_input, {}, {}, "known inputs and one output"),
        (with_two_outputs, {}, {}, "known inputs and one output"),
        (the_same_net, {}, {}, "`build_model` must make new weights in every call"),
        (lambda member: softmax_net(None, 3 + member), {}, {}, "the same inputs and outputs"),
        (logits_net, {}, {}, "`from_logits` must be True"),
        (softmax_net, {"from_logits": True}, {}, "`from_logits` must be False"),
        (sigmoid_net, {}, {}, "`y` must hold .* below 2"),
        (softmax_net, {"shared_backbone": True}, {}, "heads that take the output of `shared_backbone`"),
        (softmax_net, {}, {"callbacks": [ONE]}, "`callbacks` must be a function"),
        (softmax_net, {}, {"callbacks": lambda: [ONE]}, "new callbacks in every call"),
        (softmax_net, {}, {"callbacks": lambda: ["early"]}, "`callbacks` must make a list of callbacks"),
        (
            softmax_net,
            {"joint": True},
            {"callbacks": lambda: [keras.callbacks.ReduceLROnPlateau()]},
            "leave the learning rate alone",
        ),
        (
            lambda member: softmax_net(optimizer=keras.optimizers.SGD(0.1 + member)),
            {"joint": True},
            {},
            "`joint` must be False for members with different optimizers",
        ),
        (
            lambda: softmax_net(optimizer=keras.optimizers.SGD(0.1, global_clipnorm=1.0)),
            {"joint": True},
            {},
            "`joint` must be False for an optimizer with global_clipnorm",
        ),
        (softmax_net, {"joint": True}, {"resume_dir": "members"}, "`resume_dir` must be None with joint=True"),
        (softmax_net, {}, {"resume_dir": __file__}, "`resume_dir` must be a folder"),
        (softmax_net, {}, {"epochs": 0}, "`epochs` must"),
        (softmax_net, {}, {"batch_size": 0}, "`batch_size` must"),
        (softmax_net, {}, {"verbose": 3}, "`verbose` must"),
        (softmax_net, {}, {"x": labelled()[0][:9]}, "the same number of rows"),
        (softmax_net, {}, {"x": 3.0}, "`x` must be an array"),
        (softmax_net, {}, {"sample_weight": np.ones(5)}, "the same number of rows"),
        (
            softmax_net,
            {},
            {"sample_weight": np.r_[np.ones(7), -1, np.ones(84)]},
            "not negative. Received: -1.0 in row 7",
        ),
        (
            softmax_net,
            {},
            {"sample_weight": {0: 1, 1: 9}},
            r"`sample_weight` must hold weights of rows.*numpy.array\(weights\)\[y\]",
        ),
        (softmax_net, {}, {"sample_weight": np.full(92, np.nan)}, "`sample_weight` must hold finite weights"),
        (softmax_net, {}, {"sample_weight": np.full(92, "1")}, "`sample_weight` must hold finite weights"),
        (
            softmax_net,
            {},
            {"sample_weight": 1.0 * (labelled()[1] < 2)},
            "`sample_weight` must let rows of every class count.* class 2",
        ),
        (
            softmax_net,
            {},
            {"validation_data": (*labelled(), np.full(92, np.inf))},
            "`validation sample_weight` must hold finite weights",
        ),
        (
            softmax_net,
            {},
            {"validation_data": (*labelled(), np.ones((92, 2)))},
            "`validation sample_weight` must have one",
        ),
        (softmax_net, {}, {"validation_data": labelled()[0]}, r"`validation_data` must be arrays \(x, y\)"),
        (softmax_net, {}, {"y": np.zeros(92, int)}, "`y` must hold rows of each of 3 classes.*class 1, 2"),
        (
            softmax_net,
            {},
            {"classes": np.ones(92, int)},
            "`classes` must hold rows of at least two classes.*class 1 alone",
        ),
        (softmax_net, {}, {"y": np.full(92, 0.5)}, "`y` must hold class ids, which are whole"),
        (softmax_net, {}, {"y": np.arange(92) % 4}, "`y` must hold .* below 3"),
        (softmax_net, {}, {"y": np.arange(92) % 2}, "`y` must hold rows of each of 3 classes.*class 2.*`classes`"),
        (softmax_net, {}, {"y": {"a": np.zeros(92)}}, "`classes`"),
        (softmax_net, {}, {"classes": np.zeros(5, int)}, "`classes` must hold the class of each of 92 rows"),
        (softmax_net, {}, {"x": np.zeros((92, 7))}, "must suit the models"),
        (softmax_net, {}, {"sample_weight": np.ones((92, 2))}, "`sample_weight` must have one value a row"),
        (softmax_net, {}, {"validation_data": (np.zeros((3, 4)), np.zeros(2))}, "the same number of rows"),
        (softmax_net, {"joint": True}, {"validation_data": "rows"}, "`validation_data` must be arrays"),
        (softmax_net, {"target": "even"}, {}, "`target` must be one of 'natural'"),
        (softmax_net, {"target": {2: 1.0}}, {}, "`target` must give every class that has rows a share.* class 0, 1"),
        (softmax_net, {"target": {"a": 0.5}}, {}, "`target` must have a class id from 0 to 2 as each key"),
        (
            softmax_net,
            {"oob_score": True},
            {},
            "`oob_score` must be False where every member holds all rows.* class 2.*0.8",
        ),
        (
            softmax_net,
            {"oob_score": True, "sampling": "bootstrap"},
            {"classes": labelled()[1]},
            "`oob_score` must be False where `classes` are given",
        ),
        (
            softmax_net,
            {},
            {"validation_data": (labelled()[0], np.full(92, "a"))},
            "`validation_data` must hold class ids",
        ),
        (softmax_net, {}, {"y": np.array(["a", "b"])[labelled()[1] % 2]}, "`y` must hold rows of each of 3 classes"),
        (softmax_net, {}, {"classes": np.where(np.arange(92) < 9, 10**7, 0)}, "`classes` must hold class ids below"),
        (softmax_net, {}, {"y": np.where(np.arange(92) < 9, 10**7, 0)}, "`y` must hold class ids below"),
    ],
)
def test_bad_input_is_refused_before_training(build, options, fit, match):
    if options.get("shared_backbone"):
        options = {"shared_backbone": backbone_and_head()[0]}
    x, y = labelled()
    fit = {"x": x, "y": y, "callbacks": lambda: [OneForAll()], **fit}
    bagging = BalancedBagging(build, num_members=2, **options)
    with pytest.raises(ValueError, match=match):
        bagging.fit(**fit, **({} if "verbose" in fit else {"verbose": 0}))
    for early in (lambda: bagging.model, lambda: bagging.train_prior, lambda: bagging.predict(x)):
        with pytest.raises(ValueError, match="`fit` must come first"):
            early()
    assert not Path("members").exists()
