"""The calls of lifetime value on which users rely."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hyp2f1

from relmark import CustomerBase, EventLog, days
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    cohort_tracking,
    lifetime_value,
    purchase_summary,
)


@pytest.fixture(scope="module")
def bought():
    """Customers of a Pareto/NBD process over 300 days: rates and lifetimes that differ."""
    rng = np.random.default_rng(4)
    n = 400
    life = rng.exponential(1 / rng.gamma(0.8, 1 / 100.0, n))
    many = rng.poisson(rng.gamma(0.9, 1 / 30.0, n) * np.minimum(life, 300.0)) + 1
    who = np.repeat(np.arange(n), many)
    second = rng.random(len(who)) * np.minimum(life, 300.0)[who] * 86_400
    log = EventLog.from_columns(
        customer_id=who, type="purchase", value=rng.gamma(2.0, rng.gamma(3.0, 5.0, n)[who]),
        time=np.datetime64("2026-01-01", "us") + second.astype(np.int64) * np.timedelta64(1, "s"),
    )  # fmt: skip
    return CustomerBase(events=log)


def test_a_summary_of_the_small_shop(base):
    """c1 bought on 1 August, 15 September and 20 October: 45 and 80 days later; T is 91."""
    s = purchase_summary(base, as_of="2026-11-01", unit="day")
    assert s.unit == "day"
    assert s.customer_id.tolist() == ["c1", "c2", "c3", "c4"]
    assert s.frequency.tolist() == [2, 1, 0, 0]
    assert s.recency.tolist() == [80.0, 51.0, 0.0, 0.0]
    assert s.T.tolist() == [91.0, 51.0, 118.0, 30.0]
    assert s.monetary_value[:2].tolist() == [5.5, 25.0]
    same = purchase_summary(base.purchases(), as_of="2026-11-01", unit="day")
    assert same.T.tolist() == s.T.tolist()


def test_the_published_customer():
    """Fader, Hardie and Lee (2005): 1.226 more purchases in 39 weeks at x = 2, t_x = 30.43."""
    own = PurchaseSummary(frequency=[2], recency=[30.43], T=[38.86], monetary_value=[22.35], unit="week")
    m = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert own.cells().frequency.tolist() == [2]
    assert m.expected_purchases(own, 39.0)[0] == pytest.approx(1.226028, abs=1e-6)
    assert m.probability_alive(own, at=0.0)[0] == pytest.approx(0.726579, abs=1e-6)
    r, alpha, a, b, t = 0.243, 4.414, 0.793, 2.426, 52.0
    nobody_yet = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t)))
    assert m.expected_purchases_new(t) == pytest.approx(nobody_yet, rel=1e-9)  # equation 9
    assert m.purchase_probabilities(own, t=39.0, n=range(5)).shape == (1, 5)
    assert 0 < m.purchase_probabilities(own, t=39.0, n=range(5)).sum() < 1
    assert m.residual_transactions(own, discount_rate=0.0027)[0] > 0


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd, Nbd])
def test_models_are_fitted_and_are_their_parameters(bought, model):
    s = purchase_summary(bought, as_of="2026-10-28", unit="week")
    fitted = model.fit(s)
    report = fitted.fit_report
    assert report.converged
    assert report.covariance.shape == (len(report.standard_errors),) * 2
    assert report.log_likelihood < 0
    assert np.all(fitted.expected_purchases(s, 10.0) >= 0)


def test_value_is_purchases_times_spend_discounted(bought):
    s = purchase_summary(bought, as_of="2026-10-28", unit="week")
    m, g = BgNbd.fit(s), GammaGamma.fit(s)
    assert g.expected_spend(s).shape == s.frequency.shape
    value = lifetime_value(m, g, s, horizon=days(365), annual_rate=0.15, margin=0.3)
    assert value.customer_id.tolist() == s.customer_id.tolist()
    for name in ("p_alive", "purchases", "spend", "value"):
        assert getattr(value, name).shape == s.frequency.shape
    plain = lifetime_value(m, g, s, horizon=days(365), annual_rate=0.0, margin=0.3)
    assert plain.value == pytest.approx(plain.purchases * plain.spend * 0.3, rel=1e-9)
    assert np.all(value.value < plain.value)


def test_cohorts_and_opportunities():
    """Fader and Hardie (2007), seven years: alpha .704, beta 1.182; (2010): .07 and 3.75 gifts."""
    sbg = ShiftedBetaGeometric.fit([1000, 631, 468, 382, 326, 289, 262, 241])
    assert (sbg.alpha, sbg.beta) == (pytest.approx(0.704, abs=5e-4), pytest.approx(1.182, abs=5e-4))
    offers = PurchaseSummary(frequency=[0, 6], recency=[0, 6], T=[6, 6], unit="period")
    donors = BgBb(alpha=1.204, beta=0.750, gamma=0.657, delta=2.783)
    assert donors.expected_purchases(offers, 5.0) == pytest.approx([0.07, 3.75], abs=0.01)


def test_tracking_a_cohort(bought):
    s = purchase_summary(bought, as_of="2026-07-02", unit="week")
    tracking = cohort_tracking(BgNbd.fit(s), bought, at="2026-07-02", as_of="2026-10-28")
    assert len(tracking.actual) == len(tracking.expected)
