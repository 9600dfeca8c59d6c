"""What users hold in their hands: ragged lists, reasons, explanations, saved models, and none of the known traps."""

import copy
import io
import json
import os
import pickle
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import attrs
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from relmark import ItemTable
from relmark.errors import DefinitionError, InputError
from relmark.recommend import (
    Als,
    Bpr,
    BuyAgain,
    Ease,
    Fitted,
    FittedEase,
    FittedPopular,
    Interactions,
    ItemNeighbors,
    Popular,
    Rules,
    Spec,
    spec_from_dict,
)

world = runpy.run_path(str(Path(__file__).parent / "recommend_data.py"))
SPECS, shop, checkerboard = world["SPECS"], world["shop"], world["checkerboard"]
BOUGHT = Rules(exclude_bought="always")
LATER = "2026-04-15"


@pytest.fixture(scope="module")
def x():
    return shop()


@pytest.fixture(scope="module")
def models(x):
    return {name: spec.fit(x) for name, spec in SPECS.items()}


def test_lists_are_ragged_and_never_padded(models):
    recs = models["buy again"].recommend([1, 99, 2], 50)
    assert recs.offsets.tolist() == [0, recs.counts[0], recs.counts[0], len(recs)]
    assert recs.counts[1] == 0
    assert recs.for_customer(99) == ()
    assert recs.rank.tolist() == [*range(1, recs.counts[0] + 1), *range(1, recs.counts[2] + 1)]
    assert len(recs.to_columns()["customer_id"]) == len(recs)
    with pytest.raises(InputError, match="customer 5 is not among the 3"):
        recs.for_customer(5)
    with pytest.raises(ValueError, match="read-only"):
        recs.item[0] = 3


def test_lists_print_and_become_json(models):
    recs = models["ease"].recommend([3, 4], 2, rules=BOUGHT)
    assert repr(recs).startswith("Recommendations(customers=2, k=2, rows=4, short=0, dropped={exclude_bought: ")
    assert str(recs).splitlines()[0].split() == ["customer_id", "rank", "item", "score", "reason"]
    body = json.loads(recs.to_json())
    assert body["customers"][0]["customer_id"] == 3
    assert body["customers"][0]["items"][0]["rank"] == 1
    assert body["dropped"] == dict(recs.dropped)
    assert "<table>" in recs._repr_html_()
    long = models["ease"].recommend(k=20)
    assert str(long).splitlines()[-1] == f"... {len(long) - 20:,} more rows"
    frame = recs.to_frame("polars")
    assert frame.columns == ["customer_id", "rank", "item", "score", "source", "reason"]


def test_the_reason_is_the_purchase_that_counts_most(models, x):
    model = models["ease"]
    recs = model.recommend([7], 5, rules=BOUGHT)
    for rec in recs.for_customer(7):
        why = model.explain(7, rec.item)
        assert rec.reason == f"because of {why.because[0]}"
        assert why.score == pytest.approx(rec.score, rel=1e-5)
        assert (np.diff(why.contributions) <= 0).all()
    assert str(why).splitlines()[-1].startswith("score")
    assert repr(why).startswith("Explanation(customer_id=7, item=")


@pytest.mark.parametrize("name", SPECS)
def test_contributions_add_up_to_the_score_that_was_given(models, name):
    recs = models[name].recommend(k=4, as_of=LATER)
    for customer, items in list(recs)[:6]:
        for rec in items:
            why = models[name].explain(customer, rec.item, as_of=LATER)
            assert why.contributions.sum() == pytest.approx(why.score)
            if rec.score != 0.0:
                assert why.score == pytest.approx(rec.score, rel=1e-4)


def test_an_item_that_cannot_be_ranked_is_said_to_be_so(models):
    why = models["ease"].explain(3, 27, rules=Rules(deny=[27]))
    assert np.isnan(why.score)
    assert "cannot rank" in why.note
    assert why.contributions.tolist() == []
    assert "note" in repr(why)
    assert "deny" in repr(models["ease"].explain(3, 2, rules=Rules(deny=[2])))
    stranger = models["ease"].explain(999, 2)
    assert stranger.source == "popular"
    assert stranger.because.tolist() == ["share of customers who bought it"]


