"""One comparison of an arm with control: the difference, the relative effect, and how sure they are."""

from __future__ import annotations

import attrs

from relmark.core.formats import format_number
from relmark.core.intervals import Estimate
from relmark.experiments._told import Told

__all__ = ["Effect"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Effect(Told):
    """The effect of an arm on a metric, compared with control.

    Attributes
    ----------
    metric, arm, control_arm, segment : str
        What was compared; `segment` is empty for everybody.
    n_control, n_treatment : int
        The number of people in each arm.
    control, treatment : float
        The metric in each arm, adjusted for covariates if there are any.
    difference : Estimate
        Treatment minus control.
    relative : Estimate
        Treatment divided by control, minus 1: .1 is ten percent more.
    standard_error : float
        The standard error of the difference.
    statistic, df, p_value : float
        The test of no difference, two-sided unless the metric has an alternative; `df` is infinite for z and NaN for
        exact tests.
    method : str
        The names of the interval and the test.
    of_shares : bool
        True if shares of people were compared as counts.
    observed : bool
        True if the arms were not randomized: then this is a difference between groups, not an effect.
    notes : tuple of str
        What to know when reading the figures.
    """

    metric: str
    arm: str
    control_arm: str
    segment: str = ""
    n_control: int
    n_treatment: int
    control: float
    treatment: float
    difference: Estimate
    relative: Estimate
    standard_error: float
    statistic: float
    df: float
    p_value: float
    method: str
    of_shares: bool = False
    observed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What this may be called: "effect" if the arms were randomized, "difference" if not."""
        return "difference" if self.observed else "effect"

    def _what(self) -> str:
        where = f" in {self.segment}" if self.segment else ""
        return f"{self.metric}{where}: {self.arm} against {self.control_arm}"

    def _title(self) -> str:
        return f"{self.word} on {self._what()}"

    def __repr__(self) -> str:
        return (
            f"{self.word.capitalize()}({self._what()}, {format_number(self.treatment)} against "
            f"{format_number(self.control)}, difference {self.difference!r}, p {format_number(self.p_value)})"
        )

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (self.control_arm, f"{format_number(self.control)} ({self.n_control:,} people)"),
            (self.arm, f"{format_number(self.treatment)} ({self.n_treatment:,} people)"),
            ("difference", repr(self.difference)),
            ("relative", repr(self.relative)),
            ("p", f"{format_number(self.p_value)} ({self.method})"),
            *(("note", note) for note in self.notes),
        ]
