"""Seasons: the clock, what it changes and what not, fits to simulated shops, and what is refused."""

import attrs
import numpy as np
import pytest

from relmark import CustomerBase, days
from relmark.core.errors import DefinitionError, InputError, LimitError, NotEnoughDataError
from relmark.ltv import (
    BgBb,
    BgCnbd,
    BgNbd,
    MbgCnbd,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    Season,
    churn_risk,
    cohort_tracking,
    frequency_table,
    holdout_report,
    lifetime_value,
    purchase_summary,
    recency_frequency_matrix,
    split,
)
from relmark.ltv._bought import bought_days

TRUTH = Season([0.6, 0.7, 0.9, 1, 1, 0.8, 0.5, 0.6, 1, 1.2, 1.5, 2.2], period="month")
POINT = {"r": 1.2, "alpha": 9.0, "a": 0.6, "b": 2.5}
PARETO = {"r": 1.2, "alpha": 9.0, "s": 0.9, "beta": 25.0}
FLAT = {"month": 12, "week": 52, "day_of_week": 7}


def shop(model, n=3_000, seed=3, until=1_500):
    start = np.datetime64("2024-01-01") + np.random.default_rng(seed).integers(0, 365, n)
    return model.simulate(n, until=days(until), rng=seed, start=start).to_base()


class Following(ParetoNbd):
    """Pareto/NBD in which leaving follows the clock of the season, behind the door that the other models have."""

    @classmethod
    def fit(cls, summary, **settings):
        return super().fit(summary, leaving="calendar", **settings)


@pytest.fixture(scope="module")
def base():
    return shop(MbgNbd(**POINT, unit="week", season=TRUTH))


@pytest.mark.parametrize("period", FLAT)
def test_the_clock_adds_up_the_weights_and_keeps_the_years(period):
    season = Season(np.linspace(0.3, 3.0, FLAT[period]), period)
    day = np.arange(-4_000, 40_000)
    np.testing.assert_allclose(np.diff(season.clock(day)), season.pace(day[1:]), rtol=1e-9)
    assert season.clock(np.array([146_096 - 146_097]))[0] == pytest.approx(-1.0, abs=1e-8)
    four_centuries = season.clock(day[:5] + 146_097) - season.clock(day[:5])
    np.testing.assert_allclose(four_centuries, 146_097, rtol=1e-13)
    for t in (0.0, 0.25, 1.0, 3.5, 100.25, 5_000.75, -3.25, -800.0):
        ahead = season.elapsed(20_000, np.array([t]))
        assert season.until(20_000, ahead)[0] == pytest.approx(t, abs=1e-8)
    for far in (np.inf, 1e30):
        assert season.elapsed(20_000, np.array([far]))[0] == far
        assert season.until(20_000, np.array([far]))[0] == far
    assert Season.from_json(season.to_json()) == season
    assert Season(np.array(season.weights) * 7, period).weights == pytest.approx(season.weights)


def test_periods_are_those_of_the_calendar():
    month = Season([1.0] * 11 + [2.0])
    around = np.array(["2023-11-30", "2023-12-01", "2024-12-31", "2025-01-01"], "M8[D]")
    assert month.pace(around).round(3).tolist() == [0.922, 1.844, 1.844, 0.922]
    week = Season([*np.linspace(1, 2, 52)], "week")
    first = week.pace(np.array(["2024-01-01", "2024-01-07", "2024-01-08", "2024-12-30", "2024-12-31"], "M8[D]"))
    assert first[0] == first[1] == pytest.approx(week.weights[0])
    assert first[2] == pytest.approx(week.weights[1])
    assert first[3] == first[4] == pytest.approx(week.weights[51])
    saturday = Season([1, 1, 1, 1, 1, 4, 1], "day_of_week")
    assert saturday.pace(np.array(["2026-11-27", "2026-11-28"], "M8[D]")).tolist() == [0.7, 2.8]


