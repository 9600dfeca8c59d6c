"""Where a reading begins and ends: dates, instants, zones, events that carry a day, and windows in progress."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, calendar_days, days, event, field, hours, months
from relmark.core.time import instant
from relmark.errors import InputError
from relmark.experiments import Assignment, Experiment, Holdout, Mean, TriggerChain
from relmark.experiments.checks import exposure_before_assignment
from relmark.experiments.starts import starts_of
from relmark.experiments.windows import cut, everyone_of, window_after

BERLIN = "Europe/Berlin"
TEST = Experiment("x", arms={"control": 0.5, "mail": 0.5})
SPEND = event("purchase").sum()
N = 40
ARMS = np.where(np.arange(N) % 2, "mail", "control")


def base_of(rows, *, tz="UTC", until="2027-12-31"):
    """Return a base of N people with purchases (person, time, value), and one visit at the end of the log."""
    people, times, values = zip(*rows, strict=True)
    log = EventLog.from_columns(customer_id=list(people), type="purchase", time=list(times), value=list(values), tz=tz)
    end = EventLog.from_columns(customer_id=[0], type="visit", time=[f"{until}T23:00Z"])
    table = CustomerTable.from_columns(customer_id=np.arange(N), age=np.arange(N) * 1.0)
    return CustomerBase(customers=table, events=log.append(end), tz=tz)


def means(report):
    effect = report.effect("spend")
    return effect.control, effect.treatment


def read(base, **options):
    options = {"window": days(7), "metrics": [Mean("spend", of=SPEND)], "arms": ARMS} | options
    return TEST.read(base, **options)


@pytest.mark.parametrize("tz", ["UTC", BERLIN, "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "start", ["2026-11-01", date(2026, 11, 1), np.datetime64("2026-11-01"), datetime(2026, 11, 1), "2026-11-01T00:00"]
)
def test_ten_more_on_the_day_of_the_start_read_ten_more(tz, start):
    rows = [(k, "2026-11-01", 5.0 + 10.0 * (k % 2)) for k in range(N)] + [(k, "2026-10-31", 7.0) for k in range(N)]
    report = read(base_of(rows, tz=tz), start=start, metrics=[Mean("spend", of=SPEND, before=days(30))])
    assert means(report)[1] - means(report)[0] == 10.0
    assert report.effect("spend").control == 5.0
    assert all(check.passed for check in report.checks)
    assert report.checks[-1].message == "nothing varies before the campaign"  # 7 for everybody: nothing of the day


@pytest.mark.parametrize("tz", ["UTC", BERLIN, "America/New_York"])
def test_the_first_instant_is_in_the_window_and_the_one_after_its_end_is_not(tz):
    start, end = "2026-11-01T09:00", "2026-11-08T09:00"
    late, early = "2026-11-08T08:59:59.999999", "2026-11-01T08:59:59.999999"
    for time, inside in ((start, True), (late, True), (end, False), (early, False)):
        got = means(read(base_of([(1, time, 20.0), (2, "2026-01-05T12:30", 1.0)], tz=tz), start=start))
        assert got == ((0.0, 1.0) if inside else (0.0, 0.0))


@pytest.mark.parametrize("tz", ["UTC", BERLIN, "America/New_York"])
def test_what_came_before_ends_before_the_start_and_begins_with_the_first_instant(tz):
    start = "2026-11-01T09:00"
    times = {"2026-11-01T09:00": 0, "2026-11-01T08:59:59.999999": 1, "2026-10-22T09:00": 1, "2026-10-22T08:59:59": 0}
    zone = ZoneInfo(tz)
    for time, inside in times.items():
        aware_times = [datetime.fromisoformat(time).replace(tzinfo=zone)]
        base = base_of([(1, aware_times[0], 20.0), (2, datetime(2026, 1, 5, 12, 30, tzinfo=UTC), 1.0)], tz=tz)
        report = read(base, start=start, metrics=[Mean("spend", of=SPEND, before=calendar_days(10))])
        before = report.source.blocks[0][1]
        place = before.columns.index("spend before")
        assert before.mean[1, 0, place] == inside  # 20 over 20 people


def test_days_of_a_window_from_a_date_are_local_days_where_the_clock_changes():
    rows = [(1, "2026-10-31T23:30", 20.0), (3, "2026-11-01T00:00", 20.0), (5, "2026-10-25T00:00", 20.0)]
    base = base_of(rows, tz=BERLIN)  # 25 October has 25 hours
    assert means(read(base, start="2026-10-25"))[1] == 2.0
    assert means(read(base, start="2026-10-25T00:00"))[1] == 1.0  # 168 hours end an hour before midnight
    assert means(read(base, start="2026-10-25T00:00", window=calendar_days(7)))[1] == 2.0
    assert means(read(base, start="2026-10-25", window=hours(7 * 24)))[1] == 2.0
    assert means(read(base, start="2026-10-25", window=hours(7 * 24 - 1)))[1] == 1.0
    spring = base_of([(1, "2026-04-03T00:30", 20.0), (3, "2026-04-02T23:30", 20.0)], tz=BERLIN)
    assert means(read(spring, start="2026-03-27"))[1] == 1.0
    assert means(read(spring, start="2026-03-27T00:00"))[1] == 2.0  # 168 hours, one of them after midnight


def test_months_are_those_of_the_calendar():
    rows = [(1, "2026-02-27T23:00", 20.0), (3, "2026-02-28T12:00", 20.0), (5, "2026-01-31T00:00", 20.0)]
    base = base_of(rows, tz=BERLIN)
    assert means(read(base, start="2026-01-31", window=months(1)))[1] == 2.0
    assert means(read(base, start="2026-01-31T12:30", window=months(1)))[1] == 2.0
    report = read(base, start="2026-03-31", window=months(1), metrics=[Mean("spend", of=SPEND, before=months(1))])
    moments = report.source.blocks[0][1]
    assert moments.mean[1, 0, moments.columns.index("spend before")] == 1.0  # from 28 February


def test_days_of_a_start_within_a_day_belong_to_neither_side_and_are_counted():
    rows = [(k, "2026-11-01", 5.0 + 10.0 * (k % 2)) for k in range(N)]
    rows += [(k, "2026-11-08", 2.0) for k in range(N)] + [(k, "2026-10-31", 7.0) for k in range(N)]
    rows += [(k, "2026-10-25", 3.0) for k in range(N)] + [(k, "2026-10-24", 50.0) for k in range(N)]
    report = read(base_of(rows, tz=BERLIN), start="2026-11-01T12:00", metrics=[Mean("spend", of=SPEND, before=days(7))])
    assert means(report) == (2.0, 2.0)  # 2 to 8 November are seven days
    moments = report.source.blocks[0][1]
    assert moments.mean[:, 0, moments.columns.index("spend before")].tolist() == [10.0, 10.0]  # 25 to 31 October
    (note,) = report.notes
    assert "40 'purchase' events have no time and are on the day of a start" in note
    assert "neither side" in str(report)
    assert "neither side" in report._repr_html_()
    assert read(base_of(rows, tz=BERLIN), start="2026-11-01").notes == ()


def test_no_segment_sees_the_day_of_the_start():
    rows = [(k, "2026-11-01", 100.0) for k in range(0, N, 3)] + [(k, "2026-10-31", 100.0) for k in range(0, N, 4)]
    base = base_of(rows)
    for start in ("2026-11-01", "2026-11-01T00:00", "2026-11-01T12:00"):
        report = read(base, start=start, segments={"buyer": SPEND > 50})
        assert report.effect("spend", segment="yes").n_control + report.effect("spend", segment="yes").n_treatment == 10


def test_starts_may_be_mixed_and_of_any_kind():
    rows = [(k, f"2026-11-0{1 + k % 3}T10:00", 1.0 + k) for k in range(N)]
    base = base_of(rows, tz=BERLIN)
    texts = [f"2026-11-0{1 + k % 3}" for k in range(N)]
    wanted = read(base, start=texts, window=days(1))
    assert means(wanted) == (20.0, 21.0)
    stamps = pd.to_datetime(pd.Series(texts)).dt.tz_localize(BERLIN)
    mixed = [text if k % 2 else datetime(2026, 11, 1 + k % 3, tzinfo=ZoneInfo(BERLIN)) for k, text in enumerate(texts)]
    columns = [
        np.array(texts, "M8[D]"),
        np.array(texts, "M8[us]"),
        pd.Series(texts),
        stamps,
        pd.DatetimeIndex(stamps),
        pl.Series("start", stamps.dt.tz_convert("UTC").tolist()),
        pa.array(stamps.tolist()),
        mixed,
        dict(enumerate(mixed)),
        [pd.Timestamp(text) for text in texts],
    ]
    for column in columns:
        report = read(base, start=column, window=days(1))
        assert means(report) == means(wanted)
    some = read(base, start={k: mixed[k] for k in range(10)}, window=days(1))
    assert some.excluded == {"not started": 30}
    missing = read(base, start=[*mixed[:20], None, pd.NaT, np.datetime64("NaT", "us"), *mixed[23:]], window=days(1))
    assert missing.excluded == {"not started": 3}


def test_a_start_at_an_hour_that_there_was_twice_is_the_one_that_was_given():
    first, second = "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"
    base = base_of([(1, first, 20.0), (3, "2026-01-05T12:30Z", 1.0)], tz=BERLIN)
    assert means(read(base, start=first, window=hours(1)))[1] == 1.0
    assert means(read(base, start=second, window=hours(1)))[1] == 0.0
    starts = [second if k == 3 else first for k in range(N)]
    assert means(read(base, start=starts, window=hours(1)))[1] == 1.0


@pytest.mark.parametrize("bad", [5, "soon", "2026-13-01", ["2026-11-01"] * 39, None])
def test_what_is_no_start_is_refused(bad):
    with pytest.raises(InputError, match="start"):
        read(base_of([(1, "2026-11-01", 1.0)]), start=bad)


def test_windows_in_progress_are_left_out_and_counted():
    rows = [(k, "2026-11-02T10:00", 1.0 + 2.0 * (k % 2)) for k in range(N)]
    base = base_of(rows, until="2026-11-10")
    start = ["2026-11-01" if k < 30 else "2026-11-09" for k in range(N)]
    report = read(base, start=start)
    assert report.excluded == {"window in progress": 10}
    assert means(report) == (1.0, 3.0)
    check = next(check for check in report.checks if check.name == "window")
    assert check.passed
    assert check.statistic == 10
    said = "the windows of 10 people end later, the last one at 2026-11-16T00:00:00Z: they are left out"
    assert said in check.message
    assert any("the windows of 10 people are still in progress" in note for note in report.notes)
    assert "check failed" not in report.decide().reason


def test_where_nobodys_window_has_ended_the_check_fails_and_the_figures_are_said_to_be_of_a_part():
    base = base_of([(k, "2026-11-02T10:00", 1.0 + 2.0 * (k % 2)) for k in range(N)], until="2026-11-03")
    report = read(base, start="2026-11-01")
    assert report.excluded == {}
    assert means(report) == (1.0, 3.0)
    assert not next(check for check in report.checks if check.name == "window").passed
    assert any("nobody's window has ended" in note for note in report.notes)
    assert report.decide().action == "go on"


def test_a_window_of_days_has_ended_where_the_log_goes_on_into_its_last_day():
    rows = [(k, "2026-11-02", 1.0) for k in range(N)] + [(1, "2026-11-07", 1.0)]
    people, times, values = zip(*rows, strict=True)
    log = EventLog.from_columns(customer_id=people, type="purchase", time=list(times), value=list(values))
    for tz in ("UTC", BERLIN):
        base = CustomerBase(events=log, tz=tz)
        assert read(base, start="2026-11-01").checks[1].passed
        assert not read(base, start="2026-11-02").checks[1].passed
        assert read(base, start="2026-11-01T00:00").checks[1].passed


def test_a_cut_log_has_only_those_who_have_events_and_everyone_stays_in_the_base():
    base = base_of([(k, "2026-11-01", 1.0) for k in range(5)] + [(50, "2026-12-01", 1.0)])
    window, _, _ = window_after(starts_of(base, "2026-11-01"), days(7))
    found = cut(base, everyone_of(base), window)
    assert found.customer_id.tolist() == base.customer_id.tolist()
    assert found.events.customer_id.tolist() == [0, 1, 2, 3, 4]
    assert len(found.events) == 5
    assert len(found.events.without([3])) == 4
    assert found.events.take(np.ones(5, dtype=bool)).n_customers == 5


def test_a_rotating_holdout_takes_the_day_that_was_given_whatever_its_zone():
    holdout = Holdout(0.5, salt="u", period="month")
    test = Experiment("x", arms={"control": 0.5, "mail": 0.5}, holdout=holdout)
    base = base_of([(k, "2026-05-03T10:00", 1.0) for k in range(N)], tz=BERLIN)
    metric = Mean("spend", of=SPEND)
    held = int(holdout.members(base.customer_id, at="2026-05-01").sum())
    for start in ("2026-05-01", ["2026-05-01"] * N):
        assert test.read(base, start=start, window=days(7), metrics=[metric]).excluded == {"holdout": held}
    april = int(holdout.members(base.customer_id, at="2026-04-30T22:00Z").sum())
    report = test.read(base, start="2026-05-01T00:00", window=days(7), metrics=[metric])
    assert report.excluded == {"holdout": april}  # an instant is 22:00 of 30 April in the holdout's UTC


def test_recorded_arms_are_matched_by_customer_and_by_name():
    base = base_of([(k, "2026-11-02T10:00", 1.0 + 2.0 * (k % 2)) for k in range(N)])
    order = np.random.default_rng(1).permutation(N)[:30]
    recorded = Assignment.recorded(order, ARMS[order], {"mail": 0.5, "control": 0.5})
    report = read(base, start="2026-11-01", arms=recorded)
    assert means(report) == (1.0, 3.0)
    assert report.excluded == {"not recorded": 10}
    with pytest.raises(InputError, match="customer 99, whom the base does not have"):
        read(base, start="2026-11-01", arms=Assignment.recorded([99], ["mail"], {"mail": 0.5, "control": 0.5}))
    with pytest.raises(InputError, match="an arm 'post'"):
        read(base, start="2026-11-01", arms=Assignment.recorded([9], ["post"], {"post": 0.5, "control": 0.5}))


def test_a_stratified_assignment_stays_so_when_it_is_read():
    base = base_of([(k, "2026-11-02T10:00", 1.0 + k % 7) for k in range(N)])
    drawn = Assignment.recorded(np.arange(N), ARMS, {"control": 0.5, "mail": 0.5}, stratified=True)
    assert any("within strata" in note for note in read(base, start="2026-11-01", arms=drawn).notes)


def test_a_chain_is_read_with_dates_too():
    base = base_of([(k, "2026-11-01", 1.0) for k in range(N)], tz=BERLIN)
    chain = TriggerChain("w", steps=["a"], chain_control=0.3, step_control=0.4)
    report = chain.read(base, reached={"a": "2026-11-01"}, window=days(7), metrics=[Mean("spend", of=SPEND)])
    assert report.chain.effect("spend").treatment == 1.0
    assert report.steps["a"].effect("spend").treatment == 1.0


def test_an_exposure_on_the_day_of_the_assignment_is_not_before_it():
    when = ["2026-05-02T09:00Z", "2026-05-02T23:30Z", None]
    assert exposure_before_assignment(["2026-05-02"] * 3, when).passed
    late = exposure_before_assignment(["2026-05-03T10:00Z"] * 3, ["2026-05-03", "2026-05-02", None])
    assert late.statistic == 1
    assert exposure_before_assignment(["2026-05-03"], ["2026-05-02T23:00Z"], tz=BERLIN).passed
    assert not exposure_before_assignment(["2026-05-03"], ["2026-05-02T21:00Z"], tz=BERLIN).passed


def test_fields_are_taken_as_covariates_of_shares_too():
    base = base_of([(k, "2026-11-02T10:00", 1.0) for k in range(0, N, 2)])
    from relmark.experiments import Proportion

    metric = Proportion("bought", of=event("purchase").exists(), covariates=["age"])
    assert "age" in read(base, start="2026-11-01", metrics=[metric], segments={"old": field("age") > 20}).method[0]


def naive(rows, tz, starts, span, dated, back):
    """Return each person's sum from the start on (or before it) by plain Python: wall clocks and day numbers."""
    zone = ZoneInfo(tz)
    out = [0.0] * N
    for person, time, value in rows:
        start = starts[person]
        if dated:
            day = time.date() if isinstance(time, datetime) else time
            if isinstance(time, datetime):
                day = time.astimezone(zone).date()
            away = (day - start).days
            inside = -span <= away < 0 if back else 0 <= away < span
        else:
            length = timedelta(days=span)
            inside = start - length <= time < start if back else start <= time < start + length
        out[person] += value * inside
    return np.array(out)


