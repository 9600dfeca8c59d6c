"""Discount by the calendar what is expected by a season's clock: one quadrature rule for all customers.

With N(l) the purchases expected until operational time l, the discounted ones until calendar time t are, by parts,

    e^(-delta t) N(L(t)) + delta times the integral of e^(-delta s) N(L(s)) over (0, t).

N is smooth and differs between customers; e^(-delta s) as a function of l has kinks and is the same for all. So N is
evaluated at the Gauss nodes of panels that grow with l. The weight of a node is the integral of its Lagrange polynomial
against the discount, taken over the stretches in which the clock runs evenly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.legendre import legvander

from relmark.core.checks import FloatArray
from relmark.core.errors import LimitError
from relmark.ltv._quadrature import unit_nodes
from relmark.ltv.season import Season

_NODES = 16
_WITHIN = 8  # nodes of a stretch: exact for the polynomials, and the discount hardly bends in it
_CHUNK = 8_192
_MOST_DAYS = 4_000_000
PER_OCTAVE = 4


def calendar_rule(
    season: Season, day: int, ends: FloatArray, delta: float, first: float
) -> tuple[FloatArray, FloatArray]:
    """Return operational times (m,), and weights (len(ends), m) of N at them, for the integrals until ascending ends.

    Parameters
    ----------
    season : Season
    day : int
        The day at whose end time is 0.
    ends : ndarray
        Calendar days, ascending and finite.
    delta : float
        The discount rate, per day.
    first : float
        The operational days in which N is smooth from 0 on; later panels double in four steps.
    """
    longest = float(ends[-1])
    if longest > _MOST_DAYS:
        raise LimitError(
            f"future purchases become negligible only after {longest:,.0f} days; with a season, at most {_MOST_DAYS:,} "
            "are added up. Give a higher discount rate or a horizon.",
            code="too_large",
        )
    reach = float(season.elapsed(day, ends[-1:])[0])
    steps = max(math.ceil(PER_OCTAVE * math.log2(max(reach / first, 1.0))), 0)
    edges = np.append(0.0, first * 2.0 ** (np.arange(steps + 1) / PER_OCTAVE))
    edges = np.append(edges[edges < reach * (1.0 - 1e-12)], reach)
    pace = season.pace(day + 1 + np.arange(math.ceil(longest) + 1))
    turns = np.flatnonzero(pace[1:] != pace[:-1]) + 1.0
    cuts = np.unique(np.concatenate([[0.0], turns, season.until(day, edges), ends]))
    cuts = cuts[(cuts >= 0.0) & (cuts <= longest)]
    node, weight = unit_nodes(_NODES)
    inner, inner_weight = unit_nodes(_WITHIN)
    degree = np.arange(_NODES)
    to_nodes = legvander(2.0 * node - 1.0, _NODES - 1).T * ((2.0 * degree + 1.0)[:, None] * weight)
    width = np.diff(edges)
    into = np.zeros((len(ends), len(width), _NODES))
    for low in range(0, len(cuts) - 1, _CHUNK):
        start, stop = cuts[low : low + _CHUNK], cuts[low + 1 : low + 1 + _CHUNK]
        start = start[: len(stop)]
        middle = 0.5 * (start + stop)
        panel = np.clip(np.searchsorted(edges, season.elapsed(day, middle), side="right") - 1, 0, len(width) - 1)
        s = start[:, None] + (stop - start)[:, None] * inner
        place = (season.elapsed(day, s) - edges[panel, None]) / width[panel, None]
        basis = legvander(2.0 * np.clip(place, 0.0, 1.0) - 1.0, _NODES - 1) @ to_nodes
        share = delta * np.exp(-delta * s) * inner_weight * (stop - start)[:, None]
        np.add.at(into, (np.searchsorted(ends, middle), panel), np.einsum("pq,pqi->pi", share, basis))
    nodes = (edges[:-1, None] + width[:, None] * node).ravel()
    return nodes, np.cumsum(into, axis=0).reshape(len(ends), -1)
