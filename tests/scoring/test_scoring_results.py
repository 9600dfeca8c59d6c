"""Results of segments and scores travel, stay read-only, and doors take what people hold."""

import copy
import pickle
from datetime import UTC, date, datetime

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, days, event, field
from relmark.core.results import Result
from relmark.errors import InputError
from relmark.scoring import Grade, Group, LeadScore, Rule, calibrate, half_life, suggest_points
from relmark.segmentation import Segment, SegmentSet

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
SCORE = LeadScore(
    name="x",
    rules=[
        Rule("visit", each=event("visit"), points=3, decay=half_life(days(30)), group="site"),
        Rule("adult", when=field("age") >= 18, points=8),
    ],
    groups=[Group("site", cap=5)],
    bands={"warm": 5},
    grades=Grade(site={"A": 2, "B": 0}),
)
BASE = CustomerBase(
    customers=CustomerTable.from_columns(customer_id=["a", "b", "c"], age=[20, None, 12]),
    events=EventLog.from_columns(customer_id=["a", "a", "b"], type="visit", time=["2026-10-01T00:00Z"] * 3),
)
SEGMENT = Segment("adults", (field("age") >= 18) & event("visit").exists())


def results():
    scores = SCORE.evaluate(BASE, as_of=AS_OF)
    members = SEGMENT.evaluate(BASE, as_of=AS_OF)
    whole = SegmentSet([SEGMENT, Segment("all", event("visit").exists())]).evaluate(BASE, as_of=AS_OF)
    outcome = [1, 0, 1]
    return [
        scores, SCORE.history(BASE, ["2026-10-10", "2026-11-01"]), SCORE.crossed(BASE, since="2026-10-01", as_of=AS_OF),
        calibrate(scores.total, outcome), calibrate(scores.total, outcome, bands=scores.band), members, whole,
        whole.waterfall, Segment.diff(members, members), SEGMENT.by_clause(BASE, as_of=AS_OF),
        SCORE.explain(BASE, "a", as_of=AS_OF), SEGMENT.explain(BASE, "a", as_of=AS_OF),
        SCORE.one(Customer("a", {"age": 20}), [Event("a", "visit", AS_OF)], as_of=AS_OF),
    ]  # fmt: skip


