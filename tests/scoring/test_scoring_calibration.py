"""Calibration: tables by tenths and bands, measures of a ranking, thresholds."""

import json
import math

import numpy as np
import pytest

from relmark.errors import InputError, NotEnoughDataError
from relmark.scoring import calibrate
from relmark.scoring._ranks import logistic


def sample(n=2_000, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 50, n)
    return scores, rng.random(n) < scores / 100


def test_measures_are_those_of_their_definitions():
    scores, hit = sample(400)
    found = calibrate(scores, hit)
    wins = np.sign(scores[hit][:, None] - scores[~hit][None, :])
    assert found.auc == pytest.approx(np.mean((wins + 1) / 2), abs=1e-12)
    assert found.gini == pytest.approx(2 * found.auc - 1)
    distance = [abs(np.mean(scores[hit] >= s) - np.mean(scores[~hit] >= s)) for s in np.unique(scores)]
    assert found.ks == pytest.approx(max(distance), abs=1e-12)
    assert abs(
        np.mean(scores[hit] >= found.ks_threshold) - np.mean(scores[~hit] >= found.ks_threshold)
    ) == pytest.approx(found.ks)
    assert found.brier == pytest.approx(np.mean((found.probability(scores) - hit) ** 2), abs=1e-12)
    assert found.probability(scores).sum() == pytest.approx(hit.sum(), rel=1e-9)  # a logistic curve keeps the total
    rate = hit.mean()
    assert found.brier_skill == pytest.approx(1 - found.brier / (rate * (1 - rate)))
    assert found.rate.value == rate
    assert found.auc_interval.low < found.auc < found.auc_interval.high


def test_tenths_never_part_equal_scores_and_add_up():
    scores, hit = sample()
    table = calibrate(scores, hit).deciles
    assert table.customers.sum() == 2_000
    assert table.conversions.sum() == hit.sum()
    assert table.decile.tolist() == list(range(1, 11))
    for k in range(len(table)):
        inside = (scores >= table.low[k]) & (scores <= table.high[k])
        assert inside.sum() == table.customers[k]
        assert hit[inside].sum() == table.conversions[k]
    assert (table.high[1:] < table.low[:-1]).all()
    assert table.gain[-1] == table.share[-1] == 1.0
    assert table.cumulative_lift[-1] == 1.0
    assert np.allclose(table.lift, table.rate / hit.mean())
    assert ((table.rate_low <= table.rate) & (table.rate <= table.rate_high)).all()


def test_a_tenth_without_people_is_left_out():
    table = calibrate([1] * 9 + [2] * 11, [0, 1] * 10).deciles
    assert table.decile.tolist() == [1, 6]
    assert table.customers.tolist() == [11, 9]


def test_bands_are_shown_from_the_highest():
    scores, hit = sample()
    by_cut = calibrate(scores, hit, bands={"warm": 20, "hot": 40, "boiling": 60}).bands
    assert by_cut.band.tolist() == ["boiling", "hot", "warm", ""]
    assert by_cut.customers.tolist() == [
        0,
        (scores >= 40).sum(),
        ((scores >= 20) & (scores < 40)).sum(),
        (scores < 20).sum(),
    ]
    assert math.isnan(by_cut.rate[0])
    names = np.where(scores >= 40, "hot", np.where(scores >= 20, "warm", ""))
    by_name = calibrate(scores, hit, bands=names).bands
    assert by_name.band.tolist() == ["hot", "warm", ""]
    assert by_name.conversions.tolist() == by_cut.conversions.tolist()[1:]
    everyone = calibrate(scores, hit, bands=np.full(2_000, "all", dtype=object)).bands
    assert everyone.band.tolist() == ["all"]


