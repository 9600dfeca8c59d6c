"""The reports on a model: frequencies, weeks, holdout, calibration, and the recency-frequency matrix."""

import runpy
import types
from pathlib import Path

import numpy as np
import pytest

from relmark.core.base import CustomerBase
from relmark.core.errors import InputError
from relmark.ltv import (
    BgBb,
    BgNbd,
    Nbd,
    PurchaseSummary,
    calibration_table,
    cohort_tracking,
    frequency_table,
    holdout_report,
    purchase_summary,
    recency_frequency_matrix,
    split,
)

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))


def base_of(customers, days):
    return CustomerBase.from_orders({"u": customers, "t": days}, customer_id="u", time="t")


@pytest.fixture(scope="module")
def held():
    return split(data.cdnow_base(), at="1997-10-01", as_of="1998-07-01", unit="week")


@pytest.fixture(scope="module")
def model(held):
    return BgNbd.fit(held.calibration)


def test_the_frequency_table_adds_up_the_probabilities_of_all_ages(held, model):
    s = held.calibration
    table = frequency_table(model, s, most=3)
    slow = [sum(model.purchase_probabilities_new(T, n) for T in s.T) for n in range(3)]
    np.testing.assert_allclose(table.expected[:3], slow)
    np.testing.assert_array_equal(table.observed, [1411, 439, 214, 293])
    weighted = frequency_table(model, s.cells(), most=3)
    np.testing.assert_allclose(weighted.observed, table.observed)
    np.testing.assert_allclose(weighted.expected, table.expected)
    assert "3+" in str(table)
    assert table.chi_squared == pytest.approx((((table.observed - table.expected) ** 2) / table.expected).sum())


def test_the_matrix_is_the_prediction_for_each_pair(model):
    matrix = recency_frequency_matrix(model, T=39.0, t=13.0, most=5)
    assert matrix.expected_purchases.shape == (40, 6)
    s = PurchaseSummary(frequency=3, recency=20.0, T=39.0)
    assert matrix.expected_purchases[20, 3] == model.expected_purchases(s, 13.0)[0]
    assert matrix.probability_alive[20, 3] == model.probability_alive(s)[0]
    assert np.isnan(matrix.probability_alive[5, 0])
    assert "frequency=0 to 5" in repr(matrix)
    discrete = recency_frequency_matrix(BgBb(alpha=1, beta=1, gamma=1, delta=2), T=6, t=5, most=6)
    assert discrete.recency.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.isnan(discrete.probability_alive[2, 3])
    assert np.isfinite(discrete.probability_alive[3, 3])


def test_tracking_sums_new_customers_by_age(model):
    base = data.cdnow_base()
    track = cohort_tracking(model, base, at="1997-10-01", as_of="1998-07-01")
    assert track.customers == 2357
    assert track.calibration_periods == 39
    assert str(track.period_end[38]) == "1997-09-30"
    assert track.actual_cumulative[38] == 2457
    s = purchase_summary(base, as_of="1997-10-01", unit="week")
    np.testing.assert_allclose(track.expected_cumulative[38], model.expected_purchases_new(s.T).sum())
    np.testing.assert_allclose(np.cumsum(track.expected), track.expected_cumulative)
    np.testing.assert_array_equal(np.cumsum(track.actual), track.actual_cumulative)
    assert track.relative_error == pytest.approx(track.expected_cumulative[-1] / track.actual_cumulative[-1] - 1)
    assert "weeks=78" in repr(track)
    monthly = cohort_tracking(model, base, at="1997-10-01", as_of="1998-07-01", unit="month")
    assert len(monthly.actual) == 17
    assert monthly.unit == "month"


def test_tracking_refuses_what_it_cannot_place_in_time(model):
    base = data.cdnow_base()
    ends = {"at": "1997-10-01", "as_of": "1998-07-01"}
    with pytest.raises(InputError, match="has no unit"):
        cohort_tracking(Nbd(r=1, alpha=1), base, **ends)
    with pytest.raises(InputError, match="continuous time"):
        cohort_tracking(BgBb(alpha=1, beta=1, gamma=1, delta=1), base, **ends)
    with pytest.raises(InputError, match="no cohort"):
        cohort_tracking(model, base, at="1996-10-01", as_of="1998-07-01")
    with pytest.raises(InputError, match="less than one full week"):
        cohort_tracking(model, base, at="1997-01-03", as_of="1997-01-04")
    single = base_of([1], ["1997-01-01"])
    lonely = cohort_tracking(model, single, at="1997-01-03", as_of="1997-02-04")
    assert np.isnan(lonely.relative_error)


def test_the_holdout_report_compares_sums_and_people(held, model):
    r = holdout_report(model, held)
    expected = model.expected_purchases(held.calibration, 39.0)
    assert r.actual_total == 1882
    assert r.expected_total == pytest.approx(expected.sum())
    assert r.mean_absolute_error == pytest.approx(np.abs(expected - held.frequency).mean())
    assert r.correlation == pytest.approx(np.corrcoef(expected, held.frequency)[0, 1])
    once = held.calibration.frequency == 1
    assert r.actual[1] == pytest.approx(held.frequency[once].mean())
    assert r.expected[1] == pytest.approx(expected[once].mean())
    assert "7+" in str(r)
    assert "relative_error" in repr(r)
    sparse = holdout_report(model, held, most=200)
    assert np.isnan(sparse.actual[150])
    with pytest.raises(InputError, match="HoldoutSplit is needed"):
        holdout_report(model, held.calibration)


def test_a_holdout_without_purchases_has_no_relative_error():
    held = split(
        base_of(["a", "a", "b"], ["2026-01-01", "2026-01-05", "2026-01-05"]),
        at="2026-02-01",
        as_of="2026-03-01",
        unit="week",
    )
    r = holdout_report(BgNbd(r=1, alpha=1, a=1, b=1), held)
    assert np.isnan(r.relative_error)
    assert np.isnan(r.correlation)


def test_the_calibration_table_groups_like_expectations(held, model):
    table = calibration_table(model, held, groups=5)
    assert table.customers.sum() == 2357
    assert (np.diff(table.expected) > 0).all()
    assert table.customers @ table.actual == pytest.approx(1882)
    assert (table.actual_buyers <= 1).all()
    some = 1 - model.purchase_probabilities(held.calibration, 39.0, 0)
    assert table.customers @ table.expected_buyers == pytest.approx(some.sum())
    assert "expected_buyers" in str(table)
    same = split(base_of([1, 2], ["2026-01-01"] * 2), at="2026-02-01", as_of="2026-03-01")
    assert len(calibration_table(model, same)) == 1
