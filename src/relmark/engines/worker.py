"""A definition as a function of Arrow tables: it takes the rows of whole customers and returns one row per customer.

An engine only has to bring the rows of each customer together, in any way it can, and call the worker on each part.
`apply` does this on Spark, Polars and DuckDB; with Dask, Ray and others, use the worker itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

import attrs
import numpy as np

from relmark.core.as_of import read_as_of
from relmark.core.base import CustomerBase
from relmark.core.checks import shown
from relmark.core.errors import DefinitionError, InputError, MissingColumnError, RelmarkError
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.schema import Schema
from relmark.core.table import CustomerTable
from relmark.core.time import Instant
from relmark.engines.answers import Answer, Ragged, arrow, read_definition
from relmark.engines.tables import ArrowSchema, ArrowTable, event_names

__all__ = ["Worker", "kinds_of", "require_people", "worker"]

_OWN = ("customer_id", "time", "type", "value")
_KINDS = {"bool": "boolean", "date32[day]": "date", "date64[ms]": "date", "string": "text", "large_string": "text"}


@attrs.frozen(kw_only=True)
class Worker:
    """A definition as a function: call it with the events of whole customers and, optionally, their fields.

    `worker` makes it.

    Parameters
    ----------
    definition : object
        The definition to evaluate.
    as_of : instant
    tz : str
    columns, properties, fields : mapping of str to str
        The names of columns. `properties` and `fields` name all columns to read; with None, all columns are read.
    marker : str, optional
        If events and customers come in one table: the boolean column that is true in rows of customers.
    returns : mapping of str to str, optional
        The types of the columns that the definition makes.
    zone : str, optional
        The field of the customers that holds their time zones.
    """

    definition: object
    as_of: Instant
    tz: str = "UTC"
    columns: Mapping[str, str] = attrs.field(factory=dict)
    properties: Mapping[str, str] | None = None
    fields: Mapping[str, str] | None = None
    marker: str | None = None
    returns: Mapping[str, str] | None = None
    zone: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle only the arguments; how to evaluate the definition is found again after unpickling."""
        return {name.name: getattr(self, name.name) for name in attrs.fields(type(self))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the arguments."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @property
    def answer(self) -> Answer:
        """How to evaluate the definition."""
        return read_definition(self.definition)

    def __call__(self, events: object, customers: object = None) -> ArrowTable:
        """Evaluate the definition for the customers of one part.

        Parameters
        ----------
        events : pyarrow Table or RecordBatch
            All events of some customers; with a `marker`, also the rows of these customers.
        customers : pyarrow Table or RecordBatch, optional
            The fields of the same customers.

        Returns
        -------
        pyarrow Table
            One row per customer, or as many as the definition returns, with the same columns for every part.
        """
        pa = arrow()
        happened, people = self._split(_table("events", events), customers)
        schema = self.schema(happened.schema, None if people is None else people.schema)
        columns = self._result(happened, people)
        return pa.table([_written(pa, columns, field) for field in schema], schema=schema)

    def schema(self, events: object, customers: object = None) -> ArrowSchema:
        """Return the Arrow schema of the result for the schemas of the tables; a run on no rows determines it."""
        pa = arrow()
        given: tuple[Any, Any] = events, customers
        happened, people = _no_rows(pa, given[0]), None if customers is None else _no_rows(pa, given[1])
        answer = self.answer
        known = kinds_of(self, happened, people, answer)
        types = dict(self.returns or {})
        if answer.check is not None:
            for problem in answer.check(known):
                if problem.code in {"unknown_field", "unknown_property"}:
                    raise MissingColumnError(
                        f"{answer.name}: {problem.path}: {problem.message} {problem.hint}".rstrip(),
                        argument="definition",
                        path=problem.path,
                    )
                raise _with_name(answer, problem.error())
        if answer.kinds is not None:
            types = dict(answer.kinds(known)) | types
        id_type = pa.string() if _is_text(pa, happened[self._names["customer_id"]].type) else pa.int64()
        found = self._result(happened, people)
        made = {"bool": pa.bool_(), "double": pa.float64(), "int": pa.int64(), "string": pa.string(),
                "date": pa.date32(), "instant": pa.timestamp("us", tz="UTC")}  # fmt: skip
        listed = []
        for name, column in found.items():
            if name == "customer_id":
                listed.append(pa.field(name, id_type))
            elif name in types:
                if types[name] not in made:
                    raise InputError(
                        f"returns[{name!r}] is {shown(types[name])}; it must be one of {', '.join(made)}.",
                        argument="returns",
                        code="wrong_value",
                    )
                listed.append(pa.field(name, made[types[name]]))
            else:
                listed.append(pa.field(name, _type_of(pa, answer, name, column)))
        return pa.schema(listed)

    @cached_property
    def _names(self) -> dict[str, str]:
        return event_names(self.columns)

    def _split(self, table: Any, customers: Any) -> tuple[Any, Any]:
        """Return the events and the customers of a part."""
        if self.marker is None:
            return table, None if customers is None else _table("customers", customers)
        if customers is not None:
            raise InputError(
                "customers is given, but marker says that customers come in one table with the events: leave customers "
                "out.",
                argument="customers",
                code="conflicting_arguments",
            )
        if self.marker not in table.column_names:
            raise MissingColumnError(
                f"the table has no column {self.marker!r}, which marks the rows of customers.", argument="events"
            )
        compute = import_module("pyarrow.compute")
        of_customers = compute.fill_null(table[self.marker], False)  # noqa: FBT003
        rest = table.drop_columns([self.marker])
        return rest.filter(compute.invert(of_customers)), rest.filter(of_customers)

    def _of_piece(self, events: object, customers: object = None) -> Any:
        """Return the definition's result for a part, before it becomes a table."""
        return self._result(*self._split(_table("events", events), customers))

    def _result(self, happened: Any, people: Any) -> Any:
        answer = self.answer
        try:
            base = self._base(happened, people, answer)
            found = answer.ask(base, self.as_of)
        except RelmarkError as error:
            raise _with_name(answer, error) from error
        except Exception as error:
            who = "" if happened.num_rows == 0 else f" (the first is of customer {_first(self, happened)})"
            raise InputError(
                f"{answer.name} failed on a part with {happened.num_rows:,} events{who}: {type(error).__name__}: "
                f"{error}",
                argument="definition",
                code="wrong_value",
            ) from error
        return found

    def _base(self, happened: Any, people: Any, answer: Answer) -> CustomerBase:
        """Return the base of a part, with all its customers and only the events that the definition needs."""
        pa, compute = arrow(), import_module("pyarrow.compute")
        names = self._names
        who, when, kind = (_required(happened, names[name]) for name in ("customer_id", "time", "type"))
        known = compute.is_valid(happened[who])
        ids = compute.unique(happened[who].filter(known))
        table = self._people(pa, people, ids)
        keep = compute.and_(known, compute.and_(compute.is_valid(happened[when]), compute.is_valid(happened[kind])))
        needs = answer.needs
        if needs is not None and not needs.any_event:
            types = happened[kind]
            types = types.cast(pa.string()) if pa.types.is_dictionary(types.type) else types
            keep = compute.and_(keep, compute.is_in(types, pa.array(list(needs.events), pa.string())))
        properties = self._properties(happened, answer)
        value = names["value"] if names["value"] in happened.column_names else None
        columns = {"customer_id": who, "time": when, "type": kind} | ({} if value is None else {"value": value})
        chosen = happened.filter(keep)
        given = {name: _plain(pa, compute, chosen[column]) for name, column in (columns | properties).items()}
        log = EventLog.from_frame(
            pa.table(given), value=None if value is None else "value", properties=list(properties), tz=self.tz
        )
        return CustomerBase(customers=table, events=log, tz=self.tz, zone=self.zone)

    def _people(self, pa: Any, people: Any, ids: Any) -> CustomerTable:
        """Return the table of customers, including those who occur only in the events."""
        compute = import_module("pyarrow.compute")
        if people is None:
            require_people(self.zone, people)
            return CustomerTable.from_frame(pa.table({"customer_id": ids}), tz=self.tz)
        who = self._names["customer_id"]
        who = _required(people, who if who in people.column_names else "customer_id")
        fields = self._fields(people, who)
        given = {name: _plain(pa, compute, people[column], fields=True) for name, column in fields.items()}
        listed = pa.table({"customer_id": people[who].cast(ids.type)} | given)
        new = pa.table({"customer_id": ids.filter(compute.invert(compute.is_in(ids, listed["customer_id"])))})
        whole = pa.concat_tables([listed, new], promote_options="default") if new.num_rows else listed
        return CustomerTable.from_frame(whole, tz=self.tz)

    def _properties(self, happened: Any, answer: Answer) -> dict[str, str]:
        """Return the properties that are read, each with its column."""
        needs = answer.needs
        if self.properties is not None:
            listed = dict(self.properties)
        else:
            named = {column: name for name, column in self.columns.items() if name not in _OWN}
            own = set(self._names.values())
            listed = {named.get(one, one): one for one in happened.column_names if one not in own}
        if needs is None:
            return listed
        asked = {name for known in needs.events.values() for name in known} | set(needs.any_properties)
        return {name: column for name, column in listed.items() if name in asked and column in happened.column_names}

    def _fields(self, people: Any, who: str) -> dict[str, str]:
        """Return the fields that are read, each with its column."""
        needs = self.answer.needs
        if self.fields is not None:
            listed = dict(self.fields)
        else:
            named = {column: name for name, column in self.columns.items() if name not in _OWN}
            listed = {named.get(one, one): one for one in people.column_names if one != who}
        if needs is None:
            return listed
        return {name: one for name, one in listed.items() if name in needs.fields or name == self.zone}


def worker(
    definition: object,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    marker: str | None = None,
    returns: Mapping[str, str] | None = None,
    zone: str | None = None,
) -> Worker:
    """Make a function of Arrow tables from a definition, for any engine that can bring a customer's rows together.

    Parameters
    ----------
    definition : Segment, SegmentSet, LeadScore, RfmModel, Experiment, Values, Lists, mapping or callable
        As in `apply`.
    columns : mapping of str to str
        The names of the columns for customer_id, time, type and value, and for properties or fields with other names.
    as_of : instant
        Nothing after this instant is used.
    tz : str
        The time zone of the business.
    marker : str, optional
        If events and customers come in one table: the boolean column that is true in rows of customers.
    returns : mapping of str to {"bool", "double", "int", "string", "date", "instant"}, optional
        The types of columns that a run on no rows does not reveal, such as strings that a function makes.
    zone : str, optional
        The field of the customers that holds their time zones, as in `CustomerBase`.

    Returns
    -------
    Worker
        A function: ``work(events)`` or ``work(events, customers)`` takes Arrow tables of whole customers and returns an
        Arrow table. It can be pickled, and ``work.schema(events.schema)`` is the schema of its result.

    Raises
    ------
    InputError
        If `definition` is not a definition. When the worker is called, errors in the rows are raised with the
        definition's name and path.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from relmark import days, event
    >>> work = worker(event("purchase").count(within=days(30)) >= 2, as_of="2026-01-31")
    >>> work(pa.table({"customer_id": ["a", "a", "b"], "type": ["purchase"] * 3,
    ...                "time": np.array(["2026-01-05", "2026-01-09", "2026-01-06"], "M8[us]")})).to_pylist()
    [{'customer_id': 'a', 'member': True, 'unknown': False}, {'customer_id': 'b', 'member': False, 'unknown': False}]
    """
    read_as_of(as_of, tz=tz)
    made = Worker(
        definition=definition, as_of=as_of, tz=tz, columns=dict(columns or {}), marker=marker, returns=returns,
        zone=zone,
    )  # fmt: skip
    read_definition(definition)
    return made


def require_people(zone: str | None, people: object) -> None:
    """Raise an error if time zones are asked for without customers, because only customers have fields."""
    if zone is not None and people is None:
        raise InputError(
            f"zone names the field {zone!r} of customers, but customers is not given: pass the customers.",
            argument="customers",
            code="missing_argument",
        )


def _with_name(answer: Answer, error: RelmarkError) -> RelmarkError:
    """Return an error with the definition's name and path in the message, because only the text travels far."""
    named = isinstance(error, DefinitionError) or not error.path or error.path in error.message
    where = "" if named else f"{error.path}: "
    return type(error)(
        f"{answer.name}: {where}{error.message}",
        code=error.code,
        argument=error.argument or "definition",
        path=error.path,
        row=error.row,
        hint=error.hint,
    )


def _table(what: str, given: Any) -> Any:
    pa = arrow()
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    if not isinstance(given, pa.Table):
        raise InputError(
            f"{what} is a {type(given).__name__}; it must be an Arrow table.", argument=what, code="wrong_type"
        )
    return given


def _required(table: Any, name: str) -> str:
    if name not in table.column_names:
        raise MissingColumnError(
            f"the table has no column {name!r}: it has {', '.join(map(repr, table.column_names))}.",
            argument="events",
            hint=f"{did_you_mean(name, table.column_names)} Name it in columns={{...}}.",
        )
    return name


def _first(work: Worker, happened: Any) -> str:
    return repr(happened[work._names["customer_id"]][0].as_py())  # noqa: SLF001


def _plain(pa: Any, compute: Any, column: Any, *, fields: bool = False) -> Any:
    """Return a column as relmark reads it: times without a time zone are UTC, and events have no infinite numbers."""
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        return column.cast(pa.timestamp(column.type.unit, tz="UTC"))
    if pa.types.is_floating(column.type) and not fields:
        return compute.if_else(compute.is_finite(column), column, pa.scalar(None, column.type))
    if pa.types.is_null(column.type):
        return column.cast(pa.float64())
    return column


def _is_text(pa: Any, kind: Any) -> bool:
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not pa.types.is_integer(held)


def kinds_of(work: Worker, happened: Any, people: Any, answer: Answer) -> Schema:
    """Return the fields and properties that the tables have and the definition needs, each with its kind."""
    pa = arrow()

    def kinds(table: Any, names: Mapping[str, str]) -> dict[str, str]:
        found = {name: _kind(pa, table[column].type) for name, column in names.items()}
        return {name: kind for name, kind in found.items() if kind}

    needs = answer.needs
    types = [] if needs is None else [*needs.events, *(["any event"] if needs.any_event else [])]
    properties = kinds(happened, work._properties(happened, answer))  # noqa: SLF001
    own = work._names["value"]  # noqa: SLF001
    if own in happened.column_names:
        properties["value"] = "number"
    fields: dict[str, str] = {}
    if people is not None:
        who = work._names["customer_id"]  # noqa: SLF001
        who = who if who in people.column_names else "customer_id"
        fields = kinds(people, work._fields(people, who))
    return Schema(fields=fields, events=dict.fromkeys(types, properties))


def _kind(pa: Any, kind: Any) -> str:
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_timestamp(kind):
        return "instant"
    if types.is_list(kind) or types.is_large_list(kind):
        return "tags"
    return "empty" if types.is_null(kind) else _KINDS.get(str(kind), "text" if "string" in str(kind) else "")


def _type_of(pa: Any, answer: Answer, name: str, column: Any) -> Any:
    if isinstance(column, Ragged):
        return pa.list_(_type_of(pa, answer, name, column.values))
    array = np.asarray(column)
    if array.dtype.kind in "US":
        return pa.string()
    if array.dtype.kind == "M":
        return pa.date32() if np.datetime_data(array.dtype)[0] == "D" else pa.timestamp("us", tz="UTC")
    if array.dtype.kind in "biuf":
        return pa.int64() if array.dtype.kind in "iu" else pa.from_numpy_dtype(array.dtype)
    raise InputError(
        f"{answer.name}: column {name!r} has type {array.dtype} on no rows, which does not reveal its type: give it in "
        "returns={...}.",
        argument="returns",
        code="missing_argument",
    )


def _written(pa: Any, columns: Mapping[str, Any], field: Any) -> Any:
    column = columns[field.name]
    if isinstance(column, Ragged):
        values = _values(pa, column.values, field.type.value_type)
        return pa.ListArray.from_arrays(pa.array(column.offsets, pa.int32()), values)
    return _values(pa, np.asarray(column), field.type)


def _values(pa: Any, array: np.ndarray[Any, Any], kind: Any) -> Any:
    if array.dtype.kind in "UO":
        return pa.array(array.tolist(), type=kind, from_pandas=True)
    return pa.array(array, from_pandas=True).cast(kind)


def _no_rows(pa: Any, schema: Any) -> Any:
    """Return a table without rows; dictionary columns become plain ones, which every version of pyarrow can make."""
    coded = pa.types.is_dictionary
    return pa.table({one.name: pa.array([], one.type.value_type if coded(one.type) else one.type) for one in schema})
