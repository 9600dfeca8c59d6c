import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark import ItemTable, days
from relmark.errors import InputError, MissingColumnError, NotEnoughDataError
from relmark.recommend import (
    Als,
    Blend,
    Bpr,
    BuyAgain,
    Ease,
    FactorModel,
    Factors,
    Fallback,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
)

world = runpy.run_path(str(Path(__file__).parent / "recommend_data.py"))
SPECS, checkerboard, shop = world["SPECS"], world["checkerboard"], world["shop"]
BOUGHT = Rules(exclude_bought="always")


def on(day):
    return np.datetime64("2026-01-01") + np.timedelta64(day, "D")


def small(**more):
    columns = {
        "customer_id": [1, 1, 1, 2, 2, 3],
        "item": ["tea", "tea", "cup", "tea", "jam", "jam"],
        "time": [on(0), on(10), on(10), on(8), on(9), on(10)],
        "quantity": [1, 2, 1, 1, 9, 1],
        "value": [2.0, 4.0, 30.0, 2.0, 9.0, np.nan],
        "order": [1, 2, 2, 3, 4, 5],
    }
    columns["time"] = np.array(columns["time"])
    return Interactions.from_columns(**(columns | more))


@pytest.mark.parametrize(
    "spec",
    [Ease(regularization=5.0), ItemNeighbors(), ItemNeighbors(measure="llr"), Als(factors=2, regularization=0.1),
     Bpr(factors=4, iterations=200, learning_rate=0.05)],
    ids=lambda spec: spec.kind,
)  # fmt: skip
def test_a_checkerboard_is_recognized(spec):
    n = 12
    model = spec.fit(checkerboard(n))
    recs = model.recommend(k=1, rules=BOUGHT)
    assert recs.item.tolist() == list(range(n))  # the one of their own color that they lack
    for item in (0, 5):
        alike = model.similar_items(item, k=n // 2 - 1)
        assert all(other.item % 2 == item % 2 and other.item != item for other in alike)
        assert len(alike) == n // 2 - 1
    assert all(other.customer_id % 2 == 0 for other in model.similar_customers(4, k=5))
    assert all(rec.item % 2 == 1 for rec in model.for_basket([1, 3], k=4))


def test_popular_counts_customers_orders_pieces_and_money():
    x = small()
    counts = lambda by: dict(zip(x.item.tolist(), Popular(by=by).fit(x).counts.tolist(), strict=True))
    assert counts("customers") == {"cup": 1, "jam": 2, "tea": 2}
    assert counts("orders") == {"cup": 1, "jam": 2, "tea": 3}
    assert counts("quantity") == {"cup": 1, "jam": 10, "tea": 4}
    assert counts("revenue") == {"cup": 30, "jam": 9, "tea": 8}


def test_popular_ages_each_customer_by_their_last_purchase():
    x = small()
    counts = Popular(half_life=days(2)).fit(x).counts
    assert counts.tolist() == pytest.approx([1.0, 2**-0.5 + 1.0, 1.0 + 0.5])
    earlier = Popular(half_life=days(2)).fit(x, as_of="2026-01-10T00:00").counts
    assert earlier.tolist() == pytest.approx([0.0, 1.0, 2**-4.5 + 2**-0.5])
    by_order = Popular(half_life=days(10), by="orders").fit(x).counts
    assert by_order.tolist() == pytest.approx([1.0, 2**-0.1 + 1.0, 0.5 + 1.0 + 2**-0.2])


def test_popular_keeps_to_a_category():
    items = ItemTable.from_columns(item=["tea", "cup", "jam"], category=["food", "ware", "food"])
    model = Popular(category="food").fit(small(catalog=items))
    assert model.recommend([9], 5).item.tolist() == ["jam", "tea"]
    with pytest.raises(MissingColumnError, match="'category'"):
        Popular(category="food").fit(small())


def test_popular_says_which_column_it_lacks():
    x = Interactions.from_columns(customer_id=[1], item=[1])
    for by, column in (("quantity", "quantity"), ("revenue", "value")):
        with pytest.raises(InputError, match=f"needs the column {column}"):
            Popular(by=by).fit(x)
    with pytest.raises(InputError, match="half_life needs times"):
        Popular(half_life=days(1)).fit(x)


def test_buy_again_sums_decayed_purchases_and_gives_its_reason():
    model = BuyAgain(half_life=days(10)).fit(small())
    recs = model.recommend([1, 2, 77])
    assert [(r.item, round(r.score, 4)) for r in recs.for_customer(1)] == [("tea", 1.5), ("cup", 1.0)]
    assert recs.for_customer(1)[0].reason == "bought 2 times, last 0 days ago"
    assert recs.for_customer(2)[0].reason == "bought 1 time, last 1 day ago"
    assert recs.for_customer(77) == ()
    assert model.explain(1, "tea").contributions.tolist() == [1.5]
    assert np.isnan(model.explain(1, "jam").score)


def test_buy_again_waits_for_the_gap():
    model = BuyAgain(half_life=None, min_gap=days(2)).fit(small())
    assert model.recommend([2]).item.tolist() == ["tea"]
    assert model.recommend([2], as_of="2026-01-12T00:00").item.tolist() == ["jam", "tea"]
    assert model.recommend([1], as_of="2026-01-13T00:00").item.tolist() == ["tea", "cup"]
    assert model.recommend([1], as_of="2026-01-13").item.tolist() == []  # the eleventh is one of the two days before
    assert model.recommend([1], as_of="2026-01-14").item.tolist() == ["tea", "cup"]


def test_buy_again_without_times_counts():
    x = Interactions.from_columns(customer_id=[1, 1], item=[5, 5])
    assert BuyAgain().fit(x).recommend([1]).for_customer(1)[0].reason == "bought 2 times"
    with pytest.raises(InputError, match="min_gap needs times"):
        BuyAgain(min_gap=days(1)).fit(x)


def test_buy_again_leaves_the_basket_alone():
    model = BuyAgain(half_life=None).fit(small())
    assert [r.item for r in model.for_basket(["tea"], customer=1)] == ["cup"]
    assert model.for_basket(["tea"]) == ()


def test_new_arrivals_follow_the_taste_in_categories():
    items = ItemTable.from_columns(
        item=["tea", "cup", "jam", "green tea", "mug", "gong"],
        category=["tea", "ware", "food", "tea", "ware", None],
        launched=np.array(["2020-01-01"] * 3 + ["2026-01-05", "2026-01-09", "2026-01-09"], "M8[D]"),
    )
    model = NewArrivals(launched_within=days(10), prior=3.0).fit(small(catalog=items))
    recs = model.recommend([1, 3, 99])
    # purchases by kind: tea 3, ware 1, food 2; customer 1 has tea 2 and ware 1, so W = 3 and prior 3
    assert recs.for_customer(1)[0].item == "green tea"
    assert recs.for_customer(1)[0].score == pytest.approx((2 + 3 * 3 / 6) / 6)
    assert recs.for_customer(1)[0].reason == "new, same category as tea"
    assert recs.for_customer(1)[1].score == pytest.approx((1 + 3 / 6) / 6)
    assert recs.for_customer(99)[0].score == pytest.approx(0.5)
    assert recs.for_customer(99)[0].reason == "new"
    assert recs.for_customer(3)[2].item == "gong"
    why = model.explain(1, "green tea")
    assert why.because.tolist() == ["tea", "the average customer's taste"]
    assert why.contributions.sum() == pytest.approx(why.score)
    assert model.explain(1, "gong").contributions.tolist() == [0.0]
    assert model.recommend([1], as_of="2026-01-16").item.tolist() == ["mug", "gong"]  # ten days before: from the sixth
    assert [r.item for r in model.similar_items("tea")] == ["green tea"]
    assert model.similar_items("gong") == ()


def test_new_arrivals_need_dates_and_an_instant():
    items = ItemTable.from_columns(item=[1], category=["a"], launched=["soon"])
    with pytest.raises(InputError, match="dates are needed"):
        NewArrivals().fit(Interactions.from_columns(customer_id=[1], item=[1], catalog=items))
    items = ItemTable.from_columns(
        item=[1, 2], category=["a", "a"], launched=np.array(["2026-01-01T10:00", "NaT"], "M8[us]")
    )
    model = NewArrivals().fit(Interactions.from_columns(customer_id=[1], item=[1], catalog=items))
    with pytest.raises(InputError, match="pass as_of"):
        model.recommend([1])
    assert model.recommend([1], as_of="2026-01-02").item.tolist() == [1]
    nothing = ItemTable.from_columns(item=[1], category=["a"], launched=[None])
    empty = NewArrivals().fit(Interactions.from_columns(customer_id=[1], item=[1], catalog=nothing))
    assert len(empty.recommend([1], as_of="2026-01-02")) == 0


def test_new_arrivals_of_nobody_weigh_all_kinds_alike():
    items = ItemTable.from_columns(
        item=[1, 2], category=["a", "b"], launched=np.array(["2026-01-01", "2026-01-01"], "M8[D]")
    )
    model = NewArrivals().fit(Interactions.from_columns(customer_id=[], item=[], catalog=items))
    assert model.recommend([5], as_of="2026-01-02").score.tolist() == [0.5, 0.5]


def test_ease_agrees_with_its_formula_in_double_precision():
    x = shop()
    X = x.matrix().toarray().astype(float)
    active = np.flatnonzero(X.any(axis=0))
    G = X[:, active].T @ X[:, active] + 10.0 * np.eye(len(active))
    P = np.linalg.inv(G)
    B = -P / np.diag(P)[None, :]
    np.fill_diagonal(B, 0.0)
    model = Ease(regularization=10.0).fit(x)
    assert model.active.tolist() == active.tolist()
    assert model.weights == pytest.approx(B, abs=1e-5)
    recs = model.recommend(k=3)
    scores = X[:, active] @ B
    for customer in range(5):
        best = np.argsort(-scores[customer])[:3]
        assert recs.item[recs.offsets[customer] : recs.offsets[customer + 1]].tolist() == active[best].tolist()


def test_ease_by_blocks_is_ease_at_once():
    rng = np.random.default_rng(0)
    n, m = 300, 1300
    x = Interactions.from_columns(
        customer_id=np.repeat(np.arange(n), 12), item=np.append(rng.integers(0, m, n * 12 - m), np.arange(m))
    )
    X = x.matrix().toarray().astype(float)
    P = np.linalg.inv(X.T @ X + 50.0 * np.eye(m))
    B = -P / np.diag(P)[None, :]
    np.fill_diagonal(B, 0.0)
    assert np.abs(Ease(regularization=50.0).fit(x).weights - B).max() < 1e-5


def test_ease_refuses_what_does_not_fit_memory_or_float32():
    with pytest.raises(InputError, match=r"24 bought items.*max_items=10 are allowed"):
        Ease(max_items=10).fit(shop())
    x = Interactions.from_columns(customer_id=[1, 1], item=[1, 2], quantity=[1e9, 1e9])
    with pytest.raises(InputError, match="too small"):
        Ease(regularization=1e-9, weight="quantity").fit(x)


def test_ease_takes_double_precision_where_weights_are_large():
    x = shop()
    heavy = Interactions.from_columns(customer_id=x.customer_code, item=x.item_code, quantity=np.full(len(x), 1e4))
    X = heavy.matrix("quantity").toarray().astype(float)
    active = np.flatnonzero(X.any(axis=0))
    P = np.linalg.inv(X[:, active].T @ X[:, active] + 100.0 * np.eye(len(active)))
    B = -P / np.diag(P)[None, :]
    np.fill_diagonal(B, 0.0)
    weights = Ease(regularization=100.0, weight="quantity").fit(heavy).weights
    assert weights.dtype == np.float32
    assert weights == pytest.approx(B, abs=1e-4)


def test_nobody_and_nothing_can_be_fitted():
    x = Interactions.from_columns(customer_id=[], item=[])
    assert len(Ease().fit(x).recommend([1])) == 0
    assert len(ItemNeighbors().fit(x).recommend([1])) == 0
    assert len(Popular().fit(x).recommend([1])) == 0
    for spec in (Als(), Bpr()):
        with pytest.raises(NotEnoughDataError, match="interactions is empty"):
            spec.fit(x)


def naive_similarity(x, measure, k):
    """Double loops over a dense matrix."""
    X = x.matrix().toarray().astype(float)
    n, m = X.shape
    S = np.zeros((m, m))
    for a in range(m):
        for b in range(m):
            both, n_a, n_b = (X[:, a] * X[:, b]).sum(), X[:, a].sum(), X[:, b].sum()
            if a == b or both == 0:
                continue
            if measure == "cosine":
                S[a, b] = both / np.sqrt(n_a * n_b)
            elif measure == "jaccard":
                S[a, b] = both / (n_a + n_b - both)
            else:
                if both * n <= n_a * n_b:
                    continue
                table = np.array([[both, n_a - both], [n_b - both, n - n_a - n_b + both]])
                expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / n
                with np.errstate(divide="ignore", invalid="ignore"):
                    S[a, b] = 2 * np.nansum(np.where(table > 0, table * np.log(table / expected), 0))
    for a in range(m):
        order = sorted(range(m), key=lambda b: (-np.float32(S[a, b]), b))
        S[a, order[k:]] = 0
    return S


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "llr"])
def test_neighbors_agree_with_double_loops(measure):
    x = shop(lines=300)
    model = ItemNeighbors(k=4, measure=measure).fit(x)
    dense = model.neighbors.matrix(len(model.item)).toarray()
    assert dense == pytest.approx(naive_similarity(x, measure, 4), rel=1e-5)
    scores = x.matrix().toarray() @ dense
    recs = model.recommend(k=40)
    top = recs.score[recs.offsets[:-1]]
    assert top == pytest.approx(scores.max(axis=1), rel=1e-5)


