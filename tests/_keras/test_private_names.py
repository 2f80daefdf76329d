"""Every private name of Keras, tf-keras and Python that `_keras/` leans on: a test fails when one is gone or has changed.

What each costs when it breaks stands in docs/architecture.md. tests/test_architecture.py compares this table with the source.
"""

import sys

import numpy as np
import pytest
from kerases import IS_TF_KERAS, keras_3_only, needs_addons, needs_multi_optimizer, tf_keras_only

from keras_imbalance import PerClassRecall, load_tensorflow_addons
from keras_imbalance._keras import (
    collected_together,
    concrete,
    deterministic_ops,
    given_metrics,
    is_swapped,
    kept_logits,
    keras,
    keras_mask,
    ops,
    set_swapped,
    start_at,
)

CANARIES = {
    "_allow_sum_over_batch_size": "test_tf_keras_tells_a_loss_that_fit_divides_its_mean",
    "_built": "test_an_optimizer_of_tf_keras_knows_that_it_is_built",
    "_create_all_weights": "test_a_legacy_optimizer_of_tf_keras_makes_its_slots_on_request",
    "_direction": "test_a_metric_says_which_way_is_better",
    "_ema_weights_in_model": "test_a_callback_that_swaps_averages_tells_which_the_model_has",
    "_exclude_from_weight_decay": "test_an_optimizer_keeps_what_it_was_told_to_exclude",
    "_exclude_from_weight_decay_pattern": "test_an_optimizer_keeps_what_it_was_told_to_exclude",
    "_flatten_layers": "test_a_model_lists_its_layers_at_any_depth",
    "_fn_kwargs": "test_a_loss_of_tf_keras_keeps_its_arguments",
    "_getframe": "test_a_metric_sees_who_collects_its_result",
    "_index_dict": "test_an_optimizer_of_tf_keras_finds_slots_by_the_variable",
    "_initial_epoch": "test_fit_starts_at_the_epoch_that_a_callback_sets",
    "_keras_logits": "test_an_activation_keeps_its_logits",
    "_keras_mask": "test_an_output_keeps_its_mask",
    "_learning_rate": "test_an_optimizer_keeps_its_schedule",
    "_loss_tracker": "test_a_model_counts_its_loss",
    "_model_variables_moving_average": "test_moving_averages_stand_in_the_order_of_the_variables",
    "_optimizer": "test_an_optimizer_of_tensorflow_addons_keeps_the_one_inside",
    "_optimizer_map": "test_a_multi_optimizer_knows_which_part_has_a_variable",
    "_slots": "test_a_legacy_optimizer_of_tf_keras_makes_its_slots_on_request",
    "_trainable_variables": "test_an_optimizer_and_a_layer_list_what_they_train",
    "_trainable_weights": "test_a_layer_of_tf_keras_lists_what_it_trains_itself",
    "_training_state": "test_fit_starts_at_the_epoch_that_a_callback_sets",
    "_user_metrics": "test_metrics_are_known_before_the_first_batch",
    "_user_weighted_metrics": "test_metrics_are_known_before_the_first_batch",
    "_unique_id": "test_a_legacy_optimizer_of_tf_keras_makes_its_slots_on_request",
    "_var_key": "test_an_optimizer_tells_variables_apart",
    "_var_to_optimizer_idx": "test_a_multi_optimizer_knows_which_part_has_a_variable",
    "_variables": "test_an_optimizer_and_a_layer_list_what_they_train",
    "keras.src": "test_a_value_that_only_shows_a_shape_is_not_read",
    "tensorflow.python": "test_operations_of_tensorflow_are_deterministic_for_a_while",
}

X, Y = np.ones((6, 2), "float32"), np.array([0, 1, 0, 1, 1, 0])


def net(optimizer="sgd", **compiled):
    model = keras.Sequential(
        [keras.layers.InputLayer((2,)), keras.layers.Dense(3, name="body"), keras.layers.Dense(2, name="head")]
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compiled)
    return model


