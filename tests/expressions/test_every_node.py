"""A node of the language is known everywhere: each task that walks the tree, each form, each test and each page.

The tasks are spread over many files on purpose, each file one task. What a stranger who adds a node forgets fails here
by the name of the node and of the task. CONTRIBUTING has the list.
"""

from __future__ import annotations

import ast
import random
import re
import runpy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, hours
from relmark.core.time import aware
from relmark.expressions import (
    Expression,
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    hour_of_day,
    ids,
    nodes,
    parse,
    prop,
    sample,
    segment,
    sequence,
    stage,
    weekday,
)
from relmark.expressions.kinds import kind_of, problems
from relmark.expressions.operations import OPERATIONS
from relmark.expressions.phrases import ENGLISH, RUSSIAN, UKRAINIAN
from relmark.expressions.scalar import Person, program_of
from relmark.expressions.walk import walk
from relmark.segmentation import Segment

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "relmark"
AS_OF = datetime(2024, 3, 1, 4, 30, tzinfo=UTC)
CLASSES = sorted(
    (
        value
        for name in nodes.__all__
        if isinstance(value := getattr(nodes, name), type) and issubclass(value, Expression)
    ),
    key=lambda kind: kind.__name__,
)

# The tasks, and the files that have a case for each node

TASKS = {
    "kinds": ["expressions/kinds.py"],
    "columns": ["expressions/scope.py", "expressions/evaluate.py", "expressions/event_rows.py"],
    "one person": ["expressions/scalar.py"],
    "explanation: what was found": ["expressions/explain_tree.py"],
    "next change": ["expressions/next_change.py"],
    "needs": ["expressions/needs.py"],
    "text": ["expressions/text_writer.py"],
    "to_words": ["expressions/words.py"],
    "stored form": ["expressions/operations.py", "expressions/stored.py"],
    "engines": ["engines/portable.py", "engines/visitor.py"],
}
_DEFAULT = "true or false, with selections inside: the default says so"
NEEDLESS = {
    "kinds": dict.fromkeys(("Everyone", "Ids", "NotFollowedBy", "Regularly", "Sample"), _DEFAULT),
    "explanation: what was found": {
        "Everyone": "holds of everybody: nothing was found, nothing is missing",
        "Arithmetic": "named where it is unknown, by the walk over unknown parts",
    },
    "stored form": dict.fromkeys(
        ("And", "AtLeast", "Between", "Everyone", "Fill", "Ids", "IsIn", "Matches", "Or", "Sample", "Sequence"),
        "read by its builder; the round trips prove it",
    ),
}


