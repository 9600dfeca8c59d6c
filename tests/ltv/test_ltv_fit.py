"""Fits: derivatives, ridges and boundaries, priors, reports, and the recovery of parameters."""

import pickle
import runpy
import types
from pathlib import Path

import numpy as np
import pytest

from relmark.core.errors import DefinitionError, InputError, NotEnoughDataError
from relmark.core.newton import maximize
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    LogNormalPrior,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    _beta_binomial,
    _erlang_dropout,
    _geometric_dropout,
    _pareto,
    gamma_gamma,
    nbd,
    shifted_beta_geometric,
)
from relmark.ltv._cells import distinct, unique_rows, weights_by
from relmark.ltv._renewals import losses

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))
MODELS = {"nbd": Nbd, "bg": BgNbd, "mbg": MbgNbd, "pareto": ParetoNbd}


def likelihoods():
    s = data.simulated("mbg", 60, (0.6, 5.0, 1.1, 2.0), np.linspace(5, 40, 60), np.random.default_rng(4))
    w = np.linspace(0.5, 3.0, 60)
    columns = s.frequency, s.recency, s.T
    counts, place = distinct(s.frequency)
    n = weights_by(place, w, len(counts))
    money = np.random.default_rng(5).gamma(5, 4, 60)
    d = data.donations()
    (x, t, N), dw, _ = unique_rows([d.frequency, d.recency, d.T], d.weights)
    history = _beta_binomial.Histories.of(x, t, N)
    xs = s.frequency + 1
    sums = float(w @ (xs * np.log(xs))), float(w @ (xs * np.log(money))), float(w @ np.log(money))
    c2, p2 = distinct(xs)
    lost, kept = losses([[100, 80, 60, 50], [40, 31]])
    return {
        "bg": (
            lambda p: _geometric_dropout.likelihood(p, _geometric_dropout.arranged(*columns, w, 0), 0),
            (0.4, 3.0, 0.7, 1.9),
        ),
        "bg unweighted": (
            lambda p: _geometric_dropout.likelihood(p, _geometric_dropout.arranged(*columns, None, 0), 0),
            (0.4, 3.0, 0.7, 1.9),
        ),
        "mbg": (
            lambda p: _geometric_dropout.likelihood(p, _geometric_dropout.arranged(*columns, w, 1), 1),
            (0.4, 3.0, 0.7, 1.9),
        ),
        **{
            f"cnbd-{k} {shift}": (
                lambda p, k=k, shift=shift, w=w: _erlang_dropout.likelihood(
                    p, _geometric_dropout.arranged(*columns, w, shift), k, shift, -3.0
                ),
                (0.4, 3.0, 0.7, 1.9),
            )
            for k, w in ((1, w), (2, None), (5, w))
            for shift in (0, 1)
        },
        "pareto": (lambda p: _pareto.likelihood(p, *columns, w, counts, n), (0.4, 3.0, 0.7, 19.0)),
        "pareto turned": (lambda p: _pareto.likelihood(p, *columns, w, counts, n), (0.4, 30.0, 0.7, 1.9)),
        "nbd": (lambda p: nbd._likelihood(p, s.frequency, s.T, w), (0.4, 3.0)),
        "bg_bb": (lambda p: _beta_binomial.likelihood(p, history, dw), (1.1, 0.8, 0.5, 2.0)),
        "gamma": (
            lambda p: gamma_gamma._likelihood(p, c2, weights_by(p2, w, len(c2)), xs, money, w, sums),
            (5.0, 3.0, 12.0),
        ),
        "sbg": (lambda p: shifted_beta_geometric._likelihood(p, lost, kept), (0.8, 2.5)),
    }


