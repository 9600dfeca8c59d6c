from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, calendar_days, days, event, hours, months, prop
from relmark.attribution import FirstTouch, Journeys, LastTouch
from relmark.core.time import UtcTimes
from relmark.errors import InputError, MissingColumnError

DAY = 86_400_000_000


def log_of(*rows, column="channel"):
    """Return a base of rows (customer, type, day, channel or None, value or None); times are instants."""
    customers, types, times, channels, values = zip(*rows, strict=True)
    log = EventLog.from_columns(
        customer_id=list(customers),
        type=list(types),
        time=UtcTimes((np.array(times, dtype=float) * DAY).astype("int64").astype("M8[us]")),
        value=[np.nan if v is None else v for v in values],
        properties={column: list(channels)},
    )
    return CustomerBase(events=log)


def journeys(base, **changes):
    arguments = {"touch": event("visit"), "conversion": event("purchase"), "as_of": "1971-01-01"} | changes
    return Journeys.from_events(base, **arguments)


def shown(j):
    return [
        (customer, path, conversions, nulls)
        for customer, path, conversions, nulls in zip(
            j.customer_id.tolist(), j.paths, j.conversions.tolist(), j.nulls.tolist(), strict=True
        )
    ]


def visit(customer, day, channel):
    return (customer, "visit", day, channel, None)


def purchase(customer, day, value=1.0):
    return (customer, "purchase", day, None, value)


