import json
import pickle

import numpy as np
import pytest

from relmark.attribution import (
    Journeys,
    Markov,
    MarkovModel,
    Shapley,
    TransitionCounts,
    order_selection,
)
from relmark.core.documents import Limits
from relmark.errors import DefinitionError, InputError, NotEnoughDataError

SMALL = Journeys.from_paths(
    ["a > b > a", "b", "a > a > c", "c > b"], conversions=[2, 1, 0, 3], value=[10, 4, 0, 9], nulls=[1, 4, 3, 0]
)


def test_collapsing_repeats_changes_nothing_at_order_one():
    a = Markov().attribute(Journeys.from_paths(["a > a > b", "b > b"], [2, 1], nulls=[1, 3]))
    b = Markov().attribute(Journeys.from_paths(["a > b", "b"], [2, 1], nulls=[1, 3]))
    np.testing.assert_allclose(a.conversions, b.conversions, rtol=1e-14)


def test_at_an_order_that_sees_whole_paths_the_effect_is_the_share_of_conversions_with_the_channel():
    effects = Markov(order=4).fit(SMALL).removal_effects
    np.testing.assert_allclose(effects, [2 / 6, 6 / 6, 3 / 6], rtol=1e-14)


def test_nulls_count():
    paths = ["a > b", "a", "b"]
    without = Markov().fit(Journeys.from_paths(paths, [1, 1, 1]))
    with_nulls = Markov().fit(Journeys.from_paths(paths, [1, 1, 1], nulls=[0, 0, 9]))
    assert without.conversion_probability == pytest.approx(1.0)
    assert with_nulls.removal_effects[0] < without.removal_effects[0]


def test_the_chance_to_convert_is_that_of_the_journeys():
    for order in (1, 2, 3):
        model = Markov(order=order).fit(SMALL)
        assert model.conversion_probability == pytest.approx(6 / 14)
        assert model.value_per_journey == pytest.approx(23 / 14)


def test_a_model_without_value_shares_conversions_only():
    j = Journeys.from_paths(["a > b"])
    model = Markov().fit(j)
    assert model.value_removal_effects is None
    assert np.isnan(model.value_per_journey)
    assert np.isnan(model.attribute(j).value).all()
    assert model.attribute(j).notes == ("the journeys have no value",)


def test_where_nothing_converts_effects_are_undefined_and_credit_is_zero():
    j = Journeys.from_paths(["a > b", "b"], conversions=[0, 0], value=[0, 0], nulls=[1, 2])
    model = Markov(order=2).fit(j)
    assert np.isnan(model.removal_effects).all()
    assert np.isnan(model.value_removal_effects).all()
    assert np.isnan(model.removal_of("a"))
    assert model.attribute(j).conversions.tolist() == [0.0, 0.0]


def test_one_channel_gets_everything():
    j = Journeys.from_paths(["a", "a > a"], [1, 2], nulls=[3, 4])
    for order in (1, 2, 3):
        assert Markov(order=order).attribute(j).conversions.tolist() == [3.0]


def test_a_channel_of_nulls_alone_gets_nothing():
    j = Journeys.from_paths(["a", "b", "a > b"], [1, 0, 0], nulls=[0, 5, 1])
    assert Markov().attribute(j).conversions[1] == 0.0


def test_a_channel_without_touches_gets_nothing():
    j = Journeys(codes=[0], offsets=[0, 1], channels=["a", "idle"], conversions=[1])
    assert Markov(order=2).attribute(j).conversions.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("order", [1, 2])
def test_a_conversion_rate_of_one_in_a_million_keeps_all_digits(order):
    j = Journeys.from_paths(["a > b", "b > a > c", "c"], [1e-6, 3e-6, 2e-6], nulls=[1, 2, 3])
    big = Journeys.from_paths(["a > b", "b > a > c", "c"], [1, 3, 2], nulls=[1e6 - 1, 2e6 - 3, 3e6 - 2])
    small, same = (Markov(order=order).fit(x).removal_effects for x in (j, big))
    np.testing.assert_allclose(small, same, rtol=1e-5)
    rare = Journeys.from_paths(["a > b", "c"], [1e-6, 1.0], nulls=[1.0, 0.0])
    np.testing.assert_allclose(
        Markov(order=order).fit(rare).removal_effects, [1e-6 / 1.000001] * 2 + [1 / 1.000001], rtol=1e-13
    )


