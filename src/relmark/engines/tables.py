"""A frame of an engine with its columns by the names that rules use, and the checks before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from relmark.core.errors import InputError, MissingColumnError
from relmark.core.names import did_you_mean

__all__ = [
    "NAMES",
    "ArrowSchema",
    "ArrowTable",
    "EngineFrame",
    "Table",
    "distinct",
    "event_names",
    "everybody",
    "match_ids",
    "narwhals_module",
]

EngineFrame: TypeAlias = Any
"""A lazy frame of the engine that the events came from: a DuckDB relation, polars LazyFrame or PySpark DataFrame."""

ArrowTable: TypeAlias = Any
"""A table of pyarrow, which relmark imports only where an engine is used."""
ArrowSchema: TypeAlias = Any
"""A schema of pyarrow."""

NAMES = ("customer_id", "time", "type", "value")
_OF_EVENTS = {"time", "type", "value"}
_NOTHING = {"Unknown", "Null"}  # the names that engines give to the type of a column without any value
_UTC = {"UTC", "Etc/UTC", "Zulu", "Etc/Zulu", "GMT", "Etc/GMT"}


def event_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the names of the columns that every event has."""
    return {name: (columns or {}).get(name, name) for name in NAMES}


def narwhals_module() -> Any:
    """Return narwhals, or raise an error that says how to install it."""
    try:
        import narwhals
    except ImportError:
        raise InputError(
            "engines need narwhals: pip install 'relmark[dataframes]'.", argument="events", code="not_installed"
        ) from None
    return narwhals


def distinct(nw: Any, frame: Any, name: str) -> Any:
    """Return each value of a column once; grouping is faster in engines than removing duplicates."""
    return frame.group_by(name).agg(nw.len().alias("__rows")).select(name)


def everybody(nw: Any, happened: Table, people: Table | None, customer_id: str, instants: Iterable[str]) -> Any:
    """Return one row per customer with fields, including customers who occur only in the events.

    The columns `instants` of customers are converted to UTC times.
    """
    ids = happened.frame.select(customer_id).filter(~nw.col(customer_id).is_null())
    if people is None:
        return distinct(nw, ids, customer_id)
    known = people.in_utc(instants)
    listed = distinct(nw, nw.concat([ids, known.select(customer_id)]), customer_id)
    return listed.join(known, on=customer_id, how="left")


def match_ids(happened: Table, people: Table | None, customer_id: str) -> str:
    """Give the ids of both frames one type and return it; raise an error if one has integers and one has strings."""
    kinds = {table.what: table.id_kind(customer_id) for table in (happened, people) if table is not None}
    if len(set(kinds.values())) > 1:
        both = " and ".join(f"{kind} in {what}" for what, kind in kinds.items())
        raise InputError(
            f"{customer_id!r} holds {both}; ids must be all integers or all texts.",
            argument="customer_id",
            code="mixed_types",
            hint="Cast one of them.",
        )
    kind = kinds["events"]
    for table in (happened, people):
        if table is not None:
            table.cast_id(customer_id, kind)
    return kind


