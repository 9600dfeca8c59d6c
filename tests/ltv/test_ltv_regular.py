"""Regular buyers: BG/CNBD-k and MBG/CNBD-k against published data, their limit k = 1, simulation, and at the doors."""

import runpy
import types
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaln

from relmark import CustomerBase
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.ltv import (
    BgCnbd,
    BgNbd,
    GammaGamma,
    LogNormalPrior,
    MbgCnbd,
    MbgNbd,
    PurchaseSummary,
    churn_risk,
    holdout_report,
    lifetime_value,
    purchase_summary,
    split,
)

simulations = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))
POINT = {"r": 1.3, "alpha": 2.8, "a": 0.42, "b": 0.79}
THREE = PurchaseSummary(frequency=[3, 0, 10], recency=[20, 0, 50], T=[30, 30, 52], unit="week")
MANY = PurchaseSummary(
    frequency=[0, 0, 1, 1, 2, 5, 30, 400],
    recency=[0, 0, 3, 20, 30.43, 12, 38, 39],
    T=[0, 39, 39, 20, 38.86, 39, 39, 39.5],
)


@pytest.fixture(scope="module")
def grocer(data):
    parquet = pytest.importorskip("pyarrow.parquet")
    orders = parquet.read_table(data("grocery_online.parquet"))
    base = CustomerBase.from_orders(orders, customer_id="customer_id", time="date")
    return split(base, at="2007-01-01", as_of="2007-12-31", unit="week")


GROCER = [
    (MbgCnbd, 1, (1.256921, 6.039142, 0.368277, 0.715764), -15781.9394, 4024.84, 1.5130),
    (MbgCnbd, 2, (1.329175, 2.812551, 0.424709, 0.790029), -14978.2107, 3811.54, 1.3998),
    (MbgCnbd, 3, (1.302621, 1.749786, 0.449442, 0.835406), -14996.8504, 3710.03, 1.3562),
    (BgCnbd, 1, (0.348646, 2.581671, 0.503845, 3.644385), -15836.5662, None, None),
    (BgCnbd, 2, (0.359064, 1.129379, 0.522821, 2.785451), -15054.1729, None, None),
]


@pytest.mark.parametrize(("model", "k", "parameters", "log_likelihood", "total", "error"), GROCER)
def test_an_online_grocer_gives_the_known_fits_and_forecasts(
    grocer, model, k, parameters, log_likelihood, total, error
):
    assert grocer.calibration.frequency.sum() == 5_569
    assert grocer.duration == 52.0
    for summary in (grocer.calibration, grocer.calibration.cells()):
        m = model.fit(summary, k)
        np.testing.assert_allclose(m.parameters, parameters, rtol=0, atol=1e-6)
        assert m.fit_report.log_likelihood == pytest.approx(log_likelihood, abs=6e-5)
        assert m.fit_report.converged
    if total is not None:
        report = holdout_report(m, grocer)
        assert report.actual_total == 3_389
        assert report.expected_total == pytest.approx(total, abs=6e-3)
        assert report.mean_absolute_error == pytest.approx(error, abs=6e-5)


def test_k_is_chosen_by_likelihood_and_counted(grocer):
    m = MbgCnbd.fit(grocer.calibration)
    two = MbgCnbd.fit(grocer.calibration, 2)
    assert m == two
    assert m.k == 2
    assert m.fit_report.aic == pytest.approx(two.fit_report.aic + 2.0)
    assert m.fit_report.bic == pytest.approx(two.fit_report.bic + np.log(1_525))
    said = "k is 2, which has the highest log-likelihood (1: -15781.94, 2: -14978.21, 3: -14996.85"
    assert said in m.fit_report.notes[-1]


@pytest.mark.parametrize(("model", "alive", "expected"), [
    (MbgCnbd, (0.6717724, 0.14383237, 0.95388231), (1.96301102, 0.10266876, 4.53518917)),
    (BgCnbd, (0.6010610, 1.0, 0.9494099), (1.7170218, 0.6735206, 4.4868739)),
])  # fmt: skip
def test_three_customers_of_two_stages(model, alive, expected):
    m = model(k=2, **POINT)
    np.testing.assert_allclose(m.probability_alive(THREE), alive, rtol=0, atol=6e-8)
    np.testing.assert_allclose(m.expected_purchases(THREE, 26.0), expected, rtol=0, atol=6e-8)


