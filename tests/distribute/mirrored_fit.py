"""Fits of one device and of two replicas, the same in all they report. Usage: python mirrored_fit.py LOSS..."""

import sys

import numpy as np
import tensorflow as tf

import keras_imbalance as ki
from keras_imbalance._keras import keras

COUNTS = [300, 80, 20]
LOSSES = {
    "focal": lambda: ki.FocalLoss(from_logits=True),
    "class_balanced": lambda: ki.ClassBalancedLoss(
        COUNTS, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    ),
    "cost_matrix": lambda: ki.CostMatrixLoss(
        [[0, 1, 2], [3, 0, 1], [9, 4, 0]], formulation="regularized", from_logits=True
    ),
    "logit_adjusted": lambda: ki.LogitAdjustedLoss(COUNTS, from_logits=True),
    "ldam": lambda: ki.LDAMLoss(COUNTS, scale=4.0),
    "sum": lambda: ki.FocalLoss(from_logits=True, reduction="sum"),
}


def fitted(strategy, make_loss, weights, data, sampler, samples):
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(6, activation="tanh"),
                keras.layers.Dense(3, kernel_regularizer="l2"),
            ]
        )
        metrics = [ki.PerClassF1(3), ki.PerClassRecall(3), ki.ConfusionMatrix(3), ki.MacroF1(3, name="macro")]
        weighted = [ki.GeometricMean(3), ki.ExpectedCost([[0, 1, 2], [3, 0, 1], [9, 4, 0]])]
        model.compile(keras.optimizers.SGD(0.02), make_loss(), metrics=metrics, weighted_metrics=weighted)
    if weights is None:
        weights = model.get_weights()
    model.set_weights(weights)
    callbacks = [ki.ProgressiveSampling(sampler, end_epoch=3)]
    with strategy.scope():
        dataset = sampler.dataset()
    history = model.fit(dataset, epochs=3, shuffle=False, validation_data=data, callbacks=callbacks, verbose=0).history
    return weights, history, model.get_weights()


def main(names):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(3), COUNTS))
    x = (rng.normal(size=(400, 4)) + 0.8 * y[:, None]).astype("float32")
    samples = rng.uniform(0.5, 2, size=400).astype("float32")
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one = tf.distribute.get_strategy()

    def sampler():
        return ki.ArraySampler(x, y, samples, batch_size=32, epoch_size=12 * 32, seed=2)

    for name in names:
        weights, log, trained = fitted(one, LOSSES[name], None, (x, y), sampler(), samples)
        assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(weights, trained, strict=True))
        _, log_of_two, trained_by_two = fitted(two, LOSSES[name], weights, (x, y), sampler(), samples)
        assert set(log) == set(log_of_two) >= {"loss", "val_loss", "f1/2", "val_recall/1"}, sorted(log_of_two)
        for key, values in log.items():
            np.testing.assert_allclose(log_of_two[key], values, rtol=1e-4, atol=1e-6, err_msg=f"{name}: {key}")
        for a, b in zip(trained, trained_by_two, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5, err_msg=name)
        print(f"{name}: the same logs and weights")  # noqa: T201, the test reads it

    # Each replica has the target to within a row in each batch, whichever way the batches are divided.
    ways = {
        "divided": lambda s: two.experimental_distribute_dataset(s.dataset()),
        "by worker": lambda s: two.distribute_datasets_from_function(s.worker_dataset),
    }
    for shares in ([1, 1, 1], [6, 3, 1], [0, 1, 1]):
        for way, distribute in ways.items():
            alone, divided = sampler(), sampler()
            alone.target = divided.target = shares
            asked = 16 * np.array(shares) / np.sum(shares)
            whole = [batch[0].numpy() for batch in alone.dataset()]
            parts = list(distribute(divided))
            assert len(whole) == len(parts) == 12
            for batch, (rows, labels, _) in zip(whole, parts, strict=True):
                of_replicas = [value.numpy() for value in two.experimental_local_results(labels)]
                assert [len(found) for found in of_replicas] == [16, 16]
                for found in of_replicas:
                    assert (np.abs(np.bincount(found, minlength=3) - asked) < 1 + 1e-9).all(), (way, shares)
                both = np.concatenate([value.numpy() for value in two.experimental_local_results(rows)])
                np.testing.assert_array_equal(both[np.lexsort(both.T)], batch[np.lexsort(batch.T)])


if __name__ == "__main__":
    main(sys.argv[1:])
