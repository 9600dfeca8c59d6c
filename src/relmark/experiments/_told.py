"""Results that are shown in rows, one figure with its interval per row, both printed and in a notebook."""

from __future__ import annotations

from typing import Any

from relmark.core.results import Result

_WIDTH = 14


class Told(Result):
    """A result with a title and rows of a name and a text."""

    __slots__ = ()

    def _title(self) -> str:
        """Return the line above the rows."""
        return repr(self)

    def _rows(self) -> list[tuple[str, str]]:
        """Return the rows: by default a name and a text for each fact."""
        return [(name, str(value)) for name, value in self._facts().items()]

    def _table(self) -> dict[str, Any]:
        rows = self._rows()
        return {"": [name for name, _ in rows], type(self).__name__: [text for _, text in rows]}

    def _caption(self) -> str:
        return self._title()

    def __str__(self) -> str:
        return "\n".join([self._title(), *(f"{name:>{_WIDTH}}: {text}" for name, text in self._rows())])
