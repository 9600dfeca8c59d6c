"""Published and agreed figures: PathData of the MIT package mta, and the worked example of Anderl et al.'s model."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from relmark.attribution import (
    FirstTouch,
    Journeys,
    LastTouch,
    Linear,
    Markov,
    Participation,
    PositionBased,
    Shapley,
    order_selection,
)

DATA = Path(os.environ.get("RELMARK_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "path_data.csv.gz"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is absent")
CHANNELS = ["eta", "iota", "alpha", "beta", "theta", "lambda", "kappa", "zeta", "epsilon", "gamma", "delta", "mi"]

CREDIT = {
    FirstTouch(): [3164, 4606, 6308, 2831, 1606, 902, 74, 27, 99, 165, 1, 2],
    LastTouch(): [4167, 3355, 8447, 989, 653, 1207, 230, 107, 531, 92, 5, 2],
    Linear(): [
        3539.9511571, 3857.09622102, 7574.71859375, 2083.50014459, 1022.8013939, 1035.25757229,
        137.96407792, 136.55154047, 272.17043772, 121.04163902, 1.725, 2.22222222,
    ],
    PositionBased(): [3618.79614876, 3944.94816566, 7444.82375923, 1969.76617897],
    Markov(order=1): [
        3340.8474015, 3884.61470188, 5344.94768209, 2527.35216652, 1971.91287989, 1282.84722339,
        274.36325595, 381.06255276, 599.57065046, 171.14544269, 4.61361831, 1.72242456,
    ],
    Markov(order=2): [3391.85816343, 3810.5110442, 5617.45385389, 2439.64897612],
    Shapley(): [
        3613.655952, 3505.044048, 7627.944048, 1982.739286, 1190.963095, 987.782143,
        159.057143, 199.991667, 374.677381, 138.185714, 2.292857, 2.666667,
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def journeys():
    with gzip.open(DATA, "rt") as file:
        rows = list(csv.DictReader(file))

    def column(name):
        return [float(row[name]) for row in rows]

    return Journeys.from_paths(
        [row["path"] for row in rows],
        conversions=column("total_conversions"),
        value=column("total_conversion_value"),
        nulls=column("total_null"),
    )


def test_the_data_are_read_whole(journeys):
    assert journeys.channels.tolist() == CHANNELS
    assert len(journeys) == 5_408
    assert journeys.total_conversions == 19_785
    assert journeys.total_nulls == 68_602
    assert journeys.total_value == pytest.approx(74_802.97158721, abs=1e-8)


@pytest.mark.parametrize("model", CREDIT, ids=lambda model: model.name)
def test_credit_of_path_data(journeys, model):
    expected = CREDIT[model]
    credit = model.attribute(journeys)
    digits = 5e-7 if model == Shapley() else 5.1e-9  # as many as the figures are given with
    assert np.abs(credit.conversions[: len(expected)] - expected).max() <= digits
    assert credit.conversions.sum() == pytest.approx(19_785, rel=1e-12)
    assert credit.value.sum() == pytest.approx(74_802.97158721, rel=1e-12)
    assert credit.unattributed_conversions == 0.0


def test_removal_effects_of_path_data(journeys):
    effects = Markov(order=1).fit(journeys).removal_effects
    assert np.abs(effects[:3] - [0.34902633, 0.405835, 0.55839949]).max() <= 5.1e-9


def test_participation_is_the_shapley_value_of_path_data(journeys):
    np.testing.assert_allclose(
        Participation().attribute(journeys).value, Shapley().attribute(journeys).value, rtol=1e-13
    )


def test_higher_orders_describe_path_data_better_and_all_agree_on_the_totals(journeys):
    selection = order_selection(journeys, range(1, 5))
    assert selection.best == 4
    assert (np.diff(selection.log_likelihood) > 0).all()
    assert (selection.held_out < selection.log_likelihood).all()
    assert Markov(order="auto", max_order=3).fit(journeys).order == 3


def test_the_worked_example_of_three_journeys():
    j = Journeys.from_paths(["C1 > C2 > C3", "C1", "C2 > C3"], conversions=[1, 0, 0], nulls=[0, 1, 1])
    model = Markov().fit(j)
    np.testing.assert_allclose(model.removal_effects, [0.5, 1.0, 1.0], rtol=1e-14)
    np.testing.assert_allclose(model.attribute(j).conversions, [0.2, 0.4, 0.4], rtol=1e-14)
    assert model.conversion_probability == pytest.approx(1 / 3, rel=1e-14)
