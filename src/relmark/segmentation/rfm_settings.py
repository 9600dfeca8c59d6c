"""The settings that `Rfm` and `RfmModel` share, read and checked in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import attrs

from relmark.core import checks, shapes
from relmark.core.documents import Limits
from relmark.core.errors import InputError
from relmark.core.shapes import Shape
from relmark.core.spans import check_span
from relmark.expressions.needs import Needs
from relmark.segmentation.grids import STANDARD_GRID, RfmGrid
from relmark.segmentation.rfm_measures import FREQUENCIES, MONETARIES

__all__ = [
    "MEASURES",
    "RFM_NEEDS",
    "THRESHOLDS",
    "Cuts",
    "check_bins",
    "check_cuts",
    "check_grid",
    "check_within",
    "read_cuts",
    "read_grid",
    "settings_shape",
    "word",
]

MEASURES = ("calendar_days_since", "frequency", "monetary")
Cuts: TypeAlias = Mapping[str, tuple[float, ...]]


THRESHOLDS: Shape = shapes.array(shapes.number(), least=1)


def settings_shape(limits: Limits) -> dict[str, Shape]:
    """Return the shapes of the settings that `Rfm` and `RfmModel` share."""
    names = shapes.array(shapes.name(limits.string), least=2)
    return {
        "bins": shapes.whole(low=2, high=100),
        "frequency": shapes.one_of(*FREQUENCIES),
        "monetary": shapes.one_of(*MONETARIES),
        "cuts": {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(MEASURES, THRESHOLDS)},
        "grid": shapes.array(names, least=2),
    }


RFM_NEEDS = Needs(events={"purchase": ("item", "order", "quantity")}, horizon=None)
"""All purchases: a refund may undo any purchase before it, and the lines of one order are one purchase."""


def read_cuts(cuts: Mapping[str, Sequence[float]] | None) -> dict[str, tuple[float, ...]]:
    """Return the thresholds as tuples, by the name of their measure."""
    if cuts is None:
        return {}
    if not isinstance(cuts, Mapping):
        raise InputError(
            f"cuts is {checks.shown(cuts)}: a mapping of {', '.join(MEASURES)} to thresholds is needed.",
            argument="cuts",
            code="wrong_type",
        )
    return {name: tuple(checks.numbers(f"cuts[{name!r}]", values).tolist()) for name, values in cuts.items()}


def check_cuts(cuts: Cuts, bins: int) -> None:
    """Refuse thresholds of unknown measures, for another number of bins, or not in ascending order."""
    for name, values in cuts.items():
        checks.one_of("a name of cuts", name, MEASURES)
        if len(values) != bins - 1:
            raise InputError(
                f"cuts[{name!r}] has {len(values)} thresholds: {bins - 1} are needed for {bins} bins.",
                argument="cuts",
                code="wrong_length",
            )
        if any(low > high for low, high in pairwise(values)):
            raise InputError(
                f"cuts[{name!r}] is {list(values)}: thresholds must ascend.", argument="cuts", code="wrong_value"
            )


def check_bins(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    """Refuse a number of bins that is not from 2 to 100."""
    checks.whole("bins", value, low=2, high=100)


def check_within(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    """Refuse anything other than None or a duration above zero."""
    if value is not None:
        check_span("within", value)


def word(*allowed: str) -> Any:
    """Return the validator of a setting that has to be one of several words."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
        checks.one_of(attribute.name, value, allowed)

    return check


def read_grid(grid: RfmGrid | str) -> RfmGrid:
    """Return the given grid, or the standard grid for ``"standard"``."""
    given: object = grid
    if isinstance(given, RfmGrid):
        return given
    if isinstance(given, str) and given == "standard":
        return STANDARD_GRID
    raise InputError(
        f"grid is {checks.shown(grid)}: 'standard' or an RfmGrid is needed.", argument="grid", code="wrong_type"
    )


def check_grid(grid: RfmGrid, bins: int) -> None:
    """Refuse a grid for another number of bins."""
    if grid.bins == bins:
        return
    if grid == STANDARD_GRID:
        raise InputError(
            f"grid is 'standard', which is for 5 bins, and bins is {bins}.",
            argument="grid",
            code="conflicting_arguments",
            hint=f"Give grid=RfmGrid.from_regions(..., bins={bins}), or grid=RfmGrid.by_score({bins}).",
        )
    raise InputError(
        f"grid has {grid.bins} bins and bins is {bins}: they must agree.", argument="grid", code="conflicting_arguments"
    )
