import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark import ItemTable, days
from relmark.errors import DefinitionError, InputError, MissingColumnError
from relmark.recommend import AfterPurchase, BuyAgain, Category, Ease, Interactions, Popular, Rules

world = runpy.run_path(str(Path(__file__).parent / "recommend_data.py"))
shop = world["shop"]

ITEMS = ItemTable.from_columns(
    item=["parka", "raincoat", "boots", "scarf", "hat", "gloves"],
    category=["jacket", "jacket", "shoes", "warm", "warm", None],
    price=[200.0, 100.0, 80.0, 20.0, 10.0, None],
    in_stock=[True, False, True, True, None, True],
    tags=[{"outdoor", "new"}, {"outdoor"}, {"outdoor"}, {"wool"}, {"wool"}, None],
)


def wardrobe(items=ITEMS):
    """Everything was bought by someone; customer a bought the parka on 5 January, b the scarf on the first."""
    who = ["a", "b", "c", "c", "c", "c", "d", "d", "d", "e", "e", "f"]
    what = [
        "parka",
        "scarf",
        "raincoat",
        "boots",
        "scarf",
        "hat",
        "boots",
        "scarf",
        "gloves",
        "boots",
        "parka",
        "boots",
    ]
    day = [5, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 5]
    time = np.array([f"2026-01-{d:02d}" for d in day], "M8[D]")
    return Interactions.from_columns(customer_id=who, item=what, time=time, catalog=items)


def ask(customer="a", *, k=10, as_of=None, **rules):
    """Ask popularity: boots 4, scarf 3, parka 2, then gloves, hat, raincoat with 1."""
    return Popular().fit(wardrobe()).recommend([customer], k, rules=Rules(**rules), as_of=as_of)


def test_without_rules_everything_comes_by_popularity():
    assert ask().item.tolist() == ["boots", "scarf", "parka", "gloves", "hat", "raincoat"]
    assert ask().dropped == {}


def test_bought_items_stay_away_always_for_a_time_or_never():
    assert "parka" not in ask(exclude_bought="always").item
    assert ask(exclude_bought="always").dropped == {"exclude_bought": 1}
    assert "parka" not in ask(exclude_bought=days(3), as_of="2026-01-07").item
    assert "parka" in ask(exclude_bought=days(3), as_of="2026-01-08T00:00").item  # (as_of - 3 days, as_of]
    assert "parka" not in ask(exclude_bought=days(3), as_of="2026-01-08").item  # the fifth is one of three days before
    assert "parka" in ask(exclude_bought=days(3), as_of="2026-01-09").item
    assert ask(exclude_bought="never").dropped == {}


def test_a_category_may_have_a_gap_of_its_own():
    rules = {"exclude_bought": "always", "repeat_after": {"jacket": days(10)}}
    early = ask(**rules, as_of="2026-01-10")
    assert "parka" not in early.item
    assert early.dropped == {"exclude_bought": 0, "repeat_after": 1}
    assert "parka" not in ask(**rules, as_of="2026-01-15").item
    assert "parka" in ask(**rules, as_of="2026-01-16").item
    assert "scarf" not in ask("b", **rules, as_of="2026-02-15").item  # another category stays away always


def test_allow_and_deny_take_ids_and_categories():
    assert ask(allow=["hat", Category("jacket")]).item.tolist() == ["parka", "hat", "raincoat"]
    assert ask(deny=Category("outdoor", column="tags")).item.tolist() == ["scarf", "gloves", "hat"]
    assert ask(deny="boots").item.tolist()[0] == "scarf"
    assert ask(allow=[]).item.tolist() == []
    assert ask(deny=["nobody knows it"], allow=Category("nothing")).item.tolist() == []
    both = ask(allow=Category("warm"), deny=["hat"])
    assert both.dropped == {"allow": 4, "deny": 1}


def test_a_customer_can_be_spared_some_items_also_a_stranger():
    rules = Rules(deny_for={"a": ["boots"], "z": Category("warm")})
    recs = Popular().fit(wardrobe()).recommend(["a", "b", "z"], 6, rules=rules)
    assert "boots" not in [r.item for r in recs.for_customer("a")]
    assert "boots" in [r.item for r in recs.for_customer("b")]
    assert {r.item for r in recs.for_customer("z")}.isdisjoint({"scarf", "hat"})
    assert recs.dropped == {"deny_for": 3}


def test_what_is_not_in_stock_stays_away_and_fresh_stock_counts():
    assert ask(in_stock=True).item.tolist() == ["boots", "scarf", "parka", "gloves"]
    assert ask(in_stock=["hat", "scarf"]).item.tolist() == ["scarf", "hat"]
    today = ItemTable.from_columns(item=["hat"], in_stock=[3])
    model = Popular().fit(wardrobe())
    assert model.recommend(["a"], rules=Rules(in_stock=True), catalog=today).item.tolist() == ["hat"]


