"""Immutability: arrays that nobody can write to, also after a pickle or a copy."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

__all__ = ["Frozen", "locked", "owned", "read_only"]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of an array through which nothing can be written."""
    view = array.view()
    view.flags.writeable = False
    return view


def locked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an array read-only without a copy; only for arrays that nobody else refers to."""
    array.flags.writeable = False
    return array


def owned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only array with the same values; it is a copy if the memory of the given one can be written to."""
    held: Any = array
    while isinstance(held, np.ndarray):
        if held.flags.writeable:
            return locked(np.array(array))
        held = held.base
    return array


class Frozen:
    """A mixin of attrs classes that hold arrays: copies made by pickle and deepcopy are immutable too."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Store only the fields, and make arrays read-only when the object is built again."""
        names = [attribute.name for attribute in attrs.fields(type(self))]  # type: ignore[arg-type]
        return _rebuilt, (type(self), {name: getattr(self, name) for name in names})


def _rebuilt(cls: type, state: dict[str, Any]) -> Any:
    made: Any = object.__new__(cls)
    for name, value in state.items():
        object.__setattr__(made, name, _locked(value))
    return made


def _locked(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return locked(value) if value.flags.owndata else read_only(value)
    if type(value) is dict:
        return {key: _locked(item) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(_locked(item) for item in value)
    return value
