"""A definition as SQL text for a warehouse: the same plan as for engines, over tables that are known only by name.

The plan is built over unbound tables with internal names. The text that ibis writes is parsed into a tree, in which the
tables, and the instants that depend on `as_of`, are replaced. No text is pasted together.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Literal, TypeAlias

from relmark.core.as_of import read_as_of
from relmark.core.checks import one_of, text
from relmark.core.errors import DefinitionError, InputError
from relmark.core.schema import Schema
from relmark.core.time import Instant
from relmark.engines.asked_kinds import asked_kinds
from relmark.engines.compile import HasRule, Plan
from relmark.expressions import Expression
from relmark.scoring import LeadScore
from relmark.segmentation import SegmentSet

__all__ = ["Dialect", "to_sql"]

Dialect: TypeAlias = Literal["postgres", "duckdb", "bigquery", "snowflake", "clickhouse", "spark"]
"""The SQL dialect of a warehouse."""
DIALECTS = ("postgres", "duckdb", "bigquery", "snowflake", "clickhouse", "spark")
_WRITES = {"spark": "databricks"}  # the dialect of ibis that knows unbound tables
_TYPES = {"number": "float64", "text": "string", "boolean": "boolean", "date": "date", "instant": "timestamp(6)"}
_EVENTS, _CUSTOMERS = "__relmark_events", "__relmark_customers"
# An instant at a fixed distance from `as_of` has the same distance for each of these probes. They differ in the time of
# day, in the lengths of the months before them and in leap days, so that calendar arithmetic is recognized.
_PROBES = tuple(
    datetime(*moment, tzinfo=UTC)
    for moment in ((2023, 3, 10, 5, 6, 7, 891_011), (2023, 4, 19, 17, 41, 3, 170_203), (2024, 3, 15, 22, 2, 59, 1),
                   (2025, 11, 2, 0, 30, 0, 7))
)  # fmt: skip
_US = timedelta(microseconds=1)


def to_sql(
    definition: HasRule | Expression | SegmentSet | LeadScore,
    *,
    dialect: Dialect = "postgres",
    table: str = "events",
    customers: str | None = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant | None = None,
    schema: Schema | None = None,
    tz: str = "UTC",
) -> str:
    """Write a definition as the text of one SQL query for a warehouse.

    Parameters
    ----------
    definition : Segment, Expression, SegmentSet or LeadScore
        A definition as for `evaluate`; all of it must be portable.
    dialect : {"postgres", "duckdb", "bigquery", "snowflake", "clickhouse", "spark"}
        The SQL dialect. The tests of relmark execute PostgreSQL, DuckDB, Spark and, where chdb is installed,
        ClickHouse; BigQuery and Snowflake are only written and parsed.
    table : str
        The table of events, with a dot after its schema, such as ``"shop.events"``. A template such as
        ``"{{ ref('events') }}"`` is left as it is.
    customers : str, optional
        The table of customers. Its column of ids must have the same name as in the events.
    columns : mapping of str to str
        The names of the columns for customer_id, time, type and value, and for properties or fields with other names.
    as_of : instant, optional
        Without it, the text has a parameter `as_of`, written as the Python drivers of the dialect expect it:
        ``%(as_of)s`` for PostgreSQL, ``$as_of`` for DuckDB, ``@as_of`` for BigQuery, ``{as_of: DateTime64(6)}`` for
        ClickHouse, and ``:as_of`` for Snowflake and Spark. Its value is an instant in UTC.
    schema : Schema, optional
        The kinds of fields and properties, where the rules do not determine them (mostly for dates and times).
    tz : str
        The time zone of the business.

    Returns
    -------
    str
        A query with the columns of `evaluate`. If times have a time zone, run it in a session whose time zone is UTC.

    Raises
    ------
    DefinitionError
        If only numpy can evaluate parts of the definition, or parts depend on the calendar of an `as_of` that is not
        given. The message names their paths.
    InputError
        If the kind of a field or property cannot be determined; pass `schema`.

    Examples
    --------
    >>> from relmark import days, event
    >>> query = to_sql(event("purchase").count(within=days(30)) >= 2, dialect="duckdb", table="shop.events")
    >>> print(next(line.strip() for line in query.splitlines() if "> CAST" in line))
    "t0"."time" > CAST($as_of AS TIMESTAMP) - INTERVAL '30' DAY
    """
    one_of("dialect", dialect, DIALECTS)
    text("table", table)
    if customers is not None:
        text("customers", customers)
    ibis, _ = _library("ibis"), _library("sqlglot")
    if as_of is not None:
        found = _frame(ibis, definition, columns, as_of, schema, tz, customers=customers is not None)
        return _written(ibis, found, dialect, table, customers, {})
    if tz != "UTC":
        raise InputError(
            f"as_of is not given, but the clocks of {tz} change: a parameter is possible only if tz is 'UTC'.",
            argument="as_of",
            code="missing_argument",
            hint="Pass as_of, and write a new query for each instant.",
        )
    frames = [_frame(ibis, definition, columns, probe, schema, tz, customers=customers is not None)
              for probe in _PROBES]  # fmt: skip
    return _written(ibis, frames[0], dialect, table, customers, _moving(frames))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            f"SQL needs {name}, which is not installed.",
            argument="dialect",
            code="not_installed",
            hint="pip install 'relmark[sql]'.",
        ) from None


def _frame(
    ibis: Any,
    definition: HasRule | Expression | SegmentSet | LeadScore,
    columns: Mapping[str, str] | None,
    as_of: Instant,
    schema: Schema | None,
    tz: str,
    *,
    customers: bool,
) -> Any:
    """Return the query as an expression of ibis, over tables that are known only by name."""
    read_as_of(as_of, tz=tz)
    plan = Plan(definition, columns, as_of, tz)
    kinds = asked_kinds(plan.rules(), schema, tz=tz)
    named = dict(columns or {})
    names = plan.names
    id_type = "int64" if kinds.integer_ids else "string"
    own = {names["customer_id"]: id_type, names["time"]: "timestamp(6)", names["type"]: "string"}
    if "value" in kinds.properties:
        own[names["value"]] = "float64"
    properties = {named.get(name, name): _TYPES[kind] for name, kind in kinds.properties.items() if name != "value"}
    events = ibis.table(own | properties, name=_EVENTS)
    people = None
    if customers:
        fields = {named.get(name, name) if name not in {"time", "type", "value"} else name: _TYPES[kind]
                  for name, kind in kinds.fields.items()}  # fmt: skip
        people = ibis.table({names["customer_id"]: id_type} | fields, name=_CUSTOMERS)
    frame, made = plan.compiled(events, people, look=False)
    return frame.select(*plan.written(made)).to_native()


def _instants(frame: Any) -> list[datetime]:
    """Return the instants that a query names, in the order of its tree."""
    literal = import_module("ibis.expr.operations").Literal
    return [node.value for node in frame.op().find(literal) if isinstance(node.value, datetime)]


def _others(frame: Any) -> list[Any]:
    """Return the other constants of a query."""
    literal = import_module("ibis.expr.operations").Literal
    return [node.value for node in frame.op().find(literal) if not isinstance(node.value, datetime)]


def _moving(frames: list[Any]) -> dict[datetime, timedelta]:
    """Return the instants of the first frame that depend on `as_of`, each with its distance from it."""
    listed = [_instants(frame) for frame in frames]
    alike = all(len(one) == len(listed[0]) and _others(frame) == _others(frames[0])
                for one, frame in zip(listed, frames, strict=True))  # fmt: skip
    moving: dict[datetime, timedelta] = {}
    for each in zip(*listed, strict=False) if alike else ():
        if len(set(each)) == 1:
            continue
        away = {moment - probe.replace(tzinfo=None) for moment, probe in zip(each, _PROBES, strict=True)}
        alike &= len(away) == 1
        moving[each[0]] = away.pop()
    if not alike:
        raise DefinitionError(
            "this definition depends on the calendar day of as_of, which cannot be computed from a parameter.",
            path="$",
            code="not_portable",
            hint="Pass as_of, and write a new query for each instant.",
        )
    return moving


def _written(
    ibis: Any, frame: Any, dialect: str, table: str, customers: str | None, moving: Mapping[datetime, timedelta]
) -> str:
    """Return a query as text, with the names that were asked for."""
    sqlglot = import_module("sqlglot")
    exp = sqlglot.exp
    tree = _parsed(ibis, frame, dialect)
    spelled = {
        _parsed(ibis, ibis.literal(moment), dialect).expressions[0].unalias(): _moved(exp, dialect, away)
        for moment, away in moving.items()
    }
    held = {one.name: list(one.schema) for one in frame.op().find(import_module("ibis.expr.operations").UnboundTable)}
    names = {_EVENTS: table} | ({} if customers is None else {_CUSTOMERS: customers})

    def renamed(node: Any) -> Any:
        if isinstance(node, exp.Table) and node.name in names:
            found = _table(exp, names[node.name])
            found.set("alias", node.args.get("alias"))
            if node.parent_select is None or not node.parent_select.is_star:
                return found
            # ibis writes * for all columns of its table, but the real table may have more.
            chosen = [exp.column(exp.to_identifier(name, quoted=True)) for name in held[node.name]]
            found.set("alias", None)
            return exp.select(*chosen).from_(found).subquery(node.alias or "every")
        return spelled[node].copy() if node in spelled else node

    tree = tree.transform(renamed)
    if dialect == "postgres" and moving:  # its drivers read % as the beginning of a parameter
        for node in tree.find_all(exp.Literal, exp.Identifier):
            if isinstance(node.this, str) and (not isinstance(node, exp.Literal) or node.is_string):
                node.set("this", node.this.replace("%", "%%"))
    return str(tree.sql(dialect=dialect, pretty=True))


def _parsed(ibis: Any, frame: Any, dialect: str) -> Any:
    writes = _WRITES.get(dialect, dialect)
    return import_module("sqlglot").parse_one(str(ibis.to_sql(frame, dialect=writes)), read=writes)


def _table(exp: Any, name: str) -> Any:
    if name.startswith("{{") and name.endswith("}}"):  # a template that another program fills in
        return exp.Table(this=exp.Var(this=name))
    parts = name.split(".")
    if not all(parts) or len(parts) > 3:
        raise InputError(
            f"table is {name!r}; it must be a name with at most two dots, such as 'shop.events'.",
            argument="table",
            code="wrong_value",
        )
    quoted = [exp.to_identifier(part, quoted=not _is_plain(part)) for part in parts]
    return exp.Table(**dict(zip(("this", "db", "catalog"), reversed(quoted), strict=False)))


def _is_plain(name: str) -> bool:
    return name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()


def _moved(exp: Any, dialect: str, away: timedelta) -> Any:
    """Return the parameter `as_of` plus or minus a span of time."""
    if dialect == "clickhouse":
        moment = exp.Placeholder(this="as_of", kind="DateTime64(6)")
    else:
        named = dialect in {"duckdb", "bigquery"}
        held = exp.Parameter(this=exp.Var(this="as_of")) if named else exp.Placeholder(this="as_of")
        moment = exp.Cast(this=held, to=exp.DataType.build("timestamp"))
    if not away:
        return moment
    size = abs(away)
    for unit, length in _UNITS:
        if size % length == timedelta(0):
            span = exp.Interval(this=exp.Literal.string(str(size // length)), unit=exp.Var(this=unit))
            return (exp.Sub if away < timedelta(0) else exp.Add)(this=moment, expression=span)
    raise AssertionError(away)


_UNITS = (("DAY", timedelta(days=1)), ("HOUR", timedelta(hours=1)), ("SECOND", timedelta(seconds=1)),
          ("MICROSECOND", _US))  # fmt: skip
