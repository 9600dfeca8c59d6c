"""What practitioners disagree about, decided: small inputs with the right figure, and where the case is from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, days, event, minutes
from relmark.errors import InputError
from relmark.metrics import (
    MessageCounts,
    cohort_retention,
    customer_effort_score,
    customer_satisfaction,
    funnel,
    message_metrics,
    net_promoter_score,
    unit_economics,
)


def base_of(*rows, tz="UTC"):
    """Return a base of rows of (customer, type, time)."""
    customer, kind, time = zip(*rows, strict=True)
    log = EventLog.from_columns(customer_id=list(customer), type=list(kind), time=list(time), tz=tz)
    return CustomerBase(events=log, tz=tz)


# ---- funnels


def test_two_events_at_one_instant_are_one_step():
    """PostHog/posthog#25048: 13:10 twice and 13:11 are the two views."""
    day = "2026-01-05T13:"
    base = base_of(("u", "onboarded", f"{day}01Z"), ("u", "view", f"{day}10Z"), ("u", "view", f"{day}10Z"),
                   ("u", "view", f"{day}11Z"))  # fmt: skip
    steps = [event("onboarded"), event("view"), event("view")]
    assert funnel(base, steps, as_of="2026-02-01").counts.tolist() == [1, 1, 1]
    without = base_of(("u", "onboarded", f"{day}01Z"), ("u", "view", f"{day}10Z"), ("u", "view", f"{day}10Z"))
    assert funnel(without, steps, as_of="2026-02-01").counts.tolist() == [1, 1, 0]
    assert funnel(without, steps, as_of="2026-02-01", ties="same_time").counts.tolist() == [1, 1, 1]


@pytest.mark.parametrize("order", ["loose", "any"])
def test_a_repeated_step_needs_a_repeated_event(order):
    """TelemetryDeck/Issues#225 and #375: sets that are intersected say 3, 3, 3."""
    rows = [(who, "add", f"2026-01-0{k + 1}") for who, often in (("a", 1), ("b", 2), ("c", 3)) for k in range(often)]
    found = funnel(base_of(*rows), [event("add")] * 3, as_of="2026-02-01", order=order)
    assert found.counts.tolist() == [3, 2, 1]
    assert found.deepest.tolist() == [1, 1, 1]


def test_the_time_to_convert_is_that_of_the_completed_attempt():
    """PostHog#5677: 40 seconds, not 19 minutes 20 seconds."""
    base = base_of(
        ("a", "start", "2026-01-05T10:00:00Z"), ("a", "buy", "2026-01-05T10:00:40Z"),
        ("b", "start", "2026-01-05T10:00:00Z"), ("b", "buy", "2026-01-05T10:38:00Z"),
    )  # fmt: skip
    found = funnel(base, [event("start"), event("buy")], as_of="2026-02-01", within=minutes(1))
    assert (found.entered, found.converted) == (2, 1)
    assert found.time_to_convert.mean.total_seconds() == 40
    assert found.median_time[1] == np.timedelta64(40, "s")


def test_five_steps_within_two_minutes_are_done():
    """PostHog#39127."""
    times = ["13:23:49", "13:23:54", "13:25:15", "13:25:44", "13:25:46"]
    base = base_of(*[("u", f"s{k}", f"2026-01-05T{time}Z") for k, time in enumerate(times)])
    found = funnel(base, [event(f"s{k}") for k in range(5)], as_of="2026-02-01", within=days(14))
    assert found.counts.tolist() == [1, 1, 1, 1, 1]


def test_any_attempt_and_the_first_attempt_are_named():
    """mixpanel/docs-legacy#928: the second start converts, the first does not."""
    base = base_of(("u", "start", "2026-01-01T00:00Z"), ("u", "start", "2026-01-10T00:00Z"),
                   ("u", "buy", "2026-01-10T05:00Z"))  # fmt: skip
    steps = [event("start"), event("buy")]
    assert funnel(base, steps, as_of="2026-02-01", within=days(1)).converted == 1
    assert funnel(base, steps, as_of="2026-02-01", within=days(1), attempt="first").converted == 0
    each = funnel(base, steps, as_of="2026-02-01", within=days(1), count="attempts")
    assert each.counts.tolist() == [2, 1]


