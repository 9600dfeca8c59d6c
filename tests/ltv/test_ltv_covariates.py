"""Covariates: exact derivatives, identities with the plain models, what is left out and refused, and recovery."""

import json
import pickle
import runpy
import types
from pathlib import Path

import attrs
import mpmath as mp
import numpy as np
import pytest

from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.ltv import (
    BgCnbd,
    BgNbd,
    CovariateEffects,
    GammaGamma,
    LogNormalPrior,
    MbgCnbd,
    MbgNbd,
    ParetoNbd,
    PurchaseSummary,
    Season,
    calibration_table,
    churn_risk,
    cohort_tracking,
    frequency_table,
    holdout_report,
    lifetime_value,
    purchase_summary,
    recency_frequency_matrix,
    split,
)
from relmark.ltv._covariate_fit import Search, read_designs

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))


class Staged:
    """A model of regular buyers behind the door that the other models have."""

    def __init__(self, **values):
        super().__init__(**{"k": self.stages, **values})

    @classmethod
    def fit(cls, summary, prior=None, **settings):
        return super().fit(summary, cls.stages, prior, **settings)


class ThreeStages(Staged, MbgCnbd):
    """MBG/CNBD-3."""

    stages = 3


class TwoStages(Staged, BgCnbd):
    """BG/CNBD-2."""

    stages = 2


MODELS = [BgNbd, MbgNbd, ParetoNbd, ThreeStages, TwoStages]
COIN = (0.6, 8.0, 0.9, 2.5)
BASE = {
    BgNbd: COIN, MbgNbd: COIN, ParetoNbd: (0.6, 8.0, 0.8, 12.0), ThreeStages: (0.6, 2.5, 0.9, 2.5),
    TwoStages: (0.6, 4.0, 0.9, 2.5),
}  # fmt: skip
PAIRS = [(2, 30.43, 38.86), (0, 0, 38.86), (12, 30.0, 38.86), (0, 0, 2.0), (5, 20.0, 20.0)]


def drawn(model, n, seed=3, T=52.0, parameters=None):
    """Return customers of a model whose rate and leaving depend on two columns, purchase by purchase."""
    rng = np.random.default_rng(seed)
    loyal, age = (rng.random(n) < 0.4).astype(float), rng.normal(40.0, 10.0, n)
    r, alpha, c, d = parameters or BASE[model]
    lam = rng.gamma(r, 1.0 / alpha, n) * np.exp(0.5 * loyal + 0.02 * age)
    T = T * rng.uniform(0.5, 1.0, n)
    end, p, x, t_x, t, log_gaps = T.copy(), *(np.zeros(n) for _ in range(5))
    k = getattr(model, "stages", 1)
    if model is ParetoNbd:
        end = np.minimum(T, rng.exponential(1.0 / (rng.gamma(c, 1.0 / d, n) * np.exp(-0.6 * loyal + 0.01 * age))))
    else:
        mean = 1.0 / (1.0 + np.exp(-(np.log(c / d) - 0.6 * loyal + 0.01 * age)))
        p = rng.beta((c + d) * mean, (c + d) * (1.0 - mean))
    alive = rng.random(n) >= p if getattr(model, "shift", 0) else np.ones(n, dtype=bool)
    while alive.any():
        gap = rng.exponential(1.0 / lam) if k == 1 else rng.gamma(k, 1.0 / lam)
        t = t + gap
        buys = alive & (t <= end)
        log_gaps[buys] += np.log(gap[buys])
        x[buys] += 1
        t_x[buys] = t[buys]
        alive = buys & (rng.random(n) >= p)
    columns = {"loyal": loyal > 0, "age": age}
    return PurchaseSummary(frequency=x, recency=t_x, T=T, unit="week", covariates=columns, log_gaps=log_gaps)


BOTH = {"rate": ["loyal", "age"], "dropout": ["loyal", "age"]}
TRUE = np.array([0.5, 0.02, -0.6, 0.01])


def log_likelihood(model, s, p):
    """Return the log-likelihood in the digits of mpmath, from the formulas of the papers."""
    r, alpha, c, d = p[:4]
    total = mp.mpf(0)
    rows = zip(s.frequency, s.recency, s.T, s.covariates["loyal"], s.covariates["age"], strict=True)
    for *row, loyal, age in rows:
        x, t_x, T = int(row[0]), mp.mpf(float(row[1])), mp.mpf(float(row[2]))
        rate, leave = p[4] * loyal + p[5] * age, p[6] * loyal + p[7] * age
        A = alpha * mp.exp(-rate)
        front = mp.gamma(r + x) * A**r / mp.gamma(r)
        if model is ParetoNbd:
            B = d * mp.exp(-leave)
            died = mp.quad(lambda y, A=A, B=B, x=x: (A + y) ** -(r + x) * (B + y) ** -(c + 1), mp.linspace(t_x, T, 5))
            total += mp.log(front * B**c * ((A + T) ** -(r + x) * (B + T) ** -c + c * died))
            continue
        mean = 1 / (1 + mp.exp(-(mp.log(c / d) + leave)))
        a, b, tosses = (c + d) * mean, (c + d) * (1 - mean), x + model.shift
        stages = getattr(model, "stages", 1)
        K = r + stages * x
        inner = mp.beta(a, b + tosses) * sum(
            (T - t_x) ** j / mp.factorial(j) * mp.gamma(K + j) * (A + T) ** -(K + j) for j in range(stages)
        )
        if tosses:
            inner += mp.beta(a + 1, b + tosses - 1) * mp.gamma(K) * (A + t_x) ** -K
        total += mp.log(A**r / mp.gamma(r) * inner / mp.beta(a, b))
    return total


