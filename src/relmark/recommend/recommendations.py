"""The results of recommenders: lists of any length with scores and reasons, and explanations of scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.formats import SHOWN_ROWS, format_number, html_table, text_table
from relmark.core.ids import find_ids
from relmark.core.results import ColumnarResult, Rows, json_ready
from relmark.core.stored_arrays import StoredArrays
from relmark.recommend.rules import ItemId

__all__ = ["Explanation", "Recommendation", "Recommendations", "SimilarCustomer"]


@attrs.frozen(kw_only=True)
class Recommendation:
    """One recommended item.

    Parameters
    ----------
    item : int or str
        The id of the item.
    score : float
        Higher is better; comparable within one customer's list and one source.
    rank : int
        The place in the list; 1 is the best.
    reason : str
        The reason in a few words: the purchase that adds most to the score, or the source.
    """

    item: ItemId
    score: float = attrs.field(repr=format_number)
    rank: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the recommendation as JSON-ready values."""
        return {name: json_ready(value) for name, value in attrs.asdict(self).items()}


@attrs.frozen(kw_only=True)
class SimilarCustomer:
    """A customer whose taste is similar to another's; `score` is a cosine, 1 for the same taste."""

    customer_id: ItemId
    score: float = attrs.field(repr=format_number)
    rank: int

    def to_dict(self) -> dict[str, Any]:
        """Return the customer as JSON-ready values."""
        return attrs.asdict(self)


_COLUMNS = dict.fromkeys(("customer_id", "rank", "item", "score", "source", "reason"))


