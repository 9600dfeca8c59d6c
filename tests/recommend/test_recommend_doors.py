"""Every door of the package, tried with every type that a user may hold: a result, or an error with a remedy."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from relmark import CustomerBase, ItemTable
from relmark.errors import InputError, RelmarkError
from relmark.recommend import (
    AfterPurchase,
    Als,
    Blend,
    Bpr,
    BuyAgain,
    Category,
    Centroid,
    Ease,
    FactorModel,
    Fallback,
    Fitted,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Ridge,
    Rules,
    also_bought,
    auto,
    compare,
    folds_by_time,
    look_alike,
    quality,
    spec_from_dict,
    split_by_time,
)

DAYS = ["2026-01-05", "2026-01-06", "2026-01-07"]
TIMES = [f"{day}T09:30" for day in DAYS]
WHO, WHAT = ["b", "a", "b"], ["x", "x", "y"]

IDS = {
    "list": ["b", "a", "b"],
    "ints": [2, 1, 2],
    "tuple": ("b", "a", "b"),
    "array": np.array(["b", "a", "b"]),
    "int32": np.array([2, 1, 2], np.int32),
    "uint8": np.array([2, 1, 2], np.uint8),
    "objects": np.array(["b", "a", "b"], object),
    "StringDType": np.array(["b", "a", "b"], dtype=np.dtypes.StringDType()),
    "pandas": pd.Series(["b", "a", "b"], index=[5, 6, 7]),
    "nullable": pd.array([2, 1, 2], dtype="Int64"),
    "categorical": pd.Categorical(["b", "a", "b"]),
    "index": pd.Index([2, 1, 2]),
    "polars": pl.Series(["b", "a", "b"]),
    "polars ints": pl.Series([2, 1, 2]),
    "polars categorical": pl.Series(["b", "a", "b"], dtype=pl.Categorical),
    "pyarrow": pa.array(["b", "a", "b"]),
    "chunked": pa.chunked_array([["b"], ["a", "b"]]),
    "dictionary": pa.array(["b", "a", "b"]).dictionary_encode(),
}
TIME = {
    "texts": TIMES,
    "days": DAYS,
    "datetimes": [datetime.fromisoformat(t) for t in TIMES],
    "aware": [datetime.fromisoformat(t).replace(tzinfo=UTC) for t in TIMES],
    "dates": [date.fromisoformat(d) for d in DAYS],
    "array": np.array(TIMES, "M8[ns]"),
    "pandas": pd.Series(pd.to_datetime(TIMES)),
    "pandas aware": pd.Series(pd.to_datetime(TIMES, utc=True)),
    "polars": pl.Series([datetime.fromisoformat(t) for t in TIMES]),
    "polars aware": pl.Series([datetime.fromisoformat(t).replace(tzinfo=UTC) for t in TIMES]),
    "pyarrow aware": pa.array([datetime.fromisoformat(t).replace(tzinfo=UTC) for t in TIMES]),
    "polars dates": pl.Series([date.fromisoformat(d) for d in DAYS]),
}
NUMBERS = {
    "list": [1, 2, 3],
    "floats": [1.0, 2.0, 3.0],
    "decimals": [Decimal(1), Decimal(2), Decimal(3)],
    "float32": np.array([1, 2, 3], np.float32),
    "pandas": pd.Series([1, 2, 3]),
    "nullable": pd.array([1, 2, 3], dtype="Int64"),
    "polars": pl.Series([1, 2, 3]),
    "pyarrow": pa.array([1, 2, 3]),
}


@pytest.mark.parametrize(("ids", "items"), [*itertools.product(IDS, IDS)])
def test_ids_and_items_come_in_every_type(ids, items):
    x = Interactions.from_columns(customer_id=IDS[ids], item=IDS[items], order=IDS[items])
    assert x.customer_id.tolist() in (["a", "b"], [1, 2])
    assert x.matrix("quantity").toarray().tolist() == [[1.0, 0.0], [0.0, 2.0]]
    assert [str(name) for name in x.to_columns()["order"]] in (["b", "a", "b"], ["2", "1", "2"])


@pytest.mark.parametrize("time", TIME)
def test_times_come_in_every_type_and_zone(time):
    x = Interactions.from_columns(customer_id=WHO, item=WHAT, time=TIME[time], tz="America/New_York")
    first = {"aware": "2026-01-05T09:30", "days": "2026-01-05T05:00", "dates": "2026-01-05T05:00"}
    kind = next((key for key in first if time.endswith(key)), None)
    assert str(x.to_columns()["time"][0])[:16] == first.get(kind, "2026-01-05T14:30")


@pytest.mark.parametrize("numbers", NUMBERS)
def test_numbers_come_in_every_type(numbers):
    x = Interactions.from_columns(customer_id=WHO, item=WHAT, quantity=NUMBERS[numbers], value=NUMBERS[numbers])
    assert x.quantity.tolist() == x.value.tolist() == [1.0, 2.0, 3.0]


FRAMES = {"mapping": dict, "pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("frame", FRAMES)
def test_rows_in_messages_are_the_caller_s(frame):
    made = FRAMES[frame](
        {"u": ["b", None, "a"], "i": ["x", "y", "x"], "t": ["2026-01-07", "2026-01-05", "2026-01-06"], "q": [1, 1, -2]}
    )
    with pytest.raises(InputError, match=r"customer_id is missing in row 1: drop"):
        Interactions.from_frame(made, customer_id="u", item="i", time="t")
    with pytest.raises(InputError, match=r"quantity has -2.0 in row 2: values above 0.*Leave returns"):
        Interactions.from_frame(made, customer_id="i", item="i", quantity="q", time="t")


WRONG = [
    None,
    5,
    1.5,
    True,
    "text",
    b"bytes",
    object(),
    lambda: 1,
    range(2),
    [],
    [None],
    [[1]],
    {},
    {"a": 1},
    set(),
    [1, "a"],
    [float("nan")],
    [Decimal("NaN")],
    ["\0"],
    [10**400],
    [date(1, 1, 1)],
    np.array(5),
    np.array([[1, 2]]),
    np.array([1j]),
    np.array([], dtype=object),
    np.array(["NaT"], "M8[D]"),
    np.array([1], "m8[D]"),
    np.datetime64("NaT", "us"),
    timedelta(days=-1),
    float("inf"),
    -1,
    Category("tea"),
    Ease(),
    pd.NaT,
    pd.Series([1, 2]),
    pd.DataFrame({"a": [1]}),
    pd.Categorical(["a"]),
    pl.Series(["x"]),
    pl.DataFrame({"a": [1]}),
    pl.DataFrame({"a": [1]}).lazy(),
    pa.array([1]),
    pa.table({"a": [1]}),
]

ITEMS = ItemTable.from_columns(item=[1, 2, 3], category=["tea", "tea", "cup"], price=[1.0, 2.0, 3.0])


def shop() -> CustomerBase:
    n = np.arange(60)
    orders = {"u": n % 7, "i": n % 3 + 1, "t": np.datetime64("2026-01-01") + n, "v": n + 1.0, "o": n // 2}
    return CustomerBase.from_orders(orders, customer_id="u", time="t", value="v", item="i", order="o", items=ITEMS)


BASE = shop()
X = Interactions.of(BASE)
MODEL = Ease(regularization=5.0).fit(X)
PAIRS = also_bought(X, min_count=1)
COMPARISON = compare({"ease": Ease(regularization=5.0)}, X, test=timedelta(days=20))
QUALITY = COMPARISON.qualities["ease"]
RECS = MODEL.recommend(k=2)
ALIKE = look_alike(X, seed=[0, 1], size=2, folds=2)
SPLIT = split_by_time(X, timedelta(days=20))
SPECS = [
    Popular(),
    BuyAgain(),
    ItemNeighbors(),
    Ease(),
    Als(factors=2),
    Bpr(factors=2),
    Blend({Ease(): 1.0}),
    Fallback([Popular()]),
    NewArrivals(),
]

DOORS = {
    "from_columns.customer_id": lambda x: Interactions.from_columns(customer_id=x, item=[1]),
    "from_columns.item": lambda x: Interactions.from_columns(customer_id=[1], item=x),
    "from_columns.time": lambda x: Interactions.from_columns(customer_id=[1], item=[1], time=x),
    "from_columns.quantity": lambda x: Interactions.from_columns(customer_id=[1], item=[1], quantity=x),
    "from_columns.value": lambda x: Interactions.from_columns(customer_id=[1], item=[1], value=x),
    "from_columns.order": lambda x: Interactions.from_columns(customer_id=[1], item=[1], order=x),
    "from_columns.catalog": lambda x: Interactions.from_columns(customer_id=[1], item=[1], catalog=x),
    "from_columns.tz": lambda x: Interactions.from_columns(customer_id=[1], item=[1], tz=x),
    "from_frame": lambda x: Interactions.from_frame(x, customer_id="a", item="a"),
    "from_frame.customer_id": lambda x: Interactions.from_frame({"a": [1]}, customer_id=x, item="a"),
    "from_frame.time": lambda x: Interactions.from_frame({"a": [1]}, customer_id="a", item="a", time=x),
    "of": Interactions.of,
    "of.weights": lambda x: Interactions.of(BASE, weights=x),
    "of.weight": lambda x: Interactions.of(BASE, weights={"purchase": x}),
    "of.as_of": lambda x: Interactions.of(BASE, as_of=x),
    "of.catalog": lambda x: Interactions.of(BASE, catalog=x),
    "until": X.until,
    "take": X.take,
    "with_catalog": X.with_catalog,
    "matrix": X.matrix,
    "matrix.half_life": lambda x: X.matrix(half_life=x),
    "matrix.as_of": lambda x: X.matrix(as_of=x),
    **{f"{spec.kind}.fit": spec.fit for spec in SPECS},
    "fit.as_of": lambda x: Popular().fit(X, as_of=x),
    "recommend": MODEL.recommend,
    "recommend.k": lambda x: MODEL.recommend([1], x),
    "recommend.rules": lambda x: MODEL.recommend([1], rules=x),
    "recommend.as_of": lambda x: MODEL.recommend([1], as_of=x),
    "recommend.history": lambda x: MODEL.recommend([1], history=x),
    "recommend.catalog": lambda x: MODEL.recommend([1], catalog=x),
    "for_basket": MODEL.for_basket,
    "for_basket.customer": lambda x: MODEL.for_basket([1], customer=x),
    "for_basket.as_of": lambda x: MODEL.for_basket([1], as_of=x),
    "similar_items": MODEL.similar_items,
    "similar_customers": MODEL.similar_customers,
    "explain.customer": lambda x: MODEL.explain(x, 1),
    "explain.item": lambda x: MODEL.explain(1, x),
    "explain.as_of": lambda x: MODEL.explain(1, 1, as_of=x),
    "explain.history": lambda x: MODEL.explain(1, 1, history=x),
    "for_customer": RECS.for_customer,
    "recs.rows": RECS.__getitem__,
    "recs.head": RECS.head,
    "from_arrays": Fitted.from_arrays,
    "from_dict": Fitted.from_dict,
    "spec_from_dict": spec_from_dict,
    "from_factors.item": lambda x: FactorModel.from_factors(item=x, item_factors=[[1.0]], interactions=X),
    "from_factors.item_factors": lambda x: FactorModel.from_factors(item=[1], item_factors=x, interactions=X),
    "from_factors.customer_id": lambda x: FactorModel.from_factors(
        item=[1], item_factors=[[1.0]], customer_id=x, customer_factors=[[1.0]]
    ),
    "from_factors.customer_factors": lambda x: FactorModel.from_factors(
        item=[1], item_factors=[[1.0]], customer_id=[1], customer_factors=x
    ),
    "from_factors.interactions": lambda x: FactorModel.from_factors(item=[1], item_factors=[[1.0]], interactions=x),
    "popular.half_life": lambda x: Popular(half_life=x),
    "popular.by": lambda x: Popular(by=x),
    "popular.category": lambda x: Popular(category=x).fit(X),
    "buy_again.min_gap": lambda x: BuyAgain(min_gap=x),
    "arrivals.launched_within": lambda x: NewArrivals(launched_within=x),
    "arrivals.category": lambda x: NewArrivals(category=x),
    "neighbors.k": lambda x: ItemNeighbors(k=x),
    "neighbors.measure": lambda x: ItemNeighbors(measure=x),
    "neighbors.weight": lambda x: ItemNeighbors(weight=x),
    "ease.regularization": lambda x: Ease(regularization=x),
    "ease.half_life": lambda x: Ease(half_life=x),
    "als.half_life": lambda x: Als(half_life=x),
    "als.factors": lambda x: Als(factors=x),
    "blend": Blend,
    "fallback": Fallback,
    "rules.exclude_bought": lambda x: Rules(exclude_bought=x),
    "rules.repeat_after": lambda x: Rules(repeat_after=x),
    "rules.repeat_after gap": lambda x: MODEL.recommend([1], rules=Rules(repeat_after={"tea": x})),
    "rules.allow": lambda x: MODEL.recommend([1], rules=Rules(allow=x)),
    "rules.deny": lambda x: MODEL.recommend([1], rules=Rules(deny=x)),
    "rules.deny_for": lambda x: MODEL.recommend([1], rules=Rules(deny_for=x)),
    "rules.deny_for items": lambda x: MODEL.recommend([1], rules=Rules(deny_for={1: x})),
    "rules.in_stock": lambda x: MODEL.recommend([1], rules=Rules(in_stock=x)),
    "rules.max_per": lambda x: MODEL.recommend([1], rules=Rules(max_per=x)),
    "rules.max_per most": lambda x: Rules(max_per={"category": x}),
    "rules.min_price_ratio": lambda x: Rules(min_price_ratio=x),
    "rules.price": lambda x: Rules(price=x),
    "rules.after_purchase": lambda x: Rules(after_purchase=x),
    "rules.category": lambda x: MODEL.recommend([1], rules=Rules(repeat_after={"tea": timedelta(days=1)}, category=x)),
    "after.of": lambda x: MODEL.recommend(
        [1], rules=Rules(after_purchase=AfterPurchase(of=x, within=timedelta(days=1)))
    ),
    "after.within": lambda x: AfterPurchase(of=[1], within=x),
    "after.block": lambda x: MODEL.recommend(
        [1], rules=Rules(after_purchase=AfterPurchase(of=[1], within=timedelta(days=1), block=x))
    ),
    "after.boost": lambda x: AfterPurchase(of=[1], within=timedelta(days=1), boost=x),
    "category.name": Category,
    "category.column": lambda x: Category("tea", column=x),
    "also_bought": also_bought,
    "also_bought.by": lambda x: also_bought(X, by=x),
    "also_bought.min_count": lambda x: also_bought(X, min_count=x),
    "also_bought.exclude": lambda x: also_bought(X, exclude=x),
    "also_bought.as_of": lambda x: also_bought(X, as_of=x),
    "also_bought.catalog": lambda x: also_bought(X, exclude=[Category("tea")], catalog=x),
    "pairs.top": PAIRS.top,
    "pairs.top by": lambda x: PAIRS.top(1, by=x),
    "pairs.top k": lambda x: PAIRS.top(1, x),
    "pairs.top min_lift": lambda x: PAIRS.top(1, min_lift=x),
    "pairs.for_basket": PAIRS.for_basket,
    "look_alike": lambda x: look_alike(x, seed=[1, 2, 3]),
    "look_alike.seed": lambda x: look_alike(X, seed=x, folds=2),
    "look_alike.size": lambda x: look_alike(X, seed=[1, 2], size=x, folds=2),
    "look_alike.method": lambda x: look_alike(X, seed=[1, 2], method=x, folds=2),
    "look_alike.activity": lambda x: look_alike(
        {"customer_id": [1, 2, 3, 4], "a": [1, 2, 3, 4]}, seed=[1, 2], activity=x, folds=2
    ),
    "look_alike.folds": lambda x: look_alike(X, seed=[1, 2], folds=x),
    "alike.auc_at": ALIKE.auc_at,
    "ridge.factors": lambda x: Ridge(factors=x),
    "ridge.regularization": lambda x: Ridge(regularization=x),
    "centroid.factors": lambda x: Centroid(factors=x),
    "split.interactions": lambda x: split_by_time(x, timedelta(days=1)),
    "split.test": lambda x: split_by_time(X, x),
    "split.cut": lambda x: split_by_time(X, cut=x),
    "split.end": lambda x: split_by_time(X, timedelta(days=1), end=x),
    "folds.test": lambda x: folds_by_time(X, x),
    "folds.folds": lambda x: folds_by_time(X, timedelta(days=1), folds=x),
    "quality.model": lambda x: quality(x, X),
    "quality.test": lambda x: quality(MODEL, x),
    "quality.k": lambda x: quality(MODEL, SPLIT.test, k=x),
    "quality.items": lambda x: quality(MODEL, SPLIT.test, items=x),
    "quality.rules": lambda x: quality(MODEL, SPLIT.test, rules=x),
    "quality.estimate": QUALITY.estimate,
    "quality.level": lambda x: QUALITY.estimate("ndcg", level=x),
    "quality.resamples": lambda x: QUALITY.estimate("ndcg", resamples=x),
    "compare.models": lambda x: compare(x, X),
    "compare.interactions": lambda x: compare({"ease": Ease()}, x),
    "compare.test": lambda x: compare({"ease": Ease()}, X, test=x),
    "compare.items": lambda x: compare({"ease": Ease()}, X, items=x),
    "comparison.estimate": COMPARISON.estimate,
    "comparison.difference": COMPARISON.difference,
    "comparison.level": lambda x: COMPARISON.difference("ease", level=x),
    "comparison.resamples": lambda x: COMPARISON.difference("ease", resamples=x),
    "auto": auto,
    "auto.candidates": lambda x: auto(X, candidates=x) if x is not None else X,
}


@pytest.mark.parametrize("door", DOORS)
def test_whatever_is_given_there_is_a_result_or_an_error_of_ours(door):
    for wrong in WRONG:
        said = "a result"
        try:
            DOORS[door](wrong)
        except RelmarkError as error:
            said = str(error)
        except Exception as error:
            raise AssertionError(f"{door} with {wrong!r}: {type(error).__name__}: {error}") from error
        assert 7 < len(said) < 1_000


@pytest.mark.parametrize("spec", SPECS[:-1], ids=lambda spec: spec.kind)
@pytest.mark.parametrize(
    "wrong",
    [{"a": [1]}, pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}), BASE.events, None, [1]],
    ids=lambda w: type(w).__name__,
)
def test_a_frame_or_a_log_in_the_place_of_a_base_is_refused_with_the_way_in(spec, wrong):
    with pytest.raises(InputError, match=rf"interactions is an? {type(wrong).__name__}: .*CustomerBase\.from_orders"):
        spec.fit(wrong)
