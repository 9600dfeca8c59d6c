"""Cohort tables that anyone can recount: UCI Online Retail with both of the usual filters, and CDNOW."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, event
from relmark.metrics import cohort_retention, cohort_value

# All rows with a CustomerID, which most tutorials print; and positive quantity and price.
SIZES = {
    "all": [948, 421, 380, 440, 299, 279, 235, 191, 167, 298, 352, 321, 41],
    "bought": [885, 417, 380, 452, 300, 284, 242, 188, 169, 299, 358, 323, 41],
}
DECEMBER = {
    "all": [948, 362, 317, 367, 341, 376, 360, 336, 336, 374, 354, 474, 260],
    "bought": [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235],
}
JANUARY = {
    "all": [421, 101, 119, 102, 138, 126, 110, 108, 131, 146, 155, 63],
    "bought": [417, 92, 111, 96, 134, 120, 103, 101, 125, 136, 152, 49],
}
TOTAL = {"all": 4_372, "bought": 4_338}
MONTH_1 = {"all": (26.11, 24.09), "bought": (22.71, 20.62)}


@pytest.fixture(scope="module")
def lines(data):
    table = pytest.importorskip("pyarrow.parquet").read_table(data("online_retail.parquet")).to_pandas()
    return table[table.CustomerID.notna()]


@pytest.fixture(scope="module")
def tables(lines):
    bought = lines[(lines.Quantity > 0) & (lines.UnitPrice > 0)]
    log = EventLog.from_columns(
        customer_id=lines.CustomerID.astype(int).to_numpy(), type="line", time=lines.InvoiceDate.to_numpy()
    )
    orders = {
        "user": bought.CustomerID.astype(int).to_numpy(), "time": bought.InvoiceDate.to_numpy(),
        "value": (bought.Quantity * bought.UnitPrice).to_numpy(), "order": bought.InvoiceNo.astype(str).to_numpy(),
    }  # fmt: skip
    base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="value", order="order")
    every = cohort_retention(CustomerBase(events=log), as_of="2011-12-10", start=event("line"))
    return {"all": every, "bought": cohort_retention(base, as_of="2011-12-10"), "base": base}


@pytest.mark.parametrize("rows", ["all", "bought"])
def test_the_cohorts_of_online_retail_are_those_that_are_printed_everywhere(tables, rows):
    found = tables[rows]
    assert found.sizes.tolist() == SIZES[rows]
    assert int(found.sizes.sum()) == TOTAL[rows]
    assert found.counts[0].tolist() == DECEMBER[rows]
    assert found.counts[1, :12].tolist() == JANUARY[rows]
    assert np.isnan(found.counts[1, 12])
    weighted, simple = MONTH_1[rows]
    assert 100 * found.overall[1].value == pytest.approx(weighted, abs=0.005)
    assert 100 * float(np.nanmean(found.table[:, 1])) == pytest.approx(simple, abs=0.005)


@pytest.mark.parametrize("rows", ["all", "bought"])
def test_the_month_in_progress_is_flagged_and_what_has_not_begun_is_nan(tables, rows):
    found = tables[rows]
    c = len(found.sizes)
    for k in range(c):
        assert found.in_progress[k].tolist() == [p == c - 1 - k for p in range(c)]
        assert np.isnan(found.table[k]).tolist() == [p > c - 1 - k for p in range(c)]
    assert "27.4%*" in str(tables["all"])
    ended = [found.counts[k, 1] for k in range(c - 2)]
    assert found.overall_ended[1].value == pytest.approx(sum(ended) / found.sizes[: c - 2].sum())


def test_the_money_of_the_cohorts_is_the_revenue(tables):
    found = cohort_value(tables["base"], as_of="2011-12-10")
    assert float(np.nansum(found.revenue)) == pytest.approx(8_911_407.90, abs=0.5)
    assert found.per_customer[0, 0] == pytest.approx(found.revenue[0, 0] / 885)


def test_cdnow_by_week_and_by_month_is_a_plain_recount():
    ltv = runpy.run_path(str(Path(__file__).parents[1] / "ltv" / "ltv_data.py"))
    base = ltv["cdnow_base"]()
    orders = base.purchases().orders()
    who, day = orders.customer_id, orders.day
    for period, number in (
        ("month", day.astype("M8[M]").astype(int)), ("week", (day.astype("M8[D]").astype(int) + 3) // 7)
    ):  # fmt: skip
        found = cohort_retention(base, as_of="1998-07-01", period=period)
        first, came = {}, set()
        for one, at in zip(who.tolist(), number.tolist(), strict=True):
            first[one] = min(first.get(one, at), at)
        for one, at in zip(who.tolist(), number.tolist(), strict=True):
            came.add((one, at - first[one]))
        cohorts = sorted(set(first.values()))
        table = np.zeros((len(cohorts), found.table.shape[1]))
        for one, since in came:
            table[cohorts.index(first[one]), since] += 1
        seen = ~np.isnan(found.counts)
        assert np.array_equal(found.counts[seen], table[seen])
        assert not table[~seen].any()
        assert found.sizes.tolist() == [list(first.values()).count(one) for one in cohorts]