@pytest.mark.parametrize("name", sorted(likelihoods()))
def test_gradient_and_hessian_are_the_derivatives_of_the_log_likelihood(name):
    f, point = likelihoods()[name]
    p = np.array(point)
    _, g, H = f(p)
    np.testing.assert_allclose(H, H.T, rtol=1e-12)
    for i in range(len(p)):
        h = np.zeros(len(p))
        h[i] = 1e-5 * p[i]
        up, down = f(p + h), f(p - h)
        scale = abs(g[i]) + abs(up[0]) * 1e-9
        assert (up[0] - down[0]) / (2 * h[i]) == pytest.approx(g[i], abs=1e-5 * scale + 1e-4)
        np.testing.assert_allclose((up[1] - down[1]) / (2 * h[i]), H[i], rtol=2e-6, atol=1e-6 * np.abs(H).max())


def test_likelihoods_agree_with_their_formulas_written_out():
    from scipy.integrate import quad
    from scipy.special import beta, gamma

    r, alpha, a, b = 0.6, 5.0, 1.1, 2.0
    s = PurchaseSummary(frequency=[0, 1, 4], recency=[0, 3.0, 9.0], T=[4.0, 8.0, 9.5])
    bg = mbg = pareto = 0.0
    for x, t, T in zip(s.frequency, s.recency, s.T, strict=True):
        front = gamma(r + x) * alpha**r / gamma(r)
        bg += np.log(
            front * (beta(a, b + x) / beta(a, b) * (alpha + T) ** -(r + x)
            + (beta(a + 1, b + x - 1) / beta(a, b) * (alpha + t) ** -(r + x) if x else 0))
        )  # fmt: skip
        mbg += np.log(
            front
            * (beta(a, b + x + 1) * (alpha + T) ** -(r + x) + beta(a + 1, b + x) * (alpha + t) ** -(r + x))
            / beta(a, b)
        )
        died = quad(lambda y, x=x: a * b**a * (b + y) ** -(a + 1) * (alpha + y) ** -(r + x), t, T)[0]
        pareto += np.log(front * ((b / (b + T)) ** a * (alpha + T) ** -(r + x) + died))
    columns = s.frequency, s.recency, s.T
    p = np.array([r, alpha, a, b])
    one = np.ones(3)
    assert _geometric_dropout.likelihood(p, _geometric_dropout.arranged(*columns, None, 0), 0)[0] == pytest.approx(bg)
    assert _geometric_dropout.likelihood(p, _geometric_dropout.arranged(*columns, None, 1), 1)[0] == pytest.approx(mbg)
    assert _pareto.likelihood(p, *columns, one, s.frequency, one)[0] == pytest.approx(pareto)


def summaries_on_ridges():
    rng = np.random.default_rng(7)
    n, T = 200, np.full(200, 40.0)
    poisson = rng.poisson(4.0, n).astype(float)
    last = np.where(poisson > 0, T * rng.random(n) ** (1 / np.maximum(poisson, 1)), 0.0)
    loyal = rng.poisson(rng.gamma(1.0, 3.0, n)).astype(float)
    return {
        "everybody alike": (poisson, last, T),
        "nobody leaves": (loyal, np.where(loyal > 0, 0.995 * T, 0.0), T),
        "all bought once again at once": (np.ones(40), np.zeros(40), T[:40]),
        "all bought once again": (np.ones(40), np.full(40, 20.0), T[:40]),
        "one buyer": (np.r_[1.0, np.zeros(9)], np.r_[3.0, np.zeros(9)], np.full(10, 40.0)),
        "one customer": ([3.0], [30.0], [40.0]),
        "last purchase on the last day": ([3.0, 1, 0], [40.0, 40, 0], [40.0, 40, 40]),
        "no time at all": ([3.0, 1, 0], [0.0, 0, 0], [0.0, 0, 0]),
        "three thousand purchases": ([3000.0, 1, 0, 50], [38.0, 1, 0, 39], [40.0] * 4),
    }


