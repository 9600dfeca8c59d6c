"""`LeadScore`: points by rules that a team can change, with the same result for a whole base and for one lead.

Points are computed in a fixed order: the points of each event; expiry; decay, after which each event's points are
rounded half to even to thousandths; the cap of each period; the cap of the rule; the cap of the group; the cap of the
total. All sums are sums of whole thousandths, so that neither the order of events nor that of rules changes a total. A
lead gets the same points to the last bit, whether scored alone or with a million others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.as_of import AsOf, read_as_of
from relmark.core.base import CustomerBase
from relmark.core.documents import Definition, JsonBody, Limits, check_keys, fingerprint
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.time import Instant
from relmark.expressions import Expression, Problem
from relmark.expressions.evaluate import BaseScope
from relmark.expressions.history import CustomerHistory, person_of
from relmark.expressions.kept import Kept
from relmark.expressions.kinds import check_on_data, rule_problems
from relmark.expressions.literals import plain_text
from relmark.expressions.needs import Needs
from relmark.expressions.scalar import Person
from relmark.expressions.walk import walk
from relmark.scoring._columns import rule_thousandths, thousandths
from relmark.scoring._one import ScoreProgram
from relmark.scoring.bands import band_codes, read_bands
from relmark.scoring.check import CheckedScore, check_score
from relmark.scoring.explanation import LeadExplanation
from relmark.scoring.json_schema import score_definitions, score_shape
from relmark.scoring.points import plain
from relmark.scoring.rules import Grade, Group, Rule, group_error, read_cap, read_floor
from relmark.scoring.scores import BandMoves, LeadScores, ScoreHistory

__all__ = ["LeadScore"]

AnyEvent = Event | Purchase | Message | Visit
_KEPT: Kept[ScoreProgram] = Kept(128)


def _check_name(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    plain_text("name", checks.text("name", value))


def _read_rules(values: Iterable[Rule]) -> tuple[Rule, ...]:
    return checks.listed("rules", values, Rule)


def _read_groups(values: Iterable[Group]) -> tuple[Group, ...]:
    return checks.listed("groups", values, Group)


def _read_bands(bands: Mapping[str, float] | None) -> dict[str, float]:
    if bands is None:
        return {}
    if not isinstance(bands, Mapping):
        raise InputError(
            f"bands is {checks.shown(bands)}: a mapping of names to lowest scores is needed.",
            argument="bands",
            code="wrong_type",
        )
    return dict(zip(*read_bands(bands), strict=True))


@attrs.frozen(kw_only=True, eq=False)
class LeadScore(Definition):
    """A score made of rules that give points, or take them away, for what is known of a lead and what the lead did.

    Parameters
    ----------
    name : str
        The name of the score.
    rules : list of Rule
        At least one rule; the names of rules are unique.
    groups : list of Group
        The groups that rules name, each with an optional cap and floor.
    bands : dict of str to float
        The names of bands and their lowest totals. A total below all of them has the band "".
    grades : Grade, optional
        A grade made of marks, by the points of groups.
    cap : float, optional
        The greatest possible total.
    floor : float, optional
        The least possible total, 0 or less.

    Examples
    --------
    >>> from relmark.core.base import CustomerBase
    >>> from relmark.core.events import Event
    >>> from relmark.core.log import EventLog
    >>> from relmark.core.table import CustomerTable
    >>> from relmark.expressions import event, field
    >>> score = LeadScore(name="b2b", bands={"sales": 20, "marketing": 10}, rules=[
    ...     Rule("in territory", when=field("country") == "KZ", points=8),
    ...     Rule("visit", each=event("visit"), points=3, cap=9)])
    >>> base = CustomerBase(
    ...     customers=CustomerTable.from_columns(customer_id=["a", "b"], country=["KZ", "RU"]),
    ...     events=EventLog.from_columns(customer_id=["a"] * 5, type="visit", time=["2026-10-01T00:00Z"] * 5))
    >>> scores = score.evaluate(base, as_of="2026-11-01")
    >>> scores.total.tolist(), scores.by_rule.tolist(), scores.band.tolist()
    ([17.0, 0.0], [[8.0, 9.0], [0.0, 0.0]], ['marketing', ''])
    """

    kind: ClassVar[str] = "lead_score"
    version: ClassVar[int] = 1

    name: str = attrs.field(validator=_check_name)
    rules: tuple[Rule, ...] = attrs.field(converter=_read_rules)
    groups: tuple[Group, ...] = attrs.field(default=(), converter=_read_groups)
    bands: dict[str, float] = attrs.field(default=None, converter=_read_bands)
    grades: Grade | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Grade))
    )
    cap: float | None = attrs.field(default=None, converter=read_cap)
    floor: float | None = attrs.field(default=None, converter=read_floor)

    def __attrs_post_init__(self) -> None:
        """Check that names are unique and that groups exist."""
        if not self.rules:
            raise InputError("rules is empty: a score needs at least one Rule.", argument="rules", code="empty")
        for what, names in (
            ("rules", [rule.name for rule in self.rules]),
            ("groups", [group.name for group in self.groups]),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise InputError(
                    f"{what} has the name {twice[0]!r} twice: names must be unique.", argument=what, code="duplicate"
                )
        known = [group.name for group in self.groups]
        asked = [(f"rule {rule.name!r}", f"rules[{k}].group", rule.group) for k, rule in enumerate(self.rules)
                 if rule.group is not None]  # fmt: skip
        asked += [("grades", "grades", name) for name in (() if self.grades is None else self.grades.groups)]
        for what, argument, name in asked:
            error = group_error(what, argument, name, known)
            if error is not None:
                raise error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LeadScore) and self._body() == other._body()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    # ---- many

    def evaluate(self, base: CustomerBase, *, as_of: Instant | Sequence[Instant] | npt.NDArray[Any]) -> LeadScores:
        """Score every customer of a base.

        Parameters
        ----------
        base : CustomerBase
            The customers and their events.
        as_of : instant, or array_like of instants, shape (n,)
            The instant of the scores; events after it are not seen. Give one for all customers, or one per customer.

        Returns
        -------
        LeadScores
            One score per customer, aligned with ``base.customer_id``.

        Raises
        ------
        InputError
            A rule does not fit the data: it names an unknown field, compares a number with a text, or gives more than a
            million points at once.

        Notes
        -----
        The cost is one pass over each rule's events and one bincount; equal conditions are computed once.
        """
        self._check_on(base)
        moment = base.as_of(as_of)
        by_rule = np.empty((len(self.rules), len(base)))
        for rows, own in base.by_zone:
            chosen = slice(None) if own is base else rows
            scope = BaseScope(own, moment.take(rows).in_zone(own.tz), shared={}, keep=self._repeated)
            for row, rule in zip(by_rule, self.rules, strict=True):
                row[chosen] = rule_thousandths(rule, scope)
        return self._scores(base.customer_id, by_rule, moment)

    def _check_on(self, base: CustomerBase) -> None:
        for path, test in self._tests():
            check_on_data(test, base, rule=True, path=path)

    def _scores(self, ids: npt.NDArray[Any], by_rule: npt.NDArray[np.float64], moment: AsOf) -> LeadScores:
        """Return the scores from the thousandths of each rule, shape (rules, n)."""
        n = len(ids)
        by_group = np.zeros((len(self.groups), n))
        by_cap = np.zeros((len(self.caps), n))
        place = {group.name: position for position, group in enumerate(self.groups)}
        total = np.zeros(n)
        for row, rule in zip(by_rule, self.rules, strict=True):
            target = total if rule.group is None else by_group[place[rule.group]]
            target += row
        lost = iter(by_cap)
        for row, group in zip(by_group, self.groups, strict=True):
            _bounded(row, group.cap, group.floor, lost)
            total += row
        _bounded(total, self.cap, self.floor, lost)
        for points in (by_rule, by_group, by_cap, total):
            np.divide(points, 1000.0, out=points)
        names, cuts = tuple(self.bands), tuple(self.bands.values())
        return LeadScores(
            customer_id=ids,
            total=total,
            by_rule=by_rule.T,
            by_group=by_group.T,
            by_cap=by_cap.T,
            band=np.array([*names, ""])[band_codes(total, cuts)],
            grade=self._grade(by_group, place),
            rules=tuple(rule.name for rule in self.rules),
            groups=tuple(place),
            caps=self.caps,
            bands=names,
            name=self.name,
            as_of=moment.given,
        )

    def _grade(self, by_group: npt.NDArray[np.float64], place: dict[str, int]) -> npt.NDArray[np.str_]:
        """Return each customer's grade, looked up by one number in a table of all combinations of marks."""
        n = by_group.shape[1]
        if self.grades is None:
            return np.zeros(n, dtype="<U1")
        code = np.zeros(n, dtype=np.int64)
        marks = [""]
        none = np.zeros(n, dtype=np.bool_)
        for name, (names, cuts) in self.grades.groups.items():
            own = band_codes(by_group[place[name]], cuts)
            none |= own == len(names)
            code = code * (len(names) + 1) + own
            marks = [mark + added for mark in marks for added in (*names, "")]
        return np.where(none, "", np.array(marks)[code])

    @property
    def caps(self) -> tuple[str, ...]:
        """The names of the caps and floors of groups and of the total, in the order in which they apply."""
        bounds = [(group.name, group.cap, group.floor) for group in self.groups] + [("total", self.cap, self.floor)]
        return tuple(
            f"{what} of {name}"
            for name, cap, floor in bounds
            for what, bound in (("cap", cap), ("floor", floor))
            if bound is not None
        )

    def history(self, base: CustomerBase, times: Sequence[Instant]) -> ScoreHistory:
        """Score every customer at each of several instants.

        Fields have no history: they have their current values at every instant.

        Parameters
        ----------
        base : CustomerBase
            The customers and their events.
        times : list of instants, shape (t,)
            The instants of the scores.
        """
        if isinstance(times, (str, date, np.datetime64)) or not isinstance(times, Iterable):
            raise InputError(
                f"times is {checks.shown(times)}: a list of instants is needed.", argument="times", code="wrong_type"
            )
        times = list(times)
        found = [self.evaluate(base, as_of=time) for time in times]
        if not found:
            raise InputError("times is empty: give at least one instant.", argument="times", code="empty")
        given = [read_as_of(time, tz=base.tz).given for time in times]
        return ScoreHistory(
            customer_id=base.customer_id,
            times=np.array(given),
            total=np.stack([scores.total for scores in found], axis=1),
            band=np.stack([scores.band for scores in found], axis=1),
            bands=found[0].bands,
        )

    def crossed(self, base: CustomerBase, *, since: Instant, as_of: Instant) -> BandMoves:
        """Return whose band changed between two instants, such as who is new in a band: ``.entered("sales")``."""
        return BandMoves.of(self.evaluate(base, as_of=since), self.evaluate(base, as_of=as_of))

    def compare(self, other: LeadScore, base: CustomerBase, *, as_of: Instant) -> BandMoves:
        """Return how customers would move between bands if `other` replaced this score."""
        if not isinstance(other, LeadScore):
            raise InputError(
                f"other is {checks.shown(other)}: a LeadScore is needed.", argument="other", code="wrong_type"
            )
        return BandMoves.of(self.evaluate(base, as_of=as_of), other.evaluate(base, as_of=as_of))

    # ---- one

    def one(
        self,
        customer: Customer | CustomerHistory | None,
        events: Iterable[AnyEvent] | None = None,
        *,
        as_of: Instant,
        tz: str | None = None,
    ) -> LeadExplanation:
        """Score one lead and explain the score.

        Parameters
        ----------
        customer : Customer, CustomerHistory or None
            The lead's fields; None if only the events are known. A `CustomerHistory` also holds the events, and is
            read once for many evaluations.
        events : iterable of Event
            The lead's events in any order; leave them out if `customer` is a `CustomerHistory`.
        as_of : instant
            The instant of the score; events after it are not seen.
        tz : str, optional
            The time zone of calendar days and dates; by default that of the history, or UTC.

        Returns
        -------
        LeadExplanation
            The same points as `evaluate` gives, to the last bit, with one line per rule and per cap that binds.
        """
        return self._explained(*person_of(customer, events, as_of=as_of, tz=tz))

    def explain(self, base: CustomerBase, customer_id: int | str, *, as_of: Instant) -> LeadExplanation:
        """Score one customer of a base and explain the score, as `one` does."""
        self._check_on(base)
        return self._explained(Person.from_base(base, customer_id, as_of=as_of), base.tz_of(customer_id))

    def _explained(self, person: Person, tz: str) -> LeadExplanation:
        program = self._programs.get(tz)
        if program is None:
            program = self._programs[tz] = _KEPT.get((fingerprint(self.to_dict()), tz), lambda: ScoreProgram(self, tz))
        return LeadExplanation.of(program, person)

    @cached_property
    def _programs(self) -> dict[str, ScoreProgram]:
        return {}

    # ---- the definition

    @classmethod
    def check(cls, body: JsonBody, schema: Schema | None = None, limits: Limits | None = None) -> CheckedScore:
        """Return the score that a definition from outside describes, or None with every problem at once.

        Parameters
        ----------
        body : str, bytes or mapping
            The definition as JSON text, or as the object parsed from it.
        schema : Schema, optional
            The fields and events that exist; without it, names are not checked.
        limits : Limits, optional
            How large the definition may be.

        Examples
        --------
        >>> found = LeadScore.check({"relmark": "lead_score", "version": 1, "name": "s", "rules": [
        ...     {"name": "a", "when": {"op": "exist", "events": {"types": ["visit"]}}, "points": 3},
        ...     {"name": "b", "each": {"types": []}, "points": 3}]})
        >>> [problem.path for problem in found.problems]
        ['$.rules[0].when.op', '$.rules[1].each']
        """
        return check_score(cls, body, schema, limits)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return score_shape(limits)

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        return score_definitions(limits)

    def _meaning(self) -> dict[str, Any]:
        body = super()._meaning()
        places = {group.name: number for number, group in enumerate(self.groups)}
        rules = [{key: part for key, part in rule.items() if key != "name"} for rule in body["rules"]]
        for rule in rules:
            if "group" in rule:
                rule["group"] = places[rule["group"]]
        groups = [{key: part for key, part in group.items() if key != "name"} for group in body.get("groups", [])]
        grades = body.get("grades")
        if grades is not None:
            marks = [[places[name], grades["marks"][name]] for name in grades["order"]]
            body = {**body, "grades": marks}
        return {**body, "rules": rules, "groups": groups}

    def needs(self) -> Needs:
        """Return what the rules need together: fields, events with their properties, and how far back they look.

        A rule with `each` needs events as far back as its `expires`. Without `expires` it needs all events, since the
        explanation lists every event, even if its points have faded. `crossed` needs events further back, because it
        also scores at `since`.

        Examples
        --------
        >>> from relmark import days, event
        >>> LeadScore(name="s", rules=[Rule("visit", each=event("visit"), points=3, expires=days(90))]).needs()
        Needs(fields=(), events={'visit': ()}, horizon=90 days)
        """
        return sum((rule.needs() for rule in self.rules), Needs())

    def problems(self, schema: Schema) -> tuple[Problem, ...]:
        """Return every part of the rules that does not fit a schema, with its JSON path; () if all parts fit."""
        found: list[Problem] = []
        for path, test in self._tests():
            found += [problem for problem in rule_problems(test, schema, path=path) if problem not in found]
        return tuple(found)

    def _tests(self) -> list[tuple[str, Expression]]:
        return [
            (f"$.rules[{position}].{key}", test)
            for position, rule in enumerate(self.rules)
            for key, test in rule.tests()
        ]

    @cached_property
    def _repeated(self) -> set[str]:
        """The fingerprints of expressions that occur more than once, whose results are kept while a base is scored."""
        counts: Counter[str] = Counter()
        for rule in self.rules:
            for root in (rule.when, None if rule.each is not None else rule.source):
                if root is not None:
                    counts.update(node.fingerprint for _, node in walk(root) if isinstance(node, Expression))
        return {key for key, count in counts.items() if count > 1}

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"name": self.name, "rules": [rule.to_dict() for rule in self.rules]}
        if self.groups:
            body["groups"] = [group.to_dict() for group in self.groups]
        if self.bands:
            body["bands"] = {name: plain(low) for name, low in self.bands.items()}
        if self.grades is not None:
            body["grades"] = self.grades.to_dict()
        for name in ("cap", "floor"):
            if (bound := getattr(self, name)) is not None:
                body[name] = plain(bound)
        return body

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        check_keys(
            body, required=("name", "rules"), optional=("groups", "bands", "grades", "cap", "floor"), what="lead score"
        )
        for name in ("rules", "groups"):
            if not isinstance(body.get(name, []), list):
                raise DefinitionError(f"{name} must be a list.", path=f"$.{name}", code="wrong_type")
        rules = [Rule._read(rule, limits, f"$.rules[{k}]") for k, rule in enumerate(body["rules"])]  # noqa: SLF001
        groups = [Group._read(group, f"$.groups[{k}]") for k, group in enumerate(body.get("groups", []))]  # noqa: SLF001
        grades = None if "grades" not in body else Grade._read(body["grades"], "$.grades")  # noqa: SLF001
        try:
            return cls(
                name=body["name"],
                rules=rules,
                groups=groups,
                bands=body.get("bands"),
                grades=grades,
                cap=body.get("cap"),
                floor=body.get("floor"),
            )
        except InputError as error:
            raise definition_error(error, keys=body) from None


def _bounded(
    points: npt.NDArray[np.float64], cap: float | None, floor: float | None, lost: Iterator[npt.NDArray[np.float64]]
) -> None:
    """Bound points by a cap and a floor in place, and store what each took away or added in the next row of `lost`."""
    for bound, cut in ((cap, np.minimum), (floor, np.maximum)):
        if bound is not None:
            row = next(lost)
            np.subtract(thousandths(bound), points, out=row)
            cut(row, 0.0, out=row)
            points += row