def rounding(values):
    """Return what rounding may take from small values beside large ones: what comes in a late step is a difference."""
    finite = np.asarray(values)[np.isfinite(values)]
    return 1e-14 * np.max(finite, initial=0.0)


def search(model, s, begin):
    own = model(**dict(zip(model.names(), begin, strict=True)))
    return Search(
        family=model.family, likelihood_of=own._rowwise, columns=(s.frequency, s.recency, s.T), weights=s.weights,
        designs=read_designs(BOTH, s), begin=np.array(begin), mean=np.zeros(4), precision=np.zeros(4),
    )  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_the_likelihood_and_its_derivatives_agree_with_forty_digits(model):
    s = drawn(model, 12).take(slice(0, 3 if model is ParetoNbd else 12))
    found = search(model, s, BASE[model])
    theta = np.array([0.1, -0.2, 0.3, -0.1, 0.25, -0.15, 0.2, 0.4])
    value, gradient, hessian = found.objective(0.0)(theta)
    rate, dropout = found.designs

    with mp.workdps(40):

        def at(shifts):
            """theta in the units of the papers: standardized columns are columns less their mean, over the sd."""
            th = [mp.mpf(float(v)) + h for v, h in zip(theta, shifts, strict=True)]
            sd, mean = [mp.mpf(float(v)) for v in rate.sd], [mp.mpf(float(v)) for v in rate.mean]
            g, h = [th[4] / sd[0], th[5] / sd[1]], [th[6] / sd[0], th[7] / sd[1]]
            r, alpha, c, d = (mp.mpf(b) * mp.exp(v) for b, v in zip(BASE[model], th[:4], strict=True))
            alpha *= mp.exp(g[0] * mean[0] + g[1] * mean[1])
            away = h[0] * mean[0] + h[1] * mean[1]
            if model is ParetoNbd:
                d *= mp.exp(away)
            else:
                mu = 1 / (1 + mp.exp(-(mp.log(c / d) - away)))
                c, d = (c + d) * mu, (c + d) * (1 - mu)
            return log_likelihood(model, s, [r, alpha, c, d, *g, *h])

        step = mp.mpf(10) ** -8

        def moved(*places):
            return [step * sum(sign for place, sign in places if place == i) for i in range(8)]

        assert float(abs(at([0] * 8) - mp.mpf(value))) < 1e-11 * abs(value)
        for i in range(8):
            slope = (at(moved((i, 1))) - at(moved((i, -1)))) / (2 * step)
            assert float(slope) == pytest.approx(gradient[i], rel=1e-9, abs=1e-9)
        for i, j in [
            (0, 0),
            (0, 1),
            (1, 1),
            (2, 2),
            (2, 3),
            (3, 3),
            (0, 4),
            (1, 5),
            (2, 6),
            (3, 7),
            (4, 5),
            (4, 6),
            (6, 7),
            (7, 7),
        ]:
            bend = (
                at(moved((i, 1), (j, 1)))
                - at(moved((i, 1), (j, -1)))
                - at(moved((i, -1), (j, 1)))
                + at(moved((i, -1), (j, -1)))
            )
            assert float(bend / (4 * step**2)) == pytest.approx(hessian[i, j], rel=1e-8, abs=1e-8), (i, j)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    assert dropout.names == ("loyal", "age")


def predictions(m, s):
    return {
        "alive": m.probability_alive(s), "later": m.probability_alive(s, at=20.0),
        "expected": m.expected_purchases(s, 39.0), "given alive": m.expected_purchases_if_alive(s, 39.0, 0.01),
        "until": m.expected_purchases_until(s, [0.0, 5.0, 39.0]),
        "until, discounted": m.expected_purchases_until(s, [5.0, 39.0], 0.003),
        "probabilities": m.purchase_probabilities(s, 39.0, range(4)), "ahead": m.residual_transactions(s, 0.0027),
        "all": m.residual_transactions(s, 0.0), "rate": m.posterior_rate(s), "next": m.next_purchase_quantile(s, 0.4),
        "next, alive": m.next_purchase_quantile(s, 0.4, given_alive=True), "falls": churn_risk(m, s).falls_in,
        "value": lifetime_value(m, 20.0, s, annual_rate=0.1, step=4.0).step_value,
    }  # fmt: skip


