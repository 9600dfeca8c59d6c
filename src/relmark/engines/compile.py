"""Compile segments for the frames of an engine, and select the events that definitions need, as lazy plans.

A call goes through these steps: the rule is checked against the types of the frames; each aggregate of events becomes a
column of one grouped pass; customers get their aggregates by a join; and the rule becomes one boolean expression over
fields and aggregates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from relmark.core.as_of import AsOf, read_as_of
from relmark.core.checks import shown
from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.core.schema import Schema
from relmark.core.time import Instant
from relmark.engines.facts import Facts
from relmark.engines.portable import reasons
from relmark.engines.scores import score_columns, score_reasons, score_roots
from relmark.engines.tables import EngineFrame, Table, event_names, everybody, match_ids, narwhals_module
from relmark.engines.visitor import Visitor
from relmark.expressions import Expression, Selection, nodes
from relmark.expressions.kinds import rule_problems
from relmark.expressions.needs import Needs, needs_of
from relmark.expressions.scalar import Person, Program
from relmark.expressions.scalar_calendar import Dated, Zone
from relmark.expressions.walk import walk
from relmark.scoring import LeadScore
from relmark.segmentation import SegmentSet

__all__ = ["evaluate", "where"]


class HasRule(Protocol):
    """Anything that has a rule, such as a segment."""

    @property
    def rule(self) -> Expression:
        """The rule that must be true for a member."""
        ...


def evaluate(
    definition: HasRule | Expression | SegmentSet | LeadScore,
    *,
    events: object,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    precomputed: Mapping[str, str] | None = None,
    segments: Mapping[str, Expression] | None = None,
    unknown: bool = False,
) -> EngineFrame:
    """Evaluate a definition lazily in the engine: who is a member, of which segments, or with what score.

    Parameters
    ----------
    definition : Segment, Expression, SegmentSet or LeadScore
        The segments of a set share one pass over the events. The rules of a score must be portable, and decay in steps
        (`step_decay`) or not at all.
    events : polars LazyFrame or DataFrame, DuckDB relation, PySpark DataFrame
        One row per event. Times are in UTC or have a time zone; a column of dates holds local days in `tz`. Rows
        without an id or a time are ignored. NaN and infinite numbers count as missing.
    customers : frame of the same engine, optional
        One row per customer, with fields. Without it, the result lists only customers who have events. The call checks
        its ids, and the numbers that the rule uses: missing ids, repeated ids and infinite numbers raise an error, as
        in a `CustomerTable`.
    columns : mapping of str to str
        The names of the columns for customer_id, time, type and value, and for properties or fields with other names,
        such as ``{"customer_id": "user", "time": "ts", "type": "event"}``. The names of time, type and value apply only
        to events.
    as_of : instant
        Nothing after this instant is used.
    tz : str
        The time zone of the business, for calendar dates.
    precomputed : mapping of str to str
        For paths of the rule that only numpy can evaluate, the boolean column of `customers` with their values.
    segments : mapping of str to Expression
        The rules to which ``segment("name")`` refers; a set also provides its own.
    unknown : bool
        Whether to add the column `unknown`, or ``<name>.unknown`` for each segment of a set. It marks customers for
        whom the rule is unknown because a value is missing.

    Returns
    -------
    lazy frame of the engine
        One row per customer, in no particular order, with customer_id and member; or with a boolean column for each
        segment of a set, under its name; or with the columns of `LeadScores`: total, band, grade, ``group.<name>``,
        ``rule.<name>``, ``cap.<name>``. A customer for whom a rule is unknown is not a member.

    Raises
    ------
    DefinitionError
        If only numpy can evaluate parts of the definition; the message lists their paths and the reasons.
    InputError
        If the rule is true for people without events, and `customers` is not given.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> from relmark import days, event
    >>> frame = pl.LazyFrame({"user": ["a", "a", "b"], "ts": [datetime(2026, 1, day) for day in (5, 9, 6)],
    ...                       "event": ["purchase", "purchase", "purchase"]})
    >>> found = evaluate(event("purchase").count(within=days(30)) >= 2, events=frame, as_of="2026-01-31",
    ...                  columns={"customer_id": "user", "time": "ts", "type": "event"})
    >>> found.sort("customer_id").collect().to_dicts()
    [{'customer_id': 'a', 'member': True}, {'customer_id': 'b', 'member': False}]
    """
    plan = Plan(definition, columns, as_of, tz, precomputed=precomputed, segments=segments)
    frame, made = plan.compiled(events, customers)
    return frame.select(*plan.written(made, unknown=unknown)).to_native()


class Plan:
    """The compilation of a definition for an engine: its rules by path, and the frames of a call.

    Parameters
    ----------
    definition : Segment, Expression, SegmentSet or LeadScore
    columns, as_of, tz, precomputed, segments
        As in `evaluate`.
    """

    def __init__(
        self,
        definition: HasRule | Expression | SegmentSet | LeadScore,
        columns: Mapping[str, str] | None,
        as_of: Instant,
        tz: str,
        *,
        precomputed: Mapping[str, str] | None = None,
        segments: Mapping[str, Expression] | None = None,
    ) -> None:
        self.nw = narwhals_module()
        self.definition, self.columns, self.tz = definition, columns or {}, tz
        self.names = event_names(columns)
        self.moment = read_as_of(as_of, tz=tz)
        self.segments = dict(segments or {})
        self.precomputed = dict(precomputed or {})
        self.paths: dict[str, str] = {}  # where the segments of a set are
        if isinstance(definition, SegmentSet):
            self.segments |= definition.rules
            self.paths = {name: f"$.segments[{k}].rule" for k, name in enumerate(definition.rules)}
            self.roots: dict[str, Expression] = {}
        elif isinstance(definition, LeadScore):
            self.roots = score_roots(definition)
        else:
            self.roots = {"$": definition if isinstance(definition, Expression) else definition.rule}
        self.stages: list[dict[str, Any]] = []  # columns of customers from which the result is computed
        self.whole = {path: node for root, rule in self.rules().items() for path, node in walk(rule, root)}
        self._refuse_unsupported()

    def _refuse_unsupported(self) -> None:
        if isinstance(self.definition, LeadScore):
            found = score_reasons(self.definition, tz=self.tz)
        else:
            found = {path: why for rule in self.roots.values() for path, why in reasons(rule, tz=self.tz).items()}
        found = {path: why for path, why in found.items() if path not in self.precomputed}
        for name, other in self.segments.items():
            inside = reasons(other, tz=self.tz)
            where = self.paths.get(name)
            found |= {f"{name}: {path}" if where is None else where + path[1:]: why for path, why in inside.items()}
        if found:
            listed = "; ".join(f"{path} ({why})" for path, why in list(found.items())[:8])
            raise DefinitionError(
                f"only numpy can evaluate parts of this definition: {listed}.",
                path=next(iter(found)),
                code="not_portable",
                hint="Use engines.apply, evaluate with numpy, or name a boolean column with the result in "
                "precomputed={path: column}.",
            )

    def compiled(self, events: object, customers: object, *, look: bool = True) -> tuple[Any, dict[str, Any]]:
        """Return the frame of all customers with their aggregates, and the columns of the result.

        The rows of customers are checked once, unless `look` is false.
        """
        nw, names = self.nw, self.names
        happened = Table(nw, "events", events, self.columns)
        people = None if customers is None else Table(nw, "customers", customers, self.columns)
        happened.require(names["customer_id"], names["time"], names["type"])
        if people is not None:
            people.rename_id(names["customer_id"])
        _match_ids(happened, people, names["customer_id"], self.whole)
        for path, expression in self.rules().items():
            _check(path, expression, self.whole, happened, people, self.segments)
        if people is None and not isinstance(self.definition, LeadScore):
            for expression in self.rules().values():
                _refuse_the_silent(expression, self.segments, self.precomputed, self.moment)
        zone = Zone(self.tz)
        inner = Visitor(nw, self.moment, zone, happened.column, customer_id=names["customer_id"])
        facts = Facts(nw, self.moment, names["time"], names["type"], inner.truth, happened.column)
        facts.days = happened.plain[names["time"]] == "date"
        facts.plain_sql = happened.frame.implementation.is_ibis()
        given = {} if people is None else {path: people.column(name)[0] for path, name in self.precomputed.items()}
        outer = Visitor(
            nw, self.moment, zone, happened.column if people is None else people.column,
            facts=facts, precomputed=given, segments=self.segments, customer_id=names["customer_id"],
        )  # fmt: skip
        made = self._said(outer, inner, facts)
        asked = () if people is None else _asked(self.whole, people)
        if people is not None and look:
            people.check_rows(names["customer_id"], _fields(self.whole))
        frame = everybody(nw, happened, people, names["customer_id"], asked)
        if facts.groups:
            times = happened.in_utc([names["time"], *_asked(self.whole, happened)])
            frame = frame.join(
                facts.table(times, names["customer_id"], self._needs()), on=names["customer_id"], how="left"
            )
        for stage in self.stages:
            if stage:
                frame = frame.with_columns(*[column.alias(name) for name, column in stage.items()])
        return frame, made

    def rules(self) -> dict[str, Expression]:
        """Return every rule with its path."""
        named = {self.paths.get(name, f"{name}: $"): rule for name, rule in self.segments.items()}
        return self.roots | named if not self.paths else named

    def _needs(self) -> Needs:
        if isinstance(self.definition, LeadScore):
            return self.definition.needs()
        if self.paths:
            return sum((needs_of(rule, self.segments) for rule in self.segments.values()), Needs())
        return needs_of(self.roots["$"], self.segments)

    def _said(self, outer: Visitor, inner: Visitor, facts: Facts) -> dict[str, Any]:
        if isinstance(self.definition, LeadScore):
            self.stages, columns = score_columns(self.nw, self.definition, outer, inner, facts)
            return columns
        if isinstance(self.definition, SegmentSet):
            return {name: outer.truth(nodes.SegmentRef(name)) for name in self.definition.rules}
        return {"member": outer.truth(self.roots["$"])}

    def written(self, made: Mapping[str, Any], *, unknown: bool = False) -> list[Any]:
        """Return the columns of the result."""
        chosen = [self.nw.col(self.names["customer_id"]).alias("customer_id")]
        if isinstance(self.definition, LeadScore):
            return chosen + [column.alias(name) for name, column in made.items()]
        for name, truth in made.items():
            chosen.append(truth.fill_null(False).alias(name))  # noqa: FBT003
            if unknown:
                chosen.append(truth.is_null().alias("unknown" if name == "member" else f"{name}.unknown"))
        return chosen


def where(
    needs: Needs, *, events: object, columns: Mapping[str, str] | None = None, as_of: Instant, tz: str = "UTC"
) -> EngineFrame:
    """Return the rows and columns of events that definitions need, as a lazy frame of the engine.

    The definitions give the same results on these events as on all of them, but the engine reads only a fraction: types
    that no definition uses, events from too long ago and unused columns are left out before anything is read.

    Parameters
    ----------
    needs : Needs
        ``segment.needs()``, ``score.needs()``, or several of them added up.
    events : polars LazyFrame or DataFrame, DuckDB relation, PySpark DataFrame
        One row per event, as for `evaluate`.
    columns : mapping of str to str
        The names of the columns for customer_id, time, type and value, and for properties with other names.
    as_of : instant
        Nothing after this instant is kept.
    tz : str
        The time zone of the business.

    Returns
    -------
    lazy frame of the engine
        The columns keep their names and the order of the frame.

    Raises
    ------
    MissingColumnError
        If the frame has no column of ids, times or types.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> from relmark import days, event
    >>> frame = pl.LazyFrame({"customer_id": ["a", "a", "b"], "time": [datetime(2026, 1, day) for day in (5, 29, 30)],
    ...                       "type": ["purchase", "purchase", "visit"], "page": ["x", "y", "z"]})
    >>> needs = event("purchase").exists(within=days(7)).needs()
    >>> where(needs, events=frame, as_of="2026-01-31").collect().to_dicts()
    [{'customer_id': 'a', 'time': datetime.datetime(2026, 1, 29, 0, 0), 'type': 'purchase'}]
    """
    if not isinstance(needs, Needs):
        raise InputError(
            f"needs is {shown(needs)}; it must be Needs, which a definition's needs() returns.",
            argument="needs",
            code="wrong_type",
        )
    nw = narwhals_module()
    names = event_names(columns)
    happened = Table(nw, "events", events, columns or {})
    happened.require(names["customer_id"], names["time"], names["type"])
    facts = Facts(nw, read_as_of(as_of, tz=tz), names["time"], names["type"], _no_test, happened.column)
    facts.days = happened.plain[names["time"]] == "date"
    properties = {name for known in needs.events.values() for name in known} | set(needs.any_properties)
    asked = {*names.values(), *(happened.names.get(name, name) for name in properties)}
    mask = facts.needed(needs, happened.utc(names["time"]))
    return happened.frame.filter(mask).select(*[name for name in happened.schema if name in asked]).to_native()


def _no_test(rule: Expression) -> NoReturn:
    raise AssertionError(f"{rule!r} is not tested here")


def _refuse_the_silent(
    rule: Expression, segments: Mapping[str, Expression], precomputed: Mapping[str, str], as_of: AsOf
) -> None:
    """Raise an error if a rule is true for somebody without events, because the events cannot list them."""
    if precomputed:
        raise InputError(
            "precomputed names columns of customers, but customers is not given: pass the frame of customers.",
            argument="customers",
            code="missing_argument",
        )
    program = Program(rule, as_of.tz, segments)
    at = Dated(int(as_of.clock)) if as_of.dated else int(as_of.clock)
    listed = [node.values for _, node in walk(rule) if isinstance(node, nodes.Ids) and node.values]
    for who in ("", *(values[0] for values in listed)):
        if program.verdict(Person(who, {}, {}, at)) is True:
            raise InputError(
                "this rule is true for people without events, whom the events cannot list: pass customers, a frame of "
                "all customers.",
                argument="customers",
                code="missing_argument",
            )


def _check(
    path: str,
    rule: Expression,
    whole: Mapping[str, Expression | Selection],
    happened: Table,
    people: Table | None,
    segments: Mapping[str, Expression],
) -> None:
    """Raise an error if a rule does not fit the frames, such as an unknown column or a number compared with a word."""
    if people is None:
        for where, node in whole.items():
            if isinstance(node, nodes.Field):
                raise InputError(
                    f"{where} uses {node!r}, a field of the customers: pass customers, a frame with this column.",
                    argument="customers",
                    code="missing_argument",
                )
    types = {name for one in whole.values() if isinstance(one, Selection) for name in one.names(["any event"])}
    properties = happened.kinds()
    schema = Schema(fields={} if people is None else people.kinds(), events=dict.fromkeys(sorted(types), properties))
    for problem in rule_problems(rule, schema, path=path, segments=segments.keys()):
        table = happened if problem.code == "unknown_property" else people
        name = getattr(whole.get(problem.path), "name", None) or getattr(
            whole.get(problem.path.removesuffix(".of")), "of", None
        )
        if table is not None and name is not None and problem.code in {"unknown_field", "unknown_property"}:
            dtype = table.schema.get(table.names.get(name, name))
            if dtype is not None:
                raise InputError(
                    f"{problem.path} uses column {name!r} of {table.what}, but engines cannot evaluate rules on its "
                    f"type {dtype}: cast the column, or evaluate with numpy.",
                    argument="rule",
                    code="not_portable",
                )
        if problem.code in {"unknown_field", "unknown_property"}:
            raise MissingColumnError(f"{problem.path}: {problem.message} {problem.hint}".rstrip(), argument="rule")
        raise problem.error()


def _asked(whole: Mapping[str, Expression | Selection], table: Table) -> list[str]:
    """Return the columns of instants that a rule uses."""
    names: set[str] = set()
    for node in whole.values():
        if isinstance(node, nodes.Field | nodes.Prop):
            names.add(node.name)
        elif isinstance(node, nodes.Aggregate) and node.of is not None:
            names.add(node.of)
    columns = {table.names.get(name, name) for name in names}
    return sorted(column for column in columns if table.plain.get(column) == "instant")


def _match_ids(
    happened: Table, people: Table | None, customer_id: str, whole: Mapping[str, Expression | Selection]
) -> None:
    """Give the ids of both frames one type; raise an error if the frames or the ids of a rule do not fit together."""
    kind = match_ids(happened, people, customer_id)
    for path, node in whole.items():
        if isinstance(node, nodes.Ids) and node.values and isinstance(node.values[0], str) != (kind == "texts"):
            raise InputError(
                f"{path} uses ids such as {node.values[0]!r}, but the column {customer_id!r} holds {kind}.",
                argument="rule",
                code="mixed_types",
            )


def _fields(whole: Mapping[str, Expression | Selection]) -> list[str]:
    return sorted({node.name for node in whole.values() if isinstance(node, nodes.Field)})
