"""Published and independently computed numbers, of Fader, Hardie and Lee (2005) and others."""

import runpy
import types
from pathlib import Path

import numpy as np
import pytest

from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    frequency_table,
    purchase_summary,
    split,
)

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "ltv" / "ltv_data.py")))
cdnow, cdnow_base, donations = data.cdnow, data.cdnow_base, data.donations

WORKED = PurchaseSummary(frequency=2, recency=30.43, T=38.86, unit="week")


def test_bg_nbd_on_cdnow_has_the_parameters_errors_and_likelihood():
    m = BgNbd.fit(cdnow())
    np.testing.assert_allclose(m.parameters, [0.242593, 4.413532, 0.792886, 2.425753], atol=6e-7)
    assert m.fit_report.log_likelihood == pytest.approx(-9582.425561, abs=1e-6)
    np.testing.assert_allclose(m.fit_report.standard_errors, [0.012557, 0.378221, 0.185719, 0.705346], atol=1e-6)
    assert m.fit_report.covariance[0, 1] == pytest.approx(0.003706, abs=1e-6)
    np.testing.assert_array_equal(m.fit_report.covariance, m.fit_report.covariance.T)
    assert m.fit_report.converged
    assert m.fit_report.n == 2357
    assert m.fit_report.evaluations <= 6


def test_bg_nbd_from_the_event_log_of_cdnow():
    m = BgNbd.fit(purchase_summary(cdnow_base(), as_of="1997-10-01", unit="week"))
    assert m.r == pytest.approx(0.2425945, abs=1e-7)
    assert m.fit_report.log_likelihood == pytest.approx(-9582.429, abs=5e-4)


def test_pareto_nbd_on_cdnow():
    m = ParetoNbd.fit(cdnow())
    np.testing.assert_allclose(m.parameters, [0.5532755, 10.577612, 0.6062136, 11.667912], rtol=1e-6)
    assert m.fit_report.log_likelihood == pytest.approx(-9594.973930, abs=1e-6)


def test_mbg_nbd_on_cdnow():
    m = MbgNbd.fit(cdnow())
    np.testing.assert_allclose(m.parameters, [0.524838, 6.182988, 0.891356, 1.614], rtol=2e-5)
    assert m.fit_report.log_likelihood == pytest.approx(-9582.132685, abs=1e-6)


def test_gamma_gamma_on_cdnow():
    g = GammaGamma.fit(cdnow())
    np.testing.assert_allclose(g.parameters, [6.248802, 3.744588, 15.447748], rtol=1e-6)
    assert g.fit_report.log_likelihood == pytest.approx(-4055.92324, abs=1e-5)
    assert g.fit_report.n == 946


def test_bg_bb_on_the_donations():
    m = BgBb.fit(donations())
    np.testing.assert_allclose(m.parameters, [1.2035, 0.7497, 0.6567, 2.7834], atol=5.1e-5)
    assert m.fit_report.log_likelihood == pytest.approx(-33225.5813, abs=1e-4)
    assert m.fit_report.n == 11_104


def test_shifted_beta_geometric_on_the_high_end_cohort():
    m = ShiftedBetaGeometric.fit([1000, 869, 743, 653, 593, 551, 517, 491])
    np.testing.assert_allclose(m.parameters, [0.668089, 3.806101], rtol=2e-6)
    assert m.fit_report.log_likelihood == pytest.approx(-1611.15815, abs=1e-5)


def test_the_papers_worked_customer():
    m = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert m.expected_purchases(WORKED, 39.0)[0] == pytest.approx(1.226028, abs=1e-6)
    assert m.probability_alive(WORKED)[0] == pytest.approx(0.726579, abs=1e-6)
    assert m.residual_transactions(WORKED, 0.0027)[0] == pytest.approx(5.15637983, abs=1e-8)


def test_pareto_nbd_residual_transactions_of_the_note():
    m = ParetoNbd(r=0.5629966, alpha=12.559037, s=0.4081095, beta=10.5148048)
    s = PurchaseSummary(frequency=7, recency=35, T=77.86)
    assert m.residual_transactions(s, 0.0027)[0] == pytest.approx(1.8641833, abs=1e-7)


def test_bg_bb_table_of_donors_of_the_paper():
    # Fader, Hardie and Shang (2010): expected gifts in five more years of who never gave and who always gave in six
    m = BgBb(alpha=1.204, beta=0.750, gamma=0.657, delta=2.783)
    s = PurchaseSummary(frequency=[0, 6], recency=[0, 6], T=[6, 6], unit="period")
    np.testing.assert_allclose(m.expected_purchases(s, 5).round(2), [0.07, 3.75], atol=1e-9)


def test_the_frequency_table_of_cdnow():
    # Customers with 0 to 7+ repeat purchases in 39 weeks
    table = frequency_table(BgNbd.fit(cdnow()), cdnow())
    np.testing.assert_array_equal(table.observed, [1411, 439, 214, 100, 62, 38, 29, 64])
    assert table.expected.sum() == pytest.approx(2357)
    assert table.chi_squared < 20


def test_the_holdout_of_cdnow_has_the_papers_purchases():
    held = split(cdnow_base(), at="1997-10-01", as_of="1998-07-01", unit="week")
    assert held.frequency.sum() == 1882
    assert held.duration == 39.0
    assert held.newcomers == 0