def answers(model, summary):
    """Return everything that is predicted of a summary."""
    whole = summary.take(np.arange(0, len(summary), 600 if isinstance(model, (MbgCnbd, BgCnbd)) else 30))
    yield model.probability_alive(whole)
    yield model.probability_alive(whole, at=13.3)
    yield model.expected_purchases(whole, 26.5)
    yield model.expected_purchases(whole, days(200))
    yield model.purchase_probabilities(whole, 26.5, range(4))
    yield model.expected_purchases_until(whole, [0.0, 4.0, 52.0])
    yield model.expected_purchases_until(whole, [0.0, 4.0, 52.0], 0.01)
    yield model.expected_purchases_if_alive(whole, np.tile([3.0, 30.0], len(whole))[: len(whole)], 0.01)
    yield model.next_purchase_quantile(whole, 0.3)
    yield churn_risk(model, whole).falls_in
    yield lifetime_value(model, 10.0, whole, annual_rate=0.15, step=days(91)).step_value
    if not isinstance(model, Nbd):
        yield model.residual_transactions(whole, 0.0027)


@pytest.mark.parametrize("model", [MbgNbd, BgNbd, Nbd, MbgCnbd, BgCnbd, Following])
@pytest.mark.parametrize("period", FLAT)
def test_a_flat_season_changes_nothing(base, model, period):
    plain = purchase_summary(base, as_of="2026-01-01")
    flat = purchase_summary(base, as_of="2026-01-01", season=Season([3.0] * FLAT[period], period))
    for name in ("recency", "T", "log_gaps"):
        np.testing.assert_allclose(getattr(flat, name), getattr(plain, name), rtol=1e-13)
    k = (2,) if model in {MbgCnbd, BgCnbd} else ()
    a, b = model.fit(plain, *k), model.fit(flat, *k)
    np.testing.assert_allclose(b.parameters, a.parameters, rtol=1e-10)
    assert b.fit_report.log_likelihood == pytest.approx(a.fit_report.log_likelihood, rel=1e-13)
    assert b.fit_report.aic == pytest.approx(a.fit_report.aic + 2 * (FLAT[period] - 1))
    same = b.with_parameters(a.parameters)
    for before, after in zip(answers(a, plain), answers(same, flat), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-10)
    assert same.expected_purchases_new(26.5, start="2026-03-01") == pytest.approx(
        a.expected_purchases_new(26.5), rel=1e-12
    )


@pytest.mark.parametrize("model", [
    MbgNbd(**POINT, unit="week", season=TRUTH), MbgCnbd(k=2, r=1.2, alpha=5.0, a=0.6, b=2.5, unit="week", season=TRUTH),
    Nbd(r=1.2, alpha=9.0, unit="week", season=TRUTH), Following(**PARETO, unit="week", season=TRUTH),
], ids=lambda m: m.kind)  # fmt: skip
def test_a_true_season_wins_and_the_parameters_come_back(model):
    base = shop(model)
    held = {}
    k = (2,) if model.kind == "mbg_cnbd" else ()
    for name, season in (("none", None), ("true", TRUTH), ("fitted", Season.fit(base, as_of="2026-01-01"))):
        parts = split(base, at="2026-01-01", as_of="2026-07-01", season=season)
        fit = type(model).fit(parts.calibration, *k)
        held[name] = fit, holdout_report(fit, parts)
    none, true, fitted = (held[name][0].fit_report for name in ("none", "true", "fitted"))
    assert true.log_likelihood > none.log_likelihood + 500
    assert fitted.log_likelihood > true.log_likelihood - 20
    assert fitted.aic < none.aic - 1_000
    assert np.abs(np.log(held["true"][0].parameters / model.parameters)).max() < 0.25
    low_season = abs(held["true"][1].relative_error), abs(held["none"][1].relative_error)
    assert low_season[0] < 0.06 < low_season[1]
    np.testing.assert_allclose(Season.fit(base, as_of="2026-01-01").weights, TRUTH.weights, rtol=0.15)