def test_unknown_items_and_customers_are_named(models):
    model = models["ease"]
    with pytest.raises(InputError, match="item 77 is not among the 30 items"):
        model.similar_items(77)
    with pytest.raises(InputError, match="item 77 is not among"):
        model.explain(1, 77)
    with pytest.raises(InputError, match="customer 99 is not among the 40"):
        model.similar_customers(99)
    with pytest.raises(InputError, match="customers has 'a', an id of type str"):
        model.recommend(["a"])
    with pytest.raises(InputError, match="k is 0"):
        model.recommend(k=0)
    assert model.similar_items(27) == ()  # nobody bought it


def test_similar_customers_are_nearest_by_cosine(models, x):
    X = x.matrix().toarray()
    norm = np.linalg.norm(X, axis=1)
    cosine = X @ X[5] / (norm * norm[5])
    cosine[5] = -1
    found = models["ease"].similar_customers(5, 3)
    assert [other.customer_id for other in found] == np.argsort(-cosine, kind="stable")[:3].tolist()
    assert [other.score for other in found] == pytest.approx(np.sort(cosine)[::-1][:3].tolist())
    assert found[0].to_dict()["rank"] == 1


@pytest.mark.parametrize("name", SPECS)
def test_models_are_saved_as_arrays_and_as_json(models, x, name):
    model = models[name]
    first = model.recommend(k=5, as_of=LATER)
    file = io.BytesIO()
    np.savez(file, **model.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        loaded = Fitted.from_arrays(dict(arrays), catalog=x.catalog)
    for again in (loaded, Fitted.from_json(model.to_json(), catalog=x.catalog), pickle.loads(pickle.dumps(model))):
        second = again.recommend(k=5, as_of=LATER)
        assert (second.item == first.item).all()
        assert (second.score == first.score).all()
        assert repr(again) == repr(model)
        assert again.spec == model.spec


def test_string_ids_survive_saving():
    model = Popular().fit(Interactions.from_columns(customer_id=["ü", "b"], item=["x", "y"]))
    again = FittedPopular.from_json(model.to_json())
    assert again.customer_id.tolist() == ["b", "ü"]
    assert again.recommend(["ü"]).item.tolist() == ["x", "y"]


def test_a_saved_model_that_was_changed_is_refused(models):
    model = models["ease"]
    arrays = model.to_arrays()
    with pytest.raises(DefinitionError, match="not a saved recommender"):
        Fitted.from_arrays({})
    with pytest.raises(InputError, match="not a FittedPopular"):
        FittedPopular.from_arrays(arrays)
    with pytest.raises(DefinitionError, match="has no 'weights'"):
        Fitted.from_arrays({name: array for name, array in arrays.items() if name != "weights"})
    with pytest.raises(DefinitionError, match=r"has no history\.'weight'"):
        Fitted.from_arrays({name: array for name, array in arrays.items() if name != "history.weight"})
    with pytest.raises(DefinitionError, match="do not fit together"):
        Fitted.from_arrays({**arrays, "history.item": arrays["history.item"][:-1]})
    body = model.to_dict()
    with pytest.raises(DefinitionError, match="is not a recommender"):
        Fitted.from_dict({**body, "model": "oracle"})
    with pytest.raises(DefinitionError, match="dtype must be one of"):
        Fitted.from_dict({**body, "arrays": {"item": {"dtype": "object", "shape": [0], "values": []}}})
    with pytest.raises(DefinitionError, match="these values are not an array"):
        Fitted.from_dict({**body, "arrays": {"item": {"dtype": "int64", "shape": [3], "values": ["a"]}}})
    with pytest.raises(DefinitionError, match="an object is needed"):
        Fitted.from_dict({**body, "arrays": []})
    with pytest.raises(DefinitionError, match="unknown"):
        Fitted.from_dict({**body, "version": 2})


def test_arrays_out_of_range_are_refused(models):
    arrays = models["ease"].to_arrays()
    far = arrays["history.item"].copy()
    far[0] = 1000
    with pytest.raises(DefinitionError, match="point outside"):
        Fitted.from_arrays({**arrays, "history.item": far})


@pytest.mark.parametrize("name", SPECS)
def test_settings_are_stored_as_json(name):
    spec = SPECS[name]
    assert spec_from_dict(json.loads(spec.to_json())) == spec
    assert type(spec).from_json(spec.to_json()) == spec
    assert isinstance(spec, Spec)


@pytest.mark.parametrize("name", SPECS)
def test_damaged_arrays_are_refused_and_never_answer_wrongly(models, name):
    """Cut off, in another order, or changed: each array in turn."""
    arrays = models[name].to_arrays()
    harmed = 0
    for key, array in arrays.items():
        if key.endswith("relmark") or array.size < 2:
            continue
        for damage in (lambda a: a[:-1], lambda a: a[::-1], lambda a: np.roll(a, 1, axis=0), lambda a: a[..., None]):
            bad = damage(array)
            if bad.shape == array.shape and (bad == array).all():
                continue
            harmed += 1
            with pytest.raises(DefinitionError):
                Fitted.from_arrays({**arrays, key: bad})
        with pytest.raises(DefinitionError):
            Fitted.from_arrays({other: kept for other, kept in arrays.items() if other != key})
    assert harmed > 6


@pytest.mark.parametrize("name", SPECS)
def test_nobody_can_write_into_a_model_or_its_data(models, name):
    x = shop()
    model = models[name]
    for thing in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model), x, copy.deepcopy(x)):
        arrays = list(held_arrays(thing))
        assert len(arrays) > 4
        assert not any(array.flags.writeable for array in arrays)
    given = {key: np.array(array) for key, array in model.to_arrays().items()}
    read = Fitted.from_arrays(given)
    before = read.recommend(k=3, as_of=LATER)
    for array in given.values():
        if array.dtype.kind in "if":
            array[...] = 0
    after = read.recommend(k=3, as_of=LATER)
    assert (after.item == before.item).all()
    assert (after.score == before.score).all()


