"""Journeys whose touches are events of any type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relmark import CustomerBase, EventLog, event, prop
from relmark.attribution import Journeys
from relmark.errors import InputError

START = datetime(2026, 5, 1, tzinfo=UTC)
ROWS = [
    ("a", "visit", "search"), ("a", "mail", "mail"), ("a", "purchase", None),
    ("b", "visit", "ads"), ("b", "purchase", None),
]  # fmt: skip


def base():
    log = EventLog.from_columns(
        customer_id=[row[0] for row in ROWS],
        type=[row[1] for row in ROWS],
        time=[START + timedelta(hours=k) for k in range(len(ROWS))],
        properties={"channel": [row[2] for row in ROWS]},
    )
    return CustomerBase(events=log)


def paths(touch):
    found = Journeys.from_events(base(), touch=touch, conversion=event("purchase"), as_of=START + timedelta(days=3))
    return found.top_paths(10).to_columns()["path"].tolist()


def test_any_event_with_a_channel_is_a_touch():
    named = prop("channel").not_null()
    assert sorted(paths(event.any(where=named))) == ["ads", "search > mail"]
    assert paths(event.any(where=named)) == paths([event("visit"), event("mail")])


def test_a_type_that_the_log_lacks_is_still_refused_by_its_name():
    with pytest.raises(InputError, match="touch asks for 'vist'"):
        paths(event("vist"))
