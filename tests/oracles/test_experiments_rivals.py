"""Agreement with scipy and statsmodels, and with slow obvious versions."""

import numpy as np
import pytest
from scipy import optimize, stats

from relmark.experiments import (
    Mean,
    Moments,
    Proportion,
    Ratio,
    analyze,
    bootstrap_effect,
    newcombe_interval,
    permutation_test,
    power,
    sample_ratio_test,
    sample_size,
)
from relmark.experiments.intervals import agresti_caffo_interval, miettinen_nurminen_interval
from relmark.experiments.multiplicity import adjusted_p_values
from relmark.experiments.proportions import boschloo_test, fisher_test

COUNTS = [(56, 70, 48, 80), (9, 10, 3, 10), (380, 9500, 10, 500), (5, 56, 1, 29), (30, 1900, 4, 100)]


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(5)
    n = 1500
    arm = rng.integers(0, 2, n)
    before = rng.gamma(2.0, 3.0, n)
    orders = rng.poisson(before / 3) + 1.0
    spend = orders * rng.lognormal(1.0, 0.5, n) + 0.4 * arm * before
    return {"spend": spend, "before": before, "age": rng.normal(40, 10, n), "orders": orders}, arm


def test_welch_is_that_of_scipy(people):
    data, arm = people
    effect = analyze(data, arm, metrics=[Mean("spend")], control=0).effect("spend")
    found = stats.ttest_ind(data["spend"][arm == 1], data["spend"][arm == 0], equal_var=False)
    interval = found.confidence_interval(0.95)
    assert effect.statistic == pytest.approx(found.statistic, rel=1e-12)
    assert effect.p_value == pytest.approx(found.pvalue, rel=1e-10)
    assert effect.df == pytest.approx(found.df, rel=1e-12)
    assert (effect.difference.low, effect.difference.high) == pytest.approx((interval.low, interval.high), rel=1e-10)


def test_proportion_tests_are_those_of_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for x1, n1, x0, n0 in COUNTS:
        newcombe = proportion.confint_proportions_2indep(x1, n1, x0, n0, method="newcomb")
        caffo = proportion.confint_proportions_2indep(x1, n1, x0, n0, method="agresti-caffo")
        mine = newcombe_interval(x1, n1, x0, n0)
        assert (mine.low, mine.high) == pytest.approx(newcombe, abs=1e-12)
        mine = agresti_caffo_interval(x1, n1, x0, n0)
        assert (mine.low, mine.high) == pytest.approx(caffo, abs=1e-12)
        y = np.repeat([1, 0, 1, 0], [x0, n0 - x0, x1, n1 - x1])
        arm = np.repeat([0, 1], [n0, n1])
        effect = analyze({"y": y}, arm, metrics=[Proportion("y", relative="log")], control=0).effect("y")
        z, p = proportion.proportions_ztest([x1, x0], [n1, n0])
        assert (effect.statistic, effect.p_value) == pytest.approx((z, p), rel=1e-9)
        log = proportion.confint_proportions_2indep(x1, n1, x0, n0, compare="ratio", method="log")
        assert (effect.relative.low + 1, effect.relative.high + 1) == pytest.approx(log, rel=1e-9)


def test_exact_tests_are_those_of_scipy():
    for x1, n1, x0, n0 in COUNTS[:2] + COUNTS[3:4]:
        table = [[x1, x0], [n1 - x1, n0 - x0]]
        assert fisher_test(x1, n1, x0, n0) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-9)
        assert boschloo_test(x1, n1, x0, n0) == pytest.approx(stats.boschloo_exact(table).pvalue, rel=1e-6)


def restricted_score(x1, n1, x0, n0, delta):
    """Miettinen and Nurminen's statistic with the restricted likelihood maximized numerically."""

    def minus_log(p):
        q = p + delta
        return -(x1 * np.log(q) + (n1 - x1) * np.log1p(-q) + x0 * np.log(p) + (n0 - x0) * np.log1p(-p))

    low, high = max(0.0, -delta) + 1e-12, min(1.0, 1 - delta) - 1e-12
    p = optimize.minimize_scalar(minus_log, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    q = p + delta
    n = n1 + n0
    return (x1 / n1 - x0 / n0 - delta) / np.sqrt((q * (1 - q) / n1 + p * (1 - p) / n0) * n / (n - 1))


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (9, 10, 3, 10), (40, 950, 3, 50)])
def test_miettinen_nurminen_is_where_the_maximized_score_reaches_z(counts):
    interval = miettinen_nurminen_interval(*counts)
    assert restricted_score(*counts, interval.low) == pytest.approx(1.959964, abs=1e-4)
    assert restricted_score(*counts, interval.high) == pytest.approx(-1.959964, abs=1e-4)


