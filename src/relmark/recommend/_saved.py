"""Fitted models as plain arrays with ids, and as JSON: without pickle, so reading one runs no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.documents import Limits, canonical, check_keys, open_envelope, parse_json
from relmark.core.documents import fingerprint as hashed
from relmark.core.errors import DefinitionError, InputError
from relmark.core.stored_arrays import checksum
from relmark.core.table import ItemTable
from relmark.recommend._catalog import Catalog
from relmark.recommend._history import History
from relmark.recommend.kinds import FITTED, read_spec

_KIND, _VERSION = "fitted_recommender", 1
_META = "relmark"
_DTYPES = ("bool", "int32", "int64", "float32", "float64", "str")
_PARTS = ("indptr", "item", "weight", "last", "count", "bought")


class Saved:
    """The methods `to_arrays`, `to_dict`, `to_json` and their readers for an attrs class."""

    __slots__ = ()

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the model as arrays by name, which ``numpy.savez(path, **arrays)`` writes.

        The table of items is not included: prices and stock change, so give a current table when you read the model.
        """
        arrays: dict[str, npt.NDArray[Any]] = {}
        meta: dict[str, Any] = {"relmark": _KIND, "version": _VERSION, "model": self.spec.kind, "values": {}}  # type: ignore[attr-defined]
        for attribute in attrs.fields(type(self)):  # type: ignore[arg-type]
            name, value = attribute.name, getattr(self, attribute.name)
            if name == "spec":
                meta["spec"] = value.to_dict()
            elif isinstance(value, np.ndarray):
                arrays[name] = value if value.dtype.kind != "O" else value.astype(np.str_)  # very long ids
            elif isinstance(value, History):
                arrays |= {
                    f"{name}.{part}": getattr(value, part) for part in _PARTS if getattr(value, part) is not None
                }
            elif isinstance(value, tuple) and value and isinstance(value[0], Saved):
                meta["values"][name] = {"models": len(value)}
                for k, model in enumerate(value):
                    arrays |= {f"{name}.{k}.{key}": array for key, array in model.to_arrays().items()}
            elif not isinstance(value, Catalog):
                meta["values"][name] = value
        meta["checksum"] = checksum(arrays, skip=_is_of_a_part)
        arrays[_META] = np.array(canonical(meta))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], *, catalog: ItemTable | None = None) -> Self:
        """Return the model from the arrays of `to_arrays`, or of ``numpy.load(path, allow_pickle=False)``.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            The saved arrays.
        catalog : ItemTable, optional
            The current table of items.
        """
        if not isinstance(arrays, Mapping):
            raise DefinitionError(
                f"arrays is a {type(arrays).__name__}: the result of to_arrays or np.load is needed.", code="wrong_type"
            )
        if _META not in arrays:
            raise DefinitionError(f"arrays has no {_META!r}: they are not a saved recommender.", code="missing_key")
        meta = open_envelope(parse_json(str(arrays[_META])), _KIND, _VERSION)
        check_keys(meta, required=("model", "values", "spec", "checksum"), what="saved recommender")
        model: Self = _build(cls, meta, arrays, catalog)
        return model

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of settings, weights and ids: equal for models with equal contents, wherever they are read."""
        arrays = self.to_arrays()
        parts = {name: json.loads(str(array)) for name, array in arrays.items() if name.endswith(_META)}
        for part in parts.values():
            part["spec"].pop("meta", None)
        return hashed(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON-ready values."""
        arrays = self.to_arrays()
        meta = json.loads(str(arrays.pop(_META)))
        return {
            **meta,
            "arrays": {
                name: {
                    "dtype": "str" if array.dtype.kind == "U" else array.dtype.name,
                    "shape": list(array.shape),
                    "values": array.reshape(-1).tolist(),
                }
                for name, array in arrays.items()
                if not name.endswith(f".{_META}")
            },
            "parts": {name: json.loads(str(array)) for name, array in arrays.items() if name.endswith(f".{_META}")},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], *, catalog: ItemTable | None = None) -> Self:
        """Return the model from the result of `to_dict`."""
        body = open_envelope(document, _KIND, _VERSION)
        check_keys(body, required=("model", "values", "spec", "checksum", "arrays", "parts"), what="saved recommender")
        arrays = {name: _array(name, entry) for name, entry in _object(body.pop("arrays"), "$.arrays").items()}
        arrays |= {name: np.array(canonical(part)) for name, part in _object(body.pop("parts"), "$.parts").items()}
        model: Self = _build(cls, body, arrays, catalog)
        return model

    def to_json(self) -> str:
        """Return the model as JSON text; arrays are smaller and faster, so use it only where text is needed."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes, *, catalog: ItemTable | None = None, limits: Limits | None = None) -> Self:
        """Return the model from the text of `to_json`, by default of at most 256 MiB."""
        limits = limits or Limits(bytes=1 << 28, members=1 << 25, nodes=10_000)
        return cls.from_dict(parse_json(text, limits), catalog=catalog)


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionError("an object is needed.", path=path, code="not_object")
    return value


def _array(name: str, entry: Any) -> npt.NDArray[Any]:
    path = f"$.arrays.{name}"
    check_keys(entry, required=("dtype", "shape", "values"), path=path, what="array")
    if entry["dtype"] not in _DTYPES:
        raise DefinitionError(f"dtype must be one of {', '.join(_DTYPES)}.", path=f"{path}.dtype", code="wrong_type")
    try:
        with np.errstate(over="raise"):
            array = np.array(entry["values"], dtype=np.str_ if entry["dtype"] == "str" else entry["dtype"])
        return array.reshape(entry["shape"])
    except (TypeError, ValueError, ArithmeticError) as error:
        raise DefinitionError(f"these values are not an array: {error}.", path=path, code="wrong_type") from None


def _build(cls: Any, meta: Mapping[str, Any], arrays: Mapping[str, Any], catalog: ItemTable | None) -> Any:
    if not isinstance(meta["model"], str) or meta["model"] not in FITTED:
        raise DefinitionError(
            f"{str(meta['model'])[:64]!r} is not a recommender.", path="$.model", code="unknown_model"
        )
    model = FITTED[meta["model"]]
    if not issubclass(model, cls):
        raise InputError(
            f"arrays hold a saved {meta['model']!r}, not a {cls.__name__}: read it with Fitted.from_arrays.",
            argument="arrays",
            code="wrong_kind",
        )
    values: dict[str, Any] = {"spec": read_spec(meta["spec"])}
    for attribute in attrs.fields(model):
        name = attribute.name
        if name in {"spec", "catalog"}:
            continue
        if f"{name}.indptr" in arrays:
            parts = {part: arrays[f"{name}.{part}"] for part in _PARTS if f"{name}.{part}" in arrays}
            values[name] = _history(name, parts, len(arrays["item"]))
        elif name in arrays:
            values[name] = np.array(arrays[name])  # a copy, so that the caller's array stays untouched
        elif name in meta["values"]:
            value = meta["values"][name]
            if isinstance(value, Mapping):
                value = tuple(_part(arrays, f"{name}.{k}.", catalog) for k in range(int(value.get("models", 0))))
            values[name] = tuple(value) if isinstance(value, list) else value
        else:
            raise DefinitionError(f"the saved model has no {name!r}.", code="missing_key")
    _check_shapes(model, values)
    own = {name: array for name, array in arrays.items() if name != _META and not _is_of_a_part(name)}
    if checksum(own, skip=_is_of_a_part) != meta["checksum"]:
        raise DefinitionError(
            "the arrays differ from those that were saved: values changed, or rows moved. Save the model again.",
            code="damaged",
        )
    return model(**values, catalog=Catalog(values["item"], catalog, values["tz"]))


def _part(arrays: Mapping[str, Any], prefix: str, catalog: ItemTable | None) -> Any:
    return Saved.from_arrays(
        {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}, catalog=catalog
    )


def _is_of_a_part(name: str) -> bool:
    """Return whether an array belongs to a model within a blend or fallback, such as 'models.0.item'."""
    return len(name.split(".")) > 1 and name.split(".")[1].isdigit()


def _check_shapes(model: Any, values: Mapping[str, Any]) -> None:
    """Raise if arrays do not fit together: cut off, from different models, or with ids out of order."""
    sizes: dict[str, tuple[int, str]] = {}
    for name, axes in model.axes().items():
        array = values[name]
        shape = (len(array),) if isinstance(array, History) else array.shape
        if len(shape) != len(axes):
            raise DefinitionError(f"{name!r} has {len(shape)} axes, but {len(axes)} are needed.", code="wrong_value")
        for axis, size in zip(axes, shape, strict=True):
            known, first = sizes.setdefault(axis, (size, name))
            if size != known:
                raise DefinitionError(
                    f"{name!r} has {size:,} {axis} and {first!r} has {known:,}: they do not fit together.",
                    code="damaged",
                )
    for name in ("item", "customer_id"):
        ids = values[name]
        if len(ids) > 1 and not (ids[1:] > ids[:-1]).all():
            row = int(np.argmin(ids[1:] > ids[:-1])) + 1
            raise DefinitionError(
                f"{name!r} is not ascending at row {row}: its rows were moved without those of the other arrays.",
                code="damaged",
            )


def _history(name: str, parts: Mapping[str, Any], m: int) -> History:
    """Return saved rows after checking what the kernels rely on: ascending offsets and existing items."""
    missing = [part for part in _PARTS[:3] if part not in parts]
    if missing:
        raise DefinitionError(f"the saved model has no {name}.{missing[0]!r}.", code="missing_key")
    indptr, entries = parts["indptr"], len(parts["item"])
    lengths = {len(parts[part]) for part in _PARTS[1:] if part in parts}
    if (
        lengths != {entries}
        or len(indptr) == 0
        or indptr[0] != 0
        or indptr[-1] != entries
        or (np.diff(indptr) < 0).any()
    ):
        raise DefinitionError(f"the rows of {name!r} do not fit together.", code="damaged")
    if entries and not 0 <= int(parts["item"].min()) <= int(parts["item"].max()) < m:
        raise DefinitionError(f"the rows of {name!r} point outside the {m:,} items.", code="damaged")
    return History(**{part: np.array(values) for part, values in parts.items()})
