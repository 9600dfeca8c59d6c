"""The page of a period: every figure is that of its own table, and what was not recorded is not zero."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, Message, Purchase, calendar_days, months
from relmark.core.errors import InputError
from relmark.metrics import base_health, commerce_metrics, marketing_report, message_metrics


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(1)
    events = [
        Purchase(int(rng.integers(60)), f"{day}T{int(rng.integers(24)):02}:00Z", float(rng.integers(1, 50)))
        for day in np.arange("2025-01-03", "2026-03-10", dtype="M8[D]") for _ in range(2)
    ]  # fmt: skip
    for day in np.arange("2026-01-01", "2026-03-10", dtype="M8[D]"):
        events.append(Message(int(rng.integers(60)), f"{day}T09:00Z", "sent", "email", campaign=str(day)))
    return CustomerBase(events=EventLog.from_events(events), tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("period", "ends", "span"),
    [
        ("month", ["2026-02-01", "2026-01-01", "2025-02-01"], months(1)),
        ("quarter", ["2026-01-01", "2025-10-01", None], months(3)),
        ("week", ["2026-02-02", "2026-01-26", "2025-02-03"], calendar_days(7)),
        ("day", ["2026-02-02", "2026-02-01", "2025-02-03"], calendar_days(1)),
    ],
)
def test_figures_are_those_of_the_tables_as_of_the_ends_of_the_periods(shop, period, ends, span):
    told = marketing_report(shop, as_of=ends[0], period=period)
    assert not told.in_progress
    for name, end in zip(("this", "before", "year_before"), ends, strict=True):
        if end is None:
            continue
        theirs = {
            "commerce": commerce_metrics(shop, as_of=end, within=span),
            "base": base_health(shop, as_of=end, within=span),
            "messages": message_metrics(shop, as_of=end, within=span),
        }
        for section, figure, value in zip(told.section, told.figure, getattr(told, name), strict=True):
            one = getattr(theirs[section], figure)
            assert value == pytest.approx(float(np.ravel(getattr(one, "value", one))[0]), nan_ok=True)
    again = marketing_report(shop, as_of=np.datetime64(f"{ends[0]}T00:00") - np.timedelta64(2, "h"), period=period)
    assert again.periods == told.periods


def test_changes_are_parts_and_of_shares_differences(shop):
    told = marketing_report(shop, as_of="2026-02-01")
    share = told.unit == "share"
    with np.errstate(all="ignore"):
        parts = told.this / np.where(told.before == 0, np.nan, told.before) - 1
    assert told.change[~share] == pytest.approx(parts[~share], nan_ok=True)
    assert told.change[share] == pytest.approx((told.this - told.before)[share], nan_ok=True)
    assert (str(told.periods["this"]), str(told.periods["year_before"])) == ("2026-01", "2025-01")
    assert "2025-01: events were recorded only from 2025-01-03 on" in told.notes


def test_what_was_not_recorded_is_not_zero(shop):
    told = marketing_report(shop, as_of="2025-02-01")
    assert np.isnan(told.before).all()
    assert np.isnan(told.change).all()
    assert "2024-12: nothing had been recorded yet" in told.notes
    assert "year_before" not in str(told)


def test_a_period_in_progress_is_said(shop):
    for as_of in ("2026-03-06", "2026-03-05T12:00Z"):
        told = marketing_report(shop, as_of=as_of)
        assert told.in_progress
        assert any("in progress" in note for note in told.notes)
    dated = marketing_report(shop, as_of="2026-03-06")
    within = commerce_metrics(shop, as_of="2026-03-06", within=calendar_days(5))
    assert dated.this[dated.figure == "orders"].tolist() == within.orders.tolist()


def test_it_prints_as_a_page_and_becomes_json(shop):
    told = marketing_report(shop, as_of="2026-02-01")
    page = str(told)
    assert page.startswith("2026-01 compared with 2025-12 and 2025-01")
    assert all(word in page for word in ("commerce", "base", "messages", "average_order_value"))
    data = json.loads(told.to_json())
    assert data["tables"]["commerce"]["this"]["orders"] == [int(told.this[0])]
    assert told.describe("average_order_value").denominator == "orders"
    assert told._repr_html_().count("<table") == 1


def test_sections_without_events_are_left_out_and_nonsense_is_refused():
    told = marketing_report(CustomerBase(), as_of="2026-02-01")
    assert len(told) == 0
    with pytest.raises(InputError, match="period"):
        marketing_report(CustomerBase(), as_of="2026-02-01", period="fortnight")


def test_purchases_without_money_are_told_with_the_reason():
    log = EventLog.from_columns(customer_id=["a", "b"], type="purchase", time=["2026-01-10", "2026-01-11"])
    told = marketing_report(CustomerBase(events=log), as_of="2026-02-01")
    assert "average_order_value, revenue_per_customer: nan (purchases have no money)" in told.notes
    assert told.this[told.figure == "orders"].tolist() == [2.0]
