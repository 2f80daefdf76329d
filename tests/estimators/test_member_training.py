"""How members are trained, one after another and side by side."""

import random

import numpy as np
import pytest
from ensembles import JIT, assert_same_weights, bag, in_graph, labelled, softmax_net, weights_of
from kerases import keras_3_only

from keras_imbalance._keras import keras

pytestmark = keras_3_only("BalancedBagging refuses it")


def test_a_member_is_what_keras_makes_of_its_rows():
    x, y = labelled()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y)).astype("float32")
    built = []

    def build(member):
        net = softmax_net(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), run_eagerly=False)
        built.append([value.copy() for value in net.get_weights()])
        return net

    bagging = bag(build, seed=3)
    bagging.fit(x, y, weights, batch_size=8, epochs=3, verbose=0)
    for i, rows in enumerate(bagging.rows):
        net = softmax_net(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
        net.set_weights(built[i])
        seen = []
        for epoch in range(3):
            order = np.random.default_rng([3, i, epoch]).permutation(rows)
            seen.append(tuple(order))
            for part in np.split(order, range(8, len(order), 8)):
                net.train_on_batch(x[part], y[part], sample_weight=weights[part])
        assert len(set(seen)) == 3
        assert_same_weights([bagging.members[i].get_weights()], [net.get_weights()], rtol=1e-5, atol=1e-6)
    assert any((a != b).any() for a, b in zip(*built, strict=True))  # each has initial weights of its own


@pytest.mark.parametrize("early", [pytest.param(False, marks=pytest.mark.slow), True])
def test_joint_training_gives_the_members_that_are_trained_in_turn(early):
    x, y = labelled()
    weights = np.linspace(0.5, 2, len(y)).astype("float32")
    validation = (*(part[:30] for part in labelled(seed=1)), weights[:30])

    def stop(member):
        # With a patience of 1 and a change that few epochs bring, members stop at different epochs.
        return [
            keras.callbacks.EarlyStopping("val_loss", min_delta=0.012, patience=1 + member, restore_best_weights=True)
        ]

    results = []
    for joint in (False, True):
        bagging = bag(softmax_net if early else in_graph, members=2, joint=joint, seed=2)
        bagging.fit(
            *(x, y, weights),
            batch_size=15,
            epochs=9,
            validation_data=validation,
            callbacks=stop if early else None,
            verbose=0,
        )
        results.append((weights_of(bagging), bagging.history, bagging.predict_members(x)))
    (weights, history, predicted), (joint_weights, joint_history, joint_predicted) = results
    assert_same_weights(joint_weights, weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(joint_predicted, predicted, atol=1e-5)
    epochs = [len(logs["val_loss"]) for logs in history]
    assert (len(set(epochs)) > 1 and min(epochs) < 9) if early else epochs == [9, 9]
    for logs, joint_logs in zip(history, joint_history, strict=True):
        assert sorted(logs) == sorted(joint_logs) == ["accuracy", "loss", "val_accuracy", "val_loss"]
        for key, values in logs.items():
            np.testing.assert_allclose(joint_logs[key], values, rtol=1e-4, atol=1e-5, err_msg=key)


def test_joint_training_keeps_penalties_normalization_and_several_inputs():
    x, y = labelled((40, 12))

    def build(run_eagerly):
        left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
        both = keras.layers.Concatenate()([left, right])
        both = keras.layers.BatchNormalization(momentum=0.5)(both)
        both = keras.layers.Dense(4, activation="relu", kernel_regularizer=keras.regularizers.L2(0.1))(both)
        net = keras.Model({"left": left, "right": right}, keras.layers.Dense(1, activation="sigmoid")(both))
        options = {"weighted_metrics": ["accuracy"], "run_eagerly": run_eagerly, "jit_compile": JIT}
        net.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", **options)
        return net

    inputs = {"left": x[:, :2], "right": x[:, 2:]}
    found = []
    for joint in (False, True):
        bagging = bag(lambda joint=joint: build(run_eagerly=not joint), joint=joint)
        history = bagging.fit(inputs, y, batch_size=8, epochs=2, verbose=0).history
        found.append(
            (weights_of(bagging), [logs["loss"] for logs in history], bagging.model.predict(inputs, verbose=0))
        )
    assert_same_weights(found[1][0], found[0][0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-5)
    np.testing.assert_allclose(found[1][2], found[0][2], atol=1e-5)


@pytest.mark.parametrize("joint", [False, True])
def test_the_seed_decides_everything_and_leaves_others_alone(joint):
    x, y = labelled()

    def build():
        net = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3, activation="softmax")]
        )
        net.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
        return net

    found = []
    for elsewhere, seed in enumerate((5, 5, 6)):
        random.seed(elsewhere)
        expected = random.random()
        random.seed(elsewhere)
        bagging = bag(build, joint=joint, seed=seed)
        bagging.fit(x, y, epochs=1, verbose=0)
        found.append(weights_of(bagging))
        assert random.random() == expected
    assert_same_weights(found[0], found[1])
    assert any((a != b).any() for a, b in zip(found[0][0], found[2][0], strict=True))


def test_fitting_again_starts_again():
    x, y = labelled()
    bagging = bag()
    bagging.fit(x, y, epochs=1, verbose=0)
    first = weights_of(bagging)
    bagging.fit(x, y, epochs=1, verbose=0)
    assert_same_weights(weights_of(bagging), first)


def test_forms_of_labels_train_alike():
    x, y = labelled()
    found = []
    for form, loss, classes in (
        (y, "sparse_categorical_crossentropy", None),
        (y[:, None], "sparse_categorical_crossentropy", None),
        (np.eye(3)[y], "categorical_crossentropy", None),
        (0.5 * np.eye(3)[y] + 0.5 * np.eye(3)[y], "categorical_crossentropy", y),
    ):
        bagging = bag(lambda loss=loss: softmax_net(loss=loss), members=1)
        bagging.fit(x, form, classes=classes, epochs=1, verbose=0)
        found.append(weights_of(bagging))
    for other in found[1:]:
        assert_same_weights(other, found[0], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras takes one batch a step there")
def test_several_batches_a_step_stay_within_their_epoch():
    x, y = labelled()
    found = []
    for build, options in (
        (softmax_net, {}),
        (lambda: in_graph(steps_per_execution=3), {"members": 1}),  # the first of them
        (lambda: in_graph(steps_per_execution=3), {"joint": True}),
    ):
        bagging = bag(build, **options).fit(
            x, y, batch_size=8, epochs=3, verbose=0
        )  # 4 batches an epoch, the last of 6 rows
        found.append((weights_of(bagging), [logs["loss"] for logs in bagging.history]))
    for weights, losses in found[1:]:
        assert_same_weights(weights, found[0][0][: len(weights)], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses, found[0][1][: len(losses)], rtol=1e-4)


def test_penalties_of_activities_are_trained_or_refused_side_by_side():
    x, y = labelled((40, 12))

    def build():
        net = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(1, activation="sigmoid", activity_regularizer=keras.regularizers.L2(1.0)),
            ]
        )
        net.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", run_eagerly=True)
        return net

    alone = bag(build)
    alone.fit(x, y, epochs=2, verbose=0)
    joint = bag(build, joint=True)
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match="`joint` must be False for members with losses of activities"):
            joint.fit(x, y, epochs=2, verbose=0)
        return
    joint.fit(x, y, epochs=2, verbose=0)
    assert_same_weights(weights_of(joint), weights_of(alone), rtol=1e-4, atol=1e-5)