@pytest.mark.parametrize("parameters", [(0.24, 4.4, 0.8, 2.4), (0.5, 2.0, 1.6, 3.0), (30.0, 40.0, 25.0, 80.0)])
@pytest.mark.parametrize("model", MODELS)
def test_coefficients_of_zero_change_nothing(model, parameters):
    plain = model(**dict(zip(model.names(), parameters, strict=True)), unit="week")
    s = PurchaseSummary(**dict(zip(("frequency", "recency", "T"), map(list, zip(*PAIRS, strict=True)), strict=True)))
    with_columns = s.with_covariates({"loyal": [1, 0, 1, 0, 1], "age": [20.0, 30, 40, 50, 60]})
    zero = attrs.evolve(plain, effects=CovariateEffects(rate={"loyal": 0.0, "age": 0.0}, dropout={"age": 0.0}))
    want, got = predictions(plain, s), predictions(zero, with_columns)
    for name, expected in want.items():
        np.testing.assert_allclose(got[name], expected, rtol=1e-10, atol=rounding(expected), err_msg=name)
    assert zero.expected_purchases_new(52.0, covariates={"loyal": 1, "age": 3.0}) == pytest.approx(
        plain.expected_purchases_new(52.0), rel=1e-12
    )
    np.testing.assert_allclose(
        frequency_table(zero, with_columns).expected, frequency_table(plain, s).expected, rtol=1e-10
    )


@pytest.mark.parametrize("model", MODELS)
def test_effects_of_nothing_are_none(model):
    plain = model(**dict(zip(model.names(), BASE[model], strict=True)), unit="week")
    none = attrs.evolve(plain, effects=CovariateEffects())
    s = PurchaseSummary(**dict(zip(("frequency", "recency", "T"), map(list, zip(*PAIRS, strict=True)), strict=True)))
    np.testing.assert_array_equal(none.expected_purchases(s, 5.0), plain.expected_purchases(s, 5.0))
    assert none.expected_purchases_new(5.0) == plain.expected_purchases_new(5.0)
    assert none.expected_purchases_new(5.0, covariates={"a": 1.0}) == plain.expected_purchases_new(5.0)
    assert none.at({}).effects is None
    assert repr(none).endswith("effects=CovariateEffects(rate={}, dropout={}))")
    assert "effects" not in repr(plain)


