"""Predictions against simulated futures, by slow obvious sums, and at the doors."""

import runpy
import types
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from relmark.core.errors import InputError
from relmark.core.time import days
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    churn_risk,
    from_lifetimes,
    lifetime_value,
)

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))
WORKED = PurchaseSummary(frequency=2, recency=30.43, T=38.86, unit="week")
PAPER = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week")


@pytest.mark.parametrize(("kind", "model"), [
    ("nbd", Nbd(r=0.8, alpha=4.0)), ("bg", BgNbd(r=0.8, alpha=4.0, a=0.7, b=1.5)),
    ("mbg", MbgNbd(r=0.8, alpha=4.0, a=0.7, b=1.5)), ("pareto", ParetoNbd(r=0.8, alpha=4.0, s=0.7, beta=9.0)),
])  # fmt: skip
def test_predictions_agree_with_simulated_futures(kind, model):
    rng = np.random.default_rng(8)
    n = 100_000
    whole = data.simulated(kind, n, tuple(model.parameters), 30.0, rng)
    counts = np.bincount(whole.frequency.astype(int), minlength=4)[:4] / n
    p = model.purchase_probabilities_new(30.0, range(4))
    assert (np.abs(counts - p) < 4 * np.sqrt(p * (1 - p) / n)).all()
    spread = whole.frequency.std() / np.sqrt(n)
    assert abs(whole.frequency.mean() - model.expected_purchases_new(30.0)) < 4 * spread


def futures(kind, model, n, T, t, rng):
    """Return a summary at T, purchases in (T, T + t], and who is alive at T, of simulated customers."""
    lam = rng.gamma(model.r, 1 / model.alpha, n)
    p = np.zeros(n) if kind == "pareto" else rng.beta(model.a, model.b, n)
    end = rng.exponential(1 / rng.gamma(model.s, 1 / model.beta, n)) if kind == "pareto" else np.full(n, np.inf)
    time, x, t_x, later = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    active = rng.random(n) >= p if kind == "mbg" else np.ones(n, dtype=bool)
    left_at = np.where(active, end, 0.0)
    while active.any():
        time = time + rng.exponential(size=n) / np.maximum(lam, 1e-300)
        buys = active & (time <= np.minimum(end, T + t))
        before = buys & (time <= T)
        x[before] += 1
        t_x[before] = time[before]
        later[buys & ~before] += 1
        drop = buys & (rng.random(n) < p)
        left_at[drop] = time[drop]
        active = buys & ~drop
    return PurchaseSummary(frequency=x, recency=t_x, T=np.full(n, T)), later, left_at > T


@pytest.mark.long
@pytest.mark.parametrize(("kind", "model"), [
    ("bg", BgNbd(r=0.8, alpha=4.0, a=0.7, b=1.5)), ("mbg", MbgNbd(r=0.8, alpha=4.0, a=1.0, b=1.5)),
    ("pareto", ParetoNbd(r=0.8, alpha=4.0, s=1.0, beta=9.0)),
])  # fmt: skip
def test_given_the_past_the_future_comes_as_predicted(kind, model):
    s, later, alive = futures(kind, model, 100_000, 20.0, 15.0, np.random.default_rng(9))
    expected, p_alive = model.expected_purchases(s, 15.0), model.probability_alive(s)
    none = model.purchase_probabilities(s, 15.0, 0)
    for low, high, silence in ((0, 0, 99), (1, 1, 10), (1, 1, 99), (2, 5, 5), (2, 5, 99), (6, 400, 99)):
        group = (s.frequency >= low) & (s.frequency <= high) & (s.T - s.recency <= silence)
        size = group.sum()
        assert size > 300
        assert abs(later[group].mean() - expected[group].mean()) < 4.5 * later[group].std() / np.sqrt(size)
        for seen, said in ((alive[group], p_alive[group]), (later[group] == 0, none[group])):
            assert abs(seen.mean() - said.mean()) < 4.5 * np.sqrt(0.25 / size) + 1e-12


