"""Grids: the name that a customer gets for a recency score and a frequency score.

A grid is a square table of names: recency score r is row r - 1, frequency score f is column f - 1. The standard grid
divides five by five cells among ten names that marketers use. Any other grid can be given as regions, which are checked
to cover every cell exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import DefinitionError, InputError, definition_error

__all__ = ["LAPSED", "PROSPECT", "STANDARD_GRID", "RfmGrid"]

PROSPECT = "Prospect"
LAPSED = "Lapsed"

Span = int | tuple[int, int]
Region = tuple[Span, Span]

_MOST_BINS = 100


def _read_rows(rows: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    if isinstance(rows, str):
        raise InputError(
            f"rows is {checks.shown(rows)}: a square table of names is needed, rows[r - 1][f - 1].",
            argument="rows",
            code="wrong_type",
        )
    return tuple(tuple(row) for row in rows)


@attrs.frozen
class RfmGrid:
    """A name for every pair of a recency score and a frequency score.

    Parameters
    ----------
    rows : sequence of sequences of str, shape (bins, bins)
        ``rows[r - 1][f - 1]`` is the name of the customers who score r in recency and f in frequency; 1 is the lowest
        score. "Prospect" and "Lapsed" are reserved for customers whom a model cannot score.

    Raises
    ------
    InputError
        The table is not square, or a name is empty or reserved.

    Examples
    --------
    >>> STANDARD_GRID.name(5, 5), STANDARD_GRID.name(1, 5), STANDARD_GRID.bins
    ('Champions', "Can't lose them", 5)
    """

    rows: tuple[tuple[str, ...], ...] = attrs.field(converter=_read_rows)

    def __attrs_post_init__(self) -> None:
        """Check that the table is square and its names are usable."""
        n = len(self.rows)
        if not 2 <= n <= _MOST_BINS:
            raise InputError(
                f"rows has {n} rows: one row per score is needed, 2 to {_MOST_BINS} in all.",
                argument="rows",
                code="wrong_length",
            )
        for r, row in enumerate(self.rows, start=1):
            if len(row) != n:
                raise InputError(
                    f"rows has {len(row)} names for recency score {r}: {n} are needed, as many as there are rows.",
                    argument="rows",
                    code="wrong_length",
                )
            for name in row:
                checks.text("a name of the grid", name)
                if name in {PROSPECT, LAPSED}:
                    raise InputError(
                        f"a name of the grid is {name!r}, which is kept for people without a score: rename it.",
                        argument="rows",
                        code="wrong_value",
                    )

    @classmethod
    def from_regions(cls, regions: Mapping[str, Iterable[Region]], *, bins: int) -> RfmGrid:
        """Return the grid in which each name covers one or more rectangles of scores.

        Parameters
        ----------
        regions : dict of name to list of (recency, frequency)
            For each name, its rectangles. Each side is one score or an inclusive pair (low, high).
        bins : int
            The highest score; scores run from 1.

        Raises
        ------
        InputError
            A cell has two names or none, or a region extends beyond the grid.

        Examples
        --------
        >>> grid = RfmGrid.from_regions(
        ...     {"Active": [((2, 3), (1, 3))], "Silent, once good": [(1, 3)], "Silent": [(1, (1, 2))]}, bins=3)
        >>> grid.rows[0]
        ('Silent', 'Silent', 'Silent, once good')
        """
        n = checks.whole("bins", bins, low=2, high=_MOST_BINS)
        cells: list[list[str | None]] = [[None] * n for _ in range(n)]
        for name, parts in regions.items():
            for part in parts:
                (r_low, r_high), (f_low, f_high) = _spans(name, part, n)
                for r in range(r_low, r_high + 1):
                    for f in range(f_low, f_high + 1):
                        taken = cells[r - 1][f - 1]
                        if taken is not None:
                            raise InputError(
                                f"regions: the cell (recency {r}, frequency {f}) is both {taken!r} and {name!r}.",
                                argument="regions",
                                code="duplicate",
                                hint="Give each cell one name.",
                            )
                        cells[r - 1][f - 1] = name
        for r, row in enumerate(cells, start=1):
            for f, cell in enumerate(row, start=1):
                if cell is None:
                    raise InputError(
                        f"regions: the cell (recency {r}, frequency {f}) has no name.",
                        argument="regions",
                        code="missing_value",
                        hint=f"Cover every cell from (1, 1) to ({n}, {n}).",
                    )
        return cls(cells)  # type: ignore[arg-type]

    @classmethod
    def by_score(cls, bins: int) -> RfmGrid:
        """Return the grid in which each cell is its own segment, named R1F1 and so on.

        Examples
        --------
        >>> RfmGrid.by_score(3).name(3, 1)
        'R3F1'
        """
        n = checks.whole("bins", bins, low=2, high=_MOST_BINS)
        return cls([[f"R{r}F{f}" for f in range(1, n + 1)] for r in range(1, n + 1)])

    @property
    def bins(self) -> int:
        """The highest score."""
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Each name once, from the highest scores to the lowest."""
        return tuple(dict.fromkeys(name for row in reversed(self.rows) for name in reversed(row)))

    def name(self, r: int, f: int) -> str:
        """Return the name of one pair of scores."""
        r = checks.whole("r", r, low=1, high=self.bins)
        f = checks.whole("f", f, low=1, high=self.bins)
        return self.rows[r - 1][f - 1]

    def codes(self) -> npt.NDArray[np.int16]:
        """Return the table as positions in `names`, shape (bins, bins)."""
        place = {name: position for position, name in enumerate(self.names)}
        return np.array([[place[name] for name in row] for row in self.rows], dtype=np.int16)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as JSON-ready values."""
        return {"rows": [list(row) for row in self.rows]}

    @classmethod
    def _read(cls, rows: Any, path: str) -> RfmGrid:
        """Return the grid from the rows of a stored definition."""
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise DefinitionError("a list of lists of names is needed.", path=path, code="wrong_type")
        try:
            return cls(rows)
        except InputError as error:
            raise definition_error(error, path) from None


def _spans(name: str, part: Any, bins: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the inclusive ends of both sides of a region."""
    remedy = "write (recency, frequency), each a score or a pair (low, high)"
    if not isinstance(part, (tuple, list)) or len(part) != 2:
        raise InputError(
            f"regions[{name!r}] has {checks.shown(part)}: {remedy}.", argument="regions", code="wrong_value"
        )
    out = []
    for side in part:
        low, high = side if isinstance(side, (tuple, list)) and len(side) == 2 else (side, side)
        low = checks.whole(f"regions[{name!r}]", low, low=1, high=bins)
        out.append((low, checks.whole(f"regions[{name!r}]", high, low=low, high=bins)))
    return out[0], out[1]


STANDARD_GRID = RfmGrid.from_regions(
    {
        "Champions": [(5, (4, 5))],
        "Loyal": [((3, 4), (4, 5))],
        "Potential loyalist": [((4, 5), (2, 3))],
        "New": [(5, 1)],
        "Promising": [(4, 1)],
        "Need attention": [(3, 3)],
        "About to sleep": [(3, (1, 2))],
        "Can't lose them": [((1, 2), 5)],
        "At risk": [((1, 2), (3, 4))],
        "Hibernating": [((1, 2), (1, 2))],
    },
    bins=5,
)
"""The grid that `Rfm` names segments by unless another is given: ten segments on five scores."""