def test_adjustment_is_the_interacted_regression_of_statsmodels(people):
    api = pytest.importorskip("statsmodels.api")
    data, arm = people
    covariates = np.stack([data["before"], data["age"]], axis=1)
    effect = analyze(data, arm, metrics=[Mean("spend", covariates=["before", "age"])], control=0).effect("spend")
    centered = covariates - covariates.mean(axis=0)
    design = np.column_stack([np.ones(len(arm)), arm, centered, arm[:, None] * centered])
    fit = api.OLS(data["spend"], design).fit(cov_type="HC2")
    assert effect.difference.value == pytest.approx(fit.params[1], rel=1e-10)
    # Ours has the spread of the covariate means on top (the population is a sample too): never narrower.
    slopes = fit.params[4:]
    extra = slopes @ np.cov(covariates, rowvar=False) @ slopes / len(arm)
    assert effect.standard_error == pytest.approx(np.sqrt(fit.bse[1] ** 2 + extra), rel=0.01)
    plain = analyze(data, arm, metrics=[Mean("spend")], control=0).effect("spend")
    assert effect.standard_error < plain.standard_error


def test_adjusted_standard_error_in_each_arm_is_that_of_its_own_regression(people):
    api = pytest.importorskip("statsmodels.api")
    data, arm = people
    x = data["before"]
    effect = analyze(data, arm, metrics=[Mean("spend", covariates=["before"])], control=0).effect("spend")
    variance, slopes = 0.0, []
    for a in (0, 1):
        here = arm == a
        fit = api.OLS(data["spend"][here], api.add_constant(x[here] - x.mean())).fit()
        variance += fit.bse[0] ** 2
        slopes.append(fit.params[1])
    share = [np.mean(arm == a) ** 2 * np.var(x[arm == a], ddof=1) / np.sum(arm == a) for a in (0, 1)]
    variance += (slopes[1] - slopes[0]) ** 2 * sum(share)
    assert effect.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_ratio_is_the_delta_method_of_a_plain_loop(people):
    data, arm = people
    effect = analyze(data, arm, metrics=[Ratio("spend", "orders")], control=0).effect("spend / orders")
    value, variance = [], []
    for a in (0, 1):
        y, d = data["spend"][arm == a], data["orders"][arm == a]
        r = y.mean() / d.mean()
        value.append(r)
        variance.append(np.var((y - r * d) / d.mean(), ddof=1) / len(y))
    assert effect.difference.value == pytest.approx(value[1] - value[0], rel=1e-12)
    assert effect.standard_error == pytest.approx(np.sqrt(sum(variance)), rel=1e-10)


def test_fieller_is_where_the_t_statistic_of_mu1_minus_rho_mu0_is_critical(people):
    data, arm = people
    effect = analyze(data, arm, metrics=[Mean("spend")], control=0).effect("spend")
    one, zero = data["spend"][arm == 1], data["spend"][arm == 0]
    critical = stats.t.ppf(0.975, effect.df)
    for end in (effect.relative.low, effect.relative.high):
        rho = 1 + end
        error = np.sqrt(one.var(ddof=1) / len(one) + rho**2 * zero.var(ddof=1) / len(zero))
        assert abs(one.mean() - rho * zero.mean()) / error == pytest.approx(critical, rel=1e-9)


def test_sample_ratio_over_three_arms_is_scipys_chi_square():
    counts, shares = {"a": 480, "b": 530, "c": 990}, {"a": 0.25, "b": 0.25, "c": 0.5}
    found = stats.chisquare(list(counts.values()), [500, 500, 1000])
    check = sample_ratio_test(counts, shares)
    assert (check.statistic, check.p_value) == pytest.approx((found.statistic, found.pvalue), rel=1e-12)


def test_a_small_sample_ratio_is_scipys_exact_binomial_test():
    check = sample_ratio_test({"a": 1, "b": 15}, {"a": 0.25, "b": 0.75})
    assert check.p_value == pytest.approx(stats.binomtest(1, 16, 0.25).pvalue, rel=1e-9)
    assert "exact" in check.message


def test_a_small_sample_ratio_of_three_arms_counts_every_outcome():
    shares = np.array([0.2, 0.3, 0.5])
    outcomes = [(i, j, 6 - i - j) for i in range(7) for j in range(7 - i)]
    chance = np.array([stats.multinomial.pmf(o, 6, shares) for o in outcomes])
    here = stats.multinomial.pmf((4, 1, 1), 6, shares)
    check = sample_ratio_test({"a": 4, "b": 1, "c": 1}, {"a": 0.2, "b": 0.3, "c": 0.5})
    assert check.p_value == pytest.approx(chance[chance <= here * (1 + 1e-9)].sum(), rel=1e-9)