def test_bg_bb_agrees_with_every_history_summed():
    m = BgBb(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8)
    from scipy.special import betaln

    x, t, n, ahead = 2, 3, 5, 3

    # weight of 'buys as seen, then active for i more periods of which the last is i'
    def alive_until(tau):
        stay = betaln(m.gamma + (tau < n + ahead), m.delta + tau) - betaln(m.gamma, m.delta)
        return np.exp(betaln(m.alpha + x, m.beta + min(tau, n) - x) - betaln(m.alpha, m.beta) + stay)

    weights = np.array([alive_until(tau) for tau in range(t, n + ahead + 1)])
    s = PurchaseSummary(frequency=x, recency=t, T=n, unit="period")
    alive = weights[n - t :].sum() / weights.sum()
    assert m.probability_alive(s)[0] == pytest.approx(alive)
    for later in (1, 2, 3):
        assert m.probability_alive(s, at=later)[0] == pytest.approx(weights[n - t + later :].sum() / weights.sum())
    mean_p = (m.alpha + x) / (m.alpha + m.beta + n)
    assert m.expected_purchases(s, ahead)[0] == pytest.approx(
        mean_p * sum(m.probability_alive(s, at=i)[0] for i in range(1, ahead + 1))
    )
    assert m.expected_purchases_new(0) == 0.0
    assert m.residual_transactions(s, 0.1)[0] == pytest.approx(
        mean_p * sum(m.probability_alive(s, at=i)[0] * np.exp(-0.1 * i) for i in range(1, 400)), rel=1e-9
    )
    assert np.isinf(m.residual_transactions(s, 0.0)[0])
    lasting = BgBb(alpha=1.2, beta=0.75, gamma=1.8, delta=2.8)
    many = lasting.expected_purchases(s, 20_000)[0]
    assert lasting.residual_transactions(s, 0.0)[0] == pytest.approx(many, rel=0.05)
    waits = m.next_purchase_quantile(s, 0.3, given_alive=True)[0]
    assert 1 - m.purchase_probabilities(s, waits, 0)[0] >= 0.3 * m.probability_alive(s)[0]
    assert 1 - m.purchase_probabilities(s, waits - 1, 0)[0] < 0.3 * m.probability_alive(s)[0]
    assert np.isinf(m.next_purchase_quantile(s, 0.999, given_alive=True)[0])
    assert 0 < m.posterior_rate(s)[0] < 1
    with pytest.raises(InputError, match="whole number of periods"):
        m.expected_purchases(s, 1.5)


def test_totals_without_discount_are_limits():
    lasting = BgNbd(r=0.5, alpha=4.0, a=2.5, b=3.0)
    assert lasting.residual_transactions(WORKED, 0.0)[0] == pytest.approx(
        lasting.expected_purchases(WORKED, 1e9)[0], rel=1e-6
    )
    assert np.isinf(PAPER.residual_transactions(WORKED, 0.0)[0])
    pareto = ParetoNbd(r=0.5, alpha=4.0, s=2.5, beta=3.0)
    assert pareto.residual_transactions(WORKED, 0.0)[0] == pytest.approx(
        pareto.expected_purchases(WORKED, 1e9)[0], rel=1e-6
    )
    assert np.isinf(ParetoNbd(r=0.5, alpha=4.0, s=1.0, beta=3.0).residual_transactions(WORKED, 0.0)[0])
    assert np.isinf(Nbd(r=1, alpha=2).residual_transactions(WORKED, 0.0)[0])
    assert Nbd(r=1, alpha=2).residual_transactions(WORKED, 0.1)[0] == pytest.approx(3 / 40.86 / 0.1)


