"""The gradient noise scale from inner products of per-row gradients: how many rows a step can use.

``B_simple = tr(Sigma) / |G|^2`` (An Empirical Model of Large-Batch Training, OpenAI, 2018-12): Sigma is the covariance
of one row's contribution to the gradient, G the gradient itself. A step of B rows has a gradient of ``G`` plus noise of
size ``tr(Sigma) / B``: far below B_simple a step of twice the rows is worth two steps, far above it is worth one.

Our loss divides by the supervised tokens of the whole step, so row i with gradient ``s_i`` of its summed loss and
``n_i`` supervised tokens contributes ``e_i = (s_i - n_i G) / mean(n)`` of noise, with ``G = sum(s) / sum(n)``.
The estimate is the unbiased one from two batch sizes, here 1 row and all N of them:
``tr(Sigma) = sum |e_i|^2 / (N - 1)``, ``|G|^2 = |sum(s) / sum(n)|^2 - tr(Sigma) / N``.

The interval is Fieller's for a ratio ("Some Problems in Interval Estimation", 1954) with the jackknife's covariance of
the two. It is unbounded exactly when ``|G|^2`` is not clearly above zero: then there is not enough evidence.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tunewright.schema.measured import NoiseScale

Floats = NDArray[np.float64]

FEWEST_ROWS = 16
"""With fewer rows the jackknife's own error is as large as what it measures."""
T_95 = 2.0
"""Two-sided 95 % of Student's t at 60 degrees of freedom; 2.13 at 15, 1.98 at 120."""


def noise_scale(gram_NN: Floats, tokens_N: Floats, *, after_steps: int = 0) -> NoiseScale:
    """The noise scale of N rows in rows per step, with its 95 % interval.

    gram_NN  : inner products ``s_i . s_j`` of the gradients of the rows' summed token losses
    tokens_N : supervised tokens of each row, above 0

    A row with a non-finite gradient is left out. With fewer than 16 rows left, or a gradient of zeros, nothing is said.

    >>> rows = np.random.Generator(np.random.PCG64(0)).normal(1.0, 2.0, (64, 50))  # |G|^2 = 50, tr(Sigma) = 200
    >>> found = noise_scale(rows @ rows.T, np.ones(64))
    >>> found.low < 4.0 < found.high
    True
    """
    good = np.isfinite(np.diag(gram_NN))
    gram_NN, tokens_N = gram_NN[np.ix_(good, good)], tokens_N[good].astype(float)
    N = len(tokens_N)
    per_row = float(tokens_N.mean()) if N else math.nan
    if N < FEWEST_ROWS:
        because = f"{N} rows with a finite gradient, at least {FEWEST_ROWS} are needed"
        return NoiseScale(after_steps, N, None, None, None, per_row, because)
    whole = np.array(_noise_and_signal(gram_NN, tokens_N, np.ones(N)))
    if not whole[0] > 0:
        because = "all rows have the same gradient, or none at all"
        return NoiseScale(after_steps, N, None, None, None, per_row, because)
    low, high = _fieller(whole, _jackknife_covariance(gram_NN, tokens_N))
    if high is None:
        because = f"{N} rows do not tell the gradient from noise"
        return NoiseScale(after_steps, N, None, low, None, per_row, because)
    return NoiseScale(after_steps, N, float(whole[0] / whole[1]), low, high, per_row)


def _noise_and_signal(gram_NN: Floats, tokens_N: Floats, weight_N: Floats) -> tuple[float, float]:
    """(tr Sigma, |G|^2) of the rows with weight 1, both unbiased up to 1 / N."""
    N = weight_N.sum()
    tokens = float(weight_N @ tokens_N)
    along_N = gram_NN @ weight_N / tokens  # s_i . G
    G_squared = float(weight_N @ along_N) / tokens
    noise_N = np.diag(gram_NN) - 2 * tokens_N * along_N + tokens_N**2 * G_squared  # |s_i - n_i G|^2
    trace = float(weight_N @ noise_N) / (N - 1) * (N / tokens) ** 2
    return trace, G_squared - trace / N


def _jackknife_covariance(gram_NN: Floats, tokens_N: Floats) -> Floats:
    """[2, 2] covariance of (tr Sigma, |G|^2): what leaving out one row at a time changes."""
    N = len(tokens_N)
    kept = 1.0 - np.eye(N)
    without = np.array([_noise_and_signal(gram_NN, tokens_N, weight_N) for weight_N in kept])
    spread = without - without.mean(axis=0)
    covariance: Floats = (N - 1) / N * spread.T @ spread
    return covariance


def _fieller(whole: Floats, covariance: Floats) -> tuple[float | None, float | None]:
    """The ratios r for which ``noise - r signal`` is within T_95 standard errors of 0: a r^2 + b r + c <= 0.

    (low, high); high is None when the set has no upper end, low when it has no lower end above 0.
    """
    noise, signal = (float(value) for value in whole)
    (noise_var, shared), (_, signal_var) = covariance.tolist()
    a = signal**2 - T_95**2 * signal_var
    b = -2 * (noise * signal - T_95**2 * shared)
    c = noise**2 - T_95**2 * noise_var
    under_root = b * b - 4 * a * c
    if a == 0 or under_root < 0:
        return None, None
    # the two roots without the cancellation of the school formula
    q = -0.5 * (b + math.copysign(math.sqrt(under_root), b))
    first, second = sorted((q / a, c / q if q else 0.0))
    if a > 0 and signal > 0:
        return max(0.0, first), second
    return (second, None) if second > 0 else (None, None)