def test_shrinking_damps_what_rests_on_few():
    x = shop(lines=300)
    plain = ItemNeighbors(k=40).fit(x).neighbors.matrix(30).toarray()
    X = x.matrix().toarray()
    both = X.T @ X
    shrunk = ItemNeighbors(k=40, shrink=3.0).fit(x).neighbors.matrix(30).toarray()
    assert shrunk == pytest.approx(plain * both / (both + 3.0), rel=1e-5)
    counted = ItemNeighbors(k=40, measure="jaccard", shrink=3.0).fit(x).neighbors.matrix(30).toarray()
    assert counted == pytest.approx(naive_similarity(x, "jaccard", 40) * both / (both + 3.0), rel=1e-5)


def test_neighbors_of_orders_are_what_is_bought_together():
    x = small()
    by_order = ItemNeighbors(by="order").fit(x)
    assert [r.item for r in by_order.similar_items("tea")] == ["cup"]  # order 2 alone holds two items
    assert [r.item for r in ItemNeighbors().fit(x).similar_items("tea")] == ["cup", "jam"]


def test_without_evidence_neighbors_go_on_with_what_is_popular_at_score_zero():
    x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3, 4, 4], item=["a", "b", "a", "b", "c", "c", "d"])
    recs = ItemNeighbors().fit(x).recommend([1, 99], rules=BOUGHT)
    assert [(r.item, r.score, r.reason) for r in recs.for_customer(1)] == [("c", 0.0, "popular"), ("d", 0.0, "popular")]
    assert [r.item for r in recs.for_customer(99)] == ["a", "b", "c", "d"]
    assert recs.for_customer(99)[0].score == pytest.approx(0.5)
    assert recs.source.tolist() == ["popular"] * 6