@pytest.mark.long
@pytest.mark.parametrize("case", sorted(summaries_on_ridges()))
@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_fit_on_a_ridge_returns_says_so_and_predicts(case, kind):
    x, t_x, T = summaries_on_ridges()[case]
    s = PurchaseSummary(frequency=x, recency=t_x, T=T)
    m = MODELS[kind].fit(s)
    report = m.fit_report
    assert report.converged == (not report.problems)
    assert np.isfinite(report.covariance).all() == report.converged
    assert np.isfinite(report.log_likelihood)
    if not report.converged:
        assert "did not converge: " in str(report)
        assert "problems" in repr(report)
        assert np.isnan(m.interval(lambda m: m.probability_alive(s)).low).all()
    for t in (0.0, 1.0, 1e4):
        assert np.isfinite(m.expected_purchases(s, t)).all()
    alive = m.probability_alive(s)
    assert ((alive >= 0) & (alive <= 1)).all()
    p = m.purchase_probabilities(s, 10.0, range(3))
    assert ((p >= 0) & (p <= 1 + 1e-9)).all()
    assert np.isfinite(m.residual_transactions(s, 0.01)).all()


@pytest.mark.parametrize("case", ["everybody alike", "one buyer", "one customer", "all bought once again"])
@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_prior_brings_a_fit_back_from_its_ridge(case, kind):
    x, t_x, T = summaries_on_ridges()[case]
    m = MODELS[kind].fit(PurchaseSummary(frequency=x, recency=t_x, T=T), prior=LogNormalPrior())
    assert m.fit_report.converged
    assert m.fit_report.with_prior
    assert (m.fit_report.standard_errors > 0).all()


def test_ridges_are_found_where_they_are():
    s = PurchaseSummary(**dict(zip(("frequency", "recency", "T"), summaries_on_ridges()["nobody leaves"], strict=True)))
    report = BgNbd.fit(s).fit_report
    assert not report.converged
    assert any("nobody is seen to leave" in text for text in report.problems)
    alike = PurchaseSummary(
        **dict(zip(("frequency", "recency", "T"), summaries_on_ridges()["everybody alike"], strict=True))
    )
    nbd_fit = Nbd.fit(alike)
    assert nbd_fit.r / nbd_fit.alpha == pytest.approx(alike.frequency.mean() / 40.0, rel=1e-3)


def test_priors_know_the_units_and_name_wrong_parameters():
    s = data.cdnow().take(slice(0, 40))
    days = PurchaseSummary(frequency=s.frequency, recency=s.recency * 7, T=s.T * 7, unit="day")
    prior = LogNormalPrior(median={"r": 0.3, "alpha": 0.2}, log_sd=0.5)
    a, b = BgNbd.fit(s, prior=prior), BgNbd.fit(days, prior=prior)
    np.testing.assert_allclose(b.parameters / a.parameters, [1, 7, 1, 1], rtol=1e-7)
    tight = BgNbd.fit(s, prior=LogNormalPrior(median={"r": 3.0}, log_sd={"r": 0.01}))
    assert tight.r == pytest.approx(3.0, rel=0.02)
    with pytest.raises(InputError, match=r"the prior names 'alhpa'.*Did you mean 'alpha'"):
        BgNbd.fit(s, prior=LogNormalPrior(median={"alhpa": 1.0}))
    with pytest.raises(InputError, match="LogNormalPrior or None"):
        BgNbd.fit(s, prior=2)
    for bad in ({"median": {"r": -1}}, {"log_sd": 0}, {"log_sd": {"r": -1}}):
        with pytest.raises(InputError):
            LogNormalPrior(**bad)
    many = BgNbd.fit(data.cdnow(), prior=LogNormalPrior())
    np.testing.assert_allclose(many.parameters, BgNbd.fit(data.cdnow()).parameters, rtol=0.05)