@pytest.mark.parametrize(
    "p", [(0.243, 4.414, 0.793, 2.426), (0.5, 2, 1.0, 0.6), (2, 1, 1 + 1e-9, 0.3), (60, 50, 1.5, 2.5)]
)
@pytest.mark.parametrize(("model", "plain"), [(MbgCnbd, MbgNbd), (BgCnbd, BgNbd)])
def test_one_stage_is_purchases_at_random(model, plain, p):
    named = dict(zip(plain.names(), p, strict=True))
    m, o = model(k=1, **named), plain(**named)
    questions = [
        lambda m: m.probability_alive(MANY),
        lambda m: m.posterior_rate(MANY),
        lambda m: m.purchase_probabilities(MANY, 39.0, range(6)),
        lambda m: m.purchase_probabilities(MANY, 3e3, range(2)),
        lambda m: m.purchase_probabilities_new([1.0, 52.0], range(6)),
        lambda m: m.expected_purchases_new([0.0, 1.0, 52.0]),
        lambda m: m.residual_transactions(MANY, 0.0),
        *[lambda m, d=d: m.residual_transactions(MANY, d) for d in (1e-6, 0.0027, 0.5)],
        *[lambda m, t=t: m.expected_purchases(MANY, t) for t in (0.0, 1e-9, 1.0, 52.0, 1e4, 1e6)],
        *[lambda m, t=t: m.probability_alive(MANY, at=t) for t in (1e-9, 1.0, 52.0, 1e4, 1e6)],
        *[lambda m, t=t: m.expected_purchases_if_alive(MANY, t, 0.0027) for t in (0.0, 1.0, 104.0, 1e6)],
        *[lambda m, q=q: m.next_purchase_quantile(MANY, q, given_alive=True) for q in (1e-6, 0.3, 0.5, 0.99)],
        lambda m: churn_risk(m, MANY).falls_in,
        lambda m: lifetime_value(m, 10.0, MANY, horizon=52.0, annual_rate=0.2, step=13.0).step_value,
    ]
    for ask in questions:
        np.testing.assert_allclose(ask(m), ask(o), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize(("model", "plain", "kind"), [(MbgCnbd, MbgNbd, "mbg"), (BgCnbd, BgNbd, "bg")])
def test_fits_of_one_stage_are_those_of_purchases_at_random(model, plain, kind):
    s = simulations.simulated(kind, 800, (0.8, 4.0, 0.7, 1.5), np.linspace(20, 60, 800), np.random.default_rng(1))
    one, other = model.fit(s, 1), plain.fit(s)
    np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-9)
    assert one.fit_report.log_likelihood == pytest.approx(other.fit_report.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(one.fit_report.covariance, other.fit_report.covariance, rtol=1e-8)


def futures(model, n, T, t, rng):
    """Return a summary at T, purchases in (T, T + t], the time of the next one, and who is alive at T and at T + t."""
    lam, p = rng.gamma(model.r, 1 / model.alpha, n), rng.beta(model.a, model.b, n)
    time, x, t_x, later, following = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, np.inf)
    active = rng.random(n) >= p if model.shift else np.ones(n, dtype=bool)
    left_at = np.where(active, np.inf, 0.0)
    while active.any():
        time = time + rng.gamma(model.k, size=n) / np.maximum(lam, 1e-300)
        before, after = active & (time <= T), active & (time > T) & (time <= T + t)
        x[before] += 1
        t_x[before] = time[before]
        first = active & (time > T) & np.isinf(following)
        following[first] = time[first] - T
        later[after] += 1
        buys = before | after
        drop = buys & (rng.random(n) < p)
        left_at[drop] = time[drop]
        active = buys & ~drop
    return PurchaseSummary(frequency=x, recency=t_x, T=np.full(n, T)), later, following, left_at > T, left_at > T + t


