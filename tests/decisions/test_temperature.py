"""Temperature scaling against SciPy's minimum of the likelihood and scikit-learn's calibration."""

import numpy as np
import pytest
import sklearn
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from keras_imbalance import tune_temperature

NAN, INF = float("nan"), float("inf")


def rows(seed=0, count=300, num_classes=4, scale=3.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(count, num_classes))
    y = np.array([rng.choice(num_classes, p=p) for p in softmax(z, axis=1)])
    return y, z * scale


def best_by_scipy(y, z, weights=None):
    def loss(log_inverse):
        losses = -log_softmax(np.exp(log_inverse) * z, axis=1)[np.arange(len(y)), y]
        return np.average(losses, weights=weights)

    found = minimize_scalar(loss, bounds=(-12, 12), method="bounded", options={"xatol": 1e-10})
    return np.exp(-found.x), found.fun


@pytest.mark.parametrize("scale", [0.01, 0.5, 1.0, 7.0, 1e4])
def test_the_temperature_is_that_of_the_lowest_loss(scale):
    y, z = rows(scale=scale)
    fitted = tune_temperature(y, z, from_logits=True)
    temperature, loss = best_by_scipy(y, z / scale)
    assert fitted.value == pytest.approx(scale * temperature, rel=1e-5)
    assert fitted.loss == pytest.approx(loss, rel=1e-10)
    assert fitted.value == pytest.approx(scale, rel=0.2)  # the truth
    np.testing.assert_allclose(fitted(z), softmax(z / fitted.value, axis=1), rtol=1e-12, atol=1e-300)


@given(arrays(np.float64, (25, 3), elements=st.floats(-20, 20)), arrays(np.int64, 25, elements=st.integers(0, 2)))
def test_the_slope_is_0_at_the_temperature(z, y):
    own = z[np.arange(25), y]
    assume((z.max(axis=1) - own).sum() > 1e-3)
    assume((z.mean(axis=1) - own).sum() < -1e-3)
    temperature = tune_temperature(y, z, from_logits=True).value
    slope = (softmax(z / temperature, axis=1) * z).sum(axis=1) - own
    assert abs(slope.sum()) < 1e-9 * np.abs(z).sum()


SCIKIT_LEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


@pytest.mark.skipif(SCIKIT_LEARN < (1, 8), reason="scikit-learn before 1.8 has no temperature scaling")
def test_scikit_learn_finds_the_same_temperature():
    from sklearn import calibration, frozen, linear_model

    y, z = rows(seed=1, scale=2.5)
    model = linear_model.LogisticRegression().fit(z, y)
    model.coef_, model.intercept_ = np.eye(4), np.zeros(4)
    theirs = calibration.CalibratedClassifierCV(frozen.FrozenEstimator(model), method="temperature").fit(z, y)
    np.testing.assert_allclose(tune_temperature(y, z, from_logits=True)(z), theirs.predict_proba(z), atol=1e-4)


def test_probabilities_and_logits_give_the_same():
    y, z = rows()
    p = softmax(z, axis=1)
    by_logits, by_p = tune_temperature(y, z, from_logits=True), tune_temperature(y, p)
    assert by_p.value == pytest.approx(by_logits.value, rel=1e-9)
    np.testing.assert_allclose(by_p(p), by_logits(z), rtol=1e-8)
    one_hot = np.eye(4)[y]
    for form in (y[:, None], one_hot, y.astype("float32")):
        assert tune_temperature(form, p).value == by_p.value


def test_one_sigmoid_and_many_labels_are_pairs():
    y, z = rows(num_classes=2)
    odds = z[:, 1] - z[:, 0]
    expected, _ = best_by_scipy(y, z)
    for form in (odds, odds[:, None]):
        fitted = tune_temperature(y, form, from_logits=True)
        assert fitted.value == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(fitted(form), expit(form / fitted.value), rtol=1e-12)
    fitted = tune_temperature(y, expit(odds))
    assert fitted.value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(fitted(expit(odds)), expit(odds / fitted.value), rtol=1e-6)
    labels, logits = y.reshape(-1, 3), odds.reshape(-1, 3)
    many = tune_temperature(labels, logits, from_logits=True, multi_label=True)
    assert many.value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(many(logits), expit(logits / many.value), rtol=1e-12)
    by_p = tune_temperature(labels, expit(logits), multi_label=True)
    np.testing.assert_allclose(logit(by_p(expit(logits))), logits / by_p.value, rtol=1e-6)


