"""The explanation of one lead's score: one line per rule and per cap that binds, which add up exactly to the total."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from relmark.core.formats import text_table
from relmark.core.results import Result
from relmark.core.time import Instant, aware, instant_text, instant_texts
from relmark.expressions.scalar import Person
from relmark.expressions.scalar_calendar import Dated, Zone
from relmark.expressions.scalar_person import given_time, point_in_time
from relmark.scoring._changes import Course
from relmark.scoring._one import Found, ScoreProgram, Totals
from relmark.scoring.points import Points

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EventPoints", "LeadExplanation", "Line"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventPoints(Result):
    """One event of a rule and the points that it gave.

    Parameters
    ----------
    type : str
        The event type.
    time : datetime
        When it happened, in UTC.
    value : float or None
        The event's value, if it has one.
    raw, after_decay : Points
        The points before and after decay.
    points : Points
        The points after the bounds of the period and the rule, which keep the points of the newest events.
    """

    type: str
    time: datetime
    value: float | None
    raw: Points
    after_decay: Points
    points: Points


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Line(Result):
    """The points that one rule gave, one cap took away, or one floor gave back.

    Parameters
    ----------
    rule : str
        The rule's name, or "cap of <group>", "floor of <group>", "cap of total" or "floor of total".
    kind : str
        "rule", "cap" or "floor".
    group : str or None
        The group of the rule, or the group that the cap or floor belongs to.
    points : Points
        The points that count toward the total: 0 or less for a cap, 0 or more for a floor.
    raw, after_decay : Points
        The points before decay and caps, and after decay.
    lost_to_cap : Points
        The points that the bounds of the period and the rule took away; negative if a floor gave points back. On the
        line of a cap or floor, the points that it took away or gave back.
    missing : tuple of str
        The unknown values because of which the rule gave no points, or fewer.
    """

    rule: str
    kind: str
    group: str | None
    points: Points
    raw: Points
    after_decay: Points
    lost_to_cap: Points
    missing: tuple[str, ...]
    _found: Found | None

    @property
    def events(self) -> tuple[EventPoints, ...]:
        """The events of the rule that have not expired, oldest first; empty for conditions and caps.

        Tiers give points for a number of events, so that each event has 0 points.
        """
        return tuple(self._worths())

    def _worths(self) -> Iterator[EventPoints]:
        for worth in () if self._found is None else self._found.events:
            value = worth.what.value
            yield EventPoints(
                type=worth.what.type,
                time=aware(worth.time),
                value=None if value is None else float(value),
                raw=Points.of(worth.raw),
                after_decay=Points.of(worth.faded),
                points=Points.of(worth.kept),
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the line with its events as JSON-ready values."""
        found = self._found
        events: list[dict[str, Any]] = []
        if found is not None:
            texts = instant_texts(found.times)
            for text, what, raw, faded, kept in zip(texts, found.what, *found.points, strict=True):
                value = what.value
                events.append(
                    {
                        "type": what.type, "time": text, "value": None if value is None else float(value),
                        "raw": raw / 1000, "after_decay": faded / 1000, "points": kept / 1000,
                    }
                )  # fmt: skip
        return super().to_dict() | {"events": events}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeadExplanation(Result):
    """The score of one lead with its reasons; the result of `LeadScore.one` and `LeadScore.explain`.

    Parameters
    ----------
    customer_id : int, str or None
        The lead's id, if it is known.
    name : str
        The name of the score.
    as_of : datetime64
        The date, or the instant in UTC, of the score.
    total : Points
        The score: the sum of the points of `lines`. It equals the entry of `LeadScores.total` to the last bit.
    band : str
        The band of the total; "" below the lowest band.
    grade : str
        The grade; "" if there is none.
    lines : tuple of Line
        One line per rule in the order of the score, then the caps and floors that bind.
    by_group : dict of str to Points
        The points of each group after its cap and floor.
    """

    customer_id: int | str | None
    name: str
    as_of: np.datetime64
    total: Points
    band: str
    grade: str
    lines: tuple[Line, ...]
    by_group: dict[str, Points]
    _program: ScoreProgram
    _person: Person
    _found: tuple[Found, ...]

    @classmethod
    def of(cls, program: ScoreProgram, person: Person) -> LeadExplanation:
        """Return the explanation of a person's score at their `as_of`."""
        at = person.as_of
        found = tuple(rule.found(person, at) for rule in program.rules)
        totals = program.summed([one.kept for one in found])
        score = program.score
        lines = [
            Line(
                rule=rule.rule.name,
                kind="rule",
                group=rule.rule.group,
                points=Points.of(one.kept),
                raw=Points.of(one.raw),
                after_decay=Points.of(one.faded),
                lost_to_cap=Points.of(one.faded - one.kept),
                missing=rule.missing(person, at),
                found=one,
            )
            for rule, one in zip(program.rules, found, strict=True)
        ]
        return cls(
            customer_id=person.id,
            name=score.name,
            as_of=given_time(at, Zone(program.tz)),
            total=Points.of(totals.total),
            band=program.band(totals.total),
            grade=program.grade(totals.groups),
            lines=(*lines, *_bound_lines(program, totals)),
            by_group={group.name: Points.of(points) for group, points in zip(score.groups, totals.groups, strict=True)},
            program=program,
            person=person,
            found=found,
        )

    @cached_property
    def next_change(self) -> datetime | None:
        """The first instant at which the total changes if nothing else happens, in UTC; None if not within 100 years.

        Points that fade by half-life or in a straight line soon change by a thousandth; `next_band_change` is then the
        more useful instant. The work of the search is bounded. If points cancel each other almost everywhere, the
        result is an instant before which nothing changes, and a new search from that instant continues.
        """
        return self._next(bands=False)

    @cached_property
    def next_band_change(self) -> datetime | None:
        """The first instant at which the band or the grade changes if nothing else happens, in UTC; None if never."""
        return self._next(bands=True)

    def _next(self, *, bands: bool) -> datetime | None:
        at, program = int(self._person.as_of), self._program
        if at is not self._person.as_of:  # a date: at the instant of its midnight the score may differ
            now = program.summed([one.kept for one in self._course.found])
            if bands and (program.band(now.total), program.grade(now.groups)) != (self.band, self.grade):
                return aware(at)
            if not bands and now.total != self.total.thousandths:
                return aware(at)
        found, _ = self._course.next_change(bands=bands)
        return None if found is None else aware(found)

    @cached_property
    def _course(self) -> Course:
        at = int(self._person.as_of)
        found = self._found
        if at is not self._person.as_of:
            found = tuple(rule.found(self._person, at) for rule in self._program.rules)
        return Course(self._program, self._person, found)

    @property
    def next_band(self) -> tuple[str, Points] | None:
        """The next higher band and the points that are missing to reach it; None in the highest band."""
        higher = [(name, low) for name, low in self._program.score.bands.items() if low > self.total]
        if not higher:
            return None
        name, low = higher[-1]
        return name, Points.of(round(low * 1000) - self.total.thousandths)

    def crossed(self, since: Instant) -> tuple[str, ...]:
        """Return the bands whose lowest score the lead has reached since an instant, the lowest band first.

        The lead's fields have their current values at both instants.
        """
        before = self._program.totals(self._person, point_in_time(since, self._program.tz, "since")).total / 1000
        bands = self._program.score.bands
        return tuple(name for name, low in reversed(bands.items()) if before < low <= self.total)

    def to_dict(self, *, changes: bool = True) -> dict[str, Any]:
        """Return the explanation as JSON-ready values.

        Parameters
        ----------
        changes : bool
            Whether to include `next_change` and `next_band_change`.
        """
        body = {name: getattr(self, name) for name in ("customer_id", "name", "band", "grade")}
        following = {"next_change": self.next_change, "next_band_change": self.next_band_change} if changes else {}
        return {
            **body,
            "as_of": self._when,
            "total": float(self.total),
            "lines": [line.to_dict() for line in self.lines],
            "by_group": {name: float(points) for name, points in self.by_group.items()},
            "next_band": None if (after := self.next_band) is None else [after[0], float(after[1])],
            **{
                name: None if moment is None else moment.isoformat().replace("+00:00", "Z")
                for name, moment in following.items()
            },
        }

    def _facts(self) -> dict[str, Any]:
        facts = {"customer_id": self.customer_id, "total": self.total, "band": self.band, "grade": self.grade}
        return {**{name: value for name, value in facts.items() if value not in (None, "")}, "as_of": self._when}

    @property
    def _when(self) -> str:
        at = self._person.as_of
        return str(self.as_of) if at.__class__ is Dated else instant_text(at)

    def _table(self) -> dict[str, Any]:
        shown = [line for line in self.lines if line.raw or line.points or line.missing]
        table: dict[str, Any] = {
            "rule": [line.rule for line in shown] + ["total"],
            "events": [len(line.events) or "" for line in shown] + [""],
            "raw": [float(line.raw) if line.kind == "rule" else "" for line in shown] + [""],
            "after decay": [float(line.after_decay) if line.kind == "rule" else "" for line in shown] + [""],
            "lost to cap": [float(line.lost_to_cap) if line.lost_to_cap else "" for line in shown] + [""],
            "points": [float(line.points) for line in shown] + [float(self.total)],
        }
        if any(line.missing for line in shown):
            table["unknown"] = ["; ".join(line.missing) for line in shown] + [""]
        return table

    def __str__(self) -> str:
        words = [f"{self.name}: {float(self.total):g} points"]
        words += [f"band {self.band}"] if self.band else []
        words += [f"grade {self.grade}"] if self.grade else []
        if (after := self.next_band) is not None:
            words.append(f"{float(after[1]):g} to {after[0]}")
        return f"{', '.join(words)}, as of {self._when}\n{text_table(self._table(), rows=len(self.lines) + 1)}"


def _bound_lines(program: ScoreProgram, totals: Totals) -> Iterator[Line]:
    """Yield a line for each cap that takes points away and each floor that adds some, for groups and for the total."""
    score = program.score
    sums = [0] * (len(score.groups) + 1)  # the last entry is for rules without a group
    for points, place in zip(totals.rules, program.group, strict=True):
        sums[place] += points
    for group, before, kept in zip(score.groups, sums, totals.groups, strict=False):
        if before != kept:
            yield _bound_line(group.name, group.name, kept - before)
    before = sums[-1] + sum(totals.groups)
    if before != totals.total:
        yield _bound_line("total", None, totals.total - before)


def _bound_line(name: str, group: str | None, added: int) -> Line:
    nothing = Points.of(0)
    return Line(
        rule=f"{'cap' if added < 0 else 'floor'} of {name}",
        kind="cap" if added < 0 else "floor",
        group=group,
        points=Points.of(added),
        raw=nothing,
        after_decay=nothing,
        lost_to_cap=Points.of(-added),
        missing=(),
        found=None,
    )
