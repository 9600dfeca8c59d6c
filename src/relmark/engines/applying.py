"""Apply a definition to parts of frames, each of which has all rows of its customers.

The rows of a customer are brought together by a hash of the id, relmark's own code runs on each part, and the result is
a frame of the same engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any

import attrs
import numpy as np

from relmark.core.as_of import read_as_of
from relmark.core.checks import whole
from relmark.core.errors import InputError
from relmark.core.time import Instant
from relmark.engines.answers import arrow
from relmark.engines.compile import where
from relmark.engines.tables import EngineFrame, Table, distinct, event_names, match_ids, narwhals_module
from relmark.engines.worker import Worker, require_people, worker
from relmark.expressions.needs import Needs

__all__ = ["Read", "apply", "united"]

_MARK = "of_customers"
_PIECE = "__relmark_piece"
_BYTES, _MORE = 160, 48  # of memory per event with its first columns, and for each further one, during an evaluation
_HELD, _HELD_MORE = 48, 24  # the same while the event only waits for its evaluation
_APART = timedelta(hours=26)  # from UTC-12 to UTC+14
_END = 253_402_300_799_999_999  # of the year 9999


def apply(
    definition: object,
    *,
    events: object,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = 1 << 29,
    returns: Mapping[str, str] | None = None,
    zone: str | None = None,
) -> EngineFrame:
    """Apply a definition to whole customers, and return its columns as a frame of the engine.

    This works for everything that relmark computes from the rows of one customer, including the whole rule language. A
    definition that `evaluate` supports runs faster there, as the engine's own plan.

    Parameters
    ----------
    definition : Segment, SegmentSet, LeadScore, RfmModel, Experiment, Values, Lists, mapping or callable
        Also a rule, a fitted recommender, or anything with ``evaluate(base, as_of=...)`` whose result has the column
        customer_id. A mapping of names to expressions gives one column each, like `CustomerBase.measure`. A function
        takes a `CustomerBase` of some customers and returns a mapping of names to columns.
    events : polars LazyFrame or DataFrame, DuckDB relation, PySpark DataFrame
        One row per event, as for `evaluate`.
    customers : frame of the same engine, optional
        One row per customer, with fields.
    columns : mapping of str to str
        The names of the columns for customer_id, time, type and value, and for properties or fields with other names.
    as_of : instant
        Nothing after this instant is used.
    tz : str
        The time zone of the business.
    memory : int
        About how many bytes one part may take on one machine. Polars and DuckDB read the customers in as many parts as
        this requires; Spark uses its own partitions.
    returns : mapping of str to {"bool", "double", "int", "string", "date", "instant"}, optional
        The types of columns that a run on no rows does not reveal, such as strings that a function makes.
    zone : str, optional
        The field of the customers that holds their time zones, as in `CustomerBase`. Rules and scores then use each
        customer's local time, and `tz` for customers without a time zone.

    Returns
    -------
    frame of the engine
        One row per customer of both frames, in no particular order. On Spark it is lazy. Polars and DuckDB read the
        parts during the call, and the result is held in memory.

    Raises
    ------
    InputError
        If `definition` is not a definition, or does not fit the frames. On Spark, errors in rows are raised by the
        action that computes them, in the message of Spark's error.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> from relmark import event, sequence
    >>> frame = pl.LazyFrame({"user": ["a", "a", "b"], "ts": [datetime(2026, 1, day) for day in (5, 9, 6)],
    ...                       "event": ["visit", "purchase", "purchase"]})
    >>> found = apply(sequence([event("visit"), event("purchase")]), events=frame, as_of="2026-01-31",
    ...               columns={"customer_id": "user", "time": "ts", "type": "event"})
    >>> found.sort("customer_id").collect().to_dicts()
    [{'customer_id': 'a', 'member': True, 'unknown': False}, {'customer_id': 'b', 'member': False, 'unknown': False}]
    """
    work = worker(definition, columns=columns, as_of=as_of, tz=tz, returns=returns, zone=zone)
    whole("memory", memory, low=1)
    nw = narwhals_module()
    read = Read(nw, work, events, customers)
    engine = read.happened.frame.implementation
    if engine.is_pyspark() or engine.is_pyspark_connect():
        return _on_spark(read)
    if not (engine.is_polars() or engine.is_duckdb()):
        raise InputError(
            f"events is a frame of {engine.value}, which apply does not support: bring the rows of each customer "
            "together there, and pass each part to engines.worker(definition, ...).",
            argument="events",
            code="wrong_type",
        )
    pa = arrow()
    found = pa.concat_tables([work(*piece) for piece in read.pieces(memory)])
    if engine.is_polars():
        return engine.to_native_namespace().from_arrow(found).lazy()
    return read.happened.frame.to_native().query("__events", "select * from found")  # in the same connection


class Read:
    """The frames of a call, and what the definition needs from them."""

    def __init__(self, nw: Any, work: Worker, events: Any, customers: Any) -> None:
        self.nw, self.work = nw, work
        self.needs: Needs | None = work.answer.needs
        self.names = event_names(work.columns)
        require_people(work.zone, customers)
        self.happened = Table(nw, "events", events, work.columns)
        self.people = None if customers is None else Table(nw, "customers", customers, work.columns)
        self.happened.require(self.names["customer_id"], self.names["time"], self.names["type"])
        if self.people is not None:
            self.people.rename_id(self.names["customer_id"])
        match_ids(self.happened, self.people, self.names["customer_id"])
        self.fields = self._fields()
        if self.people is not None:
            self.people.check_rows(self.names["customer_id"], self.fields)

    def _fields(self) -> list[str]:
        """Return the names of the fields that the definition uses and the customers have."""
        if self.people is None:
            return []
        known = self.people.kinds() | dict.fromkeys(self.people.schema, "")
        own = self.names["customer_id"]
        renamed = set(self.people.names.values()) - {own}
        everything = [name for name in known if name not in {own, "customer_id"} and name not in renamed]
        if self.needs is None:
            return everything
        return [name for name in everything if name in self.needs.fields or name == self.work.zone]

    def chosen(self, frame: Any) -> Any:
        """Return the rows and columns of events that the definition needs."""
        if self.needs is None:
            return frame
        work, needs, as_of = self.work, self.needs, self.work.as_of
        if work.zone is not None:
            needs, as_of = _of_every_zone(needs, int(read_as_of(as_of, tz=work.tz).clock))
        found = where(needs, events=frame.to_native(), columns=work.columns, as_of=as_of, tz=work.tz)
        return self.nw.from_native(found)

    def listed(self, seen: Any, people: Any) -> Any:
        """Return one row per customer, including those who occur only in the events; None if the events suffice."""
        nw, who = self.nw, self.names["customer_id"]
        if self.needs is None:
            return people
        ids = seen.select(who).filter(~nw.col(who).is_null())
        if people is None:
            return distinct(nw, ids, who)
        return distinct(nw, nw.concat([ids, people.select(who)]), who).join(people, on=who, how="left")

    def known(self) -> Any:
        """Return the customers' frame with the fields that the definition uses; None without a frame."""
        if self.people is None:
            return None
        columns = [self.people.names.get(name, name) for name in self.fields]
        return self.people.frame.select(self.names["customer_id"], *dict.fromkeys(columns))

    def pieces(self, memory: int) -> Iterator[tuple[Any, Any]]:
        """Yield the events and the customers of each part as Arrow tables.

        An evaluation takes several times the memory of the rows themselves. One scan therefore holds the rows of
        several parts: half of the memory is for these rows, and half for the evaluation of one part.
        """
        scans, each = self._shape(memory)
        people = self.known()
        for scan in range(scans):
            happened = self._part(self.happened.frame, scan, scans, each)
            own = None if people is None else self._part(people, scan, scans, each)
            listed = self.listed(happened, own)
            rows = _collected(self._marked(self.chosen(happened), scans * each, each))
            yield from _apart(rows, None if listed is None else _collected(self._marked(listed, scans * each, each)))

    def _shape(self, memory: int) -> tuple[int, int]:
        """Return in how many scans the events are read, and in how many parts each scan is evaluated."""
        frames, own = [self.chosen(self.happened.frame), self.known()], (4, 1)
        evaluated = held = 0
        for frame, first in zip(frames, own, strict=True):
            if frame is not None:
                rows = int(frame.select(rows=self.nw.len()).collect().to_dict(as_series=False)["rows"][0])
                more = max(len(frame.collect_schema()) - first, 0)
                evaluated += rows * (_BYTES + _MORE * more)
                held += rows * (_HELD + _HELD_MORE * more)
        if evaluated <= memory:
            return 1, 1
        half = max(memory // 2, 1)
        n = -(-evaluated // half)
        scans = min(-(-held // half), n)
        return scans, -(-n // scans)

    def _hashed(self, frame: Any, n: int) -> Any:
        """Return the hash of the id modulo n, as an expression of the engine."""
        library, who = frame.implementation.to_native_namespace(), self.names["customer_id"]
        if frame.implementation.is_polars():
            return library.col(who).hash(0) % n
        return library.FunctionExpression("hash", library.ColumnExpression(who)) % library.ConstantExpression(n)

    def _part(self, frame: Any, scan: int, scans: int, each: int) -> Any:
        """Return the rows of one scan, which are those with certain hashes of the id."""
        if scans == 1:
            return frame
        library, hashed = frame.implementation.to_native_namespace(), self._hashed(frame, scans * each)
        low, high = scan * each, (scan + 1) * each
        if frame.implementation.is_duckdb():
            low, high = library.ConstantExpression(low), library.ConstantExpression(high)
        return self.nw.from_native(frame.to_native().filter((hashed >= low) & (hashed < high)))

    def _marked(self, frame: Any, n: int, each: int) -> Any:
        """Return rows with the part in which they are evaluated, if a scan has several."""
        if each == 1:
            return frame
        native, hashed = frame.to_native(), self._hashed(frame, n).alias(_PIECE)
        if frame.implementation.is_polars():
            return self.nw.from_native(native.with_columns(hashed))
        library = frame.implementation.to_native_namespace()
        return self.nw.from_native(native.select(library.StarExpression(), hashed))


def _apart(rows: Any, people: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the rows and the customers of each part of one scan."""
    if _PIECE not in rows.column_names:
        yield rows, people
        return
    compute = import_module("pyarrow.compute")
    there = {one for table in (rows, people) if table is not None for one in compute.unique(table[_PIECE]).to_pylist()}

    def of_piece(table: Any, piece: int) -> Any:
        return None if table is None else table.filter(compute.equal(table[_PIECE], piece)).drop_columns([_PIECE])

    for piece in sorted(one for one in there if one is not None):
        yield of_piece(rows, piece), of_piece(people, piece)


def _of_every_zone(needs: Needs, clock: int) -> tuple[Needs, Instant]:
    """Return needs that hold in every time zone, because local midnights are up to 26 hours apart."""
    return needs.asked_earlier(2 * _APART), np.datetime64(min(clock + _APART // timedelta(microseconds=1), _END), "us")


def _collected(frame: Any) -> Any:
    """Return a lazy frame as an Arrow table."""
    return frame.collect().to_arrow()


def _on_spark(read: Read) -> Any:
    """Return a lazy DataFrame with the definition's columns."""
    native, work = united(read)
    empty = native.limit(0).toArrow()  # the schema in which Spark hands its rows to a worker
    schema = work.schema(*(table.schema for table in work._split(empty, None)))  # noqa: SLF001

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        held = list(batches)  # a customer may be in several batches, so join the whole partition first
        if held:
            yield from work(arrow().Table.from_batches(held)).to_batches()

    return native.repartition("customer_id").mapInArrow(run, _ddl(schema))


def united(read: Read) -> tuple[Any, Worker]:
    """Return events and customers in one DataFrame, since `mapInArrow` takes one, and the worker that reads it."""
    nw, who = read.nw, read.names["customer_id"]
    happened = read.chosen(read.happened.frame)
    people = read.listed(read.happened.frame, read.known())
    own, rest = [read.names[name] for name in ("time", "type", "value")], []
    schema = happened.collect_schema()
    named = {column: name for name, column in read.work.columns.items()}
    rest = [column for column in schema if column not in {who, *own}]
    event_columns = [column for column in [*own, *rest] if column in schema]
    as_event = {column: f"event_{k}" for k, column in enumerate(event_columns)}  # numbered: Spark ignores case
    fields = [] if people is None else [column for column in people.collect_schema() if column != who]
    as_field = {column: f"field_{k}" for k, column in enumerate(fields)}
    rows = happened.select(
        nw.col(who).alias("customer_id"),
        nw.lit(False).alias(_MARK),  # noqa: FBT003
        *[nw.col(column).alias(name) for column, name in as_event.items()],
        *[nw.lit(None).cast(kind).alias(as_field[column]) for column, kind in _kinds(people, fields)],
    )
    if people is not None:
        people_rows = people.select(
            nw.col(who).alias("customer_id"),
            nw.lit(True).alias(_MARK),  # noqa: FBT003
            *[nw.lit(None).cast(schema[column]).alias(name) for column, name in as_event.items()],
            *[nw.col(column).alias(name) for column, name in as_field.items()],
        )
        rows = nw.concat([rows, people_rows])
    renamed = {name: as_event[read.names[name]] for name in ("time", "type", "value") if read.names[name] in as_event}
    work = attrs.evolve(
        read.work,
        columns=renamed | ({} if "value" in renamed else {"value": "no value"}),
        properties={named.get(column, column): as_event[column] for column in rest},
        fields={named.get(column, column): name for column, name in as_field.items()},
        marker=_MARK,
    )
    return rows.to_native(), work


def _kinds(people: Any, fields: list[str]) -> list[tuple[str, Any]]:
    schema = {} if people is None else people.collect_schema()
    return [(column, schema[column]) for column in fields]


_SPARK = {"bool": "boolean", "double": "double", "int64": "bigint", "string": "string", "date32[day]": "date",
          "timestamp[us, tz=UTC]": "timestamp", "float": "float"}  # fmt: skip


def _ddl(schema: Any) -> str:
    """Return an Arrow schema as a Spark schema."""

    def word(kind: Any) -> str:
        return f"array<{word(kind.value_type)}>" if str(kind).startswith("list<") else _SPARK[str(kind)]

    return ", ".join(f"`{field.name.replace('`', '``')}` {word(field.type)}" for field in schema)
