"""The calls of attribution on which users rely."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import days, event
from relmark.attribution import (
    CustomRule,
    FirstTouch,
    Journeys,
    LastNonDirect,
    LastTouch,
    Linear,
    Markov,
    Participation,
    PositionBased,
    Shapley,
    TimeDecay,
    compare,
)

AS_OF = "2026-11-01"
MODELS = [
    FirstTouch(), LastTouch(), LastNonDirect(["direct"]), Linear(), Participation(), PositionBased(0.4, 0.2, 0.4),
    TimeDecay(days(7)), Shapley(), Markov(order=1),
    CustomRule(lambda n: range(1, n + 1), label="rising"),
]  # fmt: skip


@pytest.fixture(scope="module")
def paths():
    """Of ten people three bought after a > b, one after a; of a alone four did not, and of b two."""
    return Journeys.from_paths(
        ["a > b", "a", "b"], conversions=[3, 1, 0], value=[30.0, 5.0, 0.0], nulls=[0, 4, 2], sep=" > "
    )


@pytest.fixture(scope="module")
def journeys(base):
    return Journeys.from_events(
        base, touch=event("visit"), conversion=event("purchase"), order="order", channel="channel", as_of=AS_OF,
        lookback=days(30),
    )  # fmt: skip


def test_lines_of_one_order_are_one_conversion(journeys):
    """Seven orders are bought; only A3 (mail the day before) and B2 (search, then mail) follow a visit in 30 days."""
    credit = LastTouch().attribute(journeys)
    assert credit.channels.tolist() == ["direct", "mail", "search"]
    assert credit.conversions.tolist() == [0.0, 2.0, 0.0]
    assert credit.value.tolist() == [0.0, 31.0, 0.0]
    assert credit.unattributed_conversions == 5.0
    assert FirstTouch().attribute(journeys).conversions.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_credit_adds_up_to_what_was_bought(journeys, model):
    credit = model.attribute(journeys)
    assert credit.conversions.sum() + credit.unattributed_conversions == pytest.approx(7.0, rel=1e-12)
    assert credit.value.sum() + credit.unattributed_value == pytest.approx(journeys.value.sum(), rel=1e-12)


def test_the_markov_chain_of_three_paths(paths):
    """From the start 8 of 10 go to a and 2 to b; of the 8 at a three go on to b, one buys; of the 5 at b three buy."""
    m = Markov(order=1).fit(paths)
    assert m.channels.tolist() == ["a", "b"]
    assert m.conversion_probability == pytest.approx(0.8 * (1 / 8 + 3 / 8 * 3 / 5) + 0.2 * 3 / 5)
    without_a, without_b = 0.2 * 3 / 5, 0.8 / 8
    assert m.removal_effects == pytest.approx(1 - np.array([without_a, without_b]) / m.conversion_probability)
    assert m.removal_of({"a", "b"}) == pytest.approx(1.0)
    assert m.transition_matrix().probability.sum() == pytest.approx(3.0)
    credit = Markov(order=1).attribute(paths)
    assert credit.conversions == pytest.approx(4 * m.removal_effects / m.removal_effects.sum())


def test_cost_bootstrap_and_reports(paths):
    credit = Markov(order=1).attribute(paths)
    cost = credit.with_cost({"a": 10.0, "b": 5.0})
    assert cost.cost.tolist() == [10.0, 5.0]
    assert cost.roas == pytest.approx(credit.value / [10.0, 5.0])
    sure = Markov(order=1).bootstrap(paths, n=50, rng=0)
    assert sure.channels.tolist() == ["a", "b"]
    beside = compare(credit, LastTouch().attribute(paths))
    assert beside.channels.tolist() == ["a", "b"]
    assert paths.path_lengths().length.tolist() == [1, 2]
    assert paths.top_paths(10).path.tolist()[0] == "a > b"
    for report in (paths.assists(), paths.overlap()):
        assert "a" in str(report)
