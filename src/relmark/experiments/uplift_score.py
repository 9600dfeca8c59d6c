"""The score that says how much a campaign adds for whom: a definition that can be stored, for one person or millions.

For each arm it has the effect on a person who is average in everything, and points per unit of each feature:

    effect on a person = average + sum of points * (their value - the mean of the test)

Every sum is computed in the order of the terms, so that the effect on one person is the same, to the last bit, as in a
base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.columns import Column
from relmark.core.documents import Definition, Limits, built, check_keys
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.frames import Frame, columns_of
from relmark.core.ids import id_array
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem
from relmark.core.results import Result, Rows
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.time import Instant
from relmark.experiments import _validators
from relmark.experiments.uplift_features import KINDS, UpliftTerm, away_of_one, term_columns
from relmark.expressions import Expression, nodes
from relmark.expressions.checked import part_problems
from relmark.expressions.history import CustomerHistory, person_of
from relmark.expressions.json_schema import definitions
from relmark.expressions.kinds import check_on_data, problems
from relmark.expressions.needs import Needs, needs_of
from relmark.expressions.scalar import Person, program_of
from relmark.expressions.stored import read
from relmark.expressions.walk import walk

__all__ = [
    "ArmUplift",
    "UpliftExplanation",
    "UpliftLine",
    "UpliftScore",
    "costs_by_arm",
    "in_money",
    "named_expressions",
    "per_person",
]

_STILL = (
    nodes.And, nodes.Between, nodes.Compare, nodes.Field, nodes.IsIn, nodes.IsNull, nodes.Literal, nodes.Not, nodes.Or,
)  # fmt: skip
_ANY = "2000-01-01"  # the time for features that do not depend on it
_FINITE = "a finite effect is needed: points, values or money are too large"
AnyEvent = Event | Purchase | Message | Visit


def _points(values: Iterable[float]) -> tuple[float, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(
            f"points are {checks.shown(values)}: a list of numbers is needed.", argument="points", code="wrong_type"
        )
    return tuple(checks.number("points", value) for value in values)


def _average(value: float) -> float:
    return checks.number("average", value)


@attrs.frozen(kw_only=True)
class ArmUplift:
    """What one arm of an uplift score adds.

    Parameters
    ----------
    arm : str
        The arm's name.
    average : float
        What it adds for a person who is average in everything, in the unit of the outcome.
    points : sequence of float
        For each term, what one unit more adds; all 0 if no difference between people was found.
    """

    arm: str = attrs.field(validator=_validators.name)
    average: float = attrs.field(converter=_average)
    points: tuple[float, ...] = attrs.field(converter=_points)

    def to_dict(self) -> dict[str, Any]:
        """Return the arm as JSON-ready values."""
        return {"arm": self.arm, "average": float(self.average), "points": list(self.points)}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UpliftLine(Result):
    """What one feature of a person adds to the effect, or takes from it.

    Attributes
    ----------
    feature : str
        The feature.
    value : float, str, bool or None
        The person's value; None if it is not known.
    points : mapping of str to float
        For each arm, what the feature adds compared with an average person, in the unit of the outcome.
    """

    feature: str
    value: object
    points: Mapping[str, float]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UpliftExplanation(Result):
    """How much a campaign adds for one person, and why; the result of `UpliftScore.one` and `UpliftScore.explain`.

    Attributes
    ----------
    customer_id : int, str or None
        The person.
    name, outcome : str
        The name and the outcome of the score.
    uplift : mapping of str to float
        What each arm adds to the outcome of this person; the same, to the last bit, as from `UpliftScore.evaluate`.
    average : mapping of str to float
        What each arm adds for a person who is average in everything.
    lines : tuple of UpliftLine
        What each feature adds: the average and the lines add up to the uplift.
    """

    customer_id: int | str | None
    name: str
    outcome: str
    uplift: Mapping[str, float]
    average: Mapping[str, float]
    lines: tuple[UpliftLine, ...]

    def _facts(self) -> dict[str, Any]:
        facts = {} if self.customer_id is None else {"customer_id": self.customer_id}
        return {**facts, **self.uplift}

    def _table(self) -> dict[str, Any]:
        rest = ["average person", *(line.feature for line in self.lines), "together"]
        values = ["", *("unknown" if line.value is None else line.value for line in self.lines), ""]
        table: dict[str, Any] = {"feature": rest, "value": values}
        for arm, total in self.uplift.items():
            table[arm] = [self.average[arm], *(line.points[arm] for line in self.lines), total]
        return table

    def _lines(self) -> list[str]:
        return [f"{self.name}: how much each arm adds to {self.outcome} of this person"]


def _terms(values: Iterable[UpliftTerm]) -> tuple[UpliftTerm, ...]:
    return checks.listed("terms", values, UpliftTerm)


def _arms(values: Iterable[ArmUplift]) -> tuple[ArmUplift, ...]:
    return checks.listed("arms", values, ArmUplift)


def named_expressions(values: Mapping[str, Expression]) -> dict[str, Expression]:
    """Return features by name, after checking that each is an expression."""
    if not isinstance(values, Mapping):
        raise InputError(
            f"features is {checks.shown(values)}: a mapping of names to expressions is needed.",
            argument="features",
            code="wrong_type",
        )
    for name, one in values.items():
        checks.text("features", name)
        if not isinstance(one, Expression):
            raise InputError(
                f"features[{name!r}] is {checks.shown(one)}: an expression is needed, such as field({name!r}).",
                argument="features",
                code="wrong_type",
            )
    return dict(values)


def _fingerprints(features: Mapping[str, Expression]) -> list[tuple[str, str]]:
    return [(name, one.fingerprint) for name, one in features.items()]


@attrs.frozen(kw_only=True, repr=False)
class UpliftScore(Definition):
    """How much a campaign adds for whom: points per unit of each feature, for each arm.

    `learn_uplift` makes such scores; they can also be written by hand, stored as JSON and changed.

    Parameters
    ----------
    name : str
        The name of the score.
    outcome : str
        The outcome that the campaign adds to; the effect is in its unit.
    control : str
        The arm that the others were compared with.
    features : mapping of str to expression
        How each feature is computed for a customer.
    terms : sequence of UpliftTerm
        The columns that are made from the features, with their means in the test.
    arms : sequence of ArmUplift
        What each arm adds.

    Examples
    --------
    >>> from relmark import field
    >>> score = UpliftScore(
    ...     name="mail", outcome="visit", control="none", features={"recency": field("recency")},
    ...     terms=[UpliftTerm(feature="recency", mean=6.0)],
    ...     arms=[ArmUplift(arm="mail", average=.05, points=[-.01])])
    >>> score.evaluate({"recency": [6.0, 2.0, None]})["mail"].round(4).tolist()
    [0.05, 0.09, 0.05]
    >>> UpliftScore.from_json(score.to_json()) == score
    True
    """

    kind: ClassVar[str] = "uplift_score"

    name: str = attrs.field(validator=_validators.name)
    outcome: str = attrs.field(validator=_validators.name)
    control: str = attrs.field(validator=_validators.name)
    features: Mapping[str, Expression] = attrs.field(converter=named_expressions, eq=_fingerprints)
    terms: tuple[UpliftTerm, ...] = attrs.field(converter=_terms)
    arms: tuple[ArmUplift, ...] = attrs.field(converter=_arms)

    def __attrs_post_init__(self) -> None:
        """Check that the parts agree with each other."""
        if not self.arms:
            raise InputError("arms is empty: at least one arm is needed.", argument="arms", code="empty")
        names = [arm.arm for arm in self.arms]
        for what, given in (("arms", [*names, self.control]), ("terms", [term.column for term in self.terms])):
            again = next((one for k, one in enumerate(given) if one in given[:k]), None)
            if again is not None:
                raise InputError(f"{what} has {again!r} twice.", argument=what, code="duplicate")
        if "customer_id" in names:
            raise InputError(
                "an arm is called 'customer_id', which is the name of the column of ids: rename the arm.",
                argument="arms",
                code="duplicate",
            )
        for arm in self.arms:
            if len(arm.points) != len(self.terms):
                raise InputError(
                    f"points of {arm.arm!r} are {len(arm.points)}: {len(self.terms)} are needed, one per term.",
                    argument="points",
                    code="wrong_length",
                )
        for term in self.terms:
            if term.feature not in self.features:
                raise InputError(
                    f"terms has the feature {term.feature!r}: features has "
                    f"{', '.join(map(repr, self.features)) or 'none'}.",
                    argument="terms",
                    code="unknown_name",
                    hint=did_you_mean(term.feature, self.features),
                )

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        arms = ", ".join(f"{arm.arm} {arm.average:+.4g}" for arm in self.arms)
        return f"UpliftScore({self.name!r}, on {self.outcome} against {self.control}: {arms}; {len(self.terms)} terms)"

    # ---- many

    def evaluate(self, data: CustomerBase | Frame, *, as_of: AsOfGiven | None = None) -> Rows:
        """Return how much each arm adds for each person.

        Parameters
        ----------
        data : CustomerBase, mapping of str to array_like, or dataframe
            A base, or columns with the features' names; customer_id may be among them.
        as_of : instant, or one per customer
            The time at which features are evaluated; nothing after it is seen. Required with a base unless all features
            are plain fields.

        Returns
        -------
        Rows
            One column per arm, shape (n,), in the unit of the outcome, and customer_id if it is known.
        """
        ids, n, columns = self._columns(data, as_of)
        away = term_columns(self.terms, columns)
        found: dict[str, npt.NDArray[Any]] = {} if ids is None else {"customer_id": ids}
        for arm in self.arms:
            total = np.full(n, arm.average)
            with np.errstate(over="ignore", invalid="ignore"):
                for points, values in zip(arm.points, away, strict=True):
                    if points:
                        total += points * values
            checks.refuse_rows(arm.arm, ~np.isfinite(total), total, _FINITE)
            found[arm.arm] = total
        return Rows(columns=found, name="Uplift")

    def increments(
        self,
        data: CustomerBase | Frame,
        *,
        as_of: AsOfGiven | None = None,
        margin: float | npt.ArrayLike = 1.0,
        cost: float | Mapping[str, float | npt.ArrayLike] = 0.0,
    ) -> Rows:
        """Return what each arm adds in money for each person: the values for `relmark.campaigns.allocate`.

        Parameters
        ----------
        data, as_of
            As for `evaluate`.
        margin : float, or array_like, shape (n,)
            What one unit of the outcome is worth: the share of revenue that is kept, or the value of one visit.
        cost : float, or mapping of arm to float or array_like, shape (n,)
            The cost of sending to one person. If there is a budget, give `allocate` the same costs.
        """
        return in_money(self.evaluate(data, as_of=as_of), margin, cost)

    def _columns(self, data: Any, as_of: Any) -> tuple[npt.NDArray[Any] | None, int, dict[str, Column]]:
        used = list(dict.fromkeys(term.feature for term in self.terms))
        if isinstance(data, CustomerBase):
            if as_of is None:
                looks = next((name for name in used if _moves(self.features[name])), None)
                if looks is not None:
                    raise InputError(
                        f"as_of is missing: the feature {looks} depends on the time, so give the instant as of which "
                        "to evaluate it.",
                        argument="as_of",
                        code="missing_argument",
                    )
                as_of = _ANY
            data.as_of(as_of)
            shared: dict[Any, Any] = {}
            columns = {}
            for name in used:
                check_on_data(self.features[name], data, path=f"$.features[{list(self.features).index(name)}].of")
                columns[name] = Column.of(name, self.features[name].measure(data, as_of, shared))
            return data.customer_id, len(data), columns
        if as_of is not None:
            raise InputError(
                "as_of is given with columns, whose values are fixed: leave it out, or give a base.",
                argument="as_of",
                code="conflicting_arguments",
            )
        given = columns_of(data)
        needed = columns_of(given, used)
        columns = {name: Column.of(name, values) for name, values in needed.items()}
        ids = id_array("customer_id", given["customer_id"]) if "customer_id" in given else None
        if not columns and ids is None:  # everybody is the same, and any column shows how many there are
            if not given:
                raise InputError("data has no column: at least one is needed.", argument="data", code="empty")
            name, values = next(iter(given.items()))
            n = len(Column.of(name, values))
        else:
            n = len(next(iter(columns.values()))) if ids is None else len(ids)
        for name, column in columns.items():
            checks.same_length(name, column.missing, n)
        return ids, n, columns

    # ---- one

    def one(
        self,
        customer: Customer | CustomerHistory | None,
        events: Iterable[AnyEvent] | None = None,
        *,
        as_of: Instant,
        tz: str | None = None,
    ) -> UpliftExplanation:
        """Return how much each arm adds for one customer, and why.

        Parameters
        ----------
        customer : Customer, CustomerHistory or None
            The customer; None if only the events are known. A `CustomerHistory` already contains the events.
        events : iterable of Event
            The customer's events in any order, not given with a history; those after `as_of` are not seen.
        as_of : instant
            The time at which features are evaluated.
        tz : str, optional
            The time zone of calendar days and dates; by default that of the history, or else UTC.
        """
        return self._explained(*person_of(customer, events, as_of=as_of, tz=tz))

    def explain(self, base: CustomerBase, customer_id: int | str, *, as_of: Instant) -> UpliftExplanation:
        """Return how much each arm adds for one customer of a base, and why."""
        for number, (name, one) in enumerate(self.features.items()):
            if any(term.feature == name for term in self.terms):
                check_on_data(one, base, path=f"$.features[{number}].of")
        return self._explained(Person.from_base(base, customer_id, as_of=as_of), base.tz_of(customer_id))

    def _explained(self, person: Person, tz: str) -> UpliftExplanation:
        used = dict.fromkeys(term.feature for term in self.terms)
        values = {name: program_of(self.features[name], tz).value(person) for name in used}
        away = [away_of_one(term, self.terms, values[term.feature]) for term in self.terms]
        uplift: dict[str, float] = {}
        parts: dict[str, dict[str, float]] = {name: {} for name in used}
        for arm in self.arms:
            total = arm.average
            by_feature = dict.fromkeys(used, 0.0)
            for term, points, distance in zip(self.terms, arm.points, away, strict=True):
                if points:
                    total += points * distance
                    by_feature[term.feature] += points * distance
            uplift[arm.arm] = checks.number(arm.arm, total)
            for name, added in by_feature.items():
                parts[name][arm.arm] = added
        return UpliftExplanation(
            customer_id=person.id,
            name=self.name,
            outcome=self.outcome,
            uplift=uplift,
            average={arm.arm: arm.average for arm in self.arms},
            lines=tuple(UpliftLine(feature=name, value=values[name], points=parts[name]) for name in used),
        )

    # ---- the definition

    def table(self) -> Rows:
        """Return the points of every term, for people to read and change.

        Returns
        -------
        Rows
            The columns feature, term and mean, and for each arm the points per unit of the term.
        """
        columns: dict[str, npt.NDArray[Any]] = {
            "feature": np.array([term.feature for term in self.terms], dtype=np.str_),
            "term": np.array([_called(term) for term in self.terms], dtype=np.str_),
            "mean": np.array([term.mean for term in self.terms], dtype=np.float64),
        }
        for place, arm in enumerate(self.arms):
            name = arm.arm if arm.arm not in columns else f"{arm.arm} (arm {place})"
            columns[name] = np.array(arm.points, dtype=np.float64)
        return Rows(columns=columns, name="Points")

    def needs(self) -> Needs:
        """Return what all features together look at: fields, events with their properties, and how far back."""
        used = {term.feature for term in self.terms}
        return sum((needs_of(one) for name, one in self.features.items() if name in used), Needs())

    def problems(self, schema: Schema) -> tuple[Problem, ...]:
        """Return where features do not fit a schema, each problem with its JSON path; () if all fit."""
        found: list[Problem] = []
        for number, one in enumerate(self.features.values()):
            found += problems(one, schema, path=f"$.features[{number}].of")
        return tuple(dict.fromkeys(found))

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        name = shapes.name(limits.string)
        feature = shapes.obj({"name": name, "of": {"$ref": "#/$defs/expression"}}, ["name", "of"])
        term = shapes.obj(
            {"feature": name, "kind": shapes.one_of(*KINDS), "word": name, "mean": shapes.number()},
            ["feature", "kind", "mean"],
        )
        of_word = {"properties": {"kind": {"const": "word"}}, "required": ["kind"]}
        term |= {"if": of_word, "then": {"required": ["word"]}, "else": {"properties": {"word": False}}}
        arm = shapes.obj(
            {"arm": name, "average": shapes.number(), "points": shapes.array(shapes.number())},
            ["arm", "average", "points"],
        )
        return {
            "name": name,
            "outcome": name,
            "control": name,
            "features": shapes.array(feature),
            "terms": shapes.array(term),
            "arms": shapes.array(arm, least=1),
        }, ("name", "outcome", "control", "features", "terms", "arms")

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        return definitions(limits)

    @classmethod
    def _told(cls, ref: str, value: Any, path: str, schema: Schema | None, limits: Limits) -> list[Problem]:
        return part_problems(ref, value, path, schema, limits)

    def _body(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "outcome": self.outcome,
            "control": self.control,
            "features": [{"name": name, "of": one.to_dict()} for name, one in self.features.items()],
            "terms": [term.to_dict() for term in self.terms],
            "arms": [arm.to_dict() for arm in self.arms],
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        check_keys(body, required=("name", "outcome", "control", "features", "terms", "arms"), what=cls.kind)
        parts = dict(body)
        features: dict[str, Expression] = {}
        for number, one in enumerate(_listed(body, "features")):
            path = f"$.features[{number}]"
            check_keys(one, required=("name", "of"), what="feature", path=path)
            if not isinstance(one["name"], str):
                raise DefinitionError(
                    f"{checks.shown(one['name'])} is not a text.", path=f"{path}.name", code="wrong_type"
                )
            if one["name"] in features:
                raise DefinitionError(
                    f"{one['name']!r} is given twice: each feature needs its own name.",
                    path=f"{path}.name",
                    code="duplicate",
                )
            features[one["name"]] = read(one["of"], limits, f"{path}.of")
        parts["features"] = features
        for key, of, required, optional in (
            ("terms", UpliftTerm, ("feature", "kind", "mean"), ("word",)),
            ("arms", ArmUplift, ("arm", "average", "points"), ()),
        ):
            made: list[object] = []
            for number, one in enumerate(_listed(body, key)):
                path = f"$.{key}[{number}]"
                check_keys(one, required=required, optional=optional, what=key.removesuffix("s"), path=path)
                try:
                    made.append(of(**one))
                except InputError as error:
                    raise definition_error(error, path, one) from None
            parts[key] = made
        return built(cls, parts)


def _moves(one: Expression) -> bool:
    """Return whether the value of an expression may depend on the time; only tests of plain fields never do."""
    return any(not isinstance(node, _STILL) for _, node in walk(one))


def _listed(body: Mapping[str, Any], key: str) -> list[Any]:
    found = body[key]
    if not isinstance(found, list):
        raise DefinitionError(f"{key} must be a list.", path=f"$.{key}", code="wrong_type")
    return found


def _called(term: UpliftTerm) -> str:
    words = {"number": "each 1 more", "word": term.word, "another": "another word", "missing": "not known"}
    return words[term.kind]


def in_money(uplift: Rows, margin: float | npt.ArrayLike, cost: float | Mapping[str, float | npt.ArrayLike]) -> Rows:
    """Return effects as money: the worth of a unit times the effect, minus the cost of sending."""
    columns = uplift.to_columns()
    arms = [name for name in columns if name != "customer_id"]
    n = len(columns[arms[0]])
    worth = per_person("margin", margin, n)
    costs = costs_by_arm(cost, arms, n)
    for arm in arms:
        with np.errstate(over="ignore", invalid="ignore"):
            columns[arm] = worth * columns[arm] - costs[arm]
        checks.refuse_rows(arm, ~np.isfinite(columns[arm]), columns[arm], _FINITE)
    return Rows(columns=columns, name="Increments")


def costs_by_arm(
    cost: float | Mapping[str, float | npt.ArrayLike], arms: Sequence[str], n: int
) -> dict[str, float | FloatArray]:
    """Return the cost of sending by arm, one for all or one per person; an arm that a mapping leaves out costs 0."""
    if not isinstance(cost, Mapping):
        return dict.fromkeys(arms, per_person("cost", cost, n))
    strange = next((name for name in cost if name not in arms), None)
    if strange is not None:
        raise InputError(
            f"cost names {checks.shown(strange)}: the arms are {', '.join(map(repr, arms))}.",
            argument="cost",
            code="unknown_name",
            hint=did_you_mean(str(strange), arms),
        )
    return {arm: per_person("cost", cost.get(arm, 0.0), n) for arm in arms}


def per_person(name: str, value: Any, n: int) -> float | FloatArray:
    """Return one number for all, or one per person, shape (n,)."""
    if np.ndim(value) == 0:
        return checks.number(name, value)
    return checks.numbers(name, value, length=n)
