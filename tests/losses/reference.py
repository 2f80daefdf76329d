"""Float64 formulas of the losses, written from the papers, and their gradients by complex step.

A complex step, Im f(x + ih) / h, has no cancellation (Squire & Trapp, 1998): the gradients are as exact as the formulas.
"""

import numpy as np

STEP = 1e-200


def log1p(w):
    """log(1 + w) for an imaginary part that is a step; numpy.log1p loses the digits of a small complex number."""
    return np.log1p(w.real) + (1j * (w.imag / (1 + w.real)) if np.iscomplexobj(w) else 0)


def softplus(s):
    return np.where(s.real > 0, s, 0) + log1p(np.exp(np.where(s.real > 0, -s, s)))


def log_sum_exp_others(z, labels):
    """log sum_{j != y} exp(z_j)."""
    z = np.array(z)
    is_true = np.arange(z.shape[-1]) == labels[:, None]
    highest = np.where(is_true, -np.inf, z.real).max(axis=-1, keepdims=True)
    return highest[:, 0] + np.log(np.where(is_true, 0, np.exp(np.where(is_true, highest, z) - highest)).sum(axis=-1))


def log_odds(z, labels):
    return z[np.arange(len(z)), labels] - log_sum_exp_others(z, labels)


def focal(z, labels, gamma):
    s = log_odds(z, labels)
    return np.exp(-gamma * softplus(s)) * softplus(-s)


def cross_entropy(z, labels):
    return softplus(-log_odds(z, labels))


def expected_cost(z, labels, costs):
    top = z.real.argmax(axis=-1)
    rows = costs[labels]
    base = rows[np.arange(len(z)), top]
    e = np.exp(z - z.real.max(axis=-1, keepdims=True))
    return base + ((rows - base[:, None]) * e).sum(axis=-1) / e.sum(axis=-1)


def softmax_margin(z, labels, costs):
    rows = costs[labels]
    return cross_entropy(z + rows, labels) + rows[np.arange(len(z)), labels]


def logit_adjusted(z, labels, counts, tau):
    return cross_entropy(z + tau * np.log(counts / counts.sum()), labels)


def ldam(z, labels, counts, max_margin, scale):
    margins = counts**-0.25
    margins = margins * max_margin / margins.max()
    shifted = np.array(z, dtype=np.result_type(z))
    shifted[np.arange(len(z)), labels] -= margins[labels]
    return cross_entropy(scale * shifted, labels)


def binary_focal(z, labels, gamma, alpha=None):
    s = np.where(labels == 1, z, -z)
    weight = 1.0 if alpha is None else np.where(labels == 1, alpha, 1 - alpha)
    return weight * np.exp(-gamma * softplus(s)) * softplus(-s)


def asymmetric(z, labels, gamma_positive, gamma_negative, clip):
    positive = np.exp(-gamma_positive * softplus(z)) * softplus(-z)
    p = np.exp(-softplus(-z))
    shifted = np.where(p.real > clip, p - clip, 0)
    if clip == 0:
        negative = np.exp(-gamma_negative * softplus(-z)) * softplus(z)
    else:
        negative = shifted**gamma_negative * -log1p(-shifted)
    return np.where(labels == 1, positive, negative)


def gradient(loss, z):
    """Gradient of a row-wise loss of z `(N, C)` or of an element-wise loss of z `(N,)`, float64."""
    z = np.asarray(z, dtype=np.complex128)
    if z.ndim == 1:
        return loss(z + 1j * STEP).imag / STEP
    columns = []
    for j in range(z.shape[1]):
        step = np.zeros(z.shape[1], dtype=np.complex128)
        step[j] = 1j * STEP
        columns.append(loss(z + step).imag / STEP)
    return np.stack(columns, axis=1)


def worst_relative_error(actual, expected, smallest=1e-30):
    """Largest |actual - expected| / |expected| where |expected| >= smallest; NaN or infinity count as infinite."""
    actual, expected = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if not np.isfinite(actual).all():
        return np.inf
    counted = np.abs(expected) >= smallest
    return float(np.max(np.abs(actual - expected)[counted] / np.abs(expected)[counted], initial=0.0))
