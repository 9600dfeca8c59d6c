"""The predictions against 30-digit arithmetic, at the places where double precision is hardest."""

import mpmath as mp
import numpy as np
import pytest

from relmark.ltv import BgCnbd, BgNbd, MbgCnbd, MbgNbd, ParetoNbd, PurchaseSummary
from relmark.ltv._geometric_dropout import discounted
from relmark.ltv._hypergeometric import beta_mean, beta_mean_by_trapezoid

CUSTOMERS = [(0, 0, 0.0), (0, 0, 39.0), (1, 0, 10.0), (1, 10, 10.0), (2, 30.43, 38.86), (30, 35, 39.0)]
HARD = [(3000, 38.8, 38.86), (3000, 20, 38.86), (3000, 38.86, 38.86)]
HORIZONS = (1e-9, 1e-3, 1.0, 39.0, 520.0, 1e5)
COIN = [
    (0.243, 4.414, 0.793, 2.426),
    (0.243, 4.414, 1.0, 2.426),  # a = 1
    (0.5, 2.0, 0.4, 0.6),  # a + b = 1
    (1.0, 3.0, 1.0, 1.0),  # whole numbers: poles of the transformation
    (2.0, 1.0, 1 + 1e-9, 0.3),
    (5.0, 0.1, 3.0, 0.05),
    (0.05, 100.0, 0.02, 20.0),
    (60.0, 50.0, 1.5, 2.5),
    (0.3, 8.0, 30.0, 900.0),
]


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(30):
        yield


def error(got, want):
    return float(abs(mp.mpf(float(got)) - want) / abs(want))


@pytest.mark.parametrize("p", COIN)
@pytest.mark.parametrize("model", [BgNbd, MbgNbd])
def test_coin_models_agree_with_mpmath_everywhere(model, p):
    m = model(**dict(zip(model.names(), p, strict=True)))
    r, alpha, a, b = map(mp.mpf, p)
    for x, t_x, T in CUSTOMERS + HARD:
        s = PurchaseSummary(frequency=x, recency=t_x, T=T)
        k, M, bp = r + x, alpha + mp.mpf(T), b + x + m.shift
        tolerance = 3e-11 if x == 3000 else 5e-12
        if x + m.shift:
            odds = a / (bp - 1) * (M / (alpha + mp.mpf(t_x))) ** k
            alive = 1 / (1 + odds)
            if alive > 1e-290:
                assert error(m.probability_alive(s)[0], alive) < 3e-13
        else:
            assert m.probability_alive(s)[0] == 1.0
        for t in HORIZONS:
            q = mp.mpf(t) / M
            want = k * q * mp.hyp3f2(k + 1, a, 1, a + bp, 2, -q)
            assert error(m.expected_purchases_if_alive(s, t)[0], want) < tolerance, (x, T, t)
            if t < 1e5 and x < 3000:
                by_rate = discounted(m._plain, s.frequency, s.T, np.array([t]), 0.0)[0]
                assert error(by_rate, want) < 5e-11, (x, T, t)


@pytest.mark.parametrize(("K", "a", "b", "q"), [
    (3.5, 0.7, 2.0, 0.0), (2.0, 1.0, 1.0, 1e3), (61.0, 1.5, 2.5, 1e3), (3060.0, 1.5, 3002.5, 1e3),
    (3.0, 1e-3, 1e-3, 50.0), (3.0, 1e-3, 1e-3, 1e8), (1.25, 0.25, 2.0, 1e6), (20.0, 40.0, 3.0, 2.0),
])  # fmt: skip
def test_the_mean_over_the_chance_to_leave_agrees_with_mpmath_by_both_ways(K, a, b, q):
    want = mp.hyp2f1(K, a, mp.mpf(a) + mp.mpf(b), -mp.mpf(q))
    assert error(beta_mean(K, a, b, q)[0], want) < 1e-11
    assert error(beta_mean_by_trapezoid(np.array([K]), a, np.array([b]), np.array([q]))[0], want) < 1e-11


PARETO = [
    (0.55, 10.6, 0.6, 11.7),
    (0.55, 10.6, 1.0, 11.7),
    (2.0, 0.3, 0.05, 300.0),
    (0.3, 200.0, 3.0, 0.1),
    (1, 5, 1, 5),
]


