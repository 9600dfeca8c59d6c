"""The results of checking a definition from outside, as every `check` returns them."""

from __future__ import annotations

from typing import Any

import attrs

from relmark.core.problems import Problem

__all__ = ["CheckResult", "CheckedDefinition"]


class CheckedDefinition:
    """The result of a check: the definition in the first field of a subclass, or None, and every problem."""

    __slots__ = ()

    problems: tuple[Problem, ...]

    @classmethod
    def _field(cls) -> str:
        return attrs.fields(cls)[0].name  # type: ignore[arg-type, no-any-return]

    def __bool__(self) -> bool:
        """Return whether the definition is valid."""
        return getattr(self, self._field()) is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the definition's stored form and the problems as JSON-ready values."""
        name = self._field()
        found = getattr(self, name)
        stored = None if found is None else found.to_dict()
        return {name: stored, "problems": [problem.to_dict() for problem in self.problems]}

    def __str__(self) -> str:
        return "no problems" if self else "\n".join(map(str, self.problems))


@attrs.frozen(eq=False)
class CheckResult(CheckedDefinition):
    """The result of checking a definition from outside.

    Attributes
    ----------
    definition : Definition or None
        The definition; None if there are problems.
    problems : tuple of Problem
        Everything that is wrong, each with its path, code, message and hint.
    """

    definition: Any
    problems: tuple[Problem, ...]