def test_thresholds_reach_their_precision_and_keep_to_a_capacity():
    scores, hit = sample()
    found = calibrate(scores, hit)
    threshold = found.threshold_for(precision=0.4)
    cut = found.at(threshold)
    assert cut.precision.value >= 0.4
    lower = [found.at(s).precision.value for s in np.unique(scores) if s < threshold]
    assert max(lower) < 0.4
    assert cut.selected == (scores >= threshold).sum()
    assert cut.recall.value == hit[scores >= threshold].sum() / hit.sum()
    assert cut.lift == pytest.approx(cut.precision.value / hit.mean())
    assert math.isnan(found.threshold_for(precision=1.0))
    capacity = found.threshold_for_capacity(300)
    assert (scores >= capacity).sum() <= 300 < (scores >= capacity - 1).sum()
    assert math.isnan(found.threshold_for_capacity(0))
    nobody = found.at(math.inf)
    assert nobody.selected == 0
    assert nobody.precision.reason == "nobody is selected"
    assert nobody.recall.value == 0.0
    assert "threshold" in str(cut)


def test_probabilities_are_taken_as_they_are():
    found = calibrate([0.1, 0.9, 0.8, 0.3], [0, 1, 0, 1], probabilities=True)
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.64 + 0.49) / 4)
    assert math.isnan(found.slope)
    with pytest.raises(InputError, match="probabilities from 0 to 1"):
        calibrate([0.1, 1.9], [0, 1], probabilities=True)


def test_a_perfect_ranking_has_no_curve_and_says_so():
    found = calibrate([1, 2, 3, 4], [0, 0, 1, 1])
    assert found.auc == 1.0
    assert math.isnan(found.brier)
    assert math.isnan(found.auc_interval.low)
    assert len(found.notes) == 2
    single = calibrate([1, 2, 3, 4], [0, 1, 0, 0])
    assert any("single person" in note for note in single.notes)


def test_one_score_for_all_tells_nothing():
    found = calibrate([5, 5, 5, 5], [0, 1, 0, 0])
    assert found.auc == 0.5
    assert found.slope == 0.0
    assert found.probability([5.0]).tolist() == pytest.approx([0.25])


def test_a_calibration_prints_and_becomes_json():
    scores, hit = sample()
    found = calibrate(scores, hit, bands={"hot": 40})
    body = json.loads(found.to_json())
    assert body["deciles"]["decile"] == list(range(1, 11))
    assert body["bands"]["band"] == ["hot", ""]
    assert "auc=0.7" in repr(found)
    assert "decile" in str(found)
    assert "band" in str(found.bands)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: calibrate([1, 2], [0, 1, 1]), "converted"),
        (lambda: calibrate([1, 2], [0, 2]), "converted"),
        (lambda: calibrate([1, float("nan")], [0, 1]), "scores"),
        (lambda: calibrate([1, 2], [0, 1], level=1.0), "level"),
        (lambda: calibrate([1, 2], [0, 1], bands=["a"]), "bands"),
        (lambda: calibrate([1, 2], [0, 1], bands=[1, 2]), "bands has dtype"),
        (lambda: calibrate([1, 2], [0, 1], bands={"a": 1, "b": 1}), "two names"),
        (lambda: calibrate([1, 2], [0, 1]).threshold_for(precision=2), "precision"),
        (lambda: calibrate([1, 2], [0, 1]).threshold_for_capacity(-1), "n is -1"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_by_name(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_nobody_and_everybody_tell_nothing_apart():
    with pytest.raises(NotEnoughDataError, match="nobody"):
        calibrate([1, 2], [0, 0])
    with pytest.raises(NotEnoughDataError, match="everybody"):
        calibrate([1, 2], [1, 1])


def test_intervals_of_the_auc_cover_as_often_as_they_say():
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(300):
        hit = np.arange(120) < 40
        scores = rng.normal(size=120) + hit  # true AUC: P(N(1, 2) > 0) = Phi(1 / sqrt 2)
        interval = calibrate(scores, hit).auc_interval
        covered += interval.low <= 0.7602499 <= interval.high
    assert 0.92 <= covered / 300 <= 0.98


def test_a_regression_that_cannot_finish_says_so():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = (rng.random(200) < 0.4).astype(float)
    assert logistic(x, y)[2]
    assert not logistic(x, y, iterations=1)[2]
