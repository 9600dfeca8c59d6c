import numpy as np
import pytest

from relmark.attribution import Journeys, Shapley
from relmark.attribution._coalitions import shapley_values, subset_sums
from relmark.errors import InputError


def test_sets_share_equally_whatever_the_order_and_number_of_touches():
    j = Journeys.from_paths(["a > b > a", "b > a", "b"], conversions=[3, 1, 2], value=[6, 2, 8])
    credit = Shapley().attribute(j)
    assert credit.conversions.tolist() == [2.0, 4.0]
    assert credit.value.tolist() == [4.0, 12.0]
    assert credit.by_position is None


def test_by_order_says_from_which_position_credit_comes():
    j = Journeys.from_paths(["a > b > a", "b"], conversions=[4, 1])
    credit = Shapley(by="order").attribute(j)
    assert credit.conversions.tolist() == [2.0, 3.0]
    assert credit.by_position.tolist() == [[1.0, 0.0, 1.0], [1.0, 2.0, 0.0]]
    assert credit.model == "shapley_order"


def test_a_table_of_positions_has_bounds():
    j = Journeys(
        codes=np.zeros(70_000, dtype=int),
        offsets=[0, 70_000],
        channels=[f"c{k}" for k in range(1_000)],
        conversions=[1],
    )
    with pytest.raises(InputError, match="last_n"):
        Shapley(by="order").attribute(j)


def test_a_channel_that_does_harm_gets_negative_credit():
    j = Journeys.from_paths(["a", "a > b"], conversions=[5, 1], nulls=[5, 99])
    credit = Shapley(game="rate").attribute(j)
    assert credit.conversions[1] < 0
    assert credit.conversions.sum() == pytest.approx(6.0)
    with pytest.raises(InputError, match="'b' has a negative effect"):
        Shapley(game="rate").attribute(j, per_journey=True)


def test_a_function_gets_names_and_its_value_is_scaled_to_the_conversions():
    seen = []

    def game(coalition):
        seen.append(coalition)
        return 10.0 * len(coalition)

    j = Journeys(codes=[0, 2], offsets=[0, 2], channels=["a", "idle", "b"], conversions=[3], value=[6.0])
    credit = Shapley(game=game).attribute(j)
    assert set(seen) == {frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")}
    assert credit.conversions.tolist() == [1.5, 0.0, 1.5]
    assert credit.value.tolist() == [3.0, 0.0, 3.0]
    assert credit.model == "shapley_game"


def test_a_function_that_gives_no_number_is_refused():
    j = Journeys.from_paths(["a > b"])
    with pytest.raises(InputError, match=r"game\(\['a'\]\)"):
        Shapley(game=lambda s: None if s == {"a"} else 1.0).attribute(j)
    with pytest.raises(InputError, match="worth no more than none"):
        Shapley(game=lambda s: float(len(s) % 2)).attribute(j)


def test_more_channels_than_coalitions_can_be_listed_are_refused_except_by_sets():
    names = [f"c{k}" for k in range(23)]
    j = Journeys.from_paths([names], conversions=[23])
    np.testing.assert_allclose(Shapley().attribute(j).conversions, 1.0)
    with pytest.raises(InputError, match=r"23 channels.*22 at most.*replace"):
        Shapley(game="rate").attribute(j)


@pytest.mark.slow
def test_twenty_two_channels_are_exact():
    names = [f"c{k}" for k in range(22)]
    j = Journeys.from_paths([names, names[:11]], conversions=[22, 11])
    np.testing.assert_allclose(Shapley(game="rate").attribute(j).conversions.sum(), 33.0, rtol=1e-12)
    worth = subset_sums(np.bincount([0b111], weights=[6.0], minlength=1 << 22))
    np.testing.assert_allclose(shapley_values(worth), [2.0] * 3 + [0.0] * 19, atol=1e-12)


def test_choices_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="by='order'"):
        Shapley(by="order", game="rate")
    with pytest.raises(InputError, match="by is"):
        Shapley(by="sets")
    with pytest.raises(InputError, match="game is"):
        Shapley(game="rates")


def test_subset_sums_add_up_all_subsets():
    amounts = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
    expected = [sum(amounts[sub] for sub in range(8) if sub & mask == sub) for mask in range(8)]
    assert subset_sums(amounts).tolist() == expected
