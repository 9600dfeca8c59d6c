"""Who is erased is in no structure any more: looked for, byte by byte, in what each of them pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, ItemTable
from relmark.recommend import (
    Als,
    Blend,
    Bpr,
    BuyAgain,
    Ease,
    Fallback,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
)

GONE = "zz-erased-7f3a"
WORDS = ("zz-street-19", "zz-order-88", "zz-coupon-5", "zz-tag-3")  # only they had these
STAY = ["ann", "bob", "cem", "dora", "eli", "fay"]


def shop() -> CustomerBase:
    rng = np.random.default_rng(4)
    n = 60
    items = [f"item{k}" for k in range(8)]
    who = rng.choice([*STAY, GONE], n)
    own = who == GONE
    table = CustomerTable.from_columns(
        customer_id=[*STAY, GONE],
        street=[*(["main"] * 6), WORDS[0]],
        tags=[*([["vip"]] * 6), [WORDS[3], "vip"]],
    )
    log = EventLog.from_columns(
        customer_id=who.tolist(),
        type=rng.choice(["purchase", "visit"], n).tolist(),
        time=np.datetime64("2026-01-01T08:00") + rng.integers(0, 1_000, n).astype("m8[h]"),
        value=rng.integers(1, 50, n).astype(float),
        properties={
            "item": rng.choice(items, n).tolist(),
            "order": [WORDS[1] if one == GONE else f"order{k // 2}-{one}" for k, one in enumerate(who)],
            "coupon": [WORDS[2] if gone else None for gone in own],
            "tags": [[WORDS[3]] if gone else ["plain"] for gone in own],
        },
    )  # fmt: skip
    wares = ItemTable.from_columns(
        item=items, category=["tea", "cups"] * 4, launched=np.full(8, "2026-01-15", dtype="M8[D]")
    )
    return CustomerBase(customers=table, events=log, items=wares)


def found_in(thing: object) -> list[str]:
    """Return which words of the erased one stand in a pickle, in each way in which Python and numpy keep text."""
    held = pickle.dumps(thing)
    ways = ("utf-8", "utf-16-le", "utf-32-le")
    return [word for word in (GONE, *WORDS) if any(word.encode(way) in held for way in ways)]


BASE = shop()
MODELS = [
    Popular(), NewArrivals(category="category"), BuyAgain(), ItemNeighbors(), ItemNeighbors(by="order"), Ease(),
    Als(factors=4, iterations=3), Bpr(factors=4, iterations=3), Blend({Ease(): 1.0, Popular(): 0.5}),
    Fallback([Ease(), Popular()]),
]  # fmt: skip


def test_the_search_finds_what_is_there():
    assert found_in(BASE) == [GONE, *WORDS]
    assert found_in(Interactions.of(BASE)) == [GONE, WORDS[1]]
    assert GONE in found_in(Ease().fit(BASE))


@pytest.mark.parametrize("ids", [[GONE], {GONE}, np.array([GONE]), [GONE, "nobody"]])
def test_a_base_forgets(ids):
    kept = BASE.without(ids)
    assert found_in(kept) == []
    assert found_in(kept.customers) == found_in(kept.events) == []
    assert kept.customer_id.tolist() == STAY
    rows = BASE.events.to_columns()
    stay = rows["customer_id"] != GONE
    for name, column in kept.events.to_columns().items():
        assert column.tolist() == rows[name][stay].tolist() if column.dtype.kind != "f" else True, name
    assert BASE.without([]).customer_id.tolist() == [*STAY, GONE]


def test_words_that_others_have_too_stay():
    kept = BASE.without([GONE])
    assert kept.column("tags").value(0) == frozenset({"vip"})
    assert set(kept.events.to_columns()["item"]) <= {f"item{k}" for k in range(8)}


def test_interactions_forget_and_are_those_of_the_others():
    kept = Interactions.of(BASE).without([GONE])
    assert found_in(kept) == []
    again = Interactions.of(BASE.without([GONE]))
    assert kept.customer_id.tolist() == again.customer_id.tolist()
    known = np.isin(kept.item, again.item)
    assert (kept.matrix().toarray()[:, known] == again.matrix().toarray()).all()
    assert not kept.matrix().toarray()[:, ~known].any()
    assert len(kept.without(STAY)) == 0


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: type(spec).__name__)
def test_a_fitted_model_forgets_and_serves_the_others_as_before(spec):
    model = spec.fit(BASE)
    kept = model.without({GONE, "nobody"})
    assert found_in(kept) == []
    assert kept.customer_id.tolist() == STAY
    rules = Rules(exclude_bought="always")
    before, after = (one.recommend(customers=STAY, k=4, rules=rules) for one in (model, kept))
    assert after.item.tolist() == before.item.tolist()
    assert after.score.tolist() == before.score.tolist()
    stranger = [one.item for one in model.recommend(customers=["nobody"], k=3).for_customer("nobody")]
    assert [one.item for one in kept.recommend(customers=[GONE], k=3).for_customer(GONE)] == stranger
    assert type(kept).from_arrays(kept.to_arrays()).customer_id.tolist() == STAY