@pytest.mark.parametrize("tz", ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("seed", range(6))
def test_a_reading_is_that_of_a_plain_loop(tz, seed):
    rng = np.random.default_rng(seed)
    zone = ZoneInfo(tz)
    dated, stamped, each = seed % 2 == 0, seed % 3 == 0 and seed % 2 == 0, seed > 2
    middle = datetime(2026, 10, 25, tzinfo=UTC) if seed % 2 else datetime(2026, 3, 29, tzinfo=UTC)
    rows = []
    for _ in range(600):
        at = middle + timedelta(hours=int(rng.integers(-600, 600)), minutes=int(rng.integers(0, 60)))
        time = at.astimezone(zone).date() if stamped else at
        rows.append((int(rng.integers(0, N)), time, float(rng.integers(1, 9))))
    if dated:
        starts = [(middle + timedelta(days=int(k))).date() for k in rng.integers(-5, 5, N)]
    else:
        starts = [middle + timedelta(hours=int(k)) for k in rng.integers(-90, 90, N)]
    if not each:
        starts = [starts[0]] * N
    base = base_of(rows, tz=tz)
    span = 1 + seed
    report = read(
        base,
        start=starts if each else starts[0],
        window=days(span),
        metrics=[Mean("spend", of=SPEND, before=days(span + 3))],
    )
    moments = report.source.blocks[0][1]
    for name, back, length in (("spend", False, span), ("spend before", True, span + 3)):
        wanted = naive(rows, tz, starts, length, dated, back)
        got = moments.mean[:, 0, moments.columns.index(name)]
        np.testing.assert_allclose(got, [wanted[ARMS == "control"].mean(), wanted[ARMS == "mail"].mean()])


def test_dates_of_a_base_are_its_own():
    assert starts_of(base_of([(1, "2026-11-01", 1.0)], tz=BERLIN), "2026-11-01").time[0] == instant(
        "2026-11-01T00:00+01:00"
    )