@pytest.mark.parametrize("effects", [
    CovariateEffects(rate={"loyal": 0.7, "age": -0.02}, dropout={"loyal": -1.1, "age": 0.03}),
    CovariateEffects(rate={"age": -0.02}), CovariateEffects(dropout={"age": 0.04, "loyal": 2.0}),
])  # fmt: skip
@pytest.mark.parametrize("parameters", [(0.24, 4.4, 0.8, 2.4), (30.0, 40.0, 25.0, 80.0)])
@pytest.mark.parametrize("model", MODELS)
def test_each_customer_has_what_the_plain_model_of_their_covariates_says(model, parameters, effects):
    m = model(**dict(zip(model.names(), parameters, strict=True)), unit="week", effects=effects)
    columns = {"loyal": [1, 0, 1, 0, 1], "age": [20.0, 30, 40, 50, 60]}
    s = PurchaseSummary(
        **dict(zip(("frequency", "recency", "T"), map(list, zip(*PAIRS, strict=True)), strict=True)), covariates=columns
    )
    together = predictions(m, s)
    for i in range(len(s)):
        alone = s.take([i])
        own = m.at({"loyal": columns["loyal"][i], "age": columns["age"][i]})
        assert own.effects is None
        for name, value in predictions(own, alone).items():
            got = together[name][:, i] if name.startswith("until") else together[name][i]
            np.testing.assert_allclose(got, np.squeeze(value), rtol=2e-10, atol=rounding(value), err_msg=name)
        new = m.expected_purchases_new(26.0, covariates={"loyal": columns["loyal"][i], "age": columns["age"][i]})
        assert isinstance(new, float)
        assert new == pytest.approx(own.expected_purchases_new(26.0), rel=1e-12)
    each = m.expected_purchases_new([26.0] * 5, covariates=columns)
    assert each[4] == pytest.approx(own.expected_purchases_new(26.0), rel=1e-12)
    assert m.expected_purchases_new(26.0, covariates=columns) == pytest.approx(each)


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_does_not_depend_on_units_order_weights_or_cells(model):
    s = drawn(model, 400)
    m = model.fit(s, covariates=BOTH)
    assert m.fit_report.converged
    assert m.fit_report.names[4:] == ("rate.loyal", "rate.age", "dropout.loyal", "dropout.age")
    own = m.expected_purchases(s, 52.0)
    shuffled = np.random.default_rng(1).permutation(len(s))
    again = model.fit(s.take(shuffled), covariates=BOTH)
    np.testing.assert_allclose(again.parameters, m.parameters, rtol=1e-6)
    np.testing.assert_allclose(again.expected_purchases(s, 52.0), own, rtol=1e-7)
    # years since 1980 in tens instead of years: the coefficient is ten times as large, the customers are the same
    turned = s.with_covariates({"loyal": 1.0 - s.covariates["loyal"], "age": (s.covariates["age"] - 40.0) / 10.0})
    other = model.fit(turned, covariates=BOTH)
    assert other.fit_report.log_likelihood == pytest.approx(m.fit_report.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(other.effects.values, m.effects.values * [-1, 10, -1, 10], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(
        other.fit_report.standard_errors[4:], m.fit_report.standard_errors[4:] * [1, 10, 1, 10], rtol=1e-5
    )
    np.testing.assert_allclose(other.expected_purchases(turned, 52.0), own, rtol=1e-6)
    twice = attrs.evolve(s, weights=np.full(len(s), 2.0))
    heavy = model.fit(twice, covariates=BOTH)
    assert heavy.fit_report.log_likelihood == pytest.approx(2 * m.fit_report.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(heavy.fit_report.standard_errors * np.sqrt(2), m.fit_report.standard_errors, rtol=1e-4)
    coarse = s.with_covariates({"loyal": s.covariates["loyal"]})
    doubled = PurchaseSummary(
        **{n: np.tile(getattr(coarse, n), 2) for n in ("frequency", "recency", "T")},
        covariates={"loyal": np.tile(coarse.covariates["loyal"], 2)},
        log_gaps=np.tile(coarse.log_gaps, 2),
    )
    cells = doubled.cells()
    assert len(cells) <= len(s)
    one = {"rate": ["loyal"], "dropout": ["loyal"]}
    np.testing.assert_allclose(
        model.fit(cells, covariates=one).parameters, model.fit(doubled, covariates=one).parameters, rtol=1e-5
    )
    np.testing.assert_allclose((coarse.cells() + coarse.cells()).weights.sum(), 2 * len(s))


def test_many_customers_reach_the_maximum_of_all_of_them():
    s = drawn(BgNbd, 25_000)
    m = BgNbd.fit(s, covariates=BOTH)
    whole = search(BgNbd, s, BASE[BgNbd])
    rate, dropout = whole.designs
    effects = m.effects.values
    inside = m.at(dict(zip(rate.names, rate.mean, strict=True)))  # the standardized columns are 0 there
    theta = np.concatenate([np.log(inside.parameters / whole.begin), effects[:2] * rate.sd, effects[2:] * dropout.sd])
    value, gradient, hessian = whole.objective(0.0)(theta)
    assert value == pytest.approx(m.fit_report.log_likelihood, abs=1e-6)
    assert 0.5 * gradient @ np.linalg.solve(-hessian, gradient) < 1e-10


def test_columns_that_say_nothing_are_left_out_with_a_note():
    s = drawn(BgNbd, 300)
    age = s.covariates["age"]
    columns = {"age": age, "shop": np.ones(300), "months": 12 * age + 5.0, "loyal": s.covariates["loyal"]}
    m = BgNbd.fit(s, covariates={"rate": columns})
    assert tuple(m.effects.rate) == ("age", "loyal")
    assert m.effects.dropout == {}
    assert "rate: 'shop' is the same for all customers, and was left out" in m.fit_report.notes
    assert "rate: 'months' follows from the columns before it, and was left out" in m.fit_report.notes
    bare = BgNbd.fit(s, covariates={"rate": {"shop": np.ones(300)}})
    assert bare.effects is None
    assert bare == BgNbd.fit(s)
    assert "'shop'" in bare.fit_report.notes[0]
    assert bare.fit_report.likelihood_ratio is None


def test_the_likelihood_ratio_is_that_of_the_two_fits_and_there_is_none_with_a_penalty_or_a_prior():
    s = drawn(BgNbd, 300)
    m, plain = BgNbd.fit(s, covariates=BOTH), BgNbd.fit(s)
    test = m.fit_report.likelihood_ratio
    assert test.statistic == pytest.approx(2 * (m.fit_report.log_likelihood - plain.fit_report.log_likelihood))
    assert test.degrees_of_freedom == 4
    from scipy.stats import chi2

    assert test.p_value == pytest.approx(chi2.sf(test.statistic, 4))
    assert "likelihood ratio" in str(m.fit_report)
    assert m.fit_report.aic == pytest.approx(16 - 2 * m.fit_report.log_likelihood)
    assert json.loads(m.fit_report.to_json())["likelihood_ratio"]["degrees_of_freedom"] == 4
    assert BgNbd.fit(s, covariates=BOTH, penalty=5.0).fit_report.likelihood_ratio is None
    assert BgNbd.fit(s, LogNormalPrior(), covariates=BOTH).fit_report.likelihood_ratio is None


@pytest.mark.parametrize("model", MODELS)
def test_a_penalty_shrinks_the_coefficients_and_nothing_else(model):
    s = drawn(model, 300)
    plain, free = model.fit(s), model.fit(s, covariates=BOTH)
    some = model.fit(s, covariates=BOTH, penalty=30.0)
    none = model.fit(s, covariates=BOTH, penalty=1e9)
    scale = np.tile([s.covariates["loyal"].std(), s.covariates["age"].std()], 2)
    assert np.linalg.norm(some.effects.values * scale) < np.linalg.norm(free.effects.values * scale)
    np.testing.assert_allclose(none.effects.values * scale, 0.0, atol=1e-6)
    np.testing.assert_allclose(none.parameters[:4], plain.parameters, rtol=1e-4)
    assert none.fit_report.log_likelihood == pytest.approx(plain.fit_report.log_likelihood, abs=1e-4)
    assert plain.fit_report.log_likelihood < some.fit_report.log_likelihood < free.fit_report.log_likelihood
    assert some.fit_report.penalty == 30.0


def test_the_penalty_chosen_by_held_out_customers_is_strong_for_noise_and_weak_for_what_is_there():
    s = drawn(BgNbd, 1500)
    rng = np.random.default_rng(0)
    noise = {f"n{i}": rng.normal(size=1500) for i in range(6)}
    strong = BgNbd.fit(s, covariates={"rate": noise, "dropout": noise}, penalty="auto")
    real = BgNbd.fit(s, covariates={"rate": {"age": s.covariates["age"]}}, penalty="auto")
    assert strong.fit_report.penalty >= 64.0
    assert real.fit_report.penalty <= 64.0
    assert "held-out log-likelihood" in strong.fit_report.notes[-1]
    assert strong.fit_report.likelihood_ratio is None
    turned = np.random.default_rng(5).permutation(1500)
    other = BgNbd.fit(s.take(turned), covariates={"rate": {k: v[turned] for k, v in noise.items()}}, penalty="auto")
    same = BgNbd.fit(s, covariates={"rate": noise}, penalty="auto")
    assert other.fit_report.penalty == same.fit_report.penalty


def test_a_prior_is_of_the_parameters_of_an_average_customer():
    s = drawn(MbgNbd, 60)
    m = MbgNbd.fit(s, LogNormalPrior(median={"r": 2.0}, log_sd=0.01), covariates={"rate": ["age"]})
    assert m.r == pytest.approx(2.0, rel=0.05)
    assert m.fit_report.with_prior


def test_intervals_know_the_uncertainty_of_the_coefficients():
    s = drawn(BgNbd, 800)
    m = BgNbd.fit(s, covariates=BOTH)
    found = m.interval(lambda m: m.effects.rate["age"]).estimates[0]
    report = m.fit_report.confidence_interval()["rate.age"]
    assert (found.interval.low, found.interval.high) == pytest.approx((report.low, report.high), rel=1e-6)
    assert report.low < 0.02 < report.high
    assert report.method == "Wald"
    delta = m.interval(lambda m: m.expected_purchases(s, 52.0)[:5])
    draws = m.interval(lambda m: m.expected_purchases(s, 52.0)[:5], method="draws", rng=1)
    np.testing.assert_allclose(delta.high - delta.low, draws.high - draws.low, rtol=0.25)
    thousands = s.with_covariates({"age": s.covariates["age"] * 1e6})
    big = BgNbd.fit(thousands, covariates={"rate": ["age"]})
    small = BgNbd.fit(s, covariates={"rate": ["age"]})
    one, other = (
        x.interval(lambda m, t=t: m.expected_purchases(t, 52.0)[:3]) for x, t in ((big, thousands), (small, s))
    )
    np.testing.assert_allclose(one.high, other.high, rtol=1e-5)


def test_a_model_with_effects_is_stored_whole():
    m = BgNbd(r=0.5, alpha=9.0, a=1.0, b=3.0, unit="week", effects=CovariateEffects(rate={"loyal": 0.4}))
    assert BgNbd.from_json(m.to_json()) == m
    assert json.loads(m.to_json())["effects"] == {"rate": {"loyal": 0.4}, "dropout": {}}
    assert pickle.loads(pickle.dumps(m)) == m
    plain = BgNbd(r=0.5, alpha=9.0, a=1.0, b=3.0, unit="week")
    assert "effects" not in plain.to_dict()
    assert plain != m
    with pytest.raises(DefinitionError):
        BgNbd.from_dict({**m.to_dict(), "effects": {"rate": {"loyal": "much"}}})
    assert [one.path for one in BgNbd.check({**m.to_dict(), "effects": {"rat": {}}}).problems] == ["$.effects"]
    assert BgNbd.check(m.to_dict()).problems == ()


def test_what_is_not_known_of_customers_is_asked_for():
    m = BgNbd(r=0.5, alpha=9.0, a=1.0, b=3.0, unit="week", effects=CovariateEffects(rate={"loyal": 0.4}))
    s = PurchaseSummary(frequency=[1, 0], recency=[3.0, 0.0], T=[5.0, 5.0])
    with pytest.raises(MissingColumnError, match="an effect of the covariate 'loyal'"):
        m.expected_purchases(s, 5.0)
    with pytest.raises(MissingColumnError, match="Did you mean 'loyall'"):
        m.probability_alive(s.with_covariates({"loyall": [1, 0]}))
    for call in (
        lambda: m.expected_purchases_new(5.0), lambda: m.purchase_probabilities_new(5.0, 0),
        lambda: recency_frequency_matrix(m, T=10.0, t=5.0),
        lambda: cohort_tracking(m, data.cdnow_base(), at="1997-10-01", as_of="1998-07-01"),
    ):  # fmt: skip
        with pytest.raises((InputError, MissingColumnError), match="covariate"):
            call()
    with pytest.raises(InputError, match=r"finite|NaN|missing"):
        s.with_covariates({"loyal": [1.0, np.nan]})
    with pytest.raises(InputError, match=r"length|rows"):
        s.with_covariates({"loyal": [1.0]})
    with pytest.raises(InputError, match="words"):
        s.with_covariates({"city": ["Rome", "Bern"]})
    with pytest.raises(InputError, match="e\\^230"):
        m.expected_purchases(s.with_covariates({"loyal": [1.0, 1e6]}), 5.0)


@pytest.mark.parametrize(("given", "said"), [
    ([1, 2], "a mapping"), ({"loyal": [1, 0]}, "part of the model"), ({"rat": []}, "part of the model"),
    ({"rate": ["lojal"]}, "Did you mean 'loyal'"), ({"rate": {"loyal": [1.0, 0.0]}}, "rows|length"),
    ({"rate": {"loyal": ["a"] * 50}}, "words"), ({"rate": {3: np.zeros(50)}}, "a text"),
])  # fmt: skip
def test_covariates_of_another_form_are_refused(given, said):
    s = drawn(BgNbd, 50)
    with pytest.raises((InputError, MissingColumnError), match=said):
        BgNbd.fit(s, covariates=given)


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), "ridge", None])
def test_penalties_are_numbers_or_auto(penalty):
    with pytest.raises(InputError, match="penalty"):
        BgNbd.fit(drawn(BgNbd, 50), covariates=BOTH, penalty=penalty)


