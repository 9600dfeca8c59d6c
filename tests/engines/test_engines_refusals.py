"""What engines refuse, and rarer kinds of columns that they take."""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from relmark import days, engines, event, field, period, prop
from relmark.errors import InputError, MissingColumnError, NotEnoughDataError
from relmark.experiments import Experiment
from relmark.expressions import nodes
from relmark.segmentation import Segment

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
SHOP = runpy.run_path(str(Path(__file__).parent / "applied.py"))
AS_OF, COLUMNS = SHOP["AS_OF"], SHOP["COLUMNS"]
PEOPLE, HAPPENED = SHOP["shop"]()
BASE = SHOP["base_of"](PEOPLE, HAPPENED)
BOUGHT = event("purchase").count(within=days(60)) >= 2


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch):
    work = engines.worker(BOUGHT, columns=COLUMNS, as_of=AS_OF)
    table = HAPPENED.to_arrow()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="need pyarrow") as told:
        work(table)
    assert told.value.code == "not_installed"
    assert told.value.hint == "pip install pyarrow."


def test_states_are_not_made_on_engines_that_are_not_known_here():
    ibis = pytest.importorskip("ibis")
    events = ibis.table({"customer_id": "string", "time": "timestamp", "type": "string"}, name="events")
    with pytest.raises(InputError, match="add up the results") as told:
        engines.purchase_cells(events, as_of=AS_OF)
    assert told.value.argument == "events"


def test_a_fitted_recommender_alone_gives_its_lists_of_ten():
    lists, _ = SHOP["definitions"](BASE)["lists"]
    given = {"events": HAPPENED.lazy(), "columns": COLUMNS, "as_of": AS_OF}
    alone, named = (
        engines.apply(one, **given).sort("customer_id").collect().to_dicts()
        for one in (lists.model, engines.Lists(model=lists.model, k=10))
    )
    assert alone == named


@pytest.mark.parametrize("missing", ["time", "type", "customer_id"])
def test_a_table_without_what_every_event_has_is_refused_by_name(missing):
    table = pa.table({"customer_id": ["a"], "time": [datetime(2026, 10, 1, tzinfo=UTC)], "type": ["purchase"]})
    work = engines.worker(BOUGHT, as_of=AS_OF)
    with pytest.raises((MissingColumnError, KeyError), match=missing):
        work(table.drop_columns([missing]))
    if missing != "customer_id":
        with pytest.raises(MissingColumnError, match=f"no column {missing!r}: it has") as told:
            work(table.drop_columns([missing]))
        assert "columns={...}" in told.value.hint


def test_coded_words_empty_columns_dates_and_tags_are_read_as_what_they_are():
    table = pa.table({
        "customer_id": ["a", "a", "b"], "type": pa.array(["purchase"] * 3).dictionary_encode(),
        "time": pa.array([datetime(2026, 10, 1), datetime(2026, 10, 2), datetime(2026, 10, 3)], pa.timestamp("ms")),
        "sku": pa.array(["x", "y", "x"]).dictionary_encode(), "nothing": pa.nulls(3),
    })  # fmt: skip
    people = pa.table({
        "customer_id": ["a", "b"], "likes": pa.array([["tea"], ["cup", "tea"]]),
        "born": pa.array([date(1990, 1, 2), None]), "joined": pa.array([datetime(2026, 1, 2), None], pa.timestamp("s")),
        "empty": pa.nulls(2),
    })  # fmt: skip
    rule = (
        event("purchase", where=prop("sku") == "x").exists() & field("likes").contains_any(["cup"])
        & ~event("purchase", where=prop("nothing") == 1).exists() & field("empty").is_null()
        & field("born").is_null() & field("joined").is_null()
    )  # fmt: skip
    found = engines.worker(Segment("x", rule), as_of=AS_OF)(table, people).to_pylist()
    assert [(row["customer_id"], row["member"]) for row in found] == [("a", False), ("b", True)]
    with pytest.raises(InputError, match="a set of tags cannot be compared"):
        engines.worker(Segment("x", field("likes") > 3), as_of=AS_OF)(table, people)


def test_times_and_days_that_a_function_returns_keep_their_types():
    def of_time(base):
        n = len(base)
        day, at = np.datetime64("2026-10-01"), np.datetime64("2026-10-01T12:00", "us")
        return {"customer_id": base.customer_id, "day": np.full(n, day), "at": np.full(n, at), "n": np.arange(n),
                "ok": np.ones(n, bool)}  # fmt: skip

    work = engines.worker(of_time, columns=COLUMNS, as_of=AS_OF)
    found = work(HAPPENED.to_arrow())
    assert [str(one.type) for one in found.schema] == [
        "string", "date32[day]", "timestamp[us, tz=UTC]", "int64", "bool",
    ]  # fmt: skip
    assert found["at"][0].as_py() == datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_a_value_on_the_left_is_compared_as_on_the_right():
    rule = nodes.Compare("le", nodes.Literal(18.0), nodes.Field("age"))
    found = engines.evaluate(rule, events=HAPPENED.lazy(), customers=PEOPLE.lazy(), columns=COLUMNS, as_of=AS_OF)
    members = Segment("x", field("age") >= 18).evaluate(BASE, as_of=AS_OF).ids.tolist()
    assert sorted(found.collect().filter(pl.col("member"))["customer_id"].to_list()) == sorted(members)


def test_a_preview_says_its_size_in_one_line():
    found = engines.preview(Segment("buyers", BOUGHT), events=HAPPENED.lazy(), customers=PEOPLE.lazy(), columns=COLUMNS,
                            as_of=AS_OF)  # fmt: skip
    members = Segment("buyers", BOUGHT).evaluate(BASE, as_of=AS_OF)
    assert found.to_dict()["size"] == members.size
    assert f"size {members.size}" in repr(found).replace("=", " ")


def test_states_add_up_with_their_like_alone():
    with pytest.raises(TypeError):
        engines.RfmState({}) + 1


def test_states_of_nobody_are_nothing_to_add_up():
    nobody = {"columns": COLUMNS, "as_of": AS_OF}
    test = Experiment("spring", arms={"control": 0.5, "mail": 0.5})
    calls = [
        lambda: engines.rfm(HAPPENED.lazy(), columns=COLUMNS, as_of="2001-01-01"),
        lambda: engines.moments(HAPPENED.clear().lazy(), {"n": event("visit").count()}, experiment=test, **nobody),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(NotEnoughDataError, match="anything to add up"):
            call()


def test_groups_of_the_calendar_ask_for_nothing_more():
    found = engines.funnel(HAPPENED.lazy(), [event("visit"), event("purchase")], columns=COLUMNS, as_of=AS_OF,
                           by=period("month"))  # fmt: skip
    assert list(found.by) == ["month"]
