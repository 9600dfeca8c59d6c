"""Plans, looks, money, chances and checks: what comes before and after the analysis."""

import json
import math

import numpy as np
import pytest

from relmark.core.intervals import Estimate, Interval
from relmark.errors import InputError, NotEnoughDataError
from relmark.experiments import (
    BootstrapSums,
    ConfidenceSequence,
    Effect,
    Experiment,
    Mean,
    Moments,
    Proportion,
    Quantile,
    Ratio,
    alpha_spending,
    analyze,
    bootstrap_effect,
    detectable_effect,
    newcombe_interval,
    permutation_test,
    power,
    sample_ratio_test,
    sample_size,
)
from relmark.experiments.bayes import beta_binomial, normal_posterior
from relmark.experiments.checks import (
    contamination,
    exposure_before_assignment,
    outliers,
    peeking,
    peeking_error,
    sample_large_enough,
)
from relmark.experiments.decisions import non_inferiority

SPEND = Mean("spend", baseline=20.0, sd=60.0)
BOUGHT = Proportion("bought", baseline=0.02)


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(4)
    n = 20_000
    arm = np.where(rng.random(n) < 0.2, "control", "mail")
    lift = arm == "mail"
    orders = rng.poisson(0.10 + 0.04 * lift)
    data = {
        "spend": orders * rng.lognormal(3.0, 0.5, n),
        "orders": orders,
        "bought": orders > 0,
        "unsubscribed": rng.random(n) < 0.01 + 0.01 * lift,
    }
    metrics = [Mean("spend"), Mean("orders"), Proportion("bought"), Proportion("unsubscribed")]
    return analyze(data, arm, metrics=metrics)


def test_a_plan_says_people_days_and_power():
    test = Experiment("spring", arms={"control": 0.1, "mail": 0.9}, coverage=0.5)
    plan = test.plan(BOUGHT, mde=0.1, people_per_day=10_000)
    assert plan.size.people["mail"] == pytest.approx(9 * plan.size.people["control"], rel=1e-3)
    assert plan.days == math.ceil(plan.total / 5_000)
    assert (np.diff(plan.power) > 0).all()
    assert (np.diff(plan.detectable) < 0).all()
    at = plan.people.tolist().index(plan.total)
    assert plan.power[at] == pytest.approx(0.8, abs=1e-3)
    assert plan.detectable[at] == pytest.approx(0.1, rel=1e-3)
    assert "days" in repr(plan)
    assert "80 of 100 tests" in str(plan)
    assert "days" not in repr(test.plan(SPEND, mde=0.1))


def test_unequal_arms_clusters_and_covariates_change_the_size_as_they_should():
    even = sample_size(BOUGHT, mde=0.1).total
    assert sample_size(BOUGHT, mde=0.1, arms={"control": 0.1, "mail": 0.9}).total > 2.5 * even
    assert sample_size(SPEND, mde=0.1, explained=0.5).total == pytest.approx(
        sample_size(SPEND, mde=0.1).total / 2, rel=1e-3
    )
    clustered = sample_size(SPEND, mde=0.1, cluster_size=11, intraclass_correlation=0.1).total
    assert clustered == pytest.approx(2 * sample_size(SPEND, mde=0.1).total, rel=1e-3)
    three = sample_size(BOUGHT, mde=0.1, arms={"control": 0.5, "a": 0.25, "b": 0.25}).total
    assert three > even
    assert sample_size(BOUGHT, mde=-0.1).total < even
    ratio = Ratio("spend", "orders", baseline=20.0, sd=60.0)
    assert sample_size(ratio, mde=0.1).total == sample_size(SPEND, mde=0.1).total
    assert sample_size(SPEND, mde=0.1, arms={"a": 0.5, "b": 0.5}, control="b").people.keys() == {"a", "b"}


def test_size_power_and_detectable_effect_are_one_relation():
    for metric in (BOUGHT, SPEND, Mean("m", baseline=1.0, sd=1.0)):
        need = sample_size(metric, mde=0.3, power=0.9)
        assert power(metric, mde=0.3, people=need.total) == pytest.approx(0.9, abs=0.02)
        assert detectable_effect(metric, people=need.total, power=0.9) == pytest.approx(0.3, rel=0.03)
    assert math.isnan(detectable_effect(Proportion("b", baseline=0.9), people=10))