def test_one_horizon_for_all_or_one_for_each_and_timedeltas():
    s = PurchaseSummary(frequency=[2, 2], recency=[30.43, 30.43], T=[38.86, 38.86], unit="week")
    each = PAPER.expected_purchases(s, [1.0, 39.0])
    assert each[1] == PAPER.expected_purchases(s, timedelta(weeks=39))[0]
    assert each[0] == PAPER.expected_purchases(WORKED, 1.0)[0]
    assert PAPER.expected_purchases_new(days(7)) == PAPER.expected_purchases_new(1.0)
    assert PAPER.expected_purchases_new([1.0, 2.0]).shape == (2,)
    assert PAPER.purchase_probabilities_new([1.0, 2.0], range(3)).shape == (2, 3)
    assert PAPER.purchase_probabilities_new(1.0, 0) == PAPER.purchase_probabilities_new([1.0], [0])[0, 0]
    until = PAPER.expected_purchases_until(s, [1.0, 39.0], 0.01)
    assert until[1, 0] == pytest.approx(PAPER.expected_purchases_if_alive(s, 39.0, 0.01)[0], rel=1e-12)
    no_unit = BgNbd(r=1, alpha=1, a=1, b=1)
    with pytest.raises(InputError, match="has no unit of time"):
        no_unit.expected_purchases_new(days(7))


def test_the_doors_refuse_other_units_other_things_and_empty_counts():
    in_days = PurchaseSummary(frequency=1, recency=3, T=9, unit="day")
    with pytest.raises(InputError, match="counts in weeks and the summary in days"):
        PAPER.expected_purchases(in_days, 3.0)
    with pytest.raises(InputError, match="PurchaseSummary is needed"):
        PAPER.expected_purchases([1], 3.0)
    with pytest.raises(InputError, match="n is empty"):
        PAPER.purchase_probabilities(WORKED, 1.0, [])
    with pytest.raises(InputError, match="ascending"):
        PAPER.expected_purchases_until(WORKED, [2.0, 1.0])
    with pytest.raises(InputError, match="q is 1"):
        PAPER.next_purchase_quantile(WORKED, 1.0)


def test_intervals_of_predictions_by_both_methods():
    s = data.cdnow()
    m = BgNbd.fit(s)
    delta = m.interval(lambda m: m.expected_purchases_new(39.0))
    drawn = m.interval(lambda m: m.expected_purchases_new(39.0), method="draws", resamples=400, rng=3)
    assert delta.value[0] == drawn.value[0] == m.expected_purchases_new(39.0)
    assert delta.low[0] == pytest.approx(drawn.low[0], rel=0.03)
    assert delta.high[0] == pytest.approx(drawn.high[0], rel=0.03)
    # d ln r alone: the interval of a parameter is Wald's
    r = m.interval(lambda m: m.r).estimates[0]
    assert r.high - r.low == pytest.approx(2 * 1.959964 * m.fit_report.standard_errors[0], rel=1e-5)
    wide = m.interval(lambda m: m.expected_purchases(s, 39.0), level=0.99)
    assert (wide.low < m.expected_purchases(s, 39.0)).all()
    assert len(wide.to_columns()["low"]) == len(s)
    unfitted = PAPER.interval(lambda m: m.expected_purchases_new(39.0))
    assert np.isnan(unfitted.low[0])
    assert "not fitted" in unfitted.estimates[0].reason
    for bad in ({"level": 1.0}, {"method": "magic"}, {"resamples": 3}):
        with pytest.raises(InputError):
            m.interval(lambda m: m.r, **bad)