@pytest.mark.parametrize("model", [
    MbgCnbd(k=3, r=0.9, alpha=1.2, a=0.6, b=1.5), BgCnbd(k=2, r=0.9, alpha=1.6, a=0.6, b=1.5),
])  # fmt: skip
def test_given_the_past_the_future_comes_as_predicted(model):
    s, later, following, alive, lasting = futures(model, 40_000, 20.0, 15.0, np.random.default_rng(9))
    said = {
        "alive": (alive, model.probability_alive(s)),
        "lasting": (lasting, model.probability_alive(s, at=15.0)),
        "none": (later == 0, model.purchase_probabilities(s, 15.0, 0)),
        "two": (later == 2, model.purchase_probabilities(s, 15.0, 2)),
        "later": (later, model.expected_purchases(s, 15.0)),
    }
    due = model.next_purchase_quantile(s, 0.4, given_alive=True)
    for low, high, silence in ((0, 0, 99), (1, 1, 10), (1, 1, 99), (2, 5, 3), (2, 5, 99), (6, 400, 99)):
        group = (s.frequency >= low) & (s.frequency <= high) & (s.T - s.recency <= silence)
        assert group.sum() > 100
        for seen, expected in said.values():
            off = seen[group].astype(float) - expected[group]
            assert abs(off.mean()) < 4.5 * off.std() / np.sqrt(group.sum()) + 1e-12
        living = group & alive
        share = (following[living] <= due[living]).mean()
        assert abs(share - 0.4) < 4.5 * np.sqrt(0.24 / living.sum())


def test_the_parts_of_a_prediction_fit_together():
    for m in (MbgCnbd(k=4, **POINT), BgCnbd(k=2, r=0.3, alpha=1.1, a=2.5, b=2.8)):
        for t in (0.5, 26.0, 300.0):
            p = m.purchase_probabilities(THREE, t, range(400))
            np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-10)
            np.testing.assert_allclose(p @ np.arange(400), m.expected_purchases(THREE, t), rtol=1e-9)
        alive = [m.probability_alive(THREE, at=t) for t in (0.0, 1.0, 26.0, 500.0, 1e5)]
        assert (np.diff(alive, axis=0) < 0).all()
        # what is discounted: by parts, from purchases on a fine grid
        t = np.linspace(0.0, 52.0, 4_001)
        flow = np.diff(m.expected_purchases_until(THREE, t), axis=0)
        slow = np.exp(-0.01 * 0.5 * (t[1:] + t[:-1])) @ flow
        np.testing.assert_allclose(m.expected_purchases_if_alive(THREE, 52.0, 0.01), slow, rtol=1e-8)
        # the residual is the limit of long horizons
        long = m.expected_purchases_if_alive(THREE, 44.9 / 0.02, 0.02) * m.probability_alive(THREE)
        np.testing.assert_allclose(m.residual_transactions(THREE, 0.02), long, rtol=1e-10)
        for q in (0.01, 0.5, 0.9):
            due = m.next_purchase_quantile(THREE, q, given_alive=True)
            bought = 1 - (
                m.purchase_probabilities(THREE, due, 0) - (1 - m.probability_alive(THREE))
            ) / m.probability_alive(THREE)
            np.testing.assert_allclose(bought, q, rtol=1e-11)
        falls = churn_risk(m, THREE, threshold=0.3).falls_in
        for row in np.flatnonzero(np.isfinite(falls)):
            silent = PurchaseSummary(
                frequency=THREE.frequency[row], recency=THREE.recency[row], T=THREE.T[row] + falls[row]
            )
            assert m.probability_alive(silent)[0] == pytest.approx(0.3, rel=1e-9)
    lasting = BgCnbd(k=2, r=0.3, alpha=1.1, a=2.5, b=2.8)
    again = THREE.take([0, 2])  # who never bought again may be so slow that even the longest horizon is short
    ever = lasting.expected_purchases(again, 1e9)
    np.testing.assert_allclose(lasting.residual_transactions(again, 0.0), ever, rtol=1e-6)


@pytest.mark.slow
def test_long_horizons_and_heavy_buyers_meet_where_the_sum_becomes_an_integral(monkeypatch):
    from relmark.ltv import _erlang_dropout as kernel

    s = PurchaseSummary(frequency=[3, 600], recency=[20, 51.0], T=[30, 52])
    cases = (MbgCnbd(k=1, **POINT), 8_000.0), (MbgCnbd(k=2, **POINT), 2_000.0), (BgCnbd(k=5, **POINT), 4_000.0)
    for m, t in cases:
        integrated = m.expected_purchases(s, t), m.probability_alive(s, at=t)
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "_SUMMED", 1 << 24)
            np.testing.assert_allclose(integrated[0], m.expected_purchases(s, t), rtol=1e-10)
            np.testing.assert_allclose(integrated[1], m.probability_alive(s, at=t), rtol=1e-10)


