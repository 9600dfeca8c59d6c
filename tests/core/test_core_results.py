"""Results, tables and figures with intervals: how they print, their JSON, and that nothing writes to them."""

from __future__ import annotations

import copy
import json
import math
import pickle
from datetime import UTC, date, datetime, timedelta

import attrs
import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, Estimate, EventLog, Interval
from relmark.core.formats import format_number, format_value, html_table, text_table
from relmark.core.results import ColumnarResult, Result, Rows, json_ready
from relmark.errors import InputError

HOSTILE = "<script>alert('x')</script>&\""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class People(ColumnarResult):
    customer_id: np.ndarray
    score: np.ndarray
    shares: np.ndarray
    levels: np.ndarray
    unit: str = "week"
    note: str | None = None
    masks: dict = attrs.field(factory=dict)
    _kept: np.ndarray | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Figure(Result):
    name: str
    value: float
    counts: dict = attrs.field(factory=dict)
    inner: Result | None = None


def people(n=3):
    return People(
        customer_id=np.arange(n),
        score=np.linspace(0.0, 1.0, n),
        shares=np.ones((n, 2)),
        levels=np.zeros(n + 1),
        masks={"a": np.ones(n, dtype=bool), "b": 1},
        kept=np.zeros(n),
    )


def test_arrays_of_a_result_are_read_only_and_the_callers_stay_his():
    ids = np.arange(3)
    result = People(
        customer_id=ids, score=ids * 1.0, shares=np.ones((3, 2)), levels=ids, masks={"a": ids > 1}, kept=ids
    )
    for array in (result.customer_id, result.shares, result.masks["a"], result._kept):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert ids.flags.writeable
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        result.unit = "day"


def test_columns_are_the_aligned_arrays_and_a_matrix_becomes_several():
    columns = people().to_columns()
    assert list(columns) == ["customer_id", "score", "shares_0", "shares_1"]
    assert len(people(7)) == 7
    assert len(People(customer_id=np.array(5), score=np.array(1.0), shares=np.array(2.0), levels=np.array(1))) == 0


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_result_becomes_a_frame(backend):
    frame = people().to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    assert frame.shape == (3, 4)


def test_an_unknown_backend_is_refused():
    with pytest.raises(InputError, match=r"backend is 'polar': it must be one of .* Did you mean 'polars'"):
        people().to_frame("polar")


def test_a_result_prints_in_a_line_and_as_a_table():
    assert repr(people()) == "People(rows=3, unit=week, columns=customer_id score shares_0 shares_1)"
    assert str(people()).splitlines()[0].split() == ["customer_id", "score", "shares_0", "shares_1"]
    figure = Figure(name="open rate", value=0.25, counts={"sent": 1200}, inner=Figure(name="x", value=1.0))
    assert repr(figure) == (
        "Figure(name=open rate, value=0.25, counts={sent: 1,200}, inner=Figure(name=x, value=1, counts={}, inner=))"
    )
    assert "open rate" in str(figure)
    long = Figure(name="x" * 200, value=1.0, counts={str(k): k for k in range(20)})
    assert "..." in repr(long)
    assert len(repr(long)) < 300