def test_a_report_prints_compares_and_pickles():
    s = data.cdnow()
    m = BgNbd.fit(s)
    report = m.fit_report
    assert report.aic == pytest.approx(8 + 2 * 9582.425561, abs=1e-4)
    assert report.bic == pytest.approx(4 * np.log(2357) + 2 * 9582.425561, abs=1e-4)
    low, high = (report.confidence_interval()["a"].low, report.confidence_interval()["a"].high)
    assert low * high == pytest.approx(m.a**2)
    assert high / m.a == pytest.approx(np.exp(1.959964 * report.standard_errors[2] / m.a), rel=1e-6)
    assert "BG/NBD" in str(report)
    assert "FitReport(BG/NBD: r=0.242593" in repr(report)
    assert report.to_dict()["standard_errors"] == report.standard_errors.tolist()
    again = pickle.loads(pickle.dumps(m))
    assert again == m
    np.testing.assert_array_equal(again.fit_report.covariance, report.covariance)
    assert report.aic < Nbd.fit(s).fit_report.aic


def test_models_check_their_parameters_and_their_json():
    with pytest.raises(InputError, match="alpha is -1"):
        BgNbd(r=1, alpha=-1, a=1, b=1)
    with pytest.raises(InputError, match="unit"):
        BgNbd(r=1, alpha=1, a=1, b=1, unit="hour")
    m = BgNbd(r=1, alpha=2, a=3, b=4, unit="week")
    assert m.to_dict() == {"relmark": "bg_nbd", "version": 1, "r": 1, "alpha": 2, "a": 3, "b": 4, "unit": "week"}
    assert BgNbd.from_json(m.to_json()) == m
    body = m.to_dict()
    for change, message in (
        ({"r": "1"}, "r: '1' is not a number"),
        ({"r": -1}, "r is -1"),
        ({"q": 1}, "unknown key"),
        ({"unit": "x"}, "unit"),
    ):
        with pytest.raises(DefinitionError, match=message):
            BgNbd.from_dict({**body, **change})
    g = GammaGamma(p=1, q=2, v=3)
    assert GammaGamma.from_json(g.to_json()) == g
    sbg = ShiftedBetaGeometric(alpha=1, beta=2)
    assert ShiftedBetaGeometric.from_json(sbg.to_json()) == sbg


def test_bg_bb_and_shifted_beta_geometric_refuse_what_is_no_count():
    with pytest.raises(InputError, match="whole number of opportunities"):
        BgBb.fit(PurchaseSummary(frequency=[1], recency=[1], T=[2.5]))
    with pytest.raises(InputError, match="more purchases than opportunities"):
        BgBb.fit(PurchaseSummary(frequency=[3], recency=[2], T=[5]))
    with pytest.raises(InputError, match="rises to 12 at position 2"):
        ShiftedBetaGeometric.fit([20, 10, 12])
    with pytest.raises(InputError, match="of cohort 1 rises"):
        ShiftedBetaGeometric.fit([[20, 10], [5, 6]])
    with pytest.raises(NotEnoughDataError, match="two numbers"):
        ShiftedBetaGeometric.fit([20])
    with pytest.raises(NotEnoughDataError, match="nobody left"):
        ShiftedBetaGeometric.fit([20, 20])
    two = ShiftedBetaGeometric.fit([[1000, 869, 743, 653, 593], [500, 430, 370]])
    assert two.fit_report.converged
    alike = ShiftedBetaGeometric.fit([1024, 512, 256, 128, 64, 32, 16])
    assert not alike.fit_report.converged
    assert alike.mean_churn == pytest.approx(0.5, abs=1e-3)


