import runpy
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from relmark import ItemTable, days
from relmark.core.resampling import draws_of_means, percentiles
from relmark.core.time import aware
from relmark.errors import InputError, NotEnoughDataError
from relmark.recommend import (
    Als,
    Blend,
    BuyAgain,
    Ease,
    Fallback,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
    auto,
    compare,
    folds_by_time,
    quality,
    split_by_time,
)
from relmark.recommend.quality import METRICS, gini

world = runpy.run_path(str(Path(__file__).parent / "recommend_data.py"))
shop = world["shop"]


def test_a_split_keeps_ids_and_parts_the_lines():
    x = shop()
    split = split_by_time(x, days(30))
    train, test = split
    assert len(train) + len(test) == len(x)
    assert train.customer_id is x.customer_id or (train.customer_id == x.customer_id).all()
    cut = np.datetime64(split.cut.replace(tzinfo=None), "us").astype(int)
    assert split.cut.utcoffset() == timedelta(0)
    assert train.time.max() <= cut < test.time.min()
    assert split.as_of == split.cut
    assert repr(split).startswith("Split(train=")
    again = split_by_time(x, cut=split.as_of)
    assert (again.cut, again.end) == (split.cut, split.end)
    early = split_by_time(x, days(10), end="2026-02-20")
    assert (early.cut, early.end) == (date(2026, 2, 10), date(2026, 2, 20))
    days_seen = early.test.time.view("M8[us]").astype("M8[D]")
    assert (days_seen.min(), days_seen.max()) == (np.datetime64("2026-02-10"), np.datetime64("2026-02-19"))


def test_folds_follow_each_other_without_overlap():
    folds = folds_by_time(shop(), days(10), folds=3)
    assert [a.end for a in folds[:-1]] == [b.cut for b in folds[1:]]
    assert folds[-1].end == aware(shop().last_time)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (split_by_time, InputError, "give either test"),
        (lambda x: split_by_time(x, days(3), cut="2026-02-01"), InputError, "give either test"),
        (lambda x: split_by_time(x, cut="2027-02-01"), InputError, "not before the end"),
        (lambda x: split_by_time(x, days(999)), NotEnoughDataError, "the training part"),
        (lambda x: split_by_time(x, days(1), end="2026-06-01"), NotEnoughDataError, "the test part"),
        (lambda x: split_by_time(x.take(np.zeros(len(x), bool)), days(1)), NotEnoughDataError, "no line"),
        (lambda _: split_by_time(Interactions.from_columns(customer_id=[1], item=[1]), days(1)), InputError, "no time"),
        (lambda _: split_by_time([1], days(1)), InputError, "Interactions.from_columns"),
        (lambda x: folds_by_time(x, days(1), folds=0), InputError, "folds is 0"),
    ],
)
def test_splits_that_cannot_be_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(shop())


def by_hand():
    """Popularity in training: a 3, b 2, c 1, d 1. Customer 1 has a b, 2 has a b, 3 has a c d."""
    time = np.array(["2026-01-01"] * 7 + ["2026-02-01"] * 6, "M8[D]")
    x = Interactions.from_columns(
        customer_id=[1, 1, 2, 2, 3, 3, 3, 1, 1, 1, 2, 9, 3],
        item=["a", "b", "a", "b", "a", "c", "d", "a", "c", "z", "d", "a", "z"],
        value=[1.0] * 7 + [10.0, 20.0, 40.0, 5.0, 7.0, 9.0],
        time=time,
    )
    return split_by_time(x, days(20))


def test_metrics_agree_with_a_count_by_hand():
    train, test = by_hand()
    result = quality(Popular().fit(train), test, k=2)
    # lists are a b; customer 1 then bought a and c (z is unknown), customer 2 d, customer 3 only z, 9 is a stranger
    assert result.customer_id.tolist() == [1, 2]
    discount = 1 / np.log2([2, 3])
    assert result.ndcg.tolist() == pytest.approx([discount[0] / discount.sum(), 0.0])
    assert result.recall.tolist() == [0.5, 0.0]
    assert result.precision.tolist() == [0.5, 0.0]  # divided by k, not by min(k, relevant)
    assert result.hit_rate.tolist() == [1.0, 0.0]
    assert result.map.tolist() == [0.5, 0.0]
    assert result.mrr.tolist() == [1.0, 0.0]
    assert result.revenue.tolist() == [10.0, 0.0]
    assert result.repeat_share.tolist() == [1.0, 1.0]
    assert result.novelty.tolist() == pytest.approx([np.mean(-np.log2([3 / 3, 2 / 3]))] * 2)
    assert result.diversity.tolist() == pytest.approx([1 - 2 / np.sqrt(6)] * 2)
    assert result.coverage == pytest.approx(2 / 4)
    assert result.gini == pytest.approx(gini(np.array([2, 2, 0, 0])))
    assert result.estimates["recall"].value == 0.25
    assert result.estimates["recall"].interval.method == "bootstrap of customers"
    assert "ndcg" in str(result)
    assert repr(result).startswith("Quality(customers=2, k=2, items=all, ndcg=")


