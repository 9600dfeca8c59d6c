import json

import numpy as np
import pytest

from relmark.attribution import FirstTouch, Journeys, LastTouch, Linear, Markov, Shapley, compare
from relmark.errors import InputError

J = Journeys.from_paths(
    ["mail > search", "search", "mail", ""],
    conversions=[4, 2, 1, 3],
    value=[400, 100, 50, 90],
    nulls=[6, 8, 9, 0],
    on_empty="drop",
)


def test_totals_balance_with_what_has_no_touch():
    credit = Linear().attribute(J)
    assert credit.conversions.tolist() == [3.0, 4.0]
    assert credit.unattributed_conversions == 3.0
    assert credit.total_conversions == J.total_conversions == 10.0
    assert credit.total_value == J.total_value == 640.0
    assert credit.shares.tolist() == [3 / 7, 4 / 7]
    assert credit.value_shares.tolist() == [250 / 550, 300 / 550]


def test_credit_says_loudly_what_it_is_not():
    text = str(Linear().attribute(J))
    assert "not what would have happened without them" in text
    assert "control group" in text
    assert "unattributed: 3 conversions worth 90" in text
    without_value = Linear().attribute(Journeys.from_paths(["a", ""], on_empty="drop"))
    assert "unattributed: 1 conversions\n" in str(without_value)
    assert "note: the journeys have no value" in str(without_value)


def test_credit_becomes_json_columns_and_html():
    credit = Markov().bootstrap(J, n=5, rng=0)
    assert list(credit.to_columns()) == [
        "channel", "conversions", "share", "value", "conversions_low", "conversions_high", "value_low", "value_high",
    ]  # fmt: skip
    assert json.loads(credit.to_json())["channels"] == ["mail", "search"]
    assert credit.to_frame("pandas").shape == (2, 8)
    assert "<table>" in credit._repr_html_()
    assert repr(Linear().attribute(J)).startswith("Credit(model=linear, channels=2, conversions=7")


def test_an_estimate_has_its_interval():
    credit = Linear().bootstrap(J, n=50, rng=1, level=0.9)
    estimate = credit.estimate("mail")
    assert estimate.value == 3.0
    assert estimate.interval.level == 0.9
    assert estimate.low < 3.0 < estimate.high
    assert credit.estimate("search", of="value").value == 300.0
    assert Linear().attribute(J).estimate("mail").interval is None
    assert (
        Linear().attribute(Journeys.from_paths(["a"])).estimate("a", of="value").reason == "the journeys have no value"
    )
    with pytest.raises(InputError, match="Did you mean 'mail'"):
        credit.estimate("male")
    with pytest.raises(InputError, match="of is"):
        credit.estimate("mail", of="share")


class TestCost:
    def test_figures_follow_their_formulas(self):
        returns = (
            Linear().attribute(J).with_cost({"mail": 100, "search": 50}, margin=0.5, acquired={"mail": 2, "search": 0})
        )
        assert returns.roas.tolist() == [2.5, 6.0]
        assert returns.roi.tolist() == [0.25, 2.0]
        assert returns.cpo.tolist() == [100 / 3, 12.5]
        assert returns.cpa[0] == 50.0
        assert np.isnan(returns.cpa[1])
        assert returns.reason.tolist() == ["", "no customers acquired"]
        assert returns.total_cost == 150.0
        assert returns.total_roas == pytest.approx(550 / 150)
        assert "no customers" in str(returns)

    def test_what_is_undefined_says_why(self):
        returns = FirstTouch().attribute(J).with_cost({"mail": 0.0})
        assert returns.reason.tolist() == ["cost is 0", "no cost given"]
        assert np.isnan(returns.roas).all()
        assert np.isnan(returns.total_roas)
        idle = Journeys(codes=[0], offsets=[0, 1], channels=["a", "idle"], conversions=[1], value=[1.0])
        assert Linear().attribute(idle).with_cost({"a": 1, "idle": 1}).reason.tolist() == [
            "",
            "no conversions credited",
        ]
        no_value = Linear().attribute(Journeys.from_paths(["a"])).with_cost({"a": 4})
        assert no_value.reason.tolist() == ["no value"]
        assert no_value.cpo.tolist() == [4.0]
        nothing = Linear().attribute(Journeys.from_paths([])).with_cost({})
        assert len(nothing) == 0

    def test_without_acquired_a_conversion_counts_as_one(self):
        returns = Linear().attribute(J).with_cost({"mail": 6, "search": 8})
        assert returns.cpa.tolist() == returns.cpo.tolist() == [2.0, 2.0]
        assert "reason" not in str(returns)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"costs": {"mail": -1}}, "costs"),
            ({"costs": {"mail": 1}, "margin": 2}, "margin"),
            ({"costs": {"mail": 1}, "acquired": {"tv": 1}}, "acquired names 'tv'"),
        ],
    )
    def test_bad_costs_are_refused(self, arguments, message):
        with pytest.raises(InputError, match=message):
            Linear().attribute(J).with_cost(**arguments)

    def test_a_channel_that_was_never_met_cost_money_and_earned_none(self):
        j = Journeys.from_paths(["mail > search"], conversions=[2], value=[10])
        returns = Linear().attribute(j).with_cost({"mail": 1.0, "radio": 50.0, "serch": 2.0})
        row = {name: column.tolist()[2] for name, column in returns.to_columns().items()}
        assert (row["channel"], row["cost"], row["conversions"], row["value"]) == ("radio", 50.0, 0.0, 0.0)
        assert (row["roas"], row["roi"]) == (0.0, -1.0)
        assert "no journey has a touch of it" in row["reason"]
        assert "Did you mean 'search'" in returns.reason[3]
        assert returns.total_cost == 53.0