def test_the_end_of_the_window_counts_and_one_instant_is_no_two_steps():
    """A window is closed at its end as rules' windows are; PostHog#74333 met tools that stamp both by the second."""
    steps = [event("start"), event("buy")]
    edge = base_of(("u", "start", "2026-01-01T00:00Z"), ("u", "buy", "2026-01-02T00:00Z"))
    assert funnel(edge, steps, as_of="2026-02-01", within=days(1)).converted == 1
    late = base_of(("u", "start", "2026-01-01T00:00Z"), ("u", "buy", "2026-01-02T00:00:00.000001Z"))
    assert funnel(late, steps, as_of="2026-02-01", within=days(1)).converted == 0
    tied = base_of(("u", "start", "2026-01-01T00:00Z"), ("u", "buy", "2026-01-01T00:00Z"))
    assert funnel(tied, steps, as_of="2026-02-01").converted == 0
    assert funnel(tied, steps, as_of="2026-02-01", ties="same_time").converted == 1


# ---- retention


def test_the_overall_row_is_a_sum_over_a_sum():
    """PostHog#25998: 2 of 110, not the mean of 20 % and 0 %."""
    rows = [(f"a{k}", "buy", "2026-01-05") for k in range(10)] + [(f"a{k}", "buy", "2026-02-05") for k in range(2)]
    rows += [(f"b{k}", "buy", "2026-02-05") for k in range(100)]
    found = cohort_retention(base_of(*rows), as_of="2026-04-01", start=event("buy"))
    assert found.overall[1].value == pytest.approx(2 / 110)
    assert float(np.mean(found.table[:, 1])) == pytest.approx(0.1)


def test_a_cohort_is_of_the_first_event_ever():
    """PostHog#2368 and #2371: who came in January is not of February, whatever range is shown."""
    base = base_of(("a", "order", "2026-01-15"), ("a", "order", "2026-02-10"), ("b", "order", "2026-02-12"))
    found = cohort_retention(base, as_of="2026-03-01", start=event("order"), since="2026-02-01")
    assert found.cohorts.astype(str).tolist() == ["2026-02"]
    assert found.sizes.tolist() == [1]


def test_a_window_of_24_hours_is_no_calendar_day():
    """Amplitude's documentation: 23 hours 1 minute later is day 0 by hours, and day 1 by the calendar."""
    base = base_of(("u", "start", "2026-12-01T17:59Z"), ("u", "back", "2026-12-02T17:00Z"))
    by_hours = cohort_retention(base, as_of="2026-12-05", start=event("start"), back=event("back"), period=days(1))
    by_days = cohort_retention(base, as_of="2026-12-05", start=event("start"), back=event("back"), period="day")
    assert by_hours.table[0, :2].tolist() == [1, 0]
    assert by_days.table[0, :2].tolist() == [0, 1]


def test_a_range_that_begins_within_a_month_holds_the_whole_month():
    """PostHog#20103: the order of 20 November is of the cohort of November."""
    base = base_of(("a", "order", "2025-11-20"), ("b", "order", "2025-11-03"))
    found = cohort_retention(base, as_of="2025-12-01", start=event("order"), since="2025-11-15")
    assert (found.cohorts.astype(str).tolist(), found.sizes.tolist()) == (["2025-11"], [2])


def test_the_day_of_the_start_counts():
    """PostHog#14239: signed up and ordered on one day: 1 of 1 on day 0."""
    base = base_of(("a", "signup", "2026-03-03"), ("a", "order", "2026-03-03"))
    found = cohort_retention(base, as_of="2026-03-05", start=event("signup"), back=event("order"), period="day")
    assert found.table[0].tolist() == [1, 0]