def test_a_covariate_far_from_zero_is_said_to_be_so():
    s = drawn(BgNbd, 400)
    years = s.with_covariates({"year": 1e6 + s.covariates["age"]})
    with pytest.raises(InputError, match="far from any customer"):
        BgNbd.fit(years, covariates={"rate": ["year"]})


def test_frames_of_covariates_are_read():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    s = drawn(MbgNbd, 200)
    columns = {"loyal": s.covariates["loyal"] > 0, "age": s.covariates["age"]}
    want = MbgNbd.fit(s, covariates=BOTH)
    for frame in (pandas.DataFrame(columns), polars.DataFrame(columns)):
        assert MbgNbd.fit(s, covariates={"rate": frame, "dropout": frame}) == want
        np.testing.assert_array_equal(s.with_covariates(frame).covariates["loyal"], s.covariates["loyal"])


def test_a_summary_with_covariates_never_changes_and_says_what_it_carries():
    s = drawn(BgNbd, 20)
    with pytest.raises(ValueError, match="read-only"):
        s.covariates["age"][0] = 1.0
    again = pickle.loads(pickle.dumps(s))
    with pytest.raises(ValueError, match="read-only"):
        again.covariates["age"][0] = 1.0
    assert "covariates=loyal, age" in repr(s)
    with pytest.raises(InputError, match="covariates"):
        s + data.simulated("bg", 5, (0.5, 5.0, 0.9, 2.5), 30.0, np.random.default_rng(1))


