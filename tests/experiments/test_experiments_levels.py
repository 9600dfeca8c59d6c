"""Whether methods hold the level that they promise where arms are tiny, and say so where they cannot."""

import math

import attrs
import numpy as np
import pytest
from scipy.special import gammaln, stdtr

from relmark.errors import InputError
from relmark.experiments import (
    Assignment,
    BootstrapSums,
    ConfidenceSequence,
    Mean,
    Moments,
    Proportion,
    Ratio,
    alpha_spending,
    analyze,
    bootstrap_effect,
    complier_effect,
    constant_bounds,
    permutation_test,
    policy_value,
    power,
    sample_size,
    stratified_assignment,
    uplift_curve,
    uplift_groups,
)
from relmark.experiments.decisions import non_inferiority
from relmark.experiments.heterogeneity import post_stratified

SIZES = [(2, 2), (3, 3), (5, 5), (10, 10), (100, 100), (90, 10)]
SHARES = np.linspace(0.02, 0.98, 49)


def every_table(n1, n0):
    """Return every pair of counts as a segment of Moments, and their chances at each common share."""
    x1, x0 = (grid.reshape(-1) for grid in np.meshgrid(np.arange(n1 + 1), np.arange(n0 + 1), indexing="ij"))

    def chance(x, n):
        logs = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
        return np.exp(logs + np.outer(np.log(SHARES), x) + np.outer(np.log1p(-SHARES), n - x))

    mean = np.stack([x0 / n0, x1 / n1])[..., None]
    count = np.stack([np.full(len(x1), n0), np.full(len(x1), n1)]).astype(float)
    moments = Moments(
        columns=("x",),
        arms=("control", "mail"),
        segments=tuple(map(str, range(len(x1)))),
        count=count,
        mean=mean,
        scatter=(count * mean[..., 0] * (1 - mean[..., 0]))[..., None, None],
    )
    return moments, chance(x1, n1) * chance(x0, n0)


@pytest.mark.parametrize(("n1", "n0"), SIZES)
@pytest.mark.parametrize("interval", ["newcombe", "miettinen-nurminen", "agresti-caffo"])
def test_shares_of_equal_arms_differ_as_seldom_as_promised(n1, n0, interval):
    moments, chance = every_table(n1, n0)
    report = analyze(moments, metrics=[Proportion("x", interval=interval)])
    r = report.rows(report.segment != "")
    found = (r.difference_low > 1e-12) | (r.difference_high < -1e-12)
    by_ratio = (r.relative_low > 1e-12) | (r.relative_high < -1e-12)
    worst = 0.066 if min(n1, n0) < 100 else 0.058
    assert (chance @ found).max() < worst
    assert (chance @ by_ratio).max() < worst
    assert (chance @ (r.p_value < 0.05)).max() < worst


@pytest.mark.parametrize(("n1", "n0"), [(2, 2), (10, 10), (100, 100)])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided_tests_of_shares_hold_their_side(n1, n0, alternative):
    moments, chance = every_table(n1, n0)
    report = analyze(moments, metrics=[Proportion("x", alternative=alternative)])
    r = report.rows(report.segment != "")
    found = r.difference_low > 1e-12 if alternative == "greater" else r.difference_high < -1e-12
    assert (chance @ found).max() < 0.08
    assert (chance @ (r.p_value < 0.05)).max() < 0.08


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_an_interval_of_everybody_against_nobody_is_no_proof_from_two_people(level):
    report = analyze({"y": [0, 0, 1, 1]}, ["control"] * 2 + ["mail"] * 2, metrics=[Proportion("y")], level=level)
    effect = report.effect("y")
    assert 0 in effect.difference.interval
    assert effect.p_value == pytest.approx(0.125)  # 2 / 2^4: no test of two against two has less
    assert report.decide().action == "go on"


@pytest.mark.parametrize("relative", ["mover-r", "log", "delta"])
@pytest.mark.parametrize(("x1", "x0", "n"), [(3, 3, 3), (50, 50, 50), (3, 2, 3), (50, 49, 50), (1, 3, 3)])
def test_a_relative_effect_of_shares_always_has_width(relative, x1, x0, n):
    y = np.repeat([1, 0, 1, 0], [x0, n - x0, x1, n - x1])
    effect = analyze({"y": y}, np.repeat([0, 1], n), metrics=[Proportion("y", relative=relative)], control=0)
    found = effect.effect("y").relative
    assert found.low < found.value < found.high
    assert found.interval.width > 1 / n


