import numpy as np
import pytest

from relmark import days
from relmark.attribution import (
    AttributionModel,
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
)
from relmark.errors import DefinitionError, InputError


def credit(model, *paths, **counts):
    return model.attribute(Journeys.from_paths(list(paths), **counts)).conversions.tolist()


def test_first_and_last_touch_give_all_to_one():
    assert credit(FirstTouch(), "a > b > c", "b") == [1.0, 1.0, 0.0]
    assert credit(LastTouch(), "a > b > c", "b") == [0.0, 1.0, 1.0]


def test_last_non_direct_skips_ignored_channels_and_falls_back_to_the_last():
    paths = ("a > direct > direct", "direct > direct", "a > b > direct > b")
    assert credit(LastNonDirect(), *paths) == [1.0, 1.0, 1.0]
    assert credit(LastNonDirect("b"), "a > b", "b") == [1.0, 1.0]
    assert credit(LastNonDirect(["a", "b"]), "a > b") == [0.0, 1.0]
    for name in ("Direct", "(direct)", "(direct) / (none)", "DIRECT", "(Direct)"):
        assert credit(LastNonDirect(), f"a > {name}") == [1.0, 0.0]
        assert credit(LastNonDirect([name.upper()]), f"a > {name}") == [1.0, 0.0]
    with pytest.raises(InputError, match="ignored"):
        LastNonDirect([3])


def test_linear_counts_touches_and_participation_counts_channels():
    assert credit(Linear(), "a > a > b", conversions=[3]) == [2.0, 1.0]
    assert credit(Participation(), "a > a > b", conversions=[3]) == [1.5, 1.5]


def test_full_participation_overlaps_and_says_so():
    j = Journeys.from_paths(["a > a > b", "b"], conversions=[3, 1], value=[6, 2])
    full = Participation(full=True).attribute(j)
    assert full.conversions.tolist() == [3.0, 4.0]
    assert full.value.tolist() == [6.0, 8.0]
    assert "overlap" in full.notes[0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", [1.0]), ("a > b", [0.25, 0.75]), ("a > b > c", [0.2, 0.2, 0.6]), ("a > b > c > d", [0.2, 0.1, 0.1, 0.6])],
)
def test_position_based_of_one_two_and_more_touches(path, expected):
    np.testing.assert_allclose(credit(PositionBased(0.2, 0.2, 0.6), path), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((0, 0, 1), [0, 10]), ((1, 0, 0), [10, 0]), ((0.2, 0.2, 0.6), [2.5, 7.5]), ((0.4, 0.2, 0.4), [5, 5])],
)
def test_of_two_touches_the_middle_goes_to_the_ends_in_proportion(parts, expected):
    j = Journeys.from_paths(["a > b"], [10])
    found = PositionBased(*parts).attribute(j, per_journey=True)
    assert found.conversions == pytest.approx(expected)
    assert found.per_journey.conversions == pytest.approx(expected)


def test_position_based_wants_parts_that_add_up():
    with pytest.raises(InputError, match="add up to 1"):
        PositionBased(0.4, 0.4, 0.4)
    with pytest.raises(InputError, match="first"):
        PositionBased(-0.1, 0.7, 0.4)
    with pytest.raises(InputError, match="Linear"):
        PositionBased(0.0, 1.0, 0.0)


def timed(ages, conversions=1.0):
    n = len(ages)
    end = 10**15
    return Journeys(
        codes=np.arange(n),
        offsets=[0, n],
        channels=[f"c{k}" for k in range(n)],
        conversions=[conversions],
        times=end - np.array(ages, dtype=np.int64) * 86_400_000_000,
        ends=[end],
    )


def test_time_decay_halves_with_each_half_life():
    np.testing.assert_allclose(TimeDecay(days(7)).attribute(timed([14, 7, 0])).conversions, [1 / 7, 2 / 7, 4 / 7])
    old = TimeDecay(days(1)).attribute(timed([9_001, 9_000]))
    np.testing.assert_allclose(old.conversions, [1 / 3, 2 / 3])


def test_time_decay_without_times_is_an_error():
    with pytest.raises(InputError, match="from_events"):
        credit(TimeDecay(), "a > b")
    with pytest.raises(InputError, match="half_life"):
        TimeDecay(7)
    with pytest.raises(InputError, match="half_life"):
        TimeDecay(days(0))


def test_a_custom_rule_is_called_once_a_length():
    lengths = []

    def rising(n):
        lengths.append(n)
        return range(1, n + 1)

    j = Journeys.from_paths(["a > b > c", "c > b > a", "a", ""], conversions=[6, 6, 2, 5], on_empty="drop")
    found = CustomRule(rising, label="rising").attribute(j)
    assert lengths == [1, 3]
    assert found.conversions.tolist() == [6.0, 4.0, 4.0]
    assert found.model == "rising"
    assert found.unattributed_conversions == 5.0


