"""Apply a function to parts of the customers, and add up its results."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

from relmark.core.base import CustomerBase
from relmark.core.checks import whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.time import Instant
from relmark.engines.answers import Answer, arrow
from relmark.engines.applying import Read, united
from relmark.engines.tables import narwhals_module
from relmark.engines.worker import Worker
from relmark.expressions.needs import Needs

__all__ = ["MEMORY", "reduce"]

MEMORY = 1 << 29
_State = TypeVar("_State")
_MANY = 4  # levels of fewer states are not worth a shuffle


def reduce(
    partial: Callable[[CustomerBase], _State | None],
    *,
    events: object,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    needs: Needs | None = None,
) -> _State:
    """Apply a function to parts of the customers, and return the sum of its results.

    Parameters
    ----------
    partial : callable
        Takes a base of some customers and returns something with ``+``, or None if there is nothing to add.
    events : polars LazyFrame or DataFrame, DuckDB relation, PySpark DataFrame
        One row per event, as for `evaluate`.
    customers, columns, tz, memory
        As in `apply`.
    as_of : instant
        Nothing after this instant is read if `needs` is given.
    needs : Needs, optional
        What the function needs. By default, everything is read.

    Returns
    -------
    the type that `partial` returns

    Raises
    ------
    NotEnoughDataError
        If no part has anything to add.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> frame = pl.LazyFrame({"customer_id": ["a", "b"], "type": ["visit"] * 2, "time": [datetime(2026, 1, 5)] * 2})
    >>> reduce(lambda base: len(base.events), events=frame, as_of="2026-01-31")
    2
    """
    whole("memory", memory, low=1)
    named = getattr(partial, "__name__", "partial")
    answer = Answer(name=named, needs=needs, ask=lambda base, as_of: cast("Any", partial(base)))  # noqa: ARG005
    work = Worker(definition=answer, as_of=as_of, tz=tz, columns=dict(columns or {}))
    read = Read(narwhals_module(), work, events, customers)
    engine = read.happened.frame.implementation
    if engine.is_pyspark() or engine.is_pyspark_connect():
        parts = _on_spark(read)
    elif engine.is_polars() or engine.is_duckdb():
        found = (work._of_piece(*piece) for piece in read.pieces(memory))  # noqa: SLF001
        parts = (part for part in found if part is not None)
    else:
        raise InputError(
            f"events is a frame of {engine.value}, which reduce does not support: bring the rows of each customer "
            "together there, apply the function to each part, and add up the results.",
            argument="events",
            code="wrong_type",
        )
    first = next(parts, None)
    if first is None:
        raise NotEnoughDataError("no customer has anything to add up by as_of.", argument="events")
    return cast("_State", functools.reduce(operator.add, parts, first))


def _on_spark(read: Read) -> Iterator[Any]:
    """Yield states that executors have computed and added up."""
    native, work = united(read)

    def made(batches: Iterator[Any]) -> Iterator[Any]:
        held = list(batches)  # a customer may be in several batches, so join the whole partition first
        if held:
            yield from _packed(work._of_piece(arrow().Table.from_batches(held)))  # noqa: SLF001

    def added(batches: Iterator[Any]) -> Iterator[Any]:
        held = [state for batch in batches for state in _unpacked(batch["state"].to_pylist())]
        if held:
            yield from _packed(functools.reduce(operator.add, held))

    parts = native.repartition("customer_id").mapInArrow(made, "state binary")
    # The driver collects as many states as the square root of the partitions, and so does each executor before it.
    level = math.isqrt(int(native.sparkSession.conf.get("spark.sql.shuffle.partitions")))
    if level >= _MANY:
        parts = parts.repartition(level).mapInArrow(added, "state binary")
    yield from _unpacked(row["state"] for row in parts.toLocalIterator())  # one after the other: the driver holds two


def _packed(state: Any) -> Iterator[Any]:
    """Yield a state as a batch of one row; yield nothing without a state."""
    if state is not None:
        pa = arrow()
        yield pa.RecordBatch.from_pydict({"state": pa.array([_serializer().dumps(state)], pa.binary())})


def _unpacked(held: Iterable[Any]) -> Iterator[Any]:
    """Yield the states that our own workers have packed; data from outside is never unpickled."""
    return (_serializer().loads(bytes(one)) for one in held)


def _serializer() -> Any:
    """Return the serializer with which Spark itself sends Python objects."""
    return import_module("pyspark.serializers").CloudPickleSerializer()