class Table:
    """A frame of an engine with its columns by the names that rules use."""

    def __init__(self, nw: Any, what: str, native: Any, names: Mapping[str, str]) -> None:
        try:
            frame = nw.from_native(native)
        except TypeError:
            raise InputError(
                f"{what} is a {type(native).__name__}; it must be a frame of an engine (Polars, DuckDB or Spark).",
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
        if what == "customers":  # customers have no time, type or value, but a field may have such a name
            names = {name: column for name, column in names.items() if name not in _OF_EVENTS and column in self.schema}
        for name, column in names.items():
            if what == "customers" and name != column and name in self.schema and name != "customer_id":
                raise InputError(
                    f"customers has a column {name!r}, but columns says that {name!r} is called {column!r}: rename "
                    "one of them.",
                    argument="columns",
                    code="duplicate",
                )
        self.names = names
        self.plain = {name: _kind(nw, dtype) for name, dtype in self.schema.items()}

    def require(self, *names: str) -> None:
        """Raise an error if a column is missing."""
        for name in names:
            if name not in self.schema:
                listed = ", ".join(map(repr, self.schema))
                raise MissingColumnError(
                    f"{self.what} has no column {name!r}: it has {listed}.",
                    argument=self.what,
                    hint=f"{did_you_mean(name, self.schema)} Name it in columns={{...}}.",
                )

    def rename_id(self, customer_id: str) -> None:
        """Rename the column of ids as in the events."""
        if customer_id not in self.schema and "customer_id" in self.schema:
            self.frame = self.frame.rename({"customer_id": customer_id})
            self.schema[customer_id] = self.schema.pop("customer_id")
            self.plain[customer_id] = self.plain.pop("customer_id")
        self.require(customer_id)

    def id_kind(self, customer_id: str) -> str:
        """Return "integers" or "texts", the kind of the ids."""
        dtype = self.schema[customer_id]
        if dtype.is_integer():
            return "integers"
        if self.plain[customer_id] == "text":
            return "texts"
        raise InputError(
            f"{customer_id!r} of {self.what} has type {dtype}; ids must be integers or texts.",
            argument="customer_id",
            code="wrong_type",
            hint="Cast it.",
        )

    def cast_id(self, customer_id: str, kind: str) -> None:
        """Cast ids to the widest type of their kind."""
        wide = self.nw.Int64 if kind == "integers" else self.nw.String
        if self.schema[customer_id] != wide:
            self.frame = self.frame.with_columns(self.nw.col(customer_id).cast(wide))
            self.schema[customer_id] = wide()

    def check_rows(self, customer_id: str, fields: Iterable[str]) -> None:
        """Raise an error if an id is missing or occurs twice, or a number is infinite; this runs one query."""
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
                f"{customer_id!r} of customers is missing in {missing:,} rows: drop these rows or give them ids.",
                argument="customer_id",
                code="missing_value",
            )
        if found["different"] < found["known"]:
            twice = found["known"] - found["different"]
            raise InputError(
                f"{customer_id!r} of customers has {twice:,} repeated ids: customers must have one row per customer.",
                argument="customer_id",
                code="duplicate",
            )
        for k, name in enumerate(numbers):
            if count := found[f"endless_{k}"]:
                raise InputError(
                    f"field {name!r} is infinite in {count:,} rows; numbers must be finite.",
                    argument="customer_id",
                    code="not_finite",
                )

    def kinds(self) -> dict[str, str]:
        """Return the kinds of the columns by the names that rules use."""
        renamed = {name: self.plain[column] for name, column in self.names.items() if column in self.plain}
        return {name: kind for name, kind in (self.plain | renamed).items() if kind}

    def column(self, name: str) -> tuple[Any, str]:
        """Return a column as rules use it, and its kind; numbers are float64, and NaN and infinite ones are null."""
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
        """Return the frame with columns of times converted to UTC times without a time zone, in microseconds."""
        changed = [self.utc(name).alias(name) for name in dict.fromkeys(names)]
        return self.frame.with_columns(*changed) if changed else self.frame

    def _session_zone(self) -> str | None:
        """Return the time zone in which Spark reads its times, whatever their type; None for other engines."""
        engine = self.frame.implementation
        if not (engine.is_pyspark() or engine.is_pyspark_connect()):
            return None
        zone: str = self.frame.to_native().sparkSession.conf.get("spark.sql.session.timeZone")
        return zone

    def utc(self, name: str) -> Any:
        """Return a column of times as UTC times without a time zone, in microseconds; dates stay as they are."""
        nw, dtype, column = self.nw, self.schema[name], self.nw.col(name)
        if dtype == nw.Date:
            return column
        if not isinstance(dtype, nw.Datetime):
            raise InputError(
                f"column {name!r} of {self.what} has type {dtype}; it must hold times.",
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
                    f"column {name!r} of {self.what} has times in the session's time zone {zone}, which this "
                    "engine cannot convert to UTC: set the session time zone to UTC.",
                    argument=name,
                    code="not_portable",
                )
        return column.cast(nw.Datetime("us"))


def _kind(nw: Any, dtype: Any) -> str:
    """Return the kind of a column's values, or '' if rules cannot use them."""
    if dtype.is_numeric():
        return "number"
    if dtype in {nw.Boolean, nw.Date}:
        return "boolean" if dtype == nw.Boolean else "date"
    if isinstance(dtype, nw.Datetime):
        return "instant"
    if dtype in {nw.String, nw.Categorical} or isinstance(dtype, nw.Enum):
        return "text"
    return "empty" if str(dtype) in _NOTHING else ""
