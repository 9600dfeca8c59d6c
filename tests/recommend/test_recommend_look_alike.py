import numpy as np
import pytest

from relmark import CustomerTable
from relmark.core.auc import auc, delong_interval
from relmark.errors import InputError, NotEnoughDataError
from relmark.recommend import Centroid, Interactions, Ridge, look_alike
from relmark.recommend._features import features_of
from relmark.recommend.look_alike import lift_at


def tastes(seed=0, each=60):
    """Two kinds of customers, of equal activity, who prefer different halves of the shop."""
    rng = np.random.default_rng(seed)
    n = 2 * each
    customer = np.repeat(np.arange(n), 12)
    likes = (customer < each) == (rng.random(len(customer)) < 0.85)
    item = np.where(likes, 0, 20) + rng.integers(0, 20, len(customer))
    return Interactions.from_columns(
        customer_id=customer,
        item=item,
        time=np.datetime64("2026-01-01") + rng.integers(0, 90, len(customer)),
        value=rng.random(len(customer)),
    )


@pytest.mark.parametrize("method", ["ridge", "centroid"])
def test_people_of_one_taste_are_found_where_activity_says_nothing(method):
    x = tastes()
    found = look_alike(x, seed=np.arange(20), size=40, method={"ridge": Ridge, "centroid": Centroid}[method](factors=4))
    assert np.mean(found.customer_id < 60) > 2 * 40 / 100  # 40 of the 100 others are of the seed's kind
    assert found.customer_id.min() >= 20
    assert found.auc > 0.7
    assert found.auc in found.auc_interval
    assert 0.2 < found.baseline_auc < 0.7
    assert found.lift > found.baseline_lift
    assert found.seed == 20
    assert (np.diff(found.score) <= 0).all()
    assert repr(found).startswith("LookAlike(customers=40, auc=")


def test_the_seed_may_stay_in_and_unknown_people_are_counted():
    x = tastes()
    found = look_alike(x, seed=[*range(20), 9999], size=1000, exclude_seed=False, method=Ridge(factors=4))
    assert len(found) == 120
    assert found.unknown_seed == 1
    assert len(look_alike(x, seed=range(20), size=1000, method=Ridge(factors=4))) == 100


def test_the_same_answer_every_time_and_after_a_shuffle():
    x = tastes()
    order = np.random.default_rng(1).permutation(len(x))
    y = Interactions.from_columns(**{name: column[order] for name, column in x.to_columns().items()})
    a, b = (look_alike(each, seed=range(20), size=30, method=Ridge(factors=4)) for each in (x, y))
    assert a.customer_id.tolist() == b.customer_id.tolist()
    assert a.auc == b.auc


def test_a_table_of_customers_can_describe_them():
    rng = np.random.default_rng(0)
    n = 200
    age = rng.integers(18, 80, n).astype(float)
    table = CustomerTable.from_columns(
        customer_id=np.arange(n),
        age=np.where(rng.random(n) < 0.1, np.nan, age),
        city=np.where(age > 50, "Kazan", "Omsk"),
        member=[None if i % 9 == 0 else bool(i % 2) for i in range(n)],
        born=np.datetime64("2000-01-01") + rng.integers(0, 900, n),
        seen=(np.datetime64("2026-01-01T10:00", "us") + rng.integers(0, 900, n)),
        likes=[{"tea"} if a > 60 else {"jam", "tea"} if a > 40 else None for a in age],
        nothing=[None] * n,
        constant=np.ones(n),
        orders=rng.integers(0, 9, n),
    )
    seed = np.flatnonzero(age > 60)[:20]
    found = look_alike(table, seed=seed, size=20, activity=["orders"])
    assert np.mean(age[found.customer_id] > 60) > 0.6
    assert found.auc > found.baseline_auc
    assert found.note == ""
    without = look_alike(table, seed=seed, size=20)
    assert np.isnan(without.baseline_auc)
    assert "activity=" in without.note
    assert (without.customer_id == found.customer_id).all()