def test_gamma_gamma_leaves_out_free_customers_and_refuses_negative_spend():
    s = data.cdnow()
    money = s.monetary_value.copy()
    rows = np.flatnonzero(s.frequency > 0)[:2]
    money[rows[0]] = 0.0
    free = PurchaseSummary(frequency=s.frequency, recency=s.recency, T=s.T, monetary_value=money)
    g = GammaGamma.fit(free)
    assert g.fit_report.notes == ("1 repeat buyers whose mean spend is 0 were left out",)
    assert "note: 1 repeat" in str(g.fit_report)
    assert np.isfinite(g.expected_spend(free)).all()
    money[rows[1]] = -2.0
    bad = PurchaseSummary(frequency=s.frequency, recency=s.recency, T=s.T, monetary_value=money)
    for call in (GammaGamma.fit, g.expected_spend, g.independence_check):
        with pytest.raises(InputError, match=f"-2.0 in row {rows[1]}.*negative='drop'"):
            call(bad)
    all_free = PurchaseSummary(frequency=[2], recency=[1], T=[3], monetary_value=[0.0])
    with pytest.raises(NotEnoughDataError, match="positive spend"):
        GammaGamma.fit(all_free)
    with pytest.raises(InputError, match="no monetary_value"):
        GammaGamma.fit(PurchaseSummary(frequency=[2], recency=[1], T=[3]))
    with pytest.raises(InputError, match="PurchaseSummary with monetary_value"):
        GammaGamma.fit([1, 2])
    alike = PurchaseSummary(frequency=[2, 3, 4], recency=[1, 1, 1], T=[3, 3, 3], monetary_value=[5.0, 5.0, 5.0])
    assert not GammaGamma.fit(alike).fit_report.converged
    assert GammaGamma.fit(alike, prior=LogNormalPrior()).fit_report.converged


def test_the_search_says_where_it_ended_and_along_what_the_likelihood_is_flat():
    from relmark.ltv.fit import fit_parameters

    def fitted(likelihood):
        return fit_parameters(
            "made up", ("a", "b"), likelihood, start=(1.0, 1.0), scale=(1.0, 1.0), n=10.0, prior=None, boundaries={}
        ).report

    def along_a_line(p):  # knows a b alone
        log = np.log(p)
        slope = -100.0 * log.sum() / p
        return -50.0 * log.sum() ** 2, slope, -100.0 / np.outer(p, p) - np.diag(slope / p)

    assert "flat along a and b" in fitted(along_a_line).problems[0]

    def never_better(p):  # a gradient that no step confirms
        return -1e3 * np.abs(np.log(p)).sum(), np.array([1.0, 1.0]), -np.eye(2)

    report = fitted(never_better)
    assert "without a maximum" in report.problems[0]
    assert not report.converged


def mbg_sets_with_two_maxima():
    """Draw customers whose likelihood has a lower maximum nearest to the scale-free start, and a higher elsewhere."""
    found = []
    rng = np.random.default_rng(0)
    while len(found) < 3:
        truth = tuple(np.exp(rng.uniform(np.log([0.2, 1.0, 0.2, 0.3]), np.log([1.0, 25.0, 2.0, 3.0]))))
        s = data.simulated("mbg", 300, truth, 40.0, rng)
        arranged = _geometric_dropout.arranged(s.frequency, s.recency, s.T, None, 1)
        begin = np.array([0.5, 10.0, 1.0, 2.0])
        objective = data.in_logs(lambda p, d=arranged: _geometric_dropout.likelihood(p, d, 1), begin)
        ends = [maximize(objective, np.array(start)) for start in ((0.0, 0, 0, 0), (2.0, 2, -1, -2.5))]
        if all(end.settled and not end.at_box.any() for end in ends) and ends[1].value > ends[0].value + 0.1:
            found.append((s, ends[0].value, ends[1].value))
    return found


def test_the_best_of_several_maxima_is_kept_and_the_other_one_said():
    for s, lower, higher in mbg_sets_with_two_maxima():
        report = MbgNbd.fit(s).fit_report
        assert report.log_likelihood >= higher - 1e-6
        assert report.starts > 1
        gap = report.log_likelihood - lower
        assert any(f"another maximum, {gap:.3g} lower" in note for note in report.notes), report.notes


