"""Published numbers: Hillstrom's e-mail test, Newcombe's tables, group-sequential bounds, Kohavi's sample ratio."""

import os
from pathlib import Path

import numpy as np
import pytest

from relmark.experiments import (
    Mean,
    Proportion,
    alpha_spending,
    analyze,
    hash_fraction,
    newcombe_interval,
    sample_ratio_test,
)
from relmark.experiments.checks import peeking_error
from relmark.experiments.intervals import wilson_interval
from relmark.experiments.proportions import fisher_test

DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).parents[3] / "shared" / "data") / "hillstrom.parquet"


@pytest.fixture(scope="module")
def hillstrom():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: set RELMARK_DATA")
    import pyarrow.parquet as pq

    table = pq.read_table(DATA).to_pydict()
    names = {"Mens E-Mail": "mens", "Womens E-Mail": "womens", "No E-Mail": "none"}
    arm = np.array([names[name] for name in table["segment"]])
    return {name: np.array(table[name]) for name in ("visit", "spend", "history", "womens")}, arm


def test_hillstrom_visits_give_the_known_difference_and_newcombe_interval(hillstrom):
    data, arm = hillstrom
    report = analyze(data, arm, metrics=[Proportion("visit")], control="none")
    assert dict(zip(report.arm.tolist(), report.n_treatment.tolist(), strict=True)) == {"mens": 21307, "womens": 21387}
    effect = report.effect("visit", arm="mens")
    assert effect.n_control == 21306
    assert effect.difference.value == pytest.approx(3894 / 21307 - 2262 / 21306, abs=1e-15)
    assert effect.difference.low == pytest.approx(0.0699533081, abs=5e-11)
    assert effect.difference.high == pytest.approx(0.0832267413, abs=5e-11)
    assert round(effect.control * effect.n_control) == 2262
    assert round(effect.treatment * effect.n_treatment) == 3894


def test_hillstrom_spend_gives_the_known_welch_test(hillstrom):
    data, arm = hillstrom
    effect = analyze(data, arm, metrics=[Mean("spend")], control="none").effect("spend", "mens")
    assert effect.statistic == pytest.approx(5.300140358, abs=5e-10)
    assert effect.p_value == pytest.approx(1.163815e-07, rel=1e-6)
    assert effect.df == pytest.approx(36671.157977, abs=5e-7)
    assert effect.difference.low == pytest.approx(0.4851397326, abs=5e-11)
    assert effect.difference.high == pytest.approx(1.0545145792, abs=5e-11)
    assert effect.relative.value == pytest.approx(1.1792887704, abs=5e-11)


@pytest.mark.parametrize(
    ("how", "low", "high"), [("fieller", 0.6437, 1.9774), ("log", 0.6284, 1.9165), ("delta", 0.5443, 1.8143)]
)
def test_hillstrom_spend_lift_has_the_known_interval_by_each_method(hillstrom, how, low, high):
    data, arm = hillstrom
    effect = analyze(data, arm, metrics=[Mean("spend", relative=how)], control="none").effect("spend", "mens")
    assert (effect.relative.low, effect.relative.high) == pytest.approx((low, high), abs=5e-5)


def test_hillstrom_mens_mail_brought_the_known_revenue(hillstrom):
    data, arm = hillstrom
    revenue = analyze(data, arm, metrics=[Mean("spend")], control="none").impact("mens", revenue="spend").revenue
    assert (revenue.value, revenue.low, revenue.high) == pytest.approx((16402.71, 10336.87, 22468.54), abs=5e-3)


def test_hillstrom_womens_mail_works_where_women_bought_before(hillstrom):
    data, arm = hillstrom
    report = analyze(data, arm, metrics=[Proportion("visit")], control="none", segments={"womens": data["womens"]})
    for segment, difference, error in (("0", 0.011078, 0.004424), ("1", 0.073115, 0.004613)):
        effect = report.effect("visit", "womens", segment=segment)
        assert effect.difference.value == pytest.approx(difference, abs=5e-7)
        assert effect.standard_error == pytest.approx(error, abs=5e-7)
    tests = report.interactions()
    assert tests.p_value[tests.arm == "womens"][0] < 1e-20


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((0, 10, 0, 20), -0.1611, 0.2775)],
)
def test_newcombe_1998_table_2_method_10(counts, low, high):
    interval = newcombe_interval(*counts)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_1998_examples_of_newcombe():
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table 1, method 3: 81/263, 15/148, 0/20.
    for x, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        interval = wilson_interval(x, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_fisher_tea_tasting():
    assert fisher_test(3, 4, 1, 4) == pytest.approx(0.4857142857, abs=5e-11)


def test_kohavi_sample_ratio():
    check = sample_ratio_test({"a": 821588, "b": 815482}, {"a": 0.5, "b": 0.5})
    assert check.p_value == pytest.approx(1.8218e-06, abs=5e-11)
    assert not check.passed


@pytest.mark.parametrize(
    ("spending", "bounds"),
    [
        ("obrien-fleming", [4.876885, 3.357012, 2.680280, 2.289817, 2.031032]),
        ("pocock", [2.437977, 2.426814, 2.410194, 2.396645, 2.385985]),
    ],
)
def test_bounds_of_five_looks(spending, bounds):
    plan = alpha_spending(5, alpha_per_side=0.025, spending=spending)
    np.testing.assert_allclose(plan.bound, bounds, atol=6e-7)


def test_peeking_error_is_that_of_armitage_1969_table_2():
    found = [peeking_error(looks) for looks in (1, 2, 3, 4, 5, 10, 20, 50)]
    assert found == pytest.approx([0.05, 0.083, 0.107, 0.126, 0.142, 0.193, 0.248, 0.320], abs=5e-4)


def test_growthbook_vectors_of_hash_version_2():
    for seed, value, expected in (
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
    ):
        assert hash_fraction([value], seed=seed)[0] == expected