@pytest.mark.parametrize("p", PARETO)
def test_pareto_nbd_agrees_with_mpmath(p):
    m = ParetoNbd(**dict(zip(ParetoNbd.names(), map(float, p), strict=True)))
    r, alpha, s_, beta = map(mp.mpf, p)
    with mp.workdps(20):
        for x, t_x, T in [*CUSTOMERS[:5], (3000, 38.8, 38.86), (40, 30, 1e4)]:
            s = PurchaseSummary(frequency=x, recency=t_x, T=T)
            k, t0, T_ = r + x, mp.mpf(t_x), mp.mpf(T)
            # y = t_x + scale (e^z - 1), with the scale over which the integrand falls first
            scale = min(alpha + t0, beta + t0) / (k + s_)
            top = mp.log1p((T_ - t0) / scale)

            def over_deaths(f, scale=scale, top=top, t0=t0, k=k):
                def integrand(z):
                    y = t0 + scale * mp.expm1(z)
                    weight = ((alpha + y) / (alpha + t0)) ** -k * s_ * (beta + y) ** -(s_ + 1)
                    return f(y) * weight * scale * mp.exp(z)

                return mp.quad(integrand, mp.linspace(0, top, 9), maxdegree=4) if top > 0 else mp.mpf(0)

            living = ((alpha + T_) / (alpha + t0)) ** -k * (beta + T_) ** -s_
            dead = over_deaths(lambda _: mp.mpf(1))
            if living / (living + dead) > 1e-290:
                assert error(m.probability_alive(s)[0], living / (living + dead)) < 3e-12
            rate = k * (living / (alpha + T_) + over_deaths(lambda y: 1 / (alpha + y))) / (living + dead)
            assert error(m.posterior_rate(s)[0], rate) < 1e-11
            N = beta + T_
            for t in (1e-6, 1.0, 39.0, 1e4):
                with mp.workdps(40):
                    grow = mp.log1p(t / N) if s_ == 1 else (1 - (1 + t / N) ** (1 - s_)) / (s_ - 1)
                    want = k / (alpha + T_) * N * grow
                assert error(m.expected_purchases_if_alive(s, t)[0], want) < 1e-13
            for delta in (0.0027, 0.5):
                want = k / (alpha + T_) * N * mp.exp(delta * N) * mp.expint(s_, delta * N)
                got = m.residual_transactions(s, delta)[0] / m.probability_alive(s)[0] if living > 0 else None
                if m.probability_alive(s)[0] > 0:
                    assert error(got, want) < 1e-11


def test_discounted_residual_purchases_agree_with_mpmath():
    for p in COIN[:4]:
        for model in (BgNbd, MbgNbd):
            m = model(**dict(zip(model.names(), p, strict=True)))
            r, alpha, a, b = map(mp.mpf, p)
            s = PurchaseSummary(frequency=2, recency=30.43, T=38.86)
            k, M, bp = r + 2, alpha + mp.mpf(38.86), b + 2 + m.shift
            delta = mp.mpf(0.0027)

            def flow(y, k=k, M=M, bp=bp, a=a, delta=delta):
                return k * mp.hyp2f1(k + 1, a, a + bp, -mp.expm1(y)) * mp.exp(y - delta * M * mp.expm1(y))

            with mp.workdps(16):
                want = mp.quad(flow, mp.linspace(0, mp.log1p(45 / (delta * M)), 9), maxdegree=4)
            got = m.residual_transactions(s, 0.0027)[0] / m.probability_alive(s)[0]
            assert error(got, want) < 1e-11


@pytest.mark.parametrize("p", [COIN[0], COIN[7]])
@pytest.mark.parametrize("model", [BgNbd, MbgNbd])
def test_discounted_purchases_by_step_agree_with_mpmath(model, p):
    m = model(**dict(zip(model.names(), p, strict=True)))
    r, alpha, a, b = map(mp.mpf, p)
    # the last horizon is long against the age of the young, and 1e-5 too short for a sum over it
    for ends, delta in (([4.35, 52.18], 0.0027), ([0.0, 3.0, 30.0], 0.4), ([1e-5, 520.0], 0.0027)):
        s = PurchaseSummary(frequency=[0, 2, 30], recency=[0, 30.43, 35], T=[2.0, 38.86, 39.0])
        got = m.expected_purchases_until(s, ends, delta)
        for row, (x, T) in enumerate(zip(s.frequency.tolist(), s.T.tolist(), strict=True)):
            k, M, bp = r + x, alpha + mp.mpf(T), b + x + m.shift

            def flow(y, k=k, M=M, bp=bp, a=a, delta=delta):
                return k * mp.hyp2f1(k + 1, a, a + bp, -mp.expm1(y)) * mp.exp(y - delta * M * mp.expm1(y))

            want, begin = mp.mpf(0), 0.0
            for place, end in enumerate(ends):
                with mp.workdps(16):
                    corners = mp.linspace(mp.log1p(begin / M), mp.log1p(end / M), 3)
                    want += mp.quad(flow, corners, maxdegree=4) if end > begin else 0
                begin = end
                assert (error(got[place, row], want) < 1e-11) if end else (got[place, row] == 0.0), (x, T, end)


