"""Laws: moments merge over any partition, intervals are ordered, assignment is stable, adjustments are monotone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, CustomerTable, EventLog, calendar_days, days, event
from relmark.experiments import (
    Experiment,
    Holdout,
    Layer,
    Mean,
    Moments,
    Proportion,
    analyze,
    hash_fraction,
    newcombe_interval,
)
from relmark.experiments.intervals import agresti_caffo_interval, miettinen_nurminen_interval
from relmark.experiments.multiplicity import adjusted_p_values

rows = st.lists(
    st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=60
)
SEGMENTS = ("n", "e", "s", "w")


def moments_of(data, shift=0.0):
    x, y, arm, segment = (np.array(column) for column in zip(*data, strict=True))
    labels = np.array(SEGMENTS)[segment]
    return Moments.from_columns({"x": x + shift, "y": y - shift}, arm.astype(np.int64), segment=labels, third=True)


def spread_out(moments):
    """Return count, mean and scatter with every arm and segment in one fixed order."""
    return moments._spread(("0", "1", "2"), SEGMENTS)


def assert_same(left, right, scale=1.0):
    for a, b, size in zip(spread_out(left), spread_out(right), (1.0, scale, scale**2, 1e3 * scale**2), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-7 * size)


@given(rows, st.integers(0, 60))
def test_moments_of_two_parts_add_up_to_those_of_the_whole(data, cut):
    cut = cut % len(data)
    if cut == 0:
        return
    assert_same(moments_of(data[:cut]) + moments_of(data[cut:]), moments_of(data), 1e1)


@given(rows, rows, rows)
def test_adding_moments_is_associative_and_commutative(a, b, c):
    x, y, z = moments_of(a), moments_of(b), moments_of(c)
    assert_same((x + y) + z, x + (y + z), 1e1)
    assert_same(x + y, y + x, 1e1)


@given(rows)
def test_an_offset_of_a_billion_leaves_the_scatter_as_it_was(data):
    data = [(round(x), round(y), arm, segment) for x, y, arm, segment in data]  # exact with and without the offset
    near, far = moments_of(data), moments_of(data, shift=1e9)
    np.testing.assert_allclose(spread_out(far)[2], spread_out(near)[2], rtol=1e-6, atol=1e-4)


@given(rows)
def test_the_total_over_segments_is_the_moments_without_segments(data):
    x, y, arm, _ = (np.array(column) for column in zip(*data, strict=True))
    plain = Moments.from_columns({"x": x, "y": y}, arm.astype(np.int64))
    total = moments_of(data).total()
    np.testing.assert_allclose(total.count, plain.count)
    np.testing.assert_allclose(total.mean, plain.mean, atol=1e-9)
    np.testing.assert_allclose(total.scatter, plain.scatter, rtol=1e-8, atol=1e-5)


@given(rows)
def test_moments_are_those_of_numpy(data):
    x, y, arm, segment = (np.array(column) for column in zip(*data, strict=True))
    moments = moments_of(data)
    for a, name in enumerate(moments.arms):
        for s, label in enumerate(moments.segments):
            here = (arm == int(name)) & (segment == SEGMENTS.index(label))
            assert moments.count[a, s] == here.sum()
            if here.sum() > 1:
                assert moments.mean[a, s] == pytest.approx([x[here].mean(), y[here].mean()], abs=1e-8)
                np.testing.assert_allclose(moments.covariance()[a, s], np.cov(x[here], y[here]), rtol=1e-7, atol=1e-5)


counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, counts, st.sampled_from([newcombe_interval, miettinen_nurminen_interval, agresti_caffo_interval]))
def test_intervals_of_a_difference_turn_round_with_the_groups(first, second, interval):
    here, there = interval(*first, *second), interval(*second, *first)
    assert here.low == pytest.approx(-there.high, abs=1e-9)
    assert -1 - 1e-12 <= here.low <= here.high <= 1 + 1e-12
    narrow = interval(*first, *second, level=0.8)
    assert here.low <= narrow.low + 1e-12
    assert narrow.high <= here.high + 1e-12


@given(counts, counts, st.sampled_from([newcombe_interval, miettinen_nurminen_interval]))
def test_score_intervals_hold_the_difference_that_was_seen(first, second, interval):
    d = first[0] / first[1] - second[0] / second[1]
    found = interval(*first, *second)
    assert found.low - 1e-9 <= d <= found.high + 1e-9


@given(
    st.lists(st.one_of(st.integers(), st.integers(-(2**60), 2**60)), min_size=1, max_size=20),
    st.floats(0.05, 1.0),
    st.floats(0.05, 1.0),
)
def test_ramping_up_moves_nobody_from_an_arm(ids, one, other):
    ids = [i % 2**62 for i in ids]
    low, high = sorted((one, other))
    arms = {"control": 0.2, "a": 0.3, "b": 0.5}
    before = Experiment("ramp", arms=arms, coverage=low).assign(ids)
    after = Experiment("ramp", arms=arms, coverage=high).assign(ids)
    inside = before.code >= 0
    assert (after.code[inside] == before.code[inside]).all()


def slow_fnv(text):
    value = 2166136261
    data = text.encode("utf-16-le")
    for low, high in zip(data[::2], data[1::2], strict=True):
        value = ((value ^ (low + 256 * high)) * 16777619) % 2**32
    return value


@given(
    st.lists(st.text(min_size=1, max_size=12).filter(lambda s: "\0" not in s), min_size=1, max_size=8),
    st.text(max_size=8),
)
def test_the_hash_is_that_of_a_slow_loop(ids, seed):
    try:
        "".join([*ids, seed]).encode()
    except UnicodeEncodeError:
        return
    if "\0" in seed:
        return
    expected = [slow_fnv(str(slow_fnv(seed + one))) % 10_000 / 10_000 for one in ids]
    assert hash_fraction(ids, seed).tolist() == expected


@given(
    st.one_of(
        st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=9),
        st.lists(
            st.text(min_size=1, max_size=9).filter(lambda s: "\0" not in s and s.isprintable()), min_size=1, max_size=9
        ),
    ),
    st.floats(0.05, 1.0),
    st.sampled_from(["growthbook", "growthbook-1", "sha256"]),
)
def test_one_customer_gets_the_arm_that_the_list_gives(ids, coverage, hash):
    test = Experiment(
        "one",
        arms={"control": 0.2, "a": 0.3, "b": 0.5},
        coverage=coverage,
        hash=hash,
        layer=Layer("l", shares={"zero": 0.3, "one": 0.6}),
        holdout=Holdout(0.2, salt="h", period="month"),
    )
    assert [test.arm_of(one, at="2026-05-05") or "" for one in ids] == test.assign(ids, at="2026-05-05").arm.tolist()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["holm", "benjamini-hochberg"]))
def test_adjusted_p_values_grow_and_keep_their_order(p, method):
    adjusted = adjusted_p_values(p, method=method)
    order = np.argsort(p, kind="stable")
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[order]) >= 0).all()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100), st.integers(0, 1)), min_size=8, max_size=50), st.randoms())
def test_a_shuffle_of_the_rows_changes_no_effect(data, random):
    if len({arm for _, _, arm in data}) < 2:
        return
    metrics = [Proportion("yes"), Mean("spend")]

    def report(rows_):
        yes, spend, arm = (np.array(column) for column in zip(*rows_, strict=True))
        return analyze({"yes": yes, "spend": spend}, arm, metrics=metrics, control=0)

    here = report(data)
    mixed = list(data)
    random.shuffle(mixed)
    there = report(mixed)
    for name in ("control", "treatment", "difference_low", "difference_high"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), rtol=1e-6, atol=1e-6)


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
MIDDLE = datetime(2026, 10, 25, tzinfo=UTC)


@given(
    hours=st.lists(st.integers(-400, 400), min_size=1, max_size=40),
    starts=st.lists(st.integers(-80, 80), min_size=6, max_size=6),
    dated=st.lists(st.booleans(), min_size=6, max_size=6),
    stamped=st.booleans(),
    length=st.integers(1, 9),
    tz=st.sampled_from(ZONES),
    calendar=st.booleans(),
)
def test_a_reading_of_dates_and_instants_is_that_of_a_plain_loop(hours, starts, dated, stamped, length, tz, calendar):
    zone = ZoneInfo(tz)
    times = [(MIDDLE + timedelta(hours=h, minutes=7 * (h % 5))).astimezone(zone) for h in hours]
    given_times = [time.date() for time in times] if stamped else times
    begins = [(MIDDLE + timedelta(hours=h)).astimezone(zone) for h in starts]
    start = [at.date() if is_date else at for at, is_date in zip(begins, dated, strict=True)]
    people = [k % 6 for k in range(len(hours))]
    log = EventLog.from_columns(customer_id=people, type="purchase", time=given_times, value=[1.0] * len(hours))
    end = EventLog.from_columns(customer_id=[0], type="visit", time=["2027-06-01T00:30Z"])
    table = CustomerTable.from_columns(customer_id=np.arange(6))
    base = CustomerBase(customers=table, events=log.append(end), tz=tz)
    report = Experiment("x", arms={"control": 0.5, "mail": 0.5}).read(
        base,
        start=start,
        window=calendar_days(length) if calendar else days(length),
        metrics=[Mean("spend", of=event("purchase").sum(), before=days(length))],
        arms=["control", "mail"] * 3,
    )
    after, before = np.zeros(6), np.zeros(6)
    for person, time, given_time in zip(people, times, given_times, strict=True):
        at, day = begins[person], begins[person].date()
        of_day = (given_time if stamped else time.date()) - day
        if stamped and not dated[person] and (at.hour or at.minute):
            after[person] += 1 <= of_day.days <= length
            before[person] += -length <= of_day.days < 0
        elif stamped or dated[person]:
            after[person] += 0 <= of_day.days < length
            before[person] += -length <= of_day.days < 0
        else:
            utc, wall = at.astimezone(UTC), at.replace(tzinfo=None)
            last = utc + timedelta(days=length)
            if calendar:
                moved = (wall + timedelta(days=length)).replace(tzinfo=zone, fold=0)
                last = moved.astimezone(UTC)
            after[person] += utc <= time.astimezone(UTC) < last
            before[person] += utc - timedelta(days=length) <= time.astimezone(UTC) < utc
    moments = report.source.blocks[0][1]
    for name, wanted in (("spend", after), ("spend before", before)):
        found = moments.mean[:, 0, moments.columns.index(name)]
        np.testing.assert_allclose(found, [wanted[::2].mean(), wanted[1::2].mean()])
