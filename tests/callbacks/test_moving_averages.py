"""Moving averages of the weights with phases, backups, samplers, and a second fit."""

import numpy as np
import pytest
from backup_runs import Run
from kerases import keras_3_only, needs_multi_optimizer
from phase_runs import EMA, Recorder, data, fit, linear_model, make_model, make_sampler, same, weights_of

import keras_imbalance as ki
from keras_imbalance._keras import keras, ops

optimizers = keras.optimizers


def phases():
    return ki.PhasedTraining([ki.Phase(0, freeze="backbone"), ki.Phase(1, unfreeze=True)])


def parts():
    head = optimizers.SGD(0.02, **EMA)
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.Adam(0.02, **EMA), {"head/.*": head}))


@keras_3_only("keeps slots by the variable")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "optimizer"),
    [
        (lambda sampler: ki.DynamicSampling(sampler, validation_data=data(1)), lambda: optimizers.Adam(0.02, **EMA)),
        pytest.param(lambda sampler: phases(), parts, marks=needs_multi_optimizer),
    ],
)
def test_a_second_fit_works(make, optimizer):
    """In Keras alone it fails on JAX: a weight and its average have the same memory, which a step gives away twice."""
    model, sampler = make_model(), make_sampler(batch_size=50)
    model.compile(optimizer(), model.loss, metrics=[ki.PerClassF1(3)])
    for _ in range(2):
        fit(model, sampler, [make(sampler)], 2)
        weights = model.get_weights()
        model.evaluate(*data(), verbose=0)  # which on JAX gives the memory of the weights away
    assert same(weights, model.get_weights())
    assert all(np.isfinite(ops.convert_to_numpy(v)).all() for v in model.optimizer.variables)


@keras_3_only("keeps slots by the variable")
def test_the_second_fit_goes_on_from_the_averages_of_the_first():
    """SGD on linear layers; the oracle is a formula in float64, w <- w - rate g, a <- m a + (1 - m) w, and w = a at the end."""
    model = linear_model(optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5))
    w = [v.astype(np.float64) for v in model.get_weights()]
    (x, y), averages = data(), None
    for _ in range(2):
        model.fit(x, y, batch_size=50, shuffle=False, epochs=1, verbose=0, callbacks=[phases_of_nothing()])
        for start in (0, 50):
            rows, labels = x[start : start + 50].astype(np.float64), y[start : start + 50]
            h = rows @ w[0] + w[1]
            z = h @ w[2] + w[3]
            p = np.exp(z - z.max(axis=1, keepdims=True))
            dz = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / 50
            dh = dz @ w[2].T
            w = [v - 0.05 * g for v, g in zip(w, (rows.T @ dh, dh.sum(0), h.T @ dz, dz.sum(0)), strict=True)]
            averages = w if averages is None else [0.5 * a + 0.5 * v for a, v in zip(averages, w, strict=True)]
        w = averages
        model.evaluate(x, y, verbose=0)  # which on JAX gives the memory of the weights away
        for got, expected in zip(model.get_weights(), w, strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-5)


def phases_of_nothing():
    return ki.PhasedTraining([ki.Phase(0, learning_rate_factor=1.0)])


def swaps():
    return keras.callbacks.SwapEMAWeights(swap_on_epoch=True)


@keras_3_only("has no SwapEMAWeights")
def test_phases_with_swapped_averages_give_what_they_give_without():
    """The oracle is the fit without swaps: what is swapped is swapped back, also where a phase has changed the optimizer."""
    results = []
    for swapping in ([], [swaps()]):
        model, recorder = make_model(optimizers.Adam(0.05, **EMA), run_eagerly=True), Recorder()
        changes = [
            ki.Phase(1, freeze="backbone"),
            ki.Phase(2, unfreeze=True, freeze="head"),
            ki.Phase(3, unfreeze=True),
        ]
        fit(
            model,
            make_sampler(batch_size=50),
            [*swapping, ki.PhasedTraining(changes), recorder],
            4,
            validation_data=data(1),
        )
        results.append([*recorder.before, weights_of(model)])
    for one, other in zip(*results, strict=True):
        for path in one:
            for a, b in zip(one[path], other[path], strict=True):
                # TensorFlow swaps by adding and subtracting.
                np.testing.assert_allclose(a, b, atol=2e-5 if keras.backend.backend() == "tensorflow" else 0)


@keras_3_only("has no SwapEMAWeights")
def test_scores_after_the_averages_were_swapped_in_leave_them_as_they_are():
    """In Keras alone it fails on JAX: after the last epoch a weight and its average share memory, which `predict` gives."""
    results = []
    for scored in (False, True):
        model, sampler = make_model(optimizers.Adam(0.05, **EMA)), make_sampler(batch_size=50)
        dynamic = [ki.DynamicSampling(sampler, validation_data=data(1))] if scored else []
        fit(model, sampler, [swaps(), *dynamic], 1)  # the first epoch draws what it would have drawn
        model.evaluate(*data(), verbose=0)
        results.append(model.get_weights())
    assert same(*results)


@keras_3_only("has no SwapEMAWeights")
@pytest.mark.slow
def test_a_run_with_swapped_averages_resumes_exactly(tmp_path):
    def setup():
        run, swap = Run("averaged"), swaps()
        return run, [swap, *run.callbacks()], [ki.BackupAndRestore(tmp_path, state=[swap])]

    whole, broken, resumed = setup(), setup(), setup()
    whole[0].fit(whole[1])
    broken[0].broken_off((3, 0), *broken[1:])
    resumed[0].fit(*resumed[1:])
    assert resumed[0].recorder.epochs == [3, 4, 5]
    assert same(resumed[0].everything(), whole[0].everything())
