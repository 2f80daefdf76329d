"""SampledClassifier in scikit-learn's tools: what is held out is neither drawn nor copied; scores are those of a loop."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from kerases import IS_TF_KERAS, keras_3_only

import keras_imbalance as ki
from keras_imbalance import SMOTE, SampledClassifier
from keras_imbalance._keras import keras

if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 6):
    pytest.skip("scikit-learn before 1.6 has no validate_data", allow_module_level=True)
from sklearn.base import clone, is_classifier
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

needs_keras_3 = keras_3_only("has no wrappers for scikit-learn")
Y = np.random.default_rng(0).permutation(np.repeat(["bad", "good", "worn"], [6, 40, 14]))
ROW = np.eye(len(Y), dtype="float32")  # a row is known by its column; a new point between two rows has both


class Recording(keras.Sequential):
    """Keeps the rows that fit is given, as the numbers of the columns that are not 0 in any of them."""

    seen: list = []  # noqa: RUF012

    def fit(self, data, **options):
        rows = np.concatenate([np.asarray(batch[0]) for batch in data])
        self.seen.append(np.flatnonzero(rows.any(axis=0)))
        return super().fit(data, **options)


def linear(
    X, y, model=keras.Sequential, activation="softmax", loss="categorical_crossentropy", channels=None, rate=1.0
):
    net = model(
        [keras.Input(X.shape[1:]), keras.layers.Dense(channels or y.shape[1], activation, kernel_initializer="zeros")]
    )
    net.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    return net


def classifier(**arguments):
    arguments = {"batch_size": 30, "epochs": 2, "seed": 0, "fit_kwargs": {"verbose": 0}, **arguments}
    return SampledClassifier(linear, **arguments)


def clusters():
    rng = np.random.default_rng(1)
    return rng.normal(size=(len(Y), 2)) + np.unique(Y, return_inverse=True)[1][:, None]


@needs_keras_3
@pytest.mark.parametrize("smote", [None, SMOTE(k_neighbors=2)], ids=["repeats", "new points"])
def test_no_row_that_is_held_out_is_drawn_or_copied(smote):
    Recording.seen.clear()
    held_out = []

    def score(estimator, X, y):
        held_out.append(X.argmax(axis=1))
        return balanced_accuracy_score(y, estimator.predict(X))

    estimator = classifier(smote=smote, epochs=1, model_kwargs={"model": Recording})
    cross_val_score(estimator, ROW, Y, scoring=score, cv=StratifiedKFold(3))
    assert len(Recording.seen) == len(held_out) == 3
    for drawn, kept in zip(Recording.seen, held_out, strict=True):
        assert len(kept) == 20
        assert not np.intersect1d(drawn, kept).size
        assert len(drawn) > 20  # the rare classes whole, and of the others what their share allows
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), np.arange(60))  # scored as they are, none twice


@needs_keras_3
def test_fit_draws_the_target_and_predict_names_the_classes():
    estimator = classifier(target={"bad": 0.5}).fit(clusters(), Y)
    assert estimator.classes_.tolist() == ["bad", "good", "worn"]
    np.testing.assert_allclose(estimator.drawn_prior_, [0.5, 0.5 * 40 / 54, 0.5 * 14 / 54], atol=1 / 60)
    probabilities = estimator.predict_proba(clusters())
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(estimator.predict(clusters()), estimator.classes_[probabilities.argmax(axis=1)])
    assert estimator.history_.history["loss"][1] < estimator.history_.history["loss"][0]


@needs_keras_3
def test_a_fit_is_that_of_the_sampler():
    x, ids = clusters(), np.unique(Y, return_inverse=True)[1]
    labels = np.eye(3, dtype="float32")[ids]
    estimator = classifier(target="sqrt").fit(x, Y)
    sampler = ki.ArraySampler(x, labels, batch_size=30, target="sqrt", seed=0)
    model = linear(x, labels)
    model.fit(sampler.dataset(), epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(estimator.predict_proba(x), model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.slow
@needs_keras_3
def test_grid_search_over_the_target_scores_each_as_cross_validation_does():
    x, cv = clusters(), StratifiedKFold(2)
    search = GridSearchCV(classifier(), {"target": ["natural", "balanced"]}, scoring="balanced_accuracy", cv=cv).fit(
        x, Y
    )
    scores = cross_val_score(classifier(target="natural"), x, Y, scoring="balanced_accuracy", cv=cv)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][0], scores.mean())
    assert search.best_params_ == {"target": "balanced"}
    assert search.best_estimator_.target == "balanced"


@needs_keras_3
def test_pipelines_and_scores_of_probabilities():
    pipeline = make_pipeline(StandardScaler(), classifier())
    proba = cross_val_predict(pipeline, clusters(), Y, cv=2, method="predict_proba")
    assert proba.shape == (60, 3)
    two = np.where(Y == "good", 0, 1)
    pipeline.fit(clusters(), two)
    score = get_scorer("roc_auc")(pipeline, clusters(), two)
    np.testing.assert_allclose(score, roc_auc_score(two, pipeline.predict_proba(clusters())[:, 1]))
    assert score > 0.6


@needs_keras_3
def test_clone_and_parameters():
    estimator = classifier(
        target=0.5, smote=SMOTE(k_neighbors=3), max_repeats=4.0, epoch_size="oversample", model_kwargs={"rate": 0.5}
    )
    given = estimator.get_params()
    assert set(given) >= {"build_model", "target", "smote", "max_repeats", "epoch_size", "batch_size", "epochs", "seed"}
    copied = clone(estimator).get_params()
    assert {name: value for name, value in copied.items() if name != "smote"} == {
        name: value for name, value in given.items() if name != "smote"
    }
    assert copied["smote"] is not given["smote"]
    assert copied["smote"].k_neighbors == 3
    assert clone(estimator).set_params(target="natural", seed=5).get_params()["target"] == "natural"
    assert is_classifier(estimator)
    assert isinstance(estimator, keras.wrappers.SKLearnClassifier)
    with pytest.raises(NotFittedError):
        estimator.predict(clusters())


@needs_keras_3
def test_frames_weights_and_validation_data():
    frame = pd.DataFrame(clusters(), columns=["a", "b"])
    estimator = classifier(epochs=1).fit(
        frame, pd.Series(Y), sample_weight=np.ones(60), validation_data=(frame, pd.Series(Y))
    )
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    held_out = keras.losses.CategoricalCrossentropy()(
        np.eye(3)[np.unique(Y, return_inverse=True)[1]], estimator.predict_proba(frame)
    )
    np.testing.assert_allclose(estimator.history_.history["val_loss"], [float(held_out)], rtol=1e-5)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[["b", "a"]])


@needs_keras_3
@pytest.mark.parametrize("names", [[1, 2, 3], [-1, 0, 1], [0.0, 1.0, 2.0], ["1", "2", "0"], [False, True]], ids=str)
def test_a_mapping_as_target_has_the_classes_as_y_has_them(names):
    y = np.array(names)[np.unique(Y, return_inverse=True)[1] % len(names)]
    for wanted in (names[1], y[y == names[1]][0]):
        for target in ({wanted: 0.7}, pd.Series([0.7], index=[wanted])):
            estimator = classifier(epochs=1, target=target).fit(clusters(), y)
            assert estimator.drawn_prior_[estimator.classes_ == wanted] == pytest.approx([0.7])


@needs_keras_3
def test_smote_takes_names_of_columns_of_a_frame():
    frame = pd.DataFrame(clusters(), columns=["a", "b"]).assign(flag=Y == "bad", rooms=np.arange(60) % 3)
    by_name, by_position = (
        classifier(smote=SMOTE(k_neighbors=2, categorical=columns), epoch_size=200).fit(frame, Y)
        for columns in (["flag", "rooms"], [2, 3])
    )
    np.testing.assert_array_equal(by_name.predict_proba(frame), by_position.predict_proba(frame))
    with pytest.raises(ValueError, match=r"`categorical` must be columns of x, 0 to 3.*rooms"):
        classifier(smote=SMOTE(categorical=["rooms"])).fit(frame.to_numpy(dtype=float), Y)


@needs_keras_3
def test_validation_rows_are_checked_as_training_rows_are():
    frame = pd.DataFrame(clusters(), columns=["a", "b"]).assign(flag=Y == "bad", rooms=pd.array([3] * 60, "Int64"))
    estimator = classifier(epochs=1).fit(frame, Y, validation_data=(frame, Y))
    held_out = keras.losses.CategoricalCrossentropy()(
        np.eye(3)[np.unique(Y, return_inverse=True)[1]], estimator.predict_proba(frame)
    )
    np.testing.assert_allclose(estimator.history_.history["val_loss"], [float(held_out)], rtol=1e-5)
    with pytest.raises(ValueError, match="feature names"):
        classifier().fit(frame, Y, validation_data=(frame[frame.columns[::-1]], Y))


@needs_keras_3
@pytest.mark.parametrize("dtype", ["object", "category"])
def test_text_in_a_frame_is_named_and_the_way_to_numbers_told(dtype):
    frame = pd.DataFrame(clusters(), columns=["a", "b"]).assign(town=pd.Series(["Bonn", "Ulm"] * 30, dtype=dtype))
    with pytest.raises(
        ValueError, match=r"`X` must hold numbers alone. Received: text in \['town'\]. .*OrdinalEncoder"
    ):
        classifier().fit(frame, Y)
    with pytest.raises(ValueError, match="contains NaN"):
        classifier().fit(frame[["a", "b"]].mask(frame["a"] > 1), Y)
    numbered = make_column_transformer((OrdinalEncoder(), ["town"]), remainder="passthrough")
    smote = SMOTE(k_neighbors=2, categorical=[0])
    assert make_pipeline(numbered, classifier(smote=smote)).fit(frame, Y).predict(frame).shape == (60,)


@needs_keras_3
@pytest.mark.parametrize(
    ("arguments", "fitted", "message"),
    [
        ({"build_model": 3}, {}, "`build_model` must be a function"),
        ({"epochs": 0}, {}, "`epochs` must be"),
        ({"target": "even"}, {}, "`target`"),
        ({"fit_kwargs": {"validation_split": 0.1}}, {}, "leave out `validation_split`.*validation_data"),
        ({}, {"batch_size": 3}, "leave out `batch_size`"),
        ({}, {"sample_weight": np.ones((60, 2))}, "`sample_weight` must have one weight a row"),
        ({}, {"y": np.ones(60)}, "`y` must hold rows of at least two classes"),
        ({}, {"y": np.linspace(0, 1, 60)}, "`y` must hold one class a row"),
        ({}, {"validation_data": (ROW, np.full(60, "new"))}, "`validation_data` must hold the classes of y"),
        ({}, {"validation_data": (ROW, Y, np.ones((60, 3)))}, "`validation sample_weight` must have one"),
        ({"model_kwargs": {"loss": "sparse_categorical_crossentropy"}}, {}, "loss that takes one-hot labels"),
        ({"model_kwargs": {"channels": 1, "loss": "mse"}}, {}, r"that gives \(N, 3\).*End it with Dense\(y.shape\[1\]"),
        ({"build_model": lambda X, y: None}, {}, "`build_model` must return a compiled Keras model"),
    ],
)
def test_bad_input_is_refused_before_training(arguments, fitted, message):
    estimator = classifier().set_params(**arguments)
    with pytest.raises(ValueError, match=message):
        estimator.fit(ROW, fitted.pop("y", Y), **fitted)


@needs_keras_3
def test_what_is_no_probability_is_refused_where_one_is_asked_for():
    estimator = classifier(epochs=1, model_kwargs={"activation": None, "loss": "mse"}).fit(clusters() * 100, Y)
    assert estimator.predict(clusters()).shape == (60,)
    with pytest.raises(ValueError, match="a model of probabilities"):
        estimator.predict_proba(clusters() * 100)


@needs_keras_3
def test_a_model_that_does_not_know_its_outputs_before_it_is_trained_is_refused_by_predict():
    def build_model(X, y):
        net = keras.Sequential([keras.layers.Dense(1)])
        net.compile("sgd", lambda y, p: p)
        return net

    estimator = SampledClassifier(build_model, seed=0, fit_kwargs={"verbose": 0}).fit(clusters(), Y)
    with pytest.raises(ValueError, match=r"a model that gives \(N, 3\).*Received: outputs of shape \(60, 1\)"):
        estimator.predict(clusters())


@pytest.mark.skipif(not IS_TF_KERAS, reason="needs TF_USE_LEGACY_KERAS=1: this process runs Keras 3")
def test_tf_keras_is_refused():
    with pytest.raises(ImportError, match="SampledClassifier needs Keras 3"):
        SampledClassifier(linear)