def test_als_of_known_and_new_customers_agree():
    x = shop()
    model = Als(factors=4, iterations=3, alpha=2.0, weight="log").fit(x)
    again = model.recommend(k=5, history=x)
    known = model.recommend(k=5)
    assert (again.item == known.item).all()
    assert again.score == pytest.approx(known.score, rel=1e-4)
    why = model.explain(3, int(known.for_customer(3)[0].item))
    assert why.contributions.sum() == pytest.approx(known.for_customer(3)[0].score, rel=1e-4)
    assert set(why.because) <= set(x.item.astype(str))


def test_the_fold_in_solves_the_equations_of_the_paper():
    from relmark.recommend._fold_in import fold_in
    from relmark.recommend._history import history_of

    rng = np.random.default_rng(0)
    x = shop()
    Y = rng.normal(size=(30, 3)).astype(np.float32)
    for weight, alpha in (("binary", 1.0), ("quantity", 3.0)):
        past = history_of(x.lines, weight=weight)
        vectors = fold_in(Y, past, 0.5, alpha)
        C = alpha * x.matrix(weight).toarray().astype(float)
        for u in range(5):
            confidence = np.where(C[u] > 0, C[u], 1.0)
            A = Y.T @ (confidence[:, None] * Y) + 0.5 * np.eye(3)
            assert vectors[u] == pytest.approx(np.linalg.solve(A, Y.T @ (C[u] * (C[u] > 0))), rel=1e-4)


