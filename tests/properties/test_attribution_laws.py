"""Laws of attribution: what must hold for all journeys, whatever they are."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relmark import CustomerBase, EventLog, days, event
from relmark.attribution import (
    CustomRule,
    FirstTouch,
    Journeys,
    LastNonDirect,
    LastTouch,
    Linear,
    Markov,
    MarkovModel,
    Participation,
    PositionBased,
    Shapley,
    TimeDecay,
    TransitionCounts,
    compare,
)
from relmark.core.time import UtcTimes

NAMES = ["a", "b", "c", "d"]
RULES = [
    FirstTouch(),
    LastTouch(),
    LastNonDirect("a"),
    Linear(),
    Participation(),
    PositionBased(0.3, 0.5, 0.2),
    TimeDecay(days(2)),
    CustomRule(lambda n: range(1, n + 1)),
]
MODELS = [*RULES, Markov(), Markov(order=2), Markov(order=3), Shapley(), Shapley(by="order"), Shapley(game="rate")]
DAY = 86_400_000_000


@st.composite
def journeys(draw, least=0):
    """Draw journeys with any paths, counts of any size and, always, times."""
    paths = draw(st.lists(st.lists(st.sampled_from(range(4)), max_size=6), min_size=least, max_size=6))
    amounts = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
    n = len(paths)
    counts = {
        name: np.array(draw(st.lists(amounts, min_size=n, max_size=n)), dtype=float)
        for name in ("conversions", "value", "nulls")
    }
    counts["value"] = np.where(counts["conversions"] > 0, counts["value"], 0.0)
    lengths = np.array([len(path) for path in paths], dtype=int)
    gaps = [draw(st.lists(st.integers(0, 5), min_size=n + 1, max_size=n + 1)) for n in lengths.tolist()]
    times = np.concatenate([np.empty(0, dtype=int), *[np.cumsum(gap)[:-1] for gap in gaps]]) * DAY
    return Journeys(
        codes=np.array([code for path in paths for code in path], dtype=int),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        channels=NAMES,
        times=times.astype(np.int64),
        ends=np.array([sum(gap) for gap in gaps], dtype=np.int64) * DAY,
        **counts,
    )


def by_name(credit):
    return dict(zip(credit.channels.tolist(), zip(credit.conversions, credit.value, strict=True), strict=True))


def agree(a, b, rtol=1e-9):
    for name in NAMES:
        x, y = by_name(a).get(name, (0.0, 0.0)), by_name(b).get(name, (0.0, 0.0))
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-9 * max(1.0, a.total_conversions, a.total_value))
    assert a.unattributed_conversions == pytest.approx(b.unattributed_conversions)


def permuted(j, order):
    return j.take(np.asarray(order, dtype=int))


@given(j=journeys())
def test_credit_and_what_has_no_touch_add_up_to_the_total(j):
    for model in MODELS:
        credit = model.attribute(j)
        # Negative credit, of the game of rates alone, makes parts that are larger than the whole.
        for whole, total, parts in (
            (credit.total_conversions, j.total_conversions, credit.conversions),
            (credit.total_value, j.total_value, credit.value),
        ):
            assert abs(whole - total) <= 1e-12 * max(total, np.abs(parts).sum())
        untouched = j.lengths == 0
        assert credit.unattributed_conversions == pytest.approx(j.conversions[untouched].sum(), rel=1e-12)


@given(j=journeys())
def test_no_credit_is_negative(j):
    for model in [m for m in MODELS if m != Shapley(game="rate")]:
        credit = model.attribute(j)
        assert (credit.conversions >= 0.0).all()
        assert (credit.value >= 0.0).all()


@given(j=journeys(least=1))
def test_a_channel_that_nobody_met_gets_nothing_and_changes_nothing(j):
    for model in MODELS:
        wider = attrs.evolve(j, channels=[*NAMES, "nobody"])
        a, b = model.attribute(j), model.attribute(wider)
        assert b.conversions[-1] == 0.0
        agree(a, b)


@given(j=journeys(least=1), data=st.data())
def test_the_order_of_rows_does_not_matter(j, data):
    for model in MODELS:
        agree(model.attribute(j), model.attribute(permuted(j, data.draw(st.permutations(range(len(j)))))))


@given(j=journeys(least=1))
def test_names_do_not_matter(j):
    for model in [m for m in MODELS if m != LastNonDirect("a")]:
        renamed = j.replace(dict(zip(NAMES, ["w", "x", "y", "z"], strict=True)))
        credit = model.attribute(renamed)
        back = attrs.evolve(credit, channels=np.array(NAMES)[[["w", "x", "y", "z"].index(n) for n in credit.channels]])
        agree(model.attribute(j), back)


@given(j=journeys(least=1))
def test_merging_equal_paths_changes_nothing(j):
    for model in [m for m in MODELS if not isinstance(m, TimeDecay)]:
        doubled = j + j.take(np.arange(len(j)))
        once = model.attribute(attrs.evolve(j, conversions=2 * j.conversions, value=2 * j.value, nulls=2 * j.nulls))
        agree(once, model.attribute(doubled))
        agree(once, model.attribute(doubled.merge_duplicates()))


@given(j=journeys(least=2), data=st.data())
def test_rules_add_up_over_any_split(j, data):
    for model in RULES:
        left = np.array(data.draw(st.lists(st.booleans(), min_size=len(j), max_size=len(j))), dtype=bool)
        a, b = model.attribute(j.take(left)), model.attribute(j.take(~left))
        whole = model.attribute(j)
        np.testing.assert_allclose(
            a.conversions + b.conversions, whole.conversions, rtol=1e-9, atol=1e-12 * max(1.0, j.total_conversions)
        )


@given(j=journeys(least=1))
def test_blocks_and_touch_weights_give_the_same_credit(j):
    for model in RULES:
        touches = model.touches(j)
        expected = [touches.conversions[touches.channel == name].sum() for name in NAMES]
        np.testing.assert_allclose(
            model.attribute(j).conversions, expected, rtol=1e-9, atol=1e-12 * max(1.0, j.total_conversions)
        )


@given(j=journeys(least=1))
def test_participation_is_the_shapley_value_of_sets(j):
    agree(Participation().attribute(j), Shapley().attribute(j))
    agree(Participation().attribute(j), Shapley(by="order").attribute(j))


@given(j=journeys(least=1))
def test_positions_add_up_to_the_credit(j):
    credit = Shapley(by="order").attribute(j)
    np.testing.assert_allclose(
        credit.by_position.sum(axis=1), credit.conversions, rtol=1e-9, atol=1e-12 * max(1.0, j.total_conversions)
    )


@given(j=journeys(least=1))
def test_an_order_that_sees_whole_paths_gives_the_share_of_conversions_with_the_channel(j):
    total = j.conversions[j.lengths > 0].sum()
    assume(total > 0)
    expected = [
        sum(c for path, c in zip(j.paths, j.conversions, strict=True) if name in path.split(" > ")) / total
        for name in NAMES
    ]
    effects = Markov(order=7).fit(j).removal_effects
    np.testing.assert_allclose(effects, expected, rtol=1e-9, atol=1e-12)


@given(j=journeys(least=1), order=st.integers(1, 3))
def test_removing_more_never_loses_less(j, order):
    model = Markov(order=order).fit(j)
    assume(model.conversion_probability > 0)
    one, two = model.removal_of({"a"}), model.removal_of({"a", "b"})
    assert one <= two * (1 + 1e-12)
    assert two <= (one + model.removal_of({"b"})) * (1 + 1e-12)
    assert two <= 1.0


@given(j=journeys(least=1), order=st.integers(1, 3), data=st.data())
def test_transition_counts_merge_over_any_split_of_journeys(j, order, data):
    left = np.array(data.draw(st.lists(st.booleans(), min_size=len(j), max_size=len(j))), dtype=bool)
    merged = TransitionCounts.of(j.take(left), order) + TransitionCounts.of(j.take(~left), order)
    a, b = MarkovModel.from_counts(merged), Markov(order=order).fit(j)
    np.testing.assert_allclose(a.removal_effects, b.removal_effects, rtol=1e-9, atol=1e-15)
    assert a.conversion_probability == pytest.approx(b.conversion_probability)


@given(j=journeys(least=1))
def test_leaving_repeats_out_changes_nothing_at_order_one(j):
    agree(Markov().attribute(j), Markov().attribute(j.collapse_repeats()), rtol=1e-7)


@given(j=journeys(least=1))
def test_shares_of_a_comparison_add_up(j):
    table = compare(*[model.attribute(j) for model in (Linear(), Markov(), Shapley())])
    if j.conversions[j.lengths > 0].sum() > 0:
        np.testing.assert_allclose(table.shares.sum(axis=0), 1.0, rtol=1e-12)


@given(j=journeys(least=1), shares=st.lists(st.floats(-0.5, 0.25), min_size=4, max_size=4))
def test_calibrated_credit_balances(j, shares):
    credit = Linear().attribute(j).calibrate(dict(zip(NAMES, shares, strict=True)))
    scale = max(1.0, j.total_conversions)
    assert credit.total_conversions == pytest.approx(j.total_conversions, rel=1e-12, abs=1e-12 * scale)
    np.testing.assert_allclose(credit.conversions, np.array(shares) * j.total_conversions, atol=1e-9 * scale)


def naive_journeys(rows, lookback, gap, after, most):
    """Return the multiset of journeys of (customer, hour, kind) rows, by loops alone."""
    found = []
    for customer in sorted({row[0] for row in rows}):
        events = sorted(((hour, k, kind) for k, (c, hour, kind) in enumerate(rows) if c == customer))
        taken = set()
        for place, (hour, _, kind) in enumerate(events):
            if kind != "buy":
                continue
            journey = []
            for back in range(place - 1, -1, -1):
                other_hour, _, other = events[back]
                if other == "buy":
                    if after != "keep":
                        break
                    continue
                if other_hour < hour - lookback:
                    break
                journey.append(back)
            if after == "carry" and not journey:
                earlier = [k for k in range(place) if events[k][2] != "buy"]
                if earlier and events[earlier[-1]][0] >= hour - lookback:
                    journey = earlier[-1:]
            taken.update(journey)
            path = [events[k][2] for k in reversed(journey)]
            found.append((customer, tuple(path[-most:] if most else path), 1, 0))
        open_ = []
        last = None
        for place, (hour, _, kind) in enumerate(events):
            if kind == "buy":
                if open_:
                    found.append((customer, tuple(open_[-most:] if most else open_), 0, 1))
                open_, last = [], None
            elif place not in taken:
                if open_ and hour - last > gap:
                    found.append((customer, tuple(open_[-most:] if most else open_), 0, 1))
                    open_ = []
                open_.append(kind)
                last = hour
        if open_:
            found.append((customer, tuple(open_[-most:] if most else open_), 0, 1))
    return sorted(found)


@given(
    rows=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 30), st.sampled_from(["x", "y", "buy"])), max_size=25),
    lookback=st.integers(1, 12),
    gap=st.one_of(st.none(), st.integers(1, 12)),
    after=st.sampled_from(["new", "keep", "carry"]),
    most=st.one_of(st.none(), st.integers(1, 3)),
)
def test_journeys_of_a_log_are_those_that_loops_find(rows, lookback, gap, after, most):
    assume({"buy"} < {row[2] for row in rows})
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows],
        type=["purchase" if row[2] == "buy" else "visit" for row in rows],
        time=UtcTimes(np.array([row[1] for row in rows], dtype="M8[h]")),
        properties={
            "channel": [None if row[2] == "buy" else row[2] for row in rows],
            "order": [k if row[2] == "buy" else None for k, row in enumerate(rows)],
        },
    )
    j = Journeys.from_events(
        CustomerBase(events=log),
        touch=event("visit"),
        conversion=event("purchase"),
        as_of="1971-01-01",
        lookback=days(lookback / 24),
        after_conversion=after,
    )
    j = j if gap is None else j.split_nulls(days(gap / 24))
    j = j if most is None else j.last_n(most)
    found = sorted(
        (customer, tuple(path.split(" > ")) if path else (), int(c), int(n))
        for customer, path, c, n in zip(j.customer_id.tolist(), j.paths, j.conversions, j.nulls, strict=True)
    )
    assert found == naive_journeys(rows, lookback, gap or lookback, after, most)


@given(
    rows=st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 40), st.integers(-30, 60), st.integers(0, 4)),
        min_size=1,
        max_size=25,
    ),
    visits=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40)), max_size=12),
    tz=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    seed=st.integers(0, 9),
)
def test_conversions_are_the_orders_of_the_base_whatever_the_order_of_rows(rows, visits, tz, seed):
    def base_of(order):
        shuffled = [rows[k] for k in order]
        orders = {
            "user": [row[0] for row in shuffled],
            "at": [f"2026-10-{20 + row[1] // 4:02d}T{6 * (row[1] % 4):02d}:30" for row in shuffled],
            "paid": [row[2] / 4 for row in shuffled],
            "number": [f"n{row[3]}" for row in shuffled],
        }
        shop = CustomerBase.from_orders(orders, customer_id="user", time="at", value="paid", order="number", tz=tz)
        seen = EventLog.from_columns(
            customer_id=[0, *(row[0] for row in visits)],
            type="visit",
            time=["2026-10-01T03:15", *(f"2026-10-{20 + row[1] // 4:02d}T{6 * (row[1] % 4):02d}:15" for row in visits)],
            properties={"channel": ["a", *("abc"[row[1] % 3] for row in visits)]},
            tz=tz,
        )
        return CustomerBase(events=seen.append(shop.events), tz=tz)

    def read(base):
        return Journeys.from_events(base, touch="visit", conversion="purchase", as_of="2026-12-01", lookback=days(9))

    base = base_of(range(len(rows)))
    j, orders = read(base), base.purchases().orders()
    converted = j.conversions > 0.0
    assert int(j.total_conversions) == len(orders)
    columns = (j.customer_id[converted], j.ends[converted], j.value[converted])
    wanted = (orders.customer_id, orders.time.astype(int), orders.value)
    assert rows_of(*columns) == rows_of(*wanted)
    again = read(base_of(np.random.default_rng(seed).permutation(len(rows))))
    first, second = (rows_of(x.customer_id, x.ends, np.array(x.paths), x.value) for x in (j, again))
    assert first == second


def rows_of(*columns):
    """Return the rows of columns, sorted."""
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]])
def test_orders_of_one_instant_come_by_their_number(order):
    rows = [("n0", 0.0), ("n1", 0.25), ("n0", 0.0)]
    orders = {
        "user": [1, 1, 1],
        "at": ["2026-10-20T00:30"] * 3,
        "paid": [rows[k][1] for k in order],
        "number": [rows[k][0] for k in order],
    }
    shop = CustomerBase.from_orders(orders, customer_id="user", time="at", value="paid", order="number")
    seen = EventLog.from_columns(customer_id=[1], type="visit", time=["2026-10-20"], properties={"channel": ["a"]})
    base = CustomerBase(events=seen.append(shop.events))
    j = Journeys.from_events(base, touch="visit", conversion="purchase", as_of="2026-12-01")
    assert sorted(zip(j.paths, j.value.tolist(), strict=True)) == [("", 0.25), ("a", 0.0)]