def held_arrays(thing):
    for attribute in attrs.fields(type(thing)):
        value = getattr(thing, attribute.name)
        if isinstance(value, np.ndarray):
            yield value
        elif attrs.has(type(value)) and attribute.name in {"history", "neighbors", "_lines"}:
            yield from held_arrays(value)
        elif isinstance(value, tuple) and attribute.name == "models":
            for part in value:
                yield from held_arrays(part)


def test_stored_settings_that_say_nothing_are_refused():
    with pytest.raises(DefinitionError, match=r"unknown key 'regularisation'.*Did you mean 'regularization'"):
        Ease.from_dict({"relmark": "ease", "version": 1, "regularisation": 3})
    with pytest.raises(DefinitionError, match="regularization is"):
        Ease.from_dict({"relmark": "ease", "version": 1, "regularization": -3})
    with pytest.raises(DefinitionError, match="is needed, but this is a 'oracle'"):
        spec_from_dict({"relmark": "oracle", "version": 1})
    with pytest.raises(DefinitionError, match="has no key 'relmark'"):
        spec_from_dict({})
    with pytest.raises(DefinitionError, match="half_life"):
        Popular.from_dict({"relmark": "popular", "version": 1, "half_life": "P7"})
    category = Popular.from_dict({"relmark": "popular", "version": 1, "category": {"category": "tea"}})
    assert category.category.name == "tea"
    assert spec_from_dict(category.to_dict()) == category


# The traps of implicit that a user of ours must never meet.


@pytest.mark.parametrize("name", SPECS)
def test_few_left_means_a_short_list_not_bought_items_or_padding(models, name):
    """Traps 1 to 4: bought ids at -3.4e38, id 0 with score 0, -1, lists longer than k."""
    recs = models[name].recommend(k=100, rules=BOUGHT, as_of=LATER)
    X = models[name].history
    for i, (customer, items) in enumerate(recs):
        assert len({rec.item for rec in items}) == len(items)
        own = set(X.item[X.indptr[i] : X.indptr[i + 1]].tolist())
        assert not own & {rec.item for rec in items}, customer
        assert all(np.isfinite(rec.score) and rec.score > -1e30 for rec in items)
    assert (models[name].recommend(k=3, rules=Rules(deny=[1, 2, 5]), as_of=LATER).counts <= 3).all()


