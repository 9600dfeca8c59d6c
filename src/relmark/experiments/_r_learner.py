"""Kernels: an R-learner with a ridge penalty on second moments by arm and fold, and a test of whether effects differ.

Within a cell of one arm and one fold w is constant, so that every sum over people that the method needs follows from
the second moments of (x, y) in the cell. Columns are centered at the mean of all people in the test and divided by
their standard deviations, with a column of ones before them: z = (1, x).

    tau(x) = b_0 + x'b   minimises   sum ((y - m(x)) - (w - e) (b_0 + x'b))^2 + penalty |b|^2      (1)

m is linear, without w, and fitted on the other folds; e is the share of the treated. This is eq. 4 of Nie and Wager
with a linear tau, and a penalty only on the part that makes people differ.

References
----------
X. Nie and S. Wager (2021), Biometrika 108, 299-319.
R. K. Crump, V. J. Hotz, G. W. Imbens and O. A. Mitnik (2008), Review of Economics and Statistics 90, 389-405.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc

from relmark.core.checks import FloatArray

__all__ = [
    "PENALTIES",
    "Cells",
    "Fit",
    "Heterogeneity",
    "fit_cells",
    "heterogeneity",
    "heterogeneity_by_folds",
    "score_directions",
]

PENALTIES = 10.0 ** (np.arange(-6, 5) / 2)  # .001 to 100, in units of the information of a standardized feature
FEW_FOLDS = 12  # up to here all signs are tried
FLIPS = 4_000
_SINGULAR = 1e-10  # eigenvalues below this share of the largest are zero


class Cells(NamedTuple):
    """Raw second moments of z = (1, x) and y about the common center, by arm (control first) and fold."""

    n: FloatArray
    """Shape (2, folds)."""
    zz: FloatArray
    """Shape (2, folds, p + 1, p + 1)."""
    zy: FloatArray
    """Shape (2, folds, p + 1)."""
    yy: FloatArray
    """Shape (2, folds)."""

    @property
    def treated(self) -> float:
        """The share e of the treated."""
        return float(self.n[1].sum() / self.n.sum())

    @property
    def away(self) -> tuple[float, float]:
        """Return w - e of control and of the treated."""
        return -self.treated, 1 - self.treated


class Fit(NamedTuple):
    """What was learned: coefficients of z, from all folds and without each fold."""

    b: FloatArray
    """Shape (p + 1,), of all folds."""
    by_fold: FloatArray
    """Shape (folds, p + 1): learned without the fold."""
    penalty: float
    """The one chosen, of `PENALTIES`."""
    losses: FloatArray
    """The held-out loss (1) per person of each of `PENALTIES`."""
    constant: FloatArray
    """The held-out loss per person of one effect for everybody, and that effect of all folds, shape (2,)."""


class Heterogeneity(NamedTuple):
    """The test of no difference between people."""

    statistic: float
    df: int
    p_value: float


def fit_cells(cells: Cells) -> Fit:
    """Return the coefficients at the penalty of the smallest held-out loss."""
    k = cells.n.shape[1]
    every = range(k)
    pooled = [_m_without(cells, {fold}) for fold in every]
    pairs = {(i, j): _m_without(cells, {i, j}) for i in every for j in range(i)}
    by_fold, losses, constant = [], np.zeros(len(PENALTIES)), 0.0
    for held in every:
        rest = [fold for fold in every if fold != held]
        path, alone = _path(cells, rest, [pairs[max(fold, held), min(fold, held)] for fold in rest])
        by_fold.append(path)
        losses += [_loss(cells, held, pooled[held], b) for b in path]
        constant += _loss(cells, held, pooled[held], alone)
    at = int(np.argmin(losses))
    path, alone = _path(cells, every, pooled)
    people = float(cells.n.sum())
    return Fit(
        b=path[at],
        by_fold=np.stack([one[at] for one in by_fold]),
        penalty=float(PENALTIES[at]),
        losses=losses / people,
        constant=np.array([constant / people, alone[0]]),
    )


def _m_without(cells: Cells, out: set[int]) -> FloatArray:
    """Return m, the regression of y on z of both arms, fitted without some folds."""
    rest = [fold for fold in range(cells.n.shape[1]) if fold not in out]
    return _solved(cells.zz[:, rest].sum(axis=(0, 1)), cells.zy[:, rest].sum(axis=(0, 1)))


def _path(cells: Cells, folds: Iterable[int], m: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients at each of `PENALTIES`, shape (penalties, p + 1), and those of one effect for all."""
    p = cells.zz.shape[-1]
    left, right = np.zeros((p, p)), np.zeros(p)
    for fold, own in zip(folds, m, strict=True):
        for arm, d in enumerate(cells.away):  # the normal equations of (1)
            left += d * d * cells.zz[arm, fold]
            right += d * (cells.zy[arm, fold] - cells.zz[arm, fold] @ own)
    alone = np.zeros(p)
    alone[0] = right[0] / left[0, 0]
    tie = left[0, 1:] / left[0, 0]  # b_0 has no penalty: it is eliminated
    inner = left[1:, 1:] - np.outer(tie, left[0, 1:])
    value, vector = np.linalg.eigh(inner)
    value = np.where(value > _SINGULAR * max(float(value[-1]), 0.0), value, 0.0) if len(value) else value
    target = vector.T @ (right[1:] - tie * right[0])
    b = (target / (value + PENALTIES[:, None] * left[0, 0])) @ vector.T
    first = (right[0] - b @ left[0, 1:]) / left[0, 0]
    return np.column_stack([first, b]), alone