SETS = {"nbd": 2_000, "bg": 2_000, "mbg": 2_000, "pareto": 2_000, "bg_bb": 2_000, "gamma": 2_000, "sbg": 2_000}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SETS))
def test_no_fit_called_converged_has_a_better_point_within_reach_of_ten_random_starts(kind):
    rng = np.random.default_rng(31)
    random = np.random.default_rng(32)
    converged = 0
    for row in range(SETS[kind]):
        drawn = data.drawn(kind, rng)
        try:
            model = data.MODELS[kind].fit(drawn)
        except NotEnoughDataError:
            continue
        report = model.fit_report
        surface, begin = data.surface(kind, drawn)
        objective = data.in_logs(surface, begin)
        here = np.log(model.parameters / begin)
        converged += report.converged
        for start in random.normal(0.0, 1.7, (10, len(begin))):
            end = maximize(objective, start, known=[here] if report.converged else [], limit=15)
            if end.merged or end.value <= report.log_likelihood + 1e-5:
                continue
            inside = end.settled and not end.at_box.any() and np.abs(end.theta).max() < 9
            # flat there too: the same reason
            inside = inside and np.linalg.eigvalsh(-end.hessian)[0] > 1 / 400
            assert not report.converged, (row, end, report)
            # where a fit says it ran off, there is no better maximum inside either
            assert not inside, (row, end, report)
    assert converged > SETS[kind] * 0.75


def test_a_maximum_known_as_exactly_as_its_sum_allows_is_one():
    """Sums of millions of logarithms round by more than the last steps promise to win."""
    converged = 0
    for mean, n, p, v in ((100, 1_000, 4.0, 15.0), (100, 3_000, 6.0, 1_500.0), (100, 5_000, 2.0, 15.0)):
        rng = np.random.default_rng(41)
        for _ in range(30):
            x = 1.0 + rng.poisson(mean if v > 15 else rng.gamma(2.0, mean / 2.0, n), n)
            money = rng.gamma(p * x, 1.0 / rng.gamma(3.5, 1.0 / v, n)) / x
            s = PurchaseSummary(frequency=x, recency=x, T=x + 1, monetary_value=money)
            report = GammaGamma.fit(s).fit_report
            assert not any("without a maximum" in text for text in report.problems), report
            converged += report.converged
    assert converged > 60  # the others run off to a large p, where spend hardly varies within a customer


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "truth", "runs"), [
    ("nbd", (0.6, 8.0), 200), ("bg", (0.5, 5.0, 0.9, 2.5), 200), ("mbg", (0.7, 5.0, 0.9, 2.5), 200),
    ("pareto", (0.7, 6.0, 0.8, 12.0), 200),
])  # fmt: skip
def test_intervals_cover_the_parameters_that_made_the_data(kind, truth, runs):
    rng = np.random.default_rng(11)
    covered = np.zeros(len(truth))
    stood = 0
    for _ in range(runs):
        s = data.simulated(kind, 4_000, truth, rng.uniform(27, 52, 4_000), rng)
        report = MODELS[kind].fit(s).fit_report
        stood += report.converged
        for i, interval in enumerate(report.confidence_interval().values()):
            covered[i] += truth[i] in interval
    assert stood == runs
    assert (covered / runs >= 0.91).all(), covered / runs
    assert (covered / runs <= 0.985).all(), covered / runs


@pytest.mark.slow
def test_gamma_gamma_intervals_cover_the_parameters_that_made_the_data():
    rng = np.random.default_rng(12)
    p, q, v = 4.0, 3.5, 15.0
    covered = np.zeros(3)
    for _ in range(200):
        x = rng.integers(1, 9, 2_000).astype(float)
        nu = rng.gamma(q, 1 / v, 2_000)
        money = rng.gamma(p * x, 1 / nu) / x
        s = PurchaseSummary(frequency=x, recency=x, T=x + 1, monetary_value=money)
        intervals = GammaGamma.fit(s).fit_report.confidence_interval()
        covered += [truth in interval for truth, interval in zip((p, q, v), intervals.values(), strict=True)]
    assert (np.abs(covered / 200 - 0.95) <= 0.04).all(), covered
