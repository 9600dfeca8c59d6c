"""A lead score as expressions of an engine: the points of each rule in whole thousandths, added up within bounds.

Only numpy can evaluate points that decay continuously, points with caps per period, and computed points. A score with
such rules raises an error that names their paths, and `apply` takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from relmark.engines.facts import Facts
from relmark.engines.portable import reasons
from relmark.engines.visitor import Visitor
from relmark.expressions import Expression, Selection, Window, nodes
from relmark.scoring import ByValue, LeadScore, Rule, Tiers
from relmark.scoring.decay import StepDecay

__all__ = ["score_columns", "score_reasons", "score_roots"]


def score_roots(score: LeadScore) -> dict[str, Expression]:
    """Return rules, by their paths, that are portable and fit the data exactly if the score does."""
    found: dict[str, Expression] = {}
    for k, rule in enumerate(score.rules):
        path, source = f"$.rules[{k}]", rule.source
        asked = None if source is None else _asked(rule, source)
        if rule.when is not None:
            found[f"{path}.when"] = rule.when
            if asked is not None:
                found[f"{path}.points"] = asked
        elif rule.each is not None:
            found[f"{path}.each"] = rule.each.exists()
            if asked is not None:
                found[f"{path}.points"] = Selection(rule.each.types, asked).exists()
    return found


def score_reasons(score: LeadScore, *, tz: str) -> dict[str, str]:
    """Return the reason for each path of a score that only numpy can evaluate."""
    found: dict[str, str] = {}
    for root, asked in score_roots(score).items():
        found |= {f"{root}{inner[1:]}": why for inner, why in reasons(asked, tz=tz).items()}
    for k, rule in enumerate(score.rules):
        path = f"$.rules[{k}]"
        if rule.cap_per is not None:
            found[f"{path}.cap_per"] = "caps per period"
        if rule.once_per is not None:
            found[f"{path}.once_per"] = "the newest event of each value"
        if rule.decay is not None and not isinstance(rule.decay, StepDecay):
            found[f"{path}.decay"] = "points that decay continuously: use step_decay"
        if isinstance(rule.points, Expression):
            found[f"{path}.points"] = "computed points"
    return found


class Stages:
    """Columns of customers in stages, each computed from earlier ones and only once."""

    def __init__(self, nw: Any) -> None:
        self.nw = nw
        self.columns: list[dict[str, Any]] = []

    def add(self, stage: dict[str, Any]) -> dict[str, Any]:
        """Add a stage, and return its columns for use in later stages."""
        place = len(self.columns)
        named = {name: f"__stage_{place}_{k}" for k, name in enumerate(stage)}
        self.columns.append({named[name]: expression for name, expression in stage.items()})
        return {name: self.nw.col(column) for name, column in named.items()}


def score_columns(
    nw: Any, score: LeadScore, outer: Visitor, inner: Visitor, facts: Facts
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return stages of columns, and the columns of `LeadScores.to_columns` without customer_id."""
    stages = Stages(nw)
    by_rule = stages.add({rule.name: _rule(nw, rule, outer, inner, facts) for rule in score.rules})
    sums = {group.name: nw.lit(0.0) for group in score.groups}
    for rule in score.rules:
        if rule.group is not None:
            sums[rule.group] = sums[rule.group] + by_rule[rule.name]
    groups, lost = _bounded(stages, sums, {group.name: (group.cap, group.floor) for group in score.groups})
    total = nw.lit(0.0)
    for points in (*(by_rule[rule.name] for rule in score.rules if rule.group is None), *groups.values()):
        total = total + points
    whole, more = _bounded(stages, {"total": total}, {"total": (score.cap, score.floor)})
    named = stages.add({name: points / 1000.0 for name, points in {**groups, "": whole["total"]}.items()})
    points = named.pop("")
    columns = {"total": points, "band": _named_from(nw, points, list(score.bands.items()), "")}
    columns["grade"] = _grade(nw, score, named)
    columns |= {f"group.{name}": held for name, held in named.items()}
    columns |= {f"rule.{name}": held / 1000.0 for name, held in by_rule.items()}
    columns |= {f"cap.{name}": away / 1000.0 for name, away in zip(score.caps, lost + more, strict=True)}
    return stages.columns, columns


def _asked(rule: Rule, source: Expression) -> Expression:
    """Return a test of the source of points that fits the data exactly if the points do."""
    if isinstance(rule.points, ByValue):
        return nodes.IsIn(source, tuple(key for key, _ in rule.points.table))
    return nodes.Compare("ge", source, nodes.Literal(0.0))


def _thousandths(points: float, factor: float = 1.0) -> float:
    """Return points as whole thousandths, rounded half to even, as in numpy."""
    return float(np.rint(points * 1000.0 * factor))


