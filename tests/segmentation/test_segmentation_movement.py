"""What becomes of RFM segments: migration, drift and the report."""

import math
import re

import numpy as np
import pytest

from relmark import CustomerBase
from relmark.errors import InputError, NotEnoughDataError
from relmark.segmentation import Rfm, RfmGrid, RfmModel, drift, migration, segment_report

CUTS = {"calendar_days_since": [10, 20, 30, 40], "frequency": [1, 2, 3, 4], "monetary": [10, 20, 30, 40]}
MODEL = RfmModel(cuts=CUTS)


def base_of(rows):
    who, when, value = map(list, zip(*rows, strict=True))
    return CustomerBase.from_orders({"u": who, "t": when, "v": value}, customer_id="u", time="t", value="v")


ROWS = [
    ("a", "2026-09-28T00:00Z", 10.0),
    ("b", "2026-08-01T00:00Z", 20.0),
    ("b", "2026-10-25T00:00Z", 5.0),
    ("c", "2026-09-20T00:00Z", 40.0),
    ("d", "2026-10-20T00:00Z", 7.0),
]


def test_migration_counts_moves_and_their_money():
    base = base_of(ROWS)
    before, after = MODEL.score(base, as_of="2026-10-01"), MODEL.score(base, as_of="2026-11-01")
    assert dict(zip(before.customer_id.tolist(), before.segment.tolist(), strict=True)) == {
        "a": "New",
        "b": "Hibernating",
        "c": "Promising",
        "d": "Prospect",
    }
    assert after.segment.tolist() == ["Hibernating", "Potential loyalist", "Hibernating", "Promising"]
    change = migration(before, after)
    assert change.stayed == 0
    assert change.moved == 4
    assert change.moved_value == 70.0
    place = {name: k for k, name in enumerate(change.segments)}
    assert change.counts[place["New"], place["Hibernating"]] == 1
    assert change.value_before[place["Hibernating"], place["Potential loyalist"]] == 20.0
    assert change.value_after[place["Hibernating"], place["Potential loyalist"]] == 25.0
    assert change.row_shares[place["New"], place["Hibernating"]] == 1.0
    assert np.isnan(change.row_shares[place["Champions"]]).all()
    moves = change.moves()
    assert moves["customers"].tolist() == [1, 1, 1, 1]
    assert set(zip(moves["before"].tolist(), moves["after"].tolist(), strict=True)) == {
        ("New", "Hibernating"),
        ("Hibernating", "Potential loyalist"),
        ("Promising", "Hibernating"),
        ("Prospect", "Promising"),
    }


def test_customers_of_one_scoring_alone_entered_or_left():
    early, late = base_of(ROWS[:3]), base_of(ROWS[1:])
    change = migration(MODEL.score(early, as_of="2026-11-01"), MODEL.score(late, as_of="2026-11-01"))
    place = {name: k for k, name in enumerate(change.segments)}
    assert change.stayed == 1
    assert change.left.sum() == 1
    assert change.left[place["Hibernating"]] == 1
    assert change.left_value.sum() == 10.0
    assert change.entered.sum() == 2
    assert change.entered_value[place["Promising"]] == 7.0
    assert "entered=2" in repr(change)
    assert "(entered)" in str(change)
    assert change.to_dict()["counts"] == change.counts.tolist()


def test_nobody_moves_between_a_scoring_and_itself():
    scores = MODEL.score(base_of(ROWS), as_of="2026-11-01")
    change = migration(scores, scores)
    assert change.moved == 0
    assert change.moved_value == 0.0
    assert change.moves()["before"].tolist() == []


def test_migration_refuses_what_is_no_pair_of_scorings():
    scores = MODEL.score(base_of(ROWS), as_of="2026-11-01")
    with pytest.raises(InputError, match="before is a list"):
        migration([], scores)
    with pytest.raises(InputError, match="earlier scoring first"):
        migration(scores, MODEL.score(base_of(ROWS), as_of="2026-10-01T00:00:00.5Z"))


def test_migration_into_an_empty_log_is_everyone_leaving():
    scores = MODEL.score(base_of(ROWS), as_of="2026-11-01")
    empty = MODEL.score(CustomerBase(events=base_of(ROWS).events.take([False] * len(ROWS))), as_of="2026-11-01")
    change = migration(scores, empty)
    assert change.left.sum() == 4 - change.counts.sum()


def test_the_report_adds_up_to_the_log():
    base = base_of(ROWS)
    report = segment_report(MODEL.score(base, as_of="2026-10-01"))
    rows = dict(zip(report.segment.tolist(), range(len(report)), strict=True))
    assert report.customers.sum() == 4
    assert report.share.sum() == pytest.approx(1.0)
    assert report.revenue.sum() == 70.0
    assert report.revenue_share[rows["Promising"]] == 40 / 70
    assert report.mean_order_value[rows["Hibernating"]] == 20.0
    assert report.mean_calendar_days_since[rows["New"]] == 3.0
    assert report.mean_orders[rows["Prospect"]] == 0.0
    assert math.isnan(report.mean_order_value[rows["Prospect"]])
    assert math.isnan(report.mean_calendar_days_since[rows["Prospect"]])
    assert math.isnan(report.mean_orders[rows["Champions"]])
    assert "Promising" in str(report)


