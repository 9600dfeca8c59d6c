"""Visits out of events: silence, several types, a new campaign, and visits that do not end by themselves."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import EventLog, hours, minutes
from relmark.errors import InputError

START = datetime(2026, 5, 1, 9, tzinfo=UTC)


def log(rows):
    """Rows are (customer, type, minute, campaign)."""
    return EventLog.from_columns(
        customer_id=[row[0] for row in rows], type=[row[1] for row in rows],
        time=[START + timedelta(minutes=row[2]) for row in rows], properties={"campaign": [row[3] for row in rows]},
    )  # fmt: skip


def naive(rows, gap, of, cut_by, longest):
    """Go through each customer's events one by one."""
    found = []
    for who in sorted({row[0] for row in rows}):
        own = [row for row in rows if row[0] == who and row[1] in of]
        own.sort(key=lambda row: (row[2], "" if row[3] is None or not cut_by else row[3]))
        visit, known = None, None
        for _, kind, at, mark in own:
            silent = visit is None or at - visit["last"] > gap
            known = None if silent else known
            if (
                silent
                or (longest is not None and at - visit["first"] > longest)
                or (cut_by and mark is not None and mark != known)
            ):
                visit = {"who": who, "first": at, "pages": 0, "events": 0}
                found.append(visit)
            visit["last"], visit["events"] = at, visit["events"] + 1
            visit["pages"] += kind == of[0]
            known = known if mark is None else mark
    return [(v["who"], v["first"], (v["last"] - v["first"]) * 60.0, v["pages"], v["events"]) for v in found]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=3 * settings.default.max_examples, deadline=None)
def test_visits_are_those_that_going_through_the_events_finds_in_any_order_of_rows(seed):
    rng = random.Random(seed)
    rows = [
        (rng.randint(0, 2), rng.choice("vc"), rng.choice([rng.randint(0, 60), rng.randint(0, 600)]),
         rng.choice([None, None, "a", "b"]))
        for _ in range(rng.randint(1, 30))
    ]  # fmt: skip
    rows += [(9, "v", 0, "a"), (9, "c", 0, "a")]
    of = rng.choice([("v",), ("v", "c"), ("c", "v")])
    cut_by, longest = rng.choice([None, "campaign"]), rng.choice([None, 20, 90])
    gap = rng.choice([10, 30])
    visits = log(rows).sessions(
        gap=minutes(gap), of=of, cut_by=cut_by, longest=None if longest is None else minutes(longest)
    )
    columns = visits.to_columns()
    found = sorted(
        (int(who), (when - np.datetime64("2026-05-01T09:00")) // np.timedelta64(1, "m"), seconds, int(pages),
         int(columns["events"][k]) if len(of) > 1 else int(pages))
        for k, (who, when, seconds, pages) in enumerate(
            zip(columns["customer_id"], columns["time"], columns["duration"], columns["pages"], strict=True)
        )
    )  # fmt: skip
    assert found == sorted(naive(rows, gap, of, cut_by, longest))
    rng.shuffle(rows)
    again = log(rows).sessions(
        gap=minutes(gap), of=of, cut_by=cut_by, longest=None if longest is None else minutes(longest)
    )
    assert sorted(again.to_columns()["duration"].tolist()) == sorted(columns["duration"].tolist())


def test_a_new_campaign_starts_a_visit_and_the_same_one_does_not():
    rows = [(1, "v", 0, None), (1, "v", 1, "mail"), (1, "v", 2, None), (1, "v", 3, "mail"), (1, "v", 4, "ads")]
    visits = log(rows).sessions(gap=minutes(30), of="v", cut_by="campaign").to_columns()
    assert visits["pages"].tolist() == [1, 3, 1]
    assert visits["campaign"].tolist() == [None, "mail", "ads"]


def test_a_screen_that_reloads_itself_all_day_is_cut_into_visits():
    rows = [(1, "v", 5 * k, None) for k in range(24 * 12)] + [(2, "v", 0, "x")]
    visits = log(rows).sessions(gap=minutes(30), of="v", longest=hours(12)).to_columns()
    assert sorted(zip(visits["customer_id"].tolist(), visits["pages"].tolist(), strict=True)) == [
        (1, 143), (1, 145), (2, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"of": []}, "of is"), ({"of": ["v", "nothing"]}, "nothing"), ({"cut_by": "sku"}, "cut_by is 'sku'"),
        ({"longest": 5}, "longest"), ({"longest": minutes(0)}, "longest"),
    ],
)  # fmt: skip
def test_what_makes_no_visits_is_refused(more, message):
    with pytest.raises(InputError, match=message):
        log([(1, "v", 0, "x")]).sessions(**{"gap": minutes(30), "of": "v", **more})
