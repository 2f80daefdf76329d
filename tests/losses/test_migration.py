"""The table of docs/guides/losses.md, row by row: what others' losses give, our expression gives too."""

import re
from pathlib import Path

import numpy as np
import pytest
from kerases import IS_TF_KERAS
from loss_gradients import to_float64

import keras_imbalance as ki
from keras_imbalance._keras import keras

C, N = 4, 60
rng = np.random.default_rng(0)
Z = rng.normal(scale=2, size=(3, N // 3, C)).astype("float32")
Y = rng.integers(0, C, (3, N // 3))
ONE_HOT = np.eye(C, dtype="float32")[Y]
LABELS = (rng.random(Z.shape) < 0.3).astype("float32")
NAMES = {
    "C": C,
    "w": np.array([0.3, 1.0, 2.0, 5.0]),
    "counts": np.array([400, 60, 30, 10]),
    "costs": rng.uniform(0, 3, (C, C)),
    "logits": {"from_logits": True},
    "sigmoids": {"from_logits": True, "multi_label": True},
    **{name: getattr(ki, name) for name in ki.ROOM_OF if ki.ROOM_OF[name] in ("losses", "_core")},
}
W, COUNTS, COSTS = NAMES["w"], NAMES["counts"], NAMES["costs"]
WIDE = Z.astype(float)
P = np.exp(WIDE) / np.exp(WIDE).sum(axis=-1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-WIDE))


def entropy(z=WIDE):
    """Cross-entropy of each row of logits."""
    return np.logaddexp.reduce(z, axis=-1) - np.take_along_axis(z, Y[..., None], axis=-1)[..., 0]


def focal(alpha=0.25, gamma=2.0):
    """torchvision's formula: ce * (1 - p_t)^gamma * alpha_t, label by label."""
    p_t = np.where(LABELS == 1, SIGMOID, 1 - SIGMOID)
    return np.where(LABELS == 1, alpha, 1 - alpha) * (1 - p_t) ** gamma * -np.log(p_t)


def asymmetric(gamma_neg, gamma_pos, clip):
    """Alibaba's formula: the probability of "no" is shifted by clip, then both are focused."""
    p, no = SIGMOID, np.minimum(1 - SIGMOID + clip, 1)
    p_t, gamma = np.where(LABELS == 1, p, no), np.where(LABELS == 1, gamma_pos, gamma_neg)
    return (-np.log(p_t) * (1 - p_t) ** gamma).sum()


def tversky(alpha, beta, gamma=1.0):
    """(1 - TI)^gamma of each class, alpha for false positives."""
    found, extra, missed = ((part).sum(axis=(0, 1)) for part in (ONE_HOT * P, (1 - ONE_HOT) * P, ONE_HOT * (1 - P)))
    return (1 - found / (found + alpha * extra + beta * missed)) ** gamma


def effective_number(beta):
    weights = (1 - beta) / (1 - beta**COUNTS)
    return weights / weights.sum() * C


def ldam(max_m, s):
    margins = COUNTS**-0.25
    return entropy(s * (WIDE - margins * max_m / margins.max() * ONE_HOT))


def of_keras(name, labels, predictions=Z, **arguments):
    """The mean of what a loss of Keras gives."""
    return float(np.mean(to_float64(getattr(keras.losses, name)(**arguments)(labels, predictions))))


def of_torch(name, labels, **arguments):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    tensors = {key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in arguments.items()}
    z = torch.tensor(WIDE.reshape(-1, C))
    return getattr(torch.nn, name)(**tensors)(z, torch.tensor(labels)).item()


def of_fit():
    """The loss that fit logs with class_weight."""
    model = keras.Sequential([keras.Input((C,)), keras.layers.Dense(C, kernel_initializer="identity")])
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    weights = dict(enumerate(ki.class_weights(COUNTS)))
    logs = model.fit(Z.reshape(-1, C), Y.ravel(), class_weight=weights, batch_size=N, verbose=0)
    return logs.history["loss"][0]


LOGITS = {"from_logits": True}
KERAS_SOFT = P.astype("float32")
THEIRS = {
    "Keras `SparseCategoricalCrossentropy()`": lambda: of_keras("SparseCategoricalCrossentropy", Y, **LOGITS),
    "Keras `SparseCategoricalCrossentropy(ignore_class=2)`": lambda: of_keras(
        "SparseCategoricalCrossentropy", Y, ignore_class=2, **LOGITS
    ),
    "Keras `CategoricalCrossentropy(label_smoothing=0.1)`": lambda: of_keras(
        "CategoricalCrossentropy", ONE_HOT, label_smoothing=0.1, **LOGITS
    ),
    "Keras `BinaryCrossentropy()`": lambda: of_keras("BinaryCrossentropy", LABELS, **LOGITS),
    "Keras `CategoricalFocalCrossentropy(alpha=0.25, gamma=2)`": lambda: of_keras(
        "CategoricalFocalCrossentropy", ONE_HOT, alpha=0.25, gamma=2, **LOGITS
    ),
    "Keras `BinaryFocalCrossentropy(gamma=2)`": lambda: of_keras("BinaryFocalCrossentropy", LABELS, gamma=2, **LOGITS),
    "Keras `BinaryFocalCrossentropy(gamma=2, alpha=0.25, apply_class_balancing=True)`": lambda: of_keras(
        "BinaryFocalCrossentropy", LABELS, gamma=2, alpha=0.25, apply_class_balancing=True, **LOGITS
    ),
    "Keras `fit(class_weight=class_weights(counts))`": of_fit,
    "Keras `Dice(axis=(0, 1))`": lambda: of_keras("Dice", ONE_HOT, KERAS_SOFT, axis=(0, 1), reduction=None),
    "Keras `Tversky(alpha=0.3, beta=0.7, axis=(0, 1))`": lambda: of_keras(
        "Tversky", ONE_HOT, KERAS_SOFT, alpha=0.3, beta=0.7, axis=(0, 1), reduction=None
    ),
    "PyTorch `CrossEntropyLoss(weight=w)`": lambda: of_torch("CrossEntropyLoss", Y.ravel(), weight=W),
    'PyTorch `CrossEntropyLoss(weight=w, reduction="sum")`': lambda: of_torch(
        "CrossEntropyLoss", Y.ravel(), weight=W, reduction="sum"
    ),
    "PyTorch `BCEWithLogitsLoss(pos_weight=w)`": lambda: of_torch(
        "BCEWithLogitsLoss", LABELS.reshape(-1, C).astype(float), pos_weight=W
    ),
    'torchvision `sigmoid_focal_loss(alpha=0.25, gamma=2, reduction="mean")`': lambda: focal().mean(),
    'torchvision `sigmoid_focal_loss(alpha=0.25, gamma=2, reduction="sum")`': lambda: focal().sum(),
    'tensorflow-addons `SigmoidFocalCrossEntropy(alpha=0.25, gamma=2, reduction="sum")`': lambda: focal().sum(),
    "Alibaba `AsymmetricLoss(gamma_neg=4, gamma_pos=1, clip=0.05)`": lambda: asymmetric(4, 1, 0.05),
    "Lin et al. 2017, RetinaNet: sum over anchors / positive anchors": lambda: (
        focal().sum() / LABELS.any(axis=-1).sum()
    ),
    "Cui et al. 2019, beta 0.99": lambda: (effective_number(0.99)[Y] * entropy()).mean(),
    "Cao et al. 2019, LDAM, max_m 0.5, s 30, weight=w": lambda: (W[Y] * ldam(0.5, 30)).sum() / W[Y].sum(),
    "Menon et al. 2021, tau 0.5": lambda: entropy(WIDE + 0.5 * np.log(COUNTS / COUNTS.sum())).mean(),
    "Ren et al. 2020, balanced softmax": lambda: entropy(WIDE + np.log(COUNTS)).mean(),
    "Galdran et al. 2020, lambda 10": lambda: (entropy() + 10 * (COSTS[Y] * P).sum(axis=-1)).mean(),
    "Gimpel and Smith 2010, softmax-margin": lambda: (
        np.logaddexp.reduce(WIDE + COSTS[Y], axis=-1) - np.take_along_axis(WIDE, Y[..., None], -1)[..., 0]
    ).mean(),
    "Salehi et al. 2017, alpha 0.3, beta 0.7": lambda: tversky(0.3, 0.7).mean(),
    "Abraham and Khan 2019, alpha 0.7, beta 0.3, gamma 4/3": lambda: tversky(0.3, 0.7, 1 / (4 / 3)).sum() / C,
    "the sum of Dice and cross-entropy": lambda: tversky(0.5, 0.5).mean() + entropy().mean(),
}
ROWS = re.findall(
    r"^\| (.+?) \| `(.+?)` \| ",
    Path(__file__).parents[2].joinpath("docs/guides/losses.md").read_text().partition("| what you use |")[2],
    flags=re.MULTILINE,
)


def test_every_row_is_tested():
    assert [name for name, _ in ROWS] == list(THEIRS)


@pytest.mark.parametrize(("name", "ours"), ROWS, ids=[name for name, _ in ROWS])
def test_the_same_number(name, ours):
    if IS_TF_KERAS and ("Dice" in name or "Tversky" in name) and name.startswith("Keras"):
        pytest.skip("tf-keras has no Dice and no Tversky")
    loss = eval(ours, dict(NAMES))
    expected = THEIRS[name]()
    labels = LABELS if getattr(loss, "multi_label", False) else Y
    np.testing.assert_allclose(to_float64(loss(labels, Z)), expected, rtol=2e-5)