def test_at_most_so_many_of_a_kind_and_k_still_come():
    recs = ask(k=4, max_per={"category": 1})
    assert recs.item.tolist() == ["boots", "scarf", "parka", "gloves"]  # gloves have no category: not limited
    assert recs.dropped == {"max_per": 0}
    five = ask(k=5, max_per={"category": 1})
    assert five.counts.tolist() == [4]
    assert five.dropped == {"max_per": 2}
    by_price = ask(k=6, max_per={"price": 1})
    assert by_price.counts.tolist() == [6]
    with pytest.raises(InputError, match="many tags"):
        ask(max_per={"tags": 1})


def test_prices_fill_the_basket_to_the_gift():
    assert ask(price=(10, 20)).item.tolist() == ["scarf", "hat"]
    assert ask(price=(None, 80)).item.tolist() == ["boots", "scarf", "hat"]
    assert ask(price=(150, None)).item.tolist() == ["parka"]
    assert ask(price=(10, 20)).dropped == {"price": 4}


def test_upsell_looks_at_the_mean_price_of_what_the_customer_has():
    assert ask("d", min_price_ratio=2.0).item.tolist() == ["parka", "raincoat"]  # boots 80, scarf 20, gloves unknown
    assert ask("d", min_price_ratio=2.0).dropped == {"min_price_ratio": 4}
    assert len(ask("stranger", min_price_ratio=2.0)) == 6
    model = Popular().fit(wardrobe())
    basket = model.for_basket(["boots"], 6, rules=Rules(min_price_ratio=1.25))
    assert [r.item for r in basket] == ["parka", "raincoat"]
    assert len(model.for_basket(["gloves"], 6, rules=Rules(min_price_ratio=1.25))) == 5


def test_after_a_jacket_no_jacket_but_rather_shoes():
    rule = AfterPurchase(
        of=Category("jacket"), within=days(30), block=Category("jacket"), boost={"warm": 3.0, Category("shoes"): 0.5}
    )
    model = Popular().fit(wardrobe())
    recs = model.recommend(["a", "b"], 10, rules=Rules(after_purchase=[rule]), as_of="2026-01-20")
    assert [(r.item, r.score) for r in recs.for_customer("a")] == [
        ("scarf", 9.0), ("hat", 3.0), ("boots", 2.0), ("gloves", 1.0),
    ]  # fmt: skip
    assert len(recs.for_customer("b")) == 6
    assert recs.dropped == {"after_purchase": 2}
    late = model.recommend(["a"], 10, rules=Rules(after_purchase=rule), as_of="2026-02-05")
    assert len(late) == 6
    assert late.dropped == {"after_purchase": 0}


def test_a_boost_raises_negative_scores_too():
    x = shop(lines=150)
    model = Ease(regularization=1.0).fit(x)
    plain = model.recommend([3], 40)
    rule = AfterPurchase(of=Category("tea"), within=days(1000), boost={"tea": 2.0, "cups": 2.0, "jam": 2.0})
    boosted = model.recommend([3], 40, rules=Rules(after_purchase=[rule]))
    assert (plain.score < 0).any()
    expected = dict(zip(plain.item.tolist(), np.where(plain.score > 0, plain.score * 2, plain.score / 2), strict=True))
    assert dict(zip(boosted.item.tolist(), boosted.score, strict=True)) == pytest.approx(expected, rel=1e-6)


def test_each_pair_is_counted_under_the_first_rule_that_drops_it():
    recs = ask(deny=["parka"], exclude_bought="always", price=(0, 50), allow=["parka", "scarf", "hat", "boots"])
    assert recs.dropped == {"allow": 2, "deny": 1, "price": 1, "exclude_bought": 0}
    assert recs.item.tolist() == ["scarf", "hat"]


def test_a_drop_is_counted_once_though_two_sources_are_asked():
    x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3], item=["a", "b", "a", "b", "c"])
    from relmark.recommend import ItemNeighbors

    recs = ItemNeighbors().fit(x).recommend([1], 5, rules=Rules(deny=["b", "c"], exclude_bought="always"))
    assert recs.item.tolist() == []
    assert recs.dropped == {"deny": 2, "exclude_bought": 1}


def test_rules_are_told_apart_in_an_explanation():
    model = BuyAgain(half_life=None).fit(wardrobe())
    rules = Rules(exclude_bought=days(2), repeat_after={"warm": days(9)}, deny=["parka"], max_per={"category": 1})
    assert model.explain("a", "parka", rules=rules).dropped_by == ("deny", "exclude_bought")
    assert model.explain("b", "scarf", rules=rules).dropped_by == ("repeat_after",)
    assert model.explain("b", "scarf").dropped_by == ()
    all_rules = Rules(
        allow=["hat"], in_stock=True, price=(0, 1), deny_for={"a": "parka"}, min_price_ratio=9.0,
        after_purchase=AfterPurchase(of="parka", within=days(9), block="parka"),
    )  # fmt: skip
    assert model.explain("a", "parka", rules=all_rules).dropped_by == (
        "allow", "price", "deny_for", "min_price_ratio", "after_purchase",
    )  # fmt: skip


