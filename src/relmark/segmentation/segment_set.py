"""Several segments over one base at once: shared parts are computed once, and overlaps are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import attrs

from relmark.core import shapes
from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import shown
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.time import Instant
from relmark.expressions import nodes
from relmark.expressions.checked import part_problems
from relmark.expressions.evaluate import base_scope
from relmark.expressions.explain import Explanation, explain_person
from relmark.expressions.history import CustomerHistory, person_of
from relmark.expressions.kinds import check_on_data, notes_on_data, rule_problems
from relmark.expressions.needs import Needs, needs_of
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Person, Program, program_of
from relmark.expressions.walk import repeated, walk
from relmark.segmentation.json_schema import segment_definitions, segment_shape
from relmark.segmentation.members import moments, unknown_of
from relmark.segmentation.segments import Segment
from relmark.segmentation.set_members import SegmentSetMembers

__all__ = ["SegmentSet"]


def _segments(value: Iterable[Segment]) -> tuple[Segment, ...]:
    if isinstance(value, Segment) or not isinstance(value, Iterable):
        raise InputError(
            f"segments is {shown(value)}: a list of segments is needed.", argument="segments", code="wrong_type"
        )
    given = tuple(value)
    for segment in given:
        if not isinstance(segment, Segment):
            raise InputError(
                f"segments has {shown(segment)}: segments are needed, such as Segment('adults', rule).",
                argument="segments",
                code="wrong_value",
            )
    twice = [name for name, count in Counter(segment.name for segment in given).items() if count > 1]
    if twice:
        raise InputError(
            f"segments has {twice[0]!r} twice: every segment of a set needs its own name.",
            argument="segments",
            code="duplicate",
        )
    return given


@attrs.frozen(eq=False)
class SegmentSet(Definition):
    """Segments that are evaluated together, in the order of their priority.

    A rule may use another segment of the set with ``segment("name")``, as long as no segment leads back to itself.

    Parameters
    ----------
    segments : iterable of Segment
        Segments with different names. The first has the highest priority in the waterfall.

    Examples
    --------
    >>> from relmark import CustomerBase, CustomerTable, field
    >>> from relmark.expressions import segment
    >>> base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[1, 2, 3], age=[17, 30, 70]))
    >>> adults = Segment("adults", field("age") >= 18)
    >>> seniors = Segment("seniors", segment("adults") & (field("age") >= 60))
    >>> SegmentSet([adults, seniors]).evaluate(base, as_of="2026-01-01").sizes
    {'adults': 2, 'seniors': 1}
    """

    kind: ClassVar[str] = "segment_set"

    segments: tuple[Segment, ...] = attrs.field(converter=_segments)

    def __attrs_post_init__(self) -> None:
        """Refuse references to segments that are not in the set, and circles of references."""
        names = [segment.name for segment in self.segments]
        needs: dict[str, list[str]] = {}
        for number, segment in enumerate(self.segments):
            needs[segment.name] = []
            for path, node in walk(segment.rule, f"$.segments[{number}].rule"):
                if isinstance(node, nodes.SegmentRef):
                    if node.name not in names:
                        hint = did_you_mean(node.name, names).strip()
                        raise DefinitionError(f"there is no segment {node.name!r} in the set.", path=path,
                                              code="unknown_segment", hint=hint)  # fmt: skip
                    needs[segment.name].append(node.name)
        _refuse_circles(needs)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.segments)

    def __getitem__(self, name: str) -> Segment:
        for segment in self.segments:
            if segment.name == name:
                return segment
        names = [segment.name for segment in self.segments]
        raise InputError(
            f"there is no segment {shown(name)} in the set.",
            argument="name",
            code="unknown_name",
            hint=did_you_mean(str(name), names),
        )

    @property
    def rules(self) -> Mapping[str, Expression]:
        """The rules by the name of their segment."""
        return {segment.name: segment.rule for segment in self.segments}

    def evaluate(self, base: CustomerBase, *, as_of: AsOfGiven) -> SegmentSetMembers:
        """Return who is in which segment at an instant, or at one instant per customer.

        Parts of the rules that are equal, by fingerprint, are computed once.
        """
        rules = self.rules
        for number, rule in enumerate(rules.values()):
            check_on_data(rule, base, rule=True, path=f"$.segments[{number}].rule", segments=rules)
        scope = base_scope(base, base.as_of(as_of), segments=rules, keep=repeated(rules.values()))
        truths = {name: scope.truth(nodes.SegmentRef(name)) for name in rules}
        notes = dict.fromkeys(note for rule in rules.values() for note in notes_on_data(rule, base))
        return SegmentSetMembers(
            customer_id=base.customer_id,
            masks={name: truth.true for name, truth in truths.items()},
            unknown_masks={name: unknown_of(truth) for name, truth in truths.items()},
            as_of=moments(scope),
            notes=tuple(notes),
        )

    def one(
        self,
        customer: Customer | CustomerHistory | None,
        events: Iterable[Event | Purchase | Message | Visit] | None = None,
        *,
        as_of: Instant,
        tz: str | None = None,
    ) -> dict[str, Explanation]:
        """Return the result of `Segment.one` for one person by segment; the person is read once for all segments."""
        person, zone = person_of(customer, events, as_of=as_of, tz=tz)
        return {name: explain_person(program, person, name) for name, program in self._compiled(zone).items()}

    def explain(self, base: CustomerBase, customer_id: int | str, *, as_of: Instant) -> dict[str, Explanation]:
        """Return the result of `Segment.explain` for one customer of a base, by segment."""
        rules = self.rules
        for number, rule in enumerate(rules.values()):
            check_on_data(rule, base, rule=True, path=f"$.segments[{number}].rule", segments=rules)
        person = Person.from_base(base, customer_id, as_of=as_of)
        programs = self._compiled(base.tz_of(customer_id))
        return {name: explain_person(program, person, name) for name, program in programs.items()}

    def _compiled(self, tz: str) -> dict[str, Program]:
        """Return the rules compiled for a time zone, compiled once for all customers."""
        found = self._programs.get(tz)
        if found is None:
            rules = self.rules
            found = self._programs[tz] = {
                name: program_of(rule, tz, segments=rules if _refers(rule) else None) for name, rule in rules.items()
            }
        return found

    @cached_property
    def _programs(self) -> dict[str, dict[str, Program]]:
        return {}

    def needs(self) -> Needs:
        """Return what the rules need together: fields, events with their properties, and how far back they look."""
        rules = self.rules
        return sum((needs_of(rule, rules) for rule in rules.values()), Needs())

    def problems(self, schema: Schema) -> tuple[Problem, ...]:
        """Return every part of the rules that does not fit a schema, with its JSON path; () if all parts fit."""
        rules = self.rules
        return tuple(
            problem
            for number, rule in enumerate(rules.values())
            for problem in rule_problems(rule, schema, path=f"$.segments[{number}].rule", segments=rules)
        )

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        properties, required = segment_shape(limits)
        one = shapes.obj({**properties, "meta": {"type": "object"}}, required)
        return {"segments": shapes.array(one, most=limits.members)}, ("segments",)

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        return segment_definitions(limits)

    @classmethod
    def _told(cls, ref: str, value: Any, path: str, schema: Schema | None, limits: Limits) -> list[Problem]:
        return part_problems(ref, value, path, schema, limits)

    def _meaning(self) -> dict[str, Any]:
        places = {segment.name: number for number, segment in enumerate(self.segments)}
        return {"rules": [_by_place(segment.rule.to_dict(), places) for segment in self.segments]}

    def _body(self) -> dict[str, Any]:
        noted = [{"meta": dict(segment.meta)} if segment.meta else {} for segment in self.segments]
        bodies = [segment._body() for segment in self.segments]  # noqa: SLF001
        return {"segments": [{**body, **meta} for body, meta in zip(bodies, noted, strict=True)]}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        check_keys(body, required=("segments",), what="segment set")
        if not isinstance(body["segments"], (list, tuple)):
            raise DefinitionError("a list of segments is needed.", path="$.segments", code="wrong_type")
        segments = []
        for number, item in enumerate(body["segments"]):
            path = f"$.segments[{number}]"
            check_keys(item, required=("name", "rule"), optional=("description", "meta"), path=path, what="segment")
            try:
                segments.append(Segment._read_content(dict(item), limits))  # noqa: SLF001
            except DefinitionError as error:
                inner = error.path.removeprefix("$")
                raise type(error)(error.message, path=f"{path}{inner}", code=error.code, hint=error.hint) from None
        return cls(segments)


def _by_place(body: Any, places: Mapping[str, int]) -> Any:
    """Return a stored rule in which references to other segments of the set are replaced by their positions."""
    if isinstance(body, dict):
        if body.get("op") == "segment":
            return {"op": "segment", "name": places.get(body["name"], body["name"])}
        return {key: _by_place(item, places) for key, item in body.items()}
    return [_by_place(item, places) for item in body] if isinstance(body, list) else body


def _refers(rule: Expression) -> bool:
    return any(isinstance(node, nodes.SegmentRef) for _, node in walk(rule))


def _refuse_circles(needs: Mapping[str, list[str]]) -> None:
    """Raise if a segment leads back to itself; found without recursion."""
    waiting = {name: set(others) for name, others in needs.items()}
    while waiting:
        ready = [name for name, others in waiting.items() if not others & waiting.keys()]
        if not ready:
            circle = ", ".join(map(repr, sorted(waiting)))
            raise DefinitionError(
                f"the segments {circle} refer to each other in a circle.", path="$.segments", code="circle",
                hint="Write out the rule of one of them instead of referring to another segment.",
            )  # fmt: skip
        for name in ready:
            del waiting[name]
