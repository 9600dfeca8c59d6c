"""The lead scoring table of the LibreTexts chapter on marketing automation, and published Wilson intervals."""

from datetime import UTC, datetime

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog
from relmark.scoring import presets
from relmark.scoring._ranks import wilson_at

DAY = datetime(2026, 10, 1, tzinfo=UTC)
KINDS = ["visit"] * 4 + ["download"] * 2


def test_a_vice_president_in_the_territory_has_sixty_points():
    score = presets.b2b(["RU", "KZ"])
    fields = {"country": "KZ", "email": "vp@example.com", "title": "VP of sales"}
    lead = Customer("lead", fields)
    one = score.one(lead, [Event("lead", kind, DAY) for kind in KINDS], as_of="2026-11-01")
    assert {line.rule: float(line.points) for line in one.lines} == {
        "in territory": 8,
        "gave e-mail": 7,
        "gave title": 8,
        "VP or above": 15,
        "visit": 12,
        "download or video": 10,
    }
    assert one.total == 60
    base = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=["lead"], **{name: [value] for name, value in fields.items()}),
        events=EventLog.from_columns(customer_id=["lead"] * 6, type=KINDS, time=[DAY] * 6),
    )
    assert score.evaluate(base, as_of="2026-11-01").total.tolist() == [60.0]


@pytest.mark.parametrize(
    ("hits", "people", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_of_newcombe_1998(hits, people, low, high):
    # R. G. Newcombe (1998), Two-sided confidence intervals for the single proportion, Table I, method 3.
    found = wilson_at(hits, people, 0.95)
    assert np.round(found, 4).tolist() == [low, high]
