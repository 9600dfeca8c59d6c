import numpy as np
import pytest

from relmark import days
from relmark.attribution import Journeys
from relmark.errors import InputError

J = Journeys.from_paths(
    ["a > b > a", "b", "a > b", "b > c", ""],
    conversions=[2, 3, 1, 0, 4],
    value=[20, 30, 10, 0, 8],
    nulls=[0, 1, 0, 5, 0],
    on_empty="drop",
)
EMPTY = Journeys.from_paths([])
NULLS = Journeys.from_paths(["a > b", "b"], conversions=[0, 0], nulls=[1, 2])


def same(found, expected):
    np.testing.assert_allclose(found, expected, equal_nan=True)


def test_path_lengths_of_converting_and_other_journeys():
    report = J.path_lengths()
    assert report.length.tolist() == [0, 1, 2, 3]
    same(report.conversions, [4, 3, 1, 2])
    same(report.nulls, [0, 1, 5, 0])
    same(report.value, [8, 30, 10, 20])
    same(report.rate, [1, 0.75, 1 / 6, 1])
    assert report.mean_converting == pytest.approx((3 + 2 + 6) / 10)
    assert report.mean_other == pytest.approx(11 / 6)
    assert np.isnan(NULLS.path_lengths().mean_converting)
    assert np.isnan(NULLS.path_lengths().value).all()


def test_touches_to_conversion():
    report = J.touches_to_conversion()
    assert report.touches.tolist() == [1, 2, 3]
    same(report.conversions, [3, 1, 2])
    same(report.running_share, [3 / 6, 4 / 6, 1])
    assert [report.quantile(q) for q in (0, 0.5, 0.51, 1)] == [1.0, 1.0, 2.0, 3.0]
    assert np.isnan(NULLS.touches_to_conversion().quantile(0.5))
    with pytest.raises(InputError, match="q is"):
        report.quantile(1.5)


def test_time_lags_of_converting_and_other_journeys():
    day = 86_400_000_000
    j = Journeys(
        codes=[0, 0, 0, 0],
        offsets=[0, 2, 3, 4, 4],
        channels=["a"],
        conversions=[1, 0, 2, 9],
        nulls=[0, 3, 0, 0],
        times=np.array([0, 1, 0, 0]) * day,
        ends=np.array([10, 0, 1, 1]) * day,
    )
    report = j.time_lags([days(1), days(7)])
    same(report.from_days, [0, 1, 7])
    same(report.to_days, [1, 7, np.inf])
    same(report.conversions, [0, 2, 1])
    same(report.nulls, [3, 0, 0])
    assert report.mean_days_converting == pytest.approx(4.0)
    assert report.mean_days_other == 0.0
    assert len(j.time_lags()) == 10
    with pytest.raises(InputError, match="from_events"):
        J.time_lags()
    with pytest.raises(InputError, match="ascend"):
        j.time_lags([days(2), days(1)])


def test_assists():
    report = J.assists()
    assert report.channel.tolist() == ["a", "b", "c"]
    same(report.assisted, [3, 2, 0])
    same(report.first, [3, 3, 0])
    same(report.last, [2, 4, 0])
    same(report.assisted_to_last, [1.5, 0.5, np.nan])
    same(report.assisted_value, [30, 20, 0])
    same(report.last_value, [20, 40, 0])
    assert report.assisted_share == 0.5
    assert np.isnan(NULLS.assists().assisted_share)
    assert np.isnan(NULLS.assists().assisted_value).all()


def test_positions():
    report = J.positions()
    same(report.only, [0, 3, 0])
    same(report.first, [3, 0, 0])
    same(report.middle, [0, 2, 0])
    same(report.last, [2, 1, 0])
    same(report.mean_position, [2 / 5, 2 / 3, np.nan])


def test_top_paths():
    report = J.top_paths(3)
    assert report.path.tolist() == ["(no touch)", "b", "a > b > a"]
    same(report.share, [0.4, 0.3, 0.2])
    same(report.rate, [1, 0.75, 1])
    same(report.value, [8, 30, 20])
    assert np.isnan(NULLS.top_paths(5).share).all()
    assert np.isnan(NULLS.top_paths(5).value).all()
    with pytest.raises(InputError, match="n is 0"):
        J.top_paths(0)


def test_overlap():
    report = J.overlap()
    same(report.matrix, [[3, 3, 0], [3, 6, 0], [0, 0, 0]])
    same(report.share, [[1, 1, 0], [0.5, 1, 0], [np.nan] * 3])
    same(report.jaccard[0], [1, 0.5, 0])
    assert np.isnan(report.jaccard[2, 2])
    assert repr(report) == "Overlap(channels=3)"
    assert "a" in str(report)


def test_first_and_last():
    report = J.first_and_last()
    same(report.matrix, [[2, 1, 0], [0, 3, 0], [0, 0, 0]])
    assert repr(report) == "FirstAndLast(channels=3, conversions=6)"
    assert "first" in str(report)


def test_channel_sets():
    report = J.channel_sets()
    assert report.channels.tolist() == ["", "a + b", "b", "b + c"]
    assert report.size.tolist() == [0, 2, 1, 2]
    same(report.conversions, [4, 3, 3, 0])
    same(report.value, [8, 30, 30, 0])
    same(report.rate, [1, 1, 0.75, 0])
    assert np.isnan(NULLS.channel_sets().value).all()


@pytest.mark.parametrize(
    "report",
    [
        "path_lengths",
        "touches_to_conversion",
        "assists",
        "positions",
        "top_paths",
        "overlap",
        "first_and_last",
        "channel_sets",
    ],
)
def test_reports_of_no_journeys_are_empty(report):
    found = getattr(EMPTY, report)()
    assert "0" in repr(found)
    assert isinstance(found.to_dict(), dict)