def test_each_name_has_a_test_in_this_file():
    assert set(CANARIES.values()) <= {name for name in globals() if name.startswith("test_")}


@keras_3_only("goes by the name of the metric")
def test_a_metric_says_which_way_is_better():
    """ModelCheckpoint, EarlyStopping and ReduceLROnPlateau read it in mode "auto"."""

    class Up(keras.metrics.MeanMetricWrapper):
        _direction = "up"

    class Down(keras.metrics.MeanMetricWrapper):
        _direction = "down"

    def first(y, scores):
        return scores[:, 0]

    for metric, better in ((Up(first, name="m"), True), (Down(first, name="m"), False)):
        stop = keras.callbacks.EarlyStopping("m", patience=5)
        net(metrics=[metric]).fit(X, Y, callbacks=[stop], verbose=0)
        assert bool(stop.monitor_op(2, 1)) is better


@keras_3_only("goes by the name of the metric")
def test_a_list_of_metrics_on_the_model_is_where_a_callback_looks_for_a_key():
    """`Directions` hangs one on the model, of names that no metric has; it neither counts nor logs."""
    model = net(metrics=[PerClassRecall(2)])
    stop = keras.callbacks.EarlyStopping("recall/1", patience=5)
    history = model.fit(X, Y, callbacks=[stop], verbose=0).history
    assert stop.monitor_op(2, 1)
    assert set(history) == {"loss", "recall", "recall/0", "recall/1"}
    assert len(model.evaluate(X, Y, verbose=0)) == 4


@keras_3_only("tf-keras sets what is not trained aside by itself")
def test_an_optimizer_keeps_what_it_was_told_to_exclude():
    """Both are taken over by a new optimizer, since no configuration holds them."""
    names = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    for number, told in enumerate(({"var_list": True}, {"var_names": ["bias"]})):
        bias, kernel = keras.Variable(np.ones(2), name="bias"), keras.Variable(np.ones(2), name="kernel")
        old, new = (keras.optimizers.AdamW(1.0, weight_decay=0.5) for _ in range(2))
        old.exclude_from_weight_decay(**(told if number else {"var_list": [bias]}))
        assert names[number] in vars(old)
        for name in set(names) & set(vars(old)):
            setattr(new, name, getattr(old, name))
        new.build([bias, kernel])
        new.apply([ops.zeros(2), ops.zeros(2)])
        assert ops.convert_to_numpy(bias).tolist() == [1, 1]
        assert ops.convert_to_numpy(kernel).tolist() == [0.5, 0.5]


def test_a_model_lists_its_layers_at_any_depth():
    inner = keras.Sequential([keras.layers.InputLayer((2,)), keras.layers.Dense(2, name="deep")], name="inner")
    outer = keras.Sequential([keras.layers.InputLayer((2,)), inner, keras.layers.Dense(1, name="top")])
    names = [layer.name for layer in outer._flatten_layers()]
    assert {"inner", "deep", "top"} <= set(names)
    direct = [layer.name for layer in outer._flatten_layers(recursive=False, include_self=False)]
    assert "inner" in direct
    assert "deep" not in direct


def test_a_metric_sees_who_collects_its_result():
    seen = []

    class Curious(keras.metrics.Metric):
        def update_state(self, *arguments, **options):
            """Counts nothing."""

        def result(self):
            seen.append(collected_together())
            return ops.zeros(())

        def reset_state(self):
            """Forgets nothing."""

    metric = Curious(name="curious")
    metric.result()
    assert seen == [None]
    net(metrics=[metric, "accuracy"]).fit(X, Y, verbose=0)
    assert any(found and any(one is metric for one in found[0]) for found in seen)
    assert sys._getframe(0).f_code.co_name.startswith("test_")