@pytest.mark.parametrize("model", [
    BgCnbd(k=2, r=1.2, alpha=5.0, a=0.6, b=2.5, unit="week", season=TRUTH),
    ParetoNbd(**PARETO, unit="week", season=TRUTH),
], ids=lambda m: m.kind)  # fmt: skip
def test_predictions_by_the_calendar_agree_with_simulated_futures(model):
    n = 10_000
    s = PurchaseSummary(
        frequency=np.full(n, 3), recency=np.full(n, 20.0), T=np.full(n, 26.0), season=TRUTH, last_day="2026-10-31"
    )
    future = model.simulate(s, days(90), rng=1, start="2026-10-31")
    counts = np.bincount(future.customer_id, minlength=n)
    expected = model.expected_purchases(s, days(90))[0]
    assert abs(counts.mean() - expected) < 4.5 * counts.std() / np.sqrt(n)
    december = (future.date >= np.datetime64("2026-12-01")) & (future.date <= np.datetime64("2026-12-31"))
    by_december = np.bincount(future.customer_id[december], minlength=n)
    until = model.expected_purchases_until(s.take([0]), [30 / 7, 61 / 7])[:, 0] * model.probability_alive(s)[0]
    assert abs(by_december.mean() - (until[1] - until[0])) < 4.5 * by_december.std() / np.sqrt(n)
    faded = np.bincount(future.customer_id, weights=np.exp(-0.05 * future.time), minlength=n)
    discounted = model.expected_purchases_if_alive(s, days(90), 0.05)[0] * model.probability_alive(s)[0]
    assert abs(faded.mean() - discounted) < 4.5 * faded.std() / np.sqrt(n)
    new = model.simulate(n, days(60), rng=2, start="2026-11-15")
    again = np.bincount(new.customer_id, minlength=n) - 1
    said = model.expected_purchases_new(days(60), start="2026-11-15")
    assert abs(again.mean() - said) < 4.5 * again.std() / np.sqrt(n)
    none = model.purchase_probabilities_new(days(60), 0, start="2026-11-15")
    assert abs((again == 0).mean() - none) < 4.5 * np.sqrt(0.25 / n)


