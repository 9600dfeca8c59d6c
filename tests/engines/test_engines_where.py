"""What definitions look at of a frame: fewer rows and columns, the same members."""

from __future__ import annotations

import random
import runpy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import EventLog, calendar_days, days, engines, event, prop
from relmark.core.as_of import read_as_of
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.time import aware
from relmark.segmentation import Segment

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
LAWS = runpy.run_path(str(Path(__file__).parents[1] / "properties" / "test_expressions_one_person_laws.py"))
NAMES = {"customer_id": "user", "time": "ts", "type": "kind", "value": "amount", "s": "word"}
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def frame_of(events):
    return pl.DataFrame(
        {
            "user": [one.customer_id for one in events],
            "ts": [one.time.astimezone(UTC).replace(tzinfo=None) for one in events],
            "kind": [one.type for one in events],
            "amount": [one.value for one in events],
            "word": [one.properties.get("s") for one in events],
            "n": [one.properties.get("n") for one in events],
            "f": [one.properties.get("f") for one in events],
            "page": ["x"] * len(events),
        },
        schema_overrides={
            "user": pl.String, "ts": pl.Datetime("us"), "kind": pl.String, "page": pl.String,
            "word": pl.String, "n": pl.Float64, "f": pl.Boolean, "amount": pl.Float64,
        },
    )  # fmt: skip


def native(name, frame):
    return frame.lazy() if name == "polars" else duckdb.from_arrow(frame.to_arrow())


def table_of(found):
    return found.collect() if hasattr(found, "collect") else found.pl()


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@given(seed=st.integers(0, 2**40))
def test_a_frame_keeps_the_rows_and_columns_that_a_list_of_events_keeps(engine, seed):
    rng = random.Random(seed)
    as_of, tz = LAWS["some_as_of"](rng), rng.choice(LAWS["ZONES"])
    _, _, events = LAWS["some_base"](rng, tz, as_of)
    rule, asked = LAWS["some_rule"](rng, as_of), LAWS["_RANDOM"]["some_asked"](rng, as_of, tz)
    needs = rule.needs()
    found = table_of(engines.where(needs, events=native(engine, frame_of(events)), columns=NAMES, as_of=asked, tz=tz))
    seen = aware(int(read_as_of(asked, tz=tz).seen))
    want = [one for one in needs.keep(events, asked, tz=tz) if one.time <= seen]
    key = ["user", "ts", "kind"]
    rows = sorted(found.select(key).rows())
    assert rows == sorted((one.customer_id, one.time.astimezone(UTC).replace(tzinfo=None), one.type) for one in want)
    asked_of = {name for known in needs.events.values() for name in known} | set(needs.any_properties)
    named = {"user", "ts", "kind", "amount", *(NAMES.get(name, name) for name in asked_of)}
    assert set(found.columns) == named & set(frame_of(events).columns)
    assert "page" not in found.columns


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_each_type_goes_as_far_back_as_it_counts(engine):
    times = [AS_OF - timedelta(days=day) for day in (0, 6, 7, 8, 29, 31, -1)]
    rows = [(f"c{k % 2}", kind, time) for kind in ("a", "b", "c") for k, time in enumerate(times)]
    frame = pl.DataFrame(
        {"customer_id": [r[0] for r in rows], "type": [r[1] for r in rows],
         "time": [r[2].replace(tzinfo=None) for r in rows], "s": ["x"] * len(rows), "p": [1] * len(rows)}
    )  # fmt: skip
    rule = event("a").exists(within=days(7)) & event("b", where=prop("s") == "x").exists(within=days(30))
    found = table_of(engines.where(rule.needs(), events=native(engine, frame), as_of=AS_OF))
    assert found.columns == ["customer_id", "type", "time", "s"]
    assert sorted(found.group_by("type").len().rows()) == [("a", 2), ("b", 5)]
    every = engines.where(event.any().exists(within=days(7)).needs(), events=native(engine, frame), as_of=AS_OF)
    assert len(table_of(every)) == 6
    nothing = engines.where((rule.needs() + (~rule).needs()).__class__(), events=native(engine, frame), as_of=AS_OF)
    assert len(table_of(nothing)) == 0


def test_days_of_a_frame_and_dates_asked_for_agree_with_the_log():
    stamps = [date(2026, 2, day) for day in (1, 20, 21, 22, 28)]
    frame = pl.DataFrame({"customer_id": ["a"] * 5, "type": ["a"] * 5, "time": stamps})
    rule = event("a").count(within=calendar_days(7)) >= 3
    found = engines.where(rule.needs(), events=frame, as_of="2026-02-28", tz="Europe/Berlin").collect()
    assert found["time"].to_list() == stamps[2:4]
    log = EventLog.from_columns(customer_id=["a"] * 5, type="a", time=stamps)
    assert len(rule.needs().keep(log, "2026-02-28", tz="Europe/Berlin")) == 3  # what comes later stays


def test_what_is_missing_is_said():
    frame = pl.DataFrame({"customer_id": ["a"], "type": ["a"], "when": [AS_OF]})
    needs = event("a").exists().needs()
    with pytest.raises(MissingColumnError, match="'time'"):
        engines.where(needs, events=frame, as_of=AS_OF)
    with pytest.raises(InputError, match="needs is"):
        engines.where(Segment("s", event("a").exists()), events=frame, as_of=AS_OF)