def test_lists_and_tuples_and_arrays_of_items_are_all_fine(models):
    """Trap 5: a TypeError on a list of items; trap 7: filters that exclude each other."""
    model = models["als"]
    same = [model.for_basket(basket, 3) for basket in ([1, 2], (1, 2), np.array([1, 2]), {1, 2}, iter([1, 2]))]
    assert all(answer == same[0] for answer in same)
    recs = model.recommend([1], 3, rules=Rules(allow=[4, 5, 6], deny=[5]))
    assert set(recs.item.tolist()) == {4, 6}


@pytest.mark.parametrize("spec", [Als(factors=3, iterations=2), Bpr(factors=3, iterations=5)], ids=["als", "bpr"])
def test_a_seed_fixes_the_factors_with_any_number_of_threads(spec, monkeypatch):
    """Traps 8, 10, 11 and 17: random states that crash or race, threads that change results."""
    x = shop()
    first = spec.fit(x)
    with threadpool_limits(1):
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        second = spec.fit(x)
    assert (first.item_factors == second.item_factors).all()
    assert (first.customer_factors == second.customer_factors).all()
    assert not (first.item_factors == type(spec)(factors=3, seed=1).fit(x).item_factors).all()


def test_fits_of_another_shape_do_not_touch_earlier_ones():
    """Trap 9: reads out of bounds after a refit on another shape."""
    spec = Als(factors=3, iterations=2)
    model = spec.fit(shop())
    before = model.recommend(k=3)
    spec.fit(checkerboard(40))
    after = model.recommend(k=3)
    assert (before.item == after.item).all()


def test_parameters_of_bm25_survive_saving():
    """Trap 13."""
    model = ItemNeighbors(measure="bm25", K1=3.0, B=0.1).fit(shop())
    assert Fitted.from_json(model.to_json()).spec == ItemNeighbors(measure="bm25", K1=3.0, B=0.1)


@pytest.mark.parametrize("name", ["neighbors", "ease", "als", "bpr", "blend"])
def test_an_item_is_never_its_own_neighbor_nor_in_its_own_basket(models, name):
    """Trap 14."""
    for item in range(25):
        assert item not in [rec.item for rec in models[name].similar_items(item, 30)]
        assert item not in [rec.item for rec in models[name].for_basket([item], 30)]


def test_strangers_get_what_is_popular_not_the_first_ids(models, x):
    """Trap 15: implicit gives strangers items 2 1 0."""
    popular = models["popular"].recommend([999], 5).item.tolist()
    for name in ("neighbors", "ease", "als", "bpr", "blend", "fallback"):
        recs = models[name].recommend([999], 5)
        if name == "fallback":
            assert recs.source.tolist() == ["new arrival"] * 5
            continue
        assert recs.item.tolist() == popular
        if name != "blend":
            assert recs.for_customer(999)[0].reason == "popular"


def test_an_empty_basket_is_a_stranger_or_the_customer(models):
    model = models["ease"]
    assert [rec.item for rec in model.for_basket([], 3)] == model.recommend([999], 3).item.tolist()
    own = model.recommend([4], 3)
    assert [rec.item for rec in model.for_basket([], 3, customer=4)] == own.item.tolist()
    assert model.for_basket([12345], 3) == model.for_basket([], 3)
    assert model.for_basket(3, 2) == model.for_basket([3], 2)


def test_a_basket_counts_beside_the_past(models):
    model = models["ease"]
    alone, both = model.for_basket([3], 5), model.for_basket([3], 5, customer=4)
    assert [r.item for r in alone] != [r.item for r in both]
    fresh = model.for_basket([3], 5, customer=4, rules=BOUGHT)
    own = set(model.history.take(np.array([4])).item.tolist())
    assert not own & {rec.item for rec in fresh}
    stocked = ItemTable.from_columns(item=[9], in_stock=[True])
    assert [r.item for r in model.for_basket([3], 5, rules=Rules(in_stock=True), catalog=stocked)] == [9]


def test_one_item_one_customer():
    x = Interactions.from_columns(customer_id=["a"], item=["tea"])
    for name, spec in SPECS.items():
        if name in {"new arrivals", "fallback"}:
            continue
        model = spec.fit(x)
        assert model.recommend(["a"], 3).item.tolist() in (["tea"], [])
        assert model.recommend(["a"], 3, rules=BOUGHT).item.tolist() == []
        assert model.similar_customers("a") == ()