class Reasons(Protocol):
    """A function that returns the reasons of rows of a result."""

    def __call__(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Return a reason for each of the rows."""


@attrs.frozen
class KnownReasons:
    """The reasons of a stored result, which were computed before."""

    texts: npt.NDArray[np.str_]

    def __call__(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Return a reason for each of the rows."""
        return [str(text) for text in self.texts[rows]]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Recommendations(StoredArrays, ColumnarResult):
    """Lists of up to k items: customer i gets ``item[offsets[i]:offsets[i + 1]]``, best first.

    A list is shorter than k if fewer items are left after the rules; it is never padded.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers.
    offsets : ndarray of int64, shape (n + 1,)
        Where each customer's rows start and end.
    item : ndarray, shape (r,)
        The id of the item of each row.
    score : ndarray of float64, shape (r,)
        Higher is better; the same number as in `explain`. Scores are comparable within one customer and one source, but
        not between sources: the order of the rows decides.
    source : ndarray of str, shape (r,)
        The model that gave the row: ``"ease"``, ``"popular"``, ...
    dropped : mapping of str to int
        How many pairs of customer and item each rule removed; a pair counts for the first rule that removed it.
    k : int
        The number of items asked for.
    """

    stored_kind: ClassVar[str] = "recommendations"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "customer_id": ("id", "n"), "offsets": ("whole", "n+1"), "item": ("id", "r"), "score": ("number", "r"),
        "source": ("text", "r"), "reason": ("text", "r"),
    }  # fmt: skip

    customer_id: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    item: npt.NDArray[Any]
    score: npt.NDArray[np.float64]
    source: npt.NDArray[np.str_]
    dropped: Mapping[str, int]
    k: int
    _reasons: Reasons

    def _packed(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        return {name: getattr(self, name) for name in self.axes}, {"dropped": dict(self.dropped), "k": int(self.k)}

    @classmethod
    def _unpacked(cls, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> Self:
        offsets, reason = arrays["offsets"], arrays.pop("reason")
        ascends = len(offsets) > 0 and offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())
        if not ascends or offsets[-1] != len(arrays["item"]):
            raise ValueError("offsets do not ascend from 0 to the number of rows")
        return cls(**arrays, dropped=values["dropped"], k=values["k"], reasons=KnownReasons(reason))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The number of items of each customer, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def rank(self) -> npt.NDArray[np.int64]:
        """The rank of each row within its customer, from 1, shape (r,)."""
        return np.arange(1, len(self.item) + 1) - np.repeat(self.offsets[:-1], self.counts)

    @property
    def reason(self) -> npt.NDArray[np.str_]:
        """The reason of each row, computed on access, shape (r,)."""
        return np.array(self._reasons(np.arange(len(self.item))), dtype=np.str_)

    def __len__(self) -> int:
        """Return the number of recommended rows."""
        return len(self.item)

    def for_customer(self, customer: ItemId) -> tuple[Recommendation, ...]:
        """Return one customer's recommendations, best first.

        Raises
        ------
        InputError
            The customer is not in this result.
        """
        order = np.argsort(self.customer_id, kind="stable")
        place = int(find_ids("customer", self.customer_id[order], [customer])[0])
        if place < 0:
            raise InputError(
                f"customer {shown(customer)} is not among the {len(self.customer_id):,} customers of this result.",
                argument="customer",
                code="unknown_name",
            )
        return self.lists(int(order[place]))

    def lists(self, i: int) -> tuple[Recommendation, ...]:
        """Return the recommendations of the i-th customer, best first."""
        rows = np.arange(self.offsets[i], self.offsets[i + 1])
        return tuple(
            Recommendation(item=item, score=score, rank=rank + 1, reason=reason)
            for rank, (item, score, reason) in enumerate(
                zip(self.item[rows].tolist(), self.score[rows].tolist(), self._reasons(rows), strict=True)
            )
        )

    def __iter__(self) -> Iterator[tuple[ItemId, tuple[Recommendation, ...]]]:
        """Yield each customer's id and list."""
        for i, customer in enumerate(self.customer_id.tolist()):
            yield customer, self.lists(i)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns customer_id, rank, item, score, source and reason, with one row per recommendation."""
        return {**self._told(), "reason": self.reason}

    def _told(self) -> dict[str, npt.NDArray[Any]]:
        """Return all columns but the reasons."""
        return {
            "customer_id": np.repeat(self.customer_id, self.counts),
            "rank": self.rank,
            "item": self.item,
            "score": self.score,
            "source": self.source,
        }

    def __getitem__(self, key: Any) -> Any:
        """Return a column, or some rows or columns; reasons are computed for the chosen rows only."""
        if isinstance(key, str):
            return self.reason if key == "reason" else self._told()[self._named(key, _COLUMNS)]
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            return ColumnarResult.__getitem__(self, key)
        rows = Rows(columns={**self._told(), "row": np.arange(len(self))}, name=type(self).__name__)[key]
        columns = dict(rows.columns)
        places = columns.pop("row")
        return Rows(columns={**columns, "reason": np.array(self._reasons(places), dtype=np.str_)}, name=rows.name)

    def to_dict(self) -> dict[str, Any]:
        """Return the lists by customer, k and the number of dropped pairs as JSON-ready values."""
        return {
            "k": self.k,
            "customers": [
                {"customer_id": json_ready(customer), "items": [item.to_dict() for item in items]}
                for customer, items in self
            ],
            "dropped": dict(self.dropped),
        }

    def _facts(self) -> dict[str, Any]:
        return {
            "customers": len(self.customer_id),
            "k": self.k,
            "rows": len(self),
            "short": int(np.count_nonzero(self.counts < self.k)),
            "dropped": self.dropped,
        }

    def _table(self) -> dict[str, Any]:
        shown_rows = self.head(SHOWN_ROWS)
        return {name: shown_rows[name] for name in ("customer_id", "rank", "item", "score", "reason")}

    def __str__(self) -> str:
        return text_table(self._table(), total=len(self))

    def _repr_html_(self) -> str:
        return html_table(self._table(), total=len(self), caption=self._caption())


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Explanation(ColumnarResult):
    """The parts that add up to the score of an item for a customer.

    Parameters
    ----------
    customer_id, item : int or str
        The ids of the customer and the item.
    score : float
        The score; NaN if the model cannot rank the item for the customer, with the reason in `note`.
    because : ndarray of str, shape (c,)
        What the score is made of: purchases of the customer, or parts of the model.
    contributions : ndarray of float64, shape (c,)
        How much each adds to the score, the largest first; they add up to `score`.
    source : str
        The model that gave the score.
    dropped_by : tuple of str
        The rules that remove the item for this customer.
    note : str
        Why there is no score, or why only popularity recommends the item.
    """

    customer_id: ItemId | None
    item: ItemId
    score: float
    because: npt.NDArray[np.str_]
    contributions: npt.NDArray[np.float64]
    source: str
    dropped_by: tuple[str, ...] = ()
    note: str = ""

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"customer_id": self.customer_id, "item": self.item, "score": self.score}
        facts["source"] = self.source
        if self.dropped_by:
            facts["dropped_by"] = " ".join(self.dropped_by)
        return {**facts, "note": self.note} if self.note else facts

    def _table(self) -> dict[str, Any]:
        return {
            "because": [*self.because.tolist(), "score"],
            "contribution": [*self.contributions.tolist(), self.score],
        }