def test_adjusted_p_values_are_those_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(1).random(25) ** 3
    for mine, theirs in (("holm", "holm"), ("benjamini-hochberg", "fdr_bh")):
        np.testing.assert_allclose(adjusted_p_values(p, method=mine), multitest.multipletests(p, method=theirs)[1])


def test_sample_sizes_are_those_of_statsmodels():
    from statsmodels.stats.power import TTestIndPower
    from statsmodels.stats.proportion import power_proportions_2indep

    # At unequal sizes theirs has the degrees of freedom of a pooled variance; ours has Welch's, as the analysis has.
    for effect, ratio in ((0.2, 1.0), (0.5, 1.0), (1.0, 1.0)):
        n0 = TTestIndPower().solve_power(effect, alpha=0.05, power=0.8, ratio=ratio)
        arms = {"control": 1 / (1 + ratio), "mail": ratio / (1 + ratio)}
        total = sample_size(Mean("m", baseline=1.0, sd=1.0), mde=effect, arms=arms).total
        assert total == pytest.approx(n0 * (1 + ratio), abs=2.6)
    for people, arms in ((20_000, {"control": 0.5, "mail": 0.5}), (50_000, {"control": 0.1, "mail": 0.9})):
        n1 = people * arms["mail"]
        theirs = power_proportions_2indep(0.004, 0.02, n1, ratio=arms["control"] / arms["mail"]).power
        mine = power(Proportion("b", baseline=0.02), mde=0.2, people=people, arms=arms)
        assert mine == pytest.approx(theirs, abs=2e-3)


def test_bootstrap_of_a_mean_is_near_the_normal_interval(people):
    data, arm = people
    boot = bootstrap_effect(data, arm, metric=Mean("spend"), control=0, rng=3, resamples=4000)
    plain = analyze(data, arm, metrics=[Mean("spend")], control=0).effect("spend")
    assert boot.difference.value == pytest.approx(plain.difference.value)
    assert boot.standard_error == pytest.approx(plain.standard_error, rel=0.05)
    assert boot.difference.low == pytest.approx(plain.difference.low, abs=0.1 * plain.difference.interval.width)


def test_permutation_is_near_scipys():
    rng = np.random.default_rng(2)
    arm = np.repeat([0, 1], [60, 240])
    y = rng.poisson(2.0 + 0.35 * arm).astype(float)
    mine = permutation_test(y, arm, control=0, resamples=20_000, rng=1)
    theirs = stats.permutation_test(
        (y[arm == 1], y[arm == 0]), lambda a, b: a.mean() - b.mean(), n_resamples=5000, random_state=1
    ).pvalue
    assert mine == pytest.approx(theirs, abs=0.015)


def test_the_interval_of_a_rival_covers_too_little_where_ours_covers():
    tt = pytest.importorskip("tea_tasting")
    from tea_tasting.aggr import Aggregates

    # 9,500 against 500, and the campaign hurts: exact enumeration on a coarse grid of the likeliest tables.
    n1, p1, n0, p0 = 9500, 0.02, 500, 0.04
    x1 = np.arange(130, 252, 6)
    x0 = np.arange(5, 39, 2)
    weight = np.outer(stats.binom.pmf(x1, n1, p1), stats.binom.pmf(x0, n0, p0))
    metric = tt.Proportion("y")
    ours = theirs = 0.0
    for i, a in enumerate(x1):
        for j, b in enumerate(x0):
            found = metric.analyze_aggregates(
                Aggregates(count_=n0, mean_={"y": b / n0}), Aggregates(count_=n1, mean_={"y": a / n1})
            )
            theirs += weight[i, j] * (found.effect_size_ci_lower <= p1 - p0 <= found.effect_size_ci_upper)
            ours += weight[i, j] * (p1 - p0 in newcombe_interval(int(a), n1, int(b), n0))
    assert ours / weight.sum() > 0.94
    assert theirs / weight.sum() < 0.90


def test_moments_keep_the_variance_that_raw_sums_of_squares_lose():
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, 50_000)
    for offset in (1e8, 1e9):
        moments = Moments.from_columns({"x": x + offset}, np.repeat([0, 1], 25_000))
        for a in (0, 1):
            part = (x + offset)[a * 25_000 : (a + 1) * 25_000]
            assert moments.covariance()[a, 0, 0, 0] == pytest.approx(part.var(ddof=1), rel=1e-9)
