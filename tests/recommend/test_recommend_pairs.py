import numpy as np
import pytest

from relmark import ItemTable
from relmark.errors import InputError, MissingColumnError
from relmark.recommend import Category, Interactions, also_bought


def receipts(**more):
    baskets = [
        ["tea", "cup"],
        ["tea", "cup", "post"],
        ["tea", "jam", "post"],
        ["jam", "post"],
        ["tea"],
        ["gong", "horn"],
    ]
    order, item = zip(*[(o, i) for o, basket in enumerate(baskets) for i in basket], strict=True)
    return Interactions.from_columns(customer_id=[1] * len(order), item=list(item), order=list(order), **more)


def row(pairs, item, other):
    place = np.flatnonzero((pairs.item == item) & (pairs.other == other))
    assert len(place) == 1
    return {name: column[place[0]] for name, column in pairs.to_columns().items()}


def test_every_measure_of_a_pair_is_what_its_name_says():
    pairs = also_bought(receipts(), min_count=1)
    assert pairs.n_baskets == 6
    cup = row(pairs, "tea", "cup")
    assert cup["count"] == 2
    assert cup["support"] == pytest.approx(2 / 6)
    assert cup["confidence"] == pytest.approx(2 / 4)  # P(cup | tea)
    assert row(pairs, "cup", "tea")["confidence"] == 1.0
    assert cup["lift"] == pytest.approx((2 / 6) / (4 / 6 * 2 / 6))
    assert cup["leverage"] == pytest.approx(2 / 6 - 4 / 6 * 2 / 6)
    assert cup["conviction"] == pytest.approx((1 - 2 / 6) / (1 - 2 / 4))
    assert row(pairs, "cup", "tea")["conviction"] == np.inf
    assert cup["cosine"] == pytest.approx(2 / np.sqrt(8))
    assert cup["jaccard"] == pytest.approx(2 / 4)
    table, expected = np.array([[2, 2], [0, 2]]), np.array([[4 * 2, 4 * 4], [2 * 2, 2 * 4]]) / 6
    with np.errstate(divide="ignore", invalid="ignore"):
        g2 = 2 * np.nansum(table * np.log(table / expected))
    assert cup["llr"] == pytest.approx(g2)


def test_pairs_are_ordered_and_both_ways():
    pairs = also_bought(receipts(), min_count=2)
    keys = list(zip(pairs.item.tolist(), pairs.other.tolist(), strict=True))
    assert keys == sorted(keys)
    assert set(keys) == {(b, a) for a, b in keys}
    assert set(keys) == {
        ("tea", "cup"),
        ("cup", "tea"),
        ("tea", "post"),
        ("post", "tea"),
        ("jam", "post"),
        ("post", "jam"),
    }
    assert repr(pairs).startswith("Pairs(rows=6, n_baskets=6, by=order")


def test_what_goes_with_an_item_needs_more_than_chance():
    pairs = also_bought(receipts(), min_count=1)
    best = pairs.top("tea", 5)
    assert [rec.item for rec in best] == ["cup"]  # jam and post come with tea no more often than by chance
    assert best[0].reason == "in 2 orders with tea, 1.5 times what chance gives"
    assert best[0].rank == 1
    assert [rec.item for rec in pairs.top("post", by="confidence")] == ["jam"]
    assert pairs.top("gong")[0].item == "horn"
    assert pairs.top("never seen") == ()


def test_lift_is_no_ranking():
    with pytest.raises(InputError, match="by='lift' ranks pairs first"):
        also_bought(receipts()).top("tea", by="lift")
    with pytest.raises(InputError, match="by is 'lifft'"):
        also_bought(receipts()).top("tea", by="lifft")


def test_a_basket_is_completed_by_what_goes_with_its_items():
    pairs = also_bought(receipts(), min_count=1)
    assert [rec.item for rec in pairs.for_basket(["tea", "gong"], 5)] == ["horn", "cup"]
    assert pairs.for_basket([]) == ()
    assert pairs.for_basket("tea") == pairs.for_basket(["tea"])
    assert pairs.for_basket("tea")[0].item == "cup"
    with pytest.raises(InputError, match="the ids here are str"):
        pairs.for_basket([3])


def test_service_items_are_left_out_and_baskets_are_still_counted():
    plain, without = also_bought(receipts(), min_count=1), also_bought(receipts(), min_count=1, exclude="post")
    assert "post" not in without.item
    assert without.n_baskets == plain.n_baskets
    assert row(without, "tea", "cup")["llr"] == row(plain, "tea", "cup")["llr"]
    items = ItemTable.from_columns(item=["post"], category=["service"])
    by_table = also_bought(receipts(), min_count=1, exclude=Category("service"), catalog=items)
    assert by_table.item.tolist() == without.item.tolist()
    assert (
        also_bought(receipts(catalog=items), min_count=1, exclude=Category("service")).item.tolist()
        == by_table.item.tolist()
    )
    with pytest.raises(MissingColumnError, match="exclude needs the column"):
        also_bought(receipts(), exclude=Category("service"))


def test_customers_or_instants_can_be_the_baskets():
    columns = {"customer_id": [1, 1, 2, 2], "item": ["a", "b", "a", "b"]}
    assert also_bought(Interactions.from_columns(**columns), by="customer", min_count=1).count.tolist() == [2, 2]
    with pytest.raises(InputError, match="needs the column order"):
        also_bought(Interactions.from_columns(**columns))
    time = np.array(["2026-01-01", "2026-01-02", "2026-01-02", "2026-01-02"], "M8[D]")
    timed = also_bought(Interactions.from_columns(**columns, time=time), min_count=1)
    assert timed.count.tolist() == [1, 1]  # customer 1 on two days, customer 2 at once: three baskets
    assert timed.n_baskets == 3


def test_no_pairs_are_no_pairs():
    x = Interactions.from_columns(customer_id=[], item=[], order=[])
    pairs = also_bought(x)
    assert len(pairs) == 0
    assert pairs.top(3) == ()
    assert len(also_bought(receipts(), min_count=99)) == 0
    with pytest.raises(InputError, match=r"Interactions\.from_columns"):
        also_bought([[1, 2]])
    with pytest.raises(InputError, match="min_count is 0"):
        also_bought(receipts(), min_count=0)


def test_counting_by_blocks_is_counting_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    x = Interactions.from_columns(
        customer_id=np.zeros(4000, int), item=rng.integers(0, 90, 4000), order=rng.integers(0, 900, 4000)
    )
    dense = x.by_order().matrix().toarray()
    both = (dense.T @ dense).astype(int)
    pairs = also_bought(x, min_count=2)
    assert (both[pairs.item, pairs.other] == pairs.count).all()
    off = both - np.diag(np.diag(both))
    assert len(pairs) == (off >= 2).sum()
