"""Storing results as plain arrays by name, for ``numpy.savez`` or Arrow, with a checksum of everything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from relmark.core.documents import Limits, canonical, check_keys, open_envelope, parse_json
from relmark.core.errors import DefinitionError, InputError, definition_error

__all__ = ["StoredArrays", "checksum", "stored_moment"]

_META = "relmark"
_VERSION = 1
_LIMITS = Limits(bytes=1 << 26, members=1 << 22, string=1 << 20, nodes=1 << 20)
_KINDS = {"bool": "b", "whole": "iu", "number": "f", "text": "U", "id": "iuU", "moment": "M"}


def checksum(
    arrays: Mapping[str, npt.NDArray[Any]], values: Any = None, skip: Callable[[str], bool] = lambda _: False
) -> str:
    """Return a digest of names, types, shapes and values, which does not change when arrays pass through a file."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        if skip(name):
            continue
        array = np.asarray(arrays[name])
        kind = "str" if array.dtype.kind == "U" else array.dtype.name
        digest.update(f"{name} {kind} {array.shape};".encode())
        if kind == "str":
            digest.update(json.dumps(array.reshape(-1).tolist()).encode())
        else:
            array = array.view(np.int64) if array.dtype.kind == "M" else array
            digest.update(np.ascontiguousarray(array).data)
    if values is not None:
        digest.update(canonical(values).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def stored_moment(as_of: Any) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return one date or instant as a value, or one per customer as an array."""
    return ({"as_of": np.asarray(as_of)}, {}) if np.ndim(as_of) else ({}, {"as_of": str(as_of)})


class StoredArrays:
    """A mixin of results that can be stored and compared later: `to_arrays` and `from_arrays`.

    A subclass names its `stored_kind` and the axes of its arrays, and defines how it is packed and unpacked.
    """

    __slots__ = ()

    stored_kind: ClassVar[str]
    axes: ClassVar[Mapping[str, tuple[str, ...]]]
    """For each array, its kind (bool, whole, number, text, id, moment) and the names of its axes."""

    def _packed(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return the arrays by name, and all else as JSON-ready values."""
        raise AssertionError(f"{type(self).__name__} is not packed")

    @classmethod
    def _unpacked(cls, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> Self:  # noqa: ARG003
        """Return the result from checked arrays and values."""
        raise AssertionError(f"{cls.__name__} is not unpacked")

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the result as plain arrays by name, which ``numpy.savez(path, **arrays)`` can write.

        One of them, ``"relmark"``, is a text with the kind, the values that are not arrays, and a checksum.
        """
        packed, values = self._packed()
        arrays = {name: _plain(array) for name, array in packed.items()}
        head = {"relmark": self.stored_kind, "version": _VERSION, "values": values}
        return {**arrays, _META: np.array(canonical({**head, "checksum": checksum(arrays, values)}))}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read a result from the arrays of `to_arrays`, or from a file of them opened with ``numpy.load``.

        Raises
        ------
        DefinitionError
            The arrays are not a result of this kind, or they are damaged: a part is missing, values changed, or rows
            moved.
        """
        given = _loaded(arrays)
        if _META not in given:
            raise DefinitionError(
                f"there is no array {_META!r}: these arrays are not a stored result.",
                argument="arrays",
                code="missing_key",
            )
        body = open_envelope(parse_json(str(given.pop(_META)), _LIMITS), cls.stored_kind, _VERSION)
        check_keys(body, required=("values", "checksum"), what=cls.stored_kind)
        if not isinstance(body["values"], dict):
            raise DefinitionError("an object is needed.", path="$.values", code="not_object")
        _check_axes(given, cls.axes)
        if checksum(given, body["values"]) != body["checksum"]:
            raise DefinitionError(
                "the arrays differ from those that were stored: values changed, or rows moved.",
                argument="arrays",
                code="damaged",
                hint="Store the result again.",
            )
        try:
            return cls._unpacked(given, body["values"])
        except InputError as error:
            raise definition_error(error, "$.values") from None
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DefinitionError(
                f"the stored values are not valid: {error}.", path="$.values", code="damaged"
            ) from None


def _plain(array: Any) -> npt.NDArray[Any]:
    """Return an array in a form that files and Arrow can hold: texts of a fixed width, no Python objects."""
    found: npt.NDArray[Any] = np.asarray(array)
    return found if found.dtype.kind in "biufUM" else found.astype(np.str_)


def _loaded(arrays: Any) -> dict[str, npt.NDArray[Any]]:
    """Return copies of all arrays; an error of the reader of a file becomes a DefinitionError."""
    if not isinstance(arrays, Mapping):
        raise DefinitionError(
            f"arrays is a {type(arrays).__name__}: the result of to_arrays or of numpy.load is needed.",
            argument="arrays",
            code="wrong_type",
        )
    try:
        return {str(name): np.array(arrays[name]) for name in arrays}
    except Exception as error:  # noqa: BLE001  (zipfile, zlib and numpy each raise their own)
        raise DefinitionError(
            f"the arrays cannot be read: {str(error)[:120]}.",
            argument="arrays",
            code="damaged",
            hint="Store the result again.",
        ) from None


def _check_axes(arrays: Mapping[str, npt.NDArray[Any]], axes: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse arrays that are missing, unknown or of a wrong type, or whose lengths do not fit together."""
    sizes: dict[str, tuple[int, str]] = {}
    for name, (kind, *along) in axes.items():
        optional = kind.endswith("?")
        if name not in arrays:
            if optional:
                continue
            raise DefinitionError(f"there is no array {name!r}.", argument=name, code="missing_key")
        array = arrays[name]
        if array.dtype.kind not in _KINDS[kind.rstrip("?")] and array.size:
            raise DefinitionError(
                f"{name} has dtype {array.dtype}: {kind.rstrip('?')} is needed.", argument=name, code="wrong_type"
            )
        if array.ndim != len(along):
            raise DefinitionError(
                f"{name} has {array.ndim} axes: {len(along)} are needed.", argument=name, code="wrong_shape"
            )
        for axis, size in zip(along, array.shape, strict=True):
            shift = 1 if axis.endswith("+1") else 0
            axis, size = axis.removesuffix("+1"), size - shift  # noqa: PLW2901
            known, first = sizes.setdefault(axis, (size, name))
            if known != size:
                raise DefinitionError(
                    f"{name} has length {size:,} along {axis}, but {first} has {known:,}: they are from different "
                    "results, or a part is missing.",
                    argument=name,
                    code="damaged",
                )
    for name in arrays:
        if name not in axes:
            raise DefinitionError(f"unknown array {name!r}.", argument=name, code="unknown_key")
