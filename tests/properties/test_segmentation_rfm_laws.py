"""Laws of RFM: against a slow reading of the definition, and under shuffles, shards, scale and time travel."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, CustomerTable, Event, EventLog
from relmark.segmentation import Rfm, RfmGrid, RfmModel, migration

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=40)

purchases = st.lists(
    st.tuples(
        st.integers(0, 7),  # customer
        st.integers(0, 60 * 24),  # hour
        st.integers(0, 1_000),  # cents
        st.integers(0, 4),  # order
    ),
    min_size=1,
    max_size=40,
)


def base_of(rows):
    columns = {
        "user": [row[0] for row in rows],
        "time": [START + timedelta(hours=row[1]) for row in rows],
        "value": [row[2] / 100 for row in rows],
        "order": [order(row) for row in rows],
    }
    return CustomerBase.from_orders(columns, customer_id="user", time="time", value="value", order="order")


def order(row):
    """An order number that is not used again after a month."""
    return f"o{row[3]} of week {row[1] // 168}"


def naive(rows, bins, within):
    """The definition, customer by customer, with plain Python."""
    figures, scored = {}, defaultdict(lambda: (0, 0, 0))
    for customer in {row[0] for row in rows}:
        seen = [r for r in rows if r[0] == customer and START + timedelta(hours=r[1]) <= AS_OF]
        if within is not None:
            seen = [r for r in seen if START + timedelta(hours=r[1]) > AS_OF - within]
        bought = [r for r in seen if r[2] >= 0]
        if bought:
            last = max(START + timedelta(hours=r[1]) for r in bought)
            figures[customer] = (
                (AS_OF.date() - last.date()).days,
                len({order(r) for r in bought}),
                sum(r[2] for r in seen),
            )
    n = len(figures)
    for customer, own in figures.items():
        scores = []
        for k in range(3):
            column = sorted(figure[k] for figure in figures.values())
            cuts = [column[ceil(n * q / bins) - 1] for q in range(1, bins)]
            scores.append(1 + sum(cut < own[k] for cut in cuts))
        scored[customer] = (bins + 1 - scores[0], scores[1], scores[2])
    return scored, n


@given(purchases, st.integers(2, 6), st.sampled_from([None, timedelta(days=10), timedelta(hours=300)]))
def test_scores_are_those_of_the_definition(rows, bins, within):
    expected, n = naive(rows, bins, within)
    if n == 0:
        return
    rfm = Rfm(bins=bins, grid=RfmGrid.by_score(bins))
    scores = rfm.score(base_of(rows), as_of=AS_OF, within=within)
    found = zip(scores.r.tolist(), scores.f.tolist(), scores.m.tolist(), strict=True)
    assert dict(zip(scores.customer_id.tolist(), found, strict=True)) == {
        customer: expected[customer] for customer in scores.customer_id.tolist()
    }


@given(purchases, st.randoms(use_true_random=False))
def test_shuffles_shards_and_time_travel_change_nothing(rows, random):
    base = base_of([*rows, (0, 0, 100, 0)])
    model = Rfm().fit(base, as_of=AS_OF)
    scores = model.score(base, as_of=AS_OF)
    shuffled = [*rows, (0, 0, 100, 0)]
    random.shuffle(shuffled)
    assert Rfm().fit(base_of(shuffled), as_of=AS_OF) == model
    assert model.score(base_of(shuffled), as_of=AS_OF).to_json() == scores.to_json()
    cut = model.score(CustomerBase(events=base.events.until(AS_OF)), as_of=AS_OF)
    kept = np.isin(scores.customer_id, cut.customer_id)
    assert np.array_equal(scores.segment[kept], cut.segment)
    shard = [row for row in shuffled if row[0] % 2 == 0]
    part = RfmModel.from_json(model.to_json()).score(base_of(shard), as_of=AS_OF)
    assert np.array_equal(part.segment, scores.segment[np.isin(scores.customer_id, part.customer_id)])
    assert np.array_equal(part.revenue, scores.revenue[np.isin(scores.customer_id, part.customer_id)])


@given(purchases)
def test_equal_customers_have_equal_scores(rows):
    twins = [*rows, *((row[0] + 100, *row[1:]) for row in reversed(rows)), (0, 0, 100, 0), (100, 0, 100, 0)]
    scores = Rfm().score(base_of(twins), as_of=AS_OF)
    twin = scores.customer_id >= 100
    for column in (scores.r, scores.f, scores.m, scores.revenue):
        assert np.array_equal(column[twin], column[~twin])


@given(purchases, purchases)
def test_migration_loses_nobody(rows, more):
    model = Rfm().fit(base_of([*rows, (0, 0, 100, 0)]), as_of=AS_OF)
    before = model.score(base_of(rows), as_of=AS_OF)
    after = model.score(base_of(more), as_of=AS_OF + timedelta(days=5))
    change = migration(before, after)
    assert change.counts.sum() + change.left.sum() == len(before)
    assert change.counts.sum() + change.entered.sum() == len(after)
    assert change.stayed + change.moved == change.counts.sum()
    assert round(change.value_before.sum() + change.left_value.sum() - before.revenue.sum(), 6) == 0
    assert round(change.value_after.sum() + change.entered_value.sum() - after.revenue.sum(), 6) == 0


@given(seed=st.integers(0, 2**40))
def test_scores_are_those_of_what_they_need(seed):
    rng = random.Random(seed)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    events = [
        Event(rng.choice("abcd"), rng.choice(["purchase", "visit"]), start + timedelta(hours=rng.randint(0, 9_000)),
              rng.choice([5.0, 20.0, -5.0]), {"order": rng.choice("xyz"), "item": "i", "page": "p", "quantity": 1})
        for _ in range(40)
    ]  # fmt: skip
    events.append(
        Event(
            "a", "purchase", start + timedelta(days=400), 3.0, {"order": "x", "item": "i", "page": "p", "quantity": 1}
        )
    )
    model = Rfm(bins=5)
    needs = model.needs()
    kept = [
        Event(
            one.customer_id,
            one.type,
            one.time,
            one.value,
            {n: one.properties[n] for n in needs.properties_of(one.type)},
        )
        for one in needs.keep(events, "2027-03-01")
    ]
    within = rng.choice([None, timedelta(days=100)])
    found = []
    for some in (events, kept):
        base = CustomerBase(
            customers=CustomerTable.from_columns(customer_id=list("abcd")), events=EventLog.from_events(some)
        )
        fitted = model.fit(base, as_of="2027-03-01", within=within)
        assert fitted.needs() == needs
        scores = fitted.score(base, as_of="2027-03-01")
        found.append((scores.customer_id.tolist(), scores.r.tolist(), scores.f.tolist(), scores.m.tolist()))
    assert found[0] == found[1]
