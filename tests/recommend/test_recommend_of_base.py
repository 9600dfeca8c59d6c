"""A base in, as every package takes it: its orders, refunds, zone and items, and other events with weights."""

import copy
import pickle
from datetime import UTC, date, datetime

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, ItemTable, days
from relmark.errors import InputError, MissingColumnError
from relmark.recommend import (
    BuyAgain,
    Ease,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
    also_bought,
    auto,
    compare,
    look_alike,
    quality,
    split_by_time,
)
from relmark.segmentation import rfm_measures

NOON = "2026-01-05T12:00"


def base_of(tz="UTC", **more):
    names = {"customer_id": "u", "time": "t", "value": "v", "order": "o", "item": "i", "quantity": "q"}
    names = {role: name for role, name in names.items() if name in more}
    return CustomerBase.from_orders(more, **names, tz=tz)


def five_at_once(**more):
    """Five customers at one instant: each has tea, and the first two have a cup with it."""
    return base_of(
        u=["a", "a", "b", "b", "c", "d", "e"], t=[NOON] * 7, i=["tea", "cup", "tea", "cup", *["tea"] * 3], **more
    )


def random_shop(seed=0, n=800, tz="Europe/Berlin", customers=30):
    rng = np.random.default_rng(seed)
    return base_of(
        tz=tz,
        u=rng.integers(0, customers, n),
        t=np.datetime64("2025-12-01T00:00", "m") + rng.integers(0, 100 * 1440, n),
        v=np.where(rng.random(n) < 0.05, -5.0, rng.integers(1, 30, n)),
        i=rng.integers(0, 15, n),
        q=rng.integers(1, 4, n).astype(float),
        o=rng.integers(0, 300, n),
    )


# ---- orders belong to customers


@pytest.mark.parametrize("order", [None, [7] * 7, ["1", "1", "1", "1", "1", "1", "1"], [None] * 7])
def test_customers_at_one_instant_or_with_one_number_are_orders_of_their_own(order):
    base = five_at_once(**({} if order is None else {"o": order}))
    x = Interactions.of(base)
    assert Popular(by="orders").fit(base).counts.tolist() == [2.0, 5.0]
    assert x.by_order().n_customers == 5
    assert x.by_order().matrix().sum(axis=1).A1.tolist() == [2, 2, 1, 1, 1]
    pairs = also_bought(base, min_count=1)
    assert (pairs.n_baskets, pairs.count.tolist(), pairs.confidence.tolist()) == (5, [2, 2], [1.0, 0.4])
    near = ItemNeighbors(by="order", measure="jaccard").fit(base).neighbors
    assert near.weight.tolist() == pytest.approx([0.4, 0.4])
    columns = {name: column for name, column in x.to_columns().items() if name != "order"}
    other = Interactions.from_columns(**columns, **({} if order is None else {"order": order}))
    assert other.by_order().n_customers == 5
    assert Popular(by="orders").fit(other).counts.tolist() == [2.0, 5.0]


def test_a_missing_order_is_what_a_customer_buys_at_one_time():
    columns = {"customer_id": ["a", "a", "a", "b"], "item": ["tea", "cup", "tea", "tea"]}
    time = [NOON, NOON, "2026-01-06T12:00", NOON]
    x = Interactions.from_columns(**columns, time=time, order=["k1", None, None, None])
    assert len(np.unique(x.order_code)) == 4
    assert x.to_columns()["order"].tolist() == ["k1", None, None, None]
    timeless = Interactions.from_columns(**columns, order=[5.0, None, None, None])
    assert len(np.unique(timeless.order_code)) == 4
    base = base_of(u=columns["customer_id"], i=columns["item"], t=time, o=["k1", None, None, None])
    assert Interactions.of(base).to_columns()["order"].tolist() == ["k1", None, None, None]
    assert len(np.unique(Interactions.of(base).order_code)) == 4


def test_a_number_used_again_after_a_month_is_another_order_in_columns_as_in_a_base():
    time = ["2026-01-01T10:00", "2026-01-31T10:00", "2026-03-05T10:00"]
    x = Interactions.from_columns(customer_id=[1] * 3, item=[1, 2, 3], time=time, order=[9] * 3)
    base = base_of(u=[1] * 3, i=[1, 2, 3], t=time, o=[9] * 3)
    assert len(np.unique(x.order_code)) == 2 == len(base.purchases().orders())
    assert (Interactions.of(base).order_code == x.order_code).all()


