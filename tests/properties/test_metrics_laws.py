"""Metrics beside a slow obvious reading: funnels, stages, messages, cohorts, and counts that merge."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import CustomerBase, EventLog, days, event, hours, prop, stage
from relmark.metrics import (
    MessageCounts,
    cohort_retention,
    cohort_value,
    contact_pressure,
    funnel,
    journey_map,
    message_metrics,
    paths,
)

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = ZERO + timedelta(hours=60)
KINDS = ["a", "b", "c"]
EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(KINDS), st.integers(0, 70), st.sampled_from(["x", "y", None])),
    max_size=24,
)


def base_of(rows):
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows], type=[row[1] for row in rows],
        time=[ZERO + timedelta(hours=row[2]) for row in rows], properties={"s": [row[3] for row in rows]},
    ) if rows else EventLog.empty()  # fmt: skip
    return CustomerBase(events=log)


# ---- funnels


def attempts_of(events, steps, every, barred, within, order, ties):
    """Yield, for each start among one person's events, when each step was reached and whether it was barred.

    `events` are (time, number of the event, kind); steps are kinds. Every chain of distinct events is tried.
    """
    n = len(steps)
    starts = [e for e in events if (e[2] in steps if order == "any" else e[2] == steps[0])]
    if order in {"any", "strict"}:
        starts = [min(group) for _, group in itertools.groupby(sorted(starts), key=lambda e: e[0])]
    for start in starts:
        begin = start[0]
        bar = min((t for t in barred if t > begin), default=None)
        end = 10**9 if within is None else begin + within
        inside = [e for e in events if begin <= e[0] <= end and (bar is None or e[0] <= bar)]
        if order == "any":
            reached = []
            for kind in dict.fromkeys(steps):
                instants = sorted({e[0] for e in inside if e[2] == kind})
                reached += instants[: steps.count(kind)]
            yield sorted(reached), bar is not None and bar <= end and len(reached) < n
            continue
        best = [begin]
        chains = [[start]]
        while chains:
            longer = []
            for chain in chains:
                last, k = chain[-1], len(chain)
                if k < n:
                    longer += [
                        [*chain, e] for e in inside
                        if e[2] == steps[k] and e not in chain
                        and (e[0] > last[0] if ties == "later" else e[0] >= last[0])
                        and (order == "loose" or not any(last[0] < t < e[0] for t in every))
                    ]  # fmt: skip
            for chain in longer:
                when = [e[0] for e in chain]
                if len(when) > len(best) or (len(when) == len(best) and when[-1] < best[-1]):
                    best = when
            chains = longer
        yield best, bar is not None and bar <= end and len(best) < n


def naive_funnel(rows, steps, exclude, within, order, attempt, count, ties, seen):
    """Return how many got to each depth, and how many of them are open."""
    n = len(steps)
    exactly, still = [0] * n, [0] * n
    for who in sorted({row[0] for row in rows}):
        mine = [(row[2], k, row[1]) for k, row in enumerate(rows) if row[0] == who and row[2] <= seen]
        every = {t for t, _, _ in mine}
        barred = sorted({t for t, _, kind in mine if kind in exclude})
        found = list(attempts_of(mine, steps, every, barred, within, order, ties))
        if attempt == "first":
            first = min((one[0][0] for one in found), default=None)
            found = [one for one in found if one[0][0] == first][:1]
        opens = [len(one) < n and not bar and (within is None or one[0] + within > seen) for one, bar in found]
        if count == "attempts":
            for (one, _), is_open in zip(found, opens, strict=True):
                exactly[len(one) - 1] += 1
                still[len(one) - 1] += is_open
        elif found:
            depth = max(len(one) for one, _ in found)
            exactly[depth - 1] += 1
            still[depth - 1] += any(opens) and depth < n
    return exactly, still


@settings(max_examples=3 * settings.default.max_examples)
@given(
    EVENTS, st.lists(st.sampled_from(KINDS), min_size=2, max_size=4), st.sampled_from([None, 5, 12]),
    st.sampled_from(["loose", "strict", "any"]), st.sampled_from(["any", "first"]),
    st.sampled_from(["people", "attempts"]), st.sampled_from([(), ("c",)]),
)  # fmt: skip
def test_a_funnel_is_what_trying_every_chain_finds(rows, steps, within, order, attempt, count, exclude):
    found = funnel(
        base_of(rows), [event(kind) for kind in steps], as_of=AS_OF, order=order, attempt=attempt, count=count,
        within=None if within is None else hours(within), exclude=[event(kind) for kind in exclude],
    )  # fmt: skip
    exactly, still = naive_funnel(rows, steps, exclude, within, order, attempt, count, "later", 60)
    assert found.deepest.tolist() == exactly
    assert found.still_open.tolist() == still
    assert found.counts.tolist() == [sum(exactly[k:]) for k in range(len(steps))]
    assert (found.lost + found.still_open)[:-1].tolist() == exactly[:-1]
    assert found.entered == found.converted + int(found.lost.sum()) + int(found.still_open.sum())


@settings(max_examples=2 * settings.default.max_examples)
@given(EVENTS, st.lists(st.sampled_from(KINDS), min_size=2, max_size=4), st.sampled_from([None, 5]),
       st.sampled_from(["any", "first"]), st.sampled_from([(), ("c",)]))  # fmt: skip
def test_a_funnel_in_which_equal_instants_pass_is_what_trying_every_chain_finds(rows, steps, within, attempt, exclude):
    rows = [(who, kind, hour // 6 * 6, word) for who, kind, hour, word in rows]  # many events at one instant
    found = funnel(
        base_of(rows), [event(kind) for kind in steps], as_of=AS_OF, attempt=attempt, ties="same_time",
        within=None if within is None else hours(within), exclude=[event(kind) for kind in exclude],
    )  # fmt: skip
    exactly, _ = naive_funnel(rows, steps, exclude, within, "loose", attempt, "people", "same_time", 60)
    assert found.deepest.tolist() == exactly


@settings(max_examples=2 * settings.default.max_examples)
@given(EVENTS, st.sampled_from([None, 12]))
def test_a_property_that_is_held_makes_its_values_walk_alone(rows, within):
    how = {"as_of": AS_OF, "within": None if within is None else hours(within)}
    steps = [event("a"), event("b")]
    found = funnel(base_of(rows), steps, same="s", count="attempts", **how)
    parts = [funnel(base_of([row for row in rows if row[3] == word]), steps, count="attempts", **how) for word in "xy"]
    assert found.counts.tolist() == sum(part.counts for part in parts).tolist()
    people = funnel(base_of(rows), steps, same="s", **how)
    done = {row[0] for word in "xy" for row in rows if row[3] == word and naive_funnel(
        [one for one in rows if one[3] == word and one[0] == row[0]], ["a", "b"], (), within, "loose", "any", "people",
        "later", 60)[0][1]}  # fmt: skip
    assert people.converted == len(done)


@given(EVENTS, st.randoms())
def test_the_groups_of_a_funnel_add_up_and_rows_in_another_order_change_nothing(rows, random):
    rows = [*rows, (9, "c", 1, "z")]  # some event has the property
    steps = [event("a"), event("b"), event("a")]
    whole = funnel(base_of(rows), steps, as_of=AS_OF, within=hours(20))
    parts = funnel(base_of(rows), steps, as_of=AS_OF, within=hours(20), by="s")
    for name in ("counts", "lost", "still_open", "deepest", "closed_counts"):
        column = getattr(parts, name)
        assert [int(column[k::3].sum()) for k in range(3)] == getattr(whole, name).tolist()
    again = list(rows)
    random.shuffle(again)
    assert funnel(base_of(again), steps, as_of=AS_OF, within=hours(20), by="s").to_json() == parts.to_json()


@settings(max_examples=2 * settings.default.max_examples)
@given(EVENTS, st.lists(st.sampled_from(KINDS), min_size=2, max_size=4), st.sampled_from([None, 5, 12]))
def test_a_stage_is_the_deepest_step_of_the_funnel(rows, steps, within):
    base = base_of(rows)
    limit = None if within is None else hours(within)
    named = {f"step {k}": event(kind) for k, kind in enumerate(steps)}
    at = stage(named, within=limit)
    told = base.measure({"stage": at, "entered": at.entered(), "days": at.days()}, as_of=AS_OF)
    found = funnel(base, named, as_of=AS_OF, within=limit)
    names = [str(name) for name in told["stage"] if name is not None]
    assert [names.count(name) for name in named] == found.deepest.tolist()
    for row in range(len(base)):
        if told["stage"][row] is None:
            assert np.isnan(told["days"][row])
            continue
        age = (np.datetime64(AS_OF.replace(tzinfo=None), "us") - told["entered"][row]) / np.timedelta64(1, "D")
        assert told["days"][row] == pytest.approx(age, abs=1e-9)


# ---- messages

LETTERS = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["message_sent", "message_sent", "message_opened", "message_clicked",
                                            "message_bounced", "unsubscribe", "complaint"]),
        st.integers(0, 70), st.sampled_from(["spring", "may", None]), st.sampled_from(["m1", "m2", None]),
        st.sampled_from(["hard", "soft", None]),
    ),
    max_size=40,
)  # fmt: skip


def letters_of(rows, *, ids):
    properties = {"campaign": [row[3] for row in rows], "bounce_type": [row[5] for row in rows]}
    if ids:
        properties["message_id"] = [row[4] for row in rows]
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows], type=[row[1] for row in rows],
        time=[ZERO + timedelta(hours=row[2]) for row in rows], properties=properties,
    ) if rows else EventLog.empty()  # fmt: skip
    return CustomerBase(events=log)


def naive_messages(rows, *, ids):
    """Return counts by campaign: units are customer and message_id, or customer and campaign."""
    seen = [row for row in rows if row[2] <= 60]

    def key(row):
        return (row[0], "id", row[4]) if ids and row[4] is not None else (row[0], "campaign", row[3])

    units = {}
    for row in sorted((row for row in seen if row[1] == "message_sent"), key=lambda row: row[2]):
        units.setdefault(key(row), {"campaign": row[3], "did": [], "sent": []})["sent"].append(row)
    return seen, key, units


@settings(max_examples=3 * settings.default.max_examples)
@given(LETTERS)
def test_messages_by_campaign_are_counted_once_per_recipient(rows):
    _, key, units = naive_messages(rows, ids=False)
    for row in rows:
        if row[2] <= 60 and row[1] != "message_sent" and key(row) in units:
            units[key(row)]["did"].append(row)
    base = letters_of(rows, ids=False)
    told = message_metrics(base, as_of=AS_OF, by="campaign")
    expected = {}
    for unit in units.values():
        did = [row[1] for row in unit["did"]]
        one = expected.setdefault(unit["campaign"], dict.fromkeys(
            ["sent", "bounced", "opened", "clicked", "unsubscribed", "complained"], 0))  # fmt: skip
        got = "message_opened" in did or "message_clicked" in did
        one["sent"] += 1
        one["bounced"] += "message_bounced" in did and not got
        one["opened"] += got
        one["clicked"] += "message_clicked" in did
        one["unsubscribed"] += "unsubscribe" in did
        one["complained"] += "complaint" in did
    found = {
        name: {what: int(told[what][row]) for what in expected.get(name, {})}
        for row, name in enumerate(told.by.get("campaign", np.empty(0, dtype=object)).tolist())
    }
    assert found == expected


@settings(max_examples=3 * settings.default.max_examples)
@given(LETTERS, st.booleans(), st.sampled_from(["none", "some", "all"]))
def test_the_quick_count_and_the_joined_messages_agree(rows, by_campaign, ids):
    if ids == "all":  # an id for every event, which tells the campaign in most tries
        rows = [(*row[:4], f"{row[3]} {row[4] if row[2] % 7 else 'm'}", row[5]) for row in rows]
    base = letters_of(rows, ids=ids != "none")
    by = "campaign" if by_campaign else None
    quick = MessageCounts.of(base, as_of=AS_OF, by=by)
    everybody = event.any().exists()  # all of them can be seen: the messages are joined one by one
    slow = MessageCounts.of(base, as_of=AS_OF, by=by, tracked=everybody)
    names = ["sent", "bounced", "opened", "clicked", "unsubscribed", "complained", "opens", "clicks",
             "opens_squared", "clicks_squared", "hard_bounced", "soft_bounced"]  # fmt: skip
    for name in names:
        a, b = getattr(quick, name), getattr(slow, name)
        assert (a is None and b is None) or a.tolist() == b.tolist(), name
    assert [list(one) for one in quick.by.values()] == [list(one) for one in slow.by.values()]
    assert set(quick.notes) == set(slow.notes)


@settings(max_examples=2 * settings.default.max_examples)
@given(LETTERS, st.booleans())
def test_counts_merge_over_customers_in_any_parts(rows, ids):
    by = ["campaign"]
    whole = MessageCounts.of(letters_of(rows, ids=ids), as_of=AS_OF, by=by)
    thirds = [[row for row in rows if row[0] % 3 == k] for k in range(3)]
    thirds = [part for part in thirds if any(row[1] == "message_sent" and row[2] <= 60 for row in part)]
    parts = [MessageCounts.of(letters_of(part, ids=ids), as_of=AS_OF, by=by) for part in thirds]
    if not parts:
        return
    merged = parts[0]
    for part in parts[1:]:
        merged = merged + part
    assert merged.by["campaign"].tolist() == whole.by["campaign"].tolist()
    for name in ("sent", "delivered", "opened", "clicked", "unsubscribed", "opens"):
        assert getattr(merged, name).tolist() == getattr(whole, name).tolist(), name
    if len(parts) > 1:
        back = parts[-1]
        for part in parts[-2::-1]:
            back = back + part
        assert {**back.to_dict(), "notes": 0} == {**merged.to_dict(), "notes": 0}  # notes stand in the order of parts


@settings(max_examples=2 * settings.default.max_examples)
@given(LETTERS)
def test_a_table_of_counts_gives_the_figures_of_the_events(rows):
    base = letters_of(rows, ids=True)
    told = message_metrics(base, as_of=AS_OF, by="campaign")
    table = MessageCounts(
        by=told.by, sent=told.sent, delivered=told.delivered, opened=told.opened, clicked=told.clicked,
        unsubscribed=told.unsubscribed, complained=told.complained,
    )  # fmt: skip
    again = message_metrics(table)
    for name in ("open_rate", "ctr_delivered", "ctr_sent", "click_to_open_rate", "unsubscribe_rate", "delivery_rate"):
        one, other = getattr(told, name), getattr(again, name)
        np.testing.assert_array_equal(one.value, other.value)
        np.testing.assert_array_equal(one.low, other.low)
        assert (np.nan_to_num(one.value) <= 1).all()


@settings(max_examples=2 * settings.default.max_examples)
@given(LETTERS, st.sampled_from(["last_click", "any"]))
def test_credit_is_what_looking_back_from_each_order_finds(rows, credit):
    buys = [(row[0], row[2]) for row in rows if row[1] == "complaint"]  # these rows are orders here
    rows = [row for row in rows if row[1] != "complaint"]
    base = letters_of(rows, ids=False)
    if buys:
        orders = EventLog.from_columns(
            customer_id=[who for who, _ in buys], type="order", time=[ZERO + timedelta(hours=at) for _, at in buys],
            value=[1.0] * len(buys),
        )  # fmt: skip
        base = CustomerBase(events=EventLog.concat([base.events, orders]) if rows else orders)
    told = message_metrics(
        base, as_of=AS_OF, by="campaign", conversion=event("order"), credit=credit, credit_within=hours(24)
    )
    _, key, units = naive_messages(rows, ids=False)
    expected = dict.fromkeys({unit["campaign"] for unit in units.values()}, 0)
    for who, at in buys:
        if at > 60:
            continue
        if credit == "last_click":
            clicks = [row for row in rows if row[0] == who and row[1] == "message_clicked" and key(row) in units
                      and row[2] <= at and at - row[2] <= 24]  # fmt: skip
            latest = max((row[2] for row in clicks), default=None)
            names = {row[3] for row in clicks if row[2] == latest}
            if len(names) > 1:
                first = {name: min(row[2] for row in units[who, "campaign", name]["sent"]) for name in names}
                names = {name for name in names if first[name] == max(first.values())}
                names = set(sorted(names, key=lambda name: (name is not None, name))[:1])
        else:
            names = {unit["campaign"] for k, unit in units.items() if k[0] == who
                     and 0 <= at - min(row[2] for row in unit["sent"]) <= 24}  # fmt: skip
        for name in names:
            expected[name] += 1
    assert dict(zip(told.by["campaign"].tolist(), told.orders.tolist(), strict=True)) == expected


@given(LETTERS)
def test_pressure_counts_the_messages_of_the_days_before(rows):
    base = letters_of(rows, ids=True)
    told = contact_pressure(base, as_of=AS_OF, last=hours(30), settle=hours(5), most=3)
    sends = [row for row in rows if row[1] == "message_sent" and row[2] <= 60]
    _, _, units = naive_messages(rows, ids=True)
    expected = [0] * 4
    for (who, _, _), unit in units.items():
        first = min(row[2] for row in unit["sent"])
        expected[min(sum(row[0] == who and first - 30 < row[2] < first for row in sends), 3)] += 1
    found = dict(zip(told.before.tolist(), told.messages.tolist(), strict=True))
    assert [found.get(k, 0) for k in range(4)] == expected
    assert int(told.still_open.sum()) == sum(min(row[2] for row in unit["sent"]) + 5 > 60 for unit in units.values())


# ---- cohorts


@settings(max_examples=2 * settings.default.max_examples)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"]), st.integers(0, 40), st.integers(1, 9)),
             max_size=30),
    st.sampled_from(["day", "week", "month", timedelta(days=3)]), st.sampled_from(["on", "on_or_after", "rolling"]),
    st.sampled_from(["monday", "thursday"]),
)  # fmt: skip
def test_cohorts_are_what_counting_customer_by_customer_finds(rows, period, kind, week_starts):
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows], type=[row[1] for row in rows],
        time=[ZERO + timedelta(days=row[2]) for row in rows], value=[float(row[3]) for row in rows],
    ) if rows else EventLog.empty()  # fmt: skip
    seen = 30
    found = cohort_retention(
        CustomerBase(events=log), as_of=ZERO + timedelta(days=seen), start=event("a"), back=event("b"), period=period,
        kind=kind, week_starts=week_starts,
    )  # fmt: skip
    shift = {"monday": 0, "thursday": 3}[week_starts]

    def number(day):
        if period == "day":
            return day
        if period == "week":
            return ((ZERO + timedelta(days=day)).toordinal() - 1 - shift) // 7
        when = ZERO + timedelta(days=day)
        return when.year * 12 + when.month

    first = {}
    for who, what, day, _ in rows:
        if what == "a" and day <= seen:
            first[who] = min(first.get(who, 99), day)
    exact = isinstance(period, timedelta)
    cohort = {who: first[who] if exact else number(first[who]) for who in first}
    expected = {}
    for who in sorted(first):
        came = {
            (day - first[who]) // 3 if exact else number(day) - number(first[who])
            for other, what, day, _ in rows if other == who and what == "b" and first[who] <= day <= seen
        }  # fmt: skip
        for p in range(found.table.shape[1]):
            ended = first[who] + 3 * (p + 1) <= seen if exact else number(first[who]) + p <= number(seen)
            if not ended:
                continue
            good = {
                "on": p in came, "on_or_after": any(q >= p for q in came),
                "rolling": (0 in came) if p == 0 else any(1 <= q <= p for q in came),
            }[kind]  # fmt: skip
            if exact and kind != "rolling" and kind == "on_or_after":
                good = any(q >= p for q in came)
            cell = expected.setdefault((cohort[who], p), [0, 0])
            cell[0] += good
            cell[1] += 1
    rank = {value: k for k, value in enumerate(sorted(set(cohort.values())))}
    for (name, p), (good, of) in expected.items():
        assert found.counts[rank[name], p] == good, (name, p)
        assert found.at_risk[rank[name], p] == of
    cells = {(rank[name], p) for name, p in expected}
    unseen = {(int(c), int(p)) for c, p in zip(*np.nonzero(np.isnan(found.table)), strict=True)}
    assert unseen == set(itertools.product(range(len(rank)), range(found.table.shape[1]))) - cells
    assert found.sizes.tolist() == [list(cohort.values()).count(name) for name in sorted(set(cohort.values()))]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200), st.integers(1, 900)), min_size=1, max_size=30))
def test_the_money_of_cohorts_is_all_the_money(rows):
    columns = {"u": [row[0] for row in rows], "t": [ZERO + timedelta(days=row[1]) for row in rows],
               "v": [row[2] / 100 for row in rows]}  # fmt: skip
    base = CustomerBase.from_orders(columns, customer_id="u", time="t", value="v")
    found = cohort_value(base, as_of=ZERO + timedelta(days=250))
    assert np.nansum(found.revenue) == pytest.approx(sum(columns["v"]))
    last = [row[~np.isnan(row)][-1] for row in found.cumulative]
    assert sum(last) == pytest.approx(sum(columns["v"]))
    assert cohort_retention(base, as_of=ZERO + timedelta(days=250)).table[:, 0].tolist() == [1] * len(found.sizes)


# ---- paths


@settings(max_examples=2 * settings.default.max_examples)
@given(EVENTS, st.sampled_from([None, 6]))
def test_paths_and_maps_are_what_following_each_customer_finds(rows, gap):
    base = base_of(rows)
    trails = []
    for who in sorted({row[0] for row in rows}):
        mine = sorted((row[2], row[1]) for row in rows if row[0] == who and row[2] <= 60)
        for k, (at, kind) in enumerate(mine):
            if k and (gap is None or at - mine[k - 1][0] <= gap):
                trails[-1].append(kind)
            else:
                trails.append([kind])
    how = {"as_of": AS_OF, "gap": None if gap is None else hours(gap)}
    found = paths(base, start=event("a"), steps=3, **how)
    expected = {}
    for trail in trails:
        if "a" in trail:
            rest = trail[trail.index("a") :][:3]
            word = " > ".join([*rest, "(end)"] if len(rest) < 3 else rest)
            expected[word] = expected.get(word, 0) + 1
    assert dict(zip(found.path.tolist(), found.journeys.tolist(), strict=True)) == expected
    into = paths(base, end=event("b"), steps=2, **how)
    before = {}
    for trail in trails:
        if "b" in trail:
            last = len(trail) - 1 - trail[::-1].index("b")
            rest = trail[max(last - 1, 0) : last + 1]
            word = " > ".join(["(start)", *rest] if len(rest) < 2 else rest)
            before[word] = before.get(word, 0) + 1
    assert dict(zip(into.path.tolist(), into.journeys.tolist(), strict=True)) == before
    steps = {}
    for trail in trails:
        for pair in itertools.pairwise(["(start)", *trail, "(end)"]):
            steps[pair] = steps.get(pair, 0) + 1
    told = journey_map(base, **how)
    assert dict(zip(zip(told.origin, told.target, strict=True), told.transitions.tolist(), strict=True)) == steps


def test_a_predicate_over_properties_chooses_the_steps():
    rows = [(1, "a", 1, "x"), (1, "b", 2, "y"), (2, "a", 1, "y"), (2, "b", 2, "x")]
    steps = [event("a", where=prop("s") == "x"), event("b")]
    assert funnel(base_of(rows), steps, as_of=AS_OF, within=days(1)).counts.tolist() == [1, 1]