def test_als_says_when_its_numbers_run_away(monkeypatch):
    import implicit.cpu.als
    from implicit.recommender_base import ModelFitError

    from relmark.errors import ConvergenceError

    def fail(self, *args, **kwargs):
        message = "NaN encountered in factors"
        raise ModelFitError(message)

    monkeypatch.setattr(implicit.cpu.als.AlternatingLeastSquares, "fit", fail)
    with pytest.raises(ConvergenceError, match="raise regularization"):
        Als(factors=2).fit(shop())


def test_bpr_folds_new_customers_in_and_explains_the_rest():
    x = shop()
    model = Bpr(factors=4, iterations=20).fit(x)
    recs = model.recommend(k=3)
    one = recs.for_customer(1)[0]
    why = model.explain(1, one.item)
    assert why.contributions.sum() == pytest.approx(one.score, rel=1e-5)
    assert "the item's own appeal" in why.because
    assert len(model.recommend([99], 3, history=Interactions.from_columns(customer_id=[99], item=[4]))) == 3
    assert model.for_basket([1, 2], 2) != ()
    assert (model.item_factors[25:] == 0).all()  # new items, which nobody bought, are not ranked
    assert not set(model.recommend(k=50).item) & set(range(25, 30))


def test_factors_from_elsewhere_rank_under_our_rules():
    items, people = [3, 1, 2], ["b", "a"]
    Y = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    U = np.array([[1.0, 0.0], [0.0, 2.0]])
    model = FactorModel.from_factors(item=items, item_factors=Y, customer_id=people, customer_factors=U)
    recs = model.recommend(["a", "b"], 3)
    assert [r.item for r in recs.for_customer("a")] == [1, 2, 3]
    assert [r.score for r in recs.for_customer("b")] == [1.0, 0.5, 0.0]
    assert recs.for_customer("b")[0].reason == "factors"
    x = Interactions.from_columns(customer_id=["a", "b", "b", "z"], item=[1, 2, 4, 3])
    with_past = FactorModel.from_factors(
        item=items, item_factors=Y, customer_id=people, customer_factors=U, interactions=x
    )
    assert [r.item for r in with_past.recommend(["a"], 3, rules=BOUGHT).for_customer("a")] == [2, 3]
    folded = FactorModel.from_factors(item=items, item_factors=Y, interactions=x, regularization=0.1)
    assert folded.customer_id.tolist() == ["a", "b", "z"]
    assert folded.recommend(["z"], 1).item.tolist() == [3]
    assert [other.customer_id for other in folded.similar_customers("z", 1)] == ["b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"customer_id": None, "customer_factors": None}, "customer_id is missing"),
        ({"customer_factors": None}, "customer_factors is missing"),
        ({"customer_factors": [[1.0]]}, "customer_factors have 1 columns and item_factors 2"),
        ({"item": [1]}, "one row for each of the 1 ids"),
        ({"item": [1, 1]}, "item has 1 more than once"),
        ({"item_factors": [[1.0, np.nan], [1.0, 1.0]]}, "not finite in row 0"),
        ({"regularization": 0.0}, "regularization is 0.0"),
    ],
)
def test_wrong_factors_are_refused(change, message):
    columns = {
        "item": [1, 2],
        "item_factors": [[1.0, 0.0], [0.0, 1.0]],
        "customer_id": ["a"],
        "customer_factors": [[1.0, 1.0]],
    }
    with pytest.raises(InputError, match=message):
        FactorModel.from_factors(**(columns | change))
    with pytest.raises(InputError, match="from_factors"):
        Factors().fit(shop())


