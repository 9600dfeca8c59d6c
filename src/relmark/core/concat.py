"""Several logs as one, as if it had been built from all their rows, one log after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relmark.core.columns import Column, joined
from relmark.core.errors import InputError
from relmark.core.incoming import Incoming
from relmark.core.ordering import is_sorted, small_codes, stable_order
from relmark.core.partition import Partition


def concat(logs: Sequence[Incoming]) -> Incoming:
    """Return the contents of several logs as one; of events with equal times, those of earlier logs come first."""
    filled = [log for log in logs if log.partitions]
    dropped: dict[str, int] = {}
    for log in logs:
        for reason, count in log.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    if not filled:
        return Incoming(
            customer_id=logs[0].customer_id if logs else np.empty(0, np.int64),
            partitions={},
            dropped=dropped,
            tz=logs[0].tz if logs else "UTC",
            naive=False,
        )
    notes = tuple(dict.fromkeys(note for log in filled for note in log.notes))
    if len({log.customer_id.dtype.kind for log in filled}) > 1:
        raise InputError(
            "some logs have int ids and others have str ids: convert one side first.",
            argument="logs",
            code="mixed_types",
        )
    _refuse_two_kinds(filled)
    ids = np.unique(np.concatenate([log.customer_id for log in filled]))
    tables = [np.searchsorted(ids, log.customer_id) for log in filled]
    starts = np.cumsum([0, *(_span(log) for log in filled)])
    partitions = {}
    for name in sorted({name for log in filled for name in log.partitions}):
        found = [
            (part, table, int(start))
            for log, table, start in zip(filled, tables, starts, strict=False)
            if (part := log.partitions.get(name)) is not None
        ]
        partitions[name] = _merged(name, found, len(ids))
    return Incoming(
        customer_id=ids,
        partitions=partitions,
        dropped=dropped,
        tz=filled[0].tz,
        naive=any(log.naive for log in filled),
        notes=notes,
    )


def _refuse_two_kinds(logs: Sequence[Incoming]) -> None:
    """Raise if a property has different kinds in different events: no column could hold both."""
    kinds: dict[str, tuple[str, str]] = {}
    for log in logs:
        for event in sorted(log.partitions):
            for name, column in log.partitions[event].properties.items():
                first = kinds.setdefault(name, (column.kind, event))
                if column.kind not in ("empty", first[0]):
                    raise InputError(
                        f"property {name!r} is of kind {first[0]} in events of type {first[1]!r} and of kind "
                        f"{column.kind} in those of type {event!r}: give it one kind, or use two names.",
                        argument="logs",
                        code="duplicate",
                    )


def _span(log: Incoming) -> int:
    """Return how many row numbers a log may use."""
    return max(int(part.row.max()) for part in log.partitions.values()) + 1


def _merged(name: str, found: list[tuple[Partition, npt.NDArray[np.intp], int]], n: int) -> Partition:
    zones = [part.day_zone for part, _, _ in found]
    zone = None if None in zones else zones[0]
    parts = [part if zone is None else part.in_zone(zone) for part, _, _ in found]
    time = np.concatenate([part.time for part in parts])
    code = small_codes(np.concatenate([table[part.code] for part, table, _ in found]), n)
    row = np.concatenate([part.row.astype(np.int64) + start for part, _, start in found])
    row = small_codes(row, int(row.max()) + 1)
    value = None
    if any(part.value is not None for part in parts):
        value = np.concatenate([np.full(len(p), np.nan) if p.value is None else p.value for p in parts])
    names = sorted({key for part in parts for key in part.properties})
    properties = {
        key: joined(
            f"property {key!r} of {name!r}", [part.properties.get(key, Column.empty(len(part))) for part in parts]
        )
        for key in names
    }
    whole = Partition(code=code, time=time, value=value, row=row, properties=properties, n_customers=n, day_zone=zone)
    return whole if is_sorted(time) else whole.take(stable_order(time))