@pytest.mark.parametrize("seed", range(5))
def test_columns_and_a_base_agree(seed):
    base = random_shop(seed)
    bought = base.purchases(refunds="drop")
    x = Interactions.of(bought)
    y = Interactions.from_columns(**x.to_columns(), tz="UTC")
    assert (x.customer_id == y.customer_id).all()
    for name in ("customer", "item", "time", "quantity", "value"):
        assert (getattr(x.lines, name) == getattr(y.lines, name)).all()
    same = x.order_code[:, None] == x.order_code[None, :]
    assert (same == (y.order_code[:, None] == y.order_code[None, :])).all()
    assert len(np.unique(x.order_code)) == len(bought.orders())


# ---- what the base says


def test_refunds_and_free_lines_are_as_the_purchases_say():
    base = base_of(
        u=["a"] * 4, t=[f"2026-01-0{d}" for d in (1, 2, 3, 4)], v=[30.0, 20.0, -20.0, 0.0], i=["x", "y", "y", "z"]
    )
    assert Interactions.of(base).to_columns()["item"].tolist() == ["x", "z"]
    assert Interactions.of(base, as_of="2026-01-03").to_columns()["item"].tolist() == ["x", "y"]  # not yet sent back
    plain = base.purchases(refunds="drop", free="drop")
    assert Interactions.of(plain).to_columns()["item"].tolist() == ["x", "y"]
    with pytest.raises(InputError, match=r"negative value, the first in row 2 .*refunds='net'"):
        Interactions.of(base.purchases(refunds="refuse"))
    assert BuyAgain().fit(base, as_of="2026-01-03").recommend(["a"]).item.tolist() == ["y", "x"]
    train, test = split_by_time(base, cut="2026-01-03")
    assert train.to_columns()["item"].tolist() == ["x", "y"]
    assert test.to_columns()["item"].tolist() == ["z"]
    assert train.item.tolist() == test.item.tolist() == ["x", "y", "z"]


def test_lines_without_pieces_count_as_none_and_are_counted():
    base = base_of(
        u=[1, 1, 1, 2], t=["2026-01-01"] * 4, v=[1.0] * 4, i=["x", "y", "z", None], q=[2.0, 0.0, np.nan, 1.0]
    )
    x = Interactions.of(base)
    assert x.matrix("quantity").toarray().tolist() == [[2.0, 0.0, 1.0]]
    assert x.matrix().toarray().tolist() == [[1.0, 1.0, 1.0]]
    assert x.counts == {"without_item": 1, "without_pieces": 1, "pieces_unknown": 1}
    assert "1 lines without an item were left out" in str(x)
    assert "count as no pieces" in x._repr_html_()
    assert ItemNeighbors(measure="bm25", weight="quantity", B=1.0).fit(base).neighbors.weight.dtype == np.float32
    recs = Popular().fit(base).recommend([1], rules=Rules(exclude_bought="always"))
    assert len(recs) == 0  # what was bought in no pieces was bought


def test_ids_and_items_are_those_of_the_base_in_ascending_order():
    table = {"u": ["z", "q", "b"], "city": ["x", "y", "z"]}
    base = CustomerBase.from_orders(
        {"u": ["b", "z", "c"], "t": ["2026-01-01"] * 3, "i": [3.0, 1.0, None]},
        customer_id="u",
        time="t",
        item="i",
        customers=table,
        items=ItemTable.from_columns(item=[7, 1], price=[1.0, 2.0]),
    )
    x = Interactions.of(base)
    assert x.customer_id.tolist() == ["b", "z"]
    assert x.item.tolist() == [1, 3, 7]
    assert x.catalog is base.items
    assert Interactions.of(base, catalog=ItemTable.from_columns(item=[9])).item.tolist() == [1, 3, 9]
    assert Interactions.of(CustomerBase()).n_customers == 0
    halves = base_of(u=[1, 1], t=["2026-01-02", "2026-01-01"], i=[1.5, 2.5])
    with pytest.raises(InputError, match=r"item has 1.5 in row 0: ids are int or str"):
        Interactions.of(halves)
    with pytest.raises(InputError, match="column of kind 'boolean'"):
        Interactions.of(base_of(u=[1], t=["2026-01-02"], i=[True]))
    with pytest.raises(MissingColumnError, match=r"no property 'item'.*from_orders\(\.\.\., item=\.\.\.\)"):
        Ease().fit(base_of(u=[1], t=["2026-01-02"], v=[1.0]))


# ---- rows as they came


