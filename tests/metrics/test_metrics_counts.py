"""Counts of different customers add up to those of all, whatever the parts and their order."""

from __future__ import annotations

import functools
import operator
import pickle

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, hours
from relmark.errors import InputError
from relmark.metrics import CohortCounts, FunnelCounts, MessageCounts, cohort_retention, funnel
from relmark.segmentation import Segment

AS_OF = "2026-03-01"
STEPS = [event("view"), event("cart"), event("purchase")]
KEYS = [
    None, "city", "age", "born", "vip", "page", ["city", "vip"], field("age") > 20, Segment("grown", field("age") > 20),
]  # fmt: skip
GROUPS = [*KEYS, "month", {"old": field("age") > 20, "all": event("view").exists(), "nobody": field("age") > 99},
          ["vip", {"young": field("age") < 30, "Omsk": field("city") == "Omsk"}]]  # fmt: skip


@st.composite
def shops(draw):
    """Return a base, and in which part each of its customers is."""
    rng = np.random.default_rng(draw(st.integers(0, 2**30)))
    n, m = draw(st.integers(1, 12)), draw(st.integers(0, 60))
    some = lambda values: [values[k] for k in rng.integers(0, len(values), n)]
    table = CustomerTable.from_columns(
        customer_id=np.arange(n), city=some(["Omsk", "Kazan", "Perm", None]), age=some([17.0, 25.0, 40.0, np.nan]),
        vip=some([True, False, None]), born=some([np.datetime64("1990-01-02"), np.datetime64("NaT", "D")]),
    )  # fmt: skip
    step = draw(st.sampled_from([1, 3_600, 86_400]))
    log = EventLog.from_columns(
        customer_id=rng.integers(0, n, m), type=np.array(["view", "cart", "purchase"])[rng.integers(0, 3, m)],
        time=np.datetime64("2025-11-20", "s") + rng.integers(0, 100 * 86_400 // step, m) * step,
        properties={"page": np.array(["a", "b", None], dtype=object)[rng.integers(0, 3, m)]},
    )  # fmt: skip
    part = rng.integers(0, draw(st.integers(1, 4)), n)
    return CustomerBase(customers=table, events=log), part


def parts_of(base, part):
    ids = base.customer_id
    for k in np.unique(part):
        rows = np.flatnonzero(part == k)
        yield CustomerBase(
            customers=base.customers.take(rows), events=base.events.without(ids[part != k].tolist()), tz=base.tz
        )


def plain(value):
    """Return a result or a state as plain values, to compare."""
    if attrs.has(type(value)):
        return {one.name: plain(getattr(value, one.name)) for one in attrs.fields(type(value))}
    if isinstance(value, np.ndarray):
        return [None if one is None or one != one else one for one in value.ravel().tolist()]  # noqa: PLR0124
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value


def check_laws(state_of, finished, whole, base, part):
    """Check that states of parts add up to that of all, in any order and however they are bracketed."""
    states = [state_of(one) for one in parts_of(base, part)]
    total = functools.reduce(operator.add, states)
    assert plain(finished(total)) == plain(whole)
    assert plain(functools.reduce(operator.add, states[::-1])) == plain(total)
    if len(states) > 2:
        assert plain(states[0] + functools.reduce(operator.add, states[1:])) == plain(total)
    assert plain(pickle.loads(pickle.dumps(total))) == plain(total)
    return total


@given(
    shops(), st.sampled_from(KEYS), st.sampled_from(["day", "week", "month", days(7), days(30)]),
    st.sampled_from(["on", "on_or_after", "rolling"]), st.sampled_from([None, "2026-01-10"]), st.booleans(),
)  # fmt: skip
def test_cohorts_of_any_parts_are_those_of_all(shop, by, period, kind, since, named):
    base, part = shop
    words = {"start": event("view"), "back": event("purchase")} if named else {}
    if isinstance(by, str) and by == "page":  # purchases have no properties of their own
        words = {"start": event("view")}
    how = words | {"period": period, "kind": kind, "since": since, "by": by, "as_of": AS_OF}
    whole = cohort_retention(base, **how)
    check_laws(lambda one: CohortCounts.of(one, **how), CohortCounts.retention, whole, base, part)


@given(
    shops(), st.sampled_from(GROUPS), st.sampled_from([None, hours(5), days(20)]),
    st.sampled_from([{}, {"order": "strict"}, {"order": "any"}, {"count": "attempts"}, {"attempt": "first"},
                     {"ties": "same_time"}, {"same": "page"}, {"exclude": [event("cart")]}]),
)  # fmt: skip
def test_funnels_of_any_parts_are_those_of_all(shop, by, within, more):
    base, part = shop
    how = more | {"within": within, "by": by, "as_of": AS_OF}
    steps = STEPS[::2] if "exclude" in more else STEPS
    whole = funnel(base, steps, **how)
    total = check_laws(lambda one: FunnelCounts.of(one, steps, **how), FunnelCounts.funnel, whole, base, part)
    assert len(whole.time_to_convert) == total.gap_count[total.gap_group == -1].sum()


def naive_medians(base, steps, within):
    """Return the median times from step to step of the deepest attempts, from a funnel of one customer at a time."""
    times = []
    for who in base.customer_id.tolist():
        one = CustomerBase(events=base.events.without([other for other in base.customer_id.tolist() if other != who]))
        found = funnel(one, steps, as_of=AS_OF, within=within)
        if found.converted:
            times.append(found.median_time[1:].astype(np.int64))
    return np.median(np.array(times), axis=0).astype(np.int64).tolist() if times else None


@given(shops())
def test_median_times_are_those_of_the_customers_one_by_one(shop):
    base, _ = shop
    found = funnel(base, STEPS, as_of=AS_OF, within=days(60))
    expected = naive_medians(base, STEPS, days(60))
    assert (found.median_time[1:].astype(np.int64).tolist() if found.converted else None) == expected


def test_counts_that_were_made_otherwise_do_not_add_up():
    base = CustomerBase(events=EventLog.from_columns(
        customer_id=[1, 1], type=["view", "purchase"], time=["2026-01-01T10:00Z", "2026-01-02T10:00Z"]))  # fmt: skip
    cohorts, steps = CohortCounts.of(base, as_of=AS_OF), [event("view"), event("purchase")]
    for how, name in (({"as_of": "2026-03-02"}, "as_of"), ({"as_of": AS_OF, "period": "day"}, "period"),
                      ({"as_of": AS_OF, "kind": "rolling"}, "kind"),
                      ({"as_of": AS_OF, "by": Segment("s", field("age") > 3)}, "by")):  # fmt: skip
        more = CustomerBase(customers=CustomerTable.from_columns(customer_id=[1], age=[4.0]), events=base.events)
        with pytest.raises(InputError, match=f"counts with {name}.*do not add up") as told:
            cohorts + CohortCounts.of(more, **how)
        assert told.value.argument == "other"
    counts = FunnelCounts.of(base, steps, as_of=AS_OF)
    for other, name in (
        (FunnelCounts.of(base, steps[::-1], as_of=AS_OF), "step"),
        (FunnelCounts.of(base, steps, as_of=AS_OF, count="attempts"), "counted"),
        (FunnelCounts.of(base, steps, as_of="2026-02-01"), "as_of"),
        (FunnelCounts.of(base, steps, as_of=AS_OF, within=days(3)), "window"),
        (FunnelCounts.of(base, steps, as_of=AS_OF, by="month"), "by"),
        (FunnelCounts.of(base, steps, as_of=AS_OF, by={"a": event("view").exists()}), "segments"),
    ):
        with pytest.raises(InputError, match=f"counts with {name}.*do not add up"):
            counts + other
    with pytest.raises(TypeError):
        cohorts + counts
    with pytest.raises(TypeError):
        counts + cohorts
    assert repr(cohorts) == "CohortCounts(1 customers, 1 cohorts, 2 periods)"
    assert repr(counts) == "FunnelCounts(1 people, 2 steps, 1 groups)"


def test_groups_that_are_called_by_numbers_ascend_whatever_type_they_came_with():
    one = MessageCounts(sent=[1, 2], by={"wave": [10, 9]})
    other = MessageCounts(sent=[4, 8, 16], by={"wave": [9.5, 9.0, np.nan]})
    for total in (one + other, other + one):
        assert total.by["wave"].tolist()[:3] == [9.0, 9.5, 10.0]
        assert total.sent.tolist() == [10, 4, 1, 16]
    with pytest.raises(InputError, match="by has values of the types int and str"):
        one + MessageCounts(sent=[1], by={"wave": ["a"]})
    unknown = MessageCounts(sent=[1], by={"wave": [None]})
    assert (one + unknown).sent.tolist() == [2, 1, 1]


def test_an_attempt_in_any_order_is_grouped_by_a_property_of_whichever_step_began_it():
    log = EventLog.from_columns(
        customer_id=[1, 1, 2, 2], type=["cart", "view", "view", "cart"],
        time=["2026-01-01T10:00Z", "2026-01-01T10:05Z", "2026-01-01T10:00Z", "2026-01-01T10:05Z"],
        properties={"page": ["of the cart", "of the view", "of the view", "of the cart"]},
    )  # fmt: skip
    found = funnel(CustomerBase(events=log), STEPS[:2], as_of=AS_OF, order="any", by="page")
    assert dict(zip(found.by["page"][::2].tolist(), found.counts[::2].tolist(), strict=True)) == {
        "of the cart": 1, "of the view": 1,
    }  # fmt: skip


def test_segments_in_which_nobody_is_leave_no_groups_beside_another_key():
    table = CustomerTable.from_columns(customer_id=[1], age=[30.0], city=["Omsk"])
    log = EventLog.from_columns(customer_id=[1], type=["view"], time=["2026-01-01T10:00Z"])
    base = CustomerBase(customers=table, events=log)
    found = funnel(base, STEPS, as_of=AS_OF, by=["city", {"old": field("age") > 40}])
    assert len(found.counts) == 0