def test_a_history_that_came_later_is_taken_instead(models, x):
    new = Interactions.from_columns(
        customer_id=[500, 500, 500], item=[3, 4, 777], time=np.array(["2026-04-20"] * 3, "M8[D]")
    )
    for name, model in models.items():
        recs = model.recommend(history=new, k=4, as_of="2026-04-21", rules=BOUGHT)
        assert recs.customer_id.tolist() == [500]
        assert {3, 4}.isdisjoint(recs.item.tolist()), name
        assert model.recommend([1], history=new, k=1, as_of="2026-04-21").counts.tolist()[0] <= 1
    before = models["buy again"].recommend(history=new, as_of="2026-04-12")
    assert before.counts.tolist() == [0]  # what was bought after as_of is not seen
    assert models["ease"].explain(500, 9, history=new, as_of="2026-04-21").score != 0


def test_rules_for_one_customer_hold_when_their_history_is_fresh_or_they_hold_a_basket(models):
    new = Interactions.from_columns(customer_id=[3, 500], item=[5, 6], time=np.array(["2026-04-12"] * 2, "M8[D]"))
    rules = Rules(deny_for={3: [1, 2], 500: [4], 600: [0]})
    for name, model in models.items():
        recs = model.recommend([3, 500, 600], 30, rules=rules, history=new, as_of=LATER)
        for customer, denied in ((3, {1, 2}), (500, {4}), (600, {0})):
            assert denied.isdisjoint(rec.item for rec in recs.for_customer(customer)), name
        assert {1, 2}.isdisjoint(rec.item for rec in model.for_basket([7], 30, customer=3, rules=rules, as_of=LATER))
        assert {4}.isdisjoint(rec.item for rec in model.for_basket([7], 30, customer=500, rules=rules, as_of=LATER))
        assert {1, 2}.isdisjoint(rec.item for rec in model.recommend([3], 30, rules=rules, as_of=LATER).for_customer(3))


def test_each_customer_may_have_an_instant_of_their_own(models):
    from relmark import days

    model = models["buy again"]
    rules = Rules(exclude_bought=days(20))
    both = model.recommend([1, 2], 30, rules=rules, as_of=np.array(["2026-04-15", "2026-05-15"], "M8[D]"))
    for customer, moment in ((1, "2026-04-15"), (2, "2026-05-15")):
        alone = model.recommend([customer], 30, rules=rules, as_of=moment)
        assert both.for_customer(customer) == alone.for_customer(customer)
    with pytest.raises(InputError, match="1 instants for 2 customers"):
        model.recommend([1, 2], as_of=["2026-05-15"])
    with pytest.raises(InputError, match=r"purchases up to 2026-04-10.*Fit it with as_of"):
        model.recommend([1], as_of="2026-01-15")


def test_a_model_without_times_takes_any_instant():
    model = Popular().fit(Interactions.from_columns(customer_id=[1], item=[1]))
    assert model.now is None
    assert model.recommend([1], as_of="2026-01-01").item.tolist() == [1]
    assert repr(model) == "Popular(half_life=None, by='customers', category=None) fitted on 1 customers and 1 items"


def test_one_customer_may_be_asked_for_without_a_list(models):
    for customer in (3, np.int64(3)):
        assert models["ease"].recommend(customer, 2).customer_id.tolist() == [3]
    assert Popular().fit(Interactions.from_columns(customer_id=["a"], item=[1])).recommend("a").item.tolist() == [1]


@pytest.mark.parametrize("name", SPECS)
def test_threads_and_blocks_change_nothing(models, name, monkeypatch):
    model = models[name]
    whole = model.recommend(k=7, as_of=LATER)
    with threadpool_limits(2):
        two = model.recommend(k=7, as_of=LATER)
    assert (two.item == whole.item).all()
    assert (two.score == whole.score).all()
    answers = [None] * 4

    def work(place):
        answers[place] = model.recommend(k=7, as_of=LATER)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for answer in answers:
        assert (answer.item == whole.item).all()
        assert (answer.score == whole.score).all()
    monkeypatch.setattr("relmark.recommend._ranking.block_rows", lambda _: 3)
    blocks = model.recommend(k=7, as_of=LATER)
    assert (blocks.item == whole.item).all()
    assert blocks.score == pytest.approx(whole.score, rel=1e-6)


def blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


def test_the_blas_setting_is_left_as_it_was(models):
    before = blas_threads()
    models["als"].recommend(k=3)
    Als(factors=2, iterations=1).fit(shop())
    with pytest.raises(InputError):
        models["als"].recommend(k=3, rules=Rules(deny=["a"]))
    assert blas_threads() == before


@pytest.mark.long
@pytest.mark.parametrize("main_first", [True, False])
def test_the_blas_is_held_in_every_thread_and_restored_by_the_last(main_first):
    """Eight threads enter in turn and leave in another order: inside it is one everywhere, afterwards what it was."""
    program = f"""
import threading
from threadpoolctl import threadpool_info
from relmark.recommend._blas import _libraries, one_blas_thread

def threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

_libraries()
for library in _libraries():
    library.set(2)
before = threads()
assert before and set(before) == {{2}}, before
if {main_first}:
    with one_blas_thread():
        assert set(threads()) == {{1}}
    assert threads() == before
inside, seen = threading.Barrier(8), []
turn = [threading.Event() for _ in range(9)]
turn[0].set()

def work(place):
    with one_blas_thread():
        inside.wait()
        seen.append(threads())
        turn[place].wait()
        seen.append(threads())
    turn[place + 1].set()

workers = [threading.Thread(target=work, args=(place,)) for place in range(8)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
assert len(seen) == 16 and {{count for each in seen for count in each}} == {{1}}, seen
assert threads() == before
worker = threading.Thread(target=lambda: seen.append(threads()))
worker.start(), worker.join()
assert seen[-1] == before
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_a_fit_is_the_same_in_eight_threads_as_in_the_main_one():
    rng = np.random.default_rng(3)
    x = Interactions.from_columns(customer_id=rng.integers(0, 400, 6_000), item=rng.integers(0, 300, 6_000))
    specs = (Ease(regularization=5.0), Als(factors=20, iterations=2))
    whole = [spec.fit(x).recommend(k=5) for spec in specs]
    answers = [None] * 8

    def work(place):
        answers[place] = [spec.fit(x).recommend(k=5) for spec in specs]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for answer in answers:
        for found, wanted in zip(answer, whole, strict=True):
            assert (found.item == wanted.item).all()
            assert (found.score == wanted.score).all()


def test_a_shuffle_and_a_new_name_change_nothing():
    rng = np.random.default_rng(0)
    n = 800
    columns = {
        "customer_id": rng.integers(0, 30, n),
        "item": rng.integers(0, 20, n),
        "time": np.datetime64("2026-01-01") + rng.integers(0, 90, n),
        "quantity": rng.random(n) + 0.5,
    }
    order = rng.permutation(n)
    shuffled = {name: column[order] for name, column in columns.items()}
    renamed = {
        **columns,
        "item": [f"i{item:03d}" for item in columns["item"]],
        "customer_id": columns["customer_id"] * 7,
    }
    for spec in (Ease(), ItemNeighbors(measure="llr"), BuyAgain(), Popular(), Als(factors=3), Bpr(factors=3)):
        first, second, third = (
            spec.fit(Interactions.from_columns(**c)).recommend(k=5) for c in (columns, shuffled, renamed)
        )
        assert (first.item == second.item).all()
        assert (first.score == second.score).all()
        assert [f"i{item:03d}" for item in first.item] == third.item.tolist()
        assert (first.score == third.score).all()


def test_ease_keeps_only_bought_items_and_skips_what_it_does_not_know():
    x = shop()
    model = Ease().fit(x)
    assert isinstance(model, FittedEase)
    assert len(model.active) == 24
    new = Interactions.from_columns(customer_id=[900, 900], item=[27, 3], time=np.array(["2026-04-10"] * 2, "M8[D]"))
    recs = model.recommend(history=new, k=3, as_of=LATER)
    alone = model.for_basket([3], 3)
    assert set(recs.item.tolist()) & {rec.item for rec in alone}