def test_units_shift_the_log_likelihood_and_alpha_alone():
    s = simulations.simulated("mbg", 500, (1.2, 2.0, 0.7, 1.5), np.linspace(20, 60, 500), np.random.default_rng(3), k=3)
    days = PurchaseSummary(
        frequency=s.frequency, recency=s.recency * 7, T=s.T * 7, unit="day",
        log_gaps=s.log_gaps + s.frequency * np.log(7.0),
    )  # fmt: skip
    a, b = MbgCnbd.fit(s), MbgCnbd.fit(days)
    assert a.k == b.k == 3
    np.testing.assert_allclose(b.parameters / a.parameters, [1, 7, 1, 1], rtol=1e-7)
    shift = s.frequency.sum() * np.log(7.0)
    assert b.fit_report.log_likelihood == pytest.approx(a.fit_report.log_likelihood - shift, abs=1e-7)
    np.testing.assert_allclose(b.expected_purchases(days, 70.0), a.expected_purchases(s, 10.0), rtol=1e-8)


def test_the_likelihood_is_that_of_the_story_written_out():
    """The density of the gaps, times the chance of the silence, integrated over lambda and p on a fine grid."""
    k, r, alpha, a, b = 3, 0.8, 1.5, 0.7, 1.9
    gaps, T = [2.0, 1.5, 3.0], 10.0
    lam = np.exp(np.linspace(-18, 6, 4_001))
    p = (np.arange(40_000) + 0.5) / 40_000
    from scipy.stats import beta, gamma

    prior = gamma.pdf(lam, r, scale=1 / alpha) * lam * np.log(lam[1] / lam[0])
    density = np.prod([gamma.pdf(g, k, scale=1 / lam) for g in gaps], axis=0)
    silent = gamma.sf(T - sum(gaps), k, scale=1 / lam)
    chance = beta.cdf(p + 0.5 / 40_000, a, b) - beta.cdf(p - 0.5 / 40_000, a, b)
    summary = PurchaseSummary(
        frequency=[3, 0], recency=[sum(gaps), 0], T=[T, T], log_gaps=[float(np.log(gaps).sum()), 0.0]
    )
    from relmark.ltv import _erlang_dropout, _geometric_dropout

    for shift in (0, 1):
        tossed = 3 + shift
        stays, leaves = chance @ (1 - p) ** tossed, chance @ (p * (1 - p) ** (tossed - 1))
        want = np.log(prior @ (density * (stays * silent + leaves)))
        none = gamma.sf(T, k, scale=1 / lam)
        want += np.log(prior @ (chance @ (1 - p) * none + chance @ p if shift else none))
        data = _geometric_dropout.arranged(summary.frequency, summary.recency, summary.T, None, shift)
        constant = (k - 1) * summary.log_gaps_total - 3 * gammaln(k)
        got = _erlang_dropout.likelihood(np.array([r, alpha, a, b]), data, k, shift, constant)[0]
        assert got == pytest.approx(want, abs=2e-5)


def test_a_summary_without_gaps_fits_one_stage_and_predicts_any_number():
    with pytest.raises(
        InputError, match="no log_gaps, and only the times between purchases distinguish MBG/CNBD-2"
    ) as caught:
        MbgCnbd.fit(THREE, 2)
    assert caught.value.code == "missing_argument"
    assert "purchase_summary" in caught.value.hint
    with pytest.raises(InputError, match="no log_gaps"):
        BgCnbd.fit(THREE)
    assert MbgCnbd.fit(THREE, 1).k == 1
    assert MbgCnbd(k=7, **POINT).probability_alive(THREE).shape == (3,)
    nobody = PurchaseSummary(frequency=[0], recency=[0], T=[3.0], log_gaps=0.0)
    with pytest.raises(NotEnoughDataError):
        MbgCnbd.fit(nobody)
    for bad in (0, 101, 2.5, "best"):
        with pytest.raises(InputError, match="k is"):
            MbgCnbd.fit(THREE, bad)
        with pytest.raises(InputError):
            MbgCnbd(k=bad, **POINT)


