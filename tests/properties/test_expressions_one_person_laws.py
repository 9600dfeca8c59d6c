"""One person and many: the scalar form of a rule says what the evaluation over columns says, of every node."""

from __future__ import annotations

import json
import random
import re
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark.core.events import Event
from relmark.core.time import days, hours, minutes
from relmark.expressions.explain import explain_in_base, explain_one
from relmark.expressions.scalar import Person, program_of
from relmark.expressions.scalar_calendar import Zone
from relmark.expressions.scalar_person import plain_value

_RANDOM = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "random_rules.py"))
some_as_of, some_asked, some_base, some_leaf, some_number, some_rule, some_text = (
    _RANDOM[name]
    for name in ("some_as_of", "some_asked", "some_base", "some_leaf", "some_number", "some_rule", "some_text")
)
ZONES = _RANDOM["ZONES"]


@given(seed=st.integers(0, 2**40))
@settings(max_examples=4 * settings.default.max_examples, deadline=None)
def test_one_person_gets_the_verdict_that_columns_give(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    base, customers, events = some_base(rng, tz, as_of)
    asked = some_asked(rng, as_of, tz)
    for _ in range(4):
        rule = some_rule(rng, as_of)
        expected = {-1: None, 0: False, 1: True}
        measured = rule.measure(base, asked)
        program = program_of(rule, tz)
        for row, id_ in enumerate(base.customer_id.tolist()):
            want = None if measured.kind == "empty" else expected[int(measured.data[row])]
            given_customer = next((one for one in customers if one.id == id_), None)
            own = [one for one in events if one.customer_id == id_]
            rng.shuffle(own)
            people = [Person.of(given_customer, own, as_of=asked, tz=tz), Person.from_base(base, id_, as_of=asked)]
            for person in people:
                assert program.verdict(person) == want, (seed, rule, id_)


@given(seed=st.integers(0, 2**40))
@settings(max_examples=2 * settings.default.max_examples, deadline=None)
def test_one_person_gets_the_value_that_columns_give(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    base, _, _ = some_base(rng, tz, as_of)
    asked = some_asked(rng, as_of, tz)
    for _ in range(4):
        expression = rng.choice([some_number(rng, as_of, 3), some_text(rng, as_of)])
        measured = expression.measure(base, asked)
        program = program_of(expression, tz)
        for row, id_ in enumerate(base.customer_id.tolist()):
            want = measured.value(row)
            found = program.value(Person.from_base(base, id_, as_of=asked))
            assert found == want, (seed, expression, id_)


def instants_to_try(rng: random.Random, person: Person, tz: str) -> list[int]:
    """Return instants at which something could happen, and others: made without looking at the rule."""
    us = timedelta(microseconds=1)
    spans = [minutes(30), hours(1), hours(5), hours(24), hours(25), days(2), days(7), days(30), days(400)]
    spans += [days(d) for d in (0, 1, 2.5, 3, 10, 40)]
    marks = [*person.times(), person.as_of]
    marks += [plain_value("", value) for value in person.attributes.values() if isinstance(value, datetime)]
    edges = {mark + (a + b) // us for mark in marks for a in spans for b in (timedelta(0), rng.choice(spans))}
    zone = Zone(tz)
    today = zone.day(person.as_of)
    edges |= {zone.midnight(today + k) for k in range(-1, 800)}
    edges |= {person.as_of + rng.randint(1, 10 ** rng.randint(1, 14)) for _ in range(200)}
    near = {edge + step for edge in edges for step in (-1, 0, 1)}
    return sorted(edge for edge in near if edge >= person.as_of)


@pytest.mark.long
@given(seed=st.integers(0, 2**40))
def test_nothing_changes_before_the_next_change_and_everything_at_it(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    _, customers, events = some_base(rng, tz, as_of)
    customer = rng.choice(customers)
    own = [one for one in events if rng.random() < 0.3 or one.customer_id == customer.id]
    own = [Event(customer.id, one.type, one.time, one.value, one.properties) for one in own]
    person = Person.of(customer, own, as_of=some_asked(rng, as_of, tz), tz=tz)
    tried = instants_to_try(rng, person, tz)
    for _ in range(4):
        program = program_of(some_rule(rng, as_of), tz)
        member = program.verdict(person) is True
        change = program.next_change(person)
        for moment in tried:
            if change is not None and moment >= change:
                break
            assert (program.verdict(person, moment) is True) == member, (seed, program.expression, moment, change)
        if change is not None:
            if change > person.as_of:
                assert (program.verdict(person, change - 1) is True) == member
            assert (program.verdict(person, change) is True) != member


def verdicts(verdict):
    yield verdict
    for arg in verdict.args:
        yield from verdicts(arg)


@given(seed=st.integers(0, 2**40))
def test_an_explanation_agrees_with_the_mask_and_with_itself(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    base, customers, events = some_base(rng, tz, as_of)
    rule = some_rule(rng, as_of)
    as_of = some_asked(rng, as_of, tz)
    measured = rule.measure(base, as_of)
    for row, id_ in enumerate(base.customer_id.tolist()):
        explanation = explain_in_base(rule, base, id_, as_of=as_of, name="rule")
        assert explanation.member == (measured.kind != "empty" and measured.data[row] == 1)
        customer = next((one for one in customers if one.id == id_), None)
        same = explain_one(rule, customer, [e for e in events if e.customer_id == id_], as_of=as_of, tz=tz, name="rule")
        if customer is not None or base.events.n_customers:
            same_dict = same.to_dict() | {"customer_id": id_}
            assert json.dumps(same_dict) == json.dumps(explanation.to_dict()), seed
        assert str(explanation)
        assert (explanation.change is None) == (explanation.next_change is None)
        person = Person.from_base(base, id_, as_of=as_of)
        program = program_of(rule, tz)
        for found in verdicts(explanation.tree):
            node = at_path(rule, found.path)
            assert found.verdict is program.call(node)(person, person.as_of)
            assert found.code == node.op
            if found.change is not None:
                moment = (found.change.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
                assert program.call(node)(person, moment) is found.change.to
                before = person.as_of if moment == person.as_of else moment - 1
                assert program.call(node)(person, before) is found.verdict
                assert found.change.to is not found.verdict


def at_path(node, path):
    for step in re.findall(r"(\w+)(?:\[(\d+)\])?", path.removeprefix("$")):
        node = getattr(node, step[0])
        node = node[int(step[1])] if step[1] else node
    return node
