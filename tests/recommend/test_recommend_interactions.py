import numpy as np
import pytest

from relmark import ItemTable, days
from relmark.errors import InputError
from relmark.recommend import Interactions

DAY = np.timedelta64(1, "D")


def lines(**more):
    columns = {
        "customer_id": ["b", "a", "a", "a"],
        "item": ["cup", "tea", "tea", "cup"],
        "time": np.array(["2026-01-03", "2026-01-01", "2026-01-05", "2026-01-05"], "M8[D]"),
        "quantity": [1.0, 2.0, 3.0, 4.0],
        "value": [5.0, 6.0, np.nan, 8.0],
        "order": ["o1", "o2", "o3", "o3"],
    }
    return Interactions.from_columns(**(columns | more))


def test_lines_are_ordered_by_customer_item_and_time():
    x = lines()
    own = x.lines
    assert x.customer_id[own.customer].tolist() == ["a", "a", "a", "b"]
    assert x.item[own.item].tolist() == ["cup", "tea", "tea", "cup"]
    assert own.quantity.tolist() == [4.0, 2.0, 3.0, 1.0]
    assert own.row.tolist() == [3, 1, 2, 0]
    assert repr(x) == "Interactions(4 lines, 2 customers, 2 items, 3 pairs, 2026-01-01 to 2026-01-05)"
    assert x.to_columns()["time"].dtype == "M8[us]"
    assert "customer_id" in str(x)
    assert "<table>" in x._repr_html_()


def test_the_matrix_weighs_pairs_as_asked():
    x = lines()
    dense = lambda *a, **k: x.matrix(*a, **k).toarray().tolist()
    assert dense() == [[1, 1], [1, 0]]
    assert dense("quantity") == [[4, 5], [1, 0]]
    assert dense("purchases") == [[1, 2], [1, 0]]
    assert np.allclose(dense("log"), np.log1p([[4, 5], [1, 0]]))
    assert x.matrix().dtype == np.float32


def test_the_matrix_decays_with_age():
    x = lines()
    decayed = x.matrix("purchases", half_life=days(4)).toarray()
    assert decayed == pytest.approx(np.array([[1.0, 0.5 + 1.0], [2**-0.5, 0.0]]))
    binary = x.matrix(half_life=days(4)).toarray()
    assert binary == pytest.approx(np.array([[1.0, 1.0], [2**-0.5, 0.0]]))
    past = x.matrix("quantity", half_life=days(2), as_of="2026-01-03T00:00").toarray()
    assert past == pytest.approx(np.array([[0.0, 1.0], [1.0, 0.0]]))
    dated = x.matrix("quantity", half_life=days(2), as_of="2026-01-03").toarray()  # nothing of the third
    assert dated == pytest.approx(np.array([[0.0, 1.0], [0.0, 0.0]]))


def test_lines_without_quantity_count_one_piece():
    x = Interactions.from_columns(customer_id=[1, 1], item=[7, 7])
    assert x.matrix("quantity").toarray().tolist() == [[2.0]]
    assert x.matrix("purchases").toarray().tolist() == [[2.0]]
    assert repr(x) == "Interactions(2 lines, 1 customers, 1 items, 1 pairs)"


def test_several_lines_of_one_order_are_one_purchase_even_when_their_minutes_differ():
    x = Interactions.from_columns(
        customer_id=[1, 1, 1],
        item=[7, 7, 7],
        order=[1, 2, 1],
        time=np.array(["2026-01-01T10:00", "2026-01-01T10:01", "2026-01-01T10:02"], "M8[m]"),
    )
    assert x.matrix("purchases").toarray().tolist() == [[2.0]]


def test_a_shuffle_changes_nothing_to_the_last_bit():
    rng = np.random.default_rng(3)
    n = 500
    columns = {
        "customer_id": rng.integers(0, 4, n),
        "item": rng.integers(0, 4, n),
        "time": np.datetime64("2026-01-01") + rng.integers(0, 3, n),
        "quantity": rng.random(n) + 0.1,
        "value": rng.random(n),
        "order": rng.integers(0, 20, n),
    }
    a = Interactions.from_columns(**columns)
    order = rng.permutation(n)
    b = Interactions.from_columns(**{name: column[order] for name, column in columns.items()})
    for name, column in a.to_columns().items():
        assert (b.to_columns()[name] == column[order]).all()
    for name in ("customer", "item", "time", "quantity", "value", "order"):
        assert (getattr(a.lines, name) == getattr(b.lines, name)).all()
    assert (a.matrix("log", half_life=days(1)).data == b.matrix("log", half_life=days(1)).data).all()


def test_items_of_the_table_that_nobody_bought_are_items_too():
    items = ItemTable.from_columns(item=["saucer", "cup"], price=[2.0, 3.0])
    x = lines(catalog=items)
    assert x.item.tolist() == ["cup", "saucer", "tea"]
    assert x.matrix().toarray().tolist() == [[1, 0, 1], [1, 0, 0]]
    assert lines().with_catalog(items).item.tolist() == x.item.tolist()
    empty = Interactions.from_columns(customer_id=[], item=[], catalog=items)
    assert empty.item.tolist() == ["cup", "saucer"]


def test_a_part_keeps_the_ids():
    x = lines()
    early = x.until("2026-01-03T00:00")
    assert len(x.until("2026-01-03")) == 1
    assert len(early) == 2
    assert early.customer_id.tolist() == ["a", "b"]
    assert early.last_time == 1767398400000000
    assert x.take(np.zeros(4, dtype=bool)).last_time is None
    assert repr(x.take(np.zeros(4, dtype=bool))).startswith("Interactions(0 lines")


def test_orders_take_the_place_of_customers():
    x = lines().by_order()
    assert x.n_customers == 3
    assert sorted(map(tuple, x.matrix().toarray().tolist())) == [(0, 1), (1, 0), (1, 1)]
    timeless = Interactions.from_columns(customer_id=[1, 1], item=[1, 2]).by_order()
    assert timeless.n_customers == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": [1, 2, 0, 4]}, "quantity has 0.0 in row 2.*values above 0.*returns"),
        ({"value": [1, 2, -3, 4]}, "value has -3.0 in row 2"),
        ({"item": ["a", "b"]}, "item has 2 rows"),
        ({"customer_id": ["a", None, "b", "c"]}, "customer_id is missing in row 1"),
        ({"time": np.array(["NaT"] * 4, "M8[D]")}, "time has NaT in row 0"),
        ({"time": np.array(["2026-01-01"], "M8[D]")}, "time has 1 rows"),
        ({"order": ["a"]}, "order has 1 rows"),
        ({"catalog": {"item": [1]}}, "catalog is a dict"),
        ({"catalog": ItemTable.from_columns(item=[1, 2])}, "different types"),
    ],
)
def test_wrong_columns_are_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        lines(**change)


def test_what_counts_time_needs_times():
    x = Interactions.from_columns(customer_id=[1], item=[1])
    with pytest.raises(InputError, match="half_life needs times"):
        x.matrix(half_life=days(1))
    with pytest.raises(InputError, match="no time"):
        x.until("2026-01-01")
    with pytest.raises(InputError, match="one boolean per line"):
        x.take(np.array([0]))