def _loss(cells: Cells, fold: int, m: FloatArray, b: FloatArray) -> float:
    """Return the sum of squares of (1), without the penalty, in one fold."""
    total = 0.0
    for arm, d in enumerate(cells.away):
        v = m + d * b
        total += float(cells.yy[arm, fold] - 2 * v @ cells.zy[arm, fold] + v @ cells.zz[arm, fold] @ v)
    return total


def _solved(matrix: FloatArray, target: FloatArray) -> FloatArray:
    """Return the least squares solution; directions that the rows do not determine get 0."""
    value, vector = np.linalg.eigh(matrix)
    kept = value > _SINGULAR * max(float(value[-1]), 0.0)
    return np.asarray(vector[:, kept] @ ((vector[:, kept].T @ target) / value[kept]))


# Whether there is any difference


class Directions(NamedTuple):
    """What x says about the effect in addition to everything that x and w say by themselves."""

    of_score: list[FloatArray]
    """For each arm (w - e) x without its part in (z, w), as a matrix of z, shape (p, p + 1)."""
    fitted: list[FloatArray]
    """For each arm the regression of y on (z, w), so that a person's residual is y - z'fitted, shape (p + 1,)."""
    rank: int
    """Of (z, w)."""


def score_directions(cells: Cells) -> Directions:
    """Return the directions of the score of b at 0, and the regression that is left there."""
    zz, zy = cells.zz.sum(axis=1), cells.zy.sum(axis=1)
    p = zz.shape[-1]
    lifted = [np.vstack([np.eye(p), d * np.eye(p)[0]]) for d in cells.away]  # (z, w - e) is this times z
    left, right, cross = np.zeros((p + 1, p + 1)), np.zeros(p + 1), np.zeros((p - 1, p + 1))
    for arm, (d, rows) in enumerate(zip(cells.away, lifted, strict=True)):
        left += rows @ zz[arm] @ rows.T
        right += rows @ zy[arm]
        cross += d * zz[arm][1:] @ rows.T
    value, vector = np.linalg.eigh(left)
    kept = value > _SINGULAR * float(value[-1])
    inverse = (vector[:, kept] / value[kept]) @ vector[:, kept].T
    return Directions(
        [d * np.eye(p)[1:] - cross @ inverse @ rows for d, rows in zip(cells.away, lifted, strict=True)],
        [rows.T @ inverse @ right for rows in lifted],
        int(np.count_nonzero(kept)),
    )