def test_months_are_those_of_the_zone():
    """metabase#10195: 01:30 UTC on 1 June is 31 May in Sao Paulo."""
    base = base_of(("a", "order", "2019-06-01T01:30Z"), tz="America/Sao_Paulo")
    found = cohort_retention(base, as_of="2019-07-01", start=event("order"))
    assert found.cohorts.astype(str).tolist() == ["2019-05"]


# ---- surveys


def test_answers_between_the_places_of_the_scale_are_refused_with_their_row():
    """formbricks#9248: 6.5 and 8.5 are no answers on a scale of whole numbers."""
    with pytest.raises(InputError, match=r"answers has 6.5 in row 0 .*answers must be whole numbers"):
        net_promoter_score([6.5, 8.5])


def test_the_score_is_not_its_index_and_zero_counts():
    """mozilla/fx-private-relay#1013; PostHog.com#6505 forgot the 0 among the detractors."""
    assert net_promoter_score([9, 9, 10, 8, 6]).value == 40
    assert net_promoter_score([0, 10]).value == 0
    assert net_promoter_score({0: 1, 10: 3}).value == 50


def test_another_scale_names_its_own_bounds():
    """kubestellar/console#8257: 4, 4, 3, 1 of 4 are 25, and -100 by the bounds of 0 to 10."""
    assert net_promoter_score([4, 4, 3, 1], scale=(1, 4), promoters=4, detractors=1).value == 25
    with pytest.raises(InputError, match="has no default bounds"):
        net_promoter_score([4, 4, 3, 1], scale=(1, 4))
    with pytest.raises(InputError, match=r"answers has 11.0 in row 1: answers must lie between 0 and 10"):
        net_promoter_score([4, 11])


def test_missing_answers_leave_numerator_and_denominator():
    """breatheco-de#8277 and #2928."""
    found = customer_satisfaction([5, None, 4, float("nan"), 1], kind="mean")
    assert found.value == pytest.approx(10 / 3)
    assert (found.answers, found.missing) == (3, 2)


@pytest.mark.parametrize("score", [net_promoter_score, customer_satisfaction, customer_effort_score])
def test_nobody_answered_is_undefined_with_a_reason(score):
    """PostHog#29111 answers 0."""
    found = score([])
    assert math.isnan(found.value)
    assert found.reason == "nobody answered"
    assert math.isnan(score([None, None]).value)


def test_satisfaction_says_which_figure_it_is():
    """Top two box 66.7 %, mean 3.17: (mean - 1) / 4 and mean / 5 are neither."""
    answers = [5, 4, 4, 4, 1, 1]
    share, mean = customer_satisfaction(answers), customer_satisfaction(answers, kind="mean")
    assert (share.value, share.unit) == (pytest.approx(2 / 3), "share of 4 and 5")
    assert (mean.value, mean.unit) == (pytest.approx(19 / 6), "mean of 1 to 5")


def test_effort_says_which_figure_it_is():
    answers = [7, 6, 5, 5, 3, 2]
    assert customer_effort_score(answers).value == pytest.approx(28 / 6)
    assert customer_effort_score(answers, kind="share").value == pytest.approx(4 / 6)
    assert customer_effort_score(answers, kind="share", easy=6).value == pytest.approx(2 / 6)
    assert customer_effort_score(answers, reverse=True).value == pytest.approx(8 - 28 / 6)


# ---- mail


def test_each_rate_names_its_denominator():
    """Mailjet feedback 45471010."""
    m = message_metrics(MessageCounts(sent=1000, delivered=900, opened=200, clicked=20, unsubscribed=5))
    assert m.delivery_rate.value == pytest.approx(0.9)
    assert (m.open_rate.value, m.open_rate_sent.value) == (pytest.approx(200 / 900), pytest.approx(0.2))
    assert (m.ctr_delivered.value, m.ctr_sent.value) == (pytest.approx(20 / 900), pytest.approx(0.02))
    assert m.click_to_open_rate.value == pytest.approx(0.1)
    assert m.unsubscribe_rate.value == pytest.approx(5 / 900)
    assert m.unsubscribe_rate_sent.value == pytest.approx(0.005)


