"""ClassifierRetraining and LearnableWeightScaling: what is drawn, what trains and from which values."""

import numpy as np
from phase_runs import (
    ALL,
    Recorder,
    Seen,
    Tap,
    all_flags,
    changed,
    fit,
    make_model,
    make_sampler,
)

from keras_imbalance import (
    ClassifierRetraining,
    ClassScaling,
    LearnableWeightScaling,
)
from keras_imbalance._keras import keras

optimizers = keras.optimizers


def test_retrained_classifiers_train_on_data_as_they_are_then_a_new_head_on_balanced_classes():
    sampler = make_sampler(target="sqrt")
    model = make_model(optimizers.AdamW(0.05, weight_decay=0.1), metrics=[Seen()])
    recorder, tap = Recorder(sampler), Tap()
    phases = ClassifierRetraining(sampler, switch_epoch=2, head="head", learning_rate=0.01)
    target = sampler.distribution
    fit(model, sampler, [phases, recorder, tap])
    natural, balanced = [0.6, 0.3, 0.1], [1 / 3] * 3
    assert len(tap.batches) == 16
    assert tap.stale([natural, natural, balanced, balanced], 25) == 0
    assert tap.stale([balanced, balanced, natural, natural], 25) == 16
    assert recorder.changed() == [ALL, ALL, {"head"}, {"head"}]
    assert changed(recorder.after[1], recorder.before[2]) == {"head"}
    np.testing.assert_allclose(recorder.rates, [0.05, 0.05, 0.01, 0.01], rtol=1e-6)
    np.testing.assert_allclose(sampler.distribution, target, rtol=1e-15)


def test_the_head_may_be_kept():
    sampler, recorder = make_sampler(), Recorder()
    phases = ClassifierRetraining(sampler, switch_epoch=1, head=["norm", "head"], target=0.5, reinitialize=False)
    fit(make_model(run_eagerly=True), sampler, [phases, recorder], 2)
    assert recorder.changed() == [ALL, {"norm", "head"}]
    assert changed(recorder.after[0], recorder.before[1]) == set()


def test_learnable_weight_scaling_learns_one_factor_per_class_at_the_end():
    keras.utils.set_random_seed(0)
    sampler = make_sampler()
    layers = [keras.Input((4,)), keras.layers.Dense(5, name="backbone"), keras.layers.Dense(3, name="logits")]
    model = keras.Sequential([*layers, ClassScaling()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.AdamW(0.05, weight_decay=0.1), loss, metrics=[Seen()])
    recorder, tap = Recorder(sampler), Tap()
    fit(model, sampler, [LearnableWeightScaling(sampler, switch_epoch=2), recorder, tap])
    plain, scaling = {"backbone", "logits"}, {"class_scaling"}
    assert recorder.changed() == [plain, plain, scaling, scaling]
    np.testing.assert_array_equal(recorder.before[2]["class_scaling"], [[1, 1, 1]])
    natural, balanced = [0.6, 0.3, 0.1], [1 / 3] * 3
    assert tap.stale([natural, natural, balanced, balanced], 25) == 0
    assert all_flags(model)[-1] == ("class_scaling", True, [True])
