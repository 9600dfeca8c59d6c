"""Small states of pieces add up to what numpy makes of everything, whatever the pieces were."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import engines, event, prop
from relmark.attribution import Journeys, Markov
from relmark.errors import InputError, NotEnoughDataError
from relmark.experiments import Experiment, Mean, Moments, analyze
from relmark.ltv import BgNbd, purchase_summary
from relmark.metrics import MessageCounts
from relmark.segmentation import Rfm, RfmGrid

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
SHOP = runpy.run_path(str(Path(__file__).parent / "applied.py"))
AS_OF, COLUMNS = SHOP["AS_OF"], SHOP["COLUMNS"]
PEOPLE, HAPPENED = SHOP["shop"](seed=2, n=150)
BASE = SHOP["base_of"](PEOPLE, HAPPENED)


def on_polars(memory):
    return HAPPENED.lazy(), {"columns": COLUMNS, "memory": memory}


def on_duckdb(memory):
    return duckdb.from_arrow(HAPPENED.to_arrow()), {"columns": COLUMNS, "memory": memory}


PLACES = pytest.mark.parametrize("place", [on_polars, on_duckdb])
PIECES = pytest.mark.parametrize("memory", [1 << 29, 40_000])


@PLACES
@PIECES
def test_cells_of_purchases_fit_the_model_of_all(place, memory):
    frame, more = place(memory)
    cells, everyone = engines.purchase_cells(frame, as_of=AS_OF, **more), purchase_summary(BASE, as_of=AS_OF).cells()
    for name in ("frequency", "recency", "T", "weights"):
        assert getattr(cells, name).tolist() == getattr(everyone, name).tolist()
    found, expected = BgNbd.fit(cells), BgNbd.fit(everyone)
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx(
        [expected.r, expected.alpha, expected.a, expected.b], rel=1e-9
    )


@PLACES
@PIECES
@pytest.mark.parametrize("settings", [Rfm(bins=3, grid=RfmGrid.by_score(3)), Rfm(frequency="days", monetary="mean")])
def test_thresholds_are_exactly_those_of_the_whole_log(place, memory, settings):
    frame, more = place(memory)
    assert engines.rfm(frame, settings, as_of=AS_OF, **more).cuts == settings.fit(BASE, as_of=AS_OF).cuts


@PLACES
@PIECES
def test_journeys_counts_of_messages_and_moments_are_those_of_everything(place, memory):
    frame, more = place(memory)
    how = {"touch": event("visit"), "conversion": event("purchase"), "channel": prop("page").fill("none"),
           "order": "instant"}  # fmt: skip
    found = engines.journeys(frame, as_of=AS_OF, **more, **how)
    expected = Journeys.from_events(BASE, as_of=AS_OF, **how)
    given = [Markov(order=1).attribute(one) for one in (found, expected)]
    assert dict(zip(given[0].channels, given[0].conversions, strict=True)) == pytest.approx(
        dict(zip(given[1].channels, given[1].conversions, strict=True)), rel=1e-12
    )
    names = {"sent": "visit", "opened": "seen"}
    counts = engines.message_counts(frame, as_of=AS_OF, **more, named=names)
    everything = MessageCounts.of(BASE, as_of=AS_OF, events=names)
    assert counts.to_columns()["sent"].tolist() == everything.to_columns()["sent"].tolist()
    test = Experiment("spring", arms={"control": 0.3, "mail": 0.7})
    figures = {"spend": event("purchase").sum(), "visits": event("visit").count()}
    people = PEOPLE.lazy() if place is on_polars else duckdb.from_arrow(PEOPLE.to_arrow())
    moments = engines.moments(frame, figures, experiment=test, customers=people, as_of=AS_OF, **more)
    whole = Moments.from_columns({name: BASE.measure(figures, as_of=AS_OF)[name] for name in figures},
                                 test.assign(BASE.customer_id))  # fmt: skip
    for name in figures:
        one, other = (analyze(m, metrics=[Mean(name)], control="control").effect(name, arm="mail")
                      for m in (moments, whole))  # fmt: skip
        assert one.difference.value == pytest.approx(other.difference.value, rel=1e-12)
        assert one.difference.interval.low == pytest.approx(other.difference.interval.low, rel=1e-12)


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
    with pytest.raises(InputError, match="expressions by name"):
        engines.moments(frame, {}, experiment=Experiment("x", arms={"a": 0.5, "b": 0.5}), as_of=AS_OF, **more)
