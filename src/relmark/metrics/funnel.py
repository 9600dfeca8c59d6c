"""Where people get lost on their way: a funnel of steps, with people who are still on their way counted separately.

`funnel` counts people or attempts. Each step comes strictly later than the one before, within a window that starts at
the first step and includes its end. Rates are given twice: of all who entered, and of those whose windows have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.expressions.selection import Selection
from relmark.metrics.funnel_counts import FunnelCounts, Steps
from relmark.metrics.funnel_table import Funnel
from relmark.metrics.grouping import By

__all__ = ["funnel"]


def funnel(
    base: CustomerBase,
    steps: Steps,
    *,
    as_of: AsOfGiven,
    within: timedelta | None = None,
    order: Literal["loose", "strict", "any"] = "loose",
    attempt: Literal["any", "first"] = "any",
    count: Literal["people", "attempts"] = "people",
    ties: Literal["later", "same_time"] = "later",
    exclude: Sequence[Selection] = (),
    by: By = None,
    same: str | None = None,
) -> Funnel:
    """Count how far people get along a sequence of steps, how many are lost at each, and how many may still continue.

    Parameters
    ----------
    base : CustomerBase
    steps : mapping of names to selections, or sequence of selections
        Two or more steps. A step that occurs twice needs two events.
    as_of : date or instant
    within : timedelta, optional
        The longest time from the first step to any other; exactly this long still counts. Without it, attempts never
        end, and everybody who has not converted is still open.
    order : {"loose", "strict", "any"}
        "loose": other events may lie between the steps. "strict": no other event of any type may. "any": the steps may
        come in any order; an attempt begins with whichever step comes first, and row k counts people who did k steps.
    attempt : {"any", "first"}
        "any": each event of the first step begins an attempt, and a person's deepest attempt counts. "first": only the
        first event of the first step begins an attempt.
    count : {"people", "attempts"}
        Whether each person counts once, or each attempt counts.
    ties : {"later", "same_time"}
        Whether a step must be strictly later than the one before, or may be another event at the same instant, for
        tools that record times only to the second or the day.
    exclude : sequence of Selection
        Events that end an attempt when they come before its next step.
    by : name, expression, segment, period, or a list or mapping of them, optional
        Properties of the event that began the attempt, fields of customers, segments, or periods of entering.
    same : str, optional
        A property that all steps share, such as the session. The events with each of its values form separate attempts,
        and events without the property are ignored.

    Returns
    -------
    Funnel

    Raises
    ------
    InputError
        If there are fewer than two steps, or arguments contradict each other.

    Notes
    -----
    A person's deepest attempt counts. If several are equally deep, it is the one that got there first, and of these the
    one that began last. Cost: one sort of the steps' events by customer and time.

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog, event, minutes
    >>> log = EventLog.from_columns(
    ...     customer_id=["a", "a", "b", "b"], type=["start", "buy", "start", "buy"],
    ...     time=["2026-01-01T10:00:00Z", "2026-01-01T10:00:40Z", "2026-01-01T10:00:00Z", "2026-01-01T10:38:00Z"])
    >>> f = funnel(CustomerBase(events=log), [event("start"), event("buy")], as_of="2026-02-01", within=minutes(1))
    >>> f.counts.tolist(), f.lost.tolist(), f.time_to_convert.mean.total_seconds()
    ([2, 1], [1, 0], 40.0)
    """
    counts = FunnelCounts.of(
        base, steps, as_of=as_of, within=within, order=order, attempt=attempt, count=count, ties=ties, exclude=exclude,
        by=by, same=same,
    )  # fmt: skip
    return counts.funnel()