def test_the_report_of_no_revenue_has_no_shares_of_it():
    report = segment_report(MODEL.score(base_of(ROWS), as_of="2020-01-01"))
    assert np.isnan(report.revenue_share).all()
    with pytest.raises(InputError, match="RfmScores"):
        segment_report("x")


# ---- drift


def test_the_stability_index_is_the_sum_of_its_formula():
    module = __import__("sys").modules["relmark.segmentation.drift"]
    then, now = np.array([50, 30, 20]), np.array([20, 30, 50])
    # (.2 - .5) ln(.2 / .5) + 0 + (.5 - .2) ln(.5 / .2) = .6 ln 2.5
    assert module._psi(then, now) == pytest.approx(0.6 * math.log(2.5), rel=1e-14)
    assert module._psi(now, then) == pytest.approx(module._psi(then, now), rel=1e-14)
    assert module._psi(then, then * 7) == pytest.approx(0.0, abs=1e-15)
    # An empty bin counts as half a customer, one that is empty both times as nothing.
    half = (0.5 / 10 - 1 / 10) * math.log(0.5) + (1.0 - 0.9) * math.log(1 / 0.9)
    assert module._psi(np.array([1, 9, 0]), np.array([0, 10, 0])) == pytest.approx(half, rel=1e-14)


def shop(seed, silent_for=0, n=600):
    rng = np.random.default_rng(seed)
    start = np.datetime64("2026-01-01", "us")
    columns = {
        "u": rng.integers(0, n, 8 * n),
        "t": start + rng.integers(0, (304 - silent_for) * 86_400, 8 * n).astype("m8[s]"),
        "v": rng.integers(1, 10_000, 8 * n) / 100,
    }
    return CustomerBase.from_orders(columns, customer_id="u", time="t", value="v")


def test_the_same_shop_is_stable_and_a_silent_one_has_shifted():
    model = Rfm().fit(shop(1), as_of="2026-11-01")
    same = drift(model, shop(1), as_of="2026-11-01")
    assert same.psi == {"r": 0.0, "f": 0.0, "m": 0.0, "cell": 0.0}
    assert same.verdict == "stable"
    assert np.allclose(same.expected, same.found)
    assert same.expected.sum(axis=1) == pytest.approx([1, 1, 1])
    other = drift(model, shop(2), as_of="2026-11-01")
    assert other.verdict == "stable"
    silent = drift(model, shop(2, silent_for=60), as_of="2026-11-01")
    assert silent.verdict == "shifted"
    assert silent.psi["r"] > 1
    assert silent.to_dict()["verdict"] == "shifted"
    assert "verdict=shifted" in repr(silent)
    assert "by chance" in str(silent)


def test_chance_gives_about_the_index_that_is_said():
    found = []
    for seed in range(10, 70):  # 60 pairs of samples: the mean of 60 chi-squares of 4 degrees is within a tenth or so
        model = Rfm().fit(shop(seed), as_of="2026-11-01")
        found.append(drift(model, shop(1_000 + seed), as_of="2026-11-01"))
    for name in "rm":
        mean = np.mean([result.psi[name] for result in found])
        assert 0.7 < mean / np.mean([result.by_chance[name] for result in found]) < 1.4


def test_drift_needs_a_fitted_model_and_somebody_to_score():
    fitted = Rfm().fit(base_of(ROWS), as_of="2026-11-01")
    with pytest.raises(InputError, match="RfmModel"):
        drift(None, base_of(ROWS), as_of="2026-11-01")
    with pytest.raises(InputError, match="written down"):
        drift(MODEL, base_of(ROWS), as_of="2026-11-01")
    with pytest.raises(NotEnoughDataError, match="nobody"):
        drift(fitted, base_of(ROWS), as_of="2020-11-01")


def test_drift_survives_the_round_trip_of_the_model():
    model = Rfm().fit(shop(1), as_of="2026-11-01")
    back = RfmModel.from_json(model.to_json())
    a, b = (drift(m, shop(2), as_of="2026-11-01") for m in (model, back))
    assert a.psi == b.psi


def test_a_model_prints_what_each_score_stands_for():
    cuts = {"calendar_days_since": [30, 90], "frequency": [1, 3], "monetary": [100.5, 200]}
    model = RfmModel(bins=3, cuts=cuts, grid=RfmGrid.by_score(3))
    assert repr(model) == "RfmModel(bins=3, frequency=orders, monetary=sum)"
    assert [re.split(r"  +", line.strip()) for line in str(model).splitlines()[2:]] == [
        ["3", "to 30", "over 3", "over 200"],
        ["2", "over 30, to 90", "over 1, to 3", "over 100.5, to 200"],
        ["1", "over 90", "to 1", "to 100.5"],
    ]
    assert "over 100.5, to 200" in model._repr_html_()
