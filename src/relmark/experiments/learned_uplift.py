"""What was learned about whom a campaign helps: the score, whether people differ at all, and what it would have earned.

Whatever judges the score uses, for each person, a score that was learned without them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray, IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.formats import format_number
from relmark.core.frames import Frame
from relmark.core.intervals import Estimate, Interval
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult, Rows
from relmark.experiments.policy import PolicyValue, value_of_policy
from relmark.experiments.uplift import UpliftCurve, UpliftGroups, uplift_curve, uplift_groups
from relmark.experiments.uplift_score import UpliftScore, costs_by_arm, in_money, per_person

__all__ = ["LearnedUplift", "PeopleOfTest"]

_ROWS = "moments hold no rows, which a ranking needs: learn from columns or from a base"


class PeopleOfTest(NamedTuple):
    """The people from whom a score was learned, without those outside any arm."""

    ids: npt.NDArray[Any] | None
    codes: IntArray
    """The position of the arm among control and the arms of the score."""
    outcome: FloatArray
    ranking: FloatArray
    """Shape (n, arms): the effect, learned without the person, whether or not the test found a difference."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LearnedUplift(ColumnarResult):
    """Whom a campaign helps: one row per arm that was compared with control.

    Attributes
    ----------
    arm : ndarray of str, shape (k,)
        The arms.
    people : ndarray of int64
        The number of people in each arm.
    effect, effect_low, effect_high : ndarray of float64
        The average effect, and Welch's interval.
    found : ndarray of bool
        Whether a difference between people was found, at `level` over all arms.
    p_value : ndarray of float64
        The p-value of no difference between people, adjusted by Holm's method if there are several arms.
    statistic, df : ndarray of float64, int64
        The statistic of this test, F times its degrees of freedom, and the degrees of freedom.
    penalty : ndarray of float64
        The penalty with the smallest held-out loss, in units of the information of a feature.
    improvement : ndarray of float64
        By which share the held-out loss is smaller than that of one effect for everybody; negative if it is larger.
    score : UpliftScore
        The result. An arm in which no difference was found adds the same for everybody.
    as_learned : UpliftScore
        The score as it was learned, whether or not a difference was found.
    control, outcome : str
        The control arm, and the outcome.
    folds : int
        The number of folds.
    level : float
        The confidence level.
    test : str
        The variance that the test of a difference uses.
    notes : tuple of str
        What to know when reading the result.
    """

    arm: npt.NDArray[np.str_]
    people: npt.NDArray[np.int64]
    effect: FloatArray
    effect_low: FloatArray
    effect_high: FloatArray
    found: BoolArray
    p_value: FloatArray
    statistic: FloatArray
    df: npt.NDArray[np.int64]
    penalty: FloatArray
    improvement: FloatArray
    score: UpliftScore
    as_learned: UpliftScore
    control: str
    outcome: str
    folds: int
    level: float = 0.95
    test: str = ""
    notes: tuple[str, ...] = ()
    _test_rows: PeopleOfTest | None = None

    @property
    def gain(self) -> Estimate:
        """The area between the uplift curve and the line of random choice, per person; 0 for a useless score.

        It uses scores that were learned without each person's fold. From moments it is NaN, with the reason.
        """
        return Estimate(math.nan, None, _ROWS) if self._test_rows is None else self.curve.auuc

    @cached_property
    def curve(self) -> UpliftCurve:
        """The uplift curve of the out-of-fold scores; with several arms everyone is ranked by their best arm.

        Its intervals are those of a bootstrap of people, widened by the square root of two. The score of each fold was
        learned from the outcomes of the others, which doubles the variance of the sum if people do not differ, and adds
        less the more they do. In simulations (`benchmarks/uplift.py`) the intervals cover 94 to 99 percent where 95 are
        promised; without the widening they cover 79 to 91.
        """
        rows = self._rows()
        found = uplift_curve(
            self._ranking(rows), rows.outcome, self._arms(rows), control=self.control, level=self.level
        )
        return attrs.evolve(
            found,
            auuc=_widened(found.auuc),
            qini_coefficient=_widened(found.qini_coefficient),
            qini_normalized=_widened(found.qini_normalized),
        )

    @cached_property
    def groups(self) -> UpliftGroups:
        """The effect in ten equal slices of the out-of-fold ranking, best ranked first."""
        rows = self._rows()
        return uplift_groups(
            self._ranking(rows), rows.outcome, self._arms(rows), control=self.control, level=self.level
        )

    @property
    def out_of_fold(self) -> Rows:
        """What each arm adds for each person in the test, learned without their fold, found difference or not."""
        rows = self._rows()
        ids: dict[str, npt.NDArray[Any]] = {} if rows.ids is None else {"customer_id": rows.ids}
        return Rows(columns={**ids, **self._ranking(rows)}, name="Uplift")

    def of(self, arm: str) -> LearnedUplift:
        """Return what was learned about one arm: its curve, groups and policies compared with control.

        Parameters
        ----------
        arm : str
            The arm.
        """
        at = self._at(arm)
        rows = self._test_rows
        if rows is not None:
            kept = (rows.codes == 0) | (rows.codes == at + 1)
            ids = None if rows.ids is None else rows.ids[kept]
            codes = np.minimum(rows.codes[kept], 1)
            rows = PeopleOfTest(ids, codes, rows.outcome[kept], rows.ranking[kept, at : at + 1])
        own = {name: getattr(self, name)[at : at + 1] for name in _BY_ARM}
        return attrs.evolve(
            self,
            **own,
            score=attrs.evolve(self.score, arms=[self.score.arms[at]]),
            as_learned=attrs.evolve(self.as_learned, arms=[self.as_learned.arms[at]]),
            test_rows=rows,
        )

    def increments(
        self,
        data: CustomerBase | Frame = None,
        *,
        as_of: AsOfGiven | None = None,
        margin: float | npt.ArrayLike = 1.0,
        cost: float | Mapping[str, float | npt.ArrayLike] = 0.0,
    ) -> Rows:
        """Return what each arm adds in money for each person: the values for `relmark.campaigns.allocate`.

        Parameters
        ----------
        data : CustomerBase, mapping of str to array_like, or dataframe, optional
            The people to decide about. The default is the people in the test, each with a score learned without them.
        as_of : instant, or one per customer
            The time at which features are evaluated; required with a base unless all features are plain fields.
        margin : float, or array_like, shape (n,)
            What one unit of the outcome is worth: the share of revenue that is kept, or the value of one visit.
        cost : float, or mapping of arm to float or array_like, shape (n,)
            The cost of sending to one person. If there is a budget, give `allocate` the same costs.

        Returns
        -------
        Rows
            One column per arm, and customer_id if it is known.
        """
        if data is not None:
            return self.score.increments(data, as_of=as_of, margin=margin, cost=cost)
        return in_money(self._out_of_fold(self._rows()), margin, cost)

    def policy_value(
        self,
        offers: npt.ArrayLike | None = None,
        *,
        margin: float | npt.ArrayLike = 1.0,
        cost: float | Mapping[str, float | npt.ArrayLike] = 0.0,
    ) -> PolicyValue:
        """Return what choosing by the score would have been worth in the test, in money per person.

        Parameters
        ----------
        offers : array_like of str, shape (n,), optional
            What to send to each person in the test, in their order, decided by `increments()`; "" means nothing. They
            may be the offers of `allocate`. By default everyone gets the arm that adds most after its cost, or nothing
            if no arm adds more than its cost.
        margin, cost
            As for `increments`.

        Returns
        -------
        PolicyValue
            The value, compared with sending to nobody and with sending everybody the one arm that is best on average.
            As for `curve`, and for the same reason, its intervals are widened by the square root of two compared with
            those of a policy that was known before the test.
        """
        rows = self._rows()
        n = len(rows.outcome)
        names = [str(arm) for arm in self.arm]
        if offers is None:
            columns = self.increments(margin=margin, cost=cost).to_columns()
            table = np.stack([np.zeros(n), *(columns[arm] for arm in names)])
            chosen = np.argmax(table, axis=0)
        else:
            words = np.asarray(offers, dtype=np.str_)
            checks.same_length("offers", words, n)
            chosen = np.zeros(n, dtype=np.int64)
            for place, arm in enumerate(names):
                chosen[words == arm] = place + 1
            strange = (chosen == 0) & (words != "") & (words != self.control)
            checks.refuse_rows("offers", strange, words, f"one of {', '.join(map(repr, names))} or '' is needed")
        costs = costs_by_arm(cost, names, n)
        spent = np.stack([np.zeros(n), *(np.broadcast_to(costs[arm], n) for arm in names)])
        money = rows.outcome * per_person("margin", margin, n)
        found = value_of_policy(chosen, money, rows.codes, spent, level=self.level)
        return attrs.evolve(
            found,
            value=_widened(found.value),
            over_nobody=_widened(found.over_nobody),
            over_everybody=_widened(found.over_everybody),
        )

    def _rows(self) -> PeopleOfTest:
        if self._test_rows is None:
            raise NotEnoughDataError(f"{_ROWS}.", argument="data")
        return self._test_rows

    def _at(self, arm: str) -> int:
        names = [str(name) for name in self.arm]
        if arm not in names:
            raise InputError(
                f"arm is {checks.shown(arm)}: it must be one of {', '.join(map(repr, names))}.",
                argument="arm",
                code="unknown_name",
                hint=did_you_mean(str(arm), names),
            )
        return names.index(arm)

    def _ranking(self, rows: PeopleOfTest) -> dict[str, FloatArray]:
        return {str(arm): rows.ranking[:, at] for at, arm in enumerate(self.arm)}

    def _arms(self, rows: PeopleOfTest) -> npt.NDArray[np.str_]:
        return np.array([self.control, *self.arm])[rows.codes]

    def _out_of_fold(self, rows: PeopleOfTest) -> Rows:
        found: dict[str, npt.NDArray[Any]] = {} if rows.ids is None else {"customer_id": rows.ids}
        for at, arm in enumerate(self.arm):
            alike = np.full(len(rows.outcome), self.score.arms[at].average)
            found[str(arm)] = rows.ranking[:, at].copy() if self.found[at] else alike
        return Rows(columns=found, name="Uplift")

    def _facts(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "control": self.control,
            **{
                str(arm): f"{'differs' if found else 'the same'} (p {format_number(float(p))})"
                for arm, found, p in zip(self.arm, self.found, self.p_value, strict=True)
            },
        }

    def _lines(self) -> list[str]:
        said = []
        for at, arm in enumerate(self.arm):
            if self.found[at]:
                said.append(f"{arm}: people differ in what it adds to {self.outcome}, so choose by the score")
            else:
                said.append(
                    f"{arm}: no difference between people was found, so treat everybody or nobody; it adds "
                    f"{format_number(float(self.effect[at]))} [{format_number(float(self.effect_low[at]))}, "
                    f"{format_number(float(self.effect_high[at]))}] to {self.outcome}"
                )
        return [*said, *(f"note: {note}" for note in self.notes)]


def _widened(estimate: Estimate) -> Estimate:
    inner = estimate.interval
    if inner is None:
        return estimate
    low, high = (estimate.value + math.sqrt(2) * (end - estimate.value) for end in (inner.low, inner.high))
    return Estimate(estimate.value, Interval(low, high, inner.level, f"{inner.method}, cross-fitted"), estimate.reason)


_BY_ARM = (
    "arm", "people", "effect", "effect_low", "effect_high", "found", "p_value", "statistic", "df", "penalty",
    "improvement",
)  # fmt: skip
