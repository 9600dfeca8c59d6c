"""What customers say: net promoter score, satisfaction, effort, loyalty index and response rate.

Each score takes a column of answers, counts by answer, or `SurveyAnswers` read from events. Without groups the result
is one estimate, with groups it is a table. Missing answers count in neither the numerator nor the denominator. Without
any answer the score is NaN with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core.checks import FloatArray, IntArray, flag, fraction, numbers, one_of, refuse_rows, whole
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate
from relmark.core.results import json_ready
from relmark.metrics._net_share import net_share_interval
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import FEW, Estimates, mean_estimates, ratio, shares
from relmark.metrics.survey_answers import Answers, Given, GroupsGiven, ScaleLike, read_answers, scale_of

__all__ = [
    "SurveyScore",
    "SurveyScores",
    "customer_effort_score",
    "customer_loyalty_index",
    "customer_satisfaction",
    "net_promoter_score",
    "response_rate",
]

_WINDOW = "the answers given; missing answers do not count"
DEFINITIONS = define(_WINDOW, "", {
    "net_promoter_score": ("100 times (promoters (9 and 10) minus detractors (0 to 6))", "answers",
                           "points, -100 to 100", "Reichheld 2003; some do not count the 0 as a detractor"),
    "customer_satisfaction": ("the two highest answers, or the sum of answers", "answers",
                              "share, or points of the scale", "top two box; others report the mean as a share"),
    "customer_effort_score": ("answers of 5 to 7, or the sum of answers", "answers", "share, or points of the scale",
                              "Nicereply: mean of 1 to 7; others use 6 and 7, or the old scale on which 1 is easy"),
    "customer_loyalty_index": ("mean of recommend, buy again and buy other, each from 0 to 100",
                               "people who answered all three", "points, 0 to 100", "some weight the questions"),
    "response_rate": ("people who answered", "people who were asked"),
})  # fmt: skip
_POINTS = 100.0


@attrs.frozen(kw_only=True, repr=False)
class SurveyScore(Estimate):
    """A score with its interval and the numbers of answers behind it.

    Parameters
    ----------
    value, interval, reason
        As in an `Estimate`.
    unit : str
        What the score is measured in, such as "points".
    answers : int
        How many people answered.
    missing : int
        How many gave no answer. They count in neither the numerator nor the denominator.
    standard_error : float
    parts : mapping of str to int
        How many answers of each kind there are. They add up to `answers`.
    """

    unit: str = ""
    answers: int = 0
    missing: int = 0
    standard_error: float = math.nan
    parts: Mapping[str, int] = attrs.field(factory=dict)

    def __repr__(self) -> str:
        few = f", only {self.answers} answers" if 0 < self.answers < FEW else f", {self.answers:,} answers"
        return f"{Estimate.__repr__(self)} {self.unit}{few if self.answers else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return the score as JSON-ready values."""
        more = {"unit": self.unit, "answers": self.answers, "missing": self.missing, "parts": dict(self.parts)}
        return {**Estimate.to_dict(self), **more, "standard_error": json_ready(float(self.standard_error))}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SurveyScores(MetricTable):
    """A score by group.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    answers, missing : ndarray of int64, shape (k,)
    score : Estimates
    standard_error : ndarray of float64, shape (k,)
    parts : mapping of str to ndarray of int64, shape (k,)
        How many answers of each kind there are.
    metric : str
    unit : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    answers: IntArray
    missing: IntArray
    score: Estimates
    standard_error: FloatArray
    parts: Mapping[str, IntArray]
    metric: str
    unit: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return {"score": DEFINITIONS[self.metric], self.metric: DEFINITIONS[self.metric]}

    def to_columns(self) -> dict[str, Any]:
        """Return the groups, the counts, the score and its interval as columns."""
        return {**self.by, "answers": self.answers, "missing": self.missing, **self.parts,
                **self.score.columns("score"), "standard_error": self.standard_error}  # fmt: skip

    def _table(self) -> dict[str, Any]:
        return self.to_columns()


def net_promoter_score(
    answers: Given,
    *,
    scale: ScaleLike = (0, 10),
    promoters: int | None = None,
    detractors: int | None = None,
    by: GroupsGiven = None,
    level: float = 0.95,
) -> SurveyScore | SurveyScores:
    """Return the net promoter score in points: the share of promoters minus that of detractors, times 100.

    Parameters
    ----------
    answers : array_like of int, shape (n,); counts by answer; groups of counts; or SurveyAnswers
        NaN and None are missing answers. The keys of counts may also be 'promoters', 'passives' and 'detractors'.
    scale : pair of int
        The lowest and the highest answer.
    promoters, detractors : int, optional
        The lowest answer of a promoter and the highest answer of a detractor. On the scale from 0 to 10 they are 9 and
        6 by default; on any other scale they are required.
    by : array_like or mapping of them, shape (n,), optional
        The group of each answer.
    level : float
        The confidence level, between 0 and 1.

    Returns
    -------
    SurveyScore, or SurveyScores by group
        With the standard error 100 sqrt((p + d - (p - d)^2) / n), and Tango's score interval.

    Raises
    ------
    InputError
        If an answer is not on the scale (the error names its row), or another scale is given without bounds.

    References
    ----------
    F. Reichheld, "The one number you need to grow", 2003. T. Tango, "Equivalence test and confidence interval for the
    difference in proportions for the paired-sample design", 1998, section 3. B. Rocks, "Interval estimation for the
    net promoter score", 2016.

    Examples
    --------
    >>> net_promoter_score([9, 9, 10, 8, 6])
    40 [-34.93, 82.64] (95 %, Tango) points, only 5 answers
    >>> net_promoter_score([4, 4, 3, 1], scale=(1, 4), promoters=4, detractors=1).value
    25.0
    """
    low, high = scale_of(scale)
    level = fraction("level", level)
    if (low, high) == (0, 10):
        promoters, detractors = (9 if promoters is None else promoters), (6 if detractors is None else detractors)
    if promoters is None or detractors is None:
        raise InputError(
            f"the scale from {low} to {high} has no default bounds: pass promoters= (the lowest answer of a promoter) "
            "and detractors= (the highest answer of a detractor).",
            argument="promoters",
            code="wrong_type",
        )
    top = whole("promoters", promoters, low=low, high=high)
    bottom = whole("detractors", detractors, low=low, high=high)
    if bottom >= top:
        raise InputError(
            f"detractors is {bottom} and promoters is {top}; detractors must be lower than promoters.",
            argument="detractors",
            code="wrong_value",
        )

    def words(given: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
        return _parts_given(given, top, bottom)

    found = read_answers(answers, by, (low, high), words=words)
    n = found.count()
    up, down = found.count(found.value >= top), found.count(found.value <= bottom)
    lower, upper = net_share_interval(up, down, n, float(ndtri(0.5 + level / 2)))
    score = ratio(up - down, n)
    error = np.sqrt(np.maximum(ratio(ratio(up + down, n) - score**2, n), 0.0))
    estimates = Estimates(
        value=_POINTS * score, low=_POINTS * lower, high=_POINTS * upper, level=level, method="Tango",
        reason=tuple("" if count else "nobody answered" for count in n.tolist()),
    )  # fmt: skip
    parts = {"promoters": up, "passives": n - up - down, "detractors": down}
    return _scored("net_promoter_score", "points", found, estimates, _POINTS * error, parts)


def customer_satisfaction(
    answers: Given,
    *,
    scale: ScaleLike = (1, 5),
    kind: Literal["top_two", "mean"] = "top_two",
    by: GroupsGiven = None,
    level: float = 0.95,
) -> SurveyScore | SurveyScores:
    """Return customer satisfaction: the share of the two highest answers ("top two box"), or the mean answer.

    Parameters
    ----------
    answers : as in `net_promoter_score`
    scale : pair of int
        The lowest and the highest answer.
    kind : {"top_two", "mean"}
        Which score to compute. Both are called CSAT; the unit of the result says which one it is.
    by : array_like or mapping of them, optional
    level : float

    Returns
    -------
    SurveyScore, or SurveyScores by group

    Examples
    --------
    >>> customer_satisfaction([5, 4, 4, 4, 1, 1])
    0.6667 [0.3, 0.9032] (95 %, Wilson) share of 4 and 5, only 6 answers
    >>> round(customer_satisfaction([5, 4, 4, 4, 1, 1], kind="mean").value, 2)
    3.17
    """
    low, high = scale_of(scale)
    one_of("kind", kind, ("top_two", "mean"))
    if kind == "top_two" and high - low < 2:
        raise InputError(
            f"scale is {low} to {high}, so the two highest answers are all answers: use kind='mean'.",
            argument="scale",
            code="wrong_type",
        )
    found = read_answers(answers, by, (low, high))
    if kind == "mean":
        return _mean("customer_satisfaction", found, (low, high), fraction("level", level))
    words = f"share of {high - 1} and {high}"
    return _share("customer_satisfaction", found, found.value >= high - 1, words, fraction("level", level))


def customer_effort_score(
    answers: Given,
    *,
    scale: ScaleLike = (1, 7),
    kind: Literal["mean", "share"] = "mean",
    easy: int | None = None,
    reverse: bool = False,
    by: GroupsGiven = None,
    level: float = 0.95,
) -> SurveyScore | SurveyScores:
    """Return the customer effort score: the mean answer, or the share of people who found it easy.

    Parameters
    ----------
    answers : as in `net_promoter_score`
    scale : pair of int
        The lowest and the highest answer.
    kind : {"mean", "share"}
    easy : int, optional
        The lowest answer that counts as easy, for a share. On the scale from 1 to 7 it is 5 by default; on any other
        scale it is required.
    reverse : bool
        Whether low answers mean easy, as on the old scale. Answers are then reversed first, so that 1 becomes 7.
    by : array_like or mapping of them, optional
    level : float

    Returns
    -------
    SurveyScore, or SurveyScores by group

    Examples
    --------
    >>> round(customer_effort_score([7, 6, 5, 5, 3, 2]).value, 2)
    4.67
    >>> customer_effort_score([7, 6, 5, 5, 3, 2], kind="share").unit
    'share of 5 to 7'
    """
    low, high = scale_of(scale)
    one_of("kind", kind, ("mean", "share"))
    flag("reverse", reverse)
    found = read_answers(answers, by, (low, high))
    if reverse:
        found = attrs.evolve(found, value=low + high - found.value)
    turned = ", reversed" if reverse else ""
    if kind == "mean":
        return _mean("customer_effort_score", found, (low, high), fraction("level", level), turned)
    if easy is None and (low, high) != (1, 7):
        raise InputError(
            f"the scale from {low} to {high} has no default bound: pass easy=, the lowest answer that counts as easy.",
            argument="easy",
            code="wrong_type",
        )
    bound = whole("easy", 5 if easy is None else easy, low=low, high=high)
    words = f"share of {bound} to {high}{turned}"
    return _share("customer_effort_score", found, found.value >= bound, words, fraction("level", level))


def customer_loyalty_index(
    recommend: Given,
    buy_again: Given,
    buy_other: Given,
    *,
    scale: ScaleLike = (1, 6),
    reverse: bool = False,
    by: GroupsGiven = None,
    level: float = 0.95,
) -> SurveyScore | SurveyScores:
    """Return the customer loyalty index: the mean of recommending, buying again and buying other things, 0 to 100.

    Parameters
    ----------
    recommend, buy_again, buy_other : array_like of int, shape (n,)
        The answers, with one row per person. People who left one of the three out do not count.
    scale : pair of int
        The lowest and the highest answer, the same for all three. The highest is 100 points and the lowest 0.
    reverse : bool
        Whether the lowest answer is the best, as in "1 = certainly".
    by : array_like or mapping of them, optional
    level : float

    Returns
    -------
    SurveyScore, or SurveyScores by group

    Examples
    --------
    >>> round(customer_loyalty_index([6, 6], [6, 5], [5, 1]).value, 2)
    76.67
    """
    low, high = scale_of(scale)
    flag("reverse", reverse)
    columns: list[FloatArray] = []
    for name, given in (("recommend", recommend), ("buy_again", buy_again), ("buy_other", buy_other)):
        if isinstance(given, Mapping):
            raise InputError(
                f"{name} holds counts; it must hold the answer of each person, one row per person.",
                argument=name,
                code="wrong_type",
            )
        column = numbers(name, cast("npt.ArrayLike", given), missing=True, length=len(columns[0]) if columns else None)
        known = ~np.isnan(column)
        refuse_rows(
            name, known & ((column < low) | (column > high)), column, f"answers must lie between {low} and {high}"
        )
        refuse_rows(name, known & (column != np.floor(column)), column, "answers must be whole numbers")
        columns.append(column)
    total = columns[0] + columns[1] + columns[2]
    found = read_answers(np.where(np.isnan(total), np.nan, total), by, (3 * low, 3 * high), name="the sum of answers")
    points = (found.value - 3 * low) / (3 * (high - low)) * _POINTS
    if reverse:
        points = _POINTS - points
    found = attrs.evolve(found, value=points)
    return _mean("customer_loyalty_index", found, (0, 100), fraction("level", level), unit="points of 100")


def response_rate(answered: float, asked: float, *, level: float = 0.95) -> Estimate:
    """Return the share of the people asked who answered, with Wilson's interval.

    Parameters
    ----------
    answered, asked : int
        How many people answered, and how many were asked.
    level : float
        The confidence level, between 0 and 1.

    Examples
    --------
    >>> response_rate(120, 1000)
    0.12 [0.1013, 0.1416] (95 %, Wilson)
    """
    part, of = whole("answered", answered, low=0), whole("asked", asked, low=0)
    if part > of:
        raise InputError(
            f"answered is {part:,} and asked is {of:,}; answered must not be larger than asked.",
            argument="answered",
            code="wrong_type",
        )
    return shares("answered", [part], "asked", [of], level=fraction("level", level))[0]


def _parts_given(given: Mapping[Any, Any], top: int, bottom: int) -> Mapping[Any, Any] | None:
    """Return counts of promoters, passives and detractors as counts by answer; they must add up to 'answers'."""
    names = ("promoters", "passives", "detractors", "answers")
    if not given or not all(isinstance(key, str) for key in given):
        return None
    for key in given:
        one_of("the counts' key", key, names)
    counts = {key: whole(f"answers[{key!r}]", value, low=0) for key, value in given.items()}
    if "answers" in counts:
        others = sum(value for key, value in counts.items() if key != "answers")
        if "passives" not in counts:
            counts["passives"] = counts["answers"] - others
        if counts["passives"] < 0 or counts["answers"] != sum(counts.get(key, 0) for key in names[:3]):
            raise InputError(
                f"promoters, passives and detractors are {others:,} together, but answers is {counts['answers']:,}: "
                "the parts must add up to it.",
                argument="answers",
                code="wrong_type",
            )
    made = {top: counts.get("promoters", 0), bottom: counts.get("detractors", 0)}
    passives = counts.get("passives", 0)
    if bottom + 1 < top:
        made[bottom + 1] = passives
    elif passives:
        raise InputError(
            f"passives is {passives:,}, but no answer lies between detractors ({bottom}) and promoters ({top}).",
            argument="passives",
            code="wrong_value",
        )
    return made


def _share(
    metric: str, found: Answers, test: npt.NDArray[np.bool_], unit: str, level: float
) -> SurveyScore | SurveyScores:
    n, part = found.count(), found.count(test)
    estimates = shares("the part", part, "answers", n, level=level)
    p = ratio(part, n)
    error = np.sqrt(ratio(p * (1 - p), n))
    return _scored(metric, unit, found, _nobody(estimates), error, {"counted": part, "others": n - part})


def _mean(
    metric: str, found: Answers, scale: tuple[int, int], level: float, words: str = "", unit: str = ""
) -> SurveyScore | SurveyScores:
    n, total, squares = found.count(), found.total(found.value), found.total(found.value**2)
    one = mean_estimates(total, squares, n, "answers", level=level)
    one = attrs.evolve(one, low=np.maximum(one.low, scale[0]), high=np.minimum(one.high, scale[1]))
    left = np.maximum(squares - total * ratio(total, n), 0.0)
    error = np.sqrt(ratio(left, np.where(n > 1, (n - 1) * n, 0)))
    unit = unit or f"mean of {scale[0]} to {scale[1]}{words}"
    return _scored(metric, unit, found, _nobody(one), error, {})


def _nobody(one: Estimates) -> Estimates:
    reasons = tuple("nobody answered" if reason == "answers is 0" else reason for reason in one.reason)
    return attrs.evolve(one, reason=reasons)


def _scored(
    metric: str, unit: str, found: Answers, score: Estimates, error: FloatArray, parts: Mapping[str, FloatArray]
) -> SurveyScore | SurveyScores:
    answers = found.count().astype(np.int64)
    whole_parts = {name: one.astype(np.int64) for name, one in parts.items()}
    if not found.by and found.k == 1:
        one = score[0]
        return SurveyScore(
            value=one.value, interval=one.interval, reason=one.reason, unit=unit, answers=int(answers[0]),
            missing=int(found.missing[0]), standard_error=float(error[0]),
            parts={name: int(count[0]) for name, count in whole_parts.items()},
        )  # fmt: skip
    few = int(np.count_nonzero((answers > 0) & (answers < FEW)))
    rows = "one group has" if few == 1 else f"{few:,} groups have"
    notes = (f"{rows} fewer than {FEW} answers: read the intervals, not the scores",) if few else ()
    return SurveyScores(
        by=found.by, answers=answers, missing=found.missing, score=score, standard_error=error, parts=whole_parts,
        metric=metric, unit=unit, notes=(f"score in {unit}", *notes),
    )  # fmt: skip
