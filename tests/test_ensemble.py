"""BalancedBagging: which rows a member sees, how it is trained, and what the one model gives."""

import json
import os
import random
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import keras_3_only

from keras_imbalance import BalancedBagging, correct_prior
from keras_imbalance.backend import keras
from keras_imbalance.ensemble import disagreement, member_rows
from keras_imbalance.ensemble.rows import deal
from keras_imbalance.losses import FocalLoss

pytestmark = keras_3_only("BalancedBagging refuses it")

COUNTS = (60, 22, 10)


def labelled(counts=COUNTS, features=4, seed=0):
    """Rows of as many classes as there are counts, in mixed order; each class lies around a corner of its own."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (rng.normal(size=(len(y), features)) + np.eye(features)[y]).astype("float32"), y


def softmax_net(
    member=None, channels=3, activation="softmax", metrics=("accuracy",), optimizer=None, loss=None, run_eagerly=True
):
    net = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(channels, activation=activation),
        ]
    )
    binary = channels == 1
    loss = loss or ("binary_crossentropy" if binary else "sparse_categorical_crossentropy")
    # A graph costs more to make than so small a net to train; the tests that compare ways of training make it.
    net.compile(optimizer or keras.optimizers.Adam(0.02), loss, metrics=list(metrics), run_eagerly=run_eagerly)
    return net


def in_graph():
    return softmax_net(run_eagerly=False)


def sigmoid_net():
    return softmax_net(channels=1, activation="sigmoid")


def bag(build=softmax_net, members=2, **options):
    return BalancedBagging(build, members, **options)


def weights_of(bagging):
    return [member.get_weights() for member in bagging.members]


def assert_same_weights(got, expected, **tolerance):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, **tolerance) if tolerance else np.testing.assert_array_equal(a, b)


# Which rows


@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_rows_are_dealt_evenly_and_none_twice_to_a_hand(number, hands, data):
    size = data.draw(st.integers(1, number))
    rows = np.arange(100, 100 + number)
    dealt = deal(rows, hands, size, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert dealt.shape == (hands, size)
    for i, hand in enumerate(dealt):
        assert len(set(hand)) == size
        so_far = Counter(dealt[: i + 1].reshape(-1).tolist())
        times = [so_far[row] for row in rows.tolist()]
        assert sum(times) == (i + 1) * size
        assert max(times) - min(times) <= 1


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 8), st.integers(0, 99))
def test_members_hold_the_whole_minority_and_together_all_rows(counts, members, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 2, counts))
    size = min(counts)
    for sampling in ("undersample", "bootstrap"):
        rows = member_rows(classes, members, sampling, seed)
        np.testing.assert_array_equal(rows, member_rows(classes, members, sampling, seed))
        for own in rows:
            assert set(np.unique(classes[own], return_counts=True)[1]) == {size}
            for i, count in enumerate(counts):
                if count == size:
                    np.testing.assert_array_equal(own[classes[own] == 2 * i], np.flatnonzero(classes == 2 * i))
    rows = member_rows(classes, members, "undersample", seed)
    assert all(len(set(own)) == len(own) for own in rows.tolist())
    for i, count in enumerate(counts):
        used = np.unique(rows[classes[rows] == 2 * i])
        assert len(used) == min(count, members * size)


def test_member_counts_are_those_of_imbalanced_learn():
    from imblearn.ensemble import BalancedBaggingClassifier
    from sklearn.dummy import DummyClassifier

    seen = []

    class Recorder(DummyClassifier):
        def fit(self, x, y):
            seen.append(np.bincount(y, minlength=3).tolist())
            return super().fit(x, y)

    x, y = labelled()
    BalancedBaggingClassifier(Recorder(), n_estimators=4, bootstrap=False, random_state=0).fit(x, y)
    assert [np.bincount(y[own]).tolist() for own in member_rows(y, 4)] == seen


@given(st.lists(st.integers(1, 30), min_size=2, max_size=4), st.integers(1, 6), st.floats(1, 40), st.integers(0, 99))
def test_of_other_classes_members_hold_the_ratio_or_all(counts, members, ratio, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    expected = np.minimum(counts, round(ratio * min(counts)))
    for sampling in ("undersample", "bootstrap"):
        rows = member_rows(classes, members, sampling, seed, ratio)
        for own in rows:
            np.testing.assert_array_equal(np.bincount(classes[own]), expected)
            for i, count in enumerate(counts):
                if count == expected[i]:
                    np.testing.assert_array_equal(own[classes[own] == i], np.flatnonzero(classes == i))
        if sampling == "undersample":
            assert all(len(set(own)) == len(own) for own in rows.tolist())
            used = [len(np.unique(rows[classes[rows] == i])) for i in range(len(counts))]
            np.testing.assert_array_equal(used, np.minimum(counts, members * expected))


@pytest.mark.parametrize("ratio", [2, 5, 100])
def test_the_ratio_is_that_of_imbalanced_learn(ratio):
    from imblearn.under_sampling import RandomUnderSampler

    x, y = labelled((300, 12))
    share = max(1 / ratio, 12 / 300)  # theirs refuses more rows of the rest than there are
    _, kept = RandomUnderSampler(sampling_strategy=share, random_state=0).fit_resample(x, y)
    for own in member_rows(y, 3, ratio=ratio):
        np.testing.assert_array_equal(np.bincount(y[own]), np.bincount(kept))


def test_members_draw_different_rows_and_seeds_change_them():
    _, y = labelled((200, 20))
    rows = member_rows(y, 5, "undersample")
    assert len({tuple(own) for own in rows.tolist()}) == 5
    assert (rows != member_rows(y, 5, "undersample", seed=1)).any()
    repeated = member_rows(y, 5, "bootstrap")
    assert any(len(set(own)) < len(own) for own in repeated.tolist())
    # Drawn with replacement, the rows that no member uses are many; dealt out, there are none beyond 5 * 20 of 200.
    assert len(np.unique(repeated[y[repeated] == 0])) < len(np.unique(rows[y[rows] == 0])) == 100


# Training


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


@pytest.mark.parametrize("early", [False, True])
def test_joint_training_gives_the_members_that_are_trained_in_turn(early):
    x, y = labelled()
    weights = np.linspace(0.5, 2, len(y)).astype("float32")
    validation = (*labelled(seed=1), weights)

    def stop(member):
        # With a patience of 1 and a change that few epochs bring, members stop at different epochs.
        return [
            keras.callbacks.EarlyStopping("val_loss", min_delta=0.012, patience=1 + member, restore_best_weights=True)
        ]

    results = []
    for joint in (False, True):
        bagging = bag(in_graph, members=3, joint=joint, seed=2)
        history = bagging.fit(
            *(x, y, weights),
            batch_size=7,
            epochs=9,
            validation_data=validation,
            callbacks=stop if early else None,
            verbose=0,
        )
        results.append((weights_of(bagging), history, bagging.predict_members(x)))
    (weights, history, predicted), (joint_weights, joint_history, joint_predicted) = results
    assert_same_weights(joint_weights, weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(joint_predicted, predicted, atol=1e-5)
    epochs = [len(logs["val_loss"]) for logs in history]
    assert (len(set(epochs)) > 1 and min(epochs) < 9) if early else epochs == [9, 9, 9]
    for logs, joint_logs in zip(history, joint_history, strict=True):
        assert sorted(logs) == sorted(joint_logs) == ["accuracy", "loss", "val_accuracy", "val_loss"]
        for key, values in logs.items():
            np.testing.assert_allclose(joint_logs[key], values, rtol=1e-4, atol=1e-5, err_msg=key)


def test_joint_training_keeps_penalties_normalization_and_several_inputs():
    x, y = labelled((40, 12))

    def build():
        left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
        both = keras.layers.Concatenate()([left, right])
        both = keras.layers.BatchNormalization(momentum=0.5)(both)
        both = keras.layers.Dense(4, activation="relu", kernel_regularizer=keras.regularizers.L2(0.1))(both)
        net = keras.Model({"left": left, "right": right}, keras.layers.Dense(1, activation="sigmoid")(both))
        net.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", weighted_metrics=["accuracy"])
        return net

    inputs = {"left": x[:, :2], "right": x[:, 2:]}
    found = []
    for joint in (False, True):
        bagging = bag(build, joint=joint)
        history = bagging.fit(inputs, y, batch_size=8, epochs=2, verbose=0)
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
        bagging = bag(lambda loss=loss: softmax_net(loss=loss))
        bagging.fit(x, form, classes=classes, epochs=1, verbose=0)
        found.append(weights_of(bagging))
    for other in found[1:]:
        assert_same_weights(other, found[0], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras takes one batch a step there")
def test_several_batches_a_step_stay_within_their_epoch():
    x, y = labelled()
    found = []
    for steps in (1, 3):

        def build(steps=steps):
            net = in_graph()
            net.compile(
                keras.optimizers.Adam(0.02),
                "sparse_categorical_crossentropy",
                metrics=["accuracy"],
                steps_per_execution=steps,
            )
            return net

        for joint in (False, True):
            bagging = bag(build, joint=joint)
            history = bagging.fit(x, y, batch_size=8, epochs=3, verbose=0)  # 4 batches an epoch, the last one of 6 rows
            found.append((weights_of(bagging), [logs["loss"] for logs in history]))
    for weights, losses in found[1:]:
        assert_same_weights(weights, found[0][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses, found[0][1], rtol=1e-4)


def test_penalties_of_activities_are_trained_or_refused_side_by_side():
    x, y = labelled((40, 12))

    def build():
        net = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(1, activation="sigmoid", activity_regularizer=keras.regularizers.L2(1.0)),
            ]
        )
        net.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
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


def constant_net():
    """A net whose output for rows of zeros is one number: training makes it the share of class 1."""
    net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    net.compile(keras.optimizers.SGD(4.0), "binary_crossentropy", run_eagerly=True)
    return net


@pytest.mark.parametrize(("joint", "weighted"), [(False, False), (False, True), (True, True)])
def test_the_prior_is_the_one_that_members_learn(joint, weighted):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [60, 8]))
    weights = np.random.default_rng(1).uniform(0, 2, len(y)) * (1 + y) if weighted else None
    bagging = bag(constant_net, joint=joint, ratio=3)
    x = np.zeros((len(y), 1))
    bagging.fit(x, y, weights, batch_size=32, epochs=30, verbose=0)
    assert bagging.train_prior.dtype == np.float64
    assert bagging.train_prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(bagging.predict(x[:1], verbose=0), bagging.train_prior[1], atol=1e-4)
    if not weighted:
        np.testing.assert_array_equal(bagging.train_prior, [0.75, 0.25])
    # Put back to the prior of all rows, the probability is that of all rows.
    honest = correct_prior(bagging.predict(x[:1], verbose=0), bagging.train_prior, [60 / 68, 8 / 68])
    np.testing.assert_allclose(honest, 8 / 68, atol=1e-4)


def test_the_prior_of_three_balanced_classes_is_uniform_and_counts_weights():
    x, y = labelled()
    bagging = bag()
    bagging.fit(x, y, verbose=0)
    np.testing.assert_allclose(bagging.train_prior, np.ones(3) / 3)
    bagging.fit(x, y, np.array([1.0, 2.0, 5.0])[y], verbose=0)
    np.testing.assert_allclose(bagging.train_prior, np.array([1, 2, 5]) / 8)


# Callbacks and progress


def test_each_member_has_callbacks_of_its_own():
    x, y = labelled()
    seen = {}

    class Watch(keras.callbacks.Callback):
        def __init__(self, member):
            super().__init__()
            self.member = member

        def on_train_batch_end(self, batch, logs=None):
            seen.setdefault(self.member, []).append((batch, sorted(logs)))

        def on_epoch_end(self, epoch, logs=None):
            assert self.model.count_params() == softmax_net().count_params()

    found = []
    for joint in (False, True):
        seen.clear()
        bag(joint=joint).fit(x, y, batch_size=10, epochs=2, callbacks=lambda member: Watch(member), verbose=0)
        found.append({member: list(calls) for member, calls in seen.items()})
    assert found[0] == found[1] == {i: [(batch, ["accuracy", "loss"]) for batch in (0, 1, 2)] * 2 for i in (0, 1)}


def test_verbose_writes_a_line_a_member(capsys):
    x, y = labelled()
    history = bag(members=3).fit(x, y, epochs=2, validation_data=(x, y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for i, line in enumerate(lines):
        assert line.startswith(f"Member {i + 1}/3 - 30 rows - 2 epochs - ")
        assert f"val_loss: {history[i]['val_loss'][-1]:.4f}" in line
    bag(members=3, joint=True).fit(x, y, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2", *(f"Member {i}/3" for i in (1, 2, 3))]
    bag().fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_changed_learning_rate_is_refused_where_members_share_an_optimizer():
    x, y = labelled()

    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.5 * float(self.model.optimizer.learning_rate)

    bag().fit(x, y, callbacks=lambda: [Halve()], verbose=0)
    with pytest.raises(ValueError, match="leave the learning rate alone"):
        bag(joint=True).fit(x, y, callbacks=lambda: [Halve()], verbose=0)


# The one model


@pytest.mark.parametrize(
    ("channels", "activation", "from_logits"),
    [(3, "softmax", False), (1, "sigmoid", False), (3, None, True), (1, None, True)],
)
def test_the_model_is_the_mean_of_the_members_probabilities(channels, activation, from_logits, tmp_path):
    counts = COUNTS if channels == 3 else (40, 12)
    x, y = labelled(counts)
    loss = keras.losses.BinaryCrossentropy if channels == 1 else keras.losses.SparseCategoricalCrossentropy

    def build():
        return softmax_net(None, channels, activation, loss=loss(from_logits=from_logits))

    bagging = bag(build, members=3, from_logits=from_logits)
    bagging.fit(x, y, epochs=1, verbose=0)
    outputs = np.stack([member.predict(x, verbose=0) for member in bagging.members]).astype("float64")
    if from_logits:
        outputs = scipy.special.expit(outputs) if channels == 1 else scipy.special.softmax(outputs, axis=-1)
    predicted = bagging.predict_members(x)
    assert predicted.shape == (3, len(x), channels)
    np.testing.assert_allclose(predicted, outputs, atol=1e-6)
    mean = bagging.model.predict(x, verbose=0)
    np.testing.assert_allclose(mean, outputs.mean(axis=0), atol=1e-6)
    assert np.ptp(outputs, axis=0).max() > 1e-3  # the members differ, so a mean is something else than one of them
    np.testing.assert_array_equal(bagging.predict(x, verbose=0), mean)
    path = tmp_path / "ensemble.keras"
    bagging.model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path).predict(x, verbose=0), mean)


def test_the_file_needs_nothing_of_how_members_were_trained(tmp_path):
    def a_loss_that_only_this_test_knows(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(keras.ops.cast(y_true, "float32") - y_pred), axis=-1)

    x, y = labelled((40, 12))
    bagging = bag(lambda: softmax_net(None, 1, "sigmoid", loss=a_loss_that_only_this_test_knows))
    bagging.fit(x, y[:, None], verbose=0)
    path = tmp_path / "ensemble.keras"
    bagging.model.save(path)
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), bagging.model.predict(x, verbose=0))
    assert loaded.count_params() == 2 * bagging.members[0].count_params()
    with zipfile.ZipFile(path) as file:
        assert "a_loss" not in file.read("config.json").decode()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's")
def test_the_model_is_exported(tmp_path):
    import tensorflow as tf

    x, y = labelled()
    bagging = bag()
    bagging.fit(x, y, verbose=0)
    bagging.model.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x).numpy(), bagging.model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize("joint", [False, True])
def test_one_member_is_a_model_too(joint):
    x, y = labelled()
    bagging, alone = bag(members=1, joint=joint), bag(members=1)
    bagging.fit(x, y, validation_data=(x, y), verbose=0)
    alone.fit(x, y, verbose=0)
    expected = alone.members[0].predict(x, verbose=0)
    np.testing.assert_allclose(bagging.model.predict(x, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(bagging.predict_members(x), expected[None], atol=1e-6)


def test_lists_are_predicted_as_they_are_trained_on():
    x, y = labelled()
    bagging, other = bag(), bag()
    bagging.fit(x.tolist(), y.tolist(), verbose=0)
    other.fit(x, y, verbose=0)
    assert_same_weights(weights_of(bagging), weights_of(other))
    np.testing.assert_allclose(bagging.predict_members(x.tolist()), other.predict_members(x), atol=1e-6)
    np.testing.assert_allclose(bagging.predict(x.tolist(), 5, 0), other.model.predict(x, verbose=0), atol=1e-6)


# A shared backbone


def backbone_and_head():
    backbone = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
        ]
    )

    def head():
        net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
        net.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return net

    return backbone, head


@pytest.mark.parametrize("joint", [False, True])
def test_a_shared_backbone_stays_as_it_is_and_runs_once(joint, tmp_path):
    x, y = labelled((200, 22, 10))
    backbone, head = backbone_and_head()
    before = [value.copy() for value in backbone.get_weights()]
    rows_seen = []
    predict = backbone.predict
    backbone.predict = lambda x, **options: rows_seen.append(len(x)) or predict(x, **options)
    bagging = bag(head, joint=joint, shared_backbone=backbone)
    history = bagging.fit(x, y, epochs=4, validation_data=(x[:30], y[:30]), verbose=0)
    assert rows_seen == [len(np.unique(bagging.rows)), 30]
    assert rows_seen[0] < len(x)
    assert_same_weights([backbone.get_weights()], [before])
    assert backbone.trainable
    features = predict(x, verbose=0)
    expected = np.mean([member.predict(features, verbose=0) for member in bagging.members], axis=0)
    np.testing.assert_allclose(bagging.model.predict(x, verbose=0), expected, atol=1e-6)
    for i, rows in enumerate(bagging.rows):
        assert np.bincount(y[rows]).tolist() == [10, 10, 10]
        assert history[i]["loss"][-1] < history[i]["loss"][0]
    # Trained on features given by hand, the heads are the same.
    by_hand = bag(head)
    by_hand.fit(features, y, epochs=4, verbose=0)
    assert_same_weights(weights_of(bagging), weights_of(by_hand), rtol=1e-4, atol=1e-5)
    bagging.model.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), bagging.model.predict(x, verbose=0))


# Resume


class Kill(keras.callbacks.Callback):
    """Ends the run in the first epoch of a member, as a kill would."""

    def __init__(self, member, victim, started):
        super().__init__()
        self.member, self.victim, self.started = member, victim, started

    def on_train_begin(self, logs=None):
        self.started.append(self.member)

    def on_epoch_end(self, epoch, logs=None):
        if self.member == self.victim:
            raise KeyboardInterrupt


def resumable(folder, victim=None, started=None, seed=0, data=None, gamma=None, ratio=1, **options):
    loss = None if gamma is None else FocalLoss(gamma)
    bagging = bag(lambda: softmax_net(loss=loss), members=3, seed=seed, ratio=ratio)
    started = [] if started is None else started
    history = bagging.fit(
        *(data or labelled()),
        epochs=options.pop("epochs", 2),
        callbacks=lambda member: Kill(member, victim, started),
        verbose=0,
        resume_dir=folder,
        **options,
    )
    return weights_of(bagging), history


def test_a_killed_run_goes_on_with_the_next_member(tmp_path):
    expected, expected_history = resumable(None)
    for victim in (0, 1, 2):
        folder, started = tmp_path / str(victim), []
        with pytest.raises(KeyboardInterrupt):
            resumable(folder, victim, started)
        assert started == list(range(victim + 1))
        started.clear()
        weights, history = resumable(folder, None, started)
        assert started == list(range(victim, 3))
        assert_same_weights(weights, expected)
        assert history == expected_history
    started = []
    assert_same_weights(resumable(folder, None, started)[0], expected)
    assert started == []


def test_a_member_killed_between_epochs_goes_on_with_the_batches_that_would_have_come(tmp_path):
    x, y = labelled()
    started = []

    class KillInEpoch(keras.callbacks.Callback):
        def __init__(self, victim):
            super().__init__()
            self.victim = victim

        def on_epoch_begin(self, epoch, logs=None):
            started.append(epoch)
            if epoch == self.victim:
                raise KeyboardInterrupt

    def run(victim, folder):
        def callbacks(member):
            return [keras.callbacks.BackupAndRestore(str(folder / f"backup_{member}")), KillInEpoch(victim)]

        bagging = bag()
        bagging.fit(x, y, batch_size=8, epochs=4, callbacks=callbacks, verbose=0, resume_dir=folder / "members")
        return weights_of(bagging)

    expected = run(None, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(2, tmp_path / "killed")
    started.clear()
    assert_same_weights(run(None, tmp_path / "killed"), expected, rtol=1e-6, atol=1e-7)
    assert started == [2, 3, 0, 1, 2, 3]


def test_a_kill_while_a_member_is_written_leaves_none_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        resumable(tmp_path)
    assert not list(tmp_path.glob("*.npz"))
    monkeypatch.undo()
    assert_same_weights(resumable(tmp_path)[0], resumable(None)[0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    resumable(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_only_whole_members_of_the_same_run_are_taken(finished, tmp_path):
    assert sorted(finished) == [f"member_{i}.npz" for i in range(3)]
    x, y = labelled()
    other_x = x.copy()
    other_x += 0.25
    for change, match in (
        ({"seed": 1}, "seed"),
        ({"epochs": 3}, "epochs"),
        ({"ratio": 1.5}, "ratio"),
        ({"batch_size": 5}, "batch_size"),
        ({"data": (other_x, y)}, "data"),
        ({"validation_data": (x, y)}, "validation"),
    ):
        for name, content in finished.items():
            (tmp_path / name).write_bytes(content)
        started = []
        with pytest.raises(ValueError, match=rf"`resume_dir` must hold members of the same run.*{match}"):
            resumable(tmp_path, None, started, **change)
        assert started == []


def test_members_of_the_same_loss_with_other_arguments_are_refused(tmp_path):
    expected, _ = resumable(tmp_path, gamma=1.0)
    started = []
    found, _ = resumable(tmp_path, None, started, gamma=1.0)
    assert_same_weights(found, expected)
    with pytest.raises(ValueError, match=r"`resume_dir` must hold members of the same run.*\['loss'\]"):
        resumable(tmp_path, None, started, gamma=2.0)
    assert started == []


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_a_torn_or_foreign_file_is_an_error_before_training(finished, tmp_path_factory, data):
    content = finished["member_1.npz"]
    kind = data.draw(st.sampled_from(["torn", "flipped", "foreign"]))
    if kind == "torn":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif kind == "foreign":
        content = data.draw(st.sampled_from([b"", b"a note", b"\x93NUMPY", json.dumps({"epochs": 3}).encode()]))
    else:
        place = content.index(b"weight_0.npy") + 200  # amid the values of the first weight
        content = content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
    folder = tmp_path_factory.mktemp("broken")
    (folder / "member_1.npz").write_bytes(content)
    started = []
    with pytest.raises(ValueError, match=r"`resume_dir` must hold members that this class has written.*Delete it"):
        resumable(folder, None, started)
    assert started == []


def test_the_folder_of_another_array_file_is_refused(finished, tmp_path):
    np.savez(tmp_path / "member_0.npz", weights=np.zeros(3))
    with pytest.raises(ValueError, match=r"member_0\.npz, which is damaged or something else"):
        resumable(tmp_path)


# Disagreement


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_disagreement_equals_numpy_and_scipy(members, rows, channels, seed):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(channels), (members, rows)) if channels > 1 else rng.uniform(size=(members, rows, 1))
    both = values if channels > 1 else np.concatenate([1 - values, values], axis=-1)
    spread = np.sqrt(((both - both.mean(axis=0)) ** 2).mean(axis=0)).mean(axis=-1)
    np.testing.assert_allclose(disagreement(values), spread, atol=1e-12)
    for row in range(rows):
        votes = np.bincount(both[:, row].argmax(axis=-1), minlength=both.shape[-1]) / members
        entropy = scipy.stats.entropy(votes, base=both.shape[-1])
        np.testing.assert_allclose(disagreement(values, "vote_entropy")[row], entropy, atol=1e-12)


def test_disagreement_comes_from_the_members():
    x, y = labelled()
    bagging = bag(members=3)
    bagging.fit(x, y, verbose=0)
    predicted = bagging.predict_members(x).astype("float64")
    np.testing.assert_allclose(bagging.disagreement(x), predicted.std(axis=0).mean(axis=-1))
    assert set(np.round(bagging.disagreement(x, "vote_entropy"), 6)) <= {
        round(float(scipy.stats.entropy(votes, base=3)), 6) for votes in ([3, 0, 0], [2, 1, 0], [1, 1, 1])
    }


def test_disagreement_refuses_what_is_none():
    for values, kind, match in (
        (np.zeros((2, 3)), "std", "members, rows, channels"),
        (np.full((2, 3, 1), 1.5), "std", r"\[0, 1\]"),
        (np.full((2, 3, 1), np.nan), "std", r"\[0, 1\]"),
        (np.zeros((2, 3, 1)), "variance", "kind"),
    ):
        with pytest.raises(ValueError, match=match):
            disagreement(values, kind)


# Bad input


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
        (lambda: "net", {}, {}, "`build_model` must return a compiled Keras model"),
        (uncompiled, {}, {}, "compiled with an optimizer and a loss"),
        (without_input, {}, {}, "known inputs and one output"),
        (with_two_outputs, {}, {}, "known inputs and one output"),
        (the_same_net, {}, {}, "build a new model in every call"),
        (lambda member: softmax_net(None, 3 + member), {}, {}, "the same inputs and outputs"),
        (logits_net, {}, {}, "`from_logits` must say"),
        (softmax_net, {"from_logits": True}, {}, "`from_logits` must say"),
        (sigmoid_net, {}, {}, "`y` must hold classes below 2"),
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
        (softmax_net, {}, {"sample_weight": {0: 1, 1: 9}}, "Of weights a class take that of each row's class"),
        (softmax_net, {}, {"sample_weight": np.full(92, np.nan)}, "`sample_weight` must hold finite weights"),
        (softmax_net, {}, {"sample_weight": np.full(92, "1")}, "`sample_weight` must hold finite weights"),
        (softmax_net, {}, {"sample_weight": 1.0 * (labelled()[1] < 2)}, "Received: 0 for all rows of class 2"),
        (
            softmax_net,
            {},
            {"validation_data": (*labelled(), np.full(92, np.inf))},
            "`validation sample_weight` must hold finite weights",
        ),
        (softmax_net, {}, {"validation_data": labelled()[0]}, r"`validation_data` must be arrays \(x, y\)"),
        (softmax_net, {}, {"y": np.zeros(92, int)}, "at least two classes"),
        (softmax_net, {}, {"y": np.full(92, 0.5)}, "`y` must hold whole class numbers"),
        (softmax_net, {}, {"y": np.arange(92) % 4}, "`y` must hold classes below 3"),
        (softmax_net, {}, {"y": np.arange(92) % 2}, "rows of each of 3 classes, .* none of class 2"),
        (softmax_net, {}, {"y": {"a": np.zeros(92)}}, "`classes`"),
        (softmax_net, {}, {"classes": np.zeros(5, int)}, "`classes` must hold the class of each of 92 rows"),
        (softmax_net, {}, {"x": np.zeros((92, 7))}, "must suit the models"),
        (softmax_net, {}, {"validation_data": (np.zeros((3, 4)), np.zeros(2))}, "the same number of rows"),
        (softmax_net, {"joint": True}, {"validation_data": "rows"}, "`validation_data` must be arrays"),
    ],
)
def test_bad_input_is_refused_before_training(build, options, fit, match):
    if options.get("shared_backbone"):
        options = {"shared_backbone": backbone_and_head()[0]}
    x, y = labelled()
    fit = {"x": x, "y": y, "callbacks": lambda: [OneForAll()], **fit}
    bagging = BalancedBagging(build, 2, **options)
    with pytest.raises(ValueError, match=match):
        bagging.fit(**fit, **({} if "verbose" in fit else {"verbose": 0}))
    for early in (lambda: bagging.model, lambda: bagging.train_prior, lambda: bagging.predict(x)):
        with pytest.raises(ValueError, match="`fit` must come first"):
            early()
    assert not Path("members").exists()