def test_a_blend_adds_what_its_models_say():
    x = small()
    model = Blend({BuyAgain(half_life=None): 2.0, Popular(): 1.0}).fit(x)
    recs = model.recommend([1, 99], 3)
    # buy again: tea 2, cup 1 -> 1 and 0; popular: tea 2, jam 2, cup 1 -> 1, 1, 0
    assert [(r.item, r.score) for r in recs.for_customer(1)] == [("tea", 3.0), ("jam", 1.0), ("cup", 0.0)]
    assert recs.for_customer(1)[0].reason == "bought 2 times, last 0 days ago"
    assert recs.for_customer(1)[1].reason == "popular"
    why = model.explain(1, "tea")
    assert dict(zip(why.because, why.contributions, strict=True)) == {"buy again": 2.0, "popular": 1.0}
    assert [(r.item, r.score) for r in recs.for_customer(99)] == [("jam", 1.0), ("tea", 1.0), ("cup", 0.0)]
    only = Blend({BuyAgain(half_life=None): 1.0}).fit(x).recommend([3, 99], 1)
    assert only.score.tolist()[0] == 1.0  # one candidate alone is the best there is
    assert only.for_customer(99)[0].reason == "popular"  # a blend of models that know nothing of a stranger


def test_composed_models_ask_whoever_knows():
    model = Blend([(BuyAgain(), 1.0), (Ease(regularization=5.0), 1.0)]).fit(checkerboard())
    assert {r.item % 2 for r in model.similar_items(2)} == {0}
    assert model.for_basket([1, 3], 2)[0].item % 2 == 1
    assert model.for_basket([1, 3], 2, customer=1)[0].item % 2 == 1
    assert [o.customer_id % 2 for o in model.similar_customers(3, 2)] == [1, 1]
    for composed in (Fallback([Popular(), BuyAgain()]), Blend({Popular(): 1.0})):
        with pytest.raises(InputError, match="knows similar items"):
            composed.fit(checkerboard()).similar_items(2)