def test_value_is_margin_times_spend_times_discounted_purchases():
    s = data.cdnow()
    m, g = BgNbd.fit(s), GammaGamma.fit(s)
    v = lifetime_value(m, g, s, horizon=39.0, annual_rate=0.15, margin=0.3)
    fine = m.expected_purchases_until(s, np.linspace(0, 39, 401))
    middle = (np.arange(400) + 0.5) * 39 / 400
    delta = np.log(1.15) * 7 / 365.25
    slow = np.exp(-delta * middle) @ np.diff(fine, axis=0) * m.probability_alive(s) * g.expected_spend(s) * 0.3
    np.testing.assert_allclose(v.value, slow, rtol=1e-7)
    np.testing.assert_allclose(v.purchases, m.expected_purchases(s, 39.0), rtol=1e-12)
    plain = lifetime_value(m, 10.0, s, horizon=days(273))
    np.testing.assert_allclose(plain.value, 10 * plain.purchases)
    monthly = lifetime_value(m, np.full(len(s), 10.0), s, horizon=days(365.25), step=days(30.4375))
    assert monthly.step_end.tolist()[-1] == pytest.approx(365.25 / 7)
    assert len(monthly.step_end) == 12
    assert list(v.to_columns())[:3] == ["customer_id", "p_alive", "purchases"]
    assert "margin=0.3" in repr(v)
    assert "customer_id" in str(v)
    pareto = ParetoNbd.fit(s)
    steps = lifetime_value(pareto, g, s, horizon=39.0, annual_rate=0.15, step=10.0)
    np.testing.assert_allclose(steps.step_value.sum(axis=1), steps.value)


@pytest.mark.parametrize("model", [
    PAPER, MbgNbd(r=0.5, alpha=4.0, a=0.7, b=1.5, unit="week"), ParetoNbd(r=0.55, alpha=10.6, s=0.6, beta=11.7),
    Nbd(r=1, alpha=3), BgNbd(r=0.5, alpha=4.0, a=25.0, b=200.0), BgNbd(r=60.0, alpha=50.0, a=1.5, b=2.5),
])  # fmt: skip
@pytest.mark.parametrize(("horizon", "step", "annual_rate"), [(52.0, 52.0 / 12, 0.15), (700.0, 30.0, 40.0)])
def test_value_by_step_is_the_rate_summed_over_many_nodes_in_each_step(model, horizon, step, annual_rate):
    s = PurchaseSummary(
        frequency=[0, 0, 1, 2, 12, 40], recency=[0, 0, 3, 30, 30, 39], T=[0.5, 39, 4, 39, 39, 40], unit="week"
    )
    v = lifetime_value(model, 20.0, s, horizon=horizon, annual_rate=annual_rate, margin=0.5, step=step)
    once = lifetime_value(model, 20.0, s, horizon=horizon, annual_rate=annual_rate, margin=0.5)
    delta = np.log1p(annual_rate) * 7 / 365.25
    node, weight = np.polynomial.legendre.leggauss(64)
    begin = 0.0
    for column, end in enumerate(v.step_end):
        # integrating by parts: e^(-delta t) N(t) at the end, and delta times the integral of e^(-delta t) N(t)
        t = begin + (end - begin) * (node + 1) / 2
        so_far = model.expected_purchases_until(s, [begin, *t, end])
        at_ends = np.exp(-delta * end) * so_far[-1] - np.exp(-delta * begin) * so_far[0]
        inside = delta * (end - begin) / 2 * (weight * np.exp(-delta * t)) @ so_far[1:-1]
        slow = 10 * model.probability_alive(s) * (at_ends + inside)
        np.testing.assert_allclose(v.step_value[:, column], slow, rtol=1e-9, atol=1e-11 * v.value.max())
        begin = end
    assert (v.step_value >= 0).all()
    np.testing.assert_allclose(v.step_value.sum(axis=1), once.value, rtol=1e-11)
    np.testing.assert_allclose(v.value, once.value, rtol=1e-11)
    np.testing.assert_allclose(v.step_purchases.sum(axis=1), once.purchases, rtol=1e-12)


