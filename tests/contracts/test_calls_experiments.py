"""The calls of experiments on which users rely."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import days, event
from relmark.experiments import (
    Experiment,
    Holdout,
    Layer,
    Mean,
    Moments,
    Proportion,
    Ratio,
    analyze,
    hash_fraction,
    newcombe_interval,
    sample_ratio_test,
    sample_size,
)


def test_assignment_is_the_published_hash():
    """GrowthBook's hash, version 2."""
    assert hash_fraction(["a", "b"], seed="seed").tolist() == [0.0505, 0.2696]
    assert hash_fraction([7], seed="s").tolist() == hash_fraction(["7"], seed="s").tolist()


def test_people_are_in_arms_outside_a_layer_or_held_out():
    ids = np.arange(20_000)
    test = Experiment("spring", arms={"control": 0.1, "mail": 0.9}, salt="s")
    a = test.assign(ids)
    assert sum(a.counts.values()) == 20_000
    assert a.counts["control"] == pytest.approx(2_000, abs=170)  # four standard deviations
    assert a.arm[:5].tolist() == [test.arm_of(k) for k in range(5)]
    assert set(a.code.tolist()) == {0, 1}
    held = Experiment(
        "spring", arms={"control": 0.5, "mail": 0.5}, salt="s", holdout=Holdout(0.2, salt="h"),
        layer=Layer("email", shares={"spring": 0.5}, salt="l"),
    ).assign(ids)  # fmt: skip
    outside = held.code == -1
    assert set(held.reason[outside].tolist()) == {"holdout", "layer"}
    assert outside.mean() == pytest.approx(1 - 0.8 * 0.5, abs=0.02)


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    n = 2_000
    return {"visit": rng.random(n) < 0.2, "spend": rng.gamma(2, 2, n), "before": rng.gamma(2, 2, n)}


def test_effects_of_columns(columns):
    arm = np.where(np.arange(2_000) % 2, "mail", "none")
    metrics = [Proportion("visit"), Mean("spend", covariates=["before"]), Ratio("spend", "before")]
    rep = analyze(columns, arm, metrics=metrics, control="none")
    e = rep.effect("visit", arm="mail")
    mail, none = columns["visit"][arm == "mail"].mean(), columns["visit"][arm == "none"].mean()
    assert (e.control, e.treatment) == (pytest.approx(none), pytest.approx(mail))
    assert e.difference.value == pytest.approx(mail - none)
    assert e.difference.interval.low < e.difference.value < e.difference.interval.high
    assert e.relative.value == pytest.approx(mail / none - 1)
    assert 0 <= e.p_value <= 1
    assert np.isfinite(e.statistic)
    assert e.method
    assert isinstance(e.notes, tuple)
    assert rep.to_dict()["metric"] == ["visit", "spend", "spend / before"]
    coded = analyze(columns, (arm == "mail").astype(int), metrics=metrics, control=0)
    assert coded.effect("visit", arm="1").p_value == e.p_value


def test_moments_merge(columns):
    arm = np.where(np.arange(2_000) % 2, "mail", "none")
    metrics = [Mean("spend", covariates=["before"])]
    parts = [
        Moments.from_columns({k: v[part] for k, v in columns.items()}, arm[part])
        for part in (slice(0, 900), slice(900, None))
    ]
    both = analyze(parts[0] + parts[1], metrics=metrics, control="none").effect("spend", arm="mail")
    whole = analyze(columns, arm, metrics=metrics, control="none").effect("spend", arm="mail")
    assert both.difference.value == pytest.approx(whole.difference.value, rel=1e-9)
    assert both.p_value == pytest.approx(whole.p_value, rel=1e-9)


def test_a_campaign_is_read_from_events(base):
    test = Experiment("autumn", arms={"control": 0.5, "mail": 0.5}, salt="s5")
    arm = test.assign(base.customer_id).arm
    read = test.read(
        base, start="2026-10-15", window=days(17), metrics=[Mean("spend", of=event("purchase").sum(), before=days(60))]
    )
    spend = np.array([6.0, 25.0, 0.0, 0.0, 0.0])  # 15 to 31 October
    effect = read.effect("spend", arm="mail")
    assert effect.control == pytest.approx(spend[arm == "control"].mean())


def test_published_intervals_and_checks():
    """Newcombe (1998) method 10; a sample ratio of 821,588 to 815,482."""
    interval = newcombe_interval(56, 70, 48, 80)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0524, 0.3339)
    check = sample_ratio_test({"a": 821588, "b": 815482}, {"a": 0.5, "b": 0.5})
    assert check.p_value == pytest.approx(1.8218e-06, rel=1e-4)
    asked = sample_size(Proportion("visit", baseline=0.2), difference=0.02)
    z = 1.959964 + 0.841621  # two-sided 5 %, power 80 %
    assert asked.total == pytest.approx(2 * z**2 * (0.2 * 0.8 + 0.22 * 0.78) / 0.02**2, rel=0.01)
