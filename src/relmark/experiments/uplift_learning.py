"""Learn whom a campaign helps: from a base, from columns, or from the moments that an engine computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, Unpack

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.base import CustomerBase, Measurable
from relmark.core.checks import FloatArray, IntArray
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError, NotEnoughDataError
from relmark.core.frames import Frame, columns_of
from relmark.core.hashing import BUCKETS, hash_buckets
from relmark.core.ids import id_array
from relmark.core.names import did_you_mean
from relmark.core.spans import Span
from relmark.experiments import _r_learner
from relmark.experiments.analysis import analyze
from relmark.experiments.assignment import Assignment
from relmark.experiments.campaign_events import CampaignNamed
from relmark.experiments.cells import Cells, arm_codes, control_of, segment_codes
from relmark.experiments.experiment import Experiment, figures_of
from relmark.experiments.learned_uplift import LearnedUplift, PeopleOfTest
from relmark.experiments.metrics import Mean, Proportion
from relmark.experiments.moments import Moments
from relmark.experiments.multiplicity import adjusted_p_values
from relmark.experiments.starts import StartGiven
from relmark.experiments.uplift_features import UpliftTerm, feature_columns, terms_of_names
from relmark.experiments.uplift_score import ArmUplift, UpliftScore, named_expressions
from relmark.experiments.windows import known_at_start
from relmark.expressions import Expression, field

__all__ = ["ReadArgs", "learn_uplift"]

_FOLDS = "fold:uplift"  # the role of the hash by which people are divided; no draw of an experiment has this role
FEW_SEGMENTS = (
    "{} folds of moments are too few to find a difference at this level, however large it is: give the moments at "
    "least ten segments"
)
_BLOCK = 8_192
_HUGE = 1e70  # the largest value: products of four values are finite
_FEW = 2  # people that the smallest arm needs for each term, in addition to twenty


class ReadArgs(TypedDict, total=False):
    """The arguments that say which part of a base a test is, as for `Experiment.read`."""

    start: StartGiven | None
    campaign: CampaignNamed | None
    window: Span
    recorded: Assignment | npt.ArrayLike | None
    """The arms that the campaign tool recorded: `arms` of `Experiment.read`."""


class _Rows(NamedTuple):
    """The people inside the test: columns, arms and folds."""

    outcome: npt.NDArray[Any]
    coded: dict[str, npt.NDArray[Any]]
    cells: Cells
    ids: npt.NDArray[Any] | None


class _Centered(NamedTuple):
    """The moments of all cells about the mean of all people, in units of standard deviations, and how to get there."""

    terms: tuple[UpliftTerm, ...]
    places: IntArray
    """The places of the terms among the columns of the moments."""
    mean: FloatArray
    scale: FloatArray
    zz: FloatArray
    """Shape (arms, folds, p + 1, p + 1)."""
    zy: FloatArray
    yy: FloatArray
    y_mean: float


def learn_uplift(
    data: CustomerBase | Moments | Frame,
    arms: Experiment | Assignment | npt.ArrayLike | str | None = None,
    *,
    outcome: str | Measurable | Mean | Proportion,
    features: Sequence[str] | Mapping[str, Expression] | None = None,
    control: str | int | None = None,
    folds: int | npt.ArrayLike = 5,
    level: float = 0.95,
    **read: Unpack[ReadArgs],
) -> LearnedUplift:
    """Learn from a test whom its arms help, and whether people differ at all.

    Parameters
    ----------
    data : mapping of str to array_like, dataframe, CustomerBase, or Moments
        Columns with one row per person; a base on whose customers the experiment `arms` ran; or moments, by arm and by
        fold, of the outcome and of the columns that `feature_columns` makes.
    arms : array_like of str or int, shape (n,), str, Assignment, or Experiment
        The arm of each row, or the name of the column that has it, or the Experiment that drew it by customer_id. A
        base needs its Experiment. People outside the test are left out. Not given with Moments.
    outcome : str, or expression
        The column, with numbers or yes and no. With a base, an expression such as ``event("purchase").sum()``, which
        sees only the events in each customer's window, or a Mean or Proportion with `of`.
    features : sequence of str, or mapping of str to expression
        What the effect may depend on: columns or fields with numbers, yes or no, or words. With a base also
        expressions, which see what was before each customer's start. With Moments the default is all other columns.
    control : str or int, optional
        The arm that the others are compared with. The default is that of the Experiment, or else "control".
    folds : int, or array_like, shape (n,)
        The number of parts into which people are divided by a hash (of customer_id if there is one, otherwise of the
        row's number), or the part of each row. With Moments, their segments are the parts.
    level : float
        The confidence level of the intervals. A difference between people is found if its p-value is below 1 - level.
    **read
        With a base, as for `Experiment.read`: window, start or campaign, and recorded arms as `recorded`.

    Returns
    -------
    LearnedUplift
        The result, with `.score`, `.found`, `.gain`, `.groups`, `.curve`, `.policy_value(...)` and
        `.increments(...)`.

    Raises
    ------
    NotEnoughDataError
        An arm has fewer than twenty people plus two for each term, or nobody in a fold; or there are fewer than three
        folds.
    InputError
        An outcome is missing or infinite (the message names the row), or a feature has dates or tags.

    Notes
    -----
    The arms must have been drawn at random, with the same shares for everybody.

    The method is an R-learner with a ridge penalty: ``tau(x) = b0 + x'b`` minimizes ``sum ((y - m(x)) - (w - e)(b0 +
    x'b))^2 + penalty |b|^2`` on standardized features. m is linear, without w, and fitted on other folds; e is the
    share of the treated among treated and control. The penalty is the one with the smallest loss on held-out folds.
    Everything follows from second moments by arm and fold, so rows and moments give the same score. The effects by
    which people are judged are learned without their fold, except for the average effect, which does not change a
    ranking and is that of all folds.

    A difference between people is found by a score test of b = 0 given everything that x and w say by themselves, and
    not by a smaller loss: if the effect is the same for everybody, some penalty still beats the constant in nearly half
    of all tests. From rows its variance is White's, which is valid for any spread of the outcome. Moments do not show
    how the spread depends on the features. So with moments the test flips the signs of the folds' parts of the score,
    which needs more folds: ten or twenty segments instead of five. Missing numbers count as the mean, and a separate
    term marks them. Time is linear in the number of rows, and for each row quadratic in the number of terms.

    References
    ----------
    X. Nie and S. Wager (2021), Biometrika 108, 299-319. R. K. Crump and others (2008), Review of Economics and
    Statistics 90, 389-405. H. White (1980), Econometrica 48, 817-838.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> arm = np.where(rng.random(4000) < .5, "mail", "control")
    >>> vip = rng.random(4000) < .3
    >>> bought = rng.random(4000) < .1 + .2 * (vip & (arm == "mail"))
    >>> u = learn_uplift({"vip": vip, "bought": bought, "age": rng.integers(18, 80, 4000)}, arm,
    ...                  outcome="bought", features=["vip", "age"])
    >>> u.found.tolist()
    [True]
    >>> u.score.evaluate({"vip": [True], "age": [40]})["mail"].round(2).tolist()
    [0.21]
    """
    sure = checks.fraction("level", level)
    if isinstance(data, Moments):
        if arms is not None or read:
            raise InputError(
                "arms are already in the Moments: give them to Moments.from_columns instead.",
                argument="arms",
                code="conflicting_arguments",
            )
        name = _name_of(outcome)
        return _learned(data, None, name, _of_moments(data, name, features), control, sure)
    if isinstance(data, CustomerBase):
        columns, arms, name, found, control, notes = _read_base(data, arms, outcome, features, control, read)
    else:
        if read:
            raise InputError(
                f"{next(iter(read))} is given with columns: it is only for a base.",
                argument=next(iter(read)),
                code="conflicting_arguments",
            )
        columns, name, notes = data, _name_of(outcome), ()
        if isinstance(arms, Experiment):
            control = arms.control_arm if control is None else control
            arms = _drawn(columns, arms)
        found = _of_columns(features, name, arms)
    rows = _rows_of(columns, arms, name, list(found), folds)
    named = [name, *rows.coded]
    if name in rows.coded:
        raise InputError(f"{name!r} is both the outcome and a feature.", argument="features", code="duplicate")
    moments = Moments.of_cells({name: rows.outcome, **rows.coded}, rows.cells, named)
    return _learned(moments, rows, name, found, control, sure, notes)


# The arguments


def _drawn(data: Any, experiment: Experiment) -> Assignment:
    """Return the arms that an experiment draws for the customers of columns."""
    given = columns_of(data)
    if "customer_id" not in given:
        raise InputError(
            "arms is an Experiment, but the data have no customer_id to draw by: give the arm of each row, or a base.",
            argument="arms",
            code="missing_column",
        )
    return experiment.assign(id_array("customer_id", given["customer_id"]))


def _name_of(outcome: Any) -> str:
    if isinstance(outcome, (Mean, Proportion)):
        return outcome.name
    if not isinstance(outcome, str):
        raise InputError(
            f"outcome is {checks.shown(outcome)}: the name of a column is needed.",
            argument="outcome",
            code="wrong_type",
        )
    return checks.text("outcome", outcome)


def _of_moments(moments: Moments, outcome: str, features: Any) -> dict[str, Expression]:
    """Return the features that the columns of moments belong to, each as the field of its name."""
    moments.position(outcome)
    others = [name for name in moments.columns if name != outcome]
    known = list(dict.fromkeys(term.feature for term in terms_of_names(others)))
    wanted = known if features is None else list(_of_columns(features, outcome, None))
    for name in wanted:
        if name not in known:
            raise MissingColumnError(
                f"the moments have no feature {name!r}: they have {', '.join(map(repr, known)) or 'none'}.",
                argument="features",
                hint=did_you_mean(name, known),
            )
    return {name: field(name) for name in wanted}


def _of_columns(features: Any, outcome: str, arms: Any) -> dict[str, Expression]:
    if isinstance(features, (str, bytes, Mapping)) or not isinstance(features, Sequence) or not len(features):
        raise InputError(
            f"features is {checks.shown(features)}: a list of names of columns is needed. Expressions can be used only "
            "with a base.",
            argument="features",
            code="wrong_type",
        )
    found: dict[str, Expression] = {}
    for name in features:
        checks.text("features", name)
        taken = "the outcome" if name == outcome else "the arm" if isinstance(arms, str) and name == arms else ""
        if taken or name in found:
            raise InputError(
                f"features has {name!r}{f', which is {taken}' if taken else ' twice'}.",
                argument="features",
                code="duplicate",
            )
        found[name] = field(name)
    return found


def _read_base(
    base: CustomerBase, experiment: Any, outcome: Any, features: Any, control: Any, read: Mapping[str, Any]
) -> tuple[dict[str, Any], Assignment, str, dict[str, Expression], str, tuple[str, ...]]:
    """Return columns, arms and features of the people of a base who are in a test."""
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"arms is {checks.shown(experiment)}: a base needs its Experiment. Give recorded arms as recorded= in "
            "addition.",
            argument="arms",
            code="wrong_type",
        )
    if "window" not in read:
        raise InputError(
            "window is missing: say how long after the start outcomes count, such as days(14).",
            argument="window",
            code="missing_argument",
        )
    if isinstance(outcome, (Mean, Proportion)):
        metric: Mean | Proportion = attrs.evolve(outcome, covariates=())
    elif hasattr(outcome, "measure"):
        metric = Mean("outcome", of=outcome)
    else:
        raise InputError(
            f"outcome is {checks.shown(outcome)}: an expression is needed, such as event('purchase').sum().",
            argument="outcome",
            code="wrong_type",
        )
    if isinstance(metric, Mean):
        metric = attrs.evolve(metric, before=None, cap=None)
    chosen = named_expressions(features) if isinstance(features, Mapping) else _of_columns(features, "", None)
    rest = {"arms" if name == "recorded" else name: value for name, value in read.items()}
    known = figures_of(experiment, base, metrics=(metric,), **rest)
    inside = known.assigned.code >= 0
    at = known.starts.just_before()
    seen = known_at_start(base, known.starts)
    columns: dict[str, Any] = {"customer_id": base.customer_id, metric.name: known.found.columns[metric.name]}
    for name, found in seen.measure(chosen, as_of=at).items():
        if name == metric.name:
            raise InputError(f"{name!r} is both the outcome and a feature.", argument="features", code="duplicate")
        columns[name] = found
    if not inside.any():
        raise NotEnoughDataError("no customer of the base is in the test.", argument="arms")
    asked = experiment.control_arm if control is None else str(control)
    return columns, known.assigned, metric.name, chosen, asked, (*known.progress.notes, *known.found.notes)


def _rows_of(data: Any, arms: Any, outcome: str, features: list[str], folds: Any) -> _Rows:
    names, codes = arm_codes(arms, data)
    given = columns_of(data)
    wanted = columns_of(given, [outcome, *features])
    y = Column.of(outcome, wanted[outcome])
    if y.kind not in {"number", "boolean"}:
        raise InputError(
            f"{outcome} is a column of kind {y.kind!r}: numbers, or yes and no, are needed.",
            argument=outcome,
            code="wrong_type",
        )
    values = y.numbers()
    checks.same_length(outcome, values, len(codes))
    inside = codes >= 0
    checks.refuse_rows(
        outcome,
        ~np.isfinite(values) & inside,
        values,
        "finite numbers are needed",
        "Fill these rows (with 0 for people who did nothing), or drop them first.",
    )
    ids = id_array("customer_id", given["customer_id"]) if "customer_id" in given else None
    labels, fold = _folds(folds, ids, len(codes))
    columns = {name: Column.of(name, wanted[name]) for name in features}
    for name, column in columns.items():
        checks.same_length(name, column.missing, len(codes))
    if not inside.all():
        values, fold, codes = values[inside], fold[inside], codes[inside]
        ids = None if ids is None else ids[inside]
        columns = {name: column.take(inside) for name, column in columns.items()}
    return _Rows(values, feature_columns(columns), Cells(names, codes, labels, fold), ids)


def _folds(folds: Any, ids: Any, n: int) -> tuple[tuple[str, ...], IntArray]:
    """Return the names of the parts and the part of each row, by a hash unless they are given."""
    if np.ndim(folds) == 0 and not isinstance(folds, str):
        k = checks.whole("folds", folds, low=3, high=100)
        bucket = hash_buckets(np.arange(n) if ids is None else ids, _FOLDS)
        return tuple(str(part) for part in range(k)), np.asarray(bucket.astype(np.int64) * k // BUCKETS)
    given = checks.array_of("folds", folds)
    if given.ndim != 1 or given.dtype.kind not in "iubUTO":
        raise InputError(
            f"folds has dtype {given.dtype} and shape {given.shape}: a number of folds is needed, or one name or whole "
            "number per row.",
            argument="folds",
            code="wrong_type",
        )
    checks.same_length("folds", given, n)
    labels, codes = segment_codes(given, n)
    assert codes is not None
    return labels, codes


# What is learned


def _learned(
    moments: Moments,
    rows: _Rows | None,
    outcome: str,
    features: dict[str, Expression],
    control: Any,
    level: float,
    notes: tuple[str, ...] = (),
) -> LearnedUplift:
    at0 = control_of(moments.arms, control)
    others = [k for k in range(len(moments.arms)) if k != at0]
    name0 = moments.arms[at0]
    _refuse_few(moments)
    center = _centered(moments, outcome, features)
    _refuse_small(moments, len(center.terms))
    report = analyze(moments.total(), metrics=[Mean(outcome)], control=name0, level=level)
    fits, tests, effects = [], [], []
    for at in others:
        cells = _cells(moments, center, at0, at)
        fits.append(_r_learner.fit_cells(cells))
        if rows is None:
            tests.append(_r_learner.heterogeneity_by_folds(cells))
        else:
            tests.append(_r_learner.heterogeneity(cells, _white(rows, center, cells, at0, at)))
        effects.append(report.effect(outcome, moments.arms[at]))
    p = adjusted_p_values([one.p_value for one in tests])
    found = np.array([bool(value < 1 - level) for value in p])
    learned, answer = [], []
    for fit, at, differs in zip(fits, others, found, strict=True):
        arm = moments.arms[at]
        points = [_written(one) for one in fit.b[1:] / center.scale]
        learned.append(ArmUplift(arm=arm, average=_written(fit.b[0]), points=points))
        none = ArmUplift(arm=arm, average=_written(fit.constant[1]), points=[0.0] * len(center.terms))
        answer.append(learned[-1] if differs else none)
    used = {term.feature for term in center.terms}
    score = UpliftScore(
        name=f"uplift of {outcome}",
        outcome=outcome,
        control=name0,
        features={name: one for name, one in features.items() if name in used},
        terms=center.terms,
        arms=learned,
    )
    if rows is None and 2.0 ** (1 - len(moments.segments)) * len(others) >= 1 - level:
        notes = (*notes, FEW_SEGMENTS.format(len(moments.segments)))
    left = [name for name in features if name not in used]
    if left:
        notes = (*notes, f"left out, because it is the same for everybody: {', '.join(left)}")
    return LearnedUplift(
        arm=np.array([moments.arms[at] for at in others]),
        people=moments.count.sum(axis=1)[others].astype(np.int64),
        effect=np.array([one.difference.value for one in effects]),
        effect_low=np.array([one.difference.low for one in effects]),
        effect_high=np.array([one.difference.high for one in effects]),
        found=found,
        p_value=p,
        statistic=np.array([one.statistic for one in tests]),
        df=np.array([one.df for one in tests], dtype=np.int64),
        penalty=np.array([fit.penalty for fit in fits]),
        improvement=np.array([1 - fit.losses.min() / fit.constant[0] if fit.constant[0] > 0 else 0.0 for fit in fits]),
        score=attrs.evolve(score, arms=answer),
        as_learned=score,
        control=name0,
        outcome=outcome,
        folds=len(moments.segments),
        level=level,
        test="White's variance" if rows is not None else "signs of folds",
        notes=notes,
        test_rows=None if rows is None else _people(rows, center, fits, at0, others),
    )


def _refuse_few(moments: Moments) -> None:
    if len(moments.segments) < 3:
        raise NotEnoughDataError(
            f"folds are {len(moments.segments)}: at least three are needed, one to judge by and two to learn from. In "
            "Moments the segments are the folds.",
            argument="folds",
        )
    empty = np.argwhere(moments.count < 1)
    if len(empty):
        arm, fold = empty[0]
        raise NotEnoughDataError(
            f"arm {moments.arms[arm]!r} has nobody in fold {moments.segments[fold]!r}: fewer folds or more people are "
            "needed.",
            argument="folds",
        )


def _refuse_small(moments: Moments, terms: int) -> None:
    people = moments.count.sum(axis=1)
    at, needed = int(np.argmin(people)), 20 + _FEW * terms
    if people[at] < needed:
        raise NotEnoughDataError(
            f"arm {moments.arms[at]!r} has {int(people[at]):,} people: {terms} terms need at least {needed:,}. Give "
            "fewer features.",
            argument="arms",
        )


def _written(value: float, digits: int = 12) -> float:
    """Return a number as a score stores it, without the digits that depend on the processor's rounding."""
    return float(f"{value:.{digits}g}")


def _refuse_huge(moments: Moments) -> None:
    """Refuse values whose sums of products would not be finite."""
    far = np.abs(moments.mean).max(axis=(0, 1), initial=0.0)
    wide = np.diagonal(moments.scatter, axis1=-2, axis2=-1).max(axis=(0, 1), initial=0.0)
    for name, mean, square in zip(moments.columns, far, wide, strict=True):
        if not (mean < _HUGE and square < _HUGE**2):
            raise InputError(
                f"{checks.shown(name)} has values so large that sums of their products are not finite.",
                argument="data",
                code="not_finite",
                hint="Use a larger unit.",
            )


def _centered(moments: Moments, outcome: str, features: Mapping[str, Expression]) -> _Centered:
    """Return the moments about the mean of all people; missing numbers count as the mean of the known ones."""
    names = moments.columns
    _refuse_huge(moments)
    others = [name for name in names if name != outcome]
    terms = dict(zip(others, terms_of_names(others), strict=True))
    used = [name for name in others if terms[name].feature in features]
    whole = _of_everybody(moments)
    n, mean, scatter = float(whole.count[0, 0]), whole.mean[0, 0], whole.scatter[0, 0]
    filled = np.eye(len(names))
    for name in used:
        flag = next((one for one in used if one == f"{terms[name].feature} is missing"), None)
        if terms[name].kind == "number" and flag is not None:
            i, j = names.index(name), names.index(flag)
            share = mean[j]
            if 0 < share < 1:
                there = (scatter[i, j] / n + mean[i] * share) / share  # the value in the place of missing ones
                filled[i, j] = (mean[i] - there * share) / (1 - share) - there
    places = np.array([names.index(name) for name in used], dtype=np.int64)
    y = names.index(outcome)
    center = filled @ mean
    spread = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", filled, scatter, filled), 0.0) / n)
    kept = spread[places] > 1e-12 * np.maximum(np.abs(center[places]), 1e-300)
    places = places[kept]
    if not len(places):
        raise InputError(
            "features are the same for everybody: at least one feature must differ between people.",
            argument="features",
            code="not_enough_data",
        )
    scale = spread[places]
    rows = filled[places] / scale[:, None]  # from columns to standardized terms
    n_cells = moments.count
    away = moments.mean - mean
    s = moments.scatter
    x_mean = np.einsum("pk,afk->afp", rows, away)
    y_mean = away[..., y]
    xx = np.einsum("pk,afkl,ql->afpq", rows, s, rows) + n_cells[..., None, None] * (
        x_mean[..., :, None] * x_mean[..., None, :]
    )
    xy = np.einsum("pk,afk->afp", rows, s[..., y]) + n_cells[..., None] * x_mean * y_mean[..., None]
    p = len(places)
    zz, zy = np.empty((*n_cells.shape, p + 1, p + 1)), np.empty((*n_cells.shape, p + 1))
    zz[..., 0, 0] = n_cells
    zz[..., 0, 1:] = zz[..., 1:, 0] = n_cells[..., None] * x_mean
    zz[..., 1:, 1:] = xx
    zy[..., 0] = n_cells * y_mean
    zy[..., 1:] = xy
    made = tuple(attrs.evolve(terms[names[at]], mean=_written(center[at], 15)) for at in places)
    return _Centered(
        made, places, center[places], scale, zz, zy, s[..., y, y] + n_cells * y_mean * y_mean, float(mean[y])
    )


def _of_everybody(moments: Moments) -> Moments:
    """Return the moments of all arms together."""
    total = moments.total()
    parts = [
        attrs.evolve(
            total, arms=("",), count=total.count[at : at + 1], mean=total.mean[at : at + 1],
            scatter=total.scatter[at : at + 1], third=None, excluded=0,
        )
        for at in range(len(total.arms))
    ]  # fmt: skip
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found


def _cells(moments: Moments, center: _Centered, at0: int, at: int) -> _r_learner.Cells:
    pair = [at0, at]
    return _r_learner.Cells(moments.count[pair], center.zz[pair], center.zy[pair], center.yy[pair])


def _standardized(rows: _Rows, center: _Centered, low: int, high: int) -> FloatArray:
    """Return z = (1, x) of some rows, shape (rows, p + 1)."""
    z = np.ones((high - low, len(center.terms) + 1))
    for at, term in enumerate(center.terms):
        values = rows.coded[term.column][low:high]
        column = z[:, at + 1]
        np.subtract(values, center.mean[at], out=column, dtype=np.float64)
        flag = rows.coded.get(f"{term.feature} is missing")
        if term.kind == "number" and flag is not None:
            column[flag[low:high] != 0] = 0.0
        column /= center.scale[at]
    return z


def _white(rows: _Rows, center: _Centered, cells: _r_learner.Cells, at0: int, at: int) -> FloatArray:
    """Return the variance of the score by White: squared residuals times products of directions, row by row."""
    directions, fitted, _ = _r_learner.score_directions(cells)
    total = np.zeros((len(center.terms), len(center.terms)))
    for low in range(0, len(rows.outcome), _BLOCK):
        high = min(low + _BLOCK, len(rows.outcome))
        z = _standardized(rows, center, low, high)
        y = rows.outcome[low:high] - center.y_mean
        codes = rows.cells.codes[low:high]
        for arm, direction, theta in zip((at0, at), directions, fitted, strict=True):
            here = codes == arm
            own = z[here]
            score = (own @ direction.T) * (y[here] - own @ theta)[:, None]
            total += score.T @ score
    return total


def _people(rows: _Rows, center: _Centered, fits: list[_r_learner.Fit], at0: int, others: list[int]) -> PeopleOfTest:
    """Return each person with the effects learned without their fold; the average effect is that of all folds."""
    n = len(rows.outcome)
    ranking = np.empty((n, len(fits)))
    fold = rows.cells.groups
    assert fold is not None
    for low in range(0, n, _BLOCK):
        high = min(low + _BLOCK, n)
        z = _standardized(rows, center, low, high)
        part = fold[low:high]
        for at, fit in enumerate(fits):
            b = fit.by_fold.copy()
            b[:, 0] = fit.b[0]
            every = z @ b.T
            ranking[low:high, at] = every[np.arange(high - low), part]
    place = np.empty(len(rows.cells.arms), dtype=np.int64)
    place[[at0, *others]] = np.arange(len(others) + 1)
    return PeopleOfTest(rows.ids, place[rows.cells.codes], rows.outcome, ranking)