def test_columns_and_rows_are_chosen_by_name_slice_mask_and_number():
    result = people(5)
    assert result["score"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert result[1:3]["customer_id"].tolist() == [1, 2]
    assert result[result["score"] > 0.6]["customer_id"].tolist() == [3, 4]
    assert result[np.array([4, 0])]["customer_id"].tolist() == [4, 0]
    assert result[[]]["customer_id"].tolist() == []
    assert result[["customer_id", "score"]].keys() == ["customer_id", "score"]
    assert len(result.head(2)) == 2
    assert len(result.head(50)) == 5
    assert repr(result.head(2)) == "People(2 rows: customer_id, score, shares_0, shares_1)"
    with pytest.raises(KeyError, match=r"no column 'scor': it has .* Did you mean 'score'"):
        result["scor"]
    with pytest.raises(InputError, match="the mask has 2 rows and the other columns have 5"):
        result[np.array([True, False])]
    with pytest.raises(InputError, match="key has the row number 9: the result has 5 rows"):
        result[np.array([9])]
    for bad in (3, 1.5, None, (0, 1.5), [True, "a"]):
        with pytest.raises(InputError, match="the name of a column, a list of names, a slice"):
            result[bad]


def test_rows_are_ranked_by_a_stable_rule_with_missing_ones_last():
    rows = Rows(
        columns={
            "customer_id": np.array([1, 2, 3, 4]),
            "value": np.array([5.0, np.nan, 9.0, 5.0]),
            "name": np.array(["b", None, "a", "b"], dtype=object),
            "day": np.array(["2026-01-02", "NaT", "2026-01-01", "2026-01-02"], "M8[D]"),
            "vip": np.array([True, False, True, False]),
            "city": np.array(["x", "y", "x", "a"]),
        }
    )
    ids = lambda found: found["customer_id"].tolist()
    assert ids(rows.sort_by("value")) == [1, 4, 3, 2]
    assert ids(rows.sort_by("value", descending=True)) == [3, 1, 4, 2]
    assert ids(rows.sort_by("name")) == [3, 1, 4, 2]
    assert ids(rows.sort_by("day", descending=True)) == [1, 4, 3, 2]
    assert ids(rows.sort_by("vip")) == [2, 4, 1, 3]
    assert ids(rows.sort_by("city")) == [4, 1, 3, 2]
    assert ids(rows.top(2, by="value")) == [3, 1]
    assert ids(rows.top(0, by="value")) == []
    for given in (range(2), 3, ["value"], slice(1), np.arange(2)):
        with pytest.raises(InputError, match=r"by is .*the name of a column is needed, one of 'customer_id'"):
            rows.top(2, by=given)
        with pytest.raises(InputError, match=r"column is .*the name of a column is needed"):
            rows.sort_by(given)
    with pytest.raises(InputError, match="no column ''"):
        rows.top(2, by="")
    with pytest.raises(InputError, match=r"by is missing: name a column, as in top\(by=...\); there are 'customer_id'"):
        rows.top(2)
    rng = np.random.default_rng(3)
    many = Rows(columns={"customer_id": np.arange(1_000), "value": rng.integers(0, 40, 1_000).astype(float)})
    assert ids(many.top(30, by="value")) == ids(many.sort_by("value", descending=True))[:30]
    assert dict(rows.items()).keys() == set(rows) == set(rows.keys())
    assert "value" in rows
    assert rows.to_dict()["value"] == [5.0, None, 9.0, 5.0]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Ranked(People):
    _shown_by = "score"

    def _lines(self):
        return ["check: nothing <amiss>"]


def test_a_table_of_customers_begins_with_the_largest_and_says_its_notes_in_both_outputs():
    plain = people(30)
    result = Ranked(**{name: getattr(plain, name) for name in ("customer_id", "score", "shares", "levels")})
    printed, shown = str(result).splitlines(), result._repr_html_()
    assert printed[2].split()[0] == "29"
    assert printed[-2:] == ["... 10 more rows", "check: nothing <amiss>"]
    assert "10 more rows" in shown
    assert "<p>check: nothing &lt;amiss&gt;</p>" in shown
    assert "columns=" not in shown
    assert 'text-align: right">29<' in shown
    assert result.top(1)["customer_id"].tolist() == [29]


def test_a_wide_table_is_folded_and_each_part_begins_with_the_first_column():
    table = text_table({"name": ["a", "b"], **{f"column_{k}": [k, 10 * k] for k in range(20)}}, width=60)
    parts = table.split("\n\n")
    assert len(parts) == 4
    assert all(part.startswith("name") for part in parts)
    assert max(map(len, table.splitlines())) <= 60
    assert "column_19" in parts[-1]


def test_what_was_pickled_or_copied_cannot_be_written_to_either():
    log = EventLog.from_columns(customer_id=["a"], type="visit", time=["2026-01-01"], properties={"page": ["x"]})
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=["a"], age=[3]), events=log)
    for made in (pickle.loads(pickle.dumps(base)), copy.deepcopy(base)):
        part = made.events.partition("visit")
        arrays = [
            made.customer_id,
            part.time,
            part.code,
            part.properties["page"].data,
            made.customers.columns["age"].data,
        ]
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = array[0]
        assert made.events.to_columns()["page"].tolist() == ["x"]
        assert made.tz == "UTC"
    result = pickle.loads(pickle.dumps(people()))
    with pytest.raises(ValueError, match="read-only"):
        result.score[0] = 1.0


def test_html_is_escaped_everywhere():
    figure = Figure(name=HOSTILE, value=1.0, counts={HOSTILE: HOSTILE})
    table = html_table({HOSTILE: [HOSTILE]}, caption=HOSTILE)
    for text in (figure._repr_html_(), table, people()._repr_html_()):
        assert "<script" not in text
    assert "&lt;script&gt;" in table
    assert "<tfoot>" in html_table({"a": list(range(30))})