def test_masks_made_from_columns_part_the_caller_s_rows():
    base = random_shop(3)
    for x in (Interactions.of(base), Interactions.from_columns(**Interactions.of(base).to_columns())):
        columns = x.to_columns()
        mask = columns["time"] < np.datetime64("2026-01-15")
        train, test = x.take(mask), x.take(~mask)
        assert train.last_time < np.datetime64("2026-01-15", "us").astype(int) <= test.time.min()
        for name, column in columns.items():
            assert (train.to_columns()[name] == column[mask]).all()
        assert (x.row[mask] == train.row).all()
        wares = x.item[x.item_code]
        assert set(x.take(wares == 3).to_columns()["item"]) == {3}
        assert (np.diff(x.row) > 0).all()


def test_columns_come_back_as_they_were_given():
    given = {
        "customer_id": np.array(["b", "a", "b", "a"]),
        "item": np.array([3, 9, 1, 3]),
        "order": np.array(["R9", "R2", "R9", "R1"]),
        "value": np.array([4.0, np.nan, 2.0, 1.0]),
        "quantity": np.array([1.0, 2.0, 3.0, 4.0]),
    }
    x = Interactions.from_columns(**given)
    for name, column in given.items():
        assert np.array_equal(x.to_columns()[name], column, equal_nan=column.dtype.kind == "f")
    assert "R9" in str(x).splitlines()[2]
    with pytest.raises(InputError, match=r"mask has 3 rows and the interactions 4 lines.*mask\[x\.row\]"):
        x.take([True, False, True])
    assert len(x.take([True, False, True, False])) == 2