@pytest.mark.parametrize("model", MODELS)
def test_simulated_purchases_are_as_many_as_each_customer_is_expected_to_make(model):
    effects = CovariateEffects(rate={"loyal": 0.8, "age": -0.02}, dropout={"loyal": -0.9, "age": 0.02})
    m = model(**dict(zip(model.names(), BASE[model], strict=True)), unit="week", effects=effects)
    n = 20_000
    s = PurchaseSummary(
        frequency=np.tile([2, 1], n), recency=np.tile([20.0, 9.0], n), T=np.tile([30.0, 30.0], n),
        covariates={"loyal": np.tile([1, 0], n), "age": np.tile([30.0, 50.0], n)},
    )  # fmt: skip
    drawn_ones = m.simulate(s, 26.0, rng=3)
    bought = np.bincount(drawn_ones.customer_id, minlength=2 * n).reshape(n, 2)
    error = bought.std(axis=0) / np.sqrt(n)
    assert (np.abs(bought.mean(axis=0) - m.expected_purchases(s, 26.0)[:2]) < 4.0 * error).all()
    with pytest.raises(InputError, match="covariates"):
        m.simulate(100, 26.0)
    assert m.at({"loyal": 1, "age": 40.0}).simulate(100, 26.0).customers == 100


def test_a_split_carries_covariates_to_what_is_reported_of_it():
    held = split(data.cdnow_base(), at="1997-10-01", as_of="1998-07-01")
    early = {"early": held.calibration.T > 35.0}
    known = held.with_covariates(early)
    m = MbgNbd.fit(known.calibration, covariates={"rate": ["early"], "dropout": ["early"]})
    report = holdout_report(m, known)
    expected = m.expected_purchases(held.calibration.with_covariates(early), held.duration)
    assert report.expected_total == pytest.approx(expected.sum())
    assert calibration_table(m, known, groups=4).customers.sum() == len(held.frequency)
    with pytest.raises(MissingColumnError, match="'early'"):
        holdout_report(m, held)


