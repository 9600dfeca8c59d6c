"""Journeys from strings and lists.

If few strings are distinct, they are looked up in a dictionary, and only the distinct ones are split. If many are
distinct, all are split (see `_tokens`), and equal paths are found among the codes (see `_duplicates`). That is faster
when a dictionary would not fit the cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.attribution._duplicates import distinct_paths
from relmark.attribution._tokens import Tokens, split_codes
from relmark.attribution._touches import weighted
from relmark.attribution.journey_columns import refuse_lone_value
from relmark.core.checks import IntArray, numbers, shown
from relmark.core.errors import InputError

_SAMPLE = 1_024
_FEW = 0.1  # the share of distinct strings in a sample below which a dictionary finds equal strings faster


class Paths(NamedTuple):
    """Distinct paths as codes, and the path of each row of the input."""

    codes: npt.NDArray[np.int32]
    offsets: IntArray
    channels: npt.NDArray[np.str_]
    path_of_row: IntArray
    may_repeat: bool  # whether distinct strings may be one path after spaces and empty touches are removed


def journeys_of_paths(
    paths: Any,
    conversions: npt.ArrayLike | None,
    value: npt.ArrayLike | None,
    nulls: npt.ArrayLike | None,
    sep: str,
    *,
    drop_empty: bool,
) -> tuple[dict[str, Any], bool]:
    """Return the fields of `Journeys` for path strings with counts, and whether rows may still have equal paths."""
    parsed = parse_paths(paths, sep, drop_empty=drop_empty)
    n = len(parsed.path_of_row)
    counts = {
        "conversions": np.ones(n) if conversions is None else numbers("conversions", conversions, length=n, low=0.0),
        "nulls": np.zeros(n) if nulls is None else numbers("nulls", nulls, length=n, low=0.0),
    }
    if value is not None:
        counts["value"] = numbers("value", value, length=n, low=0.0)
    refuse_lone_value(counts.get("value"), counts["conversions"])
    found = len(parsed.offsets) - 1
    if found < n:
        counts = {name: weighted(parsed.path_of_row, column, found) for name, column in counts.items()}
    fields: dict[str, Any] = {"codes": parsed.codes, "offsets": parsed.offsets, "channels": parsed.channels, **counts}
    return fields | {"notes": _unsplit(parsed, sep)}, parsed.may_repeat


_SEPARATORS = ("->", ">", "|", ";", ",", "/", "→")


def _unsplit(parsed: Paths, sep: str) -> tuple[str, ...]:
    """Return a note if no path was split and the channels seem to contain another separator."""
    if len(parsed.codes) > len(parsed.offsets) - 1 or not len(parsed.codes):
        return ()
    names = parsed.channels.tolist()
    for other in _SEPARATORS:
        held = [name for name in names if other in name]
        if 2 * len(held) >= len(names) or (held and other in {">", "->"}):
            found = f"no path has two touches, and {len(held):,} channels contain {other!r}, such as {shown(held[0])}"
            return (f"{found}: if it separates touches, give sep={other!r} instead of {sep!r}",)
    return ()


def as_rows(name: str, values: Any) -> list[Any]:
    """Return the rows of a list, an array or a frame's column as a list of Python objects."""
    if isinstance(values, (str, bytes)):
        raise InputError(
            f"{name} is one string {shown(values)}: give a list of paths.", argument=name, code="wrong_type"
        )
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(values, method):
            try:
                return list(getattr(values, method)())
            except Exception:  # noqa: BLE001  (each library raises its own error)
                raise InputError(
                    f"{name} is a {type(values).__name__} with values that Python cannot represent.",
                    argument=name,
                    code="wrong_type",
                ) from None
    if not isinstance(values, Iterable):
        raise InputError(f"{name} is {shown(values)}: give a list of paths.", argument=name, code="wrong_type")
    return list(values)


def parse_paths(paths: Any, sep: str, *, drop_empty: bool) -> Paths:
    """Return the distinct paths of strings such as ``"mail > search"``, or of lists of channel names."""
    rows = as_rows("paths", paths)
    if set(map(type, rows)) <= {str}:
        tokens, path_of_row = _split(rows, sep)
    else:
        lists, path_of_row = _distinct(
            [_key(row, number, sep, drop_empty=drop_empty) for number, row in enumerate(rows)]
        )
        tokens = _coded(lists)
    raw, counts, names = tokens
    back, channels = code_names(names)
    codes = raw if (back == np.arange(len(back))).all() else back[raw]
    may_repeat = len(channels) < len(names)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    empty = np.flatnonzero(channels == "")
    blank = codes == empty[0] if len(empty) else np.zeros(len(codes), dtype=np.bool_)
    if not drop_empty:
        _refuse_empty(blank, offsets, path_of_row, rows)
    elif blank.any():
        codes, offsets = keep_touches(codes, offsets, ~blank)
        kept = np.flatnonzero(channels != "")
        back = np.zeros(len(channels), dtype=np.int32)
        back[kept] = np.arange(len(kept), dtype=np.int32)
        codes, channels = back[codes], channels[kept]
        may_repeat = True
    return Paths(codes, offsets, channels, path_of_row, may_repeat)