def test_power_is_how_often_simulated_tests_find_the_effect():
    rng = np.random.default_rng(0)
    x0, x1 = rng.binomial(500, 0.10, 4000), rng.binomial(4500, 0.15, 4000)
    pooled = (x0 + x1) / 5000
    z = (x1 / 4500 - x0 / 500) / np.sqrt(pooled * (1 - pooled) * (1 / 500 + 1 / 4500))
    found = power(Proportion("b", baseline=0.10), mde=0.5, people=5000, arms={"control": 0.1, "mail": 0.9})
    assert found == pytest.approx((np.abs(z) > 1.96).mean(), abs=0.025)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_size(Proportion("b"), mde=0.1), "no baseline"),
        (lambda: sample_size(Mean("m", baseline=1.0), mde=0.1), "no sd"),
        (lambda: sample_size(Mean("m", baseline=0.0, sd=1.0), mde=0.1), "baseline 0"),
        (lambda: sample_size(BOUGHT, mde=0), "mde is 0"),
        (lambda: sample_size(BOUGHT, mde=60), "between 0 and 1"),
        (lambda: sample_size(BOUGHT, mde=0.1, power=0.01), "above 1 - level"),
        (lambda: sample_size(BOUGHT, mde=0.1, armz={}), "not a part of a design"),
        (lambda: sample_size(BOUGHT, mde=0.1, control="x"), "control is 'x'"),
        (lambda: sample_size(BOUGHT, mde=0.1, arms={"a": 1.0}), "two arms"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_an_effect_too_small_to_find_is_refused():
    with pytest.raises(NotEnoughDataError, match="more than 1e"):
        sample_size(BOUGHT, mde=1e-8)


def test_looks_may_be_unequal_and_bounds_spend_what_they_may():
    plan = alpha_spending([0.3, 0.7, 1.0])
    assert plan.spent[-1] == pytest.approx(0.025)
    assert (np.diff(plan.bound) < 0).all()
    assert plan.level(3) == pytest.approx(1 - plan.alpha[2])
    assert alpha_spending(1).bound[0] == pytest.approx(1.959964, abs=1e-5)
    for bad in ([0.5, 0.4, 1.0], [0.5], []):
        with pytest.raises(InputError):
            alpha_spending(bad)
    with pytest.raises(InputError, match="look"):
        plan.level(4)


def test_planned_looks_keep_the_error_that_they_promise():
    rng = np.random.default_rng(6)
    looks = 5
    plan = alpha_spending(looks, spending="pocock")
    z = rng.normal(size=(40_000, looks)).cumsum(axis=1) / np.sqrt(np.arange(1, looks + 1))
    assert (z > plan.bound).any(axis=1).mean() == pytest.approx(0.025, abs=0.003)
    assert (np.abs(z) > 1.959964).any(axis=1).mean() == pytest.approx(peeking_error(looks), abs=0.006)


def test_fifty_looks_at_a_confidence_sequence_keep_alpha():
    rng = np.random.default_rng(7)
    tests, looks, each = 1500, 50, 100
    n = 2.0 * each * np.arange(1, looks + 1)
    steps = rng.normal(size=(tests, 2, looks)) * math.sqrt(each)
    mean = steps.cumsum(axis=-1) / (n / 2)
    z = (mean[:, 1] - mean[:, 0]) / np.sqrt(4 / n)
    sequence = ConfidenceSequence(expected=5_000)
    assert (np.abs(z) > sequence.critical(np.full(looks, 0.05), n)).any(axis=1).mean() < 0.05
    assert (sequence.p_value(z, n) < 0.05).any(axis=1).mean() < 0.05
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.25


def test_a_campaign_is_worth_its_effect_on_everybody_in_the_arm(report):
    effect = report.effect("spend")
    brought = report.impact(
        revenue="spend", orders="orders", customers="bought", margin=0.4, cost=0.05, fixed_cost=100.0
    )
    n = effect.n_treatment
    assert brought.people == n
    assert brought.cost == pytest.approx(0.05 * n + 100)
    assert brought.revenue.value == pytest.approx(effect.difference.value * n)
    assert brought.margin.low == pytest.approx(0.4 * effect.difference.low * n)
    assert brought.profit.high == pytest.approx(0.4 * effect.difference.high * n - brought.cost)
    assert brought.roi.value == pytest.approx(brought.profit.value / brought.cost)
    orders = report.effect("orders").difference
    assert brought.cost_per_order.low == pytest.approx(brought.cost / (orders.high * n))
    assert brought.customers.value > 0
    assert "cost per order" in str(brought)
    assert json.loads(brought.to_json())["people"] == n


def test_what_was_not_given_is_nan_with_the_reason(report):
    brought = report.impact(revenue="spend")
    assert "cost nothing" in brought.roi.reason
    assert "no metric of orders" in brought.orders.reason
    assert "orders" not in str(brought)
    only = report.impact(orders="orders", cost=1.0)
    assert "no metric of revenue" in only.profit.reason
    assert only.cost_per_order.value > 0
    assert report.impact(orders="orders").cost_per_order.reason.startswith("the campaign cost nothing")
    with pytest.raises(InputError, match="none of revenue"):
        report.impact()


def test_the_cost_of_an_order_has_no_bound_where_there_may_be_none():
    rng = np.random.default_rng(1)
    arm = np.repeat(["control", "mail"], 200)
    y = rng.poisson(1.0, 400) + 0.05 * (arm == "mail")
    brought = analyze({"y": y}, arm, metrics=[Mean("y")]).impact(orders="y", cost=1.0)
    if brought.orders.value > 0:
        assert brought.cost_per_order.high == math.inf
    worse = analyze({"y": -y}, arm, metrics=[Mean("y")]).impact(orders="y", cost=1.0)
    both = sorted((brought.orders.value, worse.orders.value))
    assert both[0] < 0 < both[1]
    assert "no additional orders" in (brought if brought.orders.value < 0 else worse).cost_per_order.reason


def test_decisions_follow_the_interval_of_the_profit(report):
    assert report.decide(metric="spend", margin=0.5, cost=0.01).action == "ship"
    assert report.decide(metric="spend", margin=0.5, cost=5.0).action == "stop"
    gain = report.effect("spend").difference.value
    unsure = report.decide(metric="spend", cost=gain)
    assert unsure.action == "go on"
    assert unsure.profit_per_person.value == pytest.approx(0, abs=1e-9)
    assert report.decide().metric == "spend"
    assert repr(unsure).startswith("Decision(mail: go on")
    assert "revenue" in str(unsure)
    share = report.decide(metric="bought")
    assert share.impact is None
    assert share.action == "ship"


def test_a_guardrail_stops_or_holds_a_campaign_that_pays(report):
    hurt = report.decide(guardrails={"unsubscribed": 0.002})
    assert hurt.action == "stop"
    assert "unsubscribed" in hurt.reason
    rise = report.effect("unsubscribed").difference
    held = report.decide(guardrails={"unsubscribed": (rise.value + rise.high) / 2})
    assert held.action == "go on"
    assert report.decide(guardrails={"unsubscribed": 0.1, "bought": -0.01}).action == "ship"
    assert report.decide(guardrails={"bought": -0.01}).guardrails[0].passed
    with pytest.raises(InputError, match="how much is acceptable"):
        report.decide(guardrails={"unsubscribed": 0})


def test_a_decision_without_an_estimate_is_to_go_on():
    flat = analyze({"y": np.ones(8)}, ["control", "mail"] * 4, metrics=[Mean("y")])
    assert "cannot be estimated" in flat.decide().reason


def effect_of(value, error):
    half = 1.959963984540054 * error
    interval = Interval(value - half, value + half, 0.95, "Welch") if error else None
    return Effect(
        metric="m",
        arm="a",
        control_arm="c",
        n_control=100,
        n_treatment=100,
        control=1.0,
        treatment=1.0 + value,
        difference=Estimate(value, interval),
        relative=Estimate(math.nan, None),
        standard_error=error or math.nan,
        statistic=0.0,
        df=math.inf,
        p_value=1.0,
        method="Welch",
    )


def test_non_inferiority_is_the_worse_end_against_the_margin():
    good = non_inferiority(effect_of(-0.1, 0.1), margin=0.5)
    assert good.passed
    assert good.p_value == pytest.approx(3.167e-5, rel=1e-3)
    bad = non_inferiority(effect_of(-0.4, 0.1), margin=0.5)
    assert not bad.passed
    assert bad.p_value == pytest.approx(0.1587, abs=1e-4)
    assert non_inferiority(effect_of(-0.7, 0.1), margin=0.5).p_value == pytest.approx(0.9772, abs=1e-4)
    assert non_inferiority(effect_of(0.1, 0.1), margin=0.5, larger_is_better=False).passed
    assert not non_inferiority(effect_of(0.1, 0.0), margin=0.5).passed


def test_the_posterior_of_two_shares_is_that_of_a_large_simulation():
    rng = np.random.default_rng(0)
    for counts in ((56, 70, 48, 80), (3, 40, 1, 30), (210, 9500, 9, 500)):
        x1, n1, x0, n0 = counts
        found = beta_binomial(*counts)
        p1, p0 = (rng.beta(1 + x, 1 + n - x, 1_000_000) for x, n in ((x1, n1), (x0, n0)))
        assert found.chance_to_beat == pytest.approx((p1 > p0).mean(), abs=2e-3)
        assert found.expected_loss == pytest.approx(np.maximum(p0 - p1, 0).mean(), rel=0.05)
        assert found.expected_loss_control == pytest.approx(np.maximum(p1 - p0, 0).mean(), rel=0.02)
        low, high = np.quantile(p1 - p0, [0.025, 0.975])
        assert (found.difference.low, found.difference.high) == pytest.approx((low, high), abs=1e-3)


def test_the_posterior_of_shares_far_apart_is_sure():
    assert beta_binomial(90_000, 100_000, 3, 100_000).chance_to_beat == pytest.approx(1.0, abs=1e-12)
    assert beta_binomial(3, 100_000, 90_000, 100_000).chance_to_beat == pytest.approx(0.0, abs=1e-12)
    same = beta_binomial(50, 1000, 50, 1000)
    assert same.chance_to_beat == pytest.approx(0.5, abs=1e-9)
    assert same.expected_loss == pytest.approx(same.expected_loss_control)


def test_the_normal_posterior_shrinks_towards_its_prior():
    flat = normal_posterior(1.0, 0.5)
    assert flat.chance_to_beat == pytest.approx(0.97725, abs=1e-5)
    rng = np.random.default_rng(0)
    draws = rng.normal(1.0, 0.5, 2_000_000)
    assert flat.expected_loss == pytest.approx(np.maximum(-draws, 0).mean(), rel=0.02)
    sceptical = normal_posterior(1.0, 0.5, prior=(0.0, 0.5))
    assert sceptical.difference.value == pytest.approx(0.5)
    assert sceptical.difference.interval.width < flat.difference.interval.width


def test_a_report_gives_the_posterior_of_each_kind(report):
    assert report.posterior("bought").method.startswith("beta-binomial")
    assert report.posterior("spend", prior=(0.0, 1.0)).method == "normal, prior N(0, 1^2)"
    flat = analyze({"y": np.ones(8)}, ["control", "mail"] * 4, metrics=[Mean("y")])
    with pytest.raises(InputError, match="no posterior"):
        flat.posterior("y")


def test_checks_pass_and_fail_where_they_should():
    assert sample_ratio_test({"a": 0, "b": 0}, {"a": 0.5, "b": 0.5}).passed
    assert contamination(["control"] * 50 + ["mail"] * 50, [0] * 50 + [1] * 50).passed
    assert contamination(["a", "b"] * 2, [0, 1] * 2, control="a").passed
    moment = np.array(["2026-05-02", "2026-05-03"], "M8[D]")
    assert exposure_before_assignment(moment, np.array(["2026-05-02", "NaT"], "M8[D]")).passed
    assert sample_large_enough(np.random.default_rng(0).normal(size=1000), ["a", "b"] * 500).passed
    assert sample_large_enough(np.ones(10), ["a", "b"] * 5).passed
    assert outliers(np.ones(1000), ["a", "b"] * 500).passed
    assert outliers(np.zeros(10), ["a", "b"] * 5).passed
    assert peeking(1).passed
    assert not peeking(5).passed
    assert "FAILED" in str(peeking(5))
    assert contamination(
        Experiment("x", arms={"control": 0.5, "m": 0.5}, coverage=0.0001).assign([1, 2]), [0, 0]
    ).passed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_ratio_test({"a": 1}, {"b": 1.0}), "same arms"),
        (lambda: sample_ratio_test({"a": 1, "b": 1}, {"a": 0.5, "b": 0.6}), "sum to 1.1"),
        (lambda: sample_ratio_test([1, 2], [0.5, 0.5]), "mappings"),
        (lambda: newcombe_interval(5, 4, 1, 2), "cannot be more than n1"),
        (lambda: newcombe_interval(-1, 4, 1, 2), "x1"),
        (lambda: contamination(["control", "mail"], [0, 2]), "received"),
        (lambda: bootstrap_effect(Moments.from_columns({"x": [1.0, 2]}, [0, 1]), [0, 1], metric=Mean("x")), "the rows"),
        (lambda: permutation_test(Moments.from_columns({"x": [1.0, 2]}, [0, 1]), [0, 1]), "the rows"),
        (lambda: Quantile("x", 1.5), "q is 1.5"),
        (lambda: Quantile("x", 0.5, alternative="up"), "alternative"),
        (lambda: analyze({"x": [1.0, 2.0]}, [0, 1], metrics=[Quantile("x", 0.5)], control=0), "a Mean or a Ratio"),
        (lambda: bootstrap_effect({"x": [1, 2, 3]}, [0, 1, 2], metric=Mean("x"), control=0), "choose one of"),
        (
            lambda: bootstrap_effect({"x": [1, 2]}, [0, 1], metric=Mean("x"), control=0, arm="7"),
            "arm is '7'",
        ),
        (lambda: bootstrap_effect({"x": [1, 2]}, [0, 1], metric=Mean("x"), control=0), "at least two are needed"),
    ],
)
def test_checks_and_resampling_refuse_what_makes_no_sense(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_bootstrap_compares_means_ratios_and_quantiles():
    rng = np.random.default_rng(3)
    arm = rng.integers(0, 2, 4000)
    orders = rng.poisson(2.0, 4000) + 1.0
    spend = np.round(orders * rng.lognormal(2, 1, 4000) * (1 + 0.3 * arm))
    data = {"spend": spend, "orders": orders}
    median = bootstrap_effect(data, arm, metric=Quantile("spend", 0.5), control=0, rng=0)
    ordered = np.sort(spend[arm == 1])
    assert median.treatment == ordered[math.ceil(len(ordered) / 2) - 1]
    assert median.metric == "the 0.5 quantile of spend"
    assert median.relative.interval.low < 0.3 < median.relative.interval.high
    ratio = bootstrap_effect(data, arm, metric=Ratio("spend", "orders"), control=0, rng=0)
    formula = analyze(data, arm, metrics=[Ratio("spend", "orders")], control=0).effect("spend / orders")
    assert ratio.difference.value == pytest.approx(formula.difference.value)
    assert ratio.standard_error == pytest.approx(formula.standard_error, rel=0.06)
    again = bootstrap_effect(data, arm, metric=Ratio("spend", "orders"), control=0, rng=0)
    assert again.difference == ratio.difference
    zero = bootstrap_effect(
        {"x": np.tile([0.0, 0.0, 0.0, 1.0], 10)}, np.repeat([0, 1], 20), metric=Mean("x"), control=0
    )
    assert zero.p_value <= 1
    near = bootstrap_effect(
        {"x": np.r_[np.zeros(20), 1.0, np.ones(20)]}, np.repeat([0, 1], [21, 20]), metric=Mean("x"), control=0
    )
    assert "near zero" in near.relative.reason


def test_a_bootstrap_that_merges_is_the_one_of_the_whole():
    rng = np.random.default_rng(3)
    n = 3000
    arm, ids, y = rng.integers(0, 2, n), np.arange(n), rng.gamma(1.0, 10.0, n)
    arm[:20] = -1
    whole = BootstrapSums.from_columns(y, arm, ids, salt="s")
    parts = [
        BootstrapSums.from_columns(y[cut], arm[cut], ids[cut], salt="s") for cut in (slice(0, 900), slice(900, None))
    ]
    merged = parts[0] + parts[1]
    np.testing.assert_allclose(merged.total, whole.total)
    found, formula = merged.difference(control=0), analyze({"y": y}, arm, metrics=[Mean("y")], control=0).effect("y")
    assert found.value == pytest.approx(formula.difference.value)
    assert found.interval.width == pytest.approx(formula.difference.interval.width, rel=0.15)
    assert whole.weight.mean() == pytest.approx((arm >= 0).sum() / 2, rel=0.03)
    with pytest.raises(InputError, match="different salts"):
        whole + BootstrapSums.from_columns(y, arm, ids, salt="t")
    with pytest.raises(TypeError):
        whole + 1
    tiny = BootstrapSums.from_columns([1.0, 2.0], [0, 1], [1, 2], salt="s")
    assert "too few people" in tiny.difference(control=0).reason


def test_the_permutation_test_is_exact_on_a_case_that_can_be_counted():
    # 3 against 3 of six different values: the two extreme draws of twenty are as far apart.
    p = permutation_test([1, 2, 3, 10, 11, 12], [0, 0, 0, 1, 1, 1], control=0, resamples=20_000, rng=0)
    assert p == pytest.approx(0.1, abs=0.01)
    with pytest.raises(NotEnoughDataError, match="empty"):
        permutation_test([1.0, 2.0], Experiment("x", arms={"control": 0.0001, "m": 0.9999}).assign([5, 6]))
