"""The errors of the library, which say what was wrong, where, and what to do about it.

Every error about an argument is an `InputError`, and therefore a `ValueError`. A message names the argument, the first
bad row and its value, what is allowed, and how to fix it. Programs read the same from `code`, `argument`, `path` and
`hint`: see `relmark.core.codes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "ConvergenceError",
    "DataError",
    "DefinitionError",
    "InputError",
    "LimitError",
    "MissingColumnError",
    "NotEnoughDataError",
    "RelmarkError",
    "definition_error",
]

_INSIDE = re.compile(r"\w+(\[\d+\]|\.\w+)+")


class RelmarkError(Exception):
    """The root of every error that relmark raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong and what is allowed.
    code : str
        A stable word for the kind of fault, one of `relmark.core.codes.CODES`.
    argument : str
        The argument, field or column that is wrong; "" where no single one is.
    path : str
        The place of the fault: a JSON path such as ``$.rule.args[1]`` in a definition, else the argument, with the row
        if one row is wrong, as in ``time[3]``.
    row : int, optional
        The first bad row of the argument.
    hint : str
        What to do, or the nearest valid name.

    Examples
    --------
    >>> from relmark import EventLog
    >>> try:
    ...     EventLog.from_columns(customer_id=[1, 2], type="visit", time=["2026-11-01T09:00Z", None])
    ... except InputError as error:
    ...     print(error.to_dict())
    {'error': 'InputError', 'code': 'missing_value', 'argument': 'time', 'path': 'time[1]', 'message': 'time has None \
in row 1: every event needs a time.', 'hint': 'Drop these rows.'}
    """

    own_code: ClassVar[str] = "wrong_value"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        argument: str = "",
        path: str = "",
        row: int | None = None,
        hint: str = "",
    ) -> None:
        self.message = message
        self.code = code or self.own_code
        self.argument = argument
        self.row = row
        self.path = path or (argument if row is None else f"{argument}[{row}]")
        self.hint = hint.strip()
        super().__init__(self._text())

    def _text(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __str__(self) -> str:
        """Return message and hint: a KeyError would print its repr."""
        return str(self.args[0]) if self.args else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON-ready values, for the response of a service."""
        return {
            "error": type(self).__name__,
            "code": self.code,
            "argument": self.argument,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


class InputError(RelmarkError, ValueError):
    """An argument has a wrong value; the message names it and the first bad row, and says how to fix it."""

    _problems: tuple[InputError, ...] = ()

    @property
    def problems(self) -> tuple[InputError, ...]:
        """Everything that is wrong: only this error, or all the errors that it reports together."""
        return self._problems or (self,)


class MissingColumnError(InputError, KeyError):
    """The data have no column of a name that a function needs."""

    own_code = "missing_column"


class NotEnoughDataError(InputError):
    """The data are valid, but there are too few for the calculation."""

    own_code = "not_enough_data"


class DefinitionError(InputError):
    """A stored definition (segment, score, model) is not valid.

    Parameters
    ----------
    message : str
        What is wrong and what would be right.
    path : str
        Where in the definition, as a JSON path such as ``$.rule.args[1]``.
    code : str
        A stable word for the kind of problem, for user interfaces.
    argument : str
        The key that is wrong, where one is.
    hint : str
        The nearest valid name, or what to do.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        argument: str = "",
        path: str = "$",
        row: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, code=code, argument=argument, path=path, row=row, hint=hint)

    def _text(self) -> str:
        text = super()._text()
        return text if self.path == "$" else f"{self.path}: {text}"


class DataError(DefinitionError):
    """A customer or an event from outside is not valid; `problems` lists everything that is wrong with it.

    Parameters
    ----------
    message, path, code, argument, row, hint
        The first problem, as in a DefinitionError.
    problems : sequence of InputError
        All problems, each with its path, code, message and hint.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        argument: str = "",
        path: str = "$",
        row: int | None = None,
        hint: str = "",
        problems: Sequence[InputError] = (),
    ) -> None:
        super().__init__(message, code=code, argument=argument, path=path, row=row, hint=hint)
        self._problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[InputError]) -> DataError:
        """Return one error for several problems; it describes the first and says how many more there are."""
        first, more = problems[0], len(problems) - 1
        hint = f"{first.hint} ({more} more: see problems.)".lstrip() if more else first.hint
        return cls(
            first.message, code=first.code, argument=first.argument, path=first.path, hint=hint, problems=problems
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the first problem and, as ``problems``, all of them, as JSON-ready values."""
        return {**super().to_dict(), "problems": [_told(problem) for problem in self.problems]}


def _told(problem: InputError) -> dict[str, str]:
    return {"path": problem.path, "code": problem.code, "message": problem.message, "hint": problem.hint}


class LimitError(DefinitionError):
    """A definition from outside is larger, deeper or longer than the limits allow."""


class ConvergenceError(RelmarkError, RuntimeError):
    """An iterative method did not reach its tolerance, so its result would be misleading."""

    own_code = "not_converged"


def _root(argument: str) -> str:
    """Return the key to which an argument such as ``rules[0].group`` belongs."""
    return argument.partition("[")[0] if _INSIDE.fullmatch(argument) else argument


def definition_error(error: Exception, path: str = "$", keys: object = None) -> DefinitionError:
    """Turn an error of a constructor into an error of the stored form from which it was called.

    Parameters
    ----------
    error : Exception
        What the constructor raised: an InputError, or a TypeError or ValueError of Python itself.
    path : str
        The place of the object in the definition.
    keys : mapping, optional
        The object as it was stored: an argument that is one of its keys, or is inside of one, becomes part of the path.
    """
    if isinstance(error, DefinitionError):
        if error.path != "$" or path == "$":
            return error
        kind = type(error)
        return kind(error.message, path=path, code=error.code, argument=error.argument, hint=error.hint)
    if not isinstance(error, InputError):
        return DefinitionError(str(error), path=path, code="wrong_value")
    known = isinstance(keys, Mapping) and (error.argument in keys or _root(error.argument) in keys)
    place = f"{path}.{error.path}" if known else path
    return DefinitionError(error.message, path=place, code=error.code, argument=error.argument, hint=error.hint)
