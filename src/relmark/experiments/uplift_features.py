"""What is known about people as columns of numbers: the terms of an uplift score, made in the same way everywhere.

A number stays as it is; its missing values become 0, and another column marks them. Each word becomes a column of 0 and
1. The name of a column says what it is, so that moments that an engine computed from such columns can be read too:

    recency                     a number, or a yes or no
    recency is missing          1 where it is missing; `recency` then has the same number everywhere
    channel = Web               1 where the word is Web
    channel is another          1 where it is a word that has no column of its own
    channel is missing          1 where there is no word
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import BoolArray, FloatArray
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.frames import Frame, columns_of
from relmark.experiments import _validators

__all__ = [
    "KINDS",
    "MOST_WORDS",
    "UpliftTerm",
    "away_of_one",
    "feature_columns",
    "term_columns",
    "terms_of_names",
]

KINDS = ("number", "word", "another", "missing")
MOST_WORDS = 20  # the words of one feature that get a column each; rarer words share one

_MISSING, _ANOTHER, _IS = " is missing", " is another", " = "
Coded = dict[str, npt.NDArray[Any]]


@attrs.frozen(kw_only=True)
class UpliftTerm:
    """One column of an uplift score.

    Parameters
    ----------
    feature : str
        The feature that the column is made from.
    kind : {"number", "word", "another", "missing"}
        The number itself; 1 for one word; 1 for any word without its own column; 1 if the value is missing.
    word : str
        The word, for the kind "word".
    mean : float
        The mean of the column among the people in the test; for a number, among those for whom it is known.
    """

    feature: str = attrs.field(validator=_validators.name)
    kind: str = attrs.field(default="number", validator=_validators.one_of(*KINDS))
    word: str = ""
    mean: float = attrs.field(default=0.0, validator=_validators.number)

    def __attrs_post_init__(self) -> None:
        """Check that there is a word if, and only if, one is needed."""
        checks.text("word", self.word, empty=self.kind != "word")
        if self.word and self.kind != "word":
            raise InputError(
                f"word is {self.word!r}, but the term is of the kind {self.kind!r}, which has no word.",
                argument="word",
                code="conflicting_arguments",
            )

    @property
    def column(self) -> str:
        """The name of the column."""
        ends = {"number": "", "word": f"{_IS}{self.word}", "another": _ANOTHER, "missing": _MISSING}
        return self.feature + ends[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Return the term as JSON-ready values."""
        word = {"word": self.word} if self.kind == "word" else {}
        return {"feature": self.feature, "kind": self.kind, **word, "mean": float(self.mean)}


def terms_of_names(names: Iterable[str]) -> tuple[UpliftTerm, ...]:
    """Return the terms to which columns with these names belong."""
    names = tuple(names)
    return tuple(_term(name, names) for name in names)


def _term(name: str, names: Sequence[str]) -> UpliftTerm:
    for end, kind in ((_MISSING, "missing"), (_ANOTHER, "another")):
        feature = name.removesuffix(end)
        alike = feature in names or any(other.startswith(f"{feature}{_IS}") for other in names)
        if feature != name and feature and alike:
            return UpliftTerm(feature=feature, kind=kind)
    feature, _, word = name.partition(_IS)
    return UpliftTerm(feature=feature, kind="word", word=word) if feature and word else UpliftTerm(feature=name)


def feature_columns(data: Frame, features: Sequence[str] | None = None) -> Coded:
    """Return the columns of numbers that `learn_uplift` makes from columns of features.

    Use it to make moments part by part. If you add moments of several parts, make sure that all parts have the same
    words.

    Parameters
    ----------
    data : mapping of str to array_like, or dataframe
        One row per person.
    features : sequence of str, optional
        The columns to use; all by default.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Numbers without missing values, and booleans for 0 and 1.

    Raises
    ------
    InputError
        A column has dates, times or tags, or an infinite number (the message names the row).

    Examples
    --------
    >>> made = feature_columns({"recency": [1.0, None], "channel": ["Web", "Phone"]})
    >>> {name: column.tolist() for name, column in made.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'recency': [1.0, 0.0], 'recency is missing': [False, True],
     'channel = Phone': [False, True], 'channel = Web': [True, False]}
    """
    found: Coded = {}
    for name, values in columns_of(data, features).items():
        found |= _coded(name, Column.of(name, values))
    return found


