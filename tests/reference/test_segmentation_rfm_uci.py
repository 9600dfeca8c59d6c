"""RFM of the UCI Online Retail data (D. Chen, UCI Machine Learning Repository): counts that anyone can recount."""

import os
from pathlib import Path

import numpy as np
import pytest

from relmark import EventLog
from relmark.segmentation import Rfm, RfmModel

DATA = Path(os.environ.get("RELMARK_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "online_retail.parquet"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there: set RELMARK_DATA")


@pytest.fixture(scope="module")
def lines():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(FILE).to_pandas()
    table = table[(table.Quantity > 0) & (table.UnitPrice > 0) & table.CustomerID.notna()]
    return {
        "customer_id": table.CustomerID.astype(int).to_numpy(),
        "time": table.InvoiceDate.to_numpy(),
        "value": (table.Quantity * table.UnitPrice).to_numpy(),
        "properties": {"order": table.InvoiceNo.astype(str).to_numpy()},
    }


def log_of(lines, rows=slice(None)):
    return EventLog.from_columns(
        customer_id=lines["customer_id"][rows],
        type="purchase",
        time=lines["time"][rows],
        value=lines["value"][rows],
        properties={"order": lines["properties"]["order"][rows]},
    )


def test_the_published_counts_come_out(lines):
    log = log_of(lines)
    scores = Rfm(order="order").score(log, as_of="2011-12-10")
    assert len(log) == 397_884
    assert scores.orders.sum() == 18_532
    assert len(scores) == 4_338
    assert round(scores.revenue.sum(), 2) == 8_911_407.90
    assert np.bincount(scores.orders)[1:6].tolist() == [1_493, 835, 508, 388, 242]
    assert np.bincount(scores.f)[1:].tolist() == [1_493, 835, 508, 802, 700]
    assert np.bincount(scores.r)[1:].tolist() == [861, 866, 863, 880, 868]


def test_shuffled_rows_and_shards_change_nobody(lines):
    model = Rfm(order="order").fit(log_of(lines), as_of="2011-12-10")
    scores = model.score(log_of(lines), as_of="2011-12-10")
    shuffled = np.random.default_rng(0).permutation(len(lines["value"]))
    again = Rfm(order="order").fit(log_of(lines, shuffled), as_of="2011-12-10")
    assert again == model
    assert again.score(log_of(lines, shuffled), as_of="2011-12-10").to_json() == scores.to_json()
    stored = RfmModel.from_json(model.to_json())
    for shard in range(3):
        part = stored.score(log_of(lines, lines["customer_id"] % 3 == shard), as_of="2011-12-10")
        whole = scores.customer_id % 3 == shard
        assert np.array_equal(part.customer_id, scores.customer_id[whole])
        assert np.array_equal(part.segment, scores.segment[whole])
        assert np.array_equal(part.revenue, scores.revenue[whole])


def test_the_usual_recipe_changes_segments_when_rows_are_shuffled(lines):
    # What thresholds by order statistics avoid: rank(method="first") breaks ties by the order of the rows.
    scores = Rfm(order="order").score(log_of(lines), as_of="2011-12-10")
    rng = np.random.default_rng(0)
    n = len(scores)

    def first_rank_quintile(x):
        order = rng.permutation(n)
        rank = np.empty(n)
        rank[order[np.argsort(x[order], kind="stable")]] = np.arange(n)
        return (rank * 5 // n).astype(int) + 1

    one, two = first_rank_quintile(scores.frequency), first_rank_quintile(scores.frequency)
    assert np.count_nonzero(one != two) > 400