def _split(rows: list[str], sep: str) -> tuple[Tokens, IntArray]:
    """Return the touches of the distinct strings, and the place of each row's string among them."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    few = len(set(sample)) <= _FEW * len(sample)
    found = None if few else split_codes(rows, sep)
    if found is not None:
        return _once(found)
    distinct, path_of_row = _distinct(rows)
    found = split_codes(distinct, sep) if few and distinct else None
    return _coded([path.split(sep) for path in distinct]) if found is None else found, path_of_row


def _once(tokens: Tokens) -> tuple[Tokens, IntArray]:
    """Return the touches of the distinct paths, and the place of each path among them."""
    path, first = distinct_paths(tokens.codes, np.concatenate(([0], np.cumsum(tokens.counts))))
    if len(first) == len(path):
        return tokens, path
    is_first = np.zeros(len(path), dtype=np.bool_)
    is_first[first] = True
    codes = tokens.codes[np.repeat(is_first, tokens.counts)]
    return Tokens(codes, tokens.counts[first], tokens.names), path


def _coded(lists: Sequence[Sequence[str]]) -> Tokens:
    """Return the touches of paths given as lists of names."""
    tokens = [token for path in lists for token in path]
    names = list(dict.fromkeys(tokens))
    places = dict(zip(names, range(len(names)), strict=True))
    codes = np.fromiter(map(places.__getitem__, tokens), dtype=np.int32, count=len(tokens))
    return Tokens(codes, np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)), names)


def _distinct(rows: list[Any]) -> tuple[list[Any], IntArray]:
    """Return the distinct rows in the order of first occurrence, and the place of each row among them.

    A dictionary that numbers new keys looks each row up once, without running Python code per row.
    """
    index: defaultdict[Any, int] = defaultdict(count().__next__)
    place = np.fromiter(map(index.__getitem__, rows), dtype=np.int64, count=len(rows))
    return list(index), place


def _key(row: Any, number: int, sep: str, *, drop_empty: bool) -> tuple[str, ...]:
    if isinstance(row, str):
        return tuple(row.split(sep))
    if row is None or (isinstance(row, float) and row != row):  # noqa: PLR0124  (NaN)
        if drop_empty:
            return ()
        raise InputError(
            f"paths is missing in row {number}: every row needs a path.",
            argument="paths",
            row=number,
            code="missing_value",
            hint="Drop the row, or pass on_empty='drop' to count its conversions as unattributed.",
        )
    if isinstance(row, (Sequence, np.ndarray)) and not isinstance(row, bytes):
        names = tuple(row.tolist() if isinstance(row, np.ndarray) else row)
        for name in names:
            if not isinstance(name, str):
                raise InputError(
                    f"paths has {shown(name)} in row {number}: channels are strings.",
                    argument="paths",
                    row=number,
                    code="wrong_type",
                )
        return names or ("",)
    raise InputError(
        f"paths has {shown(row)} in row {number}: a string or a list of channel names is needed.",
        argument="paths",
        row=number,
        code="wrong_type",
    )


def _refuse_empty(blank: npt.NDArray[np.bool_], offsets: IntArray, path_of_row: IntArray, rows: list[Any]) -> None:
    if not blank.any():
        return
    bad_path = int(np.searchsorted(offsets, int(np.argmax(blank)), side="right")) - 1
    row = int(np.argmax(path_of_row == bad_path))
    raise InputError(
        f"paths has {shown(rows[row])} in row {row}: it is empty or has an empty touch.",
        argument="paths",
        row=row,
        code="empty",
        hint=(
            "Every touch needs a name. "
            "Correct the row, or pass on_empty='drop' to leave empty touches out and count the conversions of paths "
            "without any as unattributed."
        ),
    )


def code_names(tokens: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.str_]]:
    """Return the code of each name, and the names without outer spaces in the order of first occurrence."""
    first: dict[str, int] = {}
    raw: dict[str, int] = {}
    for name in dict.fromkeys(tokens):
        if name.endswith("\0"):
            raise InputError(
                f"the channel {shown(name)} ends in a null character: remove it.", argument="paths", code="bad_text"
            )
        raw[name] = first.setdefault(name.strip(), len(first))
    codes = np.fromiter(map(raw.__getitem__, tokens), dtype=np.int32, count=len(tokens))
    return codes, np.array(list(first), dtype=np.str_) if first else np.empty(0, dtype="<U1")


def keep_touches(
    codes: npt.NDArray[np.int32], offsets: IntArray, keep: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Return the touches that are kept, and where the touches of each journey then start."""
    before = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
    return codes[keep], before[offsets]
