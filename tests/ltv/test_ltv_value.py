"""Value with settings of each customer, of all that is ahead, and of groups of customers together."""

import attrs
import numpy as np
import pytest

from relmark import CustomerBase, days
from relmark.core.errors import InputError
from relmark.ltv import (
    BgBb,
    BgNbd,
    CovariateEffects,
    CustomerEquity,
    GammaGamma,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    lifetime_value,
)

S = PurchaseSummary(
    customer_id=[11, 12, 13, 14], frequency=[2, 0, 12, 5],
    recency=[30.43, 0, 35.0, 39.0], T=[38.86, 38.86, 38.86, 39.0],
    monetary_value=[20.0, np.nan, 35.0, 12.0], unit="week",
)  # fmt: skip
SPEND = GammaGamma(p=6.25, q=3.74, v=15.44)
MODELS = [
    BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week"), MbgNbd(r=0.5, alpha=6.2, a=1.4, b=1.6, unit="week"),
    ParetoNbd(r=0.55, alpha=10.6, s=0.61, beta=11.7, unit="week"), Nbd(r=0.4, alpha=12.0, unit="week"),
    BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit="week",
          effects=CovariateEffects(rate={"web": 0.4}, dropout={"web": 1.0})),
]  # fmt: skip
WITH = S.with_covariates({"web": [1, 0, 1, 0]})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("step", [None, 13.0])
def test_settings_of_each_customer_are_those_of_one_asked_alone(model, step):
    horizon, rate, margin = [52.0, 13.0, 100.0, 26.0], [0.1, 0.0, 0.25, 0.1], [0.3, 0.5, 0.2, 1.0]
    together = lifetime_value(model, SPEND, WITH, horizon=horizon, annual_rate=rate, margin=margin, step=step)
    for i in range(len(S)):
        alone = lifetime_value(
            model, SPEND, WITH.take([i]), horizon=horizon[i], annual_rate=rate[i], margin=margin[i], step=step
        )
        for name in ("p_alive", "purchases", "spend", "value"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name)[0], rel=1e-9), name
        if step:
            count = alone.step_value.shape[1]
            np.testing.assert_allclose(together.step_value[i, :count], alone.step_value[0], rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(together.step_value[i, count:], 0.0, atol=1e-12)
    assert together.horizon.tolist() == horizon
    assert together["margin"].tolist() == margin
    assert "annual_rate=one per customer" in repr(together)


def test_horizons_of_each_may_be_timedeltas():
    weeks = lifetime_value(MODELS[0], 10.0, S, horizon=[52.0, 13.0, 100.0, 26.0])
    spans = lifetime_value(MODELS[0], 10.0, S, horizon=[days(364), days(91), days(700), days(182)])
    np.testing.assert_allclose(spans.value, weeks.value, rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_no_horizon_is_all_that_is_ahead(model):
    found = lifetime_value(model, SPEND, WITH, horizon=None, annual_rate=0.15, margin=0.3)
    delta = np.log(1.15) * 7 / 365.25
    ahead = model.residual_transactions(WITH, delta)
    np.testing.assert_allclose(found.residual_transactions, ahead, rtol=1e-12)
    np.testing.assert_allclose(found.value, 0.3 * found.spend * ahead, rtol=1e-12)
    np.testing.assert_allclose(found.purchases, model.residual_transactions(WITH, 0.0), rtol=1e-12)
    far = lifetime_value(model, SPEND, WITH, horizon=20_000.0, annual_rate=0.15, margin=0.3)
    np.testing.assert_allclose(found.value, far.value, rtol=1e-6)
    assert "all ahead" in repr(found)


def test_a_residual_lifetime_without_a_discount_is_finite_or_has_a_reason():
    finite = lifetime_value(MODELS[1], 10.0, S, horizon=None)  # a is 1.4
    assert np.isfinite(finite.value).all()
    assert finite.notes == ()
    np.testing.assert_allclose(finite.value, 10.0 * finite.purchases)
    for model, why in ((MODELS[0], "a is at most 1"), (MODELS[2], "s is at most 1"), (MODELS[3], "nobody ever leaves")):
        endless = lifetime_value(model, 10.0, S, horizon=None)
        assert np.isinf(endless.value).all()
        assert why in endless.notes[0]
        assert "residual_transactions" in endless.notes[0]
        discounted = lifetime_value(model, 10.0, S, horizon=None, annual_rate=0.1)
        assert np.isfinite(discounted.value).all()
        assert why in discounted.notes[0]
    some = lifetime_value(MODELS[0], 10.0, S, horizon=None, annual_rate=[0.1, 0.0, 0.1, 0.1])
    assert np.isinf(some.value).tolist() == [False, True, False, False]
    nothing = lifetime_value(MODELS[0], 0.0, S, horizon=None)
    assert nothing.value.tolist() == [0.0] * 4


def test_opportunities_have_whole_horizons():
    donors = BgBb(alpha=1.204, beta=0.75, gamma=1.657, delta=2.783)
    s = PurchaseSummary(frequency=[0, 6], recency=[0, 6], T=[6, 6], unit="period")
    both = lifetime_value(donors, 50.0, s, horizon=[5, 2])
    np.testing.assert_allclose(both.purchases, donors.expected_purchases(s, [5.0, 2.0]))
    np.testing.assert_allclose(
        lifetime_value(donors, 50.0, s, horizon=None).purchases, donors.residual_transactions(s, 0.0)
    )
    with pytest.raises(InputError, match="whole number"):
        lifetime_value(donors, 50.0, s, horizon=[5.5, 2.0])


@pytest.mark.parametrize(("settings", "said"), [
    ({"margin": [0.1, 0.2]}, "margin"), ({"annual_rate": [0.1, -0.1, 0.0, 0.0]}, "annual_rate"),
    ({"horizon": None, "step": 4.0}, "step"), ({"horizon": [1.0, 2.0]}, "horizon"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        lifetime_value(MODELS[0], 10.0, S, **settings)


def test_equity_adds_up_by_cohort_and_segment():
    found = lifetime_value(MODELS[0], SPEND, S, annual_rate=0.1, margin=0.3)
    cohort = np.array(["2026-01", "2026-02", "2026-01", "2026-02"], dtype="M8[M]")
    equity = found.to_cells(cohort=cohort, segment=["web", "shop", "web", "web"])
    assert equity.cohort.tolist() == np.array(["2026-01", "2026-02", "2026-02"], dtype="M8[M]").tolist()
    assert equity.segment.tolist() == ["web", "shop", "web"]
    assert equity.customers.tolist() == [2.0, 1.0, 1.0]
    assert equity.value.tolist() == pytest.approx([found.value[0] + found.value[2], found.value[1], found.value[3]])
    whole = found.to_cells()
    assert whole.cohort is None
    assert whole.value[0] == pytest.approx(found.value.sum())
    assert whole.alive[0] == pytest.approx(found.p_alive.sum())
    assert whole.deviation[0] == pytest.approx(((found.value - found.value.mean()) ** 2).sum())


def test_equity_of_disjoint_customers_merges_to_that_of_all():
    rng = np.random.default_rng(3)
    n = 60
    x = rng.poisson(2.0, n).astype(float)
    T = rng.uniform(20, 40, n)
    s = PurchaseSummary(frequency=x, recency=np.where(x > 0, T * 0.8, 0.0), T=T, monetary_value=np.full(n, 20.0))
    groups = {"cohort": rng.integers(0, 4, n), "segment": rng.integers(0, 3, n)}

    def equity(rows):
        part = {name: column[rows] for name, column in groups.items()}
        return lifetime_value(MODELS[0], 20.0, s.take(rows)).to_cells(**part)

    a, b, c = np.arange(20), np.arange(20, 33), np.arange(33, n)
    whole, parts = equity(np.arange(n)), equity(a) + equity(b) + equity(c)
    for name in attrs.fields_dict(CustomerEquity):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9, atol=1e-9)
    other = equity(c) + equity(a) + equity(b)
    np.testing.assert_allclose(other.value, whole.value, rtol=1e-12)
    with pytest.raises(InputError, match="by segment"):
        whole + lifetime_value(MODELS[0], 20.0, s).to_cells(cohort=groups["cohort"])


def test_weighted_rows_count_as_often_as_they_stand_for():
    weights = np.array([3.0, 10.0, 1.0, 2.0])
    rows = np.repeat(np.arange(4), weights.astype(int))
    heavy = lifetime_value(MODELS[0], 10.0, attrs.evolve(S, weights=weights)).to_cells(segment=["a", "a", "b", "b"])
    each = lifetime_value(MODELS[0], 10.0, S.take(rows)).to_cells(segment=np.array(["a", "a", "b", "b"])[rows])
    for name in ("customers", "alive", "purchases", "value", "deviation"):
        np.testing.assert_allclose(getattr(heavy, name), getattr(each, name))


def test_the_ratio_to_what_customers_cost_has_students_interval():
    from scipy.stats import t

    found = lifetime_value(MODELS[0], SPEND, S, margin=0.3)
    equity = found.to_cells(segment=["a", "a", "a", "b"])
    ratio = equity.ltv_to_cac({"a": 30.0, "b": 5.0}, level=0.9)
    mine = found.value[:3]
    reach = t.ppf(0.95, 2) * mine.std(ddof=1) / np.sqrt(3)
    assert ratio.acquisition_cost.tolist() == [10.0, 5.0]
    assert ratio.ratio[0] == pytest.approx(mine.mean() / 10.0)
    assert (ratio.low[0], ratio.high[0]) == pytest.approx(((mine.mean() - reach) / 10.0, (mine.mean() + reach) / 10.0))
    assert np.isnan([ratio.low[1], ratio.high[1]]).all()
    assert "one customer" in " ".join(ratio.notes)
    assert "uncertainty" in str(ratio)
    even = equity.ltv_to_cac(40.0)
    assert even.acquisition_cost.tolist() == [10.0, 10.0]
    assert equity.ltv_to_cac([30.0, 5.0]).ratio.tolist() == ratio.ratio.tolist()
    free = equity.ltv_to_cac({"a": 0.0, "b": 5.0})
    assert np.isnan(free.ratio[0])
    assert "cost nothing" in " ".join(free.notes)
    for cost, said in (({"a": 1.0}, "has no segment 'b'"), ([1.0], "rows|length"), (-1.0, "cost"), ("much", "numbers")):
        with pytest.raises(InputError, match=said):
            equity.ltv_to_cac(cost)
    two = found.to_cells(cohort=[1, 1, 2, 2], segment=["a", "b", "a", "b"])
    with pytest.raises(InputError, match="names the groups of one column"):
        two.ltv_to_cac({"a": 1.0})
    with pytest.raises(InputError, match="each customer needs a group"):
        found.to_cells(cohort=[1.0, np.nan, 2.0, 2.0])
    with pytest.raises(InputError, match="segment"):
        found.to_cells(segment=["a"])


def test_the_interval_of_equity_that_the_models_uncertainty_gives():
    rng = np.random.default_rng(4)
    n = 300
    lam, p = rng.gamma(0.8, 1 / 8.0, n), rng.beta(1.0, 3.0, n)
    x, t_x, t, alive = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
    while alive.any():
        t = t + rng.exponential(1 / lam)
        buys = alive & (t <= 52)
        x[buys] += 1
        t_x[buys] = t[buys]
        alive = buys & (rng.random(n) >= p)
    s = PurchaseSummary(frequency=x, recency=t_x, T=np.full(n, 52.0), unit="week")
    m = BgNbd.fit(s)
    found = m.interval(lambda m: lifetime_value(m, 20.0, s).to_cells(segment=x > 2).mean_value)
    assert (found.low < found.value).all()
    assert found.value.tolist() == pytest.approx(lifetime_value(m, 20.0, s).to_cells(segment=x > 2).mean_value.tolist())


def test_a_value_of_something_other_than_a_summary_is_refused():
    base = CustomerBase.from_orders({"u": [1], "t": ["2026-01-05"]}, customer_id="u", time="t")
    with pytest.raises(InputError, match=r"summary is CustomerBase\(1 customers, .*: a PurchaseSummary is needed"):
        lifetime_value(MODELS[0], SPEND, base, horizon=days(90))