def _coded(name: str, column: Column) -> Coded:
    checks.text("features", name)
    if _IS in name or name.endswith((_MISSING, _ANOTHER)):
        raise InputError(
            f"features has {name!r}, which is a name for columns that are made from features.",
            argument="features",
            code="wrong_value",
            hint=f"Rename it, without {_IS.strip()!r} between words, {_MISSING.strip()!r} and {_ANOTHER.strip()!r}.",
        )
    missing = column.missing
    some = {f"{name}{_MISSING}": missing} if missing.any() else {}
    if column.kind in {"number", "boolean", "empty"}:
        return {name: _numbers(name, column, missing), **some}
    _refuse_kind(name, column)
    assert column.categories is not None
    counts = np.bincount(column.data[~missing], minlength=len(column.categories))
    order = np.argsort(-counts, kind="stable")[:MOST_WORDS]  # of equally common words, the first ones
    chosen = np.sort(order[counts[order] > 0])
    made: Coded = {f"{name}{_IS}{column.categories[k]}": np.asarray(column.data == k) for k in chosen}
    if int(np.count_nonzero(counts)) > len(chosen):
        made[f"{name}{_ANOTHER}"] = ~missing & ~np.isin(column.data, chosen)
    return made | some


def _numbers(name: str, column: Column, missing: BoolArray) -> FloatArray:
    values = column.numbers()
    checks.refuse_rows(name, np.isinf(values), values, "a finite number is needed")
    return np.where(missing, 0.0, values) if missing.any() else values


def _refuse_kind(name: str, column: Column) -> None:
    if column.kind != "text":
        raise InputError(
            f"{name} is a column of kind {column.kind!r}: numbers, yes or no, or words are needed.",
            argument=name,
            code="wrong_type",
            hint="Turn it into a number, such as the days since a date.",
        )


def term_columns(terms: Sequence[UpliftTerm], columns: Mapping[str, Column]) -> list[FloatArray]:
    """Return how far each person is from the mean of each term, shape (n,) each; 0 where nothing is known.

    A missing number counts as the mean. So does a word that was not in the test, if rare words have no column.
    """
    return [_away(term, terms, columns[term.feature]) for term in terms]


def _away(term: UpliftTerm, terms: Sequence[UpliftTerm], column: Column) -> FloatArray:
    missing = column.missing
    if term.kind == "missing":
        return np.asarray(missing - term.mean, dtype=np.float64)
    if term.kind == "number":
        if column.kind not in {"number", "boolean", "empty"}:
            raise _other_kind(term.feature, column.kind, "numbers, or yes or no")
        values = column.numbers()
        checks.refuse_rows(term.feature, np.isinf(values), values, "a finite number is needed")
        return np.where(missing, 0.0, values - term.mean)
    if column.kind == "empty":
        return np.zeros(len(column)) if not flags_missing(terms, term.feature) else np.full(len(column), -term.mean)
    if column.kind != "text":
        raise _other_kind(term.feature, column.kind, "words")
    assert column.categories is not None
    known = words_of(terms, term.feature)
    names = column.categories.tolist()
    if term.kind == "word":
        flag = np.array([name == term.word for name in names] + [False])[column.data]
    else:
        flag = np.array([name not in known for name in names] + [False])[column.data]
    as_average = np.zeros(len(column), dtype=np.bool_)
    if not flags_another(terms, term.feature):
        as_average |= np.array([name not in known for name in names] + [False])[column.data]
    if not flags_missing(terms, term.feature):
        as_average |= missing
    return np.where(as_average, 0.0, flag - term.mean)


def away_of_one(term: UpliftTerm, terms: Sequence[UpliftTerm], value: Any) -> float:
    """Return what `term_columns` gives, for one person's value; None is missing."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124  (NaN)
        value = None
    if term.kind == "missing":
        return (value is None) - term.mean
    if term.kind == "number":
        if value is None:
            return 0.0
        if isinstance(value, (bool, int, float)):
            return checks.number(term.feature, float(value)) - term.mean
        raise _other_kind(term.feature, type(value).__name__, "numbers, or yes or no")
    if value is None:
        return -term.mean if flags_missing(terms, term.feature) else 0.0
    if not isinstance(value, str):
        raise _other_kind(term.feature, type(value).__name__, "words")
    known = value in words_of(terms, term.feature)
    if not known and not flags_another(terms, term.feature):
        return 0.0
    return (value == term.word if term.kind == "word" else not known) - term.mean


def words_of(terms: Sequence[UpliftTerm], feature: str) -> set[str]:
    """Return the words of a feature that have a term of their own."""
    return {term.word for term in terms if term.feature == feature and term.kind == "word"}


def flags_another(terms: Sequence[UpliftTerm], feature: str) -> bool:
    """Return whether rare words of a feature have a term."""
    return any(term.feature == feature and term.kind == "another" for term in terms)


def flags_missing(terms: Sequence[UpliftTerm], feature: str) -> bool:
    """Return whether missing values of a feature have a term."""
    return any(term.feature == feature and term.kind == "missing" for term in terms)


def _other_kind(feature: str, kind: str, needed: str) -> InputError:
    return InputError(
        f"{feature} is of kind {kind!r}: the test had {needed}.",
        argument=feature,
        code="wrong_type",
    )
