"""Arrays that belong to the object which holds them: nobody else can write into them, also after a copy or a pickle."""

from __future__ import annotations

from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an array read-only that was made here and that nobody else holds; no copy."""
    array.flags.writeable = False
    return array


def owned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only array with the same values whose memory nobody can write to: a copy where somebody could."""
    held: Any = array
    while isinstance(held, np.ndarray):
        if held.flags.writeable:
            return frozen(np.array(array))
        held = held.base
    return array


class Owned:
    """A frozen attrs class whose arrays stay read-only when it is pickled or copied deeply: numpy forgets that."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        names = [attribute.name for attribute in attrs.fields(type(self))]  # type: ignore[arg-type]
        return _restored, (type(self), {name: getattr(self, name) for name in names})

    def __copy__(self) -> Self:
        return self


def _restored(cls: type[Any], values: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, owned(value) if isinstance(value, np.ndarray) else value)
    return made