def test_channels_may_weigh_more_or_less_in_a_custom_rule():
    rule = CustomRule(np.ones, channel_weights={"view": 0.25, "other": 7.0})
    assert credit(rule, "view > click") == [0.2, 0.8]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda _: [1.0], "2 finite numbers"),
        (lambda n: [-1.0] * n, "0 or more"),
        (lambda n: [np.nan] * n, "finite"),
        (np.zeros, r"row 1, 'a > b'"),
    ],
)
def test_bad_weights_of_a_custom_rule_are_refused(weights, message):
    j = Journeys.from_paths(["", "a > b"], on_empty="drop")
    with pytest.raises(InputError, match=message):
        CustomRule(weights).attribute(j)


def test_a_custom_rule_is_a_function():
    with pytest.raises(InputError, match="weights"):
        CustomRule(3)
    with pytest.raises(InputError, match="channel_weights"):
        CustomRule(np.ones, channel_weights={"a": -1.0})


ALL = [
    FirstTouch(),
    LastTouch(),
    LastNonDirect("b"),
    Linear(),
    Participation(),
    PositionBased(),
    CustomRule(np.ones),
    Markov(),
    Markov(order=2),
    Shapley(),
    Shapley(by="order"),
    Shapley(game="rate"),
    Shapley(game=len),
]


@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
def test_each_touch_of_a_journey_gets_its_part(model):
    j = Journeys.from_paths(
        ["a > a > b", "c", "b > c > a", ""],
        conversions=[3, 2, 1, 7],
        value=[6, 2, 3, 9],
        nulls=[1, 0, 2, 1],
        on_empty="drop",
    )
    found = model.attribute(j, per_journey=True)
    touches = found.per_journey
    assert len(touches) == 7
    assert touches.journey.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert touches.position.tolist() == [0, 1, 2, 0, 0, 1, 2]
    assert touches.channel.tolist() == ["a", "a", "b", "c", "b", "c", "a"]
    np.testing.assert_allclose(np.bincount(touches.journey, weights=touches.conversions), [3, 2, 1], rtol=1e-14)
    np.testing.assert_allclose(np.bincount(touches.journey, weights=touches.value), [6, 2, 3], rtol=1e-14)
    if model.name != "markov" and model not in {Shapley(game="rate"), Shapley(game=len)}:
        by_channel = [touches.conversions[touches.channel == name].sum() for name in j.channels]
        np.testing.assert_allclose(by_channel, found.conversions, rtol=1e-13)
    assert model.attribute(j).per_journey is None


def test_touches_of_journeys_without_value_have_none():
    assert np.isnan(Linear().touches(Journeys.from_paths(["a > b"])).value).all()


@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
def test_journeys_without_anything_get_nothing(model):
    empty = Journeys(codes=[], offsets=[0, 0], channels=["a"], conversions=[3], value=[5.0])
    found = model.attribute(empty)
    assert found.conversions.tolist() == [0.0]
    assert (found.unattributed_conversions, found.unattributed_value) == (3.0, 5.0)
    assert np.isnan(found.shares).all()
    nothing = model.attribute(Journeys.from_paths(["a > b"], conversions=[0], nulls=[5]))
    assert nothing.conversions.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("model", [*ALL, TimeDecay()], ids=lambda model: type(model).__name__)
def test_models_want_journeys(model):
    with pytest.raises(InputError, match="from_paths"):
        model.attribute(["a > b"])


STORED = [m for m in ALL if not isinstance(m, CustomRule) and m != Shapley(game=len)]


@pytest.mark.parametrize(
    "model", [*STORED, TimeDecay(days(3)), Markov(order="auto")], ids=lambda model: type(model).__name__
)
def test_a_model_is_stored_and_read_again(model):
    again = AttributionModel.from_json(model.to_json())
    assert again == model
    assert type(model).from_json(model.to_json()).fingerprint == model.fingerprint


def test_functions_cannot_be_stored():
    with pytest.raises(DefinitionError, match="function as weights"):
        CustomRule(np.ones).to_json()
    with pytest.raises(DefinitionError, match="function as game"):
        Shapley(game=len).to_json()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "liner"}, r"\$.model.*Did you mean 'linear'"),
        ({"model": 3}, "one of custom_rule, first_touch"),
        ({}, "one of custom_rule, first_touch"),
        ({"model": "linear", "first": 1}, "unknown key 'first'"),
        ({"model": "position_based", "first": 0.9}, "add up to 1"),
        ({"model": "time_decay", "half_life": "soon"}, r"\$.half_life"),
        ({"model": "time_decay", "half_life": 3}, "half_life"),
        ({"model": "custom_rule"}, "weights"),
    ],
)
def test_a_bad_stored_model_is_refused_with_its_path(body, message):
    with pytest.raises(DefinitionError, match=message):
        AttributionModel.from_dict({"relmark": "attribution_model", "version": 1, **body})


def test_a_stored_model_of_another_kind_is_refused():
    with pytest.raises(DefinitionError, match="not a 'linear'"):
        Linear.from_json(FirstTouch().to_json())
