"""Each preset on people who show where it begins and where it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from relmark import CustomerBase, CustomerTable, Event, EventLog
from relmark.core.errors import InputError
from relmark.segmentation import Segment, days, hours, parse, presets, prop

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)


def members(rule, people, **fields):
    """People are lists of (type, hours before as_of, properties)."""
    events = [
        Event(customer_id=number, type=kind, time=AS_OF - hours(before), properties=(more or [{}])[0])
        for number, rows in enumerate(people)
        for kind, before, *more in rows
    ]
    table = CustomerTable.from_columns(customer_id=list(range(len(people))), **fields)
    base = CustomerBase(customers=table, events=EventLog.from_events(events))
    return Segment("x", rule).evaluate(base, as_of=AS_OF).ids.tolist()


CASES = {
    "abandoned_basket": (
        presets.abandoned_basket(hours(1), days(3)),
        [[("cart", 2)], [("cart", 0.5)], [("cart", 2), ("purchase", 1)], [("cart", 80)],
         [("purchase", 3), ("cart", 2)]],
        [0, 4],
    ),
    "abandoned_browse": (
        presets.abandoned_browse(),
        [[("view", 6), ("view", 5)], [("view", 5)], [("view", 6), ("view", 5), ("cart", 4)], [("view", 6), ("view", 1)],
         [("view", 99), ("view", 98)]],
        [0],
    ),
    "welcome": (
        presets.welcome(days(1)),
        [[("signup", 3)], [("signup", 30)], [("signup", 90), ("signup", 3)], [("signup", 3), ("unsubscribe", 1)]],
        [0],
    ),
    "win_back": (
        presets.win_back(days(180)),
        [[("purchase", 24 * 200)], [("purchase", 24 * 100)], [], [("purchase", 24 * 200), ("unsubscribe", 5)],
         [("purchase", 24 * 180)]],
        [0, 4],
    ),
    "post_purchase": (
        presets.post_purchase(days(7), where=prop("category") == "records"),
        [[("purchase", 24 * 7.5, {"category": "records"})], [("purchase", 24 * 7.5, {"category": "books"})],
         [("purchase", 24 * 8, {"category": "records"})], [("purchase", 24 * 7, {"category": "records"})]],
        [0, 3],
    ),
    "engaged_visitor": (
        presets.engaged_visitor(minutes=3, pages=3),
        [[("visit", 2, {"duration": 200.0, "pages": 3})], [("visit", 2, {"duration": 170.0, "pages": 3})],
         [("visit", 2, {"duration": 200.0, "pages": 2})],
         [("visit", 2, {"duration": 200.0, "pages": 3}), ("signup", 1)]],
        [0],
    ),
    "inactive_subscriber": (
        presets.inactive_subscriber(days(90), sent=2),
        [[("message_sent", 9), ("message_sent", 8)], [("message_sent", 9)], [("message_sent", 9), ("message_sent", 8),
         ("message_opened", 7)], [("message_sent", 9), ("message_sent", 8), ("unsubscribe", 7)]],
        [0],
    ),
    "frequency_cap": (
        presets.frequency_cap(2, days(7)),
        [[], [("message_sent", 9)], [("message_sent", 9), ("message_sent", 8)],
         [("message_sent", 9), ("message_sent", 200)]],
        [0, 1, 3],
    ),
    "about_to_lapse": (
        presets.about_to_lapse(2.0, 3),
        [[("purchase", 24 * d) for d in (40, 30, 21)], [("purchase", 24 * d) for d in (40, 30, 19)],
         [("purchase", 24 * d) for d in (90, 21)], []],
        [0],
    ),
    "about to lapse, but not lost": (
        presets.about_to_lapse(2.0, 3, days(60)),
        [[("purchase", 24 * d) for d in (40, 30, 21)], [("purchase", 24 * d) for d in (90, 80, 71)]],
        [0],
    ),
    "double_opt_in_pending": (
        presets.double_opt_in_pending(),
        [[("signup", 30)], [("signup", 3)], [("signup", 30), ("opt_in_confirmed", 29)], [("signup", 24 * 8)]],
        [0],
    ),
    "replenishment": (
        presets.replenishment(days(30), days(3)),
        [[("purchase", 24 * 28)], [("purchase", 24 * 26)], [("purchase", 24 * 34)],
         [("purchase", 24 * 28), ("purchase", 5)]],
        [0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_preset_means_what_it_says(name):
    rule, people, expected = CASES[name]
    assert members(rule, people) == expected


def test_presets_of_dates():
    born = [date(1990, 3, 1), date(1990, 3, 2), date(1990, 3, 7), date(1990, 3, 8), None]
    assert members(presets.birthday(), [[]] * 5, birthday=born) == [0]
    assert members(presets.birthday(days(7), born="born"), [[]] * 5, born=born) == [0, 1, 2]
    ends = [date(2026, 3, 1), date(2026, 3, 7), date(2026, 3, 8), date(2026, 2, 28), None]
    assert members(presets.subscription_ending(days(7)), [[]] * 5, subscription_ends=ends) == [0, 1]


def test_every_preset_is_one_expression_with_a_text_form():
    for name in presets.__all__:
        rule = getattr(presets, name)()
        assert parse(rule.to_text()).fingerprint == rule.fingerprint


def test_presets_refuse_what_could_never_hold():
    with pytest.raises(InputError, match="early"):
        presets.replenishment(days(3), days(3))
    with pytest.raises(InputError, match="n is 0"):
        presets.frequency_cap(0)
    with pytest.raises(InputError, match="purchases"):
        presets.about_to_lapse(2, 1)