def _rule(nw: Any, rule: Rule, outer: Visitor, inner: Visitor, facts: Facts) -> Any:
    if rule.when is not None:
        found = nw.when(outer.truth(rule.when)).then(_worth(nw, rule, outer, 1.0)).otherwise(nw.lit(0.0))
    else:
        assert rule.each is not None
        window = Window(within=rule.expires)
        if isinstance(rule.points, Tiers):
            found = _tier(nw, rule.points, facts.count(rule.each, window))
        else:
            found = facts.points(rule.each, window, rule.name, _faded(nw, rule, inner, facts))
    for bound, above in ((rule.limit, True), (rule.floor, False)):
        if bound is not None:
            found = _kept(nw, found, _thousandths(bound), above=above)
    return found


def _faded(nw: Any, rule: Rule, inner: Visitor, facts: Facts) -> Any:
    """Return the points of an event at its age."""
    found = _worth(nw, rule, inner, 1.0)
    if isinstance(rule.decay, StepDecay):
        for edge, (_, factor) in zip(rule.decay.edges(), rule.decay.steps, strict=True):
            old = facts.compared("le", facts.time, inner.days_ago(edge))
            found = nw.when(old).then(_worth(nw, rule, inner, factor)).otherwise(found)
    return found


def _worth(nw: Any, rule: Rule, visitor: Visitor, factor: float) -> Any:
    """Return the points of a customer or an event, times a factor, in thousandths."""
    points, source = rule.points, rule.source
    if isinstance(points, ByValue) and source is not None:
        found = nw.lit(_thousandths(points.otherwise, factor))
        for value, worth in points.table:
            same = visitor.truth(nodes.Compare("eq", source, nodes.Literal(value)))
            found = nw.when(same).then(nw.lit(_thousandths(worth, factor))).otherwise(found)
        return found
    if isinstance(points, Tiers) and source is not None:

        def reached(low: float) -> Any:
            return visitor.truth(nodes.Compare("ge", source, nodes.Literal(low)))

        return _steps(nw, points, reached)
    assert isinstance(points, float)
    return nw.lit(_thousandths(points, factor))


def _tier(nw: Any, tiers: Tiers, count: Any) -> Any:
    return _steps(nw, tiers, lambda low: count >= low)


def _steps(nw: Any, tiers: Tiers, reached: Callable[[float], Any]) -> Any:
    found = nw.lit(0.0)
    for low, points in tiers.steps:  # in ascending order: the highest tier that is reached decides
        found = nw.when(reached(low)).then(nw.lit(_thousandths(points))).otherwise(found)
    return found


def _kept(nw: Any, points: Any, bound: float, *, above: bool) -> Any:
    return (nw.min_horizontal if above else nw.max_horizontal)(points, nw.lit(bound))


def _bounded(
    stages: Stages, points: dict[str, Any], bounds: dict[str, tuple[float | None, float | None]]
) -> tuple[dict[str, Any], list[Any]]:
    """Return points within their caps and floors, and how much each bound removed or added, in the order of names."""
    before = stages.add(points)
    capped = stages.add({name: held if (cap := bounds[name][0]) is None
                         else _kept(stages.nw, held, _thousandths(cap), above=True)
                         for name, held in before.items()})  # fmt: skip
    after = stages.add({name: held if (floor := bounds[name][1]) is None
                        else _kept(stages.nw, held, _thousandths(floor), above=False)
                        for name, held in capped.items()})  # fmt: skip
    lost = []
    for name, (cap, floor) in bounds.items():
        lost += [] if cap is None else [capped[name] - before[name]]
        lost += [] if floor is None else [after[name] - capped[name]]
    return after, lost


def _named_from(nw: Any, points: Any, cuts: list[tuple[str, float]], below: str) -> Any:
    """Return the name of the highest cut that is reached."""
    found = nw.lit(below)
    for name, low in sorted(cuts, key=lambda pair: pair[1]):
        found = nw.when(points >= low).then(nw.lit(name)).otherwise(found)
    return found


def _grade(nw: Any, score: LeadScore, groups: dict[str, Any]) -> Any:
    if score.grades is None:
        return nw.lit("")
    marks: list[str] = [""]
    graded: list[Any] = [None]
    for name, (names, cuts) in score.grades.groups.items():
        points = groups[name]
        steps = sorted(zip(names, cuts, strict=True), key=lambda pair: pair[1])
        inside = [points >= low for _, low in steps]
        made_marks, made = [], []
        for mark, before in zip(marks, graded, strict=True):
            for k, (own, _) in enumerate(steps):
                here = inside[k] if k + 1 == len(steps) else inside[k] & ~inside[k + 1]
                made_marks.append(mark + own)
                made.append(here if before is None else before & here)
        marks, graded = made_marks, made
    found = nw.lit("")
    for mark, here in zip(marks, graded, strict=True):
        found = nw.when(here).then(nw.lit(mark)).otherwise(found)
    return found