def test_new_items_leave_out_what_was_bought_before():
    train, test = by_hand()
    result = quality(Popular().fit(train), test, k=2, items="new")
    assert result.customer_id.tolist() == [1, 2]
    assert result.recall.tolist() == [1.0, 1.0]  # lists are c d; c and d were bought
    assert result.ndcg.tolist() == pytest.approx([1.0, 1 / np.log2(3)])
    assert result.repeat_share.tolist() == [0.0, 0.0]
    assert result.mrr.tolist() == [1.0, 0.5]
    both = quality(Popular().fit(train), test, k=2, items="new", rules=Rules(deny=["c"]))
    assert both.recall.tolist() == [0.0, 1.0]
    assert both.listed.tolist() == [1, 1]
    assert np.isnan(both.diversity).all()
    assert "no list has two items" in both.estimates["diversity"].reason


def test_lists_may_be_empty_and_values_missing():
    train, test = by_hand()
    bare = [
        Interactions.from_columns(**{n: c for n, c in part.to_columns().items() if n != "value"})
        for part in (train, test)
    ]
    result = quality(BuyAgain(min_gap=days(900)).fit(bare[0]), bare[1])
    assert result.listed.tolist() == [0, 0]
    assert result.recall.tolist() == [0.0, 0.0]
    assert np.isnan(result.repeat_share).all()
    assert np.isnan(result.gini)
    assert "no value" in result.estimates["revenue"].reason
    assert np.isnan(result.estimates["novelty"].value)


def test_items_that_nobody_had_bought_count_where_asked():
    items = ItemTable.from_columns(
        item=["a", "b", "c", "d", "z"], category=["x"] * 5,
        launched=np.array(["2020-01-01"] * 4 + ["2026-01-10"], "M8[D]"),
    )  # fmt: skip
    train, test = by_hand()
    train = train.with_catalog(items)
    model = NewArrivals().fit(train, as_of="2026-01-12")
    result = quality(model, test, k=1, unseen_items=True)
    assert result.customer_id.tolist() == [1, 2, 3]
    assert result.recall.tolist() == pytest.approx([1 / 3, 0.0, 1.0])


def test_nobody_to_judge_by_is_an_error():
    train, test = by_hand()
    model = Popular().fit(train)
    with pytest.raises(NotEnoughDataError, match="no customer known"):
        quality(model, test.take(test.customer_code == 3))
    with pytest.raises(NotEnoughDataError, match="no customer known"):
        quality(model, test.take(np.zeros(len(test), bool)), items="new")
    with pytest.raises(InputError, match="test is a list"):
        quality(model, [1])
    with pytest.raises(InputError, match="items is 'old'"):
        quality(model, test, items="old")


def test_diversity_agrees_with_loops():
    x = shop(lines=400)
    train, test = split_by_time(x, days(30))
    model = Ease().fit(train)
    result = quality(model, test, k=5)
    X = train.matrix().toarray().astype(float)
    norm = np.linalg.norm(X, axis=0)
    lists = model.recommend(result.customer_id, 5)
    for i in range(len(result)):
        own = np.searchsorted(x.item, lists.item[lists.offsets[i] : lists.offsets[i + 1]])
        cosines = [X[:, a] @ X[:, b] / norm[a] / norm[b] for p, a in enumerate(own) for b in own[p + 1 :]]
        assert result.diversity[i] == pytest.approx(1 - np.mean(cosines))


def test_the_gini_of_counts():
    assert gini(np.array([3, 3, 3])) == 0.0
    assert gini(np.array([0, 0, 0, 8])) == 0.75
    assert np.isnan(gini(np.zeros(3)))


def test_the_bootstrap_draws_customers_whole():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 1))
    draws = draws_of_means(values, np.arange(400), 3000, rng)
    assert draws.std() == pytest.approx(values.std() / 20, rel=0.06)
    twice = draws_of_means(np.repeat(values, 2, axis=0), np.repeat(np.arange(400), 2), 3000, rng)
    assert twice.std() == pytest.approx(values.std() / 20, rel=0.06)  # doubled rows are no more customers
    low, high = percentiles(draws, 0.9)
    assert ((draws < low).mean(), (draws > high).mean()) == pytest.approx((0.05, 0.05), abs=0.002)


