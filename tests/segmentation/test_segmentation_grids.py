"""Grids: every cell one name."""

import pytest

from relmark.errors import InputError
from relmark.segmentation import STANDARD_GRID, RfmGrid

EXPECTED = [  # row r - 1, column f - 1
    ["Hibernating", "Hibernating", "At risk", "At risk", "Can't lose them"],
    ["Hibernating", "Hibernating", "At risk", "At risk", "Can't lose them"],
    ["About to sleep", "About to sleep", "Need attention", "Loyal", "Loyal"],
    ["Promising", "Potential loyalist", "Potential loyalist", "Loyal", "Loyal"],
    ["New", "Potential loyalist", "Potential loyalist", "Champions", "Champions"],
]


def test_the_standard_grid_has_ten_names_in_twenty_five_cells():
    assert [list(row) for row in STANDARD_GRID.rows] == EXPECTED
    assert len(STANDARD_GRID.names) == 10
    assert STANDARD_GRID.names[0] == "Champions"
    assert STANDARD_GRID.names[-1] == "Hibernating"
    assert STANDARD_GRID.to_dict()["rows"] == EXPECTED


def test_codes_are_positions_among_the_names():
    codes = STANDARD_GRID.codes()
    assert [[STANDARD_GRID.names[code] for code in row] for row in codes] == EXPECTED


def test_a_grid_by_score_names_every_cell_apart():
    grid = RfmGrid.by_score(10)
    assert len(grid.names) == 100
    assert grid.name(10, 1) == "R10F1"


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        ({"a": [((1, 2), (1, 2))], "b": [(2, 2)]}, "both 'a' and 'b'"),
        ({"a": [((1, 2), 1)]}, r"recency 1, frequency 2\) has no name"),
        ({"a": [((1, 3), 1)]}, "at most 2"),
        ({"a": [((2, 1), 1)]}, "at least 2"),
        ({"a": [3]}, "pair"),
        ({"a": [(0, 1)]}, "at least 1"),
    ],
)
def test_regions_that_leave_gaps_or_overlap_are_refused(regions, words):
    with pytest.raises(InputError, match=words):
        RfmGrid.from_regions(regions, bins=2)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("abc", "square"),
        ([["a"]], "2 to 100"),
        ([["a", "b"], ["c"]], "recency score 2"),
        ([["a", "b"], ["c", ""]], "name of the grid"),
        ([["a", "b"], ["c", "Prospect"]], "kept for people"),
    ],
)
def test_tables_that_are_no_grid_are_refused(rows, words):
    with pytest.raises(InputError, match=words):
        RfmGrid(rows)


def test_a_score_outside_the_grid_has_no_name():
    with pytest.raises(InputError, match="at most 5"):
        STANDARD_GRID.name(6, 1)
