"""Ids and words as codes: each distinct value once, ascending, and one integer per row."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import array_of, is_missing, shown
from relmark.core.errors import InputError
from relmark.core.ordering import small_codes

__all__ = ["Coded", "code_ids", "code_texts", "find_ids", "id_array", "is_text", "staying", "text_array"]

Codes = npt.NDArray[np.int32] | npt.NDArray[np.int64]
_TABLE_SLACK = 1 << 20
_SLACK = 1 << 20  # arrays of fewer bytes always hold strings of one width
_SKEWED = 2
_OBJECT = 64  # bytes of a Python string in addition to its characters
_BLOCK = 1 << 16


@attrs.frozen(eq=False)
class Coded:
    """A column that a frame library has already coded: `categories[codes]`, with -1 for missing.

    Categories are usually distinct strings, in any order; a categorical of other values keeps those values.
    """

    categories: npt.NDArray[Any]
    codes: npt.NDArray[np.integer]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.codes)

    @property
    def of_texts(self) -> bool:
        """Whether the categories are strings."""
        kind = self.categories.dtype.kind
        return kind == "U" or (kind == "O" and all(isinstance(word, str) for word in self.categories.tolist()))

    def take(self, rows: npt.NDArray[Any]) -> Coded:
        """Return some rows."""
        return Coded(self.categories, self.codes[rows])

    def decoded(self) -> npt.NDArray[Any]:
        """Return the values, as objects with None where some are missing."""
        if (self.codes >= 0).all():
            return np.asarray(self.categories[self.codes])
        words = np.empty(len(self.categories) + 1, dtype=object)
        words[:-1] = self.categories.tolist()
        return np.asarray(words[self.codes])


def code_ids(name: str, values: Any) -> tuple[npt.NDArray[Any], Codes]:
    """Return distinct ids ascending (int64 or str), and for each row the position of its id among them.

    Raises
    ------
    InputError
        A missing id, one that is neither int nor str, or both kinds in one column.
    """
    if isinstance(values, Coded):
        missing = values.codes < 0
        if missing.any():
            raise InputError(
                f"{name} is missing in row {int(np.argmax(missing))}: drop these rows.",
                argument=name,
                row=int(np.argmax(missing)),
                code="missing_value",
            )
        if not values.of_texts:
            return code_ids(name, values.decoded())
        return _sorted_texts(name, values.categories.tolist(), values.codes)
    if isinstance(values, (list, tuple)):
        _refuse_mixed(name, values)
        if len(values) and isinstance(values[0], str):
            return code_texts(name, list(values), missing=False)
    array = id_array(name, values)
    if array.dtype.kind == "i":
        return _code_integers(array)
    return code_texts(name, array, missing=False)


def id_array(name: str, values: Any) -> npt.NDArray[Any]:
    """Return a column of ids as int64 or str, each checked."""
    if isinstance(values, Coded):
        values = values.decoded()
    if isinstance(values, (list, tuple)):  # numpy turns [1, "a"] into strings, [1, True] into numbers, "a\\0" into "a"
        _refuse_mixed(name, values)
        if len(values) and isinstance(values[0], str):
            return text_array(name, list(values))
    array = array_of(name, values)
    if array.ndim != 1:
        raise InputError(
            f"{name} has shape {array.shape}: one column of ids is needed.", argument=name, code="wrong_shape"
        )
    if array.dtype.kind == "T":  # strings of any width, which may have their own missing value: each is checked
        array = array.astype(object) if len(array) else np.empty(0, dtype="<U1")
    if len(array) == 0:
        return array if is_text(array) and array.dtype.kind != "O" else np.empty(0, dtype=np.int64)
    if array.dtype.kind == "u":
        if int(array.max()) > np.iinfo(np.int64).max:
            raise InputError(
                f"{name} has {int(array.max())}: ids are int64 or str.",
                argument=name,
                code="too_large_number",
                hint="Give them as strings.",
            )
        return array.astype(np.int64)
    if array.dtype.kind == "i":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind != "O":
        kept = " Floats often come from integers with missing values: drop those rows and convert to int."
        raise InputError(
            f"{name} has dtype {array.dtype}: ids are int or str.{kept if array.dtype.kind == 'f' else ''}",
            argument=name,
            code="wrong_type",
        )
    _refuse_mixed(name, array.tolist())
    if isinstance(array[0], str):
        return text_array(name, array.tolist())
    try:
        return array.astype(np.int64)
    except OverflowError:
        raise InputError(
            f"{name} has integers beyond int64: give these ids as strings.", argument=name, code="too_large_number"
        ) from None


def _refuse_mixed(name: str, values: Any) -> None:
    kinds = set(map(type, values))
    if kinds in ({int}, {str}) or not kinds:
        return
    text = isinstance(values[0], str)
    for row, value in enumerate(values):
        if is_missing(value):
            raise InputError(
                f"{name} is missing in row {row}: drop these rows.", argument=name, row=row, code="missing_value"
            )
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer, str)):
            raise InputError(
                f"{name} has {shown(value)} in row {row}: ids are int or str.",
                argument=name,
                row=row,
                code="wrong_type",
            )
        if isinstance(value, str) != text:
            raise InputError(
                f"{name} has {shown(value)} in row {row} and {shown(values[0])} in row 0: ids are all int or all str.",
                argument=name,
                row=row,
                code="mixed_types",
            )


def _code_integers(array: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Codes]:
    n = len(array)
    if n == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    low, high = int(array.min()), int(array.max())
    width = high - low + 1
    if width <= 2 * n + _TABLE_SLACK:  # a table of the range costs less than a sort
        present = np.zeros(width, dtype=np.bool_)
        shifted = array - low if low else array
        present[shifted] = True
        ids = np.flatnonzero(present)
        if len(ids) == width:  # every number of the range occurs: it is its own code
            return ids + low, small_codes(shifted, width)
        table = small_codes(np.cumsum(present), width)
        table -= 1
        return ids + low, table[shifted]
    row_bits = (n - 1).bit_length()
    if (width - 1).bit_length() + row_bits <= 63:
        packed = (array - low) << row_bits
        packed |= np.arange(n, dtype=np.int64)
        packed.sort()
        order = packed & ((1 << row_bits) - 1)
        packed >>= row_bits
        first = np.empty(n, dtype=np.bool_)
        first[0] = True
        np.not_equal(packed[1:], packed[:-1], out=first[1:])
        ids = packed[first] + low
        del packed
        ranks = small_codes(np.cumsum(first), n)
        ranks -= 1
        codes = np.empty_like(ranks)
        codes[order] = ranks
        return ids, codes
    ids, codes = np.unique(array, return_inverse=True)
    return ids, small_codes(codes, len(ids))


def code_texts(
    name: str, values: list[Any] | npt.NDArray[Any], *, missing: bool = True
) -> tuple[npt.NDArray[np.str_], Codes]:
    """Return distinct strings ascending, and for each row the position of its string, -1 where it is missing."""
    known: dict[Any, int] = {}
    codes = np.empty(len(values), dtype=np.int64)
    for low in range(0, len(values), _BLOCK):  # an array becomes Python strings a block at a time
        block = values[low : low + _BLOCK]
        words = block.tolist() if isinstance(block, np.ndarray) else block
        try:
            numbered = [known.setdefault(word, len(known)) for word in words]
        except TypeError:
            row = low + next(k for k, word in enumerate(words) if not isinstance(word, str) and not is_missing(word))
            raise InputError(
                f"{name} has {shown(words[row - low])} in row {row}: a string is needed.",
                argument=name,
                row=row,
                code="wrong_type",
            ) from None
        codes[low : low + len(words)] = numbered
    blank = {code for value, code in known.items() if not isinstance(value, str) and is_missing(value)}
    if blank:
        gone = np.isin(codes, list(blank))
        if not missing:
            raise InputError(
                f"{name} is missing in row {int(np.argmax(gone))}: drop these rows.",
                argument=name,
                row=int(np.argmax(gone)),
                code="missing_value",
            )
        codes[gone] = -1
    for value, code in known.items():
        if not isinstance(value, str) and code not in blank:
            row = int(np.argmax(codes == code))
            raise InputError(
                f"{name} has {shown(value)} in row {row}: a string is needed, as in the other rows.",
                argument=name,
                row=row,
                code="wrong_type",
            )
    categories = ["" if code in blank else value for value, code in known.items()]
    return _sorted_texts(name, categories, codes, empty=missing)


def _sorted_texts(
    name: str, categories: list[Any], codes: npt.NDArray[np.integer], *, empty: bool = False
) -> tuple[npt.NDArray[np.str_], Codes]:
    """Return the categories that occur, distinct and ascending, and the codes that belong to them."""
    texts = text_array(name, [str(value) for value in categories])
    used = np.zeros(len(texts) + 1, dtype=np.bool_)
    used[codes] = True  # -1 marks the spare last place
    used = used[:-1]
    if not empty and (texts[used] == "").any():
        row = int(np.argmax(np.isin(codes, np.flatnonzero(texts == ""))))
        raise InputError(
            f"{name} is an empty string in row {row}: drop these rows, or give them an id.",
            argument=name,
            row=row,
            code="empty",
        )
    ordered, ranks = np.unique(texts[used], return_inverse=True)
    back = np.full(len(texts) + 1, -1, dtype=np.int64)
    back[:-1][used] = ranks
    return ordered, small_codes(back[codes], len(ordered))


def is_text(ids: npt.NDArray[Any]) -> bool:
    """Tell whether ids or words are strings, rather than whole numbers."""
    return ids.dtype.kind in "UTO"


def text_array(name: str, values: list[str]) -> npt.NDArray[Any]:
    """Return strings as a numpy array of one width, or of objects where one long string would widen all the others."""
    longest = max(map(len, values), default=1) or 1
    for row, value in enumerate(values):
        if value.endswith("\0"):
            raise InputError(
                f"{name} has {shown(value)} (row {row}), which ends in a null character: remove it.",
                argument=name,
                row=row,
                code="bad_text",
            )
    if not values:
        return np.empty(0, dtype="<U1")
    width = 4 * longest * len(values)
    if width > _SLACK and width > _SKEWED * (_OBJECT * len(values) + sum(map(len, values))):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    return np.array(values, dtype=f"<U{longest}")


def find_ids(name: str, ids: npt.NDArray[Any], wanted: Any) -> npt.NDArray[np.int64]:
    """Return the position of each wanted id among ascending distinct ids, or -1 if it is not among them.

    Raises
    ------
    InputError
        The wanted ids are int and the others str, or the other way round.
    """
    array = id_array(name, [wanted] if isinstance(wanted, (str, int, np.integer)) else wanted)
    if len(array) == 0 or len(ids) == 0:
        return np.full(len(array), -1, dtype=np.int64)
    if is_text(array) != is_text(ids):
        kinds = ("str", "int") if is_text(array) else ("int", "str")
        raise InputError(
            f"{name} has {shown(array[0])}, an id of type {kinds[0]}: the ids of the data are {kinds[1]}.",
            argument=name,
            code="mixed_types",
        )
    places = np.searchsorted(ids, array)
    places[places == len(ids)] = 0
    return np.where(ids[places] == array, places, -1)


def staying(ids: npt.NDArray[Any], gone: Any) -> npt.NDArray[np.bool_]:
    """Return which of ascending distinct ids stay when some are erased; unknown ids to erase are not an error."""
    places = find_ids("ids", ids, list(gone) if isinstance(gone, (set, frozenset)) else gone)
    stay = np.ones(len(ids), dtype=np.bool_)
    stay[places[places >= 0]] = False
    return stay
