"""Wall clocks against zoneinfo, one instant at a time: the slow obvious version of every conversion."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relmark.core.time import duration_text, instant, instant_text, instants, parse_duration
from relmark.core.zones import local_days, local_instants, local_midnights, to_local
from relmark.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US = timedelta(microseconds=1)
DAY = 86_400_000_000
# Summer times of both hemispheres, a skipped day, a month without summer time in summer, half and quarter hours, a
# midnight that is skipped, half an hour of summer time, changes a week apart, and none at all.
ZONES = (
    *("Europe/Berlin", "America/New_York", "Pacific/Apia", "Africa/Casablanca", "Asia/Kolkata", "Asia/Kathmandu"),
    *("America/Sao_Paulo", "Australia/Lord_Howe", "America/Recife", "Asia/Gaza", "Asia/Tokyo", "America/St_Johns"),
    *("Europe/Moscow", "Asia/Tehran", "Pacific/Kiritimati", "Africa/Cairo", "Europe/Dublin", "Antarctica/Troll"),
)
zones = st.sampled_from(ZONES)
moments = st.integers(-2_200_000_000, 4_000_000_000).map(lambda s: s * 1_000_000) | st.integers(
    instant("1900-01-02"), instant("2099-12-30")
)


def wall(utc: int, tz: str) -> int:
    """Return what the clock shows, by zoneinfo."""
    shown = (EPOCH + utc * US).astimezone(ZoneInfo(tz)).replace(tzinfo=None)
    return (shown - EPOCH.replace(tzinfo=None)) // US


def changes_near(utc: int, tz: str) -> list[int]:
    """Return instants around the changes of a zone in the year of an instant, to the second, found by halving."""
    zone, found = ZoneInfo(tz), []
    start = utc // 1_000_000
    for low in range(start, start + 366 * 86_400, 86_400):
        left, right = low, low + 86_400
        at = [(EPOCH + timedelta(seconds=s)).astimezone(zone).utcoffset() for s in (left, right)]
        if at[0] != at[1]:
            while right - left > 1:
                middle = (left + right) // 2
                same = (EPOCH + timedelta(seconds=middle)).astimezone(zone).utcoffset() == at[0]
                left, right = (middle, right) if same else (left, middle)
            found += [right * 1_000_000 + step for step in (-1, 0, 1, -1_800_000_000, 1_800_000_000, 3_600_000_000)]
    return found


@given(zones, st.lists(moments, min_size=1, max_size=8))
@example("Pacific/Apia", [instant("2011-12-30T09:59:59Z"), instant("2011-12-30T10:00:00Z")])
def test_the_wall_clock_is_the_one_that_zoneinfo_shows(tz, utc):
    shown = [wall(t, tz) for t in utc]
    assert to_local(np.array(utc), tz).tolist() == shown
    assert local_days(np.array(utc), tz).tolist() == [s // DAY for s in shown]


@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("year", [1945, 1986, 2000, 2011, 2018, 2024, 2045])
def test_around_each_change_of_a_zone_clocks_agree_and_come_back(tz, year):
    utc = np.array([instant(f"{year}-01-01"), *changes_near(instant(f"{year}-01-01"), tz)])
    local = to_local(utc, tz)
    assert local.tolist() == [wall(int(t), tz) for t in utc]
    back = local_instants(local, tz)
    assert (to_local(back, tz) == local).all()  # the same wall time
    assert (back <= utc).all()  # and the earlier instant where there are two
    later = datetime.fromisoformat  # the other of the two is the one that fold=1 means
    for t, b, shown in zip(utc.tolist(), back.tolist(), local.tolist(), strict=True):
        naive = later(str(np.datetime64(shown, "us")))
        meant = {(naive.replace(tzinfo=ZoneInfo(tz), fold=fold) - EPOCH) // US for fold in (0, 1)}
        assert t in meant
        assert b == min(m for m in meant if wall(m, tz) == shown)


@given(zones, st.dates(date(1900, 1, 2), date(2090, 1, 1)))
@example("Pacific/Apia", date(2011, 12, 30))
@example("America/Sao_Paulo", date(2018, 11, 4))
@example("Africa/Cairo", date(2024, 4, 26))
def test_a_day_begins_at_the_first_instant_that_is_not_before_it(tz, day):
    number = (day - date(1970, 1, 1)).days
    begin = int(local_midnights(np.array([number]), tz)[0])
    assert wall(begin, tz) // DAY >= number
    assert wall(begin - 1, tz) // DAY < number
    assert instant(day, tz=tz) == begin == instant(np.datetime64(day), tz=tz) == instant(day.isoformat(), tz=tz)
    assert instants("time", [day, day], tz=tz).tolist() == [begin, begin]
    assert instants("time", np.array([day, day, "NaT"], "M8[D]"), tz=tz, missing=True).tolist()[:2] == [begin, begin]


@given(zones, st.lists(moments, min_size=1, max_size=5))
def test_a_wall_time_that_exists_comes_back_and_one_that_does_not_is_refused(tz, local):
    for shown in local:
        naive = datetime(1970, 1, 1) + shown * US
        meant = [(naive.replace(tzinfo=ZoneInfo(tz), fold=fold) - EPOCH) // US for fold in (0, 1)]
        real = [m for m in meant if wall(m, tz) == shown]
        if real:
            assert local_instants(np.array([shown]), tz).tolist() == [min(real)]
        else:
            with pytest.raises(InputError, match=f"in row 1, which does not exist in {tz}"):
                instants("time", np.array([0, shown]).view("M8[us]"), tz=tz)


def test_dates_that_stand_for_never_do_not_make_years_of_tables():
    times = np.array(["0001-01-03", "2026-07-01", "9999-12-28"], "M8[us]").view(np.int64)
    assert to_local(times, "Europe/Berlin").tolist() == [wall(t, "Europe/Berlin") for t in times.tolist()]
    for end in ("0001-01-01", "9999-12-31"):
        assert np.datetime64(int(to_local(instants("t", np.array([end], "M8[us]")), "Asia/Tokyo")[0]), "us")


@given(st.integers(-(10**15), 10**15))
def test_a_duration_has_one_text_and_comes_back(n):
    value = n * US
    assert parse_duration(duration_text(value)) == value
    assert duration_text(parse_duration(duration_text(value))) == duration_text(value)


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from([UTC, ZoneInfo("Asia/Tokyo")]))
)
def test_an_instant_has_one_text_and_comes_back(value):
    number = instant(value)
    assert instant(instant_text(number)) == number
    assert instants("t", [value]).tolist() == [number]
    assert instants("t", np.array([instant_text(number)])).tolist() == [number]