def test_a_conversion_takes_the_touches_before_it():
    log = log_of(visit(1, 1, "a"), visit(1, 2, "b"), purchase(1, 3, 10.0), visit(1, 4, "c"), visit(2, 1, "a"))
    j = journeys(log)
    assert shown(j) == [(1, "a > b", 1.0, 0.0), (1, "c", 0.0, 1.0), (2, "a", 0.0, 1.0)]
    assert j.value.tolist() == [10.0, 0.0, 0.0]
    assert (j.times // DAY).tolist() == [1, 2, 4, 1]
    assert (j.ends // DAY).tolist() == [3, 4, 1]


def test_a_conversion_without_touches_is_unattributed():
    j = journeys(log_of(purchase(2, 1, 7.0), visit(1, 1, "a"), purchase(1, 2, 5.0)))
    credit = LastTouch().attribute(j)
    assert credit.unattributed_conversions == 1.0
    assert credit.unattributed_value == 7.0
    assert credit.value.tolist() == [5.0]


def test_the_window_includes_both_ends():
    log = log_of(visit(1, 0, "early"), visit(1, 1, "edge"), visit(1, 31, "same"), purchase(1, 31))
    assert journeys(log).paths == ["edge > same", "early"]


def test_equal_times_keep_the_order_of_rows():
    log = log_of(visit(1, 5, "before"), purchase(1, 5), visit(1, 5, "after"))
    assert shown(journeys(log)) == [(1, "before", 1.0, 0.0), (1, "after", 0.0, 1.0)]


def test_an_event_that_is_touch_and_conversion_is_a_touch_first():
    log = log_of(visit(1, 1, "a"), visit(1, 2, "goal"), visit(1, 3, "b"))
    j = journeys(log, conversion=event("visit", where=prop("channel") == "goal"))
    assert shown(j) == [(1, "a > goal", 1.0, 0.0), (1, "b", 0.0, 1.0)]


def test_after_a_conversion_a_new_journey_begins_or_touches_are_kept():
    log = log_of(visit(1, 1, "a"), purchase(1, 2), visit(1, 3, "b"), purchase(1, 4), purchase(1, 5))
    assert journeys(log).paths == ["a", "b", ""]
    assert journeys(log, after_conversion="keep").paths == ["a", "a > b", "a > b"]


def test_null_journeys_are_split_by_silence_and_by_conversions():
    log = log_of(visit(1, 1, "a"), visit(1, 31, "b"), visit(1, 61.5, "c"), purchase(2, 1))
    assert journeys(log).paths == ["", "a > b", "c"]
    assert journeys(log).split_nulls(days(31)).paths == ["", "a > b > c"]
    between = log_of(visit(1, 1, "a"), visit(1, 4, "b"), purchase(1, 5), visit(1, 6, "c"))
    assert journeys(between, lookback=days(2)).split_nulls(days(300)).paths == ["b", "a", "c"]


def test_long_journeys_keep_their_latest_touches():
    log = log_of(*[visit(1, d, f"c{d}") for d in range(1, 6)], purchase(1, 6), *[visit(1, 6 + d, "x") for d in (1, 2)])
    j = journeys(log).last_n(2)
    assert j.paths == ["c4 > c5", "x > x"]
    assert journeys(log).last_n(1).paths == ["c5", "x"]


def test_nothing_after_as_of_is_seen():
    log = log_of(visit(1, 1, "a"), purchase(1, 2), visit(1, 3, "b"))
    assert journeys(log, as_of="1970-01-03T00:00Z").paths == ["a"]
    assert journeys(log, as_of="1970-01-02T00:00").paths == ["a"]
    assert journeys(log, as_of="1970-01-02T00:00").total_conversions == 0.0
    assert len(journeys(log, as_of="1970-01-02")) == 0
    dated = journeys(log, as_of="1970-01-03")
    assert (dated.paths, dated.total_conversions) == (["a"], 0.0)
    assert dated.as_of == np.datetime64("1970-01-03")
    assert dated.as_of.dtype == "M8[D]"
    assert journeys(log, as_of="1970-01-03T00:00Z").as_of.dtype == "M8[us]"
    assert journeys(log, as_of="1970-01-03").settled(days(1)).paths == []
    assert journeys(log, as_of="1970-01-03T00:00:00.000001Z").settled(days(1)).paths == ["a"]


def test_journeys_that_may_still_convert_can_be_left_out():
    log = log_of(visit(1, 1, "a"), visit(2, 40, "b"), visit(3, 5, "c"), purchase(3, 6))
    assert journeys(log, as_of="1970-02-20").paths == ["c", "a", "b"]
    assert journeys(log, as_of="1970-02-20").settled(days(30)).paths == ["c", "a"]


def test_several_event_types_and_conditions_are_touches_together():
    rows = [visit(1, 1, "a"), (1, "message_clicked", 2, "mail", None), visit(1, 3, "direct"), purchase(1, 4)]
    log = log_of(*rows)
    touch = [event("visit", where=prop("channel") != "direct"), "message_clicked", event("visit", "nothing")]
    assert journeys(log, touch=touch[:2]).paths == ["a > mail"]
    assert journeys(log, touch=touch).paths == ["a > mail > direct"]
    assert journeys(log, touch="visit", conversion="purchase").paths == ["a > direct"]


def test_a_calendar_date_is_read_in_the_given_zone():
    log = log_of(visit(1, 1.1, "a"), purchase(1, 1.2)).events
    assert len(journeys(CustomerBase(events=log, tz="America/New_York"), as_of="1970-01-02")) == 1
    assert len(journeys(CustomerBase(events=log), as_of="1970-01-02")) == 0


def test_channels_may_be_numbers_and_are_ascending():
    log = log_of(visit(1, 1, 20), visit(1, 2, 3), purchase(1, 3))
    assert journeys(log).channels.tolist() == ["20", "3"]


def test_campaigns_attribute_like_channels():
    log = log_of(visit(1, 1, "spring"), purchase(1, 2), column="campaign")
    assert journeys(log, channel="campaign").channels.tolist() == ["spring"]


def test_a_touch_without_a_channel_is_an_error_or_gets_a_name():
    log = log_of(visit(1, 1, "a"), visit(1, 2, None), purchase(1, 3))
    with pytest.raises(InputError, match=r"channel is missing for a 'visit' event in row 1.*fill"):
        journeys(log)
    assert journeys(log, channel=prop("channel").fill("?")).paths == ["a > ?"]
    assert journeys(log, channel=prop("channel").fill("a")).paths == ["a > a"]
    assert journeys(log, touch=event("visit", where=prop("channel").not_null())).paths == ["a"]


def test_a_property_that_no_touch_has_is_an_error_or_unknown():
    log = log_of(visit(1, 1, "a"), purchase(1, 3))
    with pytest.raises(MissingColumnError, match="Did you mean 'channel'"):
        journeys(log, channel="chanel")
    assert journeys(log, channel=prop("chanel").fill("?")).paths == ["?"]


def lead(customer, day, value=1.0):
    return (customer, "lead", day, None, value)


def test_values_that_are_missing_add_nothing_and_are_noted():
    log = log_of(visit(1, 1, "a"), lead(1, 2, None), visit(2, 1, "a"), lead(2, 2, 4.0))
    j = journeys(log, conversion="lead")
    assert j.value.tolist() == [0.0, 4.0]
    assert j.notes == ("1 conversions have no value and add nothing to the sums of value",)
    assert j.notes[0] in str(LastTouch().attribute(j))
    assert journeys(log_of(visit(1, 1, "a"), lead(1, 2, None)), conversion="lead").value is None
    assert journeys(log_of(visit(1, 1, "a"), purchase(1, 2, None))).value is None
    with pytest.raises(InputError, match="'purchase' events have no value, the first in row 1"):
        journeys(log_of(visit(1, 1, "a"), purchase(1, 2, None), purchase(1, 3)))


def test_a_negative_value_that_is_no_order_is_an_error_with_its_row():
    with pytest.raises(InputError, match="-4 in row 1"):
        journeys(log_of(visit(1, 1, "a"), lead(1, 2, -4.0)), conversion="lead")


def bought(*lines, visits=(), tz="UTC", **names):
    """Return a base of purchase lines (customer, time, value, order) and visits (customer, time, channel)."""
    customer, time, value, order = zip(*lines, strict=True)
    log = EventLog.purchases(
        {"c": list(customer), "t": list(time), "v": list(value), "o": list(order)},
        customer_id="c", time="t", value="v", order=names.get("order", "o"), tz=tz,
    )  # fmt: skip
    if visits:
        customer, time, channel = zip(*visits, strict=True)
        seen = EventLog.from_columns(
            customer_id=list(customer), type="visit", time=list(time), properties={"channel": list(channel)}, tz=tz
        )
        log = seen.append(log)
    return CustomerBase(events=log, tz=tz)


def test_three_lines_of_one_order_are_one_conversion_of_their_sum():
    at = "2026-11-03T10:00Z"
    lines = [(1, at, 10.1, "A"), (1, at, 20.2, "A"), (1, at, 69.7, "A"), (2, at, 5.0, "A")]
    base = bought(*lines, visits=[(1, "2026-11-01T09:00Z", "mail")])
    for order in ("order", None):
        j = journeys(base, as_of="2026-12-01", order=order)
        assert shown(j) == [(1, "mail", 1.0, 0.0), (2, "", 1.0, 0.0)]  # order A of another customer is another
        assert j.value.tolist() == [100.0, 5.0]
    credit = LastTouch().attribute(j)
    assert (credit.value.tolist(), credit.unattributed_conversions) == ([100.0], 1.0)


def test_an_order_is_what_is_said_to_be_one():
    lines = [(1, "2026-11-03T10:00:00Z", 10.0, None), (1, "2026-11-03T10:00:40Z", 5.0, None)]
    base = bought(*lines, visits=[(1, "2026-11-03T09:00Z", "mail")], order=None)
    assert journeys(base, as_of="2026-12-01").total_conversions == 2.0
    for order in ("day", hours(1)):
        j = journeys(base, as_of="2026-12-01", order=order)
        assert (j.paths, j.conversions.tolist(), j.value.tolist()) == (["mail"], [1.0], [15.0])
    with pytest.raises(MissingColumnError, match="order is 'basket'"):
        journeys(base, as_of="2026-12-01", order="basket")
    with pytest.raises(MissingColumnError, match="order is 'basket'"):
        journeys(log_of(visit(1, 1, "a"), lead(1, 2)), conversion="lead", order="basket")


def test_refunds_are_taken_off_and_what_is_refunded_in_full_is_no_conversion():
    lines = [
        (1, "2026-11-03T10:00Z", 30.0, "A"),
        (1, "2026-11-04T10:00Z", 20.0, "B"),
        (1, "2026-11-09T10:00Z", -25.0, "C"),
    ]
    base = bought(*lines, visits=[(1, "2026-11-01T09:00Z", "mail")])
    j = journeys(base, as_of="2026-12-01")
    assert (j.conversions.tolist(), j.value.tolist()) == ([1.0], [25.0])
    assert "1 purchases were refunded in full and do not count as conversions" in j.notes
    assert "refunded in full" in str(j)
    assert "refunded in full" in j._repr_html_()
    known = journeys(base, as_of="2026-11-09")  # the refund of that day is not known yet
    assert known.value.tolist() == [30.0, 20.0]


def test_a_condition_chooses_lines_of_orders():
    base = bought(
        (1, "2026-11-03T10:00Z", 30.0, "A"), (1, "2026-11-03T10:00Z", 4.0, "A"), (1, "2026-11-04T10:00Z", 3.0, "B")
    )
    visits = EventLog.from_columns(
        customer_id=[1], type="visit", time=["2026-11-01T09:00Z"], properties={"channel": ["mail"]}
    )
    base = CustomerBase(events=visits.append(base.events))
    dear = journeys(base, as_of="2026-12-01", conversion=event("purchase", where=prop("value") > 3.5))
    assert (dear.conversions.tolist(), dear.value.tolist()) == ([1.0], [34.0])
    mixed = log_of(visit(1, 1, "a"), purchase(1, 2, 3.0), lead(1, 3, 2.0), lead(1, 3, 2.0))
    both = journeys(mixed, conversion=["purchase", "lead"])
    assert both.value.tolist() == [3.0, 2.0, 2.0]  # a lead is an event as it is


def test_the_base_says_who_is_who_and_in_which_order():
    log = log_of(visit(3, 1, "a"), purchase(3, 2), visit(1, 1, "b"), purchase(1, 2)).events
    table = CustomerTable.from_columns(customer_id=[3, 2, 1])
    assert shown(journeys(CustomerBase(customers=table, events=log))) == [(3, "a", 1.0, 0.0), (1, "b", 1.0, 0.0)]
    with pytest.raises(InputError, match=r"CustomerBase\(events=log"):
        journeys(log)
    with pytest.raises(InputError, match="base is a dict"):
        journeys({})


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York"])
def test_touches_of_the_day_of_a_conversion_that_carries_no_time_come_before_it(tz):
    visits = [(1, "2026-11-03T14:00", "mail"), (1, "2026-11-04T00:00", "post")]
    base = bought((1, "2026-11-03", 30.0, "A"), visits=visits, tz=tz)
    j = journeys(base, as_of="2026-12-01")
    assert shown(j) == [(1, "mail", 1.0, 0.0), (1, "post", 0.0, 1.0)]
    assert any("conversions carry a day and no time" in note for note in j.notes)
    assert (j.times[0] <= j.ends[0]).all()
    stamped = bought((1, "2026-11-03T08:00", 30.0, "A"), visits=[(1, "2026-11-03", "mail")], tz=tz)
    other = journeys(stamped, as_of="2026-12-01")
    assert shown(other) == [(1, "mail", 1.0, 0.0)]
    assert any("touches carry a day and no time" in note for note in other.notes)
    on_it = journeys(stamped, as_of="2026-11-03T00:00")
    assert any("give as_of as a date to leave them out" in note for note in on_it.notes)
    assert len(journeys(stamped, as_of="2026-11-03")) == 0


def test_a_lookback_may_be_counted_by_the_calendar():
    visits = [(1, "2026-10-24T12:00", "mail")]  # the clock is set back in the night
    base = bought((1, "2026-10-31T12:00", 30.0, "A"), visits=visits, tz="Europe/Berlin")
    assert journeys(base, as_of="2026-12-01", lookback=days(7)).paths == ["", "mail"]
    assert journeys(base, as_of="2026-12-01", lookback=calendar_days(7)).paths == ["mail"]
    assert journeys(base, as_of="2026-12-01", lookback=months(1)).within(calendar_days(7)).paths == ["mail"]
    assert journeys(base, as_of="2026-12-01", lookback=months(1)).within(days(7)).paths == [""]
    by_day = bought((1, "2026-10-31", 30.0, "A"), visits=[(1, "2026-10-24", "mail")], tz="Europe/Berlin")
    assert journeys(by_day, as_of="2026-12-01", lookback=days(7)).paths == ["mail"]
    assert journeys(by_day, as_of="2026-12-01", lookback=days(6)).paths == ["", "mail"]


def test_nulls_are_parted_anew_and_settled_only_where_it_is_known_when():
    j = Journeys.from_paths(["a > b"])
    with pytest.raises(InputError, match="split_nulls needs the time"):
        j.split_nulls(days(1))
    with pytest.raises(InputError, match="settled needs the time"):
        j.settled(days(1))
    timed = Journeys.from_columns(journey=[1], channel=["a"], conversions=[0], time=["2026-11-01T10:00Z"])
    with pytest.raises(InputError, match="whose journeys"):
        timed.split_nulls(days(1))
    with pytest.raises(InputError, match="as_of up to which"):
        timed.settled(days(1))
    with pytest.raises(InputError, match="gap"):
        journeys(log_of(visit(1, 1, "a"), purchase(1, 2))).split_nulls(30)


def test_a_log_without_conversions_has_only_null_journeys_and_the_other_way_round():
    log = log_of(visit(1, 1, "a"), purchase(1, 2))
    only_touches = journeys(log, conversion=event("purchase", where=prop("value") > 100))
    assert shown(only_touches) == [(1, "a", 0.0, 1.0)]
    only_goals = journeys(log, touch=event("visit", where=prop("channel") == "none"))
    assert shown(only_goals) == [(1, "", 1.0, 0.0)]
    assert only_goals.channels.tolist() == []


def test_an_empty_log_has_no_journeys():
    log = log_of(visit(1, 1, "a")).events.take(np.array([False]))
    j = journeys(CustomerBase(events=log))
    assert len(j) == 0
    assert LastTouch().attribute(j).conversions.tolist() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"touch": event("visits")}, "touch asks for 'visits'.*Did you mean 'visit'"),
        ({"conversion": "order"}, "conversion asks for 'order'"),
        ({"touch": []}, "touch is empty"),
        ({"touch": 3}, "touch is 3"),
        ({"lookback": hours(0)}, "lookback"),
        ({"lookback": 30}, "lookback"),
        ({"after_conversion": "reset"}, "after_conversion"),
        ({"channel": ""}, "channel"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        journeys(log_of(visit(1, 1, "a"), purchase(1, 2)), **changes)


def test_a_carried_touch_counts_until_a_newer_one_comes():
    log = log_of(
        visit(1, 1, "a"), visit(1, 2, "b"), purchase(1, 3), purchase(1, 4), visit(1, 5, "c"), purchase(1, 6),
        purchase(1, 50), purchase(2, 3),
    )  # fmt: skip
    assert journeys(log).paths == ["a > b", "", "c", "", ""]
    carried = journeys(log, after_conversion="carry")
    assert carried.paths == ["a > b", "b", "c", "", ""]  # the last purchase is outside the lookback, the other nobody's
    assert FirstTouch().attribute(carried).conversions.tolist() == [1.0, 1.0, 1.0]
    assert LastTouch().attribute(carried).conversions.tolist() == [0.0, 2.0, 1.0]


@pytest.mark.parametrize("longest", [timedelta.max, timedelta(days=400_000)])
def test_a_lookback_may_be_as_long_as_a_duration_can(longest):
    log = log_of(visit(1, 1, "a"), purchase(1, 300), visit(2, 1, "b"))
    for after in ("new", "keep", "carry"):
        j = journeys(log, lookback=longest, after_conversion=after)
        assert j.paths == ["a", "b"]
        assert j.within(longest).paths == j.paths
    assert journeys(log, lookback=days(1)).split_nulls(longest).paths == ["", "a", "b"]
    assert journeys(log, lookback=longest).time_lags([days(1), longest]).conversions.tolist() == [0.0, 1.0, 0.0]


def test_spaces_around_a_channel_of_a_log_do_not_count():
    log = log_of(visit(1, 1, "mail"), visit(1, 2, " mail "), purchase(1, 3))
    assert journeys(log).channels.tolist() == ["mail"]
    with pytest.raises(InputError, match="an empty channel"):
        journeys(log_of(visit(1, 1, "  "), purchase(1, 3)))