@pytest.mark.parametrize("order", [1, 2])
def test_paths_of_ten_thousand_touches(order):
    rng = np.random.default_rng(0)
    long = Journeys(
        codes=rng.integers(0, 20, 20_000),
        offsets=[0, 10_000, 20_000],
        channels=[f"c{k}" for k in range(20)],
        conversions=[1.0, 0.0],
        nulls=[0.0, 1.0],
    )
    model = Markov(order=order).fit(long)
    assert (model.removal_effects > 0.98).all()
    assert Markov(order=order).attribute(long).conversions.sum() == pytest.approx(1.0, rel=1e-12)


def test_thousands_of_campaigns_are_channels_too():
    names = [f"c{k}" for k in range(2_100)]
    paths = [[a, b] for a, b in zip(names, names[1:] + names[:1], strict=True)]
    j = Journeys.from_paths(paths, nulls=np.arange(2_100))
    model = Markov().fit(j)
    assert model.removal_of("c7") == pytest.approx(model.removal_effects[7], rel=1e-12)
    assert model.attribute(j).conversions.sum() == pytest.approx(2_100, rel=1e-12)


@pytest.mark.slow
def test_five_hundred_channels_at_order_two():
    rng = np.random.default_rng(1)
    lengths = rng.geometric(1 / 4, 6_000)
    converts = rng.random(6_000) < 0.1
    j = Journeys(
        codes=rng.integers(0, 500, lengths.sum()),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        channels=[f"c{k}" for k in range(500)],
        conversions=converts,
        nulls=~converts,
    )
    model = Markov(order=2).fit(j)
    assert model.removal_of("c7") == pytest.approx(model.removal_effects[7], rel=1e-10)
    assert model.attribute(j).conversions.sum() == pytest.approx(converts.sum(), rel=1e-12)
    assert Shapley().attribute(j).conversions.sum() == pytest.approx(converts.sum(), rel=1e-12)


def test_removing_all_channels_loses_everything_and_none_nothing():
    for order in (1, 2):
        model = Markov(order=order).fit(SMALL)
        assert model.removal_of({"a", "b", "c"}) == pytest.approx(1.0)
        assert model.removal_of(set()) == 0.0
        for channel, effect in zip(model.channels, model.removal_effects, strict=True):
            assert model.removal_of(str(channel)) == pytest.approx(effect, rel=1e-14)
    with pytest.raises(InputError, match="names 'd'"):
        model.removal_of({"d"})


def test_the_transition_matrix_is_named_and_its_rows_add_up():
    model = Markov().fit(SMALL)
    matrix = model.transition_matrix()
    assert matrix.states == ("(start)", "a", "b", "c", "(conversion)", "(null)")
    np.testing.assert_allclose(matrix.to_array().sum(axis=1), 1.0, rtol=1e-14)
    table = dict(zip(zip(matrix.source, matrix.target, strict=True), matrix.probability, strict=True))
    assert table["(start)", "a"] == pytest.approx(6 / 14)
    assert table["a", "a"] == pytest.approx(3 / 12)
    assert table["b", "(conversion)"] == pytest.approx(4 / 11)
    without = model.transition_matrix(self_loops=False)
    assert ("a", "a") not in set(zip(without.source, without.target, strict=True))
    np.testing.assert_allclose(np.asarray(without).sum(axis=1), 1.0, rtol=1e-14)
    assert np.array(without, dtype=np.float32).dtype == np.float32
    assert np.array(without, copy=False).shape == (6, 6)


def test_absorption_of_the_transition_matrix_gives_the_chance_to_convert():
    model = Markov(order=2).fit(SMALL)
    for loops in (True, False):
        matrix = np.asarray(model.transition_matrix(self_loops=loops))
        assert np.linalg.matrix_power(matrix, 512)[0, -2] == pytest.approx(model.conversion_probability, rel=1e-12)


def test_states_of_higher_orders_are_named_by_their_channels():
    names = Markov(order=2).fit(SMALL).transition_matrix().states
    assert "a > b" in names
    assert "a" in names


def test_a_model_attributes_other_journeys_with_its_own_effects():
    model = Markov().fit(SMALL)
    other = Journeys.from_paths(["b > a"], conversions=[10])
    effects = model.removal_effects
    expected = 10 * np.array([effects[1], effects[0]]) / (effects[0] + effects[1])
    np.testing.assert_allclose(model.attribute(other).conversions, expected, rtol=1e-14)
    assert np.isnan(model.attribute(other).value).all()
    with pytest.raises(InputError, match="'z'"):
        model.attribute(Journeys.from_paths(["z"]))


