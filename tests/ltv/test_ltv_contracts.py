"""Contracts: retention that changes with age, renewals read from events, and what subscribers are worth."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import CustomerBase, Event, EventLog, days, months
from relmark.errors import InputError, NotEnoughDataError
from relmark.ltv import (
    BetaDiscreteWeibull,
    LogNormalPrior,
    ShiftedBetaGeometric,
    renewal_counts,
    subscription_value,
)
from relmark.ltv.beta_discrete_weibull import _likelihood

HIGH = [1000, 869, 743, 653, 593, 551, 517, 491]
REGULAR = [1000, 631, 468, 382, 326]


@pytest.mark.parametrize(
    ("counts", "parameters", "log_likelihood", "left", "simple"),
    [
        (HIGH[:5], (0.259336, 1.722551, 1.584362), -1222.749318, 388.91, (-1225.134907, 307.01, (1.280977, 7.790383))),
        (HIGH, (0.214253, 1.426575, 1.723565), -1605.314213, 403.93, (None, 378.00, (0.668088, 3.806095))),
        (REGULAR, (0.523029, 0.894283, 1.196399), -1401.383052, 171.45, (None, 159.54, (0.763665, 1.295830))),
    ],
)
def test_the_published_cohorts_have_the_published_fits(counts, parameters, log_likelihood, left, simple):
    """Fader, Hardie, Liu, Davin and Steenburgh (2018): parameters, likelihood, and who is left in year 12 of 1,000."""
    m, plain = BetaDiscreteWeibull.fit(counts), ShiftedBetaGeometric.fit(counts)
    assert (m.alpha, m.beta, m.c) == pytest.approx(parameters, abs=2e-6)
    assert m.fit_report.converged
    assert m.fit_report.log_likelihood == pytest.approx(log_likelihood, abs=6e-7)
    assert 1000 * m.survival(12) == pytest.approx(left, abs=6e-3)
    assert 1000 * plain.survival(12) == pytest.approx(simple[1], abs=6e-3)
    # the search ends where the likelihood is within 1e-11 of its top: 1e-5 standard errors from it at most
    away = (plain.parameters - simple[2]) / plain.fit_report.standard_errors
    assert np.abs(away).max() < 1e-5
    if simple[0] is not None:
        assert plain.fit_report.log_likelihood == pytest.approx(simple[0], abs=6e-7)


@given(st.floats(0.05, 8.0), st.floats(0.05, 20.0))
def test_c_of_one_is_the_shifted_beta_geometric(alpha, beta):
    m, plain = BetaDiscreteWeibull(alpha=alpha, beta=beta, c=1.0), ShiftedBetaGeometric(alpha=alpha, beta=beta)
    t = np.arange(1, 40)
    for name in ("survival", "churn_probability", "retention_rate"):
        assert getattr(m, name)(t) == pytest.approx(getattr(plain, name)(t), rel=1e-10)
    assert m.residual_renewals([0, 3, 17], 0.01) == pytest.approx(plain.residual_renewals([0, 3, 17], 0.01), rel=1e-10)
    assert m.mean_churn == plain.mean_churn


@pytest.mark.long
@given(st.floats(0.1, 5.0), st.floats(0.2, 9.0), st.floats(0.3, 2.5), st.integers(0, 2**32))
def test_the_likelihood_is_that_of_its_probabilities_and_its_derivatives_are_exact(alpha, beta, c, seed):
    rng = np.random.default_rng(seed)
    lost = rng.integers(0, 60, 5).astype(float)
    kept = rng.integers(0, 60, 6).astype(float)
    value, gradient, hessian = _likelihood(np.array([alpha, beta, c]), lost, kept)
    with mp.workdps(50):

        def exact(a, b, d):
            chances = [mp.beta(a, b + (mp.mpf(t) ** d if t else 0)) / mp.beta(a, b) for t in range(6)]
            ended = sum(int(n) * mp.log(chances[t] - chances[t + 1]) for t, n in enumerate(lost))
            return ended + sum(int(n) * mp.log(chances[t]) for t, n in enumerate(kept))

        at = (mp.mpf(alpha), mp.mpf(beta), mp.mpf(c))
        assert value == pytest.approx(float(exact(*at)), rel=1e-11, abs=1e-9)
        for i in range(3):
            order = [0, 0, 0]
            order[i] = 1
            assert gradient[i] == pytest.approx(float(mp.diff(exact, at, tuple(order))), rel=1e-8, abs=1e-6)
            for j in range(3):
                both = list(order)
                both[j] += 1
                assert hessian[i, j] == pytest.approx(float(mp.diff(exact, at, tuple(both))), rel=1e-6, abs=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    ("alpha", "beta", "c", "n", "delta"),
    [(0.26, 1.72, 1.58, 0, 0.1), (0.26, 1.72, 1.58, 7, 0.01), (0.5, 0.9, 1.2, 3, 0.002), (3.0, 1.0, 0.5, 2, 0.0)],
)
def test_renewals_ahead_are_the_sum_of_their_chances(alpha, beta, c, n, delta):
    with mp.workdps(30):

        def term(i):
            y, z = mp.mpf(n + i + 1) ** c, mp.mpf(n) ** c if n else mp.mpf(0)
            return mp.beta(alpha, beta + y) / mp.beta(alpha, beta + z) * mp.e ** (-mp.mpf(delta) * i)

        total = float(mp.fsum(term(i) for i in range(3_001)) + mp.nsum(term, [3_001, mp.inf], method="e"))
    m = BetaDiscreteWeibull(alpha=alpha, beta=beta, c=c)
    assert m.residual_renewals(n, delta) == pytest.approx(total, rel=1e-11)


def test_a_lifetime_that_hardly_adds_up_is_added_up():
    """By the integral in logarithms: alpha c is 1.2, and half of the sum lies beyond a billion periods."""
    found = BetaDiscreteWeibull(alpha=12.0, beta=3.0, c=0.1).residual_renewals(1)
    assert found == pytest.approx(285_366_503.6538062, rel=1e-12)


def test_a_lifetime_that_does_not_add_up_is_infinite_and_said_so():
    m = BetaDiscreteWeibull(alpha=0.5, beta=2.0, c=1.5)
    assert m.residual_renewals(0) == np.inf
    assert BetaDiscreteWeibull(alpha=0.7, beta=2.0, c=1.5).residual_renewals(0) < np.inf
    found = subscription_value(m, price=10, annual_rate=0)
    assert (found.value.tolist(), found.notes[0].split(" ")[:2]) == ([np.inf], ["alpha", "c"])
    assert subscription_value(m, price=0, annual_rate=0).value.tolist() == [0.0]
    assert "alpha is" in subscription_value(ShiftedBetaGeometric(alpha=0.5, beta=2), price=1, annual_rate=0).notes[0]


def test_value_is_renewals_times_margin_for_one_or_for_each():
    m = BetaDiscreteWeibull.fit(HIGH)
    one = subscription_value(m, price=30.0, margin=0.5, annual_rate=0.1)
    each = subscription_value(
        m, price=[30.0, 60.0], margin=[0.5, 1.0], annual_rate=0.1, age=[0, 5], customer_id=["a", "b"]
    )
    assert each.value[0] == one.value[0] == pytest.approx(15.0 * m.residual_renewals(0, np.log(1.1) / 12))
    assert each.value[1] == pytest.approx(60.0 * m.residual_renewals(5, np.log(1.1) / 12))
    assert each.to_dict()["customer_id"] == ["a", "b"]
    with pytest.raises(InputError, match="margin"):
        subscription_value(m, price=1.0, margin=[0.5, 1.5], annual_rate=0.1)
    with pytest.raises(InputError, match="price"):
        subscription_value(m, price=[1.0, 2.0], age=[1, 2, 3], annual_rate=0.1)


def test_too_few_periods_are_refused():
    with pytest.raises(NotEnoughDataError, match="three parameters need at least three"):
        BetaDiscreteWeibull.fit([1000, 869, 743])
    with pytest.raises(NotEnoughDataError, match="nobody left"):
        BetaDiscreteWeibull.fit([10, 10, 10, 10])
    prior = LogNormalPrior(median={"c": 1.0}, log_sd=0.5)
    assert abs(np.log(BetaDiscreteWeibull.fit(HIGH[:5], prior=prior).c)) < np.log(1.584)


def simulated(m, n, periods, rng):
    """Return how many of n are left at the start of each period: each leaves by their own chance, by tenure."""
    theta = rng.beta(m.alpha, m.beta, n)
    # S(t | theta) = (1 - theta)^(t^c): T is the first t at which it is at most u.
    lasted = np.ceil((np.log(rng.random(n)) / np.log1p(-theta)) ** (1 / m.c))
    return [int((lasted > t).sum()) for t in range(periods + 1)]


def test_predictions_are_what_simulated_subscribers_do():
    m = BetaDiscreteWeibull(alpha=0.6, beta=2.0, c=1.4)
    left = np.array(simulated(m, 400_000, 15, np.random.default_rng(5))) / 400_000
    assert m.survival(np.arange(16)) == pytest.approx(left, abs=4 * 0.5 / np.sqrt(400_000))


@pytest.mark.slow
def test_intervals_cover_in_two_hundred_simulated_fits():
    truth = BetaDiscreteWeibull(alpha=0.7, beta=2.5, c=1.3)
    rng, held, fits = np.random.default_rng(8), dict.fromkeys(("alpha", "beta", "c"), 0), 0
    for _ in range(200):
        report = BetaDiscreteWeibull.fit(simulated(truth, 5_000, 10, rng)).fit_report
        if not report.converged:
            continue
        fits += 1
        for name, interval in report.confidence_interval().items():
            held[name] += interval.low <= getattr(truth, name) <= interval.high
    assert fits >= 195
    for name, n in held.items():
        assert 0.90 <= n / fits <= 0.985, (name, n / fits)


# Contracts read from events


def base(*rows):
    return CustomerBase(events=EventLog.from_events([Event(who, f"subscription_{kind}", at) for who, kind, at in rows]))


def test_contracts_are_counted_in_periods_of_the_calendar():
    shop = base(
        ("a", "started", "2026-01-31T12:00Z"), ("a", "ended", "2026-02-28T12:00Z"),  # on the day of the renewal
        ("b", "started", "2026-01-31T12:00Z"), ("b", "ended", "2026-02-28T12:01Z"),  # a minute into the second month
        ("c", "started", "2026-01-31T12:00Z"),
        ("d", "started", "2026-05-20T12:00Z"),
        ("e", "started", "2026-01-01T00:00Z"), ("e", "ended", "2026-01-02T00:00Z"),
        ("e", "started", "2026-04-01T00:00Z"), ("e", "ended", "2026-07-01T00:00Z"),  # not yet known
        ("f", "started", "2026-09-01T00:00Z"),
    )  # fmt: skip
    found = renewal_counts(shop, as_of="2026-06-01T00:00Z", period=months(1))
    assert found.contracts == 6
    assert found.lost.tolist() == [2, 1, 0, 0]  # a and e in their first month, b in the second
    assert found.kept.tolist() == [1, 0, 1, 0, 1]  # d has renewed never, e's second contract twice, c four times
    assert renewal_counts(shop, as_of="2026-06-01T00:00Z", period=days(30)).lost.sum() == 3


@settings(max_examples=3 * settings.default.max_examples)
@given(st.integers(0, 2**32))
def test_contracts_are_counted_as_one_by_one(seed):
    rng = np.random.default_rng(seed)
    start, size = np.datetime64("2026-01-01T00:00", "m"), int(rng.integers(2, 9))
    as_of = start + np.timedelta64(60, "D")
    rows, expected = [], []
    for who in range(int(rng.integers(1, 6))):
        at = start + np.timedelta64(int(rng.integers(0, 30)), "D")
        for _ in range(int(rng.integers(1, 4))):
            lasts = int(rng.integers(1, 40))
            end = at + np.timedelta64(lasts, "D")
            rows += [(f"c{who}", "started", f"{at}Z"), (f"c{who}", "ended", f"{end}Z")]
            if at <= as_of:
                seen = int((as_of - at) / np.timedelta64(1, "D"))
                expected.append((True, max(-(-lasts // size), 1)) if end <= as_of else (False, seen // size))
            at = end + np.timedelta64(int(rng.integers(0, 5)), "D")
    found = renewal_counts(base(*rows), as_of=f"{as_of}Z", period=days(size))
    assert found.contracts == len(expected)
    longest = len(found.kept)
    assert found.kept.tolist() == [sum(not ended and n == t for ended, n in expected) for t in range(longest)]
    assert found.lost.tolist() == [sum(ended and n == t for ended, n in expected) for t in range(1, longest)]


def test_fits_take_what_events_say():
    counts = [200, 150, 120, 100, 90]
    rows, who = [], 0
    for t, (left, then) in enumerate(zip(counts, [*counts[1:], 0], strict=True)):
        for _ in range(left - then):
            rows.append((who, "started", "2026-01-01T00:00Z"))
            if t < 4:
                rows.append((who, "ended", f"2026-{t + 1:02}-15T00:00Z"))
            who += 1
    found = renewal_counts(base(*rows), as_of="2026-05-01T00:00Z", period=months(1))
    for model in (ShiftedBetaGeometric, BetaDiscreteWeibull):
        assert model.fit(found).parameters == pytest.approx(model.fit(counts).parameters, rel=1e-9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "started", "2026-01-01T00:00Z"), ("a", "started", "2026-02-01T00:00Z")],
         "'a' has 'subscription_started' twice"),
        ([("a", "started", "2026-01-01T00:00Z"), ("b", "ended", "2026-02-01T00:00Z")],
         "'b' has 'subscription_ended' without"),
        ([("a", "visit", "2026-01-01T00:00Z")], "no events of type 'subscription_started'"),
    ],
)  # fmt: skip
def test_contracts_that_cannot_be_are_refused(rows, message):
    with pytest.raises(InputError, match=message):
        renewal_counts(base(*rows), as_of="2026-06-01", period=months(1))


def test_contracts_that_began_later_are_not_known():
    shop = base(("a", "started", "2026-07-01T00:00Z"))
    with pytest.raises(NotEnoughDataError, match="no contract began by"):
        renewal_counts(shop, as_of="2026-06-01", period=months(1))
    with pytest.raises(InputError, match="one instant per customer"):
        renewal_counts(shop, as_of=["2026-06-01"], period=months(1))
