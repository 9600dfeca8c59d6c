"""How often 95 % intervals hold the truth: exact enumeration for shares, seeded simulation for the rest.

Run ``python benchmarks/coverage.py``. The rival is tea-tasting with its defaults, through its own code.
"""

from __future__ import annotations

import timing  # isort: skip  (it sets the BLAS to one thread, so it comes before numpy)

import numpy as np
from scipy.special import gammaln

from relmark.experiments import (
    ConfidenceSequence,
    Mean,
    Moments,
    Proportion,
    Ratio,
    alpha_spending,
    analyze,
    complier_effect,
)
from relmark.experiments.heterogeneity import post_stratified

SEED = 20261122
TEA = True
try:
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates
except ImportError:
    TEA = False


def binomial(n: int, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts that matter and their chances: all but 1e-12 of the distribution."""
    spread = 8 * np.sqrt(n * p * (1 - p)) + 10
    x = np.arange(max(int(n * p - spread), 0), min(int(n * p + spread), n) + 1)
    logs = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1) + x * np.log(p) + (n - x) * np.log1p(-p)
    return x, np.exp(logs)


def tables(n1: int, p1: float, n0: int, p0: float) -> tuple[Moments, np.ndarray]:
    """Return every pair of counts as one segment of Moments, and the chance of each."""
    x1, w1 = binomial(n1, p1)
    x0, w0 = binomial(n0, p0)
    a, b = (grid.reshape(-1) for grid in np.meshgrid(x1, x0, indexing="ij"))
    chance = np.outer(w1, w0).reshape(-1)
    count = np.stack([np.full(len(a), n0), np.full(len(a), n1)]).astype(float)
    mean = np.stack([b / n0, a / n1])[..., None]
    moments = Moments(
        columns=("x",),
        arms=("control", "mail"),
        segments=tuple(map(str, range(len(a)))),
        count=count,
        mean=mean,
        scatter=(count * mean[..., 0] * (1 - mean[..., 0]))[..., None, None],
    )
    return moments, chance


def rows_of(moments: Moments, metric, **options):
    """Return the columns of a report, without the row for everybody."""
    report = analyze(moments, metrics=[metric], **options)
    return report.rows(report.segment != "")


def share_coverage(n1: int, p1: float, n0: int, p0: float, **options: str) -> tuple[float, float]:
    """Return the exact coverage of the difference and of the relative effect."""
    moments, chance = tables(n1, p1, n0, p0)
    r = rows_of(moments, Proportion("x", **options))
    d, q = p1 - p0, p1 / p0 - 1
    covers = (r.difference_low <= d) & (d <= r.difference_high)
    relative = (r.relative_low <= q) & (q <= r.relative_high)
    return float(chance[covers].sum()), float(chance[relative].sum())


def tea_share_coverage(n1: int, p1: float, n0: int, p0: float) -> tuple[float, float]:
    """Return the same for tea-tasting, over the pairs of counts that together leave out less than 1e-4."""
    moments, chance = tables(n1, p1, n0, p0)
    metric = tt.Proportion("x")
    order = np.argsort(-chance)
    kept = order[: int(np.searchsorted(np.cumsum(chance[order]), 1 - 1e-4)) + 1]
    d, q = p1 - p0, p1 / p0 - 1
    covered = relative = 0.0
    for at in kept:
        arms = [Aggregates(count_=n, mean_={"x": float(moments.mean[k, at, 0])}) for k, n in ((0, n0), (1, n1))]
        found = metric.analyze_aggregates(*arms)
        covered += chance[at] * (found.effect_size_ci_lower <= d <= found.effect_size_ci_upper)
        relative += chance[at] * (found.rel_effect_size_ci_lower <= q <= found.rel_effect_size_ci_upper)
    total = chance[kept].sum()
    return float(covered / total), float(relative / total)


def simulated(draw, repeats: int, seed: int) -> Moments:
    """Return simulated tests as the segments of one Moments: `draw` makes the columns of an arm, (repeats, n)."""
    rng = np.random.default_rng(seed)
    counts, means, scatters = [], [], []
    for arm in (0, 1):
        parts = []
        left = repeats
        while left:
            k = min(left, 200)
            columns = np.stack(draw(rng, arm, k), axis=-1)
            mean = columns.mean(axis=1)
            away = columns - mean[:, None]
            parts.append((np.full(k, float(columns.shape[1])), mean, np.einsum("rni,rnj->rij", away, away)))
            left -= k
        for store, piece in zip((counts, means, scatters), zip(*parts, strict=True), strict=True):
            store.append(np.concatenate(piece))
    names = "yxzw"[: means[0].shape[-1]]
    return Moments(
        columns=tuple(names),
        arms=("control", "mail"),
        segments=tuple(map(str, range(repeats))),
        count=np.stack(counts),
        mean=np.stack(means),
        scatter=np.stack(scatters),
    )


def mean_coverage(moments: Moments, metric, difference: float, relative: float) -> tuple[float, float]:
    """Return the coverage of the difference and the relative effect over simulated tests."""
    r = rows_of(moments, metric)
    covers = (r.difference_low <= difference) & (difference <= r.difference_high)
    also = (r.relative_low <= relative) & (relative <= r.relative_high)
    return float(covers.mean()), float(also.mean())


def tea_mean_coverage(moments: Moments, metric, difference: float, relative: float, most: int) -> tuple[float, float]:
    """Return the same for tea-tasting, over the first `most` simulated tests."""
    cov = moments.covariance()
    names = moments.columns
    covered = also = 0
    for at in range(most):
        arms = []
        for a in (0, 1):
            pairs = {(p, q): float(cov[a, at, i, j]) for i, p in enumerate(names) for j, q in enumerate(names) if p < q}
            arms.append(
                Aggregates(
                    count_=int(moments.count[a, at]),
                    mean_={name: float(moments.mean[a, at, i]) for i, name in enumerate(names)},
                    var_={name: float(cov[a, at, i, i]) for i, name in enumerate(names)},
                    cov_=pairs,
                )
            )
        found = metric.analyze_aggregates(*arms)
        covered += found.effect_size_ci_lower <= difference <= found.effect_size_ci_upper
        also += found.rel_effect_size_ci_lower <= relative <= found.rel_effect_size_ci_upper
    return covered / most, also / most


def line(name: str, ours: tuple[float, float], rival: tuple[float, float] | None) -> None:
    """Print one row of the table."""
    beside = "       -         -" if rival is None else f"{100 * rival[0]:8.2f}  {100 * rival[1]:8.2f}"
    print(f"{name:66}  {100 * ours[0]:8.2f}  {100 * ours[1]:8.2f}  {beside}")


def shares() -> None:
    """Print exact coverage for shares."""
    print("Shares, exact enumeration (percent; 95 is promised)")
    print(f"{'treatment against control':66}  {'diff':>8}  {'relative':>8}  {'tea diff':>8}  {'tea rel':>8}")
    for n1, p1, n0, p0 in (
        (9500, 0.02, 500, 0.04),
        (9500, 0.04, 500, 0.02),
        (9500, 0.02, 500, 0.02),
        (1900, 0.10, 100, 0.05),
    ):
        rival = tea_share_coverage(n1, p1, n0, p0) if TEA else None
        line(f"{n1:,} at {p1:.2f} against {n0:,} at {p0:.2f}", share_coverage(n1, p1, n0, p0), rival)
    rates = (0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.50)
    sizes = (500, 1000, 2000, 5000, 10000, 20000)
    grid = {(n, p1, p0): share_coverage(n * 19 // 20, p1, n // 20, p0) for n in sizes for p0 in rates for p1 in rates}
    print(f"grid of {len(grid)} at 95 to 5 (people {sizes}, rates {rates}):")
    for label, some in (("people 1,000 and more", sizes[1:]), ("people 500", sizes[:1])):
        diffs = {key: found[0] for key, found in grid.items() if key[0] in some}
        at = min(diffs, key=lambda key: diffs[key])
        print(
            f"  difference, Newcombe, {label}: lowest {100 * diffs[at]:.2f} (people {at[0]:,}, treatment {at[1]}, "
            f"control {at[2]}), mean {100 * np.mean(list(diffs.values())):.2f}, highest {100 * max(diffs.values()):.2f}"
        )
    for name in ("miettinen-nurminen", "agresti-caffo"):
        some = [share_coverage(n * 19 // 20, p1, n // 20, p0, interval=name)[0] for n, p1, p0 in list(grid)[::5]]
        print(f"  difference, {name}, every fifth: lowest {100 * min(some):.2f}, mean {100 * np.mean(some):.2f}")
    some = [key for key in grid if key[0] // 20 * key[2] >= 10]
    many = [grid[key][1] for key in some]
    print(
        f"  relative, MOVER-R, where control expects 10 or more ({len(some)}): lowest {100 * min(many):.2f}, "
        f"mean {100 * np.mean(many):.2f}"
    )
    many = [share_coverage(n * 19 // 20, p1, n // 20, p0, relative="log")[1] for n, p1, p0 in some[::5]]
    print(f"  relative, log, every fifth of these: lowest {100 * min(many):.2f}, mean {100 * np.mean(many):.2f}")
    equal_shares()


def equal_shares() -> None:
    """Print how often two equal shares are found to differ, at the worst of 49 shares, by exact enumeration."""
    print("Equal shares found to differ (percent; 5 is promised), at the worst share of .02 to .98")
    print(f"{'treatment against control':30}  {'Newcombe':>8}  {'p-value':>8}  {'MOVER-R':>8}  {'log':>8}")
    for n1, n0 in ((2, 2), (10, 10), (100, 100), (90, 10), (950, 50)):
        worst = np.zeros(4)
        for p in np.linspace(0.02, 0.98, 49):
            moments, chance = tables(n1, p, n0, p)
            r, log = (rows_of(moments, Proportion("x", relative=how)) for how in ("mover-r", "log"))
            found = [
                (r.difference_low > 1e-12) | (r.difference_high < -1e-12),
                r.p_value < 0.05,
                (r.relative_low > 1e-12) | (r.relative_high < -1e-12),
                (log.relative_low > 1e-12) | (log.relative_high < -1e-12),
            ]
            worst = np.maximum(worst, [100 * chance[one].sum() for one in found])
        print(f"{f'{n1:,} against {n0:,}':30}  " + "  ".join(f"{one:8.2f}" for one in worst))


def spend(rng: np.random.Generator, k: int, n: int, buy: float, factor: float) -> np.ndarray:
    """Return spend: most people nothing, the others a long tail."""
    return (rng.random((k, n)) < buy) * rng.lognormal(3.0, 1.0, (k, n)) * factor


def amounts() -> None:
    """Print simulated coverage for means, ratios, adjusted means and their relative effects."""
    repeats, most = 8_000, 2_000
    error = 100 * np.sqrt(0.95 * 0.05 / repeats)
    print(f"\nMeans and ratios, {repeats:,} simulated tests each (standard error {error:.2f}; tea-tasting {most:,})")
    print(f"{'what':66}  {'diff':>8}  {'relative':>8}  {'tea diff':>8}  {'tea rel':>8}")

    def both(name, draw, metric, rival, difference, relative, seed):
        moments = simulated(draw, repeats, SEED + seed)
        beside = tea_mean_coverage(moments, rival, difference, relative, most) if TEA else None
        line(name, mean_coverage(moments, metric, difference, relative), beside)
        return moments

    sizes = (500, 9500)
    base = 0.05 * np.exp(3.5)
    moments = both(
        "spend, 5 % buy, +20 %, 9,500 against 500",
        lambda rng, arm, k: [spend(rng, k, sizes[arm], 0.05, 1.2 if arm else 1.0)],
        Mean("y"),
        tt.Mean("y") if TEA else None,
        0.2 * base,
        0.2,
        1,
    )
    for how in ("log", "delta"):
        line(f"  the same, relative by {how}", mean_coverage(moments, Mean("y", relative=how), 0.2 * base, 0.2), None)
    moments = simulated(
        lambda rng, arm, k: [spend(rng, k, (2500, 47500)[arm], 0.05, 1.2 if arm else 1.0)], 2_000, SEED + 9
    )
    for how in ("fieller", "log", "delta"):
        found = mean_coverage(moments, Mean("y", relative=how), 0.2 * base, 0.2)
        line(f"spend, 47,500 against 2,500, relative by {how} (2,000 tests)", found, None)
    for how in ("fieller", "log", "delta"):
        moments = simulated(lambda rng, arm, k: [rng.normal(0.5 + 0.1 * arm, 3, (k, 300))], repeats, SEED + 10)
        found = mean_coverage(moments, Mean("y", relative=how), 0.1, 0.2)
        line(f"control mean 2.9 standard errors from zero, {how}", found, None)
    both(
        "normal, sd 1 against 3, 40 against 10",
        lambda rng, arm, k: [10 + (rng.normal(0, 1, (k, 40)) if arm else rng.normal(0, 3, (k, 10)))],
        Mean("y"),
        tt.Mean("y") if TEA else None,
        0.0,
        0.0,
        2,
    )

    def orders(rng: np.random.Generator, arm: int, k: int) -> list[np.ndarray]:
        count = rng.poisson(2.0, (k, sizes[arm])) + 1.0
        return [count * rng.lognormal(2.0, 0.5, count.shape) * (1.1 if arm else 1.0), count]

    ratio = np.exp(2.0 + 0.125)
    both(
        "spend per order, +10 %, 9,500 against 500",
        orders,
        Ratio("y", "x"),
        tt.RatioOfMeans("y", "x") if TEA else None,
        0.1 * ratio,
        0.1,
        3,
    )

    def cuped(n0: int, n1: int, rho: float, lift: float, mean: float, slope: float):
        def draw(rng: np.random.Generator, arm: int, k: int) -> list[np.ndarray]:
            x = rng.normal(0, 1, (k, n1 if arm else n0))
            y = mean + (slope if arm else 1.0) * rho * x + np.sqrt(1 - rho**2) * rng.normal(0, 1, x.shape)
            return [y + (lift * mean if arm else 0.0), mean + x]

        return draw

    both(
        "CUPED, rho .7, +10 %, 9,500 against 500",
        cuped(500, 9500, 0.7, 0.1, 5.0, 1.0),
        Mean("y", covariates=["x"]),
        tt.Mean("y", "x") if TEA else None,
        0.5,
        0.1,
        4,
    )
    both(
        "CUPED, rho .7, slope twice as steep in treatment, 300 each",
        cuped(300, 300, 0.7, 0.1, 5.0, 2.0),
        Mean("y", covariates=["x"]),
        tt.Mean("y", "x") if TEA else None,
        0.5,
        0.1,
        5,
    )

    def doubled(rng: np.random.Generator, arm: int, k: int) -> list[np.ndarray]:
        x = rng.normal(10, 3, (k, 300))
        y = 0.98 * x + np.sqrt(1 - 0.98**2) * rng.normal(0, 3, x.shape) + 0.2
        return [2 * y if arm else y, x]

    both(
        "CUPED, rho .98, +100 %, 300 each",
        doubled,
        Mean("y", covariates=["x"]),
        tt.Mean("y", "x") if TEA else None,
        10.0,
        1.0,
        6,
    )

    def shifted(rng: np.random.Generator, arm: int, k: int) -> list[np.ndarray]:
        x = rng.normal(10, 3, (k, 300))
        y = 0.98 * x + np.sqrt(1 - 0.98**2) * rng.normal(0, 3, x.shape) + 0.2
        return [y + 10 * arm, x]

    both(
        "the same, everybody 10 more instead of twice as much",
        shifted,
        Mean("y", covariates=["x"]),
        tt.Mean("y", "x") if TEA else None,
        10.0,
        1.0,
        11,
    )
    moments = simulated(cuped(20, 20, 0.7, 0.1, 5.0, 1.0), repeats, SEED + 7)
    line("CUPED, rho .7, 20 each", mean_coverage(moments, Mean("y", covariates=["x"]), 0.5, 0.1), None)

    def adjusted_ratio(rng: np.random.Generator, arm: int, k: int) -> list[np.ndarray]:
        before = rng.gamma(2.0, 1.0, (k, sizes[arm]))
        count = rng.poisson(before) + 1.0
        money = count * before * rng.lognormal(0.0, 0.5, count.shape) * (1.1 if arm else 1.0)
        return [money, count, before]

    # E[count * before] / E[count] with before gamma(2): (E[b^2] + E[b]) / (E[b] + 1) = 8 / 3, times E[lognormal].
    truth = 8 / 3 * np.exp(0.125)
    moments = simulated(adjusted_ratio, repeats, SEED + 8)
    found = mean_coverage(moments, Ratio("y", "x", covariates=["z"]), 0.1 * truth, 0.1)
    line("spend per order adjusted for spend before, +10 %", found, None)
    sizes = (5000, 20000)
    found = mean_coverage(
        simulated(adjusted_ratio, 2_000, SEED + 12), Ratio("y", "x", covariates=["z"]), 0.1 * truth, 0.1
    )
    line("  the same, 20,000 against 5,000 (2,000 tests)", found, None)


def others() -> None:
    """Print simulated coverage of what has no rival here."""
    rng = np.random.default_rng(SEED + 20)
    repeats = 1_000
    print(f"\nOthers, {repeats:,} simulated tests each (standard error {100 * np.sqrt(0.0475 / repeats):.2f})")
    print(f"{'what':66}  {'diff':>8}")
    hits = [0, 0]
    for _ in range(repeats):
        arm = rng.permutation(np.repeat([0, 1], [200, 1800]))
        stratum = rng.integers(0, 5, 2000)
        opened = (arm == 1) & (rng.random(2000) < 0.3)
        y = 3.0 * stratum + rng.gamma(1.0, 2.0, 2000) + 1.0 * opened
        moments = Moments.from_columns({"y": y, "opened": opened}, arm, segment=stratum)
        hits[0] += 0.3 in _interval(post_stratified(moments, Mean("y"), control=0).difference)
        effect = complier_effect(moments, outcome="y", received="opened", control=0).effect
        hits[1] += 1.0 in _interval(effect)
    print(f"{'post-stratified mean, 5 strata':66}  {100 * hits[0] / repeats:8.2f}")
    print(f"{'effect on the 30 % who open':66}  {100 * hits[1] / repeats:8.2f}")
    # Peeking: no effect at all, and 50 looks at the running test.
    looks, each = 50, 200
    n = each * np.arange(1, looks + 1)
    y = rng.exponential(1.0, (repeats, 2, looks, each // 2))
    mean = y.sum(axis=-1).cumsum(axis=-1) / (n / 2)
    square = (y**2).sum(axis=-1).cumsum(axis=-1) / (n / 2)
    variance = (square - mean**2) * (n / 2) / (n / 2 - 1)
    z = (mean[:, 1] - mean[:, 0]) / np.sqrt(variance.sum(axis=1) / (n / 2))
    sequence = ConfidenceSequence(expected=float(n[-1]))
    always = sequence.critical(np.full(looks, 0.05), n.astype(float))
    plan = alpha_spending(looks)
    print(f"{'peeking 50 times, no effect: tests that find one':66}  {'':8}")
    print(f"{'  95 % intervals, looked at each time':66}  {100 * (np.abs(z) > 1.959964).any(axis=1).mean():8.2f}")
    print(f"{'  confidence sequence':66}  {100 * (np.abs(z) > always).any(axis=1).mean():8.2f}")
    print(f"{'  alpha spending, O Brien-Fleming':66}  {100 * (np.abs(z) > plan.bound).any(axis=1).mean():8.2f}")


def _interval(estimate):
    return estimate.interval if estimate.interval is not None else ()


if __name__ == "__main__":
    print(timing.heading(*(["tea-tasting"] if TEA else [])), f"seed {SEED}")
    shares()
    amounts()
    others()