def test_a_fallback_goes_on_where_the_first_ends():
    model = Fallback([BuyAgain(half_life=None), Fallback([Ease(regularization=1.0), Popular()])]).fit(small())
    assert len(model.models) == 3
    recs = model.recommend([3, 99], 3)
    assert [r.item for r in recs.for_customer(3)] == ["jam", "tea", "cup"]
    assert recs.source.tolist()[:3] == ["buy again", "ease", "ease"]
    assert recs.source.tolist()[3:] == ["popular"] * 3
    assert recs.for_customer(3)[1].reason == "because of jam"
    assert model.explain(3, "jam").source == "buy again"
    assert model.explain(3, "tea").source == "ease"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Blend({}), "models is empty"),
        (lambda: Blend({Ease(): -1.0}), "above 0"),
        (lambda: Blend({Fallback([Ease()]): 1.0}), "other than a Fallback"),
        (lambda: Blend([Ease()]), "a mapping of model to weight"),
        (lambda: Fallback([]), "models is empty"),
        (lambda: Fallback(Ease()), "a list of settings"),
        (lambda: Fallback(["ease"]), "settings such as Ease"),
        (lambda: Ease(regularization=0.0), "regularization is 0.0"),
        (lambda: Ease(weight="count"), "weight is 'count'"),
        (lambda: Popular(by="customer"), "Did you mean 'customers'"),
        (lambda: Popular(half_life=3), "half_life is 3: a timedelta"),
        (lambda: ItemNeighbors(measure="pearson"), "measure is 'pearson'"),
        (lambda: ItemNeighbors(k=0), "k is 0"),
        (lambda: NewArrivals(launched_within=None), "launched_within is None"),
        (lambda: Als(factors=0), "factors is 0"),
        (lambda: Bpr(seed=-1), "seed is -1"),
    ],
)
def test_wrong_settings_are_refused_by_name(build, message):
    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize("name", SPECS)