class TestCalibrate:
    def test_a_measured_share_takes_the_place_of_the_credit(self):
        credit = LastTouch().attribute(J).calibrate({"mail": 0.05})
        assert credit.conversions.tolist() == [0.5, 6.0]
        assert credit.unattributed_conversions == 3.5
        assert credit.total_conversions == 10.0
        assert credit.total_value == pytest.approx(640.0)
        assert credit.value[0] == pytest.approx(0.05 * 640)
        assert "mail 0.05" in credit.notes[-1]

    def test_others_give_way_where_more_is_measured_than_was_free(self):
        credit = LastTouch().attribute(J).calibrate({"mail": 0.7})
        assert credit.conversions == pytest.approx([7.0, 3.0])
        assert credit.unattributed_conversions == pytest.approx(0.0)

    def test_all_models_agree_on_what_was_measured(self):
        shares = {"mail": 0.2, "search": 0.1}
        found = [model.attribute(J).calibrate(shares).conversions.tolist() for model in (Linear(), Markov(), Shapley())]
        assert found[0] == found[1] == found[2]

    def test_harm_is_kept(self):
        credit = Linear().attribute(J).calibrate({"mail": -0.1})
        assert credit.conversions[0] == -1.0
        assert credit.total_conversions == pytest.approx(10.0)

    def test_intervals_and_touches_are_left_out(self):
        credit = Shapley(by="order").bootstrap(J, n=3, rng=0).calibrate({"mail": 0.1})
        assert credit.conversions_low is None
        assert credit.by_position is None
        assert credit.level is None

    @pytest.mark.parametrize(
        ("lift", "message"),
        [({"male": 0.1}, "Did you mean"), ({"mail": 1.5}, "lift"), ({"mail": 0.6, "search": 0.6}, "in one experiment")],
    )
    def test_bad_lifts_are_refused(self, lift, message):
        with pytest.raises(InputError, match=message):
            Linear().attribute(J).calibrate(lift)


class TestCompare:
    def test_models_stand_side_by_side(self):
        table = compare(FirstTouch().attribute(J), LastTouch().attribute(J))
        assert table.models == ("first_touch", "last_touch")
        assert table.conversions.tolist() == [[5.0, 1.0], [2.0, 6.0]]
        assert table.spread == pytest.approx([4 / 7, 4 / 7])
        assert list(table.to_columns()) == ["channel", "first_touch", "last_touch"]
        assert repr(table) == "CreditComparison(channels=2, models=first_touch last_touch)"

    def test_channels_are_matched_by_name(self):
        other = Linear().attribute(Journeys.from_paths(["tv > search"], conversions=[2]))
        table = compare(Linear().attribute(J), other)
        assert table.channels.tolist() == ["mail", "search", "tv"]
        assert table.models == ("linear", "linear_2")
        assert table.conversions[:, 1].tolist() == [0.0, 1.0, 1.0]

    def test_names_may_be_given(self):
        credit = Linear().attribute(J)
        assert compare(credit, credit, names=["may", "june"]).models == ("may", "june")
        with pytest.raises(InputError, match="names"):
            compare(credit, names=["a", "b"])

    def test_what_is_no_credit_is_refused(self):
        with pytest.raises(InputError, match="no credit"):
            compare()
        with pytest.raises(InputError, match="place 1"):
            compare(Linear().attribute(J), J)


class TestBootstrap:
    def test_intervals_hold_the_credit_and_repeat(self):
        a, b = (Markov().bootstrap(J, n=100, rng=5) for _ in range(2))
        assert a.conversions_low.tolist() == b.conversions_low.tolist()
        assert (a.conversions_low <= a.conversions).all()
        assert (a.conversions <= a.conversions_high).all()
        assert (a.value_low <= a.value_high).all()
        assert a.conversions.tolist() == Markov().attribute(J).conversions.tolist()

    def test_intervals_are_as_wide_as_poisson_counts(self):
        j = Journeys.from_paths(["a"], conversions=[10_000], nulls=[5])
        credit = LastTouch().bootstrap(j, n=2_000, rng=0)
        half = (credit.conversions_high[0] - credit.conversions_low[0]) / 2
        assert half == pytest.approx(1.96 * 100, rel=0.1)
        assert credit.value_low is None

    def test_an_automatic_order_is_chosen_once(self):
        credit = Markov(order="auto", max_order=2).bootstrap(J, n=3, rng=0)
        assert credit.model in {"markov_1", "markov_2"}

    @pytest.mark.parametrize("arguments", [{"n": 1}, {"level": 1.0}, {"rng": -1}])
    def test_bad_arguments_are_refused(self, arguments):
        with pytest.raises(InputError):
            Linear().bootstrap(J, **arguments)


@pytest.mark.parametrize("seed", range(5))
def test_credit_of_both_signs_balances_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    paths, n = [" > ".join(rng.choice(list("abcdefgh"), 3)) for _ in range(40)], 40
    j = Journeys.from_paths(paths, rng.random(n) * 1e-3, value=rng.random(n), nulls=rng.random(n) * 1e6)
    found = Shapley(game="rate").attribute(j)
    total, value = j.total_conversions, j.total_value
    assert found.total_conversions == pytest.approx(total, rel=1e-12)
    assert found.total_value == pytest.approx(value, rel=1e-12)


def test_a_notebook_shows_the_caution_that_print_shows():
    page = LastTouch().attribute(Journeys.from_paths(["mail", ""], [1, 2], on_empty="drop"))._repr_html_()
    assert "control group" in page
    assert "unattributed: 2" in page