@pytest.mark.parametrize("frame", ["mapping", "pandas", "polars", "pyarrow"])
def test_frames_come_in_by_the_names_of_their_columns(frame):
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    columns = {"who": ["b", "a"], "sku": ["x", "y"], "at": [datetime(2026, 1, 5, 3, tzinfo=UTC)] * 2, "n": [1, 2]}
    made = {"mapping": dict, "pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[frame](columns)
    x = Interactions.from_frame(made, customer_id="who", item="sku", time="at", quantity="n", tz="America/New_York")
    assert x.to_columns()["item"].tolist() == ["x", "y"]
    assert x.time.tolist() == [1767582000000000] * 2
    assert repr(x).endswith("2026-01-04 to 2026-01-04)")  # days of New York
    if frame == "polars":
        y = Interactions.from_columns(customer_id=made["who"], item=made["sku"], time=made["at"], tz="America/New_York")
        assert y.time.tolist() == x.time.tolist()
    with pytest.raises(MissingColumnError, match=r"no column 'skuu'.*Did you mean 'sku'"):
        Interactions.from_frame(made, customer_id="who", item="skuu")


# ---- dates and instants


@pytest.mark.parametrize("tz", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize(
    "as_of", ["2026-02-11", date(2026, 2, 11), np.datetime64("2026-02-11"), "2026-02-11T00:00", "2026-02-11T00:00Z"]
)
def test_a_base_in_any_zone_sees_what_other_rooms_see(tz, as_of):
    hours = np.datetime64("2026-02-09T00:00", "m") + np.arange(96) * 60
    base = base_of(tz=tz, u=np.arange(96) % 3, t=hours, v=np.ones(96), i=np.arange(96) % 4)
    n = int(rfm_measures(base, as_of=as_of).frequency.sum())
    for seen in (
        Interactions.of(base, as_of=as_of),
        Interactions.of(base).until(as_of),
        Interactions.of(base.purchases(), None, as_of),
    ):
        assert len(seen) == n
        assert seen.tz == tz
    assert Popular(by="revenue").fit(base, as_of=as_of).counts.sum() == n
    assert BuyAgain(half_life=None).fit(base, as_of=as_of).history.weight.sum() == n
    assert also_bought(base, by="customer", as_of=as_of, min_count=1).n_baskets == 3
    assert Popular().fit(base, as_of=as_of).as_of.dtype == ("M8[us]" if "T" in str(as_of) else "M8[D]")
    split = split_by_time(base, cut=as_of)
    assert len(split.train) == n
    assert len(split.train) + len(split.test) == 96
    assert len(Interactions.of(base, as_of=split.cut)) == n  # a cut is what every as_of takes
    assert int(rfm_measures(base, as_of=split.cut).frequency.sum()) == n
    again = split_by_time(base, days(1), end=split.end)
    assert len(Interactions.of(base, as_of=again.as_of)) == len(again.train)


def test_a_date_counts_whole_local_days_back_and_an_instant_hours():
    base = base_of(
        tz="America/New_York",
        u=["a", "a", "b"],
        t=["2026-03-07T00:30", "2026-03-01T12:00", "2026-03-01T12:00"],
        i=["late", "old", "late"],
    )
    model = Popular().fit(base, as_of="2026-03-08")
    ask = lambda as_of, gap: model.recommend(["a"], rules=Rules(exclude_bought=days(gap)), as_of=as_of).item.tolist()
    assert ask("2026-03-10", 3) == ["old"]  # the clock changed on 8 March: 7, 8 and 9 are three days of 71 hours
    assert ask("2026-03-11", 3) == ["late", "old"]
    assert ask("2026-03-10T00:30", 3) == ["old"]  # 71 hours and an hour less
    assert ask("2026-03-10T01:30", 3) == ["late", "old"]  # (as_of - 72 h, as_of]
    assert model.recommend(["a"], as_of="2026-03-08").item.tolist() == ["late", "old"]
    with pytest.raises(InputError, match="before"):
        model.recommend(["a"], as_of="2026-03-07")
    again = BuyAgain(half_life=None, min_gap=days(3)).fit(base, as_of="2026-03-08")
    assert again.recommend(["a"], as_of="2026-03-10").item.tolist() == ["old"]
    assert again.recommend(["a"], as_of="2026-03-11").item.tolist() == ["late", "old"]
    assert again.recommend(["a"], as_of="2026-03-11").for_customer("a")[0].reason == "bought 1 time, last 3 days ago"


def test_launches_are_days_of_the_base_s_zone():
    items = ItemTable.from_columns(
        item=["old", "new"], category=["x", "x"], launched=np.array(["2020-01-01", "2026-03-01"], "M8[D]")
    )
    base = CustomerBase.from_orders(
        {"u": ["a"], "t": ["2026-01-01T10:00"], "i": ["old"]},
        customer_id="u",
        time="t",
        item="i",
        items=items,
        tz="America/New_York",
    )
    model = NewArrivals(launched_within=days(10)).fit(base)
    new = lambda as_of: model.recommend(["a"], as_of=as_of).item.tolist()
    assert new("2026-03-01T04:00Z") == []
    assert new("2026-03-01T05:00Z") == new("2026-03-01") == new("2026-03-11") == ["new"]
    assert new("2026-03-12") == []
    read = type(model).from_arrays(model.to_arrays(), catalog=items)
    assert read.recommend(["a"], as_of="2026-03-01T04:00Z").item.tolist() == []
    assert (read.tz, read.as_of, read.dated) == ("America/New_York", model.as_of, False)


def test_what_was_bought_since_is_seen_without_saying_when():
    old = base_of(u=["a"], t=["2026-01-01T10:00"], i=["tea"])
    new = base_of(u=["a", "b"], t=["2026-01-01T10:00", "2026-01-05T10:00"], i=["tea", "tea"], v=[1.0, 1.0])
    model = BuyAgain().fit(old)
    assert model.recommend(["b"], history=new).item.tolist() == ["tea"]
    assert model.recommend(["b"], history=new, as_of="2026-01-05").item.tolist() == []
    sent_back = base_of(u=["b", "b"], t=["2026-01-02", "2026-01-09"], i=["tea"] * 2, v=[5.0, -5.0])
    assert model.recommend(["b"], history=sent_back, as_of="2026-01-05").item.tolist() == ["tea"]
    assert model.recommend(["b"], history=sent_back, as_of="2026-01-10").item.tolist() == []


# ---- views and favorites


def looked():
    """One customer bought tea, put a cup into the cart and looked at jam twice; another bought jam."""
    at = [f"2026-01-0{d}T10:00" for d in (1, 2, 3, 4, 5)]
    log = EventLog.from_columns(
        customer_id=["a", "a", "a", "a", "b"],
        type=["purchase", "cart", "view", "view", "purchase"],
        time=at,
        value=[3.0, None, None, None, 4.0],
        properties={"item": ["tea", "cup", "jam", "jam", "jam"], "order": ["r1", None, None, None, "r1"]},
    )
    return CustomerBase(events=log)


def test_other_events_count_with_their_weights():
    x = Interactions.of(looked(), weights={"purchase": 1, "cart": 0.5, "view": 0.1})
    assert x.item.tolist() == ["cup", "jam", "tea"]
    rows = lambda *a, **k: x.matrix(*a, **k).toarray().astype(float).round(6).tolist()
    assert rows() == [[0.5, 0.1, 1.0], [0.0, 1.0, 0.0]]  # the largest of a pair's lines
    assert rows("purchases") == rows("quantity") == [[0.5, 0.2, 1.0], [0.0, 1.0, 0.0]]
    assert rows("log") == np.log1p([[0.5, 0.2, 1.0], [0.0, 1.0, 0.0]]).round(6).tolist()
    assert rows(half_life=days(1), as_of="2026-01-05T10:00")[0] == [0.0625, 0.05, 0.0625]
    assert x.to_columns()["bought"].tolist() == [True, False, False, False, True]
    assert x.to_columns()["order"].tolist() == ["r1", None, None, None, "r1"]
    assert Interactions.of(looked(), weights={"view": 2}).matrix().toarray().tolist() == [[2.0, 1.0], [1.0, 0.0]]
    assert len(Interactions.of(looked(), weights={"view": 2}, as_of="2026-01-04")) == 2


def test_what_was_only_viewed_was_never_bought():
    x = Interactions.of(looked(), weights={"cart": 0.5, "view": 0.1})
    popular = Popular().fit(x)
    assert popular.counts.tolist() == pytest.approx([0.5, 1.1, 1.0])
    assert Popular(by="orders").fit(x).counts.tolist() == [0.0, 1.0, 1.0]
    assert Popular(by="revenue").fit(x).counts.tolist() == [0.0, 4.0, 3.0]
    assert popular.popularity.tolist() == [0.0, 0.5, 0.5]
    keep = lambda **rules: set(popular.recommend(["a"], rules=Rules(**rules)).item)
    assert keep(exclude_bought="always") == {"cup", "jam"}
    assert keep(exclude_bought=days(10)) == {"cup", "jam"}
    assert BuyAgain().fit(x).recommend(["a"]).item.tolist() == ["tea"]
    assert BuyAgain().fit(looked()).recommend(["a"], history=x).item.tolist() == ["tea"]
    assert x.by_order().matrix().toarray().tolist() == [[0, 0, 1], [0, 1, 0]]
    pairs = also_bought(x, min_count=1)
    assert (len(pairs), pairs.n_baskets) == (0, 2)
    assert len(also_bought(x, by="customer", min_count=1)) == 0


def test_reasons_do_not_call_a_look_a_purchase():
    from relmark.recommend import FactorModel

    x = Interactions.of(looked(), weights={"cart": 0.5, "view": 0.1})
    model = FactorModel.from_factors(item=["cup", "jam", "tea"], item_factors=np.eye(3), interactions=x)
    reasons = {rec.item: rec.reason for rec in model.recommend(["a"], 3).for_customer("a")}
    assert reasons["jam"] == "looked at before"
    assert reasons["tea"] == "bought before"
    read = FactorModel.from_json(model.to_json())
    assert read.history.bought.tolist() == model.history.bought.tolist()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"veiw": 1}, "no such events: it has 'cart', 'purchase', 'view'.*Did you mean 'view'"),
        ({"view": -1}, r"weights\['view'\] is -1"),
        ({"view": "much"}, r"weights\['view'\] is 'much': a number"),
        ([("view", 1)], "a mapping such as"),
        ({3: 1}, "a name in weights is 3"),
    ],
)
def test_weights_that_say_nothing_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        Interactions.of(looked(), weights=weights)
    with pytest.raises(InputError, match="weights has 'view', but Purchases hold purchases only: give the base"):
        Interactions.of(looked().purchases(), weights={"view": 1})
    bare = EventLog.from_columns(customer_id=[1], type="view", time=["2026-01-01"], properties={"page": ["x"]})
    with pytest.raises(MissingColumnError, match="no property 'item': they have 'page'"):
        Interactions.of(CustomerBase(events=bare), weights={"view": 1})