def test_openings_are_no_openers():
    """wp-calypso#84814: a opens 12 times, b once."""
    rows = [(f"c{k}", "message_sent", "2026-01-05T10:00Z") for k in range(10)]
    rows += [("c0", "message_opened", f"2026-01-05T11:{k:02}Z") for k in range(12)]
    rows += [("c1", "message_opened", "2026-01-05T11:00Z")]
    m = message_metrics(base_of(*rows), as_of="2026-02-01")
    assert m.open_rate.value == pytest.approx(0.2)
    assert m.opens_per_sent.value == pytest.approx(1.3)
    assert m.opens_per_open.value == pytest.approx(6.5)


def test_who_cannot_be_seen_is_in_no_rate():
    """mailpoet#7045 and PostHog#78136: undefined, not 300 %; 45 of 400, not of 1,000."""
    nobody = message_metrics(MessageCounts(sent=1000, tracked=0, opened=0, clicked=3))
    assert math.isnan(nobody.open_rate.value)
    assert math.isnan(nobody.ctr_delivered.value)
    assert "is 0" in nobody.ctr_delivered.reason
    assert math.isnan(nobody.click_to_open_rate.value)
    some = message_metrics(MessageCounts(sent=1000, tracked=400, opened=45))
    assert some.open_rate.value == pytest.approx(0.1125)


def test_clicks_by_openers_are_by_openers_alone():
    """Copernica's documentation divides by impressions and clicks: 9.1 %."""
    m = message_metrics(MessageCounts(sent=200, opened=120, clicked=12))
    assert m.click_to_open_rate.value == pytest.approx(0.1)


def test_bounced_messages_are_not_delivered():
    """mautic#5346."""
    m = message_metrics(MessageCounts(sent=100, bounced=20, opened=20))
    assert (m.open_rate.value, m.open_rate_sent.value) == (pytest.approx(0.25), pytest.approx(0.2))


def test_a_click_without_a_recorded_open_is_an_open():
    """luxletter#121: clicks by pixel opens gave more than 100 %."""
    rows = [(f"c{k}", "message_sent", "2026-01-05T10:00Z") for k in range(4)]
    rows += [("c0", "message_opened", "2026-01-05T11:00Z"), ("c1", "message_clicked", "2026-01-05T11:00Z"),
             ("c2", "message_clicked", "2026-01-05T11:00Z")]  # fmt: skip
    m = message_metrics(base_of(*rows), as_of="2026-02-01")
    assert (m.opened.tolist(), m.click_to_open_rate.value) == ([3], pytest.approx(2 / 3))


# ---- money


def test_totals_of_ratios_are_sums_over_sums():
    """dgpulse#31: 1.099, not 11 and not 5.5."""
    found = unit_economics({"a": 10.0, "b": 900.0}, revenue={"a": 100.0, "b": 900.0})
    assert found.roas.tolist() == [10, 1]
    assert found.total["roas"] == pytest.approx(1000 / 910)


def test_a_cost_names_what_it_is_of():
    found = unit_economics(600.0, leads=30, orders=6, new_customers=4)
    assert found.cost_per_lead.tolist() == [20]
    assert found.cost_per_order.tolist() == [100]
    assert found.customer_acquisition_cost.tolist() == [150]
    none = unit_economics(600.0, orders=0)
    assert math.isnan(none.cost_per_order[0])
    assert none.reasons["cost_per_order"] == "undefined: orders is 0"


def test_spend_that_brought_nothing_keeps_its_row_and_stays_in_the_total():
    """PostHog#75517 and #83482."""
    found = unit_economics({"radio": 500.0, "ads": 100.0}, orders={"ads": 4}, revenue={"ads": 300.0})
    assert found.key.tolist() == ["radio", "ads"]
    assert (found.roas[0], found.roi[0]) == (0, -1)
    assert math.isnan(found.cost_per_order[0])
    assert found.total["roas"] == 0.5
    assert found.total["cost_per_order"] == 150