def test_rules_without_times_or_columns_say_what_is_missing():
    x = Interactions.from_columns(customer_id=["a", "b"], item=["tea", "cup"])
    model = Popular().fit(x)
    with pytest.raises(InputError, match="exclude_bought needs the times"):
        model.recommend(rules=Rules(exclude_bought=days(3)))
    for rules in (Rules(in_stock=True), Rules(price=(0, 1)), Rules(max_per={"category": 1}), Rules(deny=Category("x"))):
        with pytest.raises(MissingColumnError, match="catalog="):
            model.recommend(rules=rules)
    with pytest.raises(InputError, match="deny has 3, an id of type int"):
        model.recommend(rules=Rules(deny=[3]))
    with pytest.raises(InputError, match="categories are text"):
        Popular().fit(wardrobe()).recommend(rules=Rules(deny=Category("x", column="price")))
    with pytest.raises(InputError, match="rules is a dict"):
        model.recommend(rules={"deny": ["tea"]})
    nothing = ItemTable.from_columns(item=["tea"], category=[None])
    assert len(Popular().fit(wardrobe(nothing)).recommend(["a"], rules=Rules(deny=Category("x")))) == 6


def test_rules_are_stored_as_json_and_come_back():
    rules = Rules(
        exclude_bought=days(30),
        repeat_after={"coffee": days(20)},
        allow=[1, Category("tea")],
        deny=7,
        deny_for={1: [2], "c": Category("tea", column="kind")},
        in_stock=[1, 2],
        max_per={"category": 2},
        min_price_ratio=1.1,
        price=(None, 20),
        after_purchase=[AfterPurchase(of=[1], within=days(3), block=[2], boost={"shoes": 2.0})],
        category="kind",
    )
    again = Rules.from_json(rules.to_json())
    assert again.fingerprint == rules.fingerprint
    assert again == rules
    assert again.after_purchase[0].boost == {Category("shoes"): 2.0}
    assert Rules.from_dict(Rules().to_dict()) == Rules()
    assert Rules.from_dict({**Rules().to_dict(), "in_stock": True}).in_stock is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exclude": "always"}, "unknown key 'exclude'.*Did you mean"),
        ({"exclude_bought": "P3"}, "exclude_bought"),
        ({"repeat_after": []}, "repeat_after must be an object"),
        ({"repeat_after": {"a": 3}}, r"\$.repeat_after.a"),
        ({"deny": 3}, r"\$.deny: a list"),
        ({"deny": [True]}, r"\$.deny\[0\]"),
        ({"deny": [{"category": ""}]}, r"\$.deny\[0\].category"),
        ({"deny_for": {}}, "deny_for must be a list of pairs"),
        ({"after_purchase": {}}, "after_purchase must be a list"),
        ({"after_purchase": [{"of": [1]}]}, "has no 'within'"),
        ({"after_purchase": [{"of": [1], "within": "P1D", "boost": {}}]}, "boost must be a list of pairs"),
        ({"max_per": {"category": 0}}, "max_per"),
        ({"min_price_ratio": "much"}, "min_price_ratio is 'much'"),
    ],
)
def test_a_stored_set_of_rules_that_says_nothing_is_refused(change, message):
    with pytest.raises(DefinitionError, match=message):
        Rules.from_dict({**Rules().to_dict(), **change})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Rules(exclude_bought="sometimes"), "exclude_bought is 'sometimes'"),
        (lambda: Rules(exclude_bought=days(0)), "above zero"),
        (lambda: Rules(max_per=["category"]), "max_per is .* a mapping"),
        (lambda: Rules(deny=3.5), "ids or Category"),
        (lambda: Rules(deny=[3.5]), "deny has 3.5 in row 0"),
        (lambda: Rules(price=5), "a pair"),
        (lambda: Rules(price=(5, 1)), "low must not be above high"),
        (lambda: Rules(min_price_ratio=0), "min_price_ratio is 0"),
        (lambda: Rules(after_purchase=["jacket"]), "after_purchase has 'jacket'"),
        (lambda: AfterPurchase(of=[], within=days(1)), "of is empty"),
        (lambda: AfterPurchase(of=[1], within=days(1), boost=["shoes"]), "boost is"),
        (lambda: AfterPurchase(of=[1], within=days(1), boost={1: 2.0}), "boost has the key 1"),
        (lambda: AfterPurchase(of=[1], within=days(1), boost={"shoes": 0.0}), "boost\\['shoes'\\] is 0.0"),
        (lambda: Category(""), "name is ''"),
    ],
)
def test_wrong_rules_are_refused_by_name(build, message):
    with pytest.raises(InputError, match=message):
        build()