def test_fit_starts_at_the_epoch_that_a_callback_sets():
    """`_initial_epoch` of Keras 3, `_training_state` of tf-keras."""
    epochs = []

    class From(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            start_at(self.model, 2)

        def on_epoch_begin(self, epoch, logs=None):
            epochs.append(epoch)
            start_at(self.model, None)

    model = net()
    model.fit(X, Y, epochs=4, callbacks=[From()], verbose=0)
    assert epochs == [2, 3]
    assert getattr(model, "_training_state" if IS_TF_KERAS else "_initial_epoch") is None


def test_a_fit_after_an_error_starts_where_it_is_told_to():
    """What an earlier fit was told is nothing to it: Keras gives each fit a history of its own before callbacks are asked."""
    model, epochs = net(), []

    class Fails(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            start_at(self.model, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=4, callbacks=[Fails()], verbose=0)
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    model.fit(X, Y, epochs=2, callbacks=[note], verbose=0)
    assert epochs == [0, 1]


@keras_3_only("has no SwapEMAWeights")
def test_a_callback_that_swaps_averages_tells_which_the_model_has():
    model = net(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5))
    swap, seen = keras.callbacks.SwapEMAWeights(swap_on_epoch=True), []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(is_swapped(swap)),
        on_epoch_end=lambda epoch, logs: seen.append(is_swapped(swap)),
    )
    model.fit(X, Y, epochs=2, callbacks=[swap, look], verbose=0)
    assert seen == [False, True] * 2
    set_swapped(swap, False)
    assert not is_swapped(swap)


def test_metrics_are_known_before_the_first_batch():
    recall, precision = PerClassRecall(2), keras.metrics.SparseCategoricalAccuracy()
    model = net(metrics=[recall, "accuracy"], weighted_metrics=[precision])
    for _ in range(2):
        given = given_metrics(model)
        assert any(one is recall for one in given)
        assert any(one is precision for one in given)
        assert "accuracy" in [one for one in given if isinstance(one, str)]
        model.fit(X, Y, verbose=0)


def test_an_activation_keeps_its_logits():
    logits = ops.convert_to_tensor(X)
    for activation in ("softmax", "sigmoid"):
        kept = kept_logits(keras.layers.Activation(activation)(logits))
        if kept is not None or keras.backend.backend() == "tensorflow":  # JAX arrays take no attribute
            np.testing.assert_array_equal(ops.convert_to_numpy(kept), X)


def test_an_output_keeps_its_mask():
    masked = keras.layers.Masking()(ops.zeros((2, 3, 1)))
    assert tuple(keras_mask(masked).shape) == (2, 3)
    assert keras_mask(ops.zeros((2, 3, 1))) is None


@keras_3_only("tf-keras sets what is not trained aside by itself")
def test_an_optimizer_keeps_its_schedule():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert keras.optimizers.SGD(schedule)._learning_rate is schedule


@keras_3_only("ensembles need it")
def test_a_model_counts_its_loss():
    model = net()
    model.fit(X, Y, verbose=0)
    model._loss_tracker.reset_state()
    model._loss_tracker.update_state(3.0, sample_weight=2)
    model._loss_tracker.update_state(6.0, sample_weight=4)
    assert float(model._loss_tracker.result()) == pytest.approx(5.0)
    assert any(metric is model._loss_tracker for metric in model.metrics)


def test_moving_averages_stand_in_the_order_of_the_variables():
    model = net(keras.optimizers.SGD(0.0, use_ema=True, ema_momentum=0.5))
    model.fit(X, Y, batch_size=6, verbose=0)
    for average, variable in zip(
        model.optimizer._model_variables_moving_average, model.trainable_variables, strict=True
    ):
        assert tuple(average.shape) == tuple(variable.shape)


@needs_multi_optimizer
def test_a_multi_optimizer_knows_which_part_has_a_variable():
    body, head = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2)
    choose = lambda variable: head if "head" in variable.path else body  # noqa: E731
    model = net(keras.optimizers.MultiOptimizer(choose))
    model.optimizer.build(model.trainable_variables)
    assert model.optimizer._optimizer_map is choose
    parts = model.optimizer.optimizers
    for variable in model.trainable_variables:
        index = model.optimizer._var_to_optimizer_idx[model.optimizer._var_key(variable)]
        assert parts[index] is choose(variable)