REGULAR = [(2, 1.3, 2.8, 0.42, 0.79), (3, 0.35, 1.1, 1.0, 2.8), (12, 2.0, 0.3, 1 + 1e-9, 0.3), (5, 30.0, 9.0, 2.5, 4.0)]


@pytest.mark.parametrize("p", [REGULAR[0], *(pytest.param(p, marks=pytest.mark.slow) for p in REGULAR[1:])])
@pytest.mark.parametrize("model", [BgCnbd, MbgCnbd])
def test_regular_models_agree_with_mpmath(model, p):
    m = model(k=p[0], **dict(zip(model.names(), p[1:], strict=True)))
    k, (r, alpha, a, b) = p[0], map(mp.mpf, p[1:])
    with mp.workdps(40):
        for x, t_x, T in ((0, 0.0, 0.0), (0, 0.0, 30.0), (3, 20.0, 30.0), (10, 50.0, 52.0), (30, 35.0, 39.0)):
            s = PurchaseSummary(frequency=x, recency=t_x, T=T)
            K, M, bp, silence = r + k * x, alpha + mp.mpf(T), b + x + m.shift, mp.mpf(T) - mp.mpf(t_x)
            A = [mp.rf(K, j) / mp.factorial(j) * (silence / M) ** j for j in range(k)]
            D = a / (bp - 1) * (M / (alpha + mp.mpf(t_x))) ** K if x + m.shift else mp.mpf(0)
            alive, stage = sum(A) / (sum(A) + D), [part / sum(A) for part in A]
            assert error(m.probability_alive(s)[0], alive) < 1e-13

            def survives(n, bp=bp):
                return mp.beta(a, bp + n - 1) / mp.beta(a, bp)

            for t in (1e-3, 1.0, 26.0):
                z = mp.mpf(t) / (M + mp.mpf(t))
                due = {}

                def at_least(n, z=z, K=K, stage=stage, due=due):
                    if n not in due:
                        due[n] = sum(
                            share * (mp.betainc(n * k - j, K + j, 0, z, regularized=True) if share else 0)
                            for j, share in enumerate(stage)
                        )
                    return due[n]

                want, n = mp.mpf(0), 1
                while n < 3 or at_least(n) > want * mp.mpf(10) ** -22:
                    want += survives(n) * at_least(n)
                    n += 1
                assert error(m.expected_purchases_if_alive(s, t)[0], want) < 2e-12, (x, T, t)
                stays = 1 - sum((survives(i) - survives(i + 1)) * at_least(i) for i in range(1, n))
                assert error(m.probability_alive(s, at=t)[0], alive * stays) < 1e-12
                for count in (1, 2):
                    exactly = survives(count) * at_least(count) - survives(count + 1) * at_least(count + 1)
                    got = m.purchase_probabilities(s, t, count)[0]
                    if exactly > 1e-15:
                        assert error(got, alive * exactly) < 1e-11
            for delta in (0.0027, 0.3):

                def flow(lam, delta=delta, K=K, M=M, bp=bp, stage=stage):
                    phi = lam / (lam + mp.mpf(delta))
                    over = mp.hyp2f1(1, bp, a + bp, phi**k)
                    return over * sum(
                        share * M ** (K + j) * lam ** (K + j - 1) * mp.exp(-M * lam) / mp.gamma(K + j) * phi ** (k - j)
                        for j, share in enumerate(stage)
                    )

                mode = (K + k) / M
                points = [0, mode / 100, mode / 10, mode / 2, mode, mode * 2, mode * 4, mode * 10 + 80 / M]
                with mp.workdps(20):
                    want = mp.quad(flow, points)
                assert error(m.residual_transactions(s, delta)[0], alive * want) < 1e-9, (x, T, delta)
