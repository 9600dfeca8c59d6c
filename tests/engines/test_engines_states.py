"""Small states of pieces add up to what numpy makes of everything, whatever the pieces were."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import engines, event
from relmark.errors import InputError, NotEnoughDataError
from relmark.experiments import Experiment
from relmark.ltv import purchase_summary

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
SHOP = runpy.run_path(str(Path(__file__).parent / "applied.py"))
REDUCED = runpy.run_path(str(Path(__file__).parent / "reduced.py"))
AS_OF, COLUMNS = SHOP["AS_OF"], SHOP["COLUMNS"]
PEOPLE, HAPPENED = SHOP["shop"](seed=2, n=150)
BASE = SHOP["base_of"](PEOPLE, HAPPENED)


def on_polars(memory):
    return HAPPENED.lazy(), {"columns": COLUMNS, "memory": memory}


def on_duckdb(memory):
    return duckdb.from_arrow(HAPPENED.to_arrow()), {"columns": COLUMNS, "memory": memory}


def people_of(place):
    return PEOPLE.lazy() if place is on_polars else duckdb.from_arrow(PEOPLE.to_arrow())


PLACES = pytest.mark.parametrize("place", [on_polars, on_duckdb])
PIECES = pytest.mark.parametrize("memory", [1 << 29, 40_000])


@PLACES
@PIECES
def test_cells_of_purchases_fit_the_model_of_all_and_thresholds_are_exact(place, memory):
    frame, more = place(memory)
    REDUCED["check_purchases"](BASE, frame, AS_OF, **more)


@PLACES
@PIECES
def test_pairs_of_items_and_neighbors_are_those_of_everything(place, memory):
    frame, more = place(memory)
    REDUCED["check_pairs"](BASE, frame, AS_OF, **more)


@pytest.mark.long
@PLACES
@PIECES
def test_cohorts_and_funnels_are_those_of_everything(place, memory):
    frame, more = place(memory)
    REDUCED["check_tables"](BASE, frame, AS_OF, people_of(place), **more)


@PLACES
@PIECES
def test_journeys_counts_of_messages_and_moments_are_those_of_everything(place, memory):
    frame, more = place(memory)
    REDUCED["check_messages"](BASE, frame, AS_OF, people_of(place), **more)


@PLACES
def test_what_is_no_selection_is_said_as_numpy_says_it(place):
    frame, more = place(1 << 29)
    with pytest.raises(InputError, match="it must select events, such as"):
        engines.funnel(frame, [event("seen"), "visit"], as_of=AS_OF, **more)
    with pytest.raises(InputError, match="it must have from 2 to 32"):
        engines.funnel(frame, {"one": event("seen")}, as_of=AS_OF, **more)
    with pytest.raises(InputError, match="start"):
        engines.cohorts(frame, start="visit", as_of=AS_OF, **more)
    with pytest.raises(NotEnoughDataError, match="anything to add up"):
        engines.cooccurrence(frame, as_of="2001-01-01", **more)
    with pytest.raises(NotEnoughDataError, match="anything to add up"):
        engines.cohorts(frame, as_of="2001-01-01", **more)


COUNTS = st.dictionaries(st.floats(0, 50).map(round), st.integers(1, 5), max_size=6)
STATES = st.builds(lambda a, b: engines.RfmState({"frequency": a, "monetary": b}), COUNTS, COUNTS)


@given(STATES, STATES, STATES)
def test_states_of_thresholds_add_up_in_any_order(a, b, c):
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@given(seed=st.integers(0, 2**20), n=st.integers(1, 7))
def test_any_partition_that_keeps_customers_whole_adds_up_to_the_same(seed, n):
    import functools
    import operator
    import random

    rng = random.Random(seed)
    place = {who: rng.randrange(n) for who in BASE.customer_id.tolist()}
    parts = []
    for k in range(n):
        mine = [who for who, where in place.items() if where == k]
        others = [who for who, where in place.items() if where != k]
        if mine:
            parts.append(purchase_summary(BASE.without(others), as_of=AS_OF).cells() if _bought(mine) else None)
    both = functools.reduce(operator.add, [part for part in parts if part is not None])
    whole = purchase_summary(BASE, as_of=AS_OF).cells()
    for name in ("frequency", "recency", "T", "weights"):
        assert getattr(both, name).tolist() == getattr(whole, name).tolist()


def _bought(ids):
    rows = HAPPENED.filter(pl.col("user").is_in(ids) & (pl.col("event") == "purchase"))
    return len(rows.filter(pl.col("ts").dt.replace_time_zone(None) <= pl.lit("2026-11-09T12:00").str.to_datetime())) > 0


@PLACES
def test_nothing_to_add_is_said(place):
    frame, more = place(1 << 29)
    with pytest.raises(NotEnoughDataError, match="anything to add up"):
        engines.purchase_cells(frame, as_of="2001-01-01", **more)
    with pytest.raises(NotEnoughDataError, match="anything to add up"):
        engines.reduce(lambda base: None, events=frame, as_of=AS_OF, **more)  # noqa: ARG005
    with pytest.raises(InputError, match="a mapping of names to expressions"):
        engines.moments(frame, {}, experiment=Experiment("x", arms={"a": 0.5, "b": 0.5}), as_of=AS_OF, **more)