def test_every_model_refuses_what_are_no_interactions(name):
    with pytest.raises(InputError, match=r"Interactions\.from_columns"):
        SPECS[name].fit([[1, 2]])


@pytest.mark.parametrize("name", ["popular", "buy again"])
def test_models_without_similarity_say_which_have_it(name):
    with pytest.raises(InputError, match="fit Ease, ItemNeighbors or Als"):
        SPECS[name].fit(shop()).similar_items(1)


def test_where_nothing_speaks_for_an_item_ease_leaves_the_order_to_popularity():
    """One customer's only item is nobody else's: no item of theirs says anything of the others."""
    who = ["odd", "a", "a", "b", "b", "c", "d", "e", "e"]
    what = ["zither", "apple", "tea", "cup", "tea", "tea", "cup", "tea", "cup"]
    model = Ease(regularization=1.0).fit(Interactions.from_columns(customer_id=who, item=what))
    recs = model.recommend(["odd"], rules=BOUGHT)
    assert [(r.item, r.score, r.reason) for r in recs.for_customer("odd")] == [
        ("tea", 0.0, "popular"), ("cup", 0.0, "popular"), ("apple", 0.0, "popular"),
    ]  # fmt: skip
    assert recs.source.tolist() == ["popular"] * 3
    # what purchases speak for comes before it, and what they speak against after it
    pair = ["x", "y"] * 3 + ["x", "z", "z", "y", "y"]
    people = [10, 10, 11, 11, 12, 12, 13, 14, 13, 15, 16]
    more = Interactions.from_columns(customer_id=people + list(range(20, 24)), item=pair + ["far"] * 3 + ["near"])
    found = Ease(regularization=0.5).fit(more).recommend([13], k=9, rules=BOUGHT).for_customer(13)
    scores = [r.score for r in found]
    assert scores == sorted(scores, reverse=True)
    assert [r.item for r in found if r.score == 0.0] == ["far", "near"]


def test_a_fill_has_one_score_in_recommend_and_in_explain():
    x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3, 4, 4], item=["a", "b", "a", "b", "c", "c", "d"])
    for spec in (Ease(regularization=1.0), ItemNeighbors(), Als(factors=2, iterations=2)):
        model = spec.fit(x)
        for customer in (1, 3, 99):
            for rec in model.recommend([customer]).for_customer(customer):
                said = model.explain(customer, rec.item)
                assert said.score == pytest.approx(rec.score, rel=1e-4, abs=1e-6)
                assert said.contributions.sum() == pytest.approx(said.score, rel=1e-4, abs=1e-6)
                if rec.reason == "popular":
                    assert said.source == "popular"
                    assert customer == 99 or "50 % of customers" in said.note or "25 % of customers" in said.note


def test_ease_says_beforehand_what_it_would_cost():
    n = 10_001
    x = Interactions.from_columns(customer_id=np.arange(n) % 7, item=np.arange(n))
    with pytest.raises(InputError, match=r"10,001 bought items.*0.4 GB and about 0.41 minutes.*max_items=10001"):
        Ease().fit(x)


def test_messages_name_the_choice_that_is_wanted_and_plain_values():
    with pytest.raises(
        InputError, match=r"exclude_bought is 30: it must be 'never', 'always', or a timedelta.*days\(30\)"
    ):
        Rules(exclude_bought=30)
    with pytest.raises(InputError, match="exclude_bought is 'alwys'"):
        Rules(exclude_bought="alwys")
    words = Interactions.from_columns(customer_id=["u", "u"], item=["x", "y"])
    with pytest.raises(InputError, match="Popular has no items similar to 'x'"):
        Popular().fit(words).similar_items("x")
    told = Ease(regularization=1.0).fit(words).explain(np.str_("u"), np.str_("x"))
    assert "np." not in repr(told)
    assert "np." not in repr(Ease(regularization=1.0).fit(words).similar_items(np.str_("x")))


def test_scores_print_the_digits_that_count():
    x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3], item=["tea", "cup", "tea", "cup", "tea"])
    assert repr(ItemNeighbors().fit(x).recommend([3], k=1).for_customer(3)[0]).startswith(
        "Recommendation(item='cup', score=0.8165, rank=1"
    )
