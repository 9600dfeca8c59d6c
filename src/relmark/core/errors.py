"""The errors of the library: what was wrong, where, and what to do about it.

Every error that a caller can cause is an `InputError`, and so a `ValueError`. A message names the argument, the
first bad row and its value, what is allowed, and the remedy.
"""

from __future__ import annotations

__all__ = [
    "ConvergenceError",
    "DefinitionError",
    "InputError",
    "LimitError",
    "MissingColumnError",
    "NotEnoughDataError",
    "RelmarkError",
]


class RelmarkError(Exception):
    """The root of every error that relmark raises on purpose."""


class InputError(RelmarkError, ValueError):
    """An argument has a wrong value; the message names it, the first bad row and the remedy."""


class MissingColumnError(InputError, KeyError):
    """A column that a function needs is not in the data that it was given."""

    def __str__(self) -> str:
        """Return the message itself: KeyError would print its repr."""
        return str(self.args[0]) if self.args else ""


class NotEnoughDataError(InputError):
    """The data are valid, but too few for what was asked."""


class DefinitionError(InputError):
    """A stored definition (segment, score, model) does not say anything that relmark understands.

    Parameters
    ----------
    message : str
        What is wrong and what would be right.
    path : str
        Where in the definition, as a JSON path such as ``$.rule.args[1]``.
    code : str
        A stable word for the kind of problem, for user interfaces.
    hint : str
        The nearest valid name, or what to do.
    """

    def __init__(self, message: str, *, path: str = "$", code: str = "invalid", hint: str = "") -> None:
        text = message if path == "$" else f"{path}: {message}"
        super().__init__(f"{text} {hint}".rstrip())
        self.message = message
        self.path = path
        self.code = code
        self.hint = hint


class LimitError(DefinitionError):
    """A definition from outside is larger, deeper or longer than the limits allow."""


class ConvergenceError(RelmarkError, RuntimeError):
    """An iterative method did not reach its tolerance, and its answer would mislead."""
