"""Scores and sets as plans of engines: the numbers of numpy, in one pass; what stays behind is named by its path."""

from __future__ import annotations

import random
import runpy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, days, engines, event, field, prop, sample
from relmark.errors import DefinitionError, InputError
from relmark.scoring import ByValue, Grade, Group, LeadScore, Rule, Tiers, half_life, step_decay
from relmark.segmentation import Segment, SegmentSet

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
COMPILE = runpy.run_path(str(Path(__file__).parent / "test_engines_compile.py"))
LAWS, NAMES = COMPILE["LAWS"], COMPILE["NAMES"]


def on_polars(definition, people, happened, **more):
    found = engines.evaluate(definition, events=happened.lazy(), customers=people.lazy(), columns=NAMES, **more)
    return found.collect().to_dicts()


def on_duckdb(definition, people, happened, **more):
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for name, frame in {"happened": happened, "people": people}.items():
        connection.register(name, frame.to_arrow())
    tables = [connection.sql(f"select * from {name}") for name in ("happened", "people")]
    return engines.evaluate(definition, events=tables[0], customers=tables[1], columns=NAMES, **more).pl().to_dicts()


ENGINES = pytest.mark.parametrize("on", [on_polars, on_duckdb])


def some_points(rng, *, each):
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice([3, -2, 0.5, 1.0005, 7])
    of = rng.choice(["s", "n", "f"]) if each else rng.choice(["city", "age", "vip"])
    table = {"s": {"x": 3, "a": -1.5}, "n": {1: 2, 3: 5}, "f": {True: 4, False: -1}, "city": {"Omsk": 2, "Kazan": 1},
             "age": {18: 1, 40: 2.5}, "vip": {True: 9}}[of]  # fmt: skip
    if kind == 1:
        return ByValue(of, table, otherwise=rng.choice([0, 0.25]))
    return Tiers({1: 1, 2: 4, 5: -3.5}) if each else Tiers({0: 1, 18: 2, 40: 7}, of="age")


def some_rule(rng, k, as_of):
    group = rng.choice([None, "fit", "web"])
    limits = {"cap": rng.choice([None, 4]), "floor": rng.choice([None, -1])}
    if rng.random() < 0.5:
        return Rule(f"r{k}", when=COMPILE["portable_rule"](rng, as_of, 1), points=some_points(rng, each=False),
                    group=group, **limits)  # fmt: skip
    points = some_points(rng, each=True)
    decay = rng.choice([None, step_decay({days(2): 0.5, days(30): 0.1, days(200): 0})])
    where = rng.choice([None, prop("n") > 1, prop("s") == "x"])
    return Rule(f"r{k}", each=event(rng.choice("ab"), where=where), points=points, group=group,
                decay=None if isinstance(points, Tiers) else decay,
                expires=rng.choice([None, days(1), timedelta(hours=30), days(365)]), **limits)  # fmt: skip


def some_score(rng, as_of):
    rules = [some_rule(rng, k, as_of) for k in range(rng.randrange(1, 5))]
    return LeadScore(
        name="s", rules=rules, groups=[Group("fit", cap=rng.choice([None, 5]), floor=rng.choice([None, -1])),
                                       Group("web", cap=rng.choice([None, 3.5]))],
        bands={"hot": 5, "warm": 1.5, "cold": -2}, cap=rng.choice([None, 6]), floor=rng.choice([None, -2.5]),
        grades=rng.choice([None, Grade(fit={"A": 3, "B": 0}, web={"1": 2, "2": -5})]),
    )  # fmt: skip


def agree(found, expected):
    """Whether two values are the same; numbers to twelve digits, for an engine adds up in an order of its own."""
    if isinstance(expected, float) and isinstance(found, float):
        return found == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    return found == expected


def rows_of(columns):
    names = list(columns)
    return {row[0]: dict(zip(names[1:], row[1:], strict=True))
            for row in zip(*[np.asarray(columns[name]).tolist() for name in names], strict=True)}  # fmt: skip


@pytest.mark.long
@ENGINES
@given(seed=st.integers(0, 2**40))
def test_engines_give_the_scores_that_numpy_gives(on, seed):
    rng = random.Random(seed)
    as_of, tz = LAWS["some_as_of"](rng), rng.choice(["UTC", "Europe/Berlin"])
    base, customers, events = LAWS["some_base"](rng, tz, as_of)
    score = some_score(rng, as_of)
    if 'field("born")' in repr(score) and 'field("joined")' in repr(score):
        tz, base = "UTC", CustomerBase(customers=base.customers, events=base.events, tz="UTC")
    people, happened = COMPILE["frames"](customers, events)
    asked = LAWS["some_asked"](rng, as_of, tz)
    expected = rows_of(score.evaluate(base, as_of=asked).to_columns())
    found = on(score, people, happened, as_of=asked, tz=tz)
    found = {row.pop("customer_id"): row for row in found}
    assert found.keys() == expected.keys(), (seed, score)
    for who, row in expected.items():
        assert found[who].keys() == row.keys()
        assert all(agree(found[who][name], value) for name, value in row.items()), (seed, score, who)


@pytest.mark.long
@ENGINES
@given(seed=st.integers(0, 2**40))
def test_engines_give_the_masks_of_a_set(on, seed):
    rng = random.Random(seed)
    as_of = LAWS["some_as_of"](rng)
    base, customers, events = LAWS["some_base"](rng, "UTC", as_of)
    rules = [COMPILE["portable_rule"](rng, as_of, 2) for _ in range(3)]
    both = SegmentSet([Segment(f"s{k}", rule) for k, rule in enumerate(rules)]
                      + [Segment("others", ~(_named("s0") & _named("s1")))])  # fmt: skip
    people, happened = COMPILE["frames"](customers, events)
    result = both.evaluate(base, as_of=as_of)
    expected = result.to_columns() | {f"{name}.unknown": mask for name, mask in result.unknown_masks.items()}
    found = on(both, people, happened, as_of=as_of, unknown=True)
    assert {row.pop("customer_id"): row for row in found} == rows_of(expected), (seed, rules)