def test_a_flow_that_no_short_series_follows_is_summed_step_by_step():
    # the discount takes e^13 from the flow, so that the coefficients of 16 nodes fall too slowly
    m = MbgNbd(r=0.794, alpha=229.2, a=0.017, b=8.2)
    s = PurchaseSummary(frequency=[0, 5, 34], recency=[0, 50, 60], T=[50, 60, 90])
    steps = m.expected_purchases_until(s, np.linspace(0, 147, 9), 0.0884)
    for end, got in zip(np.linspace(0, 147, 9), steps, strict=True):
        np.testing.assert_allclose(got, m.expected_purchases_if_alive(s, end, 0.0884), rtol=1e-11)


@pytest.mark.parametrize(("t", "discount_rate"), [(0.9, 1.5), (0.9, 0.5), (6.0, 0.4)])
def test_a_short_time_under_a_heavy_discount_takes_enough_nodes(t, discount_rate):
    node, weight = np.polynomial.legendre.leggauss(64)
    s = t * (node + 1) / 2
    so_far = PAPER.expected_purchases_until(WORKED, [*s, t])[:, 0]
    inside = discount_rate * t / 2 * (weight @ (np.exp(-discount_rate * s) * so_far[:-1]))
    slow = np.exp(-discount_rate * t) * so_far[-1] + inside
    assert PAPER.expected_purchases_if_alive(WORKED, t, discount_rate)[0] == pytest.approx(slow, rel=1e-11)


