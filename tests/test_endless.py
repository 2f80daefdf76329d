"""What gives batches and has no end: read for one pass where that is right, else refused at once, by every function."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from kerases import IS_TF_KERAS

import keras_imbalance as ki
from keras_imbalance._keras import keras
from keras_imbalance.estimators.arrays import data_of
from keras_imbalance.estimators.disagreement import disagreement

ROWS = 10
X, Y = np.arange(2.0 * ROWS, dtype="float32").reshape(ROWS, 2), np.repeat([0, 1], [6, 4])
P = np.full(ROWS, 0.5)
PyDataset = keras.utils.Sequence if IS_TF_KERAS else keras.utils.PyDataset


class Endless(PyDataset):
    """Gives batches for ever, as `ImageDataGenerator.flow` does; reading on for long fails the test."""

    read = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.read += 1
        assert self.read < 100, "read without end"
        return X, Y

    def __iter__(self):
        return (self[i] for i in itertools.count())


def generator():
    yield from Endless()


CALLS = {
    "class_weights": lambda e: ki.class_weights(e),
    "class_prior": lambda e: ki.class_prior(e),
    "target_distribution, counts": lambda e: ki.target_distribution(e, "balanced"),
    "target_distribution, target": lambda e: ki.target_distribution([6, 4], e),
    "ArraySampler, x": lambda e: ki.ArraySampler(e, Y),
    "ArraySampler, y": lambda e: ki.ArraySampler(X, e),
    "ArraySampler, a list of x": lambda e: ki.ArraySampler([e, X], Y),
    "ArraySampler, a dict of x": lambda e: ki.ArraySampler({"a": e, "b": X}, Y),
    "ArraySampler, sample_weight": lambda e: ki.ArraySampler(X, Y, e),
    "ArraySampler, a dict of weights": lambda e: ki.ArraySampler(X, Y, {"a": e}),
    "ArraySampler, classes": lambda e: ki.ArraySampler(X, Y, classes=e),
    "ArraySampler, target": lambda e: ki.ArraySampler(X, Y, target=e),
    "ClassSampler": lambda e: ki.ClassSampler(e),
    "rarest_classes": lambda e: ki.sampling.rarest_classes(e),
    "tomek_links, x": lambda e: ki.tomek_links(e, Y),
    "tomek_links, y": lambda e: ki.tomek_links(X, e),
    "tomek_keep_indices": lambda e: ki.tomek_keep_indices(X, e),
    "BalancedBagging, x": lambda e: data_of(e, Y, None),
    "BalancedBagging, y": lambda e: data_of(X, e, None),
    "classification_report, y_true": lambda e: ki.classification_report(e, Y),
    "classification_report, y_pred": lambda e: ki.classification_report(Y, e),
    "classification_report, sample_weight": lambda e: ki.classification_report(Y, Y, sample_weight=e),
    "classification_report, class_counts": lambda e: ki.classification_report(Y, Y, class_counts=e),
    "tune_thresholds, y_true": lambda e: ki.tune_thresholds(e, P),
    "tune_thresholds, probabilities": lambda e: ki.tune_thresholds(Y, e),
    "tune_temperature, y_true": lambda e: ki.tune_temperature(e, P),
    "tune_temperature, predictions": lambda e: ki.tune_temperature(Y, e),
    "correct_prior": lambda e: ki.correct_prior(e, [0.5, 0.5], [0.1, 0.9]),
    "estimate_prior": lambda e: ki.estimate_prior(e, [0.5, 0.5]),
    "minimum_cost_decision": lambda e: ki.minimum_cost_decision(e, [[0, 1], [1, 0]]),
    "plot_reliability, y_true": lambda e: ki.plots.plot_reliability(e, P),
    "plot_reliability, y_prob": lambda e: ki.plots.plot_reliability(Y, e),
    "plot_precision_recall, y_true": lambda e: ki.plots.plot_precision_recall(e, P),
    "plot_precision_recall, y_score": lambda e: ki.plots.plot_precision_recall(Y, e),
    "plot_roc, y_true": lambda e: ki.plots.plot_roc(e, P),
    "plot_roc, y_score": lambda e: ki.plots.plot_roc(Y, e),
    "plot_threshold, y_true": lambda e: ki.plots.plot_threshold(e, P),
    "plot_threshold, y_prob": lambda e: ki.plots.plot_threshold(Y, e),
    "plot_threshold, cost_matrix": lambda e: ki.plots.plot_threshold(Y, P, cost_matrix=e),
    "plot_confusion_matrix": lambda e: ki.plots.plot_confusion_matrix(e),
    "disagreement": lambda e: disagreement(e),
    "ClassBalancedLoss": lambda e: ki.ClassBalancedLoss(e),
    "LDAMLoss": lambda e: ki.LDAMLoss(e),
    "LogitAdjustedLoss": lambda e: ki.LogitAdjustedLoss(e),
    "CostMatrixLoss": lambda e: ki.CostMatrixLoss(e),
    "FocalLoss, y_true": lambda e: ki.FocalLoss()(e, P[:, None].astype("float32")),
    "PerClassF1, y_true": lambda e: ki.PerClassF1(2).update_state(e, P[:, None].astype("float32")),
    "DeferredReweighting": lambda e: ki.DeferredReweighting(class_counts=e, start_epoch=1),
}


@pytest.mark.parametrize("make", [Endless, generator], ids=["sequence", "generator"])
@pytest.mark.parametrize("name", CALLS)
def test_what_has_no_end_is_refused_at_once(name, make):
    endless = make()
    with pytest.raises(ValueError, match=r"`.*` must .*Received"):
        CALLS[name](endless)
    assert getattr(endless, "read", 0) == 0


def test_the_error_says_what_to_do():
    with pytest.raises(
        ValueError, match=r"`class_counts` must be an array\. Received: .*Endless.*islice.*count_classes\(source\)"
    ):
        ki.class_weights(Endless())
    for batches_alone in (Endless(), generator(), Batches()):
        with pytest.raises(ValueError, match=r"`x` must be an array.*len\(\).*\[int\].*StreamSampler"):
            ki.ArraySampler(batches_alone, Y)
    with pytest.raises(ValueError, match=r"`x` must be an array.*StreamSampler"):
        ki.ArraySampler(tf.data.Dataset.from_tensor_slices((X, Y)), Y)


def batches(size=4):
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, ROWS, size)]


class Batches(PyDataset):
    """Batches as a PyDataset gives them: `form` makes labels of the class ids."""

    def __init__(self, form=lambda y: y):
        super().__init__()
        self.form = form

    def __len__(self):
        return len(batches())

    def __getitem__(self, index):
        x, y = batches()[index]
        return x, self.form(y), np.ones(len(x))


def test_one_pass_of_a_py_dataset_is_counted():
    for form in (lambda y: y, lambda y: np.eye(2)[y], lambda y: y[:, None], lambda y: y.astype("float32")):
        np.testing.assert_array_equal(ki.count_classes(Batches(form)), [6, 4])
    words = Batches(lambda y: np.array(["no", "yes"])[y])
    np.testing.assert_array_equal(ki.count_classes(words, class_names=["yes", "no"]), [4, 6])
    with pytest.raises(ValueError, match="`class_names` must be given where batches hold text"):
        ki.count_classes(words)
    np.testing.assert_array_equal(ki.count_classes(Batches(), num_classes=4), [6, 4, 0, 0])


def test_a_flow_without_end_is_counted_over_its_length():
    flow = tf.keras.preprocessing.image.ImageDataGenerator().flow(np.zeros((ROWS, 4, 4, 1)), Y, batch_size=4)
    np.testing.assert_array_equal(ki.count_classes(flow), [6, 4])
    for call in (lambda: ki.ArraySampler(flow, Y), lambda: ki.tomek_links(flow, Y), lambda: ki.class_weights(flow)):
        with pytest.raises(ValueError, match=r"must be an array. Received: .*NumpyArrayIterator"):
            call()


def test_loaders_and_data_sets_of_pytorch():
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    torch = pytest.importorskip("torch")
    rows = data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    for source in (rows, data.DataLoader(rows, batch_size=4), data.DataLoader(rows, batch_size=4, shuffle=True)):
        np.testing.assert_array_equal(ki.count_classes(source), [6, 4])
        with pytest.raises(ValueError, match="`x` must be an array"):
            ki.tomek_links(source, Y)

    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter(Endless())

    with pytest.raises(ValueError, match=r"`labels` must have an end.*DataLoader that does not tell how many batches"):
        ki.count_classes(data.DataLoader(Stream()))
    one_hot = data.TensorDataset(torch.tensor(X), torch.tensor(np.eye(2)[Y]))
    with pytest.raises(ValueError, match="`labels` must be one-hot rows or batches of class ids"):
        ki.count_classes(one_hot)


def test_sources_that_give_no_labels_or_no_rows():
    class Columns(Endless):
        def __getitem__(self, index):
            return {"label": 1}

    with pytest.raises(ValueError, match=r"`labels` must give \(x, y\).*source\['label'\]"):
        ki.count_classes(Columns())

    class Empty(Endless):
        def __len__(self):
            return 0

    with pytest.raises(ValueError, match=r"`labels` must hold at least one label. Received: no rows"):
        ki.count_classes(Empty())
    with pytest.raises(ValueError, match=r"`labels` must be an array\. Received: <class 'generator'>"):
        ki.count_classes(generator())