def test_an_optimizer_and_a_layer_list_what_they_train():
    model = net(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    if IS_TF_KERAS:
        assert len(model.optimizer._variables) > len(model.trainable_variables)
        return
    assert all(a is b for a, b in zip(model.optimizer._trainable_variables, model.trainable_variables, strict=True))
    assert all(a is b for a, b in zip(model.optimizer._variables, model.optimizer.variables, strict=True))
    assert len(model.layers[0]._trainable_variables) == 2
    assert not model._trainable_variables


@tf_keras_only("Keras 3 has _trainable_variables")
def test_a_layer_of_tf_keras_lists_what_it_trains_itself():
    model = net()
    assert [len(layer._trainable_weights) for layer in model.layers] == [2, 2]
    assert not model._trainable_weights


def test_an_optimizer_tells_variables_apart():
    model = net()
    model.optimizer.build(model.trainable_variables)
    keys = [model.optimizer._var_key(variable) for variable in model.trainable_variables]
    assert len(set(keys)) == 4
    assert keys == [model.optimizer._var_key(variable) for variable in model.trainable_variables]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow alone has no public way back")
def test_operations_of_tensorflow_are_deterministic_for_a_while():
    from tensorflow.python.framework.config import is_op_determinism_enabled

    before = is_op_determinism_enabled()
    with deterministic_ops():
        assert is_op_determinism_enabled()
    assert is_op_determinism_enabled() == before


@keras_3_only("tf-keras shows shapes by its graph")
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch makes up values to show a shape")
def test_a_value_that_only_shows_a_shape_is_not_read():
    seen = []

    class Reads(keras.layers.Layer):
        def call(self, x):
            seen.append(concrete(x))
            return x

    Reads()(keras.Input((2,)))
    assert seen
    assert all(value is None for value in seen)
    Reads()(ops.convert_to_tensor(X))
    np.testing.assert_array_equal(seen[-1], X)


@tf_keras_only("Keras 3 divides in another way")
def test_tf_keras_tells_a_loss_that_fit_divides_its_mean():
    loss = keras.losses.MeanSquaredError()
    assert loss._allow_sum_over_batch_size is False
    model = keras.Sequential([keras.layers.InputLayer((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    model.fit(X, Y, verbose=0)
    assert loss._allow_sum_over_batch_size is True


@tf_keras_only("Keras 3 keeps the arguments as attributes")
def test_a_loss_of_tf_keras_keeps_its_arguments():
    assert keras.losses.CategoricalCrossentropy(label_smoothing=0.25)._fn_kwargs["label_smoothing"] == 0.25


@tf_keras_only("Keras 3 has `built`")
def test_an_optimizer_of_tf_keras_knows_that_it_is_built():
    model = net()
    assert not getattr(model.optimizer, "_built", False)
    model.optimizer.build(model.trainable_variables)
    assert model.optimizer._built


@tf_keras_only("Keras 3 lists slots in the order of the variables")
def test_an_optimizer_of_tf_keras_finds_slots_by_the_variable():
    model = net(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    index = model.optimizer._index_dict
    assert [index[model.optimizer._var_key(v)] for v in model.trainable_variables] == [0, 1, 2, 3]


@tf_keras_only("Keras 3 has no legacy optimizers")
def test_a_legacy_optimizer_of_tf_keras_makes_its_slots_on_request():
    model = net(keras.optimizers.legacy.SGD(0.1, momentum=0.9))
    optimizer, variables = model.optimizer, model.trainable_variables
    optimizer._create_all_weights(variables)
    assert optimizer.get_slot_names() == ["momentum"]
    assert all(optimizer._slots[v._unique_id]["momentum"] is optimizer.get_slot(v, "momentum") for v in variables)


@needs_addons
def test_an_optimizer_of_tensorflow_addons_keeps_the_one_inside():
    addons = load_tensorflow_addons()
    inner = keras.optimizers.legacy.SGD(0.1)
    assert addons.optimizers.Lookahead(inner)._optimizer is inner
