"""Shrink rates of few trials by empirical Bayes, with a beta distribution for each arm or each segment and arm.

Each rate x / n moves toward the mean of similar people, and the fewer trials there are, the further it moves. The two
levels of a prior are fitted alternately. The means of the segments are fitted around the arm's mean; since people of
one segment differ, n trials of one person count as n (s + 1) / (s + n) trials, where s is the strength. Then the
strength that the segments share is fitted.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, digamma, gammaln, zeta

from relmark.core.beta_binomial import likelihood_of_counts
from relmark.core.checks import FloatArray, IntArray
from relmark.core.newton import Terms, in_logarithms, maximize
from relmark.core.ordering import dense_codes

__all__ = ["Cells", "Prior", "fit_prior", "probability_best"]

_ROUNDS = 6
_NODES = 24
_BLOCK = 1 << 15
_STRENGTH = 10.0


@attrs.frozen(eq=False)
class Cells:
    """People of one arm with the same segment, trials and successes form one cell; `weight` is their number."""

    segment: IntArray
    x: IntArray
    n: IntArray
    weight: FloatArray
    of: IntArray  # the cell of each person

    @classmethod
    def count(cls, segment: IntArray, x: IntArray, n: IntArray) -> Cells:
        """Count people into cells."""
        size = int(n.max(initial=0)) + 1
        key = (segment * size + n) * size + x
        room = (int(segment.max(initial=0)) + 1) * size * size
        if room <= 4 * len(key) + 1_000:  # a table is faster than a sort
            seen = np.bincount(key, minlength=room)
            used = np.flatnonzero(seen)
            place = np.zeros(room, dtype=np.int64)
            place[used] = np.arange(len(used))
            code, weight = place[key], seen[used].astype(np.float64)
        else:
            code, k = dense_codes(key)
            used = np.zeros(k, dtype=np.int64)
            used[code] = key
            weight = np.bincount(code, minlength=k).astype(np.float64)
        return cls(used // (size * size), used % size, used // size % size, weight, code)


@attrs.frozen(eq=False)
class Prior:
    """The beta distribution of each segment (of one, without a second level): means, shape (s,), and one strength."""

    mean: FloatArray
    strength: float
    overall: float

    def posterior(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return alpha and beta of each cell."""
        m = self.mean[cells.segment]
        return self.strength * m + cells.x, self.strength * (1 - m) + cells.n - cells.x


def fit_prior(cells: Cells, segments: int, usual: float) -> Prior:
    """Return the prior of one arm by maximum likelihood.

    One extra trial, which succeeds with probability `usual`, prevents a rate of 0 for an arm without successes, and a
    rate of 1 for an arm with a single, lucky trial.
    """
    x, n = np.append(cells.x, [1, 0]), np.append(cells.n, [1, 1])
    w = np.append(cells.weight, [usual, 1 - usual])
    mean = float((w * x).sum() / (w * n).sum())
    start = _STRENGTH * np.array([mean, 1 - mean])

    def flat(theta: FloatArray) -> Terms:
        p = start * np.exp(theta)
        return in_logarithms(likelihood_of_counts(p, x, n, w), p)

    alpha, beta = start * np.exp(maximize(flat, np.zeros(2)).theta)
    overall, strength = float(alpha / (alpha + beta)), float(alpha + beta)
    if segments < 2:
        return Prior(np.array([overall]), strength, overall)
    means = np.full(segments, overall)
    some = cells.n > 0
    seg, cx, cn, cw = cells.segment[some], cells.x[some], cells.n[some], cells.weight[some]
    for _ in range(_ROUNDS):
        worth = cw * (strength + 1) / (strength + cn)  # of each trial
        trials = np.bincount(seg, weights=worth * cn, minlength=segments)
        hits = np.bincount(seg, weights=worth * cx, minlength=segments)
        a, b = _between(hits.astype(np.float64), trials.astype(np.float64), usual)
        means = (a + hits) / (a + b + trials)
        overall, before = float(a / (a + b)), strength
        strength = _shared(means, seg, cx, cn, cw, strength)
        if abs(np.log(strength / before)) < 1e-6:
            break
    return Prior(means, strength, overall)


