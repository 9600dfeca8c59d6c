"""A problem of a definition: its place, a code, a message and a hint."""

from __future__ import annotations

import attrs

from relmark.core.errors import DefinitionError, InputError, definition_error

__all__ = ["Problem"]


@attrs.frozen
class Problem:
    """One thing that is wrong with a definition.

    Parameters
    ----------
    path : str
        The place of the problem, as a JSON path such as ``$.rule.args[1]``.
    code : str
        A stable word for the kind of problem, from which user interfaces can make their own text.
    message : str
        What is wrong and what would be right.
    hint : str
        The nearest valid name, or what to do.
    """

    path: str
    code: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: InputError, path: str = "$", keys: object = None) -> Problem:
        """Return an error as a problem at its own place or, if it has none, at `path` or one of `keys` below it."""
        told = definition_error(error, path, keys)
        return cls(told.path, told.code, told.message, told.hint)

    def to_dict(self) -> dict[str, str]:
        """Return the problem as JSON-ready values."""
        return {"path": self.path, "code": self.code, "message": self.message, "hint": self.hint}

    def error(self) -> DefinitionError:
        """Return the problem as an error."""
        return DefinitionError(self.message, path=self.path, code=self.code, hint=self.hint)

    def __str__(self) -> str:
        return f"{self.path}: {self.message} {self.hint}".rstrip()
