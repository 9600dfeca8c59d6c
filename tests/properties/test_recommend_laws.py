"""Laws of recommendations: nothing denied ever comes, k come where k exist, drops add up, order of rows is nothing."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import CustomerBase, EventLog, ItemTable
from relmark.recommend import (
    AfterPurchase,
    BuyAgain,
    Category,
    Ease,
    Interactions,
    ItemNeighbors,
    Popular,
    Rules,
    also_bought,
)

world = runpy.run_path(str(Path(__file__).parents[1] / "recommend" / "recommend_data.py"))
START = np.datetime64("2026-01-01")
NOW = "2026-03-01"
KINDS = ("tea", "cups", "jam")

lines = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 50), st.integers(0, 12)), min_size=1, max_size=60
)
categories = st.lists(st.sampled_from([*KINDS, None]), min_size=10, max_size=10)
prices = st.lists(st.one_of(st.none(), st.integers(1, 9).map(float)), min_size=10, max_size=10)
stocks = st.lists(st.sampled_from([True, False, None]), min_size=10, max_size=10)
some_items = st.lists(st.one_of(st.integers(0, 11), st.sampled_from(KINDS).map(Category)), max_size=4)
gaps = st.one_of(st.integers(1, 60), st.integers(9, 30)).map(lambda n: timedelta(days=n))
maybe = lambda strategy: st.one_of(st.none(), strategy)
after = st.builds(
    AfterPurchase, of=some_items.filter(bool), within=gaps, block=maybe(some_items),
    boost=st.dictionaries(st.sampled_from(KINDS), st.sampled_from([0.5, 2.0, 10.0]), max_size=2),
)  # fmt: skip
rule_sets = st.builds(
    Rules,
    exclude_bought=st.one_of(st.sampled_from(["never", "always"]), gaps),
    repeat_after=st.dictionaries(st.sampled_from(KINDS), gaps, max_size=2),
    allow=maybe(some_items),
    deny=maybe(some_items),
    deny_for=st.dictionaries(st.integers(0, 7), some_items, max_size=3),
    in_stock=st.one_of(st.booleans(), st.lists(st.integers(0, 11), max_size=6).map(tuple)),
    max_per=st.dictionaries(st.just("category"), st.integers(1, 3), max_size=1),
    min_price_ratio=maybe(st.sampled_from([0.5, 1.0, 1.5])),
    price=maybe(st.sampled_from([(2, 5), (None, 4), (3, None)])),
    after_purchase=st.lists(after, max_size=2).map(tuple),
)
specs = st.sampled_from(
    [Popular(), Ease(regularization=2.0), ItemNeighbors(k=3), BuyAgain(), world["SPECS"]["blend"],
     world["SPECS"]["als"]]
)  # fmt: skip


def made(rows, kinds=None, price=None, stock=None):
    customer, item, day, order = (np.array(column) for column in zip(*rows, strict=True))
    items = None
    if kinds is not None:
        items = ItemTable.from_columns(item=np.arange(10), category=kinds, price=price, in_stock=stock)
    return Interactions.from_columns(customer_id=customer, item=item, time=START + day, order=order, catalog=items)


def allowed(rules, customer, rows, kinds, price, stock, as_of=NOW):
    """Say, item by item and from the lines themselves, which items the rules let through to a customer."""
    now = (np.datetime64(NOW) - START).astype(int)
    last = {}
    for who, item, day, _ in rows:
        if who == customer:
            last[item] = max(day, last.get(item, -1))
    named = lambda names: {
        i for i in range(10) for n in names if (n == i if not isinstance(n, Category) else kinds[i] == n.name)
    }
    # of what is exactly n days old, a date sees it among the n days before it, and an instant no more
    within = lambda item, gap: now - last[item] < gap.days + (as_of == NOW)
    known = [price[i] for i in last if price[i] is not None]
    ok = set()
    for item in range(10):
        good = rules.allow is None or item in named(rules.allow)
        good &= rules.deny is None or item not in named(rules.deny)
        good &= item not in named(rules.deny_for.get(customer, ()))
        if rules.in_stock is True:
            good &= bool(stock[item])
        elif rules.in_stock is not False:
            good &= item in named(rules.in_stock)
        if rules.price is not None:
            low, high = rules.price
            good &= price[item] is not None and (low or 0) <= price[item] <= (high or 99)
        if item in last:
            if kinds[item] in rules.repeat_after:
                good &= not within(item, rules.repeat_after[kinds[item]])
            elif rules.exclude_bought == "always":
                good = False
            elif rules.exclude_bought != "never":
                good &= not within(item, rules.exclude_bought)
        if rules.min_price_ratio is not None and known:
            good &= price[item] is not None and price[item] >= rules.min_price_ratio * np.mean(known) * (1 - 1e-12)
        for rule in rules.after_purchase:
            if any(of in last and within(of, rule.within) for of in named(rule.of)):
                good &= item not in named(rule.block or ())
        if good:
            ok.add(item)
    return ok


@settings(max_examples=2 * settings.default.max_examples)
@given(lines, categories, prices, stocks, rule_sets, specs, st.integers(1, 12), st.sampled_from([NOW, f"{NOW}T00:00"]))
def test_what_may_not_come_never_comes_and_k_come_where_k_exist(rows, kinds, price, stock, rules, spec, k, as_of):
    x = made(rows, kinds, price, stock)
    model = spec.fit(x)
    people = [*range(6), 77]
    recs = model.recommend(people, k, rules=rules, as_of=as_of)
    sold = {item for _, item, _, _ in rows}
    dropped = 0
    for customer in people:
        items = [rec.item for rec in recs.for_customer(customer)]
        ok = allowed(rules, customer, rows, kinds, price, stock, as_of)
        own = {item for who, item, _, _ in rows if who == customer}
        could = own if isinstance(spec, BuyAgain) else sold  # buy again has a customer's own items alone to offer
        assert set(items) <= ok & could
        assert len(set(items)) == len(items)
        counts = {}
        for item in items:
            if kinds[item] is not None:
                counts[kinds[item]] = counts.get(kinds[item], 0) + 1
        most = rules.max_per.get("category", 99)
        assert all(count <= most for count in counts.values())
        room = sum(1 for i in ok & could if kinds[i] is None) + sum(
            min(most, sum(1 for i in ok & could if kinds[i] == kind)) for kind in KINDS
        )
        assert len(items) == min(k, room)
        dropped += len(could - ok)
    removed = sum(count for name, count in recs.dropped.items() if name != "max_per")
    if isinstance(spec, ItemNeighbors):  # the second source is asked only where the first leaves room
        assert removed <= dropped
    else:
        assert removed == dropped


@pytest.mark.long
@given(lines, specs, st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_order_of_lines_is_nothing(rows, spec, k, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    a, b = (spec.fit(made(each)).recommend(k=k) for each in (rows, shuffled))
    assert a.item.tolist() == b.item.tolist()
    assert a.score.tolist() == b.score.tolist()
    assert a.offsets.tolist() == b.offsets.tolist()


@given(lines, specs, st.integers(1, 11))
def test_lists_are_best_first_and_a_longer_list_begins_with_the_shorter(rows, spec, k):
    model = spec.fit(made(rows))
    short, long = model.recommend(k=k), model.recommend(k=k + 1)
    for customer, items in long:
        scores = [rec.score for rec in items]
        assert scores == sorted(scores, reverse=True)
        assert [rec.item for rec in short.for_customer(customer)] == [rec.item for rec in items[:k]]


@given(lines, specs)
def test_one_customer_alone_gets_what_all_together_get(rows, spec):
    model = spec.fit(made(rows))
    together = model.recommend(k=3)
    for customer in together.customer_id.tolist():
        alone = model.recommend(customer, 3).for_customer(customer)
        assert [rec.score for rec in alone] == pytest.approx(
            [rec.score for rec in together.for_customer(customer)], rel=1e-5, abs=1e-6
        )


def orders_of(rows):
    """Say, line by line, which order each is of: a customer's number, another one after 30 days without it."""
    last, again, found = {}, {}, []
    for who, item, day, order in sorted(rows, key=lambda row: row[2]):
        if day - last.get((who, order), day) > 30:
            again[who, order] = again.get((who, order), 0) + 1
        last[who, order] = day
        found.append(((who, order, again.get((who, order), 0)), item))
    return found