def test_value_says_what_it_does_not_know_and_refuses_nonsense():
    s = PurchaseSummary(frequency=[0, 2], recency=[0, 3], T=[5, 5], monetary_value=[np.nan, 4.0])
    v = lifetime_value(PAPER, GammaGamma(p=2.0, q=0.9, v=3.0), s, horizon=10.0)
    assert np.isinf(v.spend[0])
    assert np.isfinite(v.value[1])
    assert "1 customers is infinite" in v.notes[0]
    assert "infinite" in repr(v)
    assert "customer_id" not in str(v)
    assert np.isinf(GammaGamma(p=2.0, q=0.9, v=3.0).mean_spend)
    assert GammaGamma(p=6.25, q=3.74, v=15.44).mean_spend == pytest.approx(35.22, abs=0.005)
    for arguments, message in (
        ({"model": 3}, "a model of purchases"), ({"horizon": [1.0, 2.0, 3.0]}, "horizon"),
        ({"step": 0.0}, "above zero"),
        ({"horizon": 10_000.0, "step": 1.0}, "at most 1,000"), ({"annual_rate": -0.1}, "annual_rate"),
        ({"margin": -1}, "margin"),
        ({"spend": [-1.0, 2.0]}, "spend"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            lifetime_value(**{"model": PAPER, "spend": 1.0, "summary": s, **arguments})
    periods = PurchaseSummary(frequency=[1], recency=[1], T=[2], unit="period")
    bb = BgBb(alpha=1, beta=1, gamma=1, delta=2)
    assert lifetime_value(bb, 1.0, periods, horizon=3, step=1).step_value.shape == (1, 3)
    with pytest.raises(InputError, match="no length in days"):
        lifetime_value(bb, 1.0, periods, horizon=3, annual_rate=0.1)


@pytest.mark.parametrize("model", [
    PAPER, MbgNbd(r=0.5, alpha=4.0, a=0.7, b=1.5), ParetoNbd(r=0.55, alpha=10.6, s=0.6, beta=11.7), Nbd(r=1, alpha=3),
    BgBb(alpha=1.2, beta=0.75, gamma=0.66, delta=2.8),
])  # fmt: skip
def test_the_silence_that_says_lost_is_where_p_alive_crosses(model):
    s = PurchaseSummary(frequency=[0, 1, 2, 12], recency=[0, 2, 30, 30], T=[39, 39, 39, 39])
    risk = churn_risk(model, s, threshold=0.5)
    np.testing.assert_allclose(risk.risk, 1 - model.probability_alive(s))
    for row in np.flatnonzero(np.isfinite(risk.falls_in)):
        when = s.T[row] + risk.falls_in[row]
        if when <= s.recency[row]:
            continue
        step = 1.0 if model.discrete else 1e-6
        age = [max(when - step, s.recency[row]), when + (0 if model.discrete else step)]
        both = PurchaseSummary(frequency=np.full(2, s.frequency[row]), recency=np.full(2, s.recency[row]), T=age)
        before, after = model.probability_alive(both)
        assert before >= 0.5 >= after
    never = np.isinf(risk.falls_in)
    if isinstance(model, Nbd):
        assert never.all()
    if model is PAPER:
        assert never.tolist() == [True, False, False, False]
    assert "threshold" in repr(risk)


def test_who_is_below_the_threshold_at_the_last_purchase_fell_there():
    m = BgNbd(r=0.5, alpha=4.0, a=3.0, b=0.5)
    s = PurchaseSummary(frequency=[1], recency=[2.0], T=[10.0])
    assert churn_risk(m, s, threshold=0.9).falls_in[0] == -8.0


def test_models_of_lifetimes_are_taken_by_name_and_others_refused():
    class Fitter:
        params_ = types.MappingProxyType({"r": 0.5, "alpha": 2.0, "s": 1.0, "beta": 3.0})

    named = type("ParetoNBDFitter", (Fitter,), {})
    child = type("Mine", (named,), {})
    assert from_lifetimes(child(), unit="day") == ParetoNbd(r=0.5, alpha=2.0, s=1.0, beta=3.0, unit="day")
    with pytest.raises(InputError, match="fitter is a Fitter"):
        from_lifetimes(Fitter())
    with pytest.raises(InputError, match="no params_"):
        from_lifetimes(type("BetaGeoFitter", (), {})())
    with pytest.raises(InputError, match="without r, alpha, a, b"):
        from_lifetimes(type("BetaGeoFitter", (Fitter,), {})())
    gg = type("GammaGammaFitter", (), {"params_": {"p": 1, "q": 2, "v": 3}})
    assert from_lifetimes(gg()) == GammaGamma(p=1, q=2, v=3)


def test_independence_is_a_correlation_with_an_interval_or_a_reason():
    s = data.cdnow()
    e = GammaGamma.independence_check(s)
    again = s.frequency > 0
    assert e.value == pytest.approx(np.corrcoef(s.frequency[again], s.monetary_value[again])[0, 1])
    assert e.value in e.interval
    few = PurchaseSummary(frequency=[1, 1], recency=[1, 1], T=[2, 2], monetary_value=[1.0, 2.0])
    assert "too few" in GammaGamma.independence_check(few).reason


def test_shifted_beta_geometric_is_infinite_without_discount_for_small_alpha():
    assert ShiftedBetaGeometric(alpha=0.7, beta=3).residual_renewals(0) == np.inf
    m = ShiftedBetaGeometric(alpha=1.7, beta=3)
    assert m.residual_renewals([0, 4]).tolist() == pytest.approx([3 / 0.7, 7 / 0.7])
    assert isinstance(m.survival(3), float)
    with pytest.raises(InputError, match="whole numbers of periods"):
        m.survival(1.5)


def test_a_steep_flow_is_discounted_as_the_gentle_one_beside_it():
    # a = 25: frequent buyers take the exponential integrals, rare ones the quadrature; a model with r = 30 both ways
    m = BgNbd(r=0.5, alpha=4.0, a=25.0, b=200.0)
    s = PurchaseSummary(frequency=[2, 40], recency=[30, 38], T=[39, 39])
    fine = m.expected_purchases_until(s, np.linspace(0, 60, 1201))
    middle = (np.arange(1200) + 0.5) / 20
    slow = np.exp(-0.02 * middle) @ np.diff(fine, axis=0)
    np.testing.assert_allclose(m.expected_purchases_if_alive(s, 60.0, 0.02), slow, rtol=1e-6)
    np.testing.assert_allclose(m.expected_purchases_until(s, [20.0, 60.0], 0.02)[1], slow, rtol=1e-6)