def heterogeneity(cells: Cells, variance: FloatArray) -> Heterogeneity:
    """Return the score test of b = 0 given everything that x and w say by themselves.

    Parameters
    ----------
    cells : Cells
    variance : ndarray of float64, shape (p, p)
        The sum over people of squared residuals times products of their directions (White's), which is valid for any
        variance of y.

    Notes
    -----
    G = sum x~ y, with x~ = (w - e) x less its part in (z, w). Under b = 0, G' V^- G / r is compared with
    F(r, n - q - r), r being the rank of V and q that of (z, w). This is the test of Crump and others for a linear tau,
    as a score test: its variance is taken where the effect is the same for all, so that it keeps its level in skewed
    samples.
    """
    g = _by_fold(cells).sum(axis=0)
    people, q = float(cells.n.sum()), score_directions(cells).rank
    root = _root(variance * people / max(people - q, 1.0))
    r = root.shape[1]
    if not r:
        return Heterogeneity(0.0, 0, 1.0)
    statistic = float(np.sum((g @ root) ** 2))
    return Heterogeneity(statistic, r, float(fdtrc(r, max(people - q - r, 1.0), statistic / r)))


def heterogeneity_by_folds(cells: Cells) -> Heterogeneity:
    """Return the same test from moments alone: it flips the signs of the folds' parts of G.

    Second moments do not show how the spread of y depends on x, and a test that assumes the same spread for all people
    of an arm finds differences several times as often as it promises. But each fold has its own part of G, with mean 0
    under b = 0, so G is as likely as any sum of these parts with other signs, whatever their variance. All signs are
    tried if there are few folds, otherwise `FLIPS` drawn ones. No p-value is below 1 / 2^(folds - 1).

    References
    ----------
    I. A. Canay, J. P. Romano and A. M. Shaikh (2017), Econometrica 85, 1013-1030.
    """
    directions, fitted, _ = score_directions(cells)
    zz, zy, yy, n = cells.zz.sum(axis=1), cells.zy.sum(axis=1), cells.yy.sum(axis=1), cells.n.sum(axis=1)
    alike = np.zeros((zz.shape[-1] - 1,) * 2)
    for arm, (one, theta) in enumerate(zip(directions, fitted, strict=True)):
        rss = max(float(yy[arm] - 2 * theta @ zy[arm] + theta @ zz[arm] @ theta), 0.0)
        alike += rss / n[arm] * (one @ zz[arm] @ one.T)
    root = _root(alike)
    if not root.shape[1]:
        return Heterogeneity(0.0, 0, 1.0)
    g = _by_fold(cells) @ root
    folds = len(g)
    if folds <= FEW_FOLDS:
        bits = np.arange(2 ** (folds - 1))[:, None] >> np.arange(folds - 1) & 1
        signs = np.column_stack([np.ones(len(bits)), 1.0 - 2.0 * bits])
    else:
        drawn = np.random.default_rng(0).integers(0, 2, (FLIPS - 1, folds))
        signs = np.vstack([np.ones(folds), 1.0 - 2.0 * drawn])
    found = np.sum((signs @ g) ** 2, axis=1)
    few = float(n.min())
    fitted_away = (few / max(few - zz.shape[-1], 1.0)) ** 2  # the spread of the folds that fitting removed, as in HC3
    as_much = 1 + np.count_nonzero(found[1:] * fitted_away >= found[0] * (1 - 1e-9))
    return Heterogeneity(float(found[0]), root.shape[1], as_much / len(found))


def _by_fold(cells: Cells) -> FloatArray:
    """Return each fold's part of G, shape (folds, p)."""
    directions, fitted, _ = score_directions(cells)
    parts = np.zeros((cells.n.shape[1], cells.zz.shape[-1] - 1))
    for arm, (one, theta) in enumerate(zip(directions, fitted, strict=True)):
        parts += (cells.zy[arm] - cells.zz[arm] @ theta) @ one.T
    return parts


def _root(variance: FloatArray) -> FloatArray:
    """Return R, shape (p, r), where R R' is the (pseudo-)inverse of a variance."""
    spread = np.sqrt(np.maximum(np.diagonal(variance), 0.0))
    held = np.flatnonzero(spread > 1e-9 * max(float(spread.max(initial=0.0)), np.finfo(np.float64).tiny))
    if not len(held):
        return np.zeros((len(spread), 0))
    value, vector = np.linalg.eigh(variance[np.ix_(held, held)] / np.outer(spread[held], spread[held]))
    kept = value > 1e-8 * float(value[-1])
    root = np.zeros((len(spread), int(np.count_nonzero(kept))))
    root[held] = vector[:, kept] / np.sqrt(value[kept]) / spread[held, None]
    return root