def _between(hits: FloatArray, trials: FloatArray, usual: float) -> tuple[float, float]:
    """Return the beta distribution of the segments' means, from weighted trials."""
    x, n = np.append(hits, [1.0, 0.0]), np.append(trials, [1.0, 1.0])
    w = np.append(np.ones(len(hits)), [usual, 1 - usual])
    mean = float((w * x).sum() / (w * n).sum())
    start = _STRENGTH * np.array([mean, 1 - mean])

    def terms(theta: FloatArray) -> Terms:
        p = start * np.exp(theta)
        a, b = p.tolist()
        value = w @ (
            gammaln(a + x) + gammaln(b + n - x) - gammaln(a + b + n) - gammaln(a) - gammaln(b) + gammaln(a + b)
        )
        both = w @ (digamma(a + b + n) - digamma(a + b))
        curve = w @ (zeta(2.0, a + b + n) - zeta(2.0, a + b))
        g = np.array([w @ (digamma(a + x) - digamma(a)) - both, w @ (digamma(b + n - x) - digamma(b)) - both])
        h = np.full((2, 2), -curve) + np.diag(
            [w @ (zeta(2.0, a + x) - zeta(2.0, a)), w @ (zeta(2.0, b + n - x) - zeta(2.0, b))]
        )
        return in_logarithms((float(value), g, h), p)

    a, b = start * np.exp(maximize(terms, np.zeros(2)).theta)
    return float(a), float(b)


def _shared(means: FloatArray, seg: IntArray, x: IntArray, n: IntArray, w: FloatArray, start: float) -> float:
    """Return the strength that segments share, given their means."""
    parts = [(k, np.flatnonzero(seg == k)) for k in np.unique(seg).tolist()]

    def terms(theta: FloatArray) -> Terms:
        s = start * float(np.exp(theta[0]))
        value, first, second = 0.0, 0.0, 0.0
        for k, rows in parts:
            d = np.array([means[k], 1 - means[k]])
            one, g, h = likelihood_of_counts(s * d, x[rows], n[rows], w[rows])
            value, first, second = value + one, first + float(g @ d), second + float(d @ h @ d)
        return in_logarithms((value, np.array([first]), np.array([[second]])), np.array([s]))

    return start * float(np.exp(maximize(terms, np.zeros(1)).theta[0]))


def probability_best(cells: list[Cells], posteriors: list[tuple[FloatArray, FloatArray]], best: IntArray) -> FloatArray:
    """Return for each person the probability that the rate of arm `best` is the largest of all arms.

    P = integral over u of the product over the other arms of F_i(Q_best(u)), by Gauss-Legendre quadrature. The
    incomplete beta function is evaluated for each pair of cells that occurs, not for each person.
    """
    k, people = len(cells), len(best)
    out = np.ones(people)
    if k == 1:
        return out
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    u, weights = (nodes + 1) / 2, weights / 2
    code = best.astype(np.int64)
    for one in cells:
        code, _ = dense_codes(code * (int(one.of.max(initial=0)) + 1) + one.of)
    combos = int(code.max(initial=-1)) + 1
    sample = np.zeros(combos, dtype=np.int64)
    sample[code] = np.arange(people)
    found = np.empty(combos)
    for j in range(k):
        mine = np.flatnonzero(best[sample] == j)
        if not len(mine):
            continue
        who = sample[mine]
        own = cells[j].of[who]
        used, own = np.unique(own, return_inverse=True)
        a, b = posteriors[j]
        q = np.asarray(betaincinv(a[used, None], b[used, None], u), dtype=np.float64)
        tables: list[tuple[npt.NDArray[np.float64], IntArray]] = []
        for i in range(k):
            if i == j:
                continue
            codes, size = dense_codes(own * len(cells[i].x) + cells[i].of[who])
            at = np.zeros(size, dtype=np.int64)
            at[codes] = np.arange(len(codes))
            of_own, of_other = own[at], cells[i].of[who[at]]
            alpha, beta = posteriors[i]
            below = np.asarray(betainc(alpha[of_other, None], beta[of_other, None], q[of_own]), dtype=np.float64)
            tables.append((below, codes))
        for low in range(0, len(mine), _BLOCK):
            part = slice(low, low + _BLOCK)
            product = tables[0][0][tables[0][1][part]]
            for table, codes in tables[1:]:
                product *= table[codes[part]]
            found[mine[part]] = product @ weights
    return np.clip(found[code], 0.0, 1.0)
