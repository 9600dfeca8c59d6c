"""A segment over frames that an engine holds, and what definitions look at of them: lazy plans, nothing computed here.

The life of a call: the rule is checked against the frames' types; each figure of events becomes a column of one grouped
pass; customers get their figures by a join; the rule becomes one boolean expression over fields and figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Protocol

from relmark.core.as_of import AsOf, read_as_of
from relmark.core.checks import shown
from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.core.names import did_you_mean
from relmark.core.schema import Schema
from relmark.core.time import Instant
from relmark.engines.facts import Facts
from relmark.engines.portable import reasons
from relmark.engines.visitor import Visitor
from relmark.expressions import Expression, Selection, nodes
from relmark.expressions.kinds import rule_problems
from relmark.expressions.needs import Needs, needs_of
from relmark.expressions.scalar import Person, Program
from relmark.expressions.scalar_calendar import Dated, Zone
from relmark.expressions.walk import walk

__all__ = ["evaluate", "where"]

_NAMES = ("customer_id", "time", "type", "value")
_OF_EVENTS = {"time", "type", "value"}
_NOTHING = {"Unknown", "Null"}  # how engines call the type of a column without any value
_UTC = {"UTC", "Etc/UTC", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT"}


class HasRule(Protocol):
    """A segment, as far as engines ask."""

    @property
    def rule(self) -> Expression:
        """What has to be true of a customer."""
        ...


def evaluate(
    segment: HasRule | Expression,
    *,
    events: Any,
    customers: Any = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    precomputed: Mapping[str, str] | None = None,
    segments: Mapping[str, Expression] | None = None,
    unknown: bool = False,
) -> Any:
    """Return a lazy frame of the engine with who is a member of a segment.

    Parameters
    ----------
    segment : Segment or Expression
    events : polars LazyFrame or DataFrame, DuckDB relation, PySpark DataFrame
        One row per event. Times are UTC, or carry their zone; a column of dates holds local days of `tz`. Rows without
        an id or a time are nobody's. NaN and infinite numbers count as missing.
    customers : the like, optional
        One row per customer, with fields. Without it those are listed who have events. Its ids, and the numbers that
        the rule asks for, are looked at once when this is called: missing and repeated ids and infinite numbers are
        refused, as they are in a `CustomerTable`.
    columns : mapping of str to str
        How the columns are called that relmark calls customer_id, time, type and value, and properties or fields too
        where they have other names: ``{"customer_id": "user", "time": "ts", "type": "event"}``. Time, type and value
        are those of events alone.
    as_of : instant
        Nothing after it is seen.
    tz : str
        The time zone of the business, for calendar dates.
    precomputed : mapping of str to str
        For paths of the rule that stay in numpy, the boolean column of `customers` that holds their verdicts.
    segments : mapping of str to Expression
        What ``segment("name")`` stands for.
    unknown : bool
        Whether to add the column `unknown`: who could not be judged, because a value is missing.

    Returns
    -------
    lazy frame of the engine
        customer_id and member, one row per customer, in no order. Unknown is no member.

    Raises
    ------
    DefinitionError
        Parts of the rule stay in numpy; the message lists their paths and why.
    InputError
        The rule would hold of people without events, and `customers` is not given.

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
    nw = _narwhals()
    rule = segment if isinstance(segment, Expression) else segment.rule
    segments = dict(segments or {})
    precomputed = dict(precomputed or {})
    whole = _whole(rule, segments)
    _refuse_unsupported(rule, segments, precomputed, tz)
    names = {name: (columns or {}).get(name, name) for name in _NAMES}
    moment = read_as_of(as_of, tz=tz)
    happened = _Table(nw, "events", events, columns or {})
    people = None if customers is None else _Table(nw, "customers", customers, columns or {})
    happened.require(names["customer_id"], names["time"], names["type"])
    if people is not None:
        people.rename_id(names["customer_id"])
    _match_ids(happened, people, names["customer_id"], whole)
    for expression in (rule, *segments.values()):
        _check(expression, whole, happened, people, segments)
    if people is None:
        _refuse_the_silent(rule, segments, precomputed, moment)
    zone = Zone(tz)
    inner = Visitor(nw, moment, zone, happened.column, customer_id=names["customer_id"])
    facts = Facts(nw, moment, names["time"], names["type"], inner.expression, happened.column)
    facts.days = happened.plain[names["time"]] == "date"
    facts.plain_sql = happened.frame.implementation.is_ibis()
    given = {} if people is None else {path: people.column(name)[0] for path, name in precomputed.items()}
    outer = Visitor(
        nw, moment, zone, happened.column if people is None else people.column,
        facts=facts, precomputed=given, segments=segments, customer_id=names["customer_id"],
    )  # fmt: skip
    member = outer.expression(rule)
    frame = _everybody(nw, happened, people, names["customer_id"], whole)
    if facts.groups:
        needs = needs_of(rule, segments)
        table = facts.table(happened.in_utc([names["time"], *_asked(whole, happened)]), names["customer_id"], needs)
        frame = frame.join(table, on=names["customer_id"], how="left")
    chosen = [nw.col(names["customer_id"]).alias("customer_id"), member.fill_null(False).alias("member")]  # noqa: FBT003
    if unknown:
        chosen.append(member.is_null().alias("unknown"))
    return frame.select(*chosen).to_native()


