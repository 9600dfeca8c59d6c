"""RFM of the UCI Online Retail data (D. Chen, UCI Machine Learning Repository): counts that anyone can recount."""

import os
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase
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
        "order": table.InvoiceNo.astype(str).to_numpy(),
    }


def base_of(lines, rows=slice(None)):
    columns = {name: column[rows] for name, column in lines.items()}
    return CustomerBase.from_orders(columns, customer_id="customer_id", time="time", value="value", order="order")


def test_the_published_counts_come_out(lines):
    base = base_of(lines)
    scores = Rfm().score(base, as_of="2011-12-10")
    assert len(base.purchases()) == 397_884
    assert scores.orders.sum() == 18_532
    assert len(scores) == 4_338
    assert round(scores.revenue.sum(), 2) == 8_911_407.90
    assert np.bincount(scores.orders)[1:6].tolist() == [1_493, 835, 508, 388, 242]
    assert np.bincount(scores.f)[1:].tolist() == [1_493, 835, 508, 802, 700]
    assert np.bincount(scores.r)[1:].tolist() == [861, 866, 863, 880, 868]


def test_what_each_filter_of_the_protocol_costs():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(FILE).to_pandas()
    table = table[table.CustomerID.notna()]
    columns = {
        "customer": table.CustomerID.astype(int).to_numpy(),
        "time": table.InvoiceDate.to_numpy(),
        "value": (table.Quantity * table.UnitPrice).to_numpy(),
        "invoice": table.InvoiceNo.astype(str).to_numpy(),
        "item": table.StockCode.astype(str).to_numpy(),
    }
    base = CustomerBase.from_orders(
        columns, customer_id="customer", time="time", value="value", order="invoice", item="item"
    )
    asked = -columns["value"][columns["value"] < 0].sum()
    counts = base.purchases().counts
    assert round(asked) == 611_342
    assert round(counts["money_refunded"] + counts["money_unmatched"], 2) == round(asked, 2)
    assert round(counts["money_kept"] + counts["money_refunded"], 2) == 8_911_407.90
    assert base.purchases(refunds="drop", free="drop").counts["lines"] == 397_884


def test_shuffled_rows_and_shards_change_nobody(lines):
    model = Rfm().fit(base_of(lines), as_of="2011-12-10")
    scores = model.score(base_of(lines), as_of="2011-12-10")
    shuffled = np.random.default_rng(0).permutation(len(lines["value"]))
    again = Rfm().fit(base_of(lines, shuffled), as_of="2011-12-10")
    assert again == model
    assert again.score(base_of(lines, shuffled), as_of="2011-12-10").to_json() == scores.to_json()
    stored = RfmModel.from_json(model.to_json())
    for shard in range(3):
        part = stored.score(base_of(lines, lines["customer_id"] % 3 == shard), as_of="2011-12-10")
        whole = scores.customer_id % 3 == shard
        assert np.array_equal(part.customer_id, scores.customer_id[whole])
        assert np.array_equal(part.segment, scores.segment[whole])
        assert np.array_equal(part.revenue, scores.revenue[whole])


def test_the_usual_recipe_changes_segments_when_rows_are_shuffled(lines):
    # What thresholds by order statistics avoid: rank(method="first") breaks ties by the order of the rows.
    scores = Rfm().score(base_of(lines), as_of="2011-12-10")
    rng = np.random.default_rng(0)
    n = len(scores)

    def first_rank_quintile(x):
        order = rng.permutation(n)
        rank = np.empty(n)
        rank[order[np.argsort(x[order], kind="stable")]] = np.arange(n)
        return (rank * 5 // n).astype(int) + 1

    one, two = first_rank_quintile(scores.frequency), first_rank_quintile(scores.frequency)
    assert np.count_nonzero(one != two) > 400