def test_the_relative_interval_of_three_of_three_is_that_of_donner_and_zou():
    # Wilson's limits of 3 of 3 are .43850 and 1: MOVER-R gives 1 -+ sqrt(1 - l (2 - l)) over u (2 - u) and l (2 - l).
    effect = analyze({"y": [1] * 6}, [0] * 3 + [1] * 3, metrics=[Proportion("y")], control=0).effect("y")
    low = 0.4385030 - 1
    assert (effect.relative.low, effect.relative.high) == pytest.approx((low, 1 / 0.4385030 - 1), abs=1e-5)


@pytest.mark.parametrize(("expected", "share"), [(20, 0.5), (100, 0.2), (1000, 0.5)])
@pytest.mark.parametrize("kind", ["shares", "normal", "yes as numbers"])
def test_a_confidence_sequence_read_from_two_and_two_people_on_holds_its_level(expected, share, kind):
    rng = np.random.default_rng(5)
    looks, repeats = [4, 5, 6, 8, 10, 14, 20, 40, 80, 150], 1_000
    arms = (rng.random((repeats, 150)) < share).astype(int)
    arms[:, :4] = [0, 1, 0, 1]
    y = rng.normal(size=arms.shape) if kind == "normal" else (rng.random(arms.shape) < 0.4).astype(float)
    metric = Proportion("y") if kind == "shares" else Mean("y")
    found = np.zeros(repeats, dtype=bool)
    for n in looks:  # each test is a segment
        columns = {"y": y[:, :n].reshape(-1)}
        moments = Moments.from_columns(columns, arms[:, :n].reshape(-1), segment=np.repeat(np.arange(repeats), n))
        report = analyze(moments, metrics=[metric], control=0, level=ConfidenceSequence(expected=expected))
        r = report.rows(report.segment != "")
        found |= (r.difference_low > 0) | (r.difference_high < 0)
    assert found.mean() < 0.05 + 2 * math.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("counts", [(0, 2, 2, 2), (0, 50, 0, 50), (50, 50, 50, 50), (2, 2, 2, 2)])
def test_a_sequence_of_shares_has_width_where_nobody_or_everybody_has_a_yes(counts):
    x0, n0, x1, n1 = counts
    y = np.repeat([1, 0, 1, 0], [x0, n0 - x0, x1, n1 - x1])
    sequence = ConfidenceSequence(expected=100)
    report = analyze({"y": y}, np.repeat([0, 1], [n0, n1]), metrics=[Proportion("y")], control=0, level=sequence)
    effect = report.effect("y")
    assert effect.difference.low < 0 < effect.difference.high
    assert effect.difference.value in effect.difference.interval
    assert report.decide().action == "go on"


@pytest.mark.parametrize(("n0", "n1"), [(2, 2), (10, 10), (100, 100), (10, 90)])
@pytest.mark.parametrize("kind", ["normal", "yes", "adjusted", "ratio", "post"])
def test_means_of_equal_arms_differ_as_seldom_as_promised(n0, n1, kind):
    rng = np.random.default_rng(11)
    repeats = 1_500 if n0 + n1 < 200 else 1_000
    segments = np.repeat(np.arange(repeats), n0 + n1)
    arms = np.tile(np.repeat([0, 1], [n0, n1]), repeats)
    x = rng.normal(size=len(arms))
    if kind == "yes":
        y, metric = (rng.random(len(arms)) < 0.3) * 1.0, Mean("y")
    elif kind == "adjusted":
        y, metric = x + rng.normal(size=len(arms)), Mean("y", covariates=["x"])
    elif kind == "ratio":
        x = 3.0 + rng.normal(size=len(arms)) ** 2
        y, metric = x * (2 + 0.3 * rng.normal(size=len(arms))), Ratio("y", "x")
    else:
        y, metric = rng.normal(size=len(arms)), Mean("y")
    moments = Moments.from_columns({"y": y, "x": x}, arms, segment=segments)
    report = analyze(moments, metrics=[metric], control=0)
    r = report.rows(report.segment != "")
    with np.errstate(invalid="ignore"):
        found = (r.difference_low > 0) | (r.difference_high < 0)
    assert found.mean() < 0.066
    assert (np.nan_to_num(r.p_value, nan=1.0) < 0.05).mean() < 0.066


