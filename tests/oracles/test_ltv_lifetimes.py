"""The rival: lifetimes 0.11, imported in one fixture that restores the warning filters it installs."""

import runpy
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from relmark.core.base import CustomerBase
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    ParetoNbd,
    PurchaseSummary,
    from_lifetimes,
    lifetime_value,
    purchase_summary,
)

ltv = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "ltv" / "ltv_data.py")))
MODELS = {"BetaGeoFitter": BgNbd, "ModifiedBetaGeoFitter": MbgNbd, "ParetoNBDFitter": ParetoNbd}


@pytest.fixture(scope="module")
def rival():
    pytest.importorskip("lifetimes")
    return ltv.lifetimes_package()


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.usefixtures("quiet")
def test_fits_and_predictions_agree_with_lifetimes_on_cdnow(rival, name):
    s = ltv.cdnow()
    theirs = getattr(rival, name)(penalizer_coef=0.0)
    np.random.seed(0)
    theirs.fit(s.frequency, s.recency, s.T)
    ours = MODELS[name].fit(s)
    taken = from_lifetimes(theirs, unit="week")
    np.testing.assert_allclose(ours.parameters, taken.parameters, rtol=2e-4)
    columns = s.frequency, s.recency, s.T
    theirs_expected = theirs.conditional_expected_number_of_purchases_up_to_time(39.0, *columns)
    np.testing.assert_allclose(taken.expected_purchases(s, 39.0), theirs_expected, rtol=1e-5)
    if name != "ParetoNBDFitter":  # its P(alive) subtracts two hypergeometric values
        np.testing.assert_allclose(
            taken.probability_alive(s), theirs.conditional_probability_alive(*columns), rtol=1e-5
        )
    mine = taken.expected_purchases_new(np.array([1.0, 10.0, 52.0]))
    new = theirs.expected_number_of_purchases_up_to_time(np.array([1.0, 10.0, 52.0]))
    np.testing.assert_allclose(mine, new, rtol=1e-5)


@pytest.mark.usefixtures("quiet")
def test_gamma_gamma_and_value_agree_with_lifetimes(rival):
    s = ltv.cdnow()
    again = s.frequency > 0
    theirs = rival.GammaGammaFitter(penalizer_coef=0.0)
    theirs.fit(s.frequency[again], s.monetary_value[again])
    ours, taken = GammaGamma.fit(s), from_lifetimes(theirs)
    np.testing.assert_allclose(ours.parameters, taken.parameters, rtol=1e-3)
    expected = theirs.conditional_expected_average_profit(s.frequency, s.monetary_value)
    np.testing.assert_allclose(taken.expected_spend(s), expected, rtol=1e-10)
    bg = rival.BetaGeoFitter(penalizer_coef=0.0).fit(s.frequency, s.recency, s.T)
    import pandas as pd

    columns = (pd.Series(c) for c in (s.frequency, s.recency, s.T, s.monetary_value))
    clv = theirs.customer_lifetime_value(bg, *columns, time=12, discount_rate=0.0, freq="W")
    ours_value = lifetime_value(from_lifetimes(bg, "week"), taken, s, horizon=12 * 30 / 7).value
    np.testing.assert_allclose(ours_value, clv, rtol=3e-2)


@pytest.mark.usefixtures("quiet")
def test_bg_bb_agrees_with_lifetimes_on_the_donations(rival):
    s = ltv.donations()
    theirs = rival.BetaGeoBetaBinomFitter().fit(s.frequency, s.recency, s.T, s.weights)
    taken = from_lifetimes(theirs)
    assert isinstance(taken, BgBb)
    np.testing.assert_allclose(BgBb.fit(s).parameters, taken.parameters, rtol=1e-3)
    columns = s.frequency, s.recency, s.T
    theirs_expected = theirs.conditional_expected_number_of_purchases_up_to_time(5, *columns)
    np.testing.assert_allclose(taken.expected_purchases(s, 5), theirs_expected, rtol=1e-8)
    np.testing.assert_allclose(
        taken.probability_alive(s, at=1), theirs.conditional_probability_alive(1, *columns), rtol=1e-8
    )


@pytest.mark.usefixtures("quiet")
def test_a_equal_to_one_is_nan_there_and_a_number_here(rival):
    theirs = rival.BetaGeoFitter()
    theirs.params_ = {"r": 0.243, "alpha": 4.414, "a": 1.0, "b": 2.426}
    s = PurchaseSummary(frequency=2, recency=30.43, T=38.86)
    columns = [np.array([v]) for v in (2.0, 30.43, 38.86)]
    theirs.params_ = {name: np.float64(value) for name, value in theirs.params_.items()}
    with np.errstate(all="ignore"):
        there = theirs.conditional_expected_number_of_purchases_up_to_time(39.0, *columns)
    assert not np.isfinite(there).any()
    here = from_lifetimes(theirs)
    near = BgNbd(r=0.243, alpha=4.414, a=1.0 + 1e-6, b=2.426)
    np.testing.assert_allclose(here.expected_purchases(s, 39.0), near.expected_purchases(s, 39.0), rtol=1e-6)


@pytest.mark.usefixtures("quiet")
def test_uci_online_retail_agrees_with_lifetimes(rival, data):
    import pyarrow.parquet as pq

    t = pq.read_table(data("online_retail.parquet")).to_pandas()
    t = t[t["CustomerID"].notna()]
    value = (t["Quantity"] * t["UnitPrice"]).to_numpy(dtype=float)
    ids, time = t["CustomerID"].astype(int).to_numpy(), t["InvoiceDate"].to_numpy()
    keep = value > 0
    # The usual protocol: cancellations and free lines are left out, not netted.
    base = CustomerBase.from_orders({"u": ids, "t": time, "v": value}, customer_id="u", time="t", value="v")
    s = purchase_summary(base.purchases(refunds="drop", free="drop"), as_of="2011-12-10", unit="day")
    frame = rival.utils.summary_data_from_transaction_data(
        t[keep].assign(value=value[keep]), "CustomerID", "InvoiceDate", "value", observation_period_end="2011-12-09"
    ).sort_index()
    np.testing.assert_array_equal(s.frequency, frame["frequency"])
    np.testing.assert_array_equal(s.recency, frame["recency"])
    np.testing.assert_array_equal(s.T, frame["T"])
    np.testing.assert_allclose(np.nan_to_num(s.monetary_value), frame["monetary_value"], rtol=1e-10)
    ours = BgNbd.fit(s)
    theirs = rival.BetaGeoFitter().fit(frame["frequency"], frame["recency"], frame["T"])
    # its optimizer stops early where the surface is flat: ours is at least as likely, and predicts alike
    theirs_model = from_lifetimes(theirs, "day")
    np.testing.assert_allclose(
        theirs_model.expected_purchases(s, 30.0),
        theirs.conditional_expected_number_of_purchases_up_to_time(
            30, *(frame[c] for c in ("frequency", "recency", "T"))
        ),
        rtol=1e-5,
    )
    np.testing.assert_allclose(ours.expected_purchases(s, 30.0), theirs_model.expected_purchases(s, 30.0), rtol=1e-2)
    assert ours.fit_report.converged