def test_gaps_are_read_totalled_divided_and_checked():
    orders = {"user": ["a", "a", "a", "b"], "time": ["1997-01-01", "1997-01-15", "1997-01-22", "1997-01-08"]}
    base = CustomerBase.from_orders(orders, customer_id="user", time="time")
    s = purchase_summary(base, as_of="1997-01-30")
    np.testing.assert_allclose(s.log_gaps, [np.log(2.0) + np.log(1.0), 0.0])
    assert s.log_gaps_total == pytest.approx(np.log(2.0))
    assert s.cells().log_gaps == pytest.approx(np.log(2.0))
    assert s.take([0]).log_gaps.tolist() == s.log_gaps[:1].tolist()
    assert s.cells().take([0]).log_gaps is None
    assert s["log_gaps"].tolist() == s.log_gaps.tolist()
    other = PurchaseSummary(customer_id=["c"], frequency=[1], recency=[3.0], T=[4.0], log_gaps=[np.log(3.0)])
    assert (other + s).log_gaps.tolist() == [*s.log_gaps.tolist(), np.log(3.0)]
    assert (s + other.cells()).log_gaps == pytest.approx(np.log(6.0))
    assert (s.cells() + other.cells()).log_gaps == pytest.approx(np.log(6.0))
    unknown = PurchaseSummary(frequency=[1], recency=[3.0], T=[4.0])
    assert (s.cells() + unknown).log_gaps is None
    weighted = PurchaseSummary(frequency=[1], recency=[3.0], T=[4.0], weights=[5.0], log_gaps=[np.log(3.0)])
    assert weighted.cells().log_gaps == weighted.log_gaps_total == pytest.approx(5 * np.log(3.0))
    for bad, said in (
        ([1.0], "1 rows"), ([2.0, 0.1], "no gap"), ([1.7, 0.0], "at most"), ([np.nan, 0], "log_gaps"), (5.0, "at most"),
        ([np.inf, 0], "log_gaps"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            PurchaseSummary(frequency=[2, 0], recency=[4.0, 0], T=[4.0, 3.0], log_gaps=bad)


def test_value_and_intervals_take_regular_models():
    s = simulations.simulated("mbg", 600, (1.2, 2.0, 0.7, 1.5), np.full(600, 40.0), np.random.default_rng(3), k=2)
    m = MbgCnbd.fit(s, 2)
    value = lifetime_value(m, GammaGamma(p=6, q=4, v=15), PurchaseSummary(
        frequency=s.frequency, recency=s.recency, T=s.T, monetary_value=np.full(600, 20.0)
    ), horizon=52.0, annual_rate=0.2, step=4.0)  # fmt: skip
    np.testing.assert_allclose(value.purchases, m.expected_purchases(s, 52.0), rtol=1e-9)
    np.testing.assert_allclose(value.step_value.sum(axis=1), value.value, rtol=1e-9)
    once = m.expected_purchases_if_alive(s, 52.0, np.log(1.2) * 7 / 365.25) * m.probability_alive(s)
    np.testing.assert_allclose(value.value, once * value.spend, rtol=1e-9)
    interval = m.interval(lambda m: m.expected_purchases(s, 26.0))
    assert (interval.low < interval.value).all()
    drawn = m.interval(lambda m: m.probability_alive(s)[:5], method="draws", resamples=40)
    assert (drawn.low <= drawn.high).all()
    assert MbgCnbd.from_json(m.to_json()) == m
    near = MbgCnbd.fit(s, 2, prior=LogNormalPrior())
    np.testing.assert_allclose(near.parameters, m.parameters, rtol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "kind"), [(MbgCnbd, "mbg"), (BgCnbd, "bg")])
def test_intervals_cover_the_truth_in_simulated_fits(model, kind):
    truth, rng = np.array([1.2, 2.0, 0.7, 1.8]), np.random.default_rng(6)
    covered, chosen = [], []
    for _ in range(200):
        s = simulations.simulated(kind, 1_500, tuple(truth), rng.uniform(26, 52, 1_500), rng, k=2)
        m = model.fit(s, 2)
        assert m.fit_report.converged
        found = m.fit_report.confidence_interval()
        covered.append(
            [found[name].low <= value <= found[name].high for name, value in zip(m.names(), truth, strict=True)]
        )
        chosen.append(max((1, 2, 3), key=lambda k: model.fit(s, k).fit_report.log_likelihood) if _ < 20 else 2)
    share = np.mean(covered, axis=0)
    assert ((share >= 0.91) & (share <= 0.985)).all(), share
    assert set(chosen) == {2}
