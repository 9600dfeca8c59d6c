"""What was learned about whom a campaign helps: the score, whether people differ at all, and what it would have earned.

Everything that judges the score looks at people by scores that were learned without them.
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

_ROWS = "moments hold no rows, and a ranking needs them: learn from columns or from a base"


class PeopleOfTest(NamedTuple):
    """The people whom a score was learned from, those outside any arm left out."""

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
    people : ndarray of int64
        In the arm.
    effect, effect_low, effect_high : ndarray of float64
        The average effect, and its interval by Welch.
    found : ndarray of bool
        Whether there is a difference between people, at `level` over all arms.
    p_value : ndarray of float64
        Of no difference between people, by Holm's method where there are several arms.
    statistic, df : ndarray of float64, int64
        Of the test: F times its degrees of freedom, and these.
    penalty : ndarray of float64
        The one whose loss in the fold that was held out was smallest, in units of the information of a feature.
    improvement : ndarray of float64
        By which share of itself the held-out loss is smaller than that of one effect for everybody; negative where it
        is not.
    score : UpliftScore
        The answer. An arm in which no difference was found adds the same for everybody.
    as_learned : UpliftScore
        The score whether or not a difference was found.
    control, outcome : str
    folds : int
    level : float
    test : str
        The variance that the test of a difference uses.
    notes : tuple of str
        What the reader has to know.
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

        By scores that were learned without each person's fold. From moments it is NaN with its reason.
        """
        return Estimate(math.nan, None, _ROWS) if self._test_rows is None else self.curve.auuc

    @cached_property
    def curve(self) -> UpliftCurve:
        """The uplift curve of the out-of-fold scores; with several arms everyone is ranked by their best.

        Its intervals are those of a bootstrap of people, wider by the square root of two: the score of each fold knows
        the outcomes of the others, which doubles the variance of the sum where nothing differs, and adds less to it the
        more does. In simulations (`benchmarks/uplift.py`) they cover 94 to 99 percent where 95 are promised; without
        that 79 to 91.
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
        """What each arm adds for the people of the test, learned without their fold, difference found or not."""
        rows = self._rows()
        ids: dict[str, npt.NDArray[Any]] = {} if rows.ids is None else {"customer_id": rows.ids}
        return Rows(columns={**ids, **self._ranking(rows)}, name="Uplift")

    def of(self, arm: str) -> LearnedUplift:
        """Return what was learned about one arm alone: its curve, groups and policies against control.

        Parameters
        ----------
        arm : str
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
        """Return what each arm adds in money for everyone: what `relmark.campaigns.allocate` takes as values.

        Parameters
        ----------
        data : CustomerBase, mapping of str to array_like, or dataframe, optional
            Whom to decide about; the people of the test without it, each by a score learned without them.
        as_of : instant, or one per customer
            Needed with a base.
        margin : float, or array_like, shape (n,)
            What one unit of the outcome is worth: the share of revenue that is kept, or the money of one visit.
        cost : float, or mapping of arm to float or array_like, shape (n,)
            Of sending to one person. Give `allocate` the same costs where there is a budget.

        Returns
        -------
        Rows
            A column for each arm, customer_id among them where it is known.
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
            Whom to send what among the people of the test, in their order, "" for nothing, decided by
            `increments()`; such as the offers of `allocate`. Without it everyone gets the arm that adds most above
            its cost, and nothing where none does.
        margin, cost
            As for `increments`.

        Returns
        -------
        PolicyValue
            Against sending to nobody, and against sending everybody the one arm that is best on average. Its intervals
            are wider by the square root of two than those of a policy that was known before the test, as those of
            `curve`, and for the same reason.
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
                said.append(f"{arm}: people differ in what it adds to {self.outcome}: choose by the score")
            else:
                said.append(
                    f"{arm}: no difference between people was found: treat everybody or nobody; it adds "
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