def test_weights_count_rows_and_positions_are_rows():
    y, z = rows()
    weights = np.arange(300) % 3
    repeated = tune_temperature(np.repeat(y, weights), np.repeat(z, weights, axis=0), from_logits=True)
    weighted = tune_temperature(y, z, from_logits=True, sample_weight=weights)
    assert weighted.value == pytest.approx(repeated.value, rel=1e-10)
    assert weighted.loss == pytest.approx(repeated.loss, rel=1e-10)
    positions = tune_temperature(
        y.reshape(30, 10), z.reshape(30, 10, 4), from_logits=True, sample_weight=weights.reshape(30, 10)
    )
    assert positions.value == pytest.approx(weighted.value, rel=1e-12)


def test_probabilities_rounded_to_0_and_1_give_a_finite_temperature():
    y = np.array([0, 1, 1, 0, 1])
    p = np.array([0, 1, 0, 1e-3, 0.7], "float32")
    for form in (p, np.stack([1 - p, p], axis=1)):
        fitted = tune_temperature(y, form)
        assert np.isfinite([fitted.value, fitted.loss]).all()
        assert fitted.value > 1
        assert np.isfinite(fitted(form)).all()


def test_where_no_temperature_is_best_an_error_says_so():
    z = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    with pytest.raises(ValueError, match="wrong in at least one row"):
        tune_temperature([0, 1, 0], z, from_logits=True)
    with pytest.raises(ValueError, match="more about `y_true` than chance"):
        tune_temperature([1, 0, 1], z, from_logits=True)
    with pytest.raises(ValueError, match="at least one row"):
        tune_temperature([1, 0, 1], z, from_logits=True, sample_weight=[0, 0, 0])


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (([0, 1], [0.4, 0.6]), {"from_logits": "False"}, "`from_logits` must be True or False"),
        (([0, 1], [0.4, 0.6]), {"multi_label": 0}, "`multi_label` must be True or False"),
        (([0, 1], [[0.5, 0.6], [0.5, 0.5]]), {}, "`predictions` must have rows that sum to 1"),
        (([0, 1], [[5.0, 0.6], [0.5, 0.5]]), {}, "`predictions` must lie"),
        (([0, 1], [[NAN, 0.6], [0.5, 0.5]]), {"from_logits": True}, "`predictions` must hold finite"),
        (([0, 1], [[INF, 0.6], [0.5, 0.5]]), {"from_logits": True}, "`predictions` must hold finite"),
        (([0, 2], [[0.4, 0.6], [0.5, 0.5]]), {}, "`y_true`"),
        (([0, 0.5], [[0.4, 0.6], [0.5, 0.5]]), {}, "`y_true`"),
        ((["a", "b"], [[0.4, 0.6], [0.5, 0.5]]), {}, "`y_true`"),
        (([0, 1, 1], [[0.4, 0.6], [0.5, 0.5]]), {}, "line up"),
        (([[0.3, 0.7], [1, 0]], [[0.4, 0.6], [0.5, 0.5]]), {}, "hard labels"),
        (([[1, 1], [1, 0]], [[0.4, 0.6], [0.5, 0.5]]), {}, "one-hot"),
        (([0, 1], [0.4, 0.6]), {"sample_weight": [1]}, "`sample_weight`"),
        (([0, 1], [0.4, 0.6]), {"sample_weight": [1, -1]}, "`sample_weight`"),
        (([0, 1], [0.4, 0.6]), {"sample_weight": [1, NAN]}, "`sample_weight`"),
        (([0, 1], [0.4, 0.6]), {"sample_weight": ["a", "b"]}, "`sample_weight`"),
    ],
)
def test_arguments_are_checked(data, options, message):
    with pytest.raises(ValueError, match=message):
        tune_temperature(*data, **options)