def test_per_journey_spreads_a_channel_over_its_touches():
    model = Markov().fit(SMALL)
    touches = model.attribute(Journeys.from_paths(["a > a"], conversions=[4]), per_journey=True).per_journey
    assert touches.conversions.tolist() == [2.0, 2.0]
    np.testing.assert_allclose(
        Markov().touches(SMALL).conversions, model.attribute(SMALL, per_journey=True).per_journey.conversions
    )


def test_counts_of_parts_add_up_to_those_of_the_whole():
    for order in (1, 2, 3):
        parts = TransitionCounts.of(SMALL.take([0, 1]), order) + TransitionCounts.of(
            Journeys.from_paths(["c > b", "a > a > c"], [3, 0], [9, 0], [0, 3]), order
        )
        whole, merged = Markov(order=order).fit(SMALL), MarkovModel.from_counts(parts)
        at = [merged.channels.tolist().index(name) for name in whole.channels]
        np.testing.assert_allclose(merged.removal_effects[at], whole.removal_effects, rtol=1e-13)
        np.testing.assert_allclose(merged.value_removal_effects[at], whole.value_removal_effects, rtol=1e-13)
        assert sorted(parts.names) == sorted(whole.counts.names)
        assert parts.names[0] == "(start)"


def test_counts_that_do_not_fit_do_not_add_up():
    counts = TransitionCounts.of(SMALL)
    with pytest.raises(InputError, match="order 1 and of order 2"):
        _ = counts + TransitionCounts.of(SMALL, 2)
    with pytest.raises(InputError, match="value"):
        _ = counts + TransitionCounts.of(Journeys.from_paths(["a"]))
    with pytest.raises(TypeError):
        _ = counts + 1
    plain = TransitionCounts.of(Journeys.from_paths(["a"]))
    assert (plain + plain).value is None
    assert repr(plain) == "TransitionCounts(order=1, channels=1, states=2, transitions=1, conversions=1, nulls=0)"


def test_high_orders_with_many_channels_do_not_overflow():
    names = [f"c{k}" for k in range(300)]
    j = Journeys.from_paths([names, names[::-1]], conversions=[1, 1])
    model = Markov(order=9).fit(j)
    np.testing.assert_allclose(model.removal_effects, 1.0, rtol=1e-12)


def test_simulation_is_repeatable_and_cuts_long_journeys():
    model = Markov().fit(SMALL)
    a, b = model.simulate(500, rng=1), model.simulate(500, rng=1)
    assert a.paths == b.paths
    assert a.total_conversions + a.total_nulls == 500
    assert set(a.channels) == {"a", "b", "c"}
    cut = model.simulate(500, rng=1, max_touches=1)
    assert cut.lengths.max() == 1
    assert Markov().fit(Journeys.from_paths(["a"])).simulate(3, rng=0).value is None
    with pytest.raises(NotEnoughDataError):
        Markov().fit(Journeys.from_paths([""], on_empty="drop")).simulate(3, rng=0)


def test_a_model_is_stored_read_and_pickled():
    for j in (SMALL, Journeys.from_paths(["a > b"])):
        model = Markov(order=2).fit(j)
        for again in (MarkovModel.from_json(model.to_json()), pickle.loads(pickle.dumps(model))):
            assert again.removal_effects.tolist() == model.removal_effects.tolist()
            assert again.channels.tolist() == model.channels.tolist()
            assert again.fingerprint == model.fingerprint
    assert json.loads(model.to_json())["relmark"] == "markov_model"
    assert MarkovModel.from_dict(model.to_dict(), Limits(nodes=10)).order == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": 0}, "order"),
        ({"grams": [0, 1]}, "start"),
        ({"grams": [-1, 7]}, "grams"),
        ({"grams": []}, "grams"),
        ({"grams": [-1, -1, 1, 2]}, "latest"),
        ({"weight": [-1.0]}, "weight"),
        ({"source": [9]}, "source and target"),
        ({"target": "x"}, "transition counts"),
        ({"conversions": [1.0]}, "conversions"),
        ({"extra": 1}, "unknown key"),
    ],
)
def test_a_bad_stored_model_is_refused(change, message):
    body = Markov().fit(SMALL).to_dict() | change
    with pytest.raises(DefinitionError, match=message):
        MarkovModel.from_dict(body)


