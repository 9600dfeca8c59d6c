"""The parts of a lead score: rules that give points, groups of rules, and grades by the points of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from relmark.core import checks
from relmark.core.documents import Limits, check_keys
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.names import did_you_mean
from relmark.core.time import duration, duration_text, parse_duration
from relmark.expressions import Expression, Selection
from relmark.expressions.lengths import length
from relmark.expressions.literals import plain_text
from relmark.expressions.needs import Needs, needs_of_events, properties_of
from relmark.expressions.nodes import PERIODS, Aggregate, Field, Prop
from relmark.expressions.stored import read, read_selection, written
from relmark.expressions.walk import asks_the_clock, walk
from relmark.scoring.bands import read_bands
from relmark.scoring.decay import Decay, check_decay, read_decay
from relmark.scoring.points import ByValue, RulePoints, Tiers, plain, points_of_body, read_rule_points, written_points

__all__ = ["Grade", "Group", "Rule"]

_US = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def _check_name(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    plain_text(attribute.name, checks.text(attribute.name, value))


def _check_group(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    if value is not None:
        plain_text("group", checks.text("group", value))


def _check_property(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    if value is not None:
        plain_text(attribute.name, checks.text(attribute.name, value))


def group_error(what: str, argument: str, name: str, known: Sequence[str]) -> InputError | None:
    """Return the error of a name of a group that a score does not have; None where it has it."""
    if name in known:
        return None
    listed = ", ".join(map(repr, known)) or "none"
    return InputError(
        f"{what} names the group {name!r}, but groups has {listed}.",
        argument=argument,
        code="unknown_name",
        hint=did_you_mean(name, known),
    )


def read_cap(value: float | None) -> float | None:
    """Return a cap of 0 or more, or None."""
    return None if value is None else checks.number("a cap", value, low=0, high=1e12)


def read_floor(value: float | None) -> float | None:
    """Return a floor of 0 or less, or None."""
    return None if value is None else checks.number("a floor", value, low=-1e12, high=0)


@attrs.frozen(eq=False)
class Rule:
    """One way to earn points, or to lose them.

    Parameters
    ----------
    name : str
        The name in explanations; unique in a score.
    when : Expression, optional
        A condition on the customer, which gives its points once. An unknown condition gives none.
    each : Selection, optional
        Events, each of which gives points. Give exactly one of `when` and `each`.
    points : float, Expression, ByValue or Tiers
        A number, a calculation, a table by value, or tiers by a count. A calculation uses ``prop(...)`` with `each`,
        and fields and figures with `when`. At most a million points at once; negative if the rule takes points away.
    group : str, optional
        The group to which the points belong; without one they count directly toward the total.
    cap : float, optional
        The most that the rule gives; with `cap_per`, the most that it gives in each period.
    cap_per : timedelta or str, optional
        The period of `cap`: a duration, or "day", "week" (from Monday), "month", "quarter" or "year". Periods are fixed
        in the calendar of the business's time zone. Whole days are counted from 1970-01-01, and other durations from
        midnight of that day in UTC.
    cap_total : float, optional
        With `cap_per`, the most that the rule gives in all.
    floor : float, optional
        The least that the rule gives in all, 0 or less. It limits what ten complaints can take away, for example.
    once_per : str, optional
        A property of the events of `each`. Of several events with the same value, only the newest gives points, so that
        a message opened three times counts once. If several are equally new, the one with the most points counts. Every
        event without the property counts.
    decay : optional
        How the points of an event fade with its age: `half_life`, `linear_decay` or `step_decay`.
    expires : timedelta, optional
        The age from which an event gives nothing.

    Raises
    ------
    InputError
        Neither or both of `when` and `each` were given, or an argument that needs `each` was given with `when`.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> from relmark.expressions import event, field
    >>> Rule("in territory", when=field("country").is_in(["RU", "KZ"]), points=8, group="fit").points
    8.0
    >>> Rule("visit", each=event("visit"), points=3, cap=9, cap_per=days(1), cap_total=30).cap_total
    30.0
    """

    name: str = attrs.field(validator=_check_name)
    when: Expression | None = attrs.field(default=None, kw_only=True)
    each: Selection | None = attrs.field(default=None, kw_only=True)
    points: RulePoints = attrs.field(kw_only=True, converter=read_rule_points)
    group: str | None = attrs.field(default=None, kw_only=True, validator=_check_group)
    cap: float | None = attrs.field(default=None, kw_only=True, converter=read_cap)
    cap_per: timedelta | str | None = attrs.field(default=None, kw_only=True)
    cap_total: float | None = attrs.field(default=None, kw_only=True, converter=read_cap)
    floor: float | None = attrs.field(default=None, kw_only=True, converter=read_floor)
    once_per: str | None = attrs.field(default=None, kw_only=True, validator=_check_property)
    decay: Decay | None = attrs.field(default=None, kw_only=True, validator=check_decay)
    expires: timedelta | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check that the parts fit together."""
        if (self.when is None) == (self.each is None):
            raise InputError(
                f"rule {self.name!r}: give exactly one of when= (a condition) and each= (events).",
                argument="when",
                code="conflicting_arguments",
            )
        if self.when is not None:
            self._check_when()
        else:
            self._check_each()
        if self.cap_total is not None and self.cap_per is None:
            raise InputError(
                f"rule {self.name!r}: cap_total= is for rules with cap_per=; without it, cap= limits the total.",
                argument="cap_total",
                code="conflicting_arguments",
            )

    def _check_when(self) -> None:
        when: Any = self.when
        if not isinstance(when, Expression):
            hint = " Say which figure of the events, such as .exists()." if isinstance(when, Selection) else ""
            raise InputError(
                f"rule {self.name!r}: when is {checks.shown(self.when)}, but a condition is needed.",
                argument="when",
                code="wrong_type",
                hint=hint,
            )
        if asks_the_clock(when) or (self.source is not None and asks_the_clock(self.source)):
            raise InputError(
                f"rule {self.name!r}: its condition depends on the current hour or day of the week, so the score would "
                "change with the hour: test the events instead, as in event('visit').hour_of_day(18, 22), or put the "
                "test into the rule that sends messages.",
                argument="when",
                code="not_supported",
            )
        for name in ("cap_per", "decay", "expires", "once_per"):
            if getattr(self, name) is not None:
                raise InputError(
                    f"rule {self.name!r}: {name}= is for the events of each=; a condition counts once.",
                    argument=name,
                    code="conflicting_arguments",
                )
        if not isinstance(self.points, Tiers) and (source := self.source) is not None and _grows(source):
            raise InputError(
                f"rule {self.name!r}: its points would change with every moment, since {source!r} does: use "
                "Tiers({...}, of=...), or each= with decay=.",
                argument="points",
                code="conflicting_arguments",
            )
        if isinstance(self.points, Tiers) and self.points.of is None:
            raise InputError(
                f"rule {self.name!r}: Tiers without of= count the events of each=, but the rule has when=.",
                argument="points",
                code="missing_argument",
                hint="Give Tiers(..., of=...) the field or the expression that it should look at.",
            )

    def _check_each(self) -> None:
        if not isinstance(self.each, Selection):
            raise InputError(
                f"rule {self.name!r}: each is {checks.shown(self.each)}, but events are needed, as in event('visit').",
                argument="each",
                code="wrong_type",
            )
        if self.expires is not None:
            duration("expires", self.expires)
        if isinstance(self.cap_per, str):
            checks.one_of("cap_per", self.cap_per, PERIODS)
        elif self.cap_per is not None:
            duration("cap_per", self.cap_per)
        if self.cap_per is not None and self.cap is None:
            raise InputError(
                f"rule {self.name!r}: cap_per= needs cap=: say how many points a period may give.",
                argument="cap_per",
                code="missing_argument",
            )
        if isinstance(self.points, Tiers):
            if self.points.of is not None:
                raise InputError(
                    f"rule {self.name!r}: Tiers(of=...) is for when=; with each=, tiers count the events.",
                    argument="points",
                    code="conflicting_arguments",
                )
            if self.decay is not None or self.cap_per is not None:
                raise InputError(
                    f"rule {self.name!r}: tiers count events, so decay= and cap_per= do not fit.",
                    argument="decay",
                    code="conflicting_arguments",
                )

    # Used by the evaluation

    @property
    def source(self) -> Expression | None:
        """The expression from which points are computed; None if they are a number or count the events."""
        if isinstance(self.points, Expression):
            return self.points
        if isinstance(self.points, (ByValue, Tiers)) and self.points.of is not None:
            of = self.points.of
            return of if isinstance(of, Expression) else (Field(of) if self.each is None else Prop(of))
        return None

    @property
    def limit(self) -> float | None:
        """The most that the rule gives in all."""
        return self.cap if self.cap_per is None else self.cap_total

    def tests(self) -> tuple[tuple[str, Expression], ...]:
        """Return expressions, with their keys, that fit the data exactly if this rule does; type checks use them."""
        source = self.source
        asked = None
        if source is not None:
            asked = (
                source.is_in([key for key, _ in self.points.table]) if isinstance(self.points, ByValue) else source >= 0
            )
        if self.when is not None:
            return (("when", self.when),) if asked is None else (("when", self.when), ("points", asked))
        assert self.each is not None
        seen = ("each", self.each.exists())
        found = (seen,) if asked is None else (seen, ("points", self.each.last_event(asked)))
        if self.once_per is None:
            return found
        return (*found, ("once_per", self.each.count_distinct(self.once_per) >= 1))

    def needs(self) -> Needs:
        """Return what the rule needs: fields, events with their properties, and how far back it looks."""
        source = self.source
        if self.when is not None:
            return self.when.needs() if source is None else self.when.needs() + source.needs()
        assert self.each is not None
        asked = () if source is None else properties_of(source)
        once = () if self.once_per is None else (self.once_per,)
        return needs_of_events(self.each, None if self.expires is None else length(self.expires), (*asked, *once))

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON-ready values, without those that equal the default."""
        body: dict[str, Any] = {"name": self.name, "points": written_points(self.points)}
        if self.when is not None:
            body["when"] = written(self.when)
        else:
            body["each"] = written(self.each)
        for name in ("group", "cap", "cap_total", "floor", "once_per"):
            if (value := getattr(self, name)) is not None:
                body[name] = plain(value) if isinstance(value, float) else value
        for name in ("cap_per", "expires"):
            if (value := getattr(self, name)) is not None:
                body[name] = value if isinstance(value, str) else duration_text(value)
        return body if self.decay is None else {**body, "decay": self.decay.to_dict()}

    @classmethod
    def _read(cls, body: Any, limits: Limits, path: str) -> Rule:
        """Return the rule from a stored definition."""
        named = ("group", "cap", "cap_total", "floor", "once_per")
        optional = ("when", "each", *named, "cap_per", "decay", "expires")
        body = check_keys(body, required=("name", "points"), optional=optional, path=path, what="rule")
        parts: dict[str, Any] = {name: body[name] for name in named if name in body}
        for name, bound in (("cap", read_cap), ("cap_total", read_cap), ("floor", read_floor)):
            try:
                bound(body.get(name))
            except InputError as error:
                raise definition_error(error, f"{path}.{name}") from None
        parts["points"] = points_of_body(body["points"], limits, f"{path}.points")
        if "when" in body:
            parts["when"] = read(body["when"], limits, f"{path}.when")
        if "each" in body:
            parts["each"] = read_selection(body["each"], limits, f"{path}.each")
        if "decay" in body:
            parts["decay"] = read_decay(body["decay"], f"{path}.decay")
        if "expires" in body:
            parts["expires"] = parse_duration(body["expires"], f"{path}.expires")
        if "cap_per" in body:
            given = body["cap_per"]
            parts["cap_per"] = given if given in PERIODS else parse_duration(given, f"{path}.cap_per")
        try:
            return cls(body["name"], **parts)
        except InputError as error:
            raise definition_error(error, path, body) from None


def _grows(source: Expression) -> bool:
    """Return whether a figure changes with every moment."""
    return any(isinstance(node, Aggregate) and node.op.startswith("days_since") for _, node in walk(source))


@attrs.frozen
class Group:
    """A group of rules whose points are added up together, with an optional cap and floor.

    Parameters
    ----------
    name : str
        The name by which rules refer to the group.
    cap : float, optional
        The most that the group gives.
    floor : float, optional
        The least that the group gives, 0 or less.

    Examples
    --------
    >>> Group("fit", cap=100)
    Group(name='fit', cap=100.0, floor=None)
    """

    name: str = attrs.field(validator=_check_name)
    cap: float | None = attrs.field(default=None, converter=read_cap)
    floor: float | None = attrs.field(default=None, converter=read_floor)

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON-ready values."""
        bounds = {"cap": self.cap, "floor": self.floor}
        return {"name": self.name} | {name: plain(bound) for name, bound in bounds.items() if bound is not None}

    @classmethod
    def _read(cls, body: Any, path: str) -> Group:
        """Return the group from a stored definition."""
        body = check_keys(body, required=("name",), optional=("cap", "floor"), path=path, what="group")
        try:
            return cls(body["name"], body.get("cap"), body.get("floor"))
        except InputError as error:
            raise definition_error(error, path, body) from None