@pytest.mark.parametrize(("n0", "n1"), [(2, 2), (9, 9), (10, 10), pytest.param(100, 100, marks=pytest.mark.slow)])
def test_a_bootstrap_holds_its_level_or_has_no_interval(n0, n1):
    rng = np.random.default_rng(3)
    hits = p_hits = merged = 0
    repeats = 240 if min(n0, n1) >= 10 else 3
    for k in range(repeats):
        y, arms = rng.normal(size=n0 + n1), np.repeat([0, 1], [n0, n1])
        effect = bootstrap_effect({"y": y}, arms, metric=Mean("y"), control=0, resamples=300, rng=k)
        other = BootstrapSums.from_columns(y, arms, np.arange(n0 + n1), salt=str(k), resamples=60).difference(control=0)
        if min(n0, n1) < 10:
            assert effect.difference.interval is None
            assert "no bootstrap of so few" in effect.difference.reason
            assert math.isnan(effect.p_value)
            assert other.interval is None
            continue
        hits += 0 not in effect.difference.interval
        p_hits += effect.p_value < 0.05
        merged += other.interval is not None and 0 not in other.interval
    limit = 0.06 + 2 * math.sqrt(0.06 * 0.94 / repeats)
    assert max(hits, p_hits) / repeats < limit
    assert merged / repeats < limit + 0.03  # sixty resamples end their quantiles early


def test_an_arm_in_which_nobody_differs_takes_the_others_variance():
    data = {"y": [0.0] * 3 + [0.0, 0.0, 0.0, 9.0, 8.0, 7.0, 9.0]}
    effect = analyze(data, [0] * 3 + [1] * 7, metrics=[Mean("y")], control=0).effect("y")
    v = np.var(data["y"][3:], ddof=1)
    assert effect.standard_error == pytest.approx(math.sqrt(v / 3 + v / 7))
    assert any("the variance of the other arm is used for it" in note for note in effect.notes)


# Alpha spending


def test_bounds_are_exact_for_tiny_information_and_acceptable_as_levels():
    # 2 (1 - Phi(2.2414 / sqrt(.003))) = 2 (1 - Phi(40.922)): its half-sided quantile is 40.905 (mpmath, 40 digits).
    plan = alpha_spending([0.003, 1.0])
    assert plan.bound == pytest.approx([40.90529625, 1.95996398], abs=1e-6)
    assert alpha_spending(20).bound[0] == pytest.approx(9.95514558, abs=1e-6)
    for plan in (alpha_spending(20), alpha_spending([1e-6, 0.5, 1.0]), alpha_spending(200)):
        assert np.isfinite(plan.bound).all()
        for look in (1, len(plan.bound)):
            analyze({"y": [0.0, 1.0, 2.0, 4.0]}, [0, 0, 1, 1], metrics=[Mean("y")], control=0, level=plan.level(look))
    one = alpha_spending([0.5, 1.0], sides=1, alpha_per_side=0.05)
    assert one.spent[-1] == pytest.approx(0.05)


def test_the_spent_error_is_that_of_a_simulation():
    rng = np.random.default_rng(8)
    t = np.array([0.1, 0.15, 0.6, 1.0])
    plan = alpha_spending(t, spending="pocock")
    b = np.cumsum(rng.normal(size=(400_000, 4)) * np.sqrt(np.diff(t, prepend=0.0)), axis=1) / np.sqrt(t)
    passed = (b > plan.bound) & ((np.cumsum(np.abs(b) > plan.bound, axis=1) - (np.abs(b) > plan.bound)) == 0)
    assert np.cumsum(passed.mean(axis=0)) == pytest.approx(plan.spent, abs=4 * math.sqrt(0.025 / 400_000))