def test_views_can_stand_for_purchases():
    views = Interactions.of(looked().purchases(type="view"))
    assert views.to_columns()["item"].tolist() == ["jam", "jam"]
    assert BuyAgain(half_life=None).fit(views).recommend(["a"]).score.tolist() == [2.0]


# ---- every door


def test_every_door_takes_a_base_and_its_purchases():
    base = random_shop(1)
    bought, x = base.purchases(), Interactions.of(base)
    ease = [Ease(regularization=5.0).fit(each).recommend(k=3) for each in (base, bought, x)]
    assert len({tuple(recs.item.tolist()) for recs in ease}) == 1
    assert len({len(also_bought(each)) for each in (base, bought, x)}) == 1
    alike = [look_alike(each, seed=range(8), size=5).customer_id.tolist() for each in (base, bought, x)]
    assert alike[0] == alike[1] == alike[2]
    results = [compare({"ease": Ease(regularization=5.0)}, each, k=3, test=days(20)) for each in (base, bought)]
    assert results[0].ndcg.tolist() == results[1].ndcg.tolist()
    choice = auto(base, k=3, test=days(20))
    assert choice.fit(base).recommend(k=2).item.tolist() == choice.fit(x).recommend(k=2).item.tolist()
    split = split_by_time(base, days(20))
    model = Ease(regularization=5.0).fit(split.train, as_of=split.as_of)
    assert quality(model, split.test, k=3).ndcg.tolist() == results[0].qualities["ease"].ndcg.tolist()