def arrays_of(value, seen=()):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Result):
        for name in value._field_names(private=True):
            yield from arrays_of(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from arrays_of(item)
    elif isinstance(value, tuple) and type(value) is tuple:
        for item in value:
            yield from arrays_of(item)


@pytest.mark.parametrize("result", results(), ids=lambda result: type(result).__name__)
@pytest.mark.parametrize("copied", [lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy, copy.copy])
def test_a_copy_says_the_same_and_is_as_read_only(result, copied):
    other = copied(result)
    assert type(other) is type(result)
    assert str(other) == str(result)
    assert other.to_dict() == result.to_dict()
    assert repr(other) == repr(result)
    assert not any(array.flags.writeable for array in arrays_of(other))


def test_an_explanation_of_a_score_travels_with_what_it_works_out_later():
    one = SCORE.explain(BASE, "a", as_of=AS_OF)
    other = pickle.loads(pickle.dumps(one))
    assert other.next_change == one.next_change
    assert other.next_band_change == one.next_band_change
    assert other.crossed("2026-09-01") == one.crossed("2026-09-01")
    assert len(pickle.dumps(one)) < 20_000  # the lead, and not the base


def test_results_say_what_was_seen_as_datetime64():
    scores = SCORE.evaluate(BASE, as_of=AS_OF)
    assert scores.as_of == np.datetime64("2026-11-01T00:00", "us")
    each = SCORE.evaluate(BASE, as_of=[AS_OF, AS_OF, AS_OF - days(1)])
    assert each.as_of.dtype == np.dtype("M8[us]")
    assert each.as_of[2] == np.datetime64("2026-10-31", "us")
    assert SCORE.explain(BASE, "a", as_of=AS_OF).as_of == scores.as_of
    assert SCORE.explain(BASE, "a", as_of="2026-11-01").as_of.dtype == np.dtype("M8[D]")


# Doors


def holders():
    values, outcome = [1.0, 5.0, 3.0, 9.0], [0, 1, 0, 1]
    yield values, outcome
    yield tuple(values), tuple(map(bool, outcome))
    yield np.array(values), np.array(outcome, dtype=bool)
    yield np.array(values, dtype=np.float32), np.array(outcome, dtype=np.int8)
    for name in ("pandas", "polars", "pyarrow"):
        try:
            frames = __import__(name)
        except ImportError:
            continue
        if name == "pyarrow":
            yield frames.array(values), frames.array(list(map(bool, outcome)))
            yield frames.chunked_array([values]), frames.chunked_array([outcome])
        else:
            yield frames.Series(values), frames.Series(outcome)
            yield frames.Series(values), frames.Series(list(map(bool, outcome)))
            if name == "pandas":
                yield (
                    frames.Series(values, index=[9, 8, 7, 6], dtype="Float64"),
                    frames.Series(outcome, dtype="boolean"),
                )


@pytest.mark.parametrize(
    "pair", list(holders()), ids=lambda pair: f"{type(pair[0]).__module__}.{type(pair[0]).__name__}"
)
def test_calibrate_takes_whatever_holds_a_column(pair):
    scores, outcome = pair
    found = calibrate(scores, outcome)
    assert found.auc == 1.0
    assert found.threshold_for_capacity(2) == 5.0


def test_calibrate_takes_the_scores_themselves_with_their_bands():
    scores = SCORE.evaluate(BASE, as_of=AS_OF)
    found = calibrate(scores, [1, 0, 0])
    assert found.to_dict() == calibrate(scores.total, [1, 0, 0], bands=scores.band).to_dict()
    assert found.bands is not None


@pytest.mark.long
@pytest.mark.parametrize(
    "call",
    [
        lambda: calibrate("abc", [1]),
        lambda: calibrate(None, [1]),
        lambda: calibrate({"a": 1}, [1]),
        lambda: calibrate([1, 2], None),
        lambda: calibrate([1, 2], "ab"),
        lambda: calibrate([1, 2], {"a": 1}),
        lambda: calibrate([1, None], [0, 1]),
        lambda: calibrate([1, 2], [0, None]),
        lambda: calibrate([[1], [2]], [0, 1]),
        lambda: calibrate(SCORE, [1, 0]),
        lambda: calibrate(BASE, [1, 0]),
        lambda: calibrate([1, 2], [date(2026, 1, 1)] * 2),
        lambda: calibrate(SEGMENT.evaluate(BASE, as_of=AS_OF), [1, 0, 1]),
        lambda: calibrate(iter([1, 2]), [0, 1]),
        lambda: SCORE.evaluate(None, as_of=AS_OF),
        lambda: SCORE.evaluate({"a": [1]}, as_of=AS_OF),
        lambda: SCORE.evaluate(BASE.events, as_of=AS_OF),
        lambda: SCORE.evaluate(BASE, as_of=None),
        lambda: SCORE.evaluate(BASE, as_of=5),
        lambda: SCORE.explain(None, "a", as_of=AS_OF),
        lambda: SCORE.one({"age": 3}, [], as_of=AS_OF),
        lambda: SCORE.one(None, None, as_of=AS_OF),
        lambda: SCORE.one(None, [{"type": "visit"}], as_of=AS_OF),
        lambda: SCORE.one(None, Event("a", "visit", AS_OF), as_of=AS_OF),
        lambda: SCORE.history(BASE, None),
        lambda: SCORE.history(BASE, AS_OF),
        lambda: SCORE.history(BASE.events, [AS_OF]),
        lambda: SCORE.compare(None, BASE, as_of=AS_OF),
        lambda: SCORE.crossed(BASE.events, since=AS_OF, as_of=AS_OF),
        lambda: suggest_points(None, BASE, [1, 0, 1], as_of=AS_OF),
        lambda: suggest_points(SCORE, None, [1, 0, 1], as_of=AS_OF),
        lambda: suggest_points(SCORE, BASE, None, as_of=AS_OF),
        lambda: SEGMENT.evaluate(None, as_of=AS_OF),
        lambda: SEGMENT.evaluate(BASE.events, as_of=AS_OF),
        lambda: SEGMENT.evaluate({"age": [1]}, as_of=AS_OF),
        lambda: SEGMENT.explain(BASE.customers, "a", as_of=AS_OF),
        lambda: SEGMENT.explain(BASE, None, as_of=AS_OF),
        lambda: SEGMENT.by_clause(None, as_of=AS_OF),
        lambda: SEGMENT.one("a", [], as_of=AS_OF),
        lambda: SEGMENT.one(None, 5, as_of=AS_OF),
        lambda: Segment.diff(None, None),
        lambda: Segment.from_json(None),
        lambda: Segment.from_dict(None),
        lambda: Segment.from_dict([1]),
        lambda: LeadScore.from_dict("x"),
        lambda: SegmentSet([SEGMENT]).evaluate(None, as_of=AS_OF),
        lambda: SegmentSet(None),
        lambda: SegmentSet("ab"),
        lambda: SegmentSet([SEGMENT]).one(None, None, as_of=AS_OF),
        lambda: SegmentSet([SEGMENT]).explain(None, "a", as_of=AS_OF),
        lambda: SCORE.problems(None),
        lambda: SEGMENT.problems({"age": float}),
        lambda: SEGMENT.rule.problems(None),
        lambda: SEGMENT.rule.measure(None, AS_OF),
        lambda: SEGMENT.rule.measure(BASE.events, AS_OF),
        lambda: Segment.check("{}", schema={"age": float}),
        lambda: SCORE.evaluate(BASE, as_of=AS_OF).top(-1),
        lambda: SCORE.evaluate(BASE, as_of=AS_OF).top("x"),
    ],
)
def test_what_a_door_does_not_take_is_an_error_that_says_so(call):
    with pytest.raises(InputError) as raised:
        call()
    assert len(str(raised.value)) > 15