def test_the_classical_bounds_are_the_published_ones():
    # Pocock (1977), table 1, and O'Brien and Fleming's last bounds, two-sided .05 (Jennison and Turnbull 2000, tables
    # 2.1 and 2.3).
    pocock = {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555}
    fleming = {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}
    for looks, c in pocock.items():
        assert round(float(constant_bounds(looks).bound[-1]), 3) == c
        assert round(float(constant_bounds(looks, shape="obrien-fleming").bound[-1]), 3) == fleming[looks]
    assert constant_bounds(5).spent[-1] == pytest.approx(0.025, abs=1e-9)
    assert constant_bounds(5).bound == pytest.approx([2.413] * 5, abs=5e-4)


# Decisions


def counted(x0, n0, x1, n1, **options):
    y = np.repeat([1, 0, 1, 0], [x0, n0 - x0, x1, n1 - x1])
    return analyze({"bought": y, "spend": y * 10.0, **options}, np.repeat([0, 1], [n0, n1]), control=0, metrics=[
        Mean("spend"), Proportion("bought")
    ])  # fmt: skip


@pytest.mark.parametrize("unsubscribed", [0, 1, 2])
def test_a_guardrail_that_nobody_hit_is_kept(unsubscribed):
    n = 100_000
    spend = np.concatenate([np.zeros(n), np.tile([0.0, 1.0], n // 2)])
    left = np.zeros(2 * n)
    left[n : n + unsubscribed] = left[:unsubscribed] = 1
    report = analyze(
        {"spend": spend, "left": left}, np.repeat([0, 1], n), control=0, metrics=[Mean("spend"), Proportion("left")]
    )
    decision = report.decide(metric="spend", guardrails={"left": 0.001})
    assert decision.action == "ship"
    assert decision.guardrails[0].passed
    assert decision.guardrails[0].p_value < 1e-6


def test_non_inferiority_of_shares_has_the_p_value_of_the_score_test():
    # Farrington and Manning (1990): the test of p1 - p0 = -margin inverts the score interval.
    effect = counted(40, 50, 41, 50).effect("bought")
    report = analyze(
        {"y": np.repeat([1, 0, 1, 0], [40, 10, 41, 9])},
        np.repeat([0, 1], 50),
        control=0,
        metrics=[Proportion("y", interval="miettinen-nurminen")],
    )
    low = report.effect("y").difference.low
    assert non_inferiority(effect, -low).p_value == pytest.approx(0.025, abs=1e-6)


def test_money_counts_for_shares_too():
    report = counted(100, 1000, 200, 1000)
    assert report.decide(metric="bought", cost=1e6).action == "stop"
    assert report.decide(metric="bought").action == "ship"
    assert report.decide(metric="bought", margin=30, cost=1.0).action == "ship"
    assert report.decide(metric="bought", margin=30, cost=10.0).action == "stop"
    d = report.decide(metric="bought", margin=30, cost=1.0, fixed_cost=100)
    assert d.profit_per_person.value == pytest.approx(30 * 0.1 - 1.0 - 0.1)
    assert d.impact.profit.value == pytest.approx(1000 * d.profit_per_person.value)
    assert d.impact.cost == 1100
    found = report.impact(customers="bought", margin=30, cost=1.0)
    assert found.profit.value == pytest.approx(1000 * 0.1 * 30 - 1000)
    assert math.isnan(report.impact(customers="bought", cost=1.0).profit.value)
    with pytest.raises(InputError, match="share of it that is kept"):
        report.impact(revenue="spend", margin=30)


# Uplift


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
def test_scores_that_differ_by_rounding_are_ties(scale):
    rng = np.random.default_rng(0)
    n = 2_000
    score = rng.integers(0, 4, n) * 0.1 * scale
    noisy = score + rng.choice([-1, 0, 1], n) * 1e-16 * scale
    arms, y = rng.random(n) < 0.5, rng.normal(size=n)
    exact, rounded = (uplift_curve(s, y, arms, resamples=0) for s in (score, noisy))
    assert rounded.auuc.value == pytest.approx(exact.auuc.value, abs=1e-12)
    assert rounded.qini.tolist() == pytest.approx(exact.qini.tolist(), abs=1e-12)
    assert uplift_groups(noisy, y, arms).people.tolist() == uplift_groups(score, y, arms).people.tolist()
    assert policy_value(noisy > 0.15 * scale, y, arms).targeted == policy_value(score > 0.15 * scale, y, arms).targeted


def test_the_normalized_coefficient_is_one_for_the_ranking_that_none_can_beat():
    rng = np.random.default_rng(1)
    t, y = rng.random(400) < 0.5, (rng.random(400) < 0.4) * 1.0
    best = uplift_curve(np.where(t, y, -y) + 1e-3 * rng.random(400), y, t, resamples=0)
    assert best.qini_normalized.value == pytest.approx(1, abs=1e-3)
    assert abs(uplift_curve(np.zeros(400), y, t, resamples=0).qini_normalized.value) < 1e-12


def test_several_arms_are_judged_by_those_who_got_what_the_score_says():
    rng = np.random.default_rng(2)
    n = 60_000
    x = rng.random(n)
    arms = rng.choice(["control", "a", "b"], n, p=[0.2, 0.5, 0.3])
    gain = {"a": x, "b": 1 - x}
    y = rng.normal(size=n) * 0.1 + np.where(arms == "a", gain["a"], 0) + np.where(arms == "b", gain["b"], 0)
    curve = uplift_curve(gain, y, arms, resamples=0)
    assert curve.effect == pytest.approx(0.75, abs=0.02)  # E max(x, 1 - x)
    assert curve.auuc.value > 0.03
    worst = uplift_curve({"a": 1 - x, "b": x}, y, arms, resamples=0)
    assert worst.effect == pytest.approx(0.25, abs=0.02)
    one = uplift_curve(x, y[:], np.where(arms == "b", "a", arms), resamples=0)
    assert one.effect == pytest.approx(0.5, abs=0.03)
    with pytest.raises(InputError, match="a score for each of 'a', 'b'"):
        uplift_curve(x, y, arms)


@pytest.mark.long
def test_a_cost_for_each_person_is_what_is_spent_on_them():
    rng = np.random.default_rng(3)
    n = 20_000
    t, cost = rng.random(n) < 0.5, rng.random(n)
    y = 1.0 * t
    value = policy_value(cost < 0.4, y, t, cost=cost)
    assert value.value.value == pytest.approx(0.4 - cost[cost < 0.4].sum() / n, abs=0.01)
    flat = policy_value(cost < 0.4, y, t, cost=np.full(n, 0.2)).value
    assert flat.value == pytest.approx(policy_value(cost < 0.4, y, t, cost=0.2).value.value)


# Compliance


def test_compliance_has_its_own_degrees_of_freedom_and_no_width_without_variance():
    rng = np.random.default_rng(4)
    outcome = np.concatenate([rng.normal(0, 1, 10), rng.normal(0, 30, 10)])
    received = np.array([0] * 9 + [1] + [1] * 6 + [0] * 4, dtype=float)
    arms = np.repeat([0, 1], 10)
    found = complier_effect({"y": outcome, "got": received}, arms, outcome="y", received="got", control=0)
    column = analyze({"got": received}, arms, metrics=[Mean("got")], control=0).effect("got").difference
    assert (found.compliance.low, found.compliance.high) == pytest.approx((column.low, column.high))
    flat = complier_effect({"y": np.zeros(20), "got": received}, arms, outcome="y", received="got", control=0)
    for estimate in (flat.intention_to_treat, flat.effect):
        assert estimate.interval is None
        assert "no variation" in estimate.reason
    assert math.isnan(flat.p_value)
    whole = complier_effect({"y": outcome, "got": arms * 1.0}, arms, outcome="y", received="got", control=0)
    assert whole.compliance.value == 1
    assert "no variation" in whole.compliance.reason


# Plans


def test_a_plan_of_unequal_arms_has_the_power_that_welchs_test_has():
    arms = {"control": 14 / 139, "mail": 125 / 139}
    metric = Mean("y", baseline=1.0, sd=1.0)
    planned = power(metric, difference=0.8, people=139, arms=arms)
    rng = np.random.default_rng(6)
    y = rng.normal(size=(20_000, 139)) + np.r_[np.zeros(14), np.full(125, 0.8)]
    a, b = y[:, :14], y[:, 14:]
    v = a.var(axis=1, ddof=1) / 14, b.var(axis=1, ddof=1) / 125
    df = (v[0] + v[1]) ** 2 / (v[0] ** 2 / 13 + v[1] ** 2 / 124)
    p = 2 * stdtr(df, -np.abs(b.mean(axis=1) - a.mean(axis=1)) / np.sqrt(v[0] + v[1]))
    assert planned == pytest.approx((p < 0.05).mean(), abs=0.012)


def test_a_plan_for_non_inferiority_has_the_power_that_it_promises():
    metric = Proportion("left", baseline=0.05, alternative="less")
    need = sample_size(metric, margin=0.02, power=0.8)
    n = need.people["control"]
    rng = np.random.default_rng(7)
    passed = 0
    for _ in range(400):
        x0, x1 = rng.binomial(n, 0.05, 2)
        y = np.repeat([1, 0, 1, 0], [x0, n - x0, x1, n - x1])
        effect = analyze({"left": y}, np.repeat([0, 1], n), metrics=[metric], control=0).effect("left")
        passed += non_inferiority(effect, 0.02, larger_is_better=False).p_value < 0.05
    assert passed / 400 == pytest.approx(0.8, abs=0.06)
    # Means (Julious 2010, eq. 3.3): n a arm about 2 sd^2 (z_a + z_b)^2 / margin^2.
    mean = sample_size(Mean("y", baseline=1.0, sd=1.0), margin=0.1, power=0.9)
    assert mean.people["control"] == pytest.approx(2 * (1.959964 + 1.281552) ** 2 / 0.01, rel=1e-3)


def test_a_baseline_of_nothing_is_planned_with_a_difference():
    metric = Proportion("bought", baseline=0.0)
    with pytest.raises(InputError, match="Give difference="):
        sample_size(metric, mde=0.1)
    need = sample_size(metric, difference=0.001)
    assert power(metric, difference=0.001, people=need.total) == pytest.approx(0.8, abs=0.001)
    assert math.isnan(need.mde)
    mean = Mean("net", baseline=0.0, sd=2.0)
    assert sample_size(mean, difference=0.2).total == sample_size(Mean("net", baseline=1.0, sd=2.0), mde=0.2).total


def test_a_one_sided_plan_needs_what_the_one_sided_test_does():
    # n an arm: 2 (z_.95 + z_.8)^2 (sd / d)^2 = 12.366 / d^2 for sd 1.
    one = sample_size(Mean("y", baseline=1.0, sd=1.0, alternative="greater"), difference=0.1)
    assert one.people["control"] == pytest.approx(2 * (1.644854 + 0.841621) ** 2 * 100, rel=2e-3)
    wrong = power(Mean("y", baseline=1.0, sd=1.0, alternative="less"), difference=0.1, people=2000)
    assert wrong < 0.01


def test_past_data_give_a_plan_its_standard_deviation():
    rng = np.random.default_rng(8)
    before = rng.gamma(2.0, 5.0, 5000)
    past = {"spend": before + rng.normal(0, 3, 5000), "before": before, "orders": rng.poisson(2, 5000) + 1.0}
    plain, adjusted = (Mean("spend", covariates=c).from_past(past) for c in ((), ("before",)))
    assert plain.sd == pytest.approx(past["spend"].std(ddof=1))
    assert adjusted.sd == pytest.approx(3, rel=0.03)
    assert sample_size(adjusted, mde=0.1).total < sample_size(plain, mde=0.1).total
    capped = Mean("spend", cap=10.0).from_past(past)
    assert capped.baseline == pytest.approx(np.minimum(past["spend"], 10).mean())
    ratio = Ratio("spend", "orders").from_past(past)
    assert ratio.baseline == pytest.approx(past["spend"].sum() / past["orders"].sum())
    assert Proportion("b").from_past({"b": [True, False]}).baseline == 0.5


# Directions, caps, shares with covariates, arms by name


@pytest.mark.parametrize("metric", [Mean("y"), Mean("y", covariates=["x"]), Ratio("y", "x"), Proportion("b")])
def test_a_one_sided_result_is_one_half_of_the_two_sided_one(metric):
    rng = np.random.default_rng(9)
    arms = np.repeat([0, 1], 200)
    x = 5 + rng.normal(size=400)
    data = {"y": x + rng.normal(size=400) + 0.3 * arms, "x": x, "b": (rng.random(400) < 0.3 + 0.1 * arms) * 1}
    both = analyze(data, arms, metrics=[metric], control=0, level=0.9).effect(metric.name)
    more, less = (
        analyze(data, arms, metrics=[attrs.evolve(metric, alternative=a)], control=0).effect(metric.name)
        for a in ("greater", "less")
    )
    assert more.difference.low == pytest.approx(both.difference.low)
    assert less.difference.high == pytest.approx(both.difference.high)
    assert more.difference.high == (1 if metric.name == "b" else math.inf)
    assert more.relative.low == pytest.approx(both.relative.low)
    assert more.p_value + less.p_value == pytest.approx(1)
    assert min(more.p_value, less.p_value) == pytest.approx(both.p_value / 2)


@pytest.mark.parametrize("test", ["fisher", "boschloo"])
def test_exact_tests_take_a_side(test):
    y = np.repeat([1, 0, 1, 0], [3, 9, 8, 4])
    more, less = (
        analyze({"y": y}, np.repeat([0, 1], 12), control=0, metrics=[Proportion("y", test=test, alternative=a)])
        for a in ("greater", "less")
    )
    assert more.p_value[0] < 0.06
    assert less.p_value[0] > 0.9
    assert permutation_test(y, np.repeat([0, 1], 12), control=0, alternative="greater") < 0.1


def test_capped_outcomes_are_capped_and_said():
    y = np.array([1.0, 2.0, 3.0, 500.0, 2.0, 3.0, 4.0, 700.0])
    arms = [0] * 4 + [1] * 4
    report = analyze({"y": y}, arms, metrics=[Mean("y", cap=10)], control=0)
    plain = analyze({"y": np.minimum(y, 10)}, arms, metrics=[Mean("y")], control=0)
    assert report.difference_low.tolist() == plain.difference_low.tolist()
    assert any("capped at 10: 2 people" in note for note in report.effect("y").notes)
    with pytest.raises(InputError, match="Moments hold no rows to cap"):
        analyze(Moments.from_columns({"y": y}, arms), metrics=[Mean("y", cap=10)], control=0)
    boot = bootstrap_effect({"y": np.tile(y, 5)}, arms * 5, metric=Mean("y", cap=10), control=0)
    assert boot.treatment == pytest.approx(np.minimum(y[4:], 10).mean())


def test_shares_are_adjusted_by_covariates_as_means_of_zeros_and_ones():
    rng = np.random.default_rng(10)
    x = rng.normal(size=2000)
    arms = rng.integers(0, 2, 2000)
    y = ((x + rng.normal(size=2000) + 0.2 * arms) > 0) * 1
    plain, adjusted, mean = (
        analyze({"y": y, "x": x}, arms, metrics=[m], control=0).effect("y")
        for m in (Proportion("y"), Proportion("y", covariates=["x"]), Mean("y", covariates=["x"]))
    )
    assert adjusted.standard_error < 0.9 * plain.standard_error
    assert adjusted.difference.low == pytest.approx(mean.difference.low)


def test_arms_may_be_the_name_of_a_column():
    data = {"arm": ["control", "mail", "", "mail", "control"], "y": [1.0, 2.0, 9.0, 4.0, 2.0]}
    report = analyze(data, "arm", metrics=[Mean("y")])
    assert report.effect("y").difference.value == pytest.approx(1.5)
    assert report.excluded == {"outside": 1}
    assert Moments.from_columns(data, "arm").columns == ("y",)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(data)
    for column in (frame["arm"], frame["arm"].astype("category")):
        found = analyze(frame.assign(arm=column), "arm", metrics=[Mean("y")])
        assert found.difference.tolist() == report.difference.tolist()


# What the report itself says


def test_skewed_money_with_a_small_control_is_named_from_third_moments():
    rng = np.random.default_rng(12)
    spend = (rng.random(3300) < 0.05) * rng.lognormal(3, 1, 3300)
    arms = np.repeat(["control", "mail"], [300, 3000])
    report = analyze({"spend": spend, "n": rng.normal(size=3300)}, arms, metrics=[Mean("spend"), Mean("n")])
    assert any("is skewed" in note and "'control' has 300" in note for note in report.effect("spend").notes)
    assert not any("is skewed" in note for note in report.effect("n").notes)
    assert "is skewed" in str(report)
    assert "is skewed" in report._repr_html_()
    parts = [Moments.from_columns({"spend": spend[k::3]}, arms[k::3], third=True) for k in range(3)]
    whole = Moments.from_columns({"spend": spend}, arms, third=True)
    added = parts[0] + parts[1] + parts[2]
    assert added.third == pytest.approx(whole.third, rel=1e-9)
    assert any("is skewed" in note for note in analyze(added, metrics=[Mean("spend")]).effect("spend").notes)
    third = [[((spend[arms == a] - spend[arms == a].mean()) ** 3).mean()] for a in ("control", "mail")]
    given = Moments.from_aggregates(
        [300, 3000], whole.mean[:, 0], whole.covariance()[:, 0], columns=["spend"], arms=whole.arms, third=third
    )
    assert given.third == pytest.approx(whole.third, rel=1e-9)
    even = np.repeat(["control", "mail"], 1650)
    assert not any("is skewed" in note for note in analyze({"s": spend}, even, metrics=[Mean("s")]).effect("s").notes)


def test_a_stratified_assignment_without_its_strata_is_named():
    ids = np.arange(2000)
    strata = ids % 4
    drawn = stratified_assignment(ids, strata, arms={"control": 0.5, "mail": 0.5}, salt="s")
    y = strata * 10.0 + (ids * 7919 % 13)
    report = analyze({"y": y}, drawn, metrics=[Mean("y")], segments=strata)
    assert any("drawn within strata" in note for note in report.effect("y").notes)
    right = report.post_stratified("y")
    assert right.standard_error < 0.5 * report.effect("y").standard_error
    moments = Moments.from_columns({"y": y}, drawn, segment=strata)
    assert right.difference.value == pytest.approx(post_stratified(moments, Mean("y")).difference.value)
    recorded = Assignment.recorded(ids, drawn.arm, {"control": 0.5, "mail": 0.5}, stratified=True)
    assert any("drawn within strata" in note for note in analyze({"y": y}, recorded, metrics=[Mean("y")]).notes)


def test_a_notebook_shows_what_print_shows():
    lopsided = Assignment.recorded(np.arange(400), ["control"] * 100 + ["mail"] * 300, {"control": 0.5, "mail": 0.5})
    report = analyze({"y": np.zeros(400)}, lopsided, metrics=[Proportion("y")])
    page = report._repr_html_()
    for line in report._lines():
        assert line.split("<")[0][:40].replace("'", "&#x27;") in page
    assert "FAILED" in page
    assert "the same for everybody" in page
    observed = analyze({"y": [0.0, 1.0, 2.0, 3.0]}, [0, 0, 1, 1], metrics=[Mean("y")], control=0, observed=True)
    assert "not randomized" in observed._repr_html_()
    assert "not randomized" in observed.effect("y")._repr_html_()


def test_no_rows_at_all_have_no_segments_and_no_effect():
    empty = np.array([], dtype=float)
    moments = Moments.from_columns({"y": empty}, np.array([], dtype="U1"), segment=np.array([], dtype="U1"))
    assert moments.total().count.shape == (0, 1)
    with pytest.raises(InputError, match="at least two arms"):
        analyze({"y": empty}, np.array([], dtype="U1"), metrics=[Mean("y")], segments=np.array([], dtype="U1"))
    with pytest.raises(InputError, match="at least two arms"):
        analyze({"y": empty}, np.array([], dtype="U1"), metrics=[Mean("y")])


def test_a_segment_is_decided_on_as_if_there_were_nobody_else():
    rng = np.random.default_rng(13)
    arms, segment = rng.integers(0, 2, 2000), rng.choice(["a", "b"], 2000)
    y = rng.normal(5, 1, 2000) + 0.4 * arms * (segment == "a")
    report = analyze({"y": y}, arms, metrics=[Mean("y")], control=0, segments={"half": segment})
    for name in ("a", "b"):
        at = segment == name
        alone = analyze({"y": y[at]}, arms[at], metrics=[Mean("y")], control=0)
        inside = report.within(name)
        assert inside.decide(cost=0.1).action == alone.decide(cost=0.1).action
        assert inside.impact(revenue="y", cost=0.1).profit.low == pytest.approx(
            alone.impact(revenue="y", cost=0.1).profit.low
        )
        assert inside.adjust().difference_low == pytest.approx(alone.adjust().difference_low)
    with pytest.raises(InputError, match="segment is 'c'"):
        report.within("c")