def where(
    needs: Needs, *, events: Any, columns: Mapping[str, str] | None = None, as_of: Instant, tz: str = "UTC"
) -> Any:
    """Return the rows and columns of events that definitions look at, as a lazy frame of the engine.

    What is asked of these events has the answer that it has of all of them, while the engine reads a fraction: types
    that nothing looks at, events too long ago and columns that nobody asks for are left out before anything is read.

    Parameters
    ----------
    needs : Needs
        ``segment.needs()``, ``score.needs()``, or several of them added up.
    events : polars LazyFrame or DataFrame, DuckDB relation, PySpark DataFrame
        One row per event, as for `evaluate`.
    columns : mapping of str to str
        How the columns are called that relmark calls customer_id, time, type and value, and properties.
    as_of : instant
        Nothing after it is kept.
    tz : str
        The time zone of the business.

    Returns
    -------
    lazy frame of the engine
        The columns under the names that they have, in the order of the frame.

    Raises
    ------
    MissingColumnError
        The frame has no column of ids, times or types.

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
            f"needs is {shown(needs)}: what a definition's needs() gives is needed.",
            argument="needs",
            code="wrong_type",
        )
    nw = _narwhals()
    names = {name: (columns or {}).get(name, name) for name in _NAMES}
    happened = _Table(nw, "events", events, columns or {})
    happened.require(names["customer_id"], names["time"], names["type"])
    facts = Facts(nw, read_as_of(as_of, tz=tz), names["time"], names["type"], _no_test, happened.column)
    facts.days = happened.plain[names["time"]] == "date"
    properties = {name for known in needs.events.values() for name in known} | set(needs.any_properties)
    asked = {*names.values(), *(happened.names.get(name, name) for name in properties)}
    mask = facts.needed(needs, happened.utc(names["time"]))
    return happened.frame.filter(mask).select(*[name for name in happened.schema if name in asked]).to_native()


def _no_test(rule: Expression) -> NoReturn:
    raise AssertionError(f"{rule!r} is not tested here")


def _narwhals() -> Any:
    try:
        import narwhals
    except ImportError:
        raise InputError(
            "engines need narwhals: pip install 'relmark[dataframes]'.", argument="events", code="not_installed"
        ) from None
    return narwhals


def _whole(rule: Expression, segments: Mapping[str, Expression]) -> dict[str, Expression | Selection]:
    """Return every node of a rule and of the segments, by path."""
    found = dict(walk(rule))
    for name, other in segments.items():
        found |= dict(walk(other, f"${name}"))
    return found


def _refuse_unsupported(
    rule: Expression, segments: Mapping[str, Expression], precomputed: Mapping[str, str], tz: str
) -> None:
    found = {path: why for path, why in reasons(rule, tz=tz).items() if path not in precomputed}
    for name, other in segments.items():
        found |= {f"{name}: {path}": why for path, why in reasons(other, tz=tz).items()}
    if found:
        listed = "; ".join(f"{path} ({why})" for path, why in list(found.items())[:8])
        raise DefinitionError(
            f"parts of this rule stay in numpy: {listed}.",
            path=next(iter(found)),
            code="not_portable",
            hint="Evaluate with segment.evaluate(base), or name a column of verdicts in precomputed={path: column}.",
        )


def _refuse_the_silent(
    rule: Expression, segments: Mapping[str, Expression], precomputed: Mapping[str, str], as_of: AsOf
) -> None:
    """Refuse a rule that holds of somebody without events, whom a list made from events would lack."""
    if precomputed:
        raise InputError(
            "precomputed names columns of customers: give customers.", argument="customers", code="missing_argument"
        )
    program = Program(rule, as_of.tz, segments)
    at = Dated(int(as_of.clock)) if as_of.dated else int(as_of.clock)
    listed = [node.values for _, node in walk(rule) if isinstance(node, nodes.Ids) and node.values]
    for who in ("", *(values[0] for values in listed)):
        if program.verdict(Person(who, {}, {}, at)) is True:
            raise InputError(
                "this rule holds of people without events, whom the events cannot list: give customers, a frame of "
                "everybody.",
                argument="customers",
                code="missing_argument",
            )


def _check(
    rule: Expression,
    whole: Mapping[str, Expression | Selection],
    happened: _Table,
    people: _Table | None,
    segments: Mapping[str, Expression],
) -> None:
    """Raise where a rule does not fit the frames: an unknown column, a number compared with a word."""
    if people is None:
        for path, node in whole.items():
            if isinstance(node, nodes.Field):
                raise InputError(
                    f"{path} asks for {node!r}: give customers, a frame with this column.",
                    argument="customers",
                    code="missing_argument",
                )
    types = {name for one in whole.values() if isinstance(one, Selection) for name in one.names(["any event"])}
    properties = happened.kinds()
    schema = Schema(fields={} if people is None else people.kinds(), events=dict.fromkeys(sorted(types), properties))
    for problem in rule_problems(rule, schema, segments=segments.keys()):
        table = happened if problem.code == "unknown_property" else people
        name = getattr(whole.get(problem.path), "name", None) or getattr(
            whole.get(problem.path.removesuffix(".of")), "of", None
        )
        if table is not None and name is not None and problem.code in {"unknown_field", "unknown_property"}:
            dtype = table.schema.get(table.names.get(name, name))
            if dtype is not None:
                raise InputError(
                    f"{problem.path} asks for column {name!r} of {table.what}, whose type {dtype} rules do not test on "
                    "engines: evaluate with numpy, or cast it.",
                    argument="rule",
                    code="not_portable",
                )
        if problem.code in {"unknown_field", "unknown_property"}:
            raise MissingColumnError(f"{problem.path}: {problem.message} {problem.hint}".rstrip(), argument="rule")
        raise problem.error()


def _asked(whole: Mapping[str, Expression | Selection], table: _Table) -> list[str]:
    """Return the columns of instants that a rule asks for."""
    names: set[str] = set()
    for node in whole.values():
        if isinstance(node, nodes.Field | nodes.Prop):
            names.add(node.name)
        elif isinstance(node, nodes.Aggregate) and node.of is not None:
            names.add(node.of)
    columns = {table.names.get(name, name) for name in names}
    return sorted(column for column in columns if table.plain.get(column) == "instant")


def _everybody(
    nw: Any, happened: _Table, people: _Table | None, customer_id: str, whole: Mapping[str, Expression | Selection]
) -> Any:
    """Return one row per customer, with fields: those of customers, and those whom only the events have."""
    seen = happened.frame.select(customer_id).filter(~nw.col(customer_id).is_null()).unique()
    if people is None:
        return seen
    people.check_rows(customer_id, _fields(whole))
    known = people.in_utc(_asked(whole, people))
    everybody = nw.concat([seen, known.select(customer_id)]).unique()
    return everybody.join(known, on=customer_id, how="left")


def _match_ids(
    happened: _Table, people: _Table | None, customer_id: str, whole: Mapping[str, Expression | Selection]
) -> None:
    """Give the ids of both frames one type, or raise: integers never match texts."""
    kinds = {table.what: table.id_kind(customer_id) for table in (happened, people) if table is not None}
    if len(set(kinds.values())) > 1:
        both = " and ".join(f"{kind} in {what}" for what, kind in kinds.items())
        raise InputError(
            f"{customer_id!r} has {both}: ids are all integers or all texts.",
            argument="customer_id",
            code="mixed_types",
            hint="Cast one of them.",
        )
    kind = kinds["events"]
    for table in (happened, people):
        if table is not None:
            table.cast_id(customer_id, kind)
    for path, node in whole.items():
        if isinstance(node, nodes.Ids) and node.values and isinstance(node.values[0], str) != (kind == "texts"):
            raise InputError(
                f"{path} asks for ids such as {node.values[0]!r}, and {customer_id!r} has {kind}.",
                argument="rule",
                code="mixed_types",
            )


def _fields(whole: Mapping[str, Expression | Selection]) -> list[str]:
    return sorted({node.name for node in whole.values() if isinstance(node, nodes.Field)})


class _Table:
    """A frame of an engine with its columns by the names that rules use."""

    def __init__(self, nw: Any, what: str, native: Any, names: Mapping[str, str]) -> None:
        try:
            frame = nw.from_native(native)
        except TypeError:
            raise InputError(
                f"{what} is a {type(native).__name__}: a frame of an engine is needed.",
                argument=what,
                code="wrong_type",
            ) from None
        if frame.implementation.is_pandas_like() or frame.implementation.is_pyarrow():
            raise InputError(
                f"{what} is a frame of {frame.implementation.value}: read it with EventLog.from_frame and "
                "CustomerTable.from_frame, and use segment.evaluate(base), which is several times faster.",
                argument=what,
                code="wrong_type",
            )
        self.nw, self.what = nw, what
        self.frame = frame.lazy()
        self.schema = dict(self.frame.collect_schema())
        if what == "customers":  # they have no time, type or value, and a field may be called so
            names = {name: column for name, column in names.items() if name not in _OF_EVENTS and column in self.schema}
        for name, column in names.items():
            if what == "customers" and name != column and name in self.schema and name != "customer_id":
                raise InputError(
                    f"customers have a column {name!r}, and columns says that {name!r} is called {column!r}: rename "
                    "one of them.",
                    argument="columns",
                    code="duplicate",
                )
        self.names = names
        self.plain = {name: _kind(nw, dtype) for name, dtype in self.schema.items()}

    def require(self, *names: str) -> None:
        """Raise where a column is missing."""
        for name in names:
            if name not in self.schema:
                listed = ", ".join(map(repr, self.schema))
                raise MissingColumnError(
                    f"{self.what} have no column {name!r}: they have {listed}.",
                    argument=self.what,
                    hint=f"{did_you_mean(name, self.schema)} Name it in columns={{...}}.",
                )

    def rename_id(self, customer_id: str) -> None:
        """Call the column of ids as the events do."""
        if customer_id not in self.schema and "customer_id" in self.schema:
            self.frame = self.frame.rename({"customer_id": customer_id})
            self.schema[customer_id] = self.schema.pop("customer_id")
            self.plain[customer_id] = self.plain.pop("customer_id")
        self.require(customer_id)

    def id_kind(self, customer_id: str) -> str:
        """Return whether ids are integers or texts."""
        dtype = self.schema[customer_id]
        if dtype.is_integer():
            return "integers"
        if self.plain[customer_id] == "text":
            return "texts"
        raise InputError(
            f"{customer_id!r} of {self.what} has type {dtype}: ids are integers or texts.",
            argument="customer_id",
            code="wrong_type",
            hint="Cast it.",
        )

    def cast_id(self, customer_id: str, kind: str) -> None:
        """Give ids the widest type of their kind."""
        wide = self.nw.Int64 if kind == "integers" else self.nw.String
        if self.schema[customer_id] != wide:
            self.frame = self.frame.with_columns(self.nw.col(customer_id).cast(wide))
            self.schema[customer_id] = wide()

    def check_rows(self, customer_id: str, fields: Iterable[str]) -> None:
        """Raise where an id is missing or occurs twice, or a number is infinite: one look at these columns."""
        nw = self.nw
        figures = {
            "rows": nw.len(),
            "known": nw.col(customer_id).count(),
            "different": nw.col(customer_id).drop_nulls().n_unique()
            if self.frame.implementation.is_polars()
            else nw.col(customer_id).n_unique(),
        }
        numbers = [name for name in fields if (column := self.names.get(name, name)) in self.schema
                   and self.schema[column].is_float()]  # fmt: skip
        for k, name in enumerate(numbers):
            column = nw.col(self.names.get(name, name))
            endless = ~column.is_finite() & ~column.is_nan()
            figures[f"endless_{k}"] = nw.when(endless).then(nw.lit(1)).otherwise(nw.lit(0)).sum()
        table = self.frame.select(**figures).collect().to_dict(as_series=False)
        found = {name: int(values[0] or 0) for name, values in table.items()}
        missing = found["rows"] - found["known"]
        if missing:
            raise InputError(
                f"{customer_id!r} of customers is missing in {missing:,} rows: drop them or name them.",
                argument="customer_id",
                code="missing_value",
            )
        if found["different"] < found["known"]:
            twice = found["known"] - found["different"]
            raise InputError(
                f"{customer_id!r} of customers stands {twice:,} times too often: one row per customer.",
                argument="customer_id",
                code="duplicate",
            )
        for k, name in enumerate(numbers):
            if count := found[f"endless_{k}"]:
                raise InputError(
                    f"field {name!r} is infinite in {count:,} rows: finite numbers are needed.",
                    argument="customer_id",
                    code="not_finite",
                )

    def kinds(self) -> dict[str, str]:
        """Return the kinds of the columns by the names that rules use."""
        renamed = {name: self.plain[column] for name, column in self.names.items() if column in self.plain}
        return {name: kind for name, kind in (self.plain | renamed).items() if kind}

    def column(self, name: str) -> tuple[Any, str]:
        """Return a column as rules see it, and its kind: numbers are float64; NaN and infinite ones are null."""
        nw, column = self.nw, self.names.get(name, name)
        self.require(column)
        found, kind = nw.col(column), self.plain[column]
        if kind == "empty":
            return nw.lit(None, dtype=nw.Float64), kind
        if kind == "number":
            found = found.cast(nw.Float64)
            if self.schema[column].is_float():
                found = nw.when(found.is_finite()).then(found)
        elif kind == "text" and self.schema[column] != nw.String:
            found = found.cast(nw.String)
        return found, kind

    def in_utc(self, names: Iterable[str]) -> Any:
        """Return the frame with columns of times as UTC times without a zone, in microseconds."""
        changed = [self.utc(name).alias(name) for name in dict.fromkeys(names)]
        return self.frame.with_columns(*changed) if changed else self.frame

    def _session_zone(self) -> str | None:
        """Return the zone in which Spark reads its times, whatever their type says; None for other engines."""
        engine = self.frame.implementation
        if not (engine.is_pyspark() or engine.is_pyspark_connect()):
            return None
        zone: str = self.frame.to_native().sparkSession.conf.get("spark.sql.session.timeZone")
        return zone

    def utc(self, name: str) -> Any:
        """Return a column of times as UTC times without a zone, in microseconds, or of dates as it is."""
        nw, dtype, column = self.nw, self.schema[name], self.nw.col(name)
        if dtype == nw.Date:
            return column
        if not isinstance(dtype, nw.Datetime):
            raise InputError(
                f"column {name!r} of {self.what} has type {dtype}: times are needed.",
                argument=name,
                code="wrong_type",
            )
        if dtype.time_zone is not None:
            zone = self._session_zone() or dtype.time_zone
            if zone in _UTC:
                column = column.dt.replace_time_zone(None)
            elif self.frame.implementation.is_polars():
                column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            else:
                raise InputError(
                    f"column {name!r} of {self.what} has times of the session's zone {zone}, which this "
                    "engine cannot turn into UTC by itself: set the session time zone to UTC.",
                    argument=name,
                    code="not_portable",
                )
        return column.cast(nw.Datetime("us"))


def _kind(nw: Any, dtype: Any) -> str:
    """Return the kind of a column's values, '' for what rules cannot test."""
    if dtype.is_numeric():
        return "number"
    if dtype in {nw.Boolean, nw.Date}:
        return "boolean" if dtype == nw.Boolean else "date"
    if isinstance(dtype, nw.Datetime):
        return "instant"
    if dtype in {nw.String, nw.Categorical} or isinstance(dtype, nw.Enum):
        return "text"
    return "empty" if str(dtype) in _NOTHING else ""