@pytest.mark.parametrize(
    ("source", "more", "error", "message"),
    [
        ({"age": [1]}, {}, InputError, "no customer_id"),
        ([1, 2], {}, InputError, "features is a list"),
        ({"customer_id": np.arange(9), "age": np.arange(9)}, {"activity": ["orders"]}, InputError, "not a column"),
        ({"customer_id": np.arange(9)}, {}, NotEnoughDataError, "no column"),
        ({"customer_id": np.arange(9), "x": [None] * 9}, {}, NotEnoughDataError, "no column"),
        ({"customer_id": np.arange(9), "age": np.arange(9)}, {}, NotEnoughDataError, "3 of the seed"),
        (tastes(), {"activity": ["orders"]}, InputError, "leave it out with purchases"),
        (tastes(), {"method": "knn"}, InputError, "method is 'knn'"),
        (tastes(), {"folds": 1}, InputError, "folds is 1"),
        (Interactions.from_columns(customer_id=[], item=[]), {}, NotEnoughDataError, "no interaction"),
    ],
)
def test_what_cannot_be_done_is_said(source, more, error, message):
    with pytest.raises(error, match=message):
        look_alike(source, seed=[1, 2, 3], size=2, **more)


def test_taste_is_left_out_where_there_is_one_item():
    x = Interactions.from_columns(customer_id=np.repeat(np.arange(30), np.arange(30) % 3 + 1), item=np.zeros(60, int))
    assert features_of(x, 5, ()).values.shape[1] == 3
    assert features_of(x, 5, ()).activity.all()


def test_auc_agrees_with_counting_pairs():
    rng = np.random.default_rng(0)
    score, member = np.round(rng.normal(size=80), 1), rng.random(80) < 0.3
    wins = [(a > b) + 0.5 * (a == b) for a in score[member] for b in score[~member]]
    assert auc(score, member).area == pytest.approx(np.mean(wins))
    assert lift_at(np.arange(10.0), np.arange(10) >= 8, 0.2) == pytest.approx(5.0)
    assert lift_at(np.arange(10.0), np.arange(10) >= 8, 1e-9) == pytest.approx(5.0)


def test_the_interval_of_the_area_is_delongs():
    """Against the placement values written out, DeLong, DeLong and Clarke-Pearson 1988, eq. 3 to 5."""
    rng = np.random.default_rng(4)
    score, member = np.round(rng.normal(size=60), 1), rng.random(60) < 0.4
    score = score + member
    wins = np.array([[(a > b) + 0.5 * (a == b) for b in score[~member]] for a in score[member]])
    variance = wins.mean(axis=1).var(ddof=1) / member.sum() + wins.mean(axis=0).var(ddof=1) / (~member).sum()
    found = auc(score, member)
    assert found.variance == pytest.approx(variance)
    logit = np.log(found.area / (1 - found.area))
    half = 1.6448536269514722 * np.sqrt(variance) / (found.area * (1 - found.area))
    interval = delong_interval(*found, 0.9)
    assert (interval.low, interval.high) == pytest.approx(tuple(1 / (1 + np.exp(-(logit + np.array([-half, half]))))))
    assert np.isnan(delong_interval(1.0, 0.0, 0.9).low)


def test_level_is_the_callers_and_a_perfect_ranking_has_no_interval():
    table = {"customer_id": np.arange(100), "age": np.arange(100) % 50, "orders": np.arange(100) % 7}
    found = look_alike(table, seed=np.arange(40, 50), size=3)
    wide, narrow = found.auc_at(0.99), found.auc_at(0.5)
    assert found.auc_interval == found.auc_at(0.95)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.level == 0.99
    clear = {"customer_id": np.arange(40), "of": (np.arange(40) < 20).astype(float)}
    perfect = look_alike(clear, seed=np.arange(20), size=3)
    assert perfect.auc == 1.0
    assert np.isnan(perfect.auc_interval.low)
    assert "ranking is perfect" in perfect.note
