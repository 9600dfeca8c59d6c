"""Pictures of experiments: effects with intervals, power, bounds of interim looks, and the gain from targeting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from relmark.core.checks import one_of
from relmark.experiments.effect_table import EffectTable
from relmark.experiments.learned_uplift import LearnedUplift
from relmark.experiments.planning import SampleSize
from relmark.experiments.policy import PolicyValue
from relmark.experiments.sequential import SpendingPlan
from relmark.experiments.uplift import UpliftCurve, UpliftGroups
from relmark.plots.canvas import BLUE, GREY, RED, canvas, counts_on, number_text, share_text, shares_on, titled
from relmark.plots.marks import forest, lines, reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effects", "policy_value", "power_curve", "sequential_bounds", "uplift", "uplift_groups"]


def effects(report: EffectTable, *, relative: bool = True, ax: Axes | None = None) -> Axes:
    """Draw the effect of every metric, arm and segment with its interval, and a line at no effect.

    Parameters
    ----------
    report : Report or EffectTable
    relative : bool
        Whether to draw effects relative to the control arm, or differences.
    ax : matplotlib Axes, optional
    """
    arms = len(set(report.arm.tolist())) > 1
    labels = [
        ", ".join(part for part in (metric, arm if arms else "", f"{dimension} {segment}".strip()) if part)
        for metric, arm, dimension, segment in zip(
            report.metric, report.arm, report.dimension, report.segment, strict=True
        )
    ]
    ax = canvas(ax, rows=len(labels))
    what = "relative" if relative else "difference"
    middle, low, high = (getattr(report, name) for name in (what, f"{what}_low", f"{what}_high"))
    forest(ax, labels, middle, low, high, says=share_text if relative else number_text)
    ax.axvline(0, color=GREY, linewidth=1.2, linestyle="--")
    if relative:
        shares_on(ax.xaxis)
    people = int(report.n_control.max(initial=0)) + int(report.n_treatment.max(initial=0))
    titled(ax, f"effect against {report.control_arm!r}, {100 * report.level:g} % intervals, up to {people:,} people",
           "relative effect" if relative else "difference")  # fmt: skip
    return ax


def power_curve(size: SampleSize, *, ax: Axes | None = None) -> Axes:
    """Draw the power to detect the planned effect by the number of people, in the normal approximation.

    Parameters
    ----------
    size : SampleSize
    ax : matplotlib Axes, optional
    """
    from scipy.stats import norm

    ax = canvas(ax)
    total = np.linspace(0.05, 2.0, 80) * size.total
    critical = norm.isf((1 - size.level) / 2)
    reach = norm.ppf(size.power) + critical
    chance = norm.cdf(reach * np.sqrt(total / size.total) - critical)
    ax.set_ylim(0, 1.04)
    lines(ax, total, {"power": chance})
    ax.plot([size.total], [size.power], "o", color=BLUE)
    ax.annotate(f"{size.total:,} people: {share_text(size.power)}", (size.total, size.power), xytext=(8, -14),
                textcoords="offset points", fontsize="small")  # fmt: skip
    counts_on(ax.xaxis)
    shares_on(ax.yaxis)
    reference(ax, 1 - size.level, "without an effect")
    titled(
        ax,
        f"{size.metric}: power to detect a relative effect of {share_text(size.mde)}",
        "people in all arms",
        "power",
    )
    return ax


def sequential_bounds(plan: SpendingPlan, *, statistics: object = None, ax: Axes | None = None) -> Axes:
    """Draw the bounds of the interim looks, and the observed statistics.

    Parameters
    ----------
    plan : SpendingPlan
    statistics : array_like, optional
        The z statistics of the looks so far.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    top = 1.15 * float(plan.bound.max(initial=1.0))
    ax.set_ylim(-top, top)
    lines(ax, plan.information, {"stop for a gain": plan.bound, "stop for a loss": -plan.bound}, colors=(BLUE, GREY),
          markers=True)  # fmt: skip
    ax.axhline(0, color=GREY, linewidth=1, linestyle="--")
    if statistics is not None:
        seen = np.asarray(statistics, dtype=np.float64)
        ax.plot(plan.information[: len(seen)], seen, "D-", color=RED, label="observed")
    shares_on(ax.xaxis)
    titled(ax, f"{len(plan.bound)} looks, {plan.spending}, {100 * 2 * plan.alpha_per_side:g} % error in all",
           "share of the people observed", "z statistic")  # fmt: skip
    return ax


def uplift(
    curve: UpliftCurve | LearnedUplift, *, what: Literal["gain", "qini"] = "gain", ax: Axes | None = None
) -> Axes:
    """Draw the gain from targeting the best-ranked share of people, and from targeting as many at random.

    Parameters
    ----------
    curve : UpliftCurve or LearnedUplift
        For a `LearnedUplift`, the picture shows its cross-fitted curve: each person is ranked by a score that was
        learned from other people.
    what : {"gain", "qini"}
        Whether to draw the uplift curve, or Radcliffe's Qini curve.
    ax : matplotlib Axes, optional
    """
    one_of("what", what, ("gain", "qini"))
    if isinstance(curve, LearnedUplift):
        curve = curve.curve
    ax = canvas(ax)
    y = curve.gain if what == "gain" else curve.qini
    chance = curve.random if what == "gain" else curve.share * float(curve.qini[-1])
    lines(ax, curve.share, {"by score": y, "random": chance}, colors=(BLUE, GREY), styles=["-", "--"])
    shares_on(ax.xaxis)
    area = curve.auuc if what == "gain" else curve.qini_coefficient
    titled(ax, f"{'uplift' if what == 'gain' else 'Qini'} curve, area above random {area!r}",
           "share of the people targeted, best ranked first", "gain per person of the base")  # fmt: skip
    return ax


def uplift_groups(groups: UpliftGroups, *, ax: Axes | None = None) -> Axes:
    """Draw the effect in each slice of a ranking with its interval, the best-ranked slice on top.

    Parameters
    ----------
    groups : UpliftGroups
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax, rows=len(groups.group))
    forest(ax, [f"{group} ({people:,})" for group, people in zip(groups.group, groups.people, strict=True)],
           groups.difference, groups.difference_low, groups.difference_high)  # fmt: skip
    ax.axvline(0, color=GREY, linewidth=1.2, linestyle="--")
    titled(ax, f"effect by slice of the ranking, {100 * groups.level:g} % intervals", "difference",
           "slice, best ranked first (people)")  # fmt: skip
    return ax


def policy_value(value: PolicyValue, *, ax: Axes | None = None) -> Axes:
    """Draw how much better a policy is than targeting nobody, and than targeting everybody.

    Parameters
    ----------
    value : PolicyValue
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax, rows=2)
    both = (value.over_nobody, value.over_everybody)
    forest(ax, ["over nobody", "over everybody"], [one.value for one in both], [one.low for one in both],
           [one.high for one in both])  # fmt: skip
    ax.axvline(0, color=GREY, linewidth=1.2, linestyle="--")
    titled(ax, f"value per person of a policy that targets {share_text(value.targeted)}", "difference")
    return ax