def test_a_refund_after_the_cut_does_not_change_what_was_known_at_it():
    base = base_of(
        u=["a", "b", "a", "b", "a"],
        t=["2026-01-01", "2026-01-02", "2026-02-20", "2026-02-21", "2026-02-22"],
        v=[10.0, 10.0, 5.0, 5.0, -15.0],
        i=["tea", "tea", "cup", "jam", "tea"],
    )
    split = split_by_time(base, days(30))
    assert split.train.to_columns()["item"].tolist() == ["tea", "tea"]
    assert split.test.to_columns()["item"].tolist() == ["jam"]  # the refund took the tea and the cup back
    assert split.train.matrix().shape == split.test.matrix().shape
    assert len(Interactions.of(base)) == 2


# ---- nobody can write


def test_interactions_and_answers_belong_to_themselves():
    base = random_shop(2)
    x = Interactions.of(base)
    for each in (x, pickle.loads(pickle.dumps(x)), copy.deepcopy(x), x.take(np.ones(len(x), bool))):
        for array in (
            each.customer_id,
            each.item,
            each.lines.time,
            each.lines.item,
            each.time,
            each.order_code,
            each.row,
        ):
            with pytest.raises(ValueError, match="read-only"):
                array[:1] = array[-1:]
    ids = np.array([3, 4, 5])
    moments = np.array(["2027-01-05", "2027-01-06", "2027-01-07"], "M8[us]")
    recs = BuyAgain().fit(base).recommend(ids, k=1, as_of=moments)
    said = recs.reason.tolist()
    ids[:], moments[:] = 9, np.datetime64("2030-01-01")
    assert recs.customer_id.tolist() == [3, 4, 5]
    assert recs.reason.tolist() == said
    gaps, most = {"tea": days(3)}, {"category": 2}
    rules = Rules(repeat_after=gaps, max_per=most)
    gaps["tea"], most["category"] = days(9), 0
    assert (rules.repeat_after, rules.max_per) == ({"tea": days(3)}, {"category": 2})
    columns = {
        "customer_id": np.array([1, 2]),
        "item": np.array([1, 2]),
        "time": np.array(["2026-01-01", "2026-01-02"], "M8[us]"),
    }
    y = Interactions.from_columns(**columns, quantity=(q := np.array([1.0, 2.0])))
    q[:] = columns["time"][:] = columns["item"][:] = 7
    assert y.quantity.tolist() == [1.0, 2.0]
    assert y.to_columns()["item"].tolist() == [1, 2]
    assert str(y.to_columns()["time"][0]) == "2026-01-01T00:00:00.000000"


def test_rows_and_columns_of_lists_work_their_reasons_out_for_what_is_read_alone(monkeypatch):
    recs = BuyAgain().fit(random_shop(2)).recommend(k=5)
    asked = []
    plain = type(recs._reasons).__call__
    monkeypatch.setattr(
        type(recs._reasons), "__call__", lambda self, rows: asked.append(len(rows)) or plain(self, rows)
    )
    assert len(recs) == len(recs["item"]) > 20
    assert len(recs.head(3)["reason"]) == 3
    assert recs.top(2, by="score")["score"].tolist() == np.sort(recs.score)[::-1][:2].tolist()
    assert f"{len(recs) - 20:,} more rows" in str(recs)
    assert f"{len(recs) - 20:,} more rows" in recs._repr_html_()
    assert asked == [3, 2, 20, 20]
    assert recs[["item", "reason"]]["reason"].tolist() == recs.reason.tolist()
    with pytest.raises(MissingColumnError, match=r"no column 'scores'.*Did you mean 'score'"):
        recs["scores"]