class Grade:
    """A grade such as A1 by the points of groups: one mark per group, in the order given.

    Parameters
    ----------
    **groups : dict of mark to float
        For each group, by its name, the marks and their lowest points. Below the lowest mark of any group the grade is
        "".

    Examples
    --------
    >>> grade = Grade(fit={"A": 25, "B": 15, "C": 0}, engagement={1: 40, 2: 15, 3: 0})
    >>> grade.of(fit=30, engagement=20), grade.of(fit=-1, engagement=20)
    ('A2', '')
    """

    __slots__ = ("groups",)

    def __init__(self, **groups: Mapping[Any, float]) -> None:
        if not groups:
            raise InputError(
                "Grade has no groups: give the marks of at least one, such as fit={'A': 25, 'B': 0}.",
                argument="groups",
                code="empty",
            )
        read: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {}
        given: dict[str, Any] = dict(groups)
        for name, marks in given.items():
            if not isinstance(marks, Mapping) or not marks:
                raise InputError(
                    f"Grade({name}={checks.shown(marks)}): a mapping of marks to lowest points is needed.",
                    argument=name,
                    code="wrong_type",
                )
            texts = {str(mark): low for mark, low in marks.items()}
            if len(texts) < len(marks):
                raise InputError(
                    f"Grade({name}=...) has two marks with the same text: {list(marks)}.",
                    argument=name,
                    code="duplicate",
                )
            read[name] = read_bands(texts)
        self.groups = read

    def of(self, **points: float) -> str:
        """Return the grade for the points of each group, given by name."""
        marks = []
        for name, (names, cuts) in self.groups.items():
            mark = next((mark for mark, low in zip(names, cuts, strict=True) if points[name] >= low), None)
            if mark is None:
                return ""
            marks.append(mark)
        return "".join(marks)

    def to_dict(self) -> dict[str, Any]:
        """Return the marks of each group and their lowest points as JSON-ready values, in the order of the groups."""
        return {
            "order": list(self.groups),
            "marks": {
                name: {mark: plain(low) for mark, low in zip(names, cuts, strict=True)}
                for name, (names, cuts) in self.groups.items()
            },
        }

    @classmethod
    def _read(cls, body: Any, path: str) -> Grade:
        """Return the grade from a stored definition."""
        body = check_keys(body, required=("order", "marks"), path=path, what="grade")
        order, marks = body["order"], body["marks"]
        named = isinstance(order, list) and all(isinstance(name, str) for name in order)
        if not named or not isinstance(marks, Mapping) or sorted(order) != sorted(marks):
            raise DefinitionError(
                "order must list the groups that marks has, each once.", path=f"{path}.order", code="wrong_value"
            )
        try:
            return cls(**{name: marks[name] for name in order})
        except InputError as error:
            raise definition_error(error, path, marks) from None

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name}={ {mark: plain(low) for mark, low in zip(*pair, strict=True)} }"
            for name, pair in self.groups.items()
        )
        return f"Grade({parts})"