def _named(name):
    from relmark.expressions import segment

    return segment(name)


def refused(definition, **more):
    with pytest.raises(DefinitionError, match="only numpy can evaluate") as raised:
        engines.evaluate(definition, events=COMPILE["HAPPENED"], customers=COMPILE["PEOPLE"], columns=NAMES,
                         as_of=COMPILE["AS_OF"], **more)  # fmt: skip
    return raised.value


def test_what_of_a_score_stays_in_numpy_is_named_with_its_path():
    visit = event("visit")
    parts = {
        "$.rules[1].decay": Rule("x", each=visit, points=1, decay=half_life(days(3))),
        "$.rules[1].cap_per": Rule("x", each=visit, points=1, cap=3, cap_per="day"),
        "$.rules[1].once_per": Rule("x", each=visit, points=1, once_per="sku"),
        "$.rules[1].points": Rule("x", each=visit, points=prop("value") * 0.1),
        "$.rules[1].each.events.where": Rule("x", each=event("visit", where=prop("sku").like("a*")), points=1),
        "$.rules[1].when.args[1]": Rule("x", when=(field("age") > 3) & sample(5, salt="s"), points=1),
    }
    for path, rule in parts.items():
        assert refused(LeadScore(name="s", rules=[Rule("a", each=visit, points=1), rule])).path == path
    error = refused(LeadScore(name="s", rules=list(parts.values())[:1] * 1 + [Rule("a", when=sample(5, salt="s"),
                                                                                points=1)]))  # fmt: skip
    assert "$.rules[0].decay" in error.message
    assert "$.rules[1].when" in error.message


def test_paths_of_a_set_are_those_of_its_stored_form():
    both = SegmentSet([Segment("a", field("age") > 3), Segment("b", (field("age") > 3) | sample(5, salt="s"))])
    assert refused(both).path == "$.segments[1].rule.args[1]"
    with pytest.raises(InputError, match=r"\$\.segments\[0\]\.rule"):
        engines.evaluate(SegmentSet([Segment("a", field("age") > "x")]), events=COMPILE["HAPPENED"],
                         customers=COMPILE["PEOPLE"], columns=NAMES, as_of=COMPILE["AS_OF"])  # fmt: skip
    with pytest.raises(InputError, match="people without events"):
        engines.evaluate(SegmentSet([Segment("a", ~event("visit").exists())]), events=COMPILE["HAPPENED"],
                         columns=NAMES, as_of=COMPILE["AS_OF"])  # fmt: skip


def test_a_score_without_customers_is_that_of_who_has_events():
    score = LeadScore(name="s", rules=[Rule("buys", each=event("purchase"), points=2)], bands={"some": 1})
    found = engines.evaluate(score, events=COMPILE["HAPPENED"], columns=NAMES, as_of=COMPILE["AS_OF"]).collect()
    assert {row[0]: row[1:3] for row in found.rows()} == {"a": (2.0, "some"), "b": (2.0, "some"), "d": (0.0, "")}


@pytest.mark.long
@ENGINES
@given(seed=st.integers(0, 2**40))
def test_a_preview_counts_what_numpy_counts(on, seed):
    rng = random.Random(seed)
    as_of = LAWS["some_as_of"](rng)
    base, customers, events = LAWS["some_base"](rng, "UTC", as_of)
    rule = COMPILE["portable_rule"](rng, as_of, 3)
    people, happened = COMPILE["frames"](customers, events)
    segment = Segment("x", rule)
    members, counts = segment.evaluate(base, as_of=as_of), segment.by_clause(base, as_of=as_of)
    if on is on_polars:
        tables = happened.lazy(), people.lazy()
    else:
        tables = duckdb.from_arrow(happened.to_arrow()), duckdb.from_arrow(people.to_arrow())
    found = engines.preview(segment, events=tables[0], customers=tables[1], columns=NAMES, as_of=as_of)
    assert (found.of, found.size, found.unknown_size) == (len(base), members.size, members.unknown), (seed, rule)
    assert found.share == members.share
    for name, column in counts.to_columns().items():
        assert found[name].tolist() == column.tolist(), (seed, rule, name)


def test_a_preview_of_nobody_and_one_that_has_to_stay_in_numpy():
    rule = event("purchase").exists() & (event("visit").count() >= 2)
    found = engines.preview(rule, events=COMPILE["HAPPENED"].clear(), columns=NAMES, as_of=COMPILE["AS_OF"])
    assert (found.of, found.size, np.isnan(found.share), found.left.tolist()) == (0, 0, True, [0, 0])
    assert "SegmentPreview" in repr(found)
    with pytest.raises(DefinitionError, match="only numpy can evaluate"):
        engines.preview(sample(5, salt="s"), events=COMPILE["HAPPENED"], customers=COMPILE["PEOPLE"], columns=NAMES,
                        as_of=COMPILE["AS_OF"])  # fmt: skip
    with pytest.raises(InputError, match="a segment or a rule"):
        engines.preview(SegmentSet([Segment("a", rule)]), events=COMPILE["HAPPENED"], columns=NAMES,
                        as_of=COMPILE["AS_OF"])  # fmt: skip
