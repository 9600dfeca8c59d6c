"""The members of a segment: a mask over a base, and who could not be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray
from relmark.core.frozen import read_only
from relmark.core.results import ColumnarResult, Result, json_ready
from relmark.core.stored_arrays import StoredArrays, stored_moment
from relmark.expressions import nodes
from relmark.expressions.evaluate import BaseScope
from relmark.expressions.kinds import notes_on_data
from relmark.expressions.operators import Expression
from relmark.expressions.truth import Truth, all_true

__all__ = ["SegmentMembers", "clauses_of", "members"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SegmentMembers(StoredArrays, ColumnarResult):
    """Who belongs to a segment at an instant.

    Attributes
    ----------
    name : str
        The name of the segment.
    customer_id : ndarray, shape (n,)
        All customers of the base.
    mask : ndarray of bool, shape (n,)
        Which customers are members.
    unknown_mask : ndarray of bool, shape (n,)
        Which customers the rule could not judge because a value is missing. They are not members.
    as_of : datetime64, or ndarray of datetime64, shape (n,)
        The instant of the evaluation, or one per customer; events after it are not seen.
    notes : tuple of str
        Event types and properties that the rule asks for and the data do not contain.
    """

    stored_kind: ClassVar[str] = "segment_members"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "customer_id": ("id", "n"), "mask": ("bool", "n"), "unknown_mask": ("bool", "n"), "as_of": ("moment?", "n"),
        "clauses": ("bool", "k", "n"),
    }  # fmt: skip

    name: str
    customer_id: npt.NDArray[Any]
    mask: BoolArray
    unknown_mask: BoolArray
    as_of: np.datetime64 | npt.NDArray[np.datetime64]
    notes: tuple[str, ...] = ()
    _fingerprint: str = ""
    _clauses: tuple[tuple[str, BoolArray], ...] = ()

    def __attrs_post_init__(self) -> None:
        """Make all arrays read-only, including those of the clauses."""
        Result.__attrs_post_init__(self)
        object.__setattr__(self, "_clauses", tuple((text, read_only(true)) for text, true in self._clauses))

    @property
    def ids(self) -> npt.NDArray[Any]:
        """The members' ids, in the order of the base."""
        return self.customer_id[np.flatnonzero(self.mask)]  # twice as fast as the mask with few members

    @property
    def size(self) -> int:
        """The number of members."""
        return int(np.count_nonzero(self.mask))

    @property
    def share(self) -> float:
        """The share of the base's customers who are members; NaN in an empty base."""
        return self.size / len(self.mask) if len(self.mask) else float("nan")

    @property
    def unknown(self) -> int:
        """The number of customers who could not be judged."""
        return int(np.count_nonzero(self.unknown_mask))

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"name": self.name, "size": self.size, "share": self.share, "unknown": self.unknown}
        facts["of"] = len(self.mask)
        if np.ndim(self.as_of) == 0:
            facts["as_of"] = self.as_of
        return facts | ({"notes": "; ".join(self.notes)} if self.notes else {})

    def _table(self) -> dict[str, Any]:
        return Result._table(self)  # noqa: SLF001  (one fact per row, rather than one customer per row)

    def _packed(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        when, one = stored_moment(self.as_of)
        masks = [true for _, true in self._clauses]
        arrays = {
            "customer_id": self.customer_id,
            "mask": self.mask,
            "unknown_mask": self.unknown_mask,
            "clauses": np.array(masks, dtype=np.bool_).reshape(len(masks), len(self.mask)),
            **when,
        }
        texts = [text for text, _ in self._clauses]
        values = {"name": self.name, "notes": list(self.notes), "rule": self._fingerprint, "clauses": texts, **one}
        return arrays, values

    @classmethod
    def _unpacked(cls, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> Self:
        return cls(
            name=values["name"],
            customer_id=arrays["customer_id"],
            mask=arrays["mask"],
            unknown_mask=arrays["unknown_mask"],
            as_of=arrays["as_of"] if "as_of" in arrays else np.datetime64(values["as_of"]),
            notes=tuple(values["notes"]),
            fingerprint=values["rule"],
            clauses=tuple(zip(values["clauses"], arrays["clauses"], strict=True)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, and the members' ids, as JSON-ready values."""
        figures = {"name": self.name, "size": self.size, "share": self.share, "unknown": self.unknown}
        when = {} if np.ndim(self.as_of) else {"as_of": self.as_of}
        rest = {"of": len(self.mask), **when, "notes": self.notes, "ids": self.ids}
        return {key: json_ready(value) for key, value in (figures | rest).items()}


def clauses_of(rule: Expression) -> tuple[Expression, ...]:
    """Return the parts of a rule that all have to hold: the arguments of ``&``, or the rule itself."""
    return rule.args if isinstance(rule, nodes.And) else (rule,)


def members(name: str, rule: Expression, scope: BaseScope, fingerprint: str) -> SegmentMembers:
    """Return the members for a rule that has been checked against the base."""
    parts = clauses_of(rule)
    truths = [scope.truth(part) for part in parts]
    whole = truths[0] if len(truths) == 1 else all_true(truths)
    return SegmentMembers(
        name=name,
        customer_id=scope.base.customer_id,
        mask=whole.true,
        unknown_mask=unknown_of(whole),
        as_of=moments(scope),
        notes=notes_on_data(rule, scope.base),
        fingerprint=fingerprint,
        clauses=tuple((part.to_text(), truth.true) for part, truth in zip(parts, truths, strict=True)),
    )


def unknown_of(truth: Truth) -> BoolArray:
    """Return which rows are unknown as a boolean array."""
    return np.zeros(len(truth.true), dtype=np.bool_) if truth.unknown is None else truth.unknown


def moments(scope: BaseScope) -> Any:
    """Return the instants of the evaluation as datetime64."""
    return scope.as_of.given
