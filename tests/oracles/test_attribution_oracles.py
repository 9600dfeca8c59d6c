"""Attribution against slow obvious versions, and against the two packages people use."""

from __future__ import annotations

import csv
import gzip
import os
import runpy
import types
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from relmark.attribution import Journeys, Linear, Markov, MarkovModel, Shapley, TransitionCounts
from relmark.attribution import _chain as kernels
from relmark.attribution.markov import _chain

oracle = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "attribution_oracles.py")))
DATA = Path(os.environ.get("RELMARK_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "path_data.csv.gz"


def random_paths(rng, n, names, longest=6):
    lists = [[str(rng.choice(names)) for _ in range(rng.integers(1, longest + 1))] for _ in range(n)]
    lists.append([*names, names[0]])  # every channel occurs and converts
    conversions = [*(int(c) for c in rng.integers(0, 3, n)), 2]
    nulls = [int(c) for c in rng.integers(0, 5, n + 1)]
    value = [c * int(v) for c, v in zip(conversions, rng.integers(1, 9, n + 1), strict=True)]
    return lists, conversions, nulls, value


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_four_ways_to_compute_removal_effects_agree(order, seed):
    rng = np.random.default_rng(seed)
    names = list("abcd")
    lists, conversions, nulls, value = random_paths(rng, 7, names, 5)
    j = Journeys.from_paths(lists, conversions, value, nulls)
    model = Markov(order=order).fit(j)
    channels = j.channels.tolist()
    exact = [float(e) for e in oracle.removal_effects(lists, conversions, nulls, channels, order)]
    np.testing.assert_allclose(model.removal_effects, exact, rtol=1e-12)
    np.testing.assert_allclose(
        oracle.removal_effects_by_woodbury(lists, conversions, nulls, channels, order), exact, atol=1e-11
    )
    np.testing.assert_allclose(
        oracle.removal_effects_by_walks(lists, conversions, nulls, channels, order, 3_000), exact, atol=1e-11
    )
    worth = [float(e) for e in oracle.removal_effects(lists, conversions, nulls, channels, order, value)]
    np.testing.assert_allclose(model.value_removal_effects, worth, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_joint_removal_is_exact(order):
    rng = np.random.default_rng(7)
    lists, conversions, nulls, _ = random_paths(rng, 8, list("abcd"))
    model = Markov(order=order).fit(Journeys.from_paths(lists, conversions, nulls=nulls))
    every = oracle.reward_without(lists, conversions, nulls, order, set())
    for removed in ({"a", "b"}, {"b", "c", "d"}, {"a"}, set("abcd")):
        exact = 1 - oracle.reward_without(lists, conversions, nulls, order, removed) / every
        assert model.removal_of(removed) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_three_kernels_agree(order):
    rng = np.random.default_rng(order)
    lists, conversions, nulls, value = random_paths(rng, 300, list("abcdefg"), 9)
    counts = TransitionCounts.of(Journeys.from_paths(lists, conversions, value, nulls), order)
    chain, label = _chain(counts), counts.grams[:, -1].astype(np.int64)
    h, phi = kernels._by_inverse(chain, label, 7)
    h_sparse, phi_sparse = kernels._by_sparse_factors(chain, label, 7)
    h_walk = kernels.success_by_iteration(chain)
    phi_walk = kernels.first_met_by_iteration(chain, label, 7, h_walk)
    for other in (h_sparse, h_walk):
        np.testing.assert_allclose(other, h, rtol=1e-12)
    for other in (phi_sparse, phi_walk):
        np.testing.assert_allclose(other, phi, rtol=1e-12, atol=1e-16)


def test_slow_chains_leave_the_iteration_for_a_factorization(monkeypatch):
    rng = np.random.default_rng(5)
    lists, conversions, nulls, value = random_paths(rng, 200, list("abcdef"), 8)
    counts = TransitionCounts.of(Journeys.from_paths(lists, conversions, value, nulls), 3)
    expected = MarkovModel.from_counts(counts).removal_effects
    monkeypatch.setattr(kernels, "_DENSE", 0)
    monkeypatch.setattr(kernels, "_STEPS", 4)
    np.testing.assert_allclose(MarkovModel.from_counts(counts).removal_effects, expected, rtol=1e-12)
    monkeypatch.setattr(kernels, "_DENSE_LIMIT", 0)
    np.testing.assert_allclose(MarkovModel.from_counts(counts).removal_effects, expected, rtol=1e-12)
    chain = _chain(counts)
    with pytest.raises(kernels.ConvergenceError):
        kernels.first_met_by_iteration(
            chain,
            counts.grams[:, -1].astype(np.int64),
            6,
            kernels._by_inverse(chain, counts.grams[:, -1].astype(np.int64), 6)[0],
        )


def test_a_simulation_agrees_within_four_standard_errors():
    rng = np.random.default_rng(11)
    lists, conversions, nulls, value = random_paths(rng, 40, list("abcd"))
    model = Markov(order=2).fit(Journeys.from_paths(lists, conversions, value, nulls))
    n = 200_000
    drawn = model.simulate(n, rng=3)
    assert drawn.total_conversions + drawn.total_nulls == n
    p = model.conversion_probability
    assert abs(drawn.total_conversions / n - p) < 4 * np.sqrt(p * (1 - p) / n)
    for channel, effect in zip(model.channels, model.removal_effects, strict=True):
        met = sum(
            count for path, count in zip(drawn.paths, drawn.conversions, strict=True) if channel in path.split(" > ")
        )
        error = np.sqrt(effect * (1 - effect) / drawn.total_conversions)
        assert abs(met / drawn.total_conversions - effect) < 4 * error
    assert drawn.total_value / n == pytest.approx(model.value_per_journey, rel=0.03)


@pytest.mark.parametrize("players", [2, 3, 5])
def test_shapley_of_sets_is_the_mean_over_all_orders(players):
    rng = np.random.default_rng(players)
    names = list("abcdefgh")[:players]
    lists, conversions, nulls, value = random_paths(rng, 20, names)
    j = Journeys.from_paths(lists, conversions, value, nulls)

    def worth(coalition):
        return sum(c for path, c in zip(lists, conversions, strict=True) if set(path) <= coalition)

    exact = [float(v) for v in oracle.shapley_by_permutations(j.channels.tolist(), worth)]
    np.testing.assert_allclose(Shapley().attribute(j).conversions, exact, rtol=1e-13)
    np.testing.assert_allclose(Shapley(game=worth).attribute(j).conversions, exact, rtol=1e-12)
    np.testing.assert_allclose(Shapley(by="order").attribute(j).conversions, exact, rtol=1e-13)


@pytest.mark.slow
def test_shapley_of_sets_is_the_mean_over_all_orders_of_eight_players():
    test_shapley_of_sets_is_the_mean_over_all_orders(8)


@pytest.mark.parametrize("players", [2, 4, 6])
def test_shapley_of_the_rate_is_what_permutations_and_dividends_say(players):
    rng = np.random.default_rng(players)
    names = list("abcdef")[:players]
    lists, conversions, nulls, value = random_paths(rng, 25, names)
    j = Journeys.from_paths(lists, conversions, value, nulls)

    def rate(column):
        def worth(coalition):
            inside = [row for row, path in enumerate(lists) if set(path) <= coalition]
            people = sum(conversions[row] + nulls[row] for row in inside)
            return Fraction(sum(column[row] for row in inside), people) if people else Fraction(0)

        return worth

    people = sum(conversions) + sum(nulls)
    credit = Shapley(game="rate").attribute(j)
    for column, found in ((conversions, credit.conversions), (value, credit.value)):
        exact = oracle.shapley_by_dividends(j.channels.tolist(), rate(column))
        if players <= 4:
            assert exact == oracle.shapley_by_permutations(j.channels.tolist(), rate(column))
        np.testing.assert_allclose(found, [float(v * people) for v in exact], rtol=1e-11, atol=1e-12)


@pytest.fixture(scope="module")
def path_data():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent")
    with gzip.open(DATA, "rt") as file:
        rows = list(csv.DictReader(file))
    return {
        "path": [row["path"] for row in rows],
        **{
            name: [float(row[name]) for row in rows]
            for name in ("total_conversions", "total_conversion_value", "total_null")
        },
    }


def ours(data):
    return Journeys.from_paths(
        data["path"], data["total_conversions"], data["total_conversion_value"], data["total_null"]
    )


def test_channelattribution_simulates_what_we_compute(path_data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rival = pytest.importorskip("ChannelAttribution")
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(path_data)
        j = ours(path_data)
        simulated = rival.markov_model(
            frame,
            "path",
            "total_conversions",
            var_null="total_null",
            order=1,
            sep=">",
            seed=1,
            verbose=False,
            flg_pro=False,
        )
        rules = rival.heuristic_models(frame, "path", "total_conversions", sep=">", flg_pro=False)
    theirs = dict(zip(simulated["channel_name"], simulated["total_conversions"], strict=True))
    for channel, credit in zip(j.channels, Markov().attribute(j).conversions, strict=True):
        if credit > 1_000:  # large channels: its noise is a few percent
            assert theirs[str(channel)] == pytest.approx(credit, rel=0.05)
    linear = dict(zip(rules["channel_name"], rules["linear_touch"], strict=True))
    for channel, credit in zip(j.channels, Linear().attribute(j).conversions, strict=True):
        assert linear[str(channel)] == pytest.approx(credit, rel=1e-9)


@pytest.mark.long
def test_mta_agrees_on_linear_credit(path_data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mta")
        pandas = pytest.importorskip("pandas")
        from mta import MTA

        try:
            theirs = MTA(pandas.DataFrame(path_data), allow_loops=True).linear(share="proportional", normalize=False)
            credit = theirs.attribution["linear"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            pytest.skip(f"mta does not run here: {error!r}")
    found = dict(zip(ours(path_data).channels.tolist(), Linear().attribute(ours(path_data)).conversions, strict=True))
    for channel, conversions in credit.items():
        assert found[channel] == pytest.approx(conversions, rel=1e-6)
