"""Numbers that describe customers: what they buy, how active they are, and what a table says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, shown
from relmark.core.columns import Column
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.names import did_you_mean
from relmark.core.purchases import Purchases
from relmark.core.table import CustomerTable
from relmark.core.time import DAY
from relmark.recommend._blas import one_blas_thread
from relmark.recommend._history import history_of
from relmark.recommend.interactions import Interactions, interactions_of

_MOST_WORDS = 50


@attrs.frozen(eq=False)
class Features:
    """Standardized columns, shape (n, p), and which of them measure only how active a customer is."""

    customer_id: npt.NDArray[Any]
    values: FloatArray
    activity: npt.NDArray[np.bool_]


def features_of(source: Any, factors: int, activity: Sequence[str]) -> Features:
    """Return the features of purchases, of a table of customers, or of a mapping of columns."""
    if not isinstance(activity, (list, tuple)) or not all(isinstance(name, str) for name in activity):
        raise InputError(
            f"activity is {shown(activity)}: a list of column names is needed, such as ['orders'].",
            argument="activity",
            code="wrong_type",
        )
    if isinstance(source, (Interactions, CustomerBase, Purchases)):
        if activity:
            raise InputError(
                "activity names columns of a table; leave it out with purchases.",
                argument="activity",
                code="conflicting_arguments",
            )
        return _of_interactions(interactions_of(source), factors)
    if isinstance(source, Mapping):
        columns = dict(source)
        if "customer_id" not in columns:
            raise InputError(
                "features has no customer_id: give a mapping with customer_id and columns.",
                argument="features",
                code="missing_argument",
            )
        source = CustomerTable.from_columns(**columns)
    if not isinstance(source, CustomerTable):
        raise InputError(
            f"features is a {type(source).__name__}: a CustomerBase, Purchases, Interactions, a CustomerTable or a "
            "mapping of columns with customer_id is needed.",
            argument="features",
            code="wrong_type",
            hint="Make a table with CustomerTable.from_frame(frame).",
        )
    return _of_table(source, activity)


def _of_interactions(x: Interactions, factors: int) -> Features:
    own = x.lines
    known = np.unique(own.customer)
    if len(known) == 0:
        raise NotEnoughDataError("features has no interactions that describe customers.", argument="features")
    counts = history_of(own, weight="purchases")
    lines = counts.lengths[known]
    assert counts.count is not None
    purchases = np.bincount(own.customer, minlength=x.n_customers)[known]
    columns = [np.log1p(lines), np.log1p(purchases)]
    first = np.full(int(own.orders.max()) + 1, -1, dtype=np.int64)
    first[own.orders] = own.customer  # an order belongs to one customer
    customer = first[first >= 0]
    columns.append(np.log1p(np.bincount(customer, minlength=x.n_customers)[known]))
    if own.value is not None:
        money = np.bincount(own.customer, weights=np.nan_to_num(own.value), minlength=x.n_customers)[known]
        columns.append(np.log1p(money))
    if own.time is not None:
        last, begun = np.full(x.n_customers, own.time.min()), np.full(x.n_customers, own.time.max())
        np.maximum.at(last, own.customer, own.time)
        np.minimum.at(begun, own.customer, own.time)
        now = int(own.time.max())
        columns += [np.log1p((now - moment[known]) / DAY) for moment in (last, begun)]
    active = np.stack(columns, axis=1).astype(np.float64)
    tastes = _tastes(x, known, factors)
    values = np.hstack((tastes, active))
    return Features(
        x.customer_id[known], standardized(values), np.arange(values.shape[1]) >= values.shape[1] - active.shape[1]
    )


@one_blas_thread()
def _tastes(x: Interactions, known: npt.NDArray[Any], factors: int) -> FloatArray:
    """Return the leading left singular vectors of the matrix with rows scaled to length 1, shape (n, <= factors)."""
    from scipy.sparse.linalg import svds

    past = history_of(x.lines).take(known)
    idf = np.log(len(known) / np.maximum(np.bincount(past.item, minlength=x.n_items), 1.0))
    X = past.matrix(x.n_items).astype(np.float64)
    X.data = (idf[past.item] + 1e-9) * past.weight
    size = np.sqrt(np.add.reduceat(X.data**2, past.indptr[:-1]))
    X.data = np.divide(X.data, size[past.row], out=np.zeros_like(X.data), where=size[past.row] > 0)
    rank = min(factors, min(X.shape) - 1)
    if rank < 1:
        return np.zeros((len(known), 0))
    start = np.ones(min(X.shape)) / np.sqrt(min(X.shape))
    U, S, _ = svds(X, k=rank, v0=start)
    order = np.argsort(-S, kind="stable")
    U, S = U[:, order], S[order]
    U = U[:, 1e-9 * S[0] < S]
    largest = np.argmax(np.abs(U), axis=0)
    return np.asarray(U * np.sign(U[largest, np.arange(U.shape[1])]))  # the sign of a singular vector is arbitrary


def _of_table(table: CustomerTable, activity: Sequence[str]) -> Features:
    for name in activity:
        if name not in table.columns:
            raise InputError(
                f"activity has {name!r}, which is not a column.",
                argument="activity",
                code="unknown_name",
                hint=did_you_mean(name, table.columns),
            )
    parts, active = [], []
    for name, column in table.columns.items():
        block = _numbers(column)
        parts.append(block)
        active += [name in activity] * block.shape[1]
    if not parts or sum(part.shape[1] for part in parts) == 0:
        raise NotEnoughDataError("features has no column that can tell customers apart.", argument="table")
    values = standardized(np.hstack(parts))
    return Features(table.customer_id, values, np.array(active, dtype=np.bool_))


def _numbers(column: Column) -> FloatArray:
    """Return a column as numbers: missing ones become the mean, plus a column that marks them; words become 0 or 1."""
    n, missing = len(column), column.missing
    if column.kind in {"number", "boolean", "date", "instant"}:
        if column.kind in {"date", "instant"}:
            unit = 1.0 if column.kind == "date" else float(DAY)
            values = np.where(missing, np.nan, column.data.astype(np.int64) / unit)
        else:
            values = column.numbers()
        if missing.all():
            return np.zeros((n, 0))
        filled = np.where(missing, np.nanmean(values), values)
        return np.stack((filled, missing), axis=1) if missing.any() else filled[:, None]
    if column.kind == "empty":
        return np.zeros((n, 0))
    assert column.categories is not None
    words = len(column.categories)
    rows = np.arange(n) if column.offsets is None else np.repeat(np.arange(n), np.diff(column.offsets))
    known = column.data >= 0
    counts = np.bincount(column.data[known], minlength=words)
    common = np.sort(np.argsort(-counts, kind="stable")[:_MOST_WORDS])
    place = np.full(words, -1)
    place[common] = np.arange(len(common))
    cell = place[column.data[known]]
    values = np.zeros((n, len(common)))
    values[rows[known][cell >= 0], cell[cell >= 0]] = 1.0
    return values


def standardized(values: FloatArray) -> FloatArray:
    """Return columns with mean 0 and standard deviation 1; a constant column becomes 0."""
    spread = values.std(axis=0)
    centered = values - values.mean(axis=0)
    return np.asarray(np.divide(centered, spread, out=np.zeros_like(centered), where=spread > 1e-12))