@pytest.mark.parametrize("period", ["month", "day_of_week"])
def test_discounted_values_are_the_flow_in_calendar_time(period):
    season = Season(np.linspace(0.3, 2.0, FLAT[period]), period)
    s = PurchaseSummary(
        frequency=[0, 3, 60], recency=[0, 20.0, 50.0], T=[30.0, 30.0, 52.0], season=season, last_day="2026-02-10"
    )
    for model in (
        MbgNbd(**POINT, season=season), MbgCnbd(k=3, r=1.2, alpha=3.0, a=0.6, b=2.5, season=season),
        Nbd(r=1.2, alpha=9.0, season=season), ParetoNbd(**PARETO, season=season),
    ):  # fmt: skip
        # the midpoint of steps that end where days do
        t = np.arange(0, 52 * 7 * 24 + 1) / (7.0 * 24)
        flow = np.diff(model.expected_purchases_until(s, t), axis=0)
        for end in (26, 52):
            steps = end * 7 * 24
            slow = np.exp(-0.02 * 0.5 * (t[1:] + t[:-1]))[:steps] @ flow[:steps]
            np.testing.assert_allclose(model.expected_purchases_if_alive(s, float(end), 0.02), slow, rtol=1e-7)
            np.testing.assert_allclose(
                model.expected_purchases_until(s, [0.0, 26.0, 52.0], 0.02)[end // 26], slow, rtol=1e-7
            )
    long = model.expected_purchases_if_alive(s, 44.0 / 0.02, 0.02) * model.probability_alive(s)
    np.testing.assert_allclose(model.residual_transactions(s, 0.02), long, rtol=1e-10)


def test_quantiles_and_risks_are_calendar_times(base):
    s = purchase_summary(base, as_of="2026-01-01", season=TRUTH).take(slice(0, 40))
    m = MbgNbd.fit(purchase_summary(base, as_of="2026-01-01", season=TRUTH))
    due = m.next_purchase_quantile(s, 0.3, given_alive=True)
    for row in range(5):
        chance = m.purchase_probabilities(s.take([row]), due[row], 0)[0]
        alive = m.probability_alive(s)[row]
        assert (1 - chance) / alive == pytest.approx(0.3, rel=1e-9)
    falls = churn_risk(m, s, threshold=0.4).falls_in
    rows = np.flatnonzero(falls > 0)
    assert len(rows)
    length = TRUTH.elapsed(int(s.last_day.astype(int)), falls[rows] * 7) / 7
    silent = attrs.evolve(s.take(rows), T=s.T[rows] + length)
    np.testing.assert_allclose(m.probability_alive(silent), 0.4, rtol=1e-8)


def test_reports_follow_the_clock(base):
    m = MbgNbd.fit(purchase_summary(base, as_of="2026-01-01", season=TRUTH))
    plain = MbgNbd.fit(purchase_summary(base, as_of="2026-01-01"))
    tracked, without = (
        cohort_tracking(model, base, at="2026-01-01", as_of="2026-12-01", unit="month") for model in (m, plain)
    )
    away = [np.abs(t.expected - t.actual)[3:].sum() for t in (tracked, without)]
    assert away[0] < 0.5 * away[1]
    table = frequency_table(m, purchase_summary(base, as_of="2026-01-01", season=TRUTH))
    assert table.expected.sum() == pytest.approx(3_000, abs=1e-6)
    assert np.abs(table.expected / table.observed - 1).max() < 0.2
    flat = attrs.evolve(m, season=None)
    grid = recency_frequency_matrix(m, T=40.0, t=10.0, most=3, rows=3)
    np.testing.assert_array_equal(
        grid.probability_alive, recency_frequency_matrix(flat, T=40.0, t=10.0, most=3, rows=3).probability_alive
    )
    who = int(base.customer_id[7])
    history = m.alive_history(base, who, ["2025-06-01", "2026-01-01"])
    s = purchase_summary(base, as_of="2026-01-01", season=TRUTH)
    row = int(np.flatnonzero(s.customer_id == who)[0])
    assert history.T[1] == pytest.approx(s.T[row])
    assert history.p_alive[1] == pytest.approx(m.probability_alive(s)[row])


def test_models_keep_their_season():
    m = MbgNbd(**POINT, unit="week", season=TRUTH)
    again = MbgNbd.from_json(m.to_json())
    assert again == m
    assert again.season == TRUTH
    assert again.fingerprint != MbgNbd(**POINT, unit="week").fingerprint
    assert m.with_parameters(m.parameters).season == TRUTH
    assert MbgNbd.check(m.to_dict()).problems == ()
    body = m.to_dict()
    body["season"]["weights"] = body["season"]["weights"][:5]
    with pytest.raises(DefinitionError):
        MbgNbd.from_dict(body)
    body["season"] = {"weights": [1.0] * 12, "period": "moon"}
    with pytest.raises(DefinitionError):
        MbgNbd.from_dict(body)
    assert MbgNbd.check(body).problems


def test_summaries_keep_their_season(base):
    s = purchase_summary(base, as_of="2026-01-01", season=TRUTH)
    assert s.last_day == np.datetime64("2025-12-31")
    assert purchase_summary(base, as_of="2026-01-01").last_day == s.last_day
    whole = MbgNbd.fit(s)
    half = np.arange(len(s)) % 2 == 0
    merged = s.take(half).cells() + s.take(~half).cells()
    assert merged.season == TRUTH
    assert merged.last_day == s.last_day
    for other in (s.cells(), merged, s.take(half) + s.take(~half)):
        fit = MbgNbd.fit(other)
        np.testing.assert_allclose(fit.parameters, whole.parameters, rtol=1e-8)
        assert fit.fit_report.log_likelihood == pytest.approx(whole.fit_report.log_likelihood, rel=1e-11)
    with pytest.raises(InputError, match="different seasons"):
        s.cells() + purchase_summary(base, as_of="2026-01-01").cells()
    with pytest.raises(InputError, match="different days"):
        s.cells() + purchase_summary(base, as_of="2026-01-02", season=TRUTH).cells()


def test_what_does_not_go_together_is_refused(base):
    s = purchase_summary(base, as_of="2026-01-01", season=TRUTH)
    plain = purchase_summary(base, as_of="2026-01-01")
    for model, said in ((ParetoNbd, "customers leave at any time"), (BgBb, "people leave by the calendar")):
        with pytest.raises(InputError, match=said) as caught:
            model.fit(s)
        assert caught.value.code == "not_supported"
    with pytest.raises(InputError, match='leaving="calendar"'):
        ParetoNbd.fit(s)
    for wrong in ("season", "clock", 1):
        with pytest.raises(InputError, match="leaving"):
            ParetoNbd.fit(s, leaving=wrong)
    assert ParetoNbd.fit(plain, leaving="calendar") == ParetoNbd.fit(plain)
    with pytest.raises(InputError, match="clock of a season"):
        ParetoNbd(r=1, alpha=1, s=1, beta=1).expected_purchases(s, 3.0)
    m = MbgNbd(**POINT, unit="week", season=TRUTH)
    with pytest.raises(InputError, match="and the summary by the calendar"):
        m.expected_purchases(plain, 3.0)
    with pytest.raises(InputError, match="the model by another or none"):
        MbgNbd(**POINT, unit="week").expected_purchases(s, 3.0)
    with pytest.raises(InputError, match="give start="):
        m.expected_purchases_new(3.0)
    with pytest.raises(InputError, match="give start="):
        m.simulate(3, 3.0)
    with pytest.raises(InputError, match="no last_day"):
        PurchaseSummary(frequency=[1], recency=[1], T=[2], season=TRUTH)
    with pytest.raises(InputError, match="without a season"):
        PurchaseSummary(frequency=[1], recency=[1], T=[2], log_season=0.3)
    with pytest.raises(InputError, match="no length in days"):
        PurchaseSummary(frequency=[1], recency=[1], T=[2], unit="period", season=TRUTH, last_day="2026-01-01")
    by_hand = PurchaseSummary(frequency=[2], recency=[1], T=[2], season=TRUTH, last_day="2026-01-01")
    with pytest.raises(InputError, match="no log_season"):
        MbgNbd.fit(by_hand)
    with pytest.raises(InputError, match="a Season is needed"):
        purchase_summary(base, as_of="2026-01-01", season=[1] * 12)
    with pytest.raises(LimitError, match="a higher discount rate"):
        m.residual_transactions(s.take([0]), 1e-7)
    for bad, said in (([1] * 11, "11 numbers"), ([0] * 12, "weights"), ([1] * 11 + [np.nan], "weights")):
        with pytest.raises(InputError, match=said):
            Season(bad)
    with pytest.raises(InputError, match="period"):
        Season([1] * 12, period="moon")


def test_a_season_is_fitted_only_where_it_was_seen():
    few = CustomerBase.from_orders(
        {"user": ["a", "a", "b"], "time": ["2026-01-05", "2026-02-02", "2026-02-03"]}, customer_id="user", time="time"
    )
    with pytest.raises(NotEnoughDataError, match="no day of month 3, 4"):
        Season.fit(few, as_of="2026-03-01")
    once = CustomerBase.from_orders({"user": ["a"], "time": ["2026-01-05"]}, customer_id="user", time="time")
    with pytest.raises(NotEnoughDataError, match="nobody bought twice"):
        Season.fit(once, as_of="2027-06-01")
    with pytest.raises(InputError, match="period"):
        Season.fit(few, as_of="2026-03-01", period="year")
    with pytest.raises(InputError, match="smoothing"):
        Season.fit(few, as_of="2026-03-01", smoothing=-1)


def test_one_year_is_said_to_be_little_and_days_of_the_week_are_found():
    truth = Season([0.6, 0.8, 1, 1, 1.2, 1.9, 0.5], "day_of_week")
    base = shop(BgNbd(r=1.2, alpha=4.0, a=0.6, b=2.5, unit="week", season=truth), n=2_000, until=400)
    found = Season.fit(base, as_of="2025-01-01", period="day_of_week")
    np.testing.assert_allclose(found.weights, truth.weights, rtol=0.1)
    assert found.notes == ()
    assert any("a season from a trend" in note for note in Season.fit(base, as_of="2025-01-01", period="month").notes)
    tight = Season.fit(base, as_of="2025-01-01", period="day_of_week", smoothing=1e9)
    np.testing.assert_allclose(tight.weights, 1.0, atol=0.01)


def test_pareto_in_which_leaving_follows_the_clock_is_the_plain_model_on_that_clock():
    """The plain fit to the times of the clock, with the Jacobian of the purchases, and all told by the calendar."""
    shop_base = shop(ParetoNbd(**PARETO, unit="week", season=TRUTH), n=1_000)
    s = purchase_summary(shop_base, as_of="2026-01-01", season=TRUTH)
    on_clock = PurchaseSummary(frequency=s.frequency, recency=s.recency, T=s.T, unit="week")
    m, plain = ParetoNbd.fit(s, leaving="calendar"), ParetoNbd.fit(on_clock)
    np.testing.assert_allclose(m.parameters, plain.parameters, rtol=1e-12)
    bought = bought_days(shop_base, "2026-01-01")
    again = np.append(False, bought.code[1:] == bought.code[:-1])
    jacobian = np.log(TRUTH.pace(bought.day[again])).sum()
    assert m.fit_report.log_likelihood == pytest.approx(plain.fit_report.log_likelihood + jacobian, rel=1e-12)
    assert m.fit_report.aic == pytest.approx(2 * (4 + 11) - 2 * m.fit_report.log_likelihood)
    few, clock = s.take(slice(0, 50)), on_clock.take(slice(0, 50))
    length = TRUTH.elapsed(int(s.last_day.astype(int)), np.array([26 * 7.0]))[0] / 7
    np.testing.assert_allclose(m.probability_alive(few), plain.probability_alive(clock), rtol=1e-12)
    np.testing.assert_allclose(m.probability_alive(few, at=26.0), plain.probability_alive(clock, at=length), rtol=1e-12)
    np.testing.assert_allclose(m.expected_purchases(few, 26.0), plain.expected_purchases(clock, length), rtol=1e-12)
    np.testing.assert_allclose(
        m.purchase_probabilities(few, 26.0, range(3)), plain.purchase_probabilities(clock, length, range(3)), rtol=1e-12
    )
    assert ParetoNbd.from_json(m.to_json()) == m
    assert "season=Season(" in repr(m)


def test_pareto_with_covariates_follows_the_clock_too():
    s = purchase_summary(shop(ParetoNbd(**PARETO, unit="week", season=TRUTH), n=800), as_of="2026-01-01", season=TRUTH)
    s = s.with_covariates({"even": np.arange(len(s)) % 2})
    both = {"rate": ["even"], "dropout": ["even"]}
    m, none = ParetoNbd.fit(s, covariates=both, leaving="calendar"), ParetoNbd.fit(s, leaving="calendar")
    gain = m.fit_report.log_likelihood - none.fit_report.log_likelihood
    assert 0.0 <= gain < 8.0  # the column says nothing
    assert m.fit_report.likelihood_ratio.statistic == pytest.approx(2 * gain, abs=1e-8)
    few, own = s.take([1, 3, 5]), m.at({"even": 1})
    for got, want in zip(answers_of_all(m, few), answers_of_all(own, few), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8)


def answers_of_all(model, s):
    yield model.probability_alive(s, at=13.3)
    yield model.expected_purchases(s, 26.5)
    yield model.expected_purchases_until(s, [4.0, 52.0], 0.01)
    yield model.residual_transactions(s, 0.0027)
    yield model.next_purchase_quantile(s, 0.3)
    yield churn_risk(model, s).falls_in
    yield lifetime_value(model, 10.0, s, annual_rate=0.15, step=days(91)).step_value