def test_baselines_stand_beside_every_comparison():
    x = shop()
    result = compare({"ease": Ease(regularization=10.0)}, x, k=5)
    assert result.name.tolist() == ["ease", "popular", "buy again"]
    assert compare({"mine": Popular(half_life=days(9))}, x).name.tolist() == ["mine", "buy again"]
    assert compare({"ease": Ease()}, x, items="new").name.tolist() == ["ease", "popular"]
    for metric in METRICS:
        assert getattr(result, metric)[0] == result.estimate("ease", metric).value
    assert result.estimate("ease").low == result.ndcg_low[0]
    gap = result.difference("ease", "popular")
    assert gap.value == pytest.approx(result.ndcg[0] - result.ndcg[1])
    assert gap.low <= gap.value <= gap.high
    assert str(result).splitlines()[0].split()[:4] == ["name", "ndcg@5", "low", "high"]
    assert repr(result).startswith("Comparison(best=")
    assert result.to_dict()["customers"] == result.customers
    assert compare({"ease": Ease(regularization=10.0)}, x, k=5).ndcg_low.tolist() == result.ndcg_low.tolist()


def test_folds_add_rows_and_keep_customers_together():
    x = shop()
    result = compare({"popular": Popular()}, x, k=5, test=days(10), folds=3)
    parts = [quality(Popular().fit(s.train, as_of=s.as_of), s.test, k=5) for s in folds_by_time(x, days(10), folds=3)]
    assert result.customers == sum(len(part) for part in parts)
    assert result.estimate("popular", "recall").value == pytest.approx(np.concatenate([p.recall for p in parts]).mean())
    assert result.coverage[0] == pytest.approx(np.mean([p.coverage for p in parts]))
    assert result.folds == 3


def test_a_metric_that_neither_has_has_no_difference():
    train, test = by_hand()
    x = Interactions.from_columns(
        customer_id=np.concatenate([p.customer_id[p.customer_code] for p in (train, test)]),
        item=np.concatenate([p.item[p.item_code] for p in (train, test)]),
        time=np.concatenate([p.time for p in (train, test)]).view("M8[us]"),
    )
    result = compare({"popular": Popular()}, x, test=days(20))
    assert np.isnan(result.difference("popular", "buy again", "revenue").value)
    assert "revenue" not in str(result).splitlines()[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: compare([Ease()], x), "a mapping of names"),
        (lambda x: compare({"ease": "ease"}, x), r"models\['ease'\] is 'ease'"),
        (lambda x: compare({"p": Popular()}, x).estimate("q"), "name is 'q'"),
        (lambda x: compare({"p": Popular()}, x).estimate("p", "auc"), "metric is 'auc'"),
        (lambda x: auto(x, candidates={}), "candidates is empty"),
        (lambda _: auto([1]), "Interactions.from_columns"),
    ],
)
def test_wrong_comparisons_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(shop())


def test_auto_takes_the_best_and_says_why():
    x = shop()
    choice = auto(x, k=5)
    best = choice.comparison.name[np.argmax(choice.comparison.ndcg)]
    assert choice.name == best
    assert choice.why.startswith(f"{best} has the best nDCG@5 on ")
    assert "clearly more than" in choice.why
    assert choice.why in str(choice)
    assert repr(choice).startswith(f"Choice(name={best}, spec=")
    assert len(choice.fit(x).recommend([1], 3)) == 3
    fresh = auto(x, k=5, items="new")
    assert "buy again" not in fresh.comparison.name


def test_auto_keeps_to_what_fits_and_to_the_candidates():
    x = shop()
    big = {"ease": Ease(max_items=3), "blend": Blend({Ease(max_items=3): 1.0, Popular(): 1.0}), "pop": Popular()}
    choice = auto(x, candidates=big | {"fall": Fallback([Ease(max_items=3), Popular()])})
    assert choice.comparison.name.tolist() == ["pop", "buy again"]
    baseline = auto(x, candidates={"poor": ItemNeighbors(k=1), "als": Als(factors=1, iterations=1)}, k=3)
    assert baseline.name in baseline.comparison.name
    assert baseline.spec.fit(x) is not None
    only = auto(x, candidates={"popular": Popular()}, items="new")
    assert only.why.endswith("it was the only candidate.")