@given(lines, st.integers(1, 3))
def test_pairs_agree_with_counting_baskets(rows, least):
    x = made(rows)
    baskets = {}
    for order, item in orders_of(rows):
        baskets.setdefault(order, set()).add(item)
    pairs = also_bought(x, min_count=least)
    expected = {}
    for basket in baskets.values():
        for a in basket:
            for b in basket - {a}:
                expected[a, b] = expected.get((a, b), 0) + 1
    expected = {key: count for key, count in expected.items() if count >= least}
    found = dict(zip(zip(pairs.item.tolist(), pairs.other.tolist(), strict=True), pairs.count.tolist(), strict=True))
    assert found == expected
    assert pairs.n_baskets == len(baskets)
    n_item = {i: sum(i in basket for basket in baskets.values()) for i in range(10)}
    for row in range(len(pairs)):
        a, b = pairs.item[row], pairs.other[row]
        assert pairs.confidence[row] == pytest.approx(expected[a, b] / n_item[a])
        assert pairs.llr[row] >= 0
        assert (pairs.leverage[row] > 1e-12) == (pairs.lift[row] > 1 + 1e-9)


events = st.lists(
    st.tuples(
        st.sampled_from(["purchase", "purchase", "view", "cart"]),
        st.integers(0, 3),  # customer
        st.one_of(st.none(), st.integers(0, 4)),  # item
        st.integers(0, 3000),  # hours: over a change of the clock
        st.one_of(st.none(), st.integers(0, 3)),  # order
        st.one_of(st.none(), st.integers(-1, 3)),  # pieces
    ),
    min_size=1,
    max_size=40,
)
HOUR = np.timedelta64(3_600_000_000, "us")
BEGIN = np.datetime64("2026-01-01T00:00", "us")