def test_json_has_neither_nan_nor_infinity_nor_numpy():
    figure = Figure(name="x", value=math.nan, counts={"a": np.int64(3), "b": np.array([1.0, math.inf]), "c": {2, 1}})
    assert json.loads(figure.to_json()) == {
        "name": "x",
        "value": None,
        "counts": {"a": 3, "b": [1.0, "Infinity"], "c": [1, 2]},
        "inner": None,
    }
    assert "kept" not in people().to_dict()
    assert people().to_dict()["shares"] == [[1.0, 1.0]] * 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1.5, math.nan]), [1.5, None]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([True]), [True]),
        (np.float32(0.5), 0.5),
        (-math.inf, "-Infinity"),
        (np.datetime64("2026-11-01"), "2026-11-01"),
        (np.datetime64("2026-11"), "2026-11"),
        (np.datetime64("2026-11-01T09:30", "s"), "2026-11-01T09:30:00Z"),
        (np.datetime64("2026-11-01T09:30:00.5", "us"), "2026-11-01T09:30:00.500000Z"),
        (np.datetime64("NaT", "us"), None),
        (date(2026, 11, 1), "2026-11-01"),
        (datetime(2026, 11, 1, tzinfo=UTC), "2026-11-01T00:00:00+00:00"),
        (timedelta(days=1.5), "P1DT12H"),
        (np.timedelta64(90, "m"), "PT1H30M"),
        (Estimate(0.2), {"value": 0.2, "interval": None, "reason": ""}),
        ({1: (None, "x")}, {"1": [None, "x"]}),
    ],
)
def test_json_ready(value, expected):
    assert json_ready(value) == expected
    json.dumps(json_ready(value), allow_nan=False)


def test_what_has_no_json_form_is_refused():
    with pytest.raises(InputError, match="a object cannot be written as JSON"):
        json_ready(object())


def test_a_result_comes_back_from_a_pickle_read_only():
    again = pickle.loads(pickle.dumps(people()))
    assert again.to_dict() == people().to_dict()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1_234_567, "1,234,567"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (math.inf, "inf"),
        (1e16, "1.000e+16"),
        (1e-9, "1.000e-09"),
        (3.0, "3"),
        (12_345.6, "12,346"),
        (1.23456, "1.235"),
        (-0.5, "-0.5"),
    ],
)
def test_numbers_have_about_four_digits(value, text):
    assert format_number(value) == text


def test_cells():
    assert format_value(None) == ""
    assert format_value(np.bool_(True)) == "yes"
    assert format_value(False) == "no"
    assert format_value(np.datetime64("2026-01-02T00:00:00.000000")) == "2026-01-02"
    assert format_value(np.datetime64("2026-01-02T03:04:05", "us")) == "2026-01-02 03:04:05"
    assert format_value(np.zeros((2, 3))) == "float64[2, 3]"
    table = text_table({"name": ["a", "bb"], "n": [1, 2_000]}, rows=1, title="T")
    assert table.splitlines() == ["T", "name  n", "----  -", "a     1", "... 1 more rows"]
    assert text_table({}) == "\n"


def test_an_interval_knows_what_it_holds():
    interval = Interval(0.1, 0.3, 0.9, "Wilson")
    assert 0.2 in interval
    assert np.float32(0.2) in interval
    assert np.int64(1) not in interval
    assert "x" not in interval
    assert interval.width == pytest.approx(0.2)
    assert repr(interval) == "[0.1, 0.3] (90 %, Wilson)"
    assert Interval(-math.inf, math.nan).to_dict() == {"low": "-Infinity", "high": None, "level": 0.95, "method": ""}


def test_an_estimate_is_its_figure_and_says_why_it_has_none():
    estimate = Estimate(0.2, Interval(0.1, 0.3))
    assert (float(estimate), estimate.low, estimate.high) == (0.2, 0.1, 0.3)
    assert repr(estimate) == "0.2 [0.1, 0.3] (95 %)"
    none = Estimate(math.nan, reason="nobody was asked")
    assert repr(none) == "nan (nobody was asked)"
    assert math.isnan(none.low)
    assert math.isnan(none.high)
    assert none.to_dict() == {"value": None, "interval": None, "reason": "nobody was asked"}
    assert estimate.to_dict()["interval"]["high"] == 0.3