def named_in(files):
    """Return which attributes of `nodes` the code of some files names; comments and texts do not count."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse((SOURCE / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nodes":
                found.add(node.attr)
    return found


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_task_has_a_case_for_every_node(task, kind):
    name = kind.__name__
    if name in NEEDLESS.get(task, {}):
        assert name not in named_in(TASKS[task]), f"{name} has a case in {task} now: take it off NEEDLESS"
        return
    assert name in named_in(TASKS[task]), f"{task} has no case for {name}: write it in {TASKS[task]}"


# One example of every operator

BUY = event("a", where=prop("sku") == "x")
EXAMPLES = {
    "field": field("city"), "prop": event("a", where=prop("sku") == "x").exists(), "literal": field("age") > 3,
    "fill": field("age").fill(3), "age": field("born").age(), "between": field("age").between(1, 30),
    "in": field("city").is_in(["Omsk", "x"]), "is_null": field("city").is_null(), "is_empty": field("city").is_empty(),
    "everyone": everyone, "hour_of_day": event("a", where=hour_of_day() >= 1).count() + hour_of_day(),
    "weekday": weekday(),
    "in_period": field("born").in_period("month", -1), "ids": ids([0, 2]), "sample": sample(40, salt="s"),
    "segment": segment("other"), "not": ~everyone, "and": all_of(everyone, field("vip")),
    "or": any_of(field("vip"), ids([1])), "at_least": at_least(2, everyone, field("vip"), ids([0])),
    "regularly": BUY.regularly(1, of=3, period="week"), "last_event": event("a").last_event(prop("sku") == "x"),
    "sequence": sequence([event("a"), event("b")], within=days(3), exclude=[event("c")]),
    "stage": stage({"first": BUY, "second": event("b")}, within=days(9)),
    "stage_entered": stage({"first": BUY, "second": event("b")}).entered(),
    "stage_days": stage({"first": event("c"), "second": event("b")}).days(),
    "not_followed_by": event("a").not_followed_by(event("b"), within=hours(1), recent=days(9)),
    **{op: nodes.Compare(op, field("age"), nodes.Literal(18)) for op in nodes.COMPARISONS},
    **{op: nodes.Arithmetic(op, field("age"), event("a").count()) for op in nodes.ARITHMETIC},
    **{op: getattr(field("city"), op)("Omsk") for op in nodes.MATCHES},
    **{op: nodes.DateWindow(op, field("born"), days(30)) for op in nodes.DATE_WINDOWS},
    **{op: getattr(BUY, op)(*(["sku"] if op in {"count_distinct", "most_frequent"} else []), within=days(30))
       for op in nodes.AGGREGATES},
}  # fmt: skip
WORDS = {  # how an operator is spelled on the page, where it is not by its name
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "add": "+", "sub": "-",
    "mul": "*", "div": "/", "and": "&", "or": "|", "not": "~", "in": "is_in", "literal": "value",
    "stage_entered": ".entered(", "stage_days": ".days(",
    "past_anniversary": "anniversary(past",  # the engines' page has both in one row
}  # fmt: skip


def ops_of(kind):
    """Return the operators of a class."""
    by_class = {
        "Compare": nodes.COMPARISONS, "Arithmetic": nodes.ARITHMETIC, "Matches": nodes.MATCHES,
        "DateWindow": nodes.DATE_WINDOWS, "Aggregate": nodes.AGGREGATES, "Stage": nodes.STAGES,
        "Clock": nodes.CLOCKS,
    }  # fmt: skip
    if kind.__name__ in by_class:
        return list(by_class[kind.__name__])
    assert isinstance(getattr(kind, "op", None), str), f"{kind.__name__} has no op: name its operators in ops_of"
    return [kind.op]


OPS = [(kind, op) for kind in CLASSES for op in ops_of(kind)]
EACH = pytest.mark.parametrize(("kind", "op"), OPS, ids=lambda one: one if isinstance(one, str) else one.__name__)


def base():
    rows = [
        (0, "a", 5, 2.0, "x"),
        (0, "b", 3, 1.0, None),
        (1, "a", 900, None, "y"),
        (2, "c", 1, 4.0, "x"),
        (0, "a", 1, 1.0, "x"),
    ]
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows], type=[row[1] for row in rows],
        time=[AS_OF - timedelta(hours=row[2]) for row in rows], value=[row[3] for row in rows],
        properties={"sku": [row[4] for row in rows]},
    )  # fmt: skip
    table = CustomerTable.from_columns(
        customer_id=[0, 1, 2], age=[20, None, 12], city=["Omsk", None, "x"], vip=[True, None, False],
        born=[date(2000, 3, 1), None, date(2024, 2, 20)],
    )  # fmt: skip
    return CustomerBase(customers=table, events=log), rows


def example(kind, op):
    assert op in EXAMPLES, f"{op} of {kind.__name__} has no example here"
    found = EXAMPLES[op]
    assert any(
        isinstance(node, kind) and getattr(node, "op", op) in {op, getattr(kind, "op", op)} for _, node in walk(found)
    ), f"the example of {op} has no {kind.__name__}"
    return found


@EACH
def test_every_operator_is_read_written_and_checked_in_every_form(kind, op):
    expression = example(kind, op)
    assert Expression.from_dict(expression.to_dict()).fingerprint == expression.fingerprint
    assert parse(expression.to_text()).fingerprint == expression.fingerprint
    if op != "literal":
        assert op in OPERATIONS
        assert op in Segment.json_schema()["$defs"]["expression"]["properties"]["op"]["enum"]
    schema = base()[0].schema()
    assert problems(expression, schema) == ()
    assert kind_of(expression, schema) in {"number", "text", "boolean", "date", "instant"}


@EACH
def test_every_operator_says_the_same_over_columns_for_one_person_and_in_the_naive_reading(kind, op):
    expression = example(kind, op)
    world, rows = base()
    others = {"other": field("age") > 15}
    Naive = runpy.run_path(str(Path(__file__).parent / "naive_rules.py"))["Naive"]
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    moment = (AS_OF - zero) // timedelta(microseconds=1)
    rule = expression if kind is not nodes.SegmentRef else others["other"]
    measured = rule.measure(world, AS_OF)
    program = program_of(expression, segments=others)
    for row, who in enumerate(world.customer_id.tolist()):
        value = measured.value(row)
        value = aware(value.astype(np.int64).item()) if isinstance(value, np.datetime64) else value
        person = Person.from_base(world, who, as_of=AS_OF)
        assert program.value(person) == value
        known = {"age": [20, None, 12], "city": ["Omsk", None, "x"], "vip": [True, None, False],
                 "born": [date(2000, 3, 1), None, date(2024, 2, 20)]}  # fmt: skip
        events = [
            {"customer_id": one[0], "type": one[1], "time": moment - one[2] * 3_600_000_000, "value": one[3],
             "properties": {"sku": one[4]}}
            for one in rows if one[0] == who
        ]  # fmt: skip
        attributes = {name: values[who] for name, values in known.items()}
        bodies = {name: one.to_dict() for name, one in others.items()}
        naive = Naive(who, attributes, events, moment, "UTC", bodies)
        assert naive.value(expression.to_dict()) == value, (op, who)


@EACH
def test_every_operator_says_what_it_needs_and_that_is_enough(kind, op):
    expression = example(kind, op)
    world, _ = base()
    others = {"other": field("age") > 15}
    needs = expression.needs(others)
    named = {node.name for _, node in walk(expression) if isinstance(node, nodes.Field)}
    assert set(needs.fields) == (named if kind is not nodes.SegmentRef else {"age"})
    asked = {name for _, node in walk(expression) if hasattr(node, "types") for name in node.types}
    assert set(needs.events) == asked
    kept = needs.keep(world.events, AS_OF)
    assert set(kept.types) <= asked
    table = CustomerTable.from_columns(
        customer_id=world.customer_id, **{name: world.column(name) for name in needs.fields}
    )
    less = CustomerBase(customers=table, events=kept)
    program = program_of(expression, segments=others)
    for who in world.customer_id.tolist():
        whole, part = (Person.from_base(one, who, as_of=AS_OF) for one in (world, less))
        assert program.value(part) == program.value(whole)


@EACH
def test_every_operator_is_explained_and_says_when_it_changes(kind, op):
    expression = example(kind, op)
    world, _ = base()
    boolean = kind_of(expression, world.schema()) == "boolean"
    rule = expression if boolean else ~expression.is_null() & ~(expression != expression)  # noqa: PLR0124
    program = program_of(rule, segments={"other": field("age") > 15})
    for who in world.customer_id.tolist():
        person = Person.from_base(world, who, as_of=AS_OF)
        change = program.next_change(person)
        assert change is None or change > person.as_of
        if kind is not nodes.SegmentRef:
            one = Segment("s", rule).explain(world, who, as_of=AS_OF)
            assert one.to_dict()["tree"]["words"]
            assert op in one.to_json() or WORDS.get(op, op) in str(one) or op == "literal"


@EACH
@pytest.mark.parametrize("phrases", [ENGLISH, RUSSIAN, UKRAINIAN], ids=lambda one: one["language"])
def test_every_operator_is_said_in_every_language(kind, op, phrases):
    expression = example(kind, op)
    words = expression.to_words(phrases)
    assert words
    assert not re.search(r"[{}]|None|  ", words)
    assert phrases is ENGLISH or words != expression.to_words()
    if phrases is not ENGLISH:  # names of fields, events and values stay as they are; nothing else is Latin
        said = re.sub(r"«[^»]*»|UTC", "", words)
        assert not re.search("[A-Za-z]", said), words
        assert re.search("[А-Яа-яЄІЇҐєіїґё]", said)


# The tests and the pages


@pytest.fixture(scope="module")
def generated():
    """Return the operators and classes that each generator of random rules makes."""
    one = runpy.run_path(str(Path(__file__).parent / "random_rules.py"))
    naive = runpy.run_path(str(ROOT / "tests" / "properties" / "test_expressions_rules_against_naive.py"))
    scoring = runpy.run_path(str(ROOT / "tests" / "properties" / "test_scoring_laws.py"))
    made = {
        "random_rules.py": lambda rng: [one["some_rule"](rng, AS_OF)],
        "test_expressions_rules_against_naive.py": lambda rng: [naive["some_rule"](rng)],
        "test_scoring_laws.py": lambda rng: [
            part for rule in scoring["some_score"](rng, AS_OF).rules for _, part in rule.tests()
        ],
    }
    found = {}
    for name, make in made.items():
        seen = found[name] = set()
        for seed in range(2_500):
            for rule in make(random.Random(seed)):
                for _, node in walk(rule):
                    if isinstance(node, Expression):
                        seen.add((type(node).__name__, getattr(node, "op", "literal")))
    return found


@pytest.mark.slow
@EACH
def test_every_generator_of_random_rules_makes_every_operator(generated, kind, op):
    if kind is nodes.SegmentRef:
        return  # it stands inside a set alone, whose tests are in test_segmentation_segments.py
    for name, seen in generated.items():
        assert (kind.__name__, op) in seen, f"the generator of {name} never makes {op} of {kind.__name__}"


@EACH
def test_every_operator_has_its_row_in_the_guide_and_the_engines_page(kind, op):
    guide = (ROOT / "docs" / "guides" / "segmentation.md").read_text(encoding="utf-8")
    word = WORDS.get(op, op)
    assert word in guide, f"docs/guides/segmentation.md has no word of {word}"
    page = (ROOT / "docs" / "guides" / "engines.md").read_text(encoding="utf-8")
    rows = " ".join(line for line in page.splitlines() if line.startswith("|"))
    classes = {"Compare": "comparisons", "Arithmetic": "arithmetic", "Field": "", "Prop": "", "Literal": "",
               "Everyone": "", "SegmentRef": "segments of segments", "Stage": "stage"}  # fmt: skip
    wanted = classes.get(kind.__name__, {"and": "and", "or": "or", "not": "not"}.get(op, word))
    wanted = wanted.partition("(")[0]
    if wanted:
        assert re.search(r"\b" + re.escape(wanted), rows), f"docs/guides/engines.md has no row of {wanted}"