def orders_of_a_customer(rows):
    """Say of which order each purchase is: its number, anew after 30 days without it, else its instant."""
    last, again, found = {}, {}, {}
    for place, (_, who, _, hour, order, _) in sorted(enumerate(rows), key=lambda pair: pair[1][3]):
        if order is None:
            found[place] = (who, None, hour)
            continue
        if hour - last.get((who, order), hour) > 30 * 24:
            again[who, order] = again.get((who, order), 0) + 1
        last[who, order] = hour
        found[place] = (who, order, again.get((who, order), 0))
    return found


@settings(max_examples=2 * settings.default.max_examples)
@given(events, st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]), st.integers(0, 130), st.booleans())
def test_a_base_with_weights_is_what_a_loop_over_its_events_gives(rows, tz, day, dated):
    weights = {"purchase": 1.0, "view": 0.25, "cart": 0.5}
    kind, who, what, hour, order, pieces = (list(column) for column in zip(*rows, strict=True))
    times = BEGIN + np.array(hour) * HOUR
    log = EventLog.from_columns(
        customer_id=who,
        type=kind,
        time=[f"{time}Z" for time in times],
        properties={"item": [None if i is None else f"i{i}" for i in what], "order": order, "quantity": pieces},
    )
    base = CustomerBase(events=log, tz=tz)
    as_of = np.datetime64("2026-01-01") + np.timedelta64(day, "D")
    as_of = as_of if dated else f"{as_of}T00:00Z"
    limit = base.as_of(as_of).seen
    with_items = {name for name in log.types if "item" in log.partition(name).properties}
    weights = {name: weight for name, weight in weights.items() if name in with_items}
    if "purchase" in log.types and "purchase" not in with_items:  # refused, and tried elsewhere
        return
    if not weights:
        return
    x = Interactions.of(base, weights=weights, as_of=as_of)
    kept = {int(row) for row in x.row}
    bought = base.purchases().until(as_of)
    counted = set(bought.lines.row.tolist()) | {
        k for k, name in enumerate(kind) if name != "purchase" and name in weights
    }
    seen = [k for k in range(len(rows)) if what[k] is not None and k in counted and times[k].astype(int) <= limit]
    assert kept == set(seen)
    assert x.row.tolist() == sorted(seen)
    biggest = {}
    for k in seen:
        key = who[k], f"i{what[k]}"
        biggest[key] = max(biggest.get(key, 0.0), weights[kind[k]])
    dense = x.matrix().toarray()
    for i, customer in enumerate(x.customer_id.tolist()):
        for j, item in enumerate(x.item.tolist()):
            assert dense[i, j] == biggest.get((customer, item), 0.0)
    mine = {row: int(code) for row, code in zip(x.row.tolist(), x.order_code.tolist(), strict=True)}
    purchases = [k for k in seen if kind[k] == "purchase"]
    own = orders_of_a_customer([rows[k] for k in bought.lines.row.tolist()])
    place = {row: k for k, row in enumerate(bought.lines.row.tolist())}
    for a in purchases:
        for b in purchases:
            assert (mine[a] == mine[b]) == (own[place[a]] == own[place[b]])
    pairs = {(own[place[a]], f"i{what[a]}") for a in purchases}
    popular = Popular(by="orders").fit(x)
    assert popular.counts.tolist() == [sum(item == other for _, other in pairs) for item in x.item.tolist()]
    again = BuyAgain(half_life=None).fit(x).recommend(k=9)
    assert {(c, rec.item) for c, items in again for rec in items} == {(who[k], f"i{what[k]}") for k in purchases}


@given(lines, st.randoms(use_true_random=False))
def test_a_mask_parts_the_rows_that_it_was_made_from(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    x = made(shuffled)
    columns = x.to_columns()
    assert columns["customer_id"].tolist() == [row[0] for row in shuffled]
    assert columns["item"].tolist() == [row[1] for row in shuffled]
    assert columns["order"].tolist() == [row[3] for row in shuffled]
    mask = columns["time"] < START + np.timedelta64(25, "D")
    assert x.take(mask).to_columns()["item"].tolist() == [row[1] for row in shuffled if row[2] < 25]