def test_results_print_what_they_are():
    model = Markov().fit(SMALL)
    assert repr(model).startswith("MarkovModel(order=1, channels=3, states=4, conversion_probability=0.4286")
    assert "value_removal_effect" in str(model)
    assert "value_removal_effect" not in str(Markov().fit(Journeys.from_paths(["a"])))


@pytest.mark.parametrize("bad", [0, -1, 1.5, "two", True, None])
def test_an_order_is_a_whole_number_or_auto(bad):
    with pytest.raises(InputError, match="order"):
        Markov(order=bad)


class TestOrderSelection:
    def test_memory_that_matters_is_found(self):
        # b converts after a > a and never after c > a: one channel of memory cannot tell.
        j = Journeys.from_paths(["a > a > b", "c > a > b"], conversions=[500, 0], nulls=[0, 500])
        assert order_selection(j, range(1, 5)).best == 3
        assert Markov(order="auto").fit(j).order == 3
        assert Markov(order="auto").attribute(j).model == "markov_3"

    def test_memory_that_does_not_matter_is_not_bought(self):
        rng = np.random.default_rng(0)
        lengths = rng.geometric(1 / 3, 2_000)
        converts = rng.random(2_000) < 0.3
        j = Journeys(
            codes=rng.integers(0, 6, lengths.sum()),
            offsets=np.concatenate(([0], np.cumsum(lengths))),
            channels=list("abcdef"),
            conversions=converts,
            nulls=~converts,
        )
        selection = order_selection(j)
        assert selection.best == 1
        assert selection.order[np.argmin(selection.bic)] == 1
        assert (np.diff(selection.log_likelihood) > 0).all()

    def test_held_out_is_what_leaving_each_journey_out_gives(self):
        lists = [["a", "b", "a"], ["b"], ["a", "a"], ["b", "a"]]
        conversions, nulls = [2, 1, 0, 1], [0, 2, 3, 1]
        j = Journeys.from_paths(lists, conversions, nulls=nulls)
        outcomes = 4
        for order in (1, 2):

            def steps(path, end, order=order):
                padded = [None] * order + path
                before = [tuple(padded[k : k + order]) for k in range(len(path) + 1)]
                return list(zip(before, [*path, end], strict=True))

            people = [
                steps(path, end)
                for path, c, n in zip(lists, conversions, nulls, strict=True)
                for end in ["conversion"] * c + ["null"] * n
            ]
            expected = 0.0
            for one, own in enumerate(people):
                others = [step for k, person in enumerate(people) if k != one for step in person]
                for before, after in own:
                    n_st = sum(step == (before, after) for step in others)
                    n_s = sum(step[0] == before for step in others)
                    expected += np.log((n_st + 1 / outcomes) / (n_s + 1))
            assert order_selection(j, [order]).held_out[0] == pytest.approx(expected, rel=1e-12)

    def test_likelihood_and_criteria_of_a_coin(self):
        j = Journeys.from_paths(["a"], conversions=[3], nulls=[1])
        selection = order_selection(j, [1])
        expected = 3 * np.log(0.75) + np.log(0.25)
        assert selection.log_likelihood[0] == pytest.approx(expected)
        assert selection.parameters.tolist() == [1]
        assert selection.aic[0] == pytest.approx(2 - 2 * expected)
        assert selection.bic[0] == pytest.approx(np.log(8) - 2 * expected)

    def test_nothing_to_compare_is_an_error(self):
        with pytest.raises(NotEnoughDataError):
            order_selection(Journeys.from_paths([""], on_empty="drop"))
        with pytest.raises(InputError, match="orders is empty"):
            order_selection(SMALL, [])
        with pytest.raises(InputError, match="orders"):
            order_selection(SMALL, [0])


def test_states_are_told_apart_by_place_and_not_by_text():
    j = Journeys.from_paths(
        [["a > b"], ["a", "b"], ["a", "b", "a > b"], ["(null)", "(conversion)"]], [1, 2, 3, 4], nulls=[2, 1, 1, 1]
    )
    for order in (1, 2, 3):
        matrix = Markov(order=order).fit(j).transition_matrix().to_array()
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
        assert matrix[-1, -1] == matrix[-2, -2] == 1