def test_value_of_customers_with_covariates_adds_up_by_step():
    s = attrs.evolve(drawn(BgNbd, 100), monetary_value=np.full(100, 20.0))
    m = BgNbd.fit(s, covariates=BOTH)
    g = GammaGamma(p=6.0, q=4.0, v=15.0)
    whole, steps = (lifetime_value(m, g, s, annual_rate=0.1, step=step) for step in (None, 4.0))
    np.testing.assert_allclose(steps.step_value.sum(axis=1), whole.value, rtol=1e-9)
    np.testing.assert_allclose(whole.purchases, m.expected_purchases(s, 365 / 7), rtol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_coefficients_are_recovered_from_many_customers(model):
    m = model.fit(drawn(model, 20_000, seed=11), covariates=BOTH)
    away = (m.effects.values - TRUE) / m.fit_report.standard_errors[4:]
    assert m.fit_report.converged
    assert np.abs(away).max() < 3.5
    np.testing.assert_allclose(np.log(m.parameters[:4] / BASE[model]), 0.0, atol=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_intervals_cover_the_truth_in_two_hundred_fits(model):
    covered, fits = np.zeros(4), 0
    for seed in range(200):
        m = model.fit(drawn(model, 1000, seed=1000 + seed), covariates=BOTH)
        if not m.fit_report.converged:
            continue
        fits += 1
        intervals = [m.fit_report.confidence_interval()[name] for name in m.effects.names]
        covered += [value in interval for value, interval in zip(TRUE, intervals, strict=True)]
    assert fits >= 190
    assert (np.abs(covered / fits - 0.95) <= 0.04).all(), covered / fits


def test_covariates_and_a_season_go_together():
    """CDNOW's log by a clock that runs twice as fast in December: the identities of covariates stay."""
    base = data.cdnow_base()
    season = Season([1.0] * 11 + [2.0], period="month")
    s = purchase_summary(base, as_of="1998-07-01", season=season)
    early = {"early": np.median(s.T) < s.T}
    known, m0 = s.with_covariates(early), MbgNbd.fit(s)
    zero = attrs.evolve(m0, effects=CovariateEffects(rate={"early": 0.0}, dropout={"early": 0.0}))
    few, few_known = s.take(slice(0, 300)), known.take(slice(0, 300))
    for want, got in zip(
        (m0.expected_purchases(few, 26.0), m0.residual_transactions(few, 0.003), m0.next_purchase_quantile(few, 0.3)),
        (zero.expected_purchases(few_known, 26.0), zero.residual_transactions(few_known, 0.003),
         zero.next_purchase_quantile(few_known, 0.3)),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(got, want, rtol=1e-10)
    value = lifetime_value(m0, 10.0, few, annual_rate=0.1, horizon=52.0)
    each = lifetime_value(m0, 10.0, few, annual_rate=np.full(300, 0.1), horizon=np.full(300, 52.0))
    none = lifetime_value(zero, 10.0, few_known, annual_rate=0.1, horizon=52.0)
    np.testing.assert_allclose(each.value, value.value, rtol=1e-8)
    np.testing.assert_allclose(none.value, value.value, rtol=1e-8)
    m = MbgNbd.fit(known, covariates={"rate": ["early"], "dropout": ["early"]})
    assert m.season == season
    assert m.fit_report.log_likelihood > m0.fit_report.log_likelihood
    assert m.fit_report.likelihood_ratio.statistic == pytest.approx(
        2 * (m.fit_report.log_likelihood - m0.fit_report.log_likelihood)
    )
    assert MbgNbd.from_json(m.to_json()) == m
    own = m.at({"early": 1})
    assert m.expected_purchases_new(26.0, covariates={"early": 1}, start="1998-10-01") == pytest.approx(
        own.expected_purchases_new(26.0, start="1998-10-01"), rel=1e-12
    )
    rows = np.flatnonzero(few_known.covariates["early"] == 1)[:5]
    np.testing.assert_allclose(
        m.residual_transactions(few_known, 0.003)[rows],
        own.residual_transactions(few.take(rows), 0.003), rtol=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize(("regular", "plain"), [(MbgCnbd, MbgNbd), (BgCnbd, BgNbd)])
def test_one_stage_is_the_model_of_purchases_at_random(regular, plain):
    s = drawn(plain, 600)
    for settings in ({}, {"penalty": 8.0}, {"penalty": "auto"}, {"prior": LogNormalPrior()}):
        one, want = regular.fit(s, 1, covariates=BOTH, **settings), plain.fit(s, covariates=BOTH, **settings)
        np.testing.assert_allclose(one.parameters, want.parameters, rtol=1e-8)
        assert one.fit_report.log_likelihood == pytest.approx(want.fit_report.log_likelihood, rel=1e-12)
        np.testing.assert_allclose(one.fit_report.standard_errors, want.fit_report.standard_errors, rtol=1e-6)
    few, other = predictions(one, s.take(slice(0, 40))), predictions(want, s.take(slice(0, 40)))
    for name, value in other.items():
        np.testing.assert_allclose(few[name], value, rtol=1e-7, atol=rounding(value), err_msg=name)


def test_k_is_chosen_by_the_likelihood_of_the_fits_with_covariates():
    s = drawn(ThreeStages, 300)
    m = MbgCnbd.fit(s, covariates=BOTH)
    each = {k: MbgCnbd.fit(s, k, covariates=BOTH) for k in range(1, 13)}
    best = max(each, key=lambda k: each[k].fit_report.log_likelihood)
    assert m.k == best == 3
    assert m == each[best]
    assert m.fit_report.notes[-1].startswith("k is 3, which has the highest log-likelihood (1: ")
    assert m.fit_report.aic == pytest.approx(each[best].fit_report.aic + 2.0)
    # the fit without covariates may choose a k of its own
    without = MbgCnbd.fit(s).fit_report.log_likelihood
    assert m.fit_report.likelihood_ratio.statistic == pytest.approx(2 * (m.fit_report.log_likelihood - without))
    assert m.fit_report.likelihood_ratio.degrees_of_freedom == 4
    ridge = MbgCnbd.fit(s, covariates=BOTH, penalty="auto")
    assert ridge == MbgCnbd.fit(s, 3, covariates=BOTH, penalty="auto")
    assert ridge.fit_report.notes[0].startswith("k is 3, which has the highest log-likelihood without covariates (1: ")
    assert "held-out log-likelihood" in ridge.fit_report.notes[-1]
    bare = MbgCnbd.fit(s, covariates={"rate": {"shop": np.ones(300)}})
    assert bare.effects is None
    assert bare == MbgCnbd.fit(s)
    assert bare.fit_report.likelihood_ratio is None


def test_the_held_out_log_likelihood_is_in_the_units_of_the_fit():
    """Each customer is held out once, so that without any gain the two differ by little."""
    s = drawn(ThreeStages, 400)
    m = MbgCnbd.fit(s, 3, covariates={"rate": ["age"]}, penalty="auto")
    said = float(m.fit_report.notes[-1].split("5 parts is ")[1].split(", ")[0].replace(",", ""))
    assert 0.0 < m.fit_report.log_likelihood - said < 20.0


def test_regular_buyers_with_effects_are_stored_whole_and_shown():
    effects = CovariateEffects(rate={"loyal": 0.4}, dropout={"loyal": -0.5})
    m = MbgCnbd(k=2, r=0.5, alpha=9.0, a=1.0, b=3.0, unit="week", effects=effects)
    assert MbgCnbd.from_json(m.to_json()) == m
    assert pickle.loads(pickle.dumps(m)) == m
    assert MbgCnbd.check(m.to_dict()).problems == ()
    assert [one.path for one in MbgCnbd.check({**m.to_dict(), "effects": {"rat": {}}}).problems] == ["$.effects"]
    assert repr(m).startswith("MbgCnbd(k=2, r=0.5, alpha=9.0, a=1.0, b=3.0, unit='week', effects=CovariateEffects(")
    own = m.at({"loyal": 1})
    assert (own.k, own.effects) == (2, None)
    with pytest.raises(InputError, match="covariates"):
        m.expected_purchases_new(5.0)


def test_regular_buyers_with_covariates_follow_the_clock_of_a_season():
    base = data.cdnow_base()
    season = Season([1.0] * 11 + [2.0], period="month")
    s = purchase_summary(base, as_of="1998-07-01", season=season).take(slice(0, 500))
    s = s.with_covariates({"early": np.arange(500) % 2})
    m = MbgCnbd.fit(s, 2, covariates={"rate": ["early"], "dropout": ["early"]})
    assert m.season == season
    assert m.fit_report.likelihood_ratio.statistic == pytest.approx(
        2 * (m.fit_report.log_likelihood - MbgCnbd.fit(s, 2).fit_report.log_likelihood)
    )
    rows = np.array([1, 3, 5])
    few, own = s.take(rows), m.at({"early": 1})
    got = predictions(m, few)
    for name, value in predictions(own, few).items():
        np.testing.assert_allclose(got[name], value, rtol=2e-8, atol=rounding(value), err_msg=name)
    assert m.expected_purchases_new(26.0, covariates={"early": 1}, start="1998-10-01") == pytest.approx(
        own.expected_purchases_new(26.0, start="1998-10-01"), rel=1e-12
    )
