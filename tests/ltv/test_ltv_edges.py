"""What lies at the edges: sizes beyond any business, arrays of other people, columns of every library."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from relmark.core.errors import InputError, LimitError, NotEnoughDataError
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    SpendCells,
)
from relmark.ltv.holdout import _rate_so_far

MODELS = {
    "nbd": Nbd(r=0.5, alpha=10.0),
    "bg": BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426),
    "mbg": MbgNbd(r=0.525, alpha=6.183, a=0.891, b=1.614),
    "pareto": ParetoNbd(r=0.553, alpha=10.58, s=0.606, beta=11.67),
}


def summary(**more):
    columns = {"frequency": [2.0, 0.0, 5.0], "recency": [3.0, 0.0, 9.0], "T": [10.0, 10.0, 10.0], **more}
    return PurchaseSummary(**columns)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("T", [1e160, 10.0, 10.0], r"T has 1e\+160 in row 0.*between 1e-50 and 1e\+50.*another unit"),
        ("T", [10.0, 1e-160, 10.0], "T has 1e-160 in row 1"),
        ("monetary_value", [1.0, 1.0, 1e160], r"monetary_value has 1e\+160 in row 2.*another unit"),
        ("monetary_value", [1e-160, 1.0, 1.0], "monetary_value has 1e-160 in row 0"),
        ("frequency", [1e12, 0.0, 5.0], "frequency has 1000000000000.0 in row 0"),
    ],
)
def test_sizes_beyond_any_unit_are_refused_with_the_remedy(column, value, message):
    with pytest.raises(InputError, match=message):
        summary(**{column: value})


def test_spend_cells_refuse_the_same():
    with pytest.raises(InputError, match="monetary_value has 1e\\+160"):
        SpendCells(frequency=[1.0], monetary_value=[1e160])


@pytest.mark.parametrize("factor", [1e-40, 1e40])
def test_units_far_from_ours_change_nothing_but_the_unit(factor):
    rng = np.random.default_rng(2)
    x = rng.integers(1, 9, 300).astype(float)
    money = rng.gamma(5.0 * x, 1.0 / rng.gamma(3.0, 1.0 / 15.0, 300)) / x
    plain, scaled = (
        GammaGamma.fit(PurchaseSummary(frequency=x, recency=x, T=x + 1, monetary_value=money * c))
        for c in (1.0, factor)
    )
    np.testing.assert_allclose(scaled.parameters, plain.parameters * [1, 1, factor], rtol=1e-6)
    late, age = x * factor, (x + 1) * factor
    one = BgNbd.fit(PurchaseSummary(frequency=x, recency=x, T=x + 1))
    other = BgNbd.fit(PurchaseSummary(frequency=x, recency=late, T=age))
    assert other.r == pytest.approx(one.r, rel=1e-5)
    assert other.alpha == pytest.approx(one.alpha * factor, rel=1e-5)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_table_that_no_memory_holds_is_refused_before_it_is_asked_for(name):
    many = PurchaseSummary(frequency=np.zeros(1_000_000), recency=np.zeros(1_000_000), T=np.full(1_000_000, 5.0))
    with pytest.raises(InputError, match=r"1,000,000 rows and 10,000 numbers, 75 GiB.*cells"):
        MODELS[name].purchase_probabilities(many, 1.0, range(10_000))
    with pytest.raises(InputError, match="n is 1000000000000"):
        MODELS[name].purchase_probabilities(summary(), 1.0, 10**12)
    with pytest.raises(InputError, match="more than 10,000,000 numbers"):
        MODELS[name].purchase_probabilities_new(1.0, range(2**40))


def test_an_integral_that_no_memory_holds_is_refused():
    model = ParetoNbd(r=0.5, alpha=10.0, s=1e13, beta=11.0)
    with pytest.raises(LimitError, match=r"more than 1,048,576 nodes for row \d.*unit of time"):
        model.purchase_probabilities(summary(), 1e6, [3])


def test_who_leaves_at_once_is_told_by_the_few_nodes_that_matter():
    """What comes after the integrand has fallen by e^-50 is nothing; 40-digit quadrature at s = 50."""
    few = PurchaseSummary(frequency=[0, 2, 3], recency=[0, 30.43, 38.86], T=[38.86, 38.86, 38.86])
    soon = ParetoNbd(r=0.5, alpha=10.0, s=50.0, beta=11.0)
    assert soon.probability_alive(few) == pytest.approx([6.954819156148016e-34, 6.225841946304027e-05, 1.0], rel=1e-11)
    at_once = ParetoNbd(r=0.5, alpha=10.0, s=1e13, beta=11.0)
    assert at_once.probability_alive(few).tolist() == [0.0, 0.0, 1.0]
    assert at_once.posterior_rate(few) == pytest.approx([0.5 / 10.0, 2.5 / 40.43, 3.5 / 48.86], rel=1e-9)


def test_bg_bb_refuses_more_opportunities_than_it_can_sum_over():
    one = PurchaseSummary(frequency=[1.0], recency=[1.0], T=[1e12], unit="period")
    with pytest.raises(InputError, match=r"T has 1000000000000.0.*at most 100,000 opportunities"):
        BgBb.fit(one)
    few = PurchaseSummary(frequency=[1.0], recency=[1.0], T=[6.0], unit="period")
    with pytest.raises(InputError, match="at most 1,000,000 periods"):
        BgBb(alpha=1, beta=1, gamma=1, delta=1).expected_purchases(few, 1e12)
    rows = np.arange(1.0, 1_001.0)
    with pytest.raises(InputError, match="Count in longer periods"):
        BgBb.fit(PurchaseSummary(frequency=np.ones(1_000), recency=rows, T=np.full(1_000, 99_000.0), unit="period"))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_next_purchase_of_a_frequent_buyer_who_is_long_silent_is_told_without_overflow(name):
    s = PurchaseSummary(frequency=[365, 0, 365], recency=[5, 0, 100.0], T=[100, 100, 100])
    for q in (1e-9, 0.01, 0.5, 0.99, 1 - 1e-16):
        for alive in (True, False):
            found = MODELS[name].next_purchase_quantile(s, q, given_alive=alive)
            assert not np.isnan(found).any()
            assert (found > 0).all()
    if name != "nbd":
        assert MODELS[name].next_purchase_quantile(s, 0.5)[0] == np.inf
    given = MODELS[name].next_purchase_quantile(s, 0.5, given_alive=True)
    assert given[0] == pytest.approx(100 * np.log(2) / 365, rel=0.2)


def test_a_summary_owns_its_arrays_and_keeps_them_through_copies():
    x, t_x, T = np.array([2.0, 0, 5]), np.array([3.0, 0, 9]), np.full(3, 10.0)
    money, weights, ids = np.array([5.0, 0, 7]), np.ones(3), np.array([7, 8, 9])
    frame = pd.DataFrame({"T": T})
    s = PurchaseSummary(
        frequency=x, recency=t_x[:], T=frame["T"], monetary_value=money, weights=weights, customer_id=ids
    )
    names = ("frequency", "recency", "T", "monetary_value", "weights", "customer_id")
    before = {name: getattr(s, name).tolist() for name in names}
    for array in (x, t_x, T, money, weights):
        array[:] = np.nan
    ids[:] = 0
    frame["T"] = -1.0
    for again in (s, pickle.loads(pickle.dumps(s)), copy.deepcopy(s), copy.copy(s)):
        for name in names:
            column = getattr(again, name)
            assert column.tolist() == before[name]
            assert not column.flags.writeable
            assert column.base is None or not column.base.flags.writeable
    cells = pickle.loads(pickle.dumps(s.spend_cells()))
    assert not any(column.flags.writeable for column in (cells.frequency, cells.monetary_value, cells.weights))


def test_columns_of_every_library_make_the_same_summary():
    x, t_x, T = [2, 0, 5], [3.0, 0, 9], [10, 10, 10]
    plain = BgNbd.fit(PurchaseSummary(frequency=x, recency=t_x, T=T)).parameters
    years = [2001, 2002, 2003]
    for make in (
        np.array, tuple, pl.Series, lambda v: pd.Series(v, index=years), lambda v: pd.array(v, dtype="Float64"),
    ):  # fmt: skip
        s = PurchaseSummary(frequency=make(x), recency=make(t_x), T=make(T))
        np.testing.assert_array_equal(BgNbd.fit(s).parameters, plain)


def test_one_cohort_and_several_come_from_any_column_or_table():
    counts = [1000, 869, 743, 653, 593]
    plain = ShiftedBetaGeometric.fit(counts)
    by_year = pd.Series(counts, index=[2001, 2002, 2003, 2004, 2005])
    for one in (tuple(counts), np.array(counts), by_year, pl.Series(counts), pd.array(counts, dtype="Int64")):
        assert ShiftedBetaGeometric.fit(one).parameters == pytest.approx(plain.parameters, rel=1e-12)
    two = ShiftedBetaGeometric.fit([counts, [500, 430, 370]])
    table = pd.DataFrame([counts, [500, 430, 370, None, None]], index=[2001, 2003])
    for several in (table, pl.DataFrame(table.to_numpy()), table.to_numpy(), table.astype("Int64")):
        assert ShiftedBetaGeometric.fit(several).parameters == pytest.approx(two.parameters, rel=1e-12)
    for wrong, message in (
        ("1000", "customers is '1000'"), (7, "customers is 7"), ({"a": counts}, "customers is {'a'"),
        ([[100, None, 50]], "only the last periods"), (["a", "b"], "numbers are needed"), ([100, None], "customers"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            ShiftedBetaGeometric.fit(wrong)
    with pytest.raises(NotEnoughDataError):
        ShiftedBetaGeometric.fit([])


def test_the_rate_so_far_is_what_was_bought_while_watched():
    frequency, T = np.array([0.0, 3.0, 1.0, 0.0]), np.array([10.0, 10.0, 5.0, 0.0])
    assert _rate_so_far(frequency, T).tolist() == pytest.approx([0.0, 0.3, 0.2, 4 / 25])
    assert _rate_so_far(np.zeros(2), np.zeros(2)).tolist() == [0.0, 0.0]
    # for Poisson buyers who never leave it is right on average, which (frequency + 1) / T is not
    rng = np.random.default_rng(5)
    rate, age = rng.gamma(1.0, 0.2, 20_000), rng.uniform(5, 40, 20_000)
    bought = rng.poisson(rate * age).astype(float)
    assert _rate_so_far(bought, age).mean() == pytest.approx(rate.mean(), rel=0.02)
