"""Stored definitions with hostile values find a result or a RelmarkError, never a bug: 5,000 of them."""
# ruff: noqa: ARG005, PLW0108  (generators share one signature, and whatever is raised is reported)

from __future__ import annotations

import copy
import json
import random
import runpy
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmark import CustomerBase, Schema, days, engines, event, field, parse
from relmark.attribution import Journeys, LastNonDirect, Linear, Markov, MarkovModel, PositionBased, Shapley, TimeDecay
from relmark.attribution.model import AttributionModel
from relmark.campaigns import Campaign, Cap, Chain, ContactPolicy, QuietHours, Step
from relmark.core.namespaces import Namespace
from relmark.errors import RelmarkError
from relmark.experiments import Experiment, Holdout, Layer, TriggerChain, UpliftScore
from relmark.experiments.uplift_features import UpliftTerm
from relmark.experiments.uplift_score import ArmUplift
from relmark.expressions import Expression
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    lifetime_value,
)
from relmark.recommend import (
    AfterPurchase,
    Als,
    Blend,
    BuyAgain,
    Category,
    Ease,
    Fallback,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
    spec_from_dict,
)
from relmark.recommend.fitted import Fitted
from relmark.scoring import Grade, Group, LeadScore, Rule, half_life, linear_decay, step_decay
from relmark.segmentation import Rfm, RfmModel, Segment, SegmentSet

failures = runpy.run_path(str(Path(__file__).parent / "fuzzing.py"))["failures"]
_RANDOM = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "random_rules.py"))
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
SEEDS = 5_000
PARTS = 10

PLAIN = [
    None, True, False, 0, -1, 1, 2, 10**6, 10**19, 2**63, -(10**30), 10**400, 0.0, -0.0, 0.5, -0.5, 5e-324, 1e308,
    float("inf"), float("-inf"), float("nan"), "", " ", "\0", "a\0b", "x", "age", "c0", "nan", "1e400", "\ud800",
    "\u202e", "é" * 3, "x" * 10_000, "9" * 5_000, [], {}, [[]], [None], [[[[[[]]]]]], [1, "1", 1.0, True],
    [float("nan")],
    {"": ""}, {"op": "and"}, {"relmark": "segment"}, {"days": 10**12}, {"seconds": -1}, {"months": 10**6},
    {"date": "9999-12-31"}, "0001-01-01", "9999-12-31", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "-0044-03-15", "10000-01-01", "2026-02-30", "2026-11-01T00:00", "P1D", "1 day",
    "Europe/Berlin", "../../etc", list(range(300)), {str(k): k for k in range(50)}, ["x"] * 300,
]  # fmt: skip
OBJECTS = [
    set(), frozenset({"x"}), b"x", (), (1, "x"), date.min, date.max, datetime.max, datetime.min.replace(tzinfo=UTC),
    timedelta.max, timedelta.min, timedelta(0), Decimal("NaN"), Decimal("1e500"), 1j, np.float64("nan"), np.int64(3),
    np.array([1, 2]), np.array([]), np.datetime64("NaT", "us"), np.datetime64("2026-11-01"), np.str_("x"),
    np.bool_(True), Ellipsis, int, abs, range(3),
]  # fmt: skip


def _slots(body: Any) -> list[tuple[Any, Any]]:
    """Return every place of a document: its containers with their keys."""
    found, todo = [], [body]
    while todo:
        one = todo.pop()
        for key in list(one) if isinstance(one, dict) else range(len(one)):
            found.append((one, key))
            if isinstance(one[key], (dict, list)):
                todo.append(one[key])
    return found


def _other_type(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return [value]
    return {str(k): one for k, one in enumerate(value)} if isinstance(value, list) else None


def _mutated(body: Any, rng: np.random.Generator, hostile: list[Any]) -> Any:
    """Return a copy of a document with one to three places spoiled."""
    body = copy.deepcopy(body)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        slots = _slots(body)
        if not slots:
            return hostile[rng.integers(len(hostile))]
        within, key = slots[rng.integers(len(slots))]
        kind = rng.choice(
            ["hostile", "hostile", "near", "near", "near", "drop", "twice", "swap", "type", "wrap", "add", "key"]
        )
        if kind == "hostile":
            within[key] = copy.deepcopy(hostile[rng.integers(len(hostile))])
        elif kind == "near":  # of the same type
            alike = [one for one in hostile if type(one) is type(within[key])]
            within[key] = copy.deepcopy(alike[rng.integers(len(alike))]) if alike else within[key]
        elif kind == "drop":
            del within[key]
        elif kind == "twice" and isinstance(within, list):
            within.extend(copy.deepcopy([within[key]] * int(rng.integers(1, 3))))
        elif kind in {"twice", "swap"}:
            there, other = slots[rng.integers(len(slots))]
            a, b = copy.deepcopy(within[key]), copy.deepcopy(there[other])
            within[key] = b
            if kind == "swap":
                there[other] = a
        elif kind == "type":
            within[key] = _other_type(within[key])
        elif kind == "wrap":
            within[key] = rng.choice([0, 1]) * [within[key]] or {"value": within[key]}
        elif isinstance(within, dict):
            value = within.pop(key) if kind == "key" else copy.deepcopy(hostile[rng.integers(len(hostile))])
            within[str(rng.choice(["", "x", "op", "name", "version", "points", "\0"]))] = value
    return body


def _spoilt_text(text: str, rng: np.random.Generator) -> str | bytes:
    """Return a JSON text that was cut, doubled, or has a piece of another kind in it."""
    at = int(rng.integers(0, len(text) + 1))
    kind = rng.choice(["cut", "double", "insert", "bytes", "key"])
    if kind == "cut":
        return text[:at]
    if kind == "double":
        return text + text
    if kind == "bytes":
        raw = text.encode("utf-8", "surrogatepass")
        return raw[:at] + b"\xff" + raw[at:]
    if kind == "key":
        return text.replace('"version":1', '"version":1,"version":1', 1)
    piece = str(rng.choice(["[", "{", '"', "NaN", "1e400", "-", "\\u0000", "9" * 5_000, "[" * 2_000, "\ufeff", ","]))
    return text[:at] + piece + text[at:]


# What is asked of each kind of definition once it is accepted: each question may be refused, and no more


def _asked(*questions: Callable[[], Any]) -> None:
    for question in questions:
        try:
            question()
        except RelmarkError:
            continue


def _stored(definition: Any) -> None:
    """What was accepted can be stored, and comes back as it was."""
    assert type(definition).from_json(definition.to_json()).fingerprint == definition.fingerprint
    assert hash(definition.fingerprint)
    assert repr(definition)


def _use_rule(rule: Expression, base: Any, as_of: Any) -> None:
    def text() -> None:
        assert parse(rule.to_text()).fingerprint == rule.fingerprint, "the text of a rule is another rule"

    _asked(text, lambda: repr(rule), lambda: rule.problems(base.schema()))


def _use_segment(segment: Segment, shop: Any, as_of: Any) -> None:
    base, customers, events = shop
    who = customers[0]
    own = [one for one in events if one.customer_id == who.id]
    _stored(segment)
    _use_rule(segment.rule, base, as_of)
    _asked(
        lambda: segment.evaluate(base, as_of=as_of).to_dict(),
        lambda: segment.one(None, [], as_of=as_of).to_dict(),
        lambda: str(segment.one(who, own, as_of=as_of, tz=base.tz)),
        lambda: segment.explain(base, who.id, as_of=as_of).next_change,
        lambda: segment.problems(base.schema()),
    )
    _on_an_engine(segment, base, as_of)


def _on_an_engine(segment: Segment, base: CustomerBase, as_of: Any) -> None:
    """What an engine takes, it answers as numpy does; what it does not take, it names."""
    polars = pytest.importorskip("polars")
    assert all(path.startswith("$") for path in engines.unsupported(segment.rule, tz=base.tz))
    frames = [polars.DataFrame(_columns(one.to_columns())).lazy() for one in (base.events, base.customers)]
    try:
        found = engines.evaluate(segment, events=frames[0], customers=frames[1], as_of=as_of, tz=base.tz)
        expected = segment.evaluate(base, as_of=as_of)
    except RelmarkError:
        return
    table = found.collect()
    members = dict(zip(table["customer_id"].to_list(), table["member"].to_list(), strict=True))
    assert members == dict(zip(base.customer_id.tolist(), expected.mask.tolist(), strict=True)), "engines differ"


def _columns(columns: Any) -> Any:
    return {
        name: [sorted(one) if isinstance(one, frozenset) else one for one in column.tolist()]
        if column.dtype == object
        else column
        for name, column in columns.items()
    }


def _use_set(found: SegmentSet, shop: Any, as_of: Any) -> None:
    _stored(found)
    _asked(lambda: found.evaluate(shop[0], as_of=as_of).to_dict())


def _use_score(score: LeadScore, shop: Any, as_of: Any) -> None:
    base, customers, events = shop
    who = customers[0]
    own = [one for one in events if one.customer_id == who.id]
    _stored(score)
    _asked(
        lambda: score.evaluate(base, as_of=as_of).to_dict(),
        lambda: score.one(None, [], as_of=as_of).to_dict(),
        lambda: str(score.one(who, own, as_of=as_of, tz=base.tz)),
        lambda: score.explain(base, who.id, as_of=as_of).next_change,
        lambda: score.explain(base, who.id, as_of=as_of).crossed(since="2026-01-01"),
        lambda: score.problems(base.schema()),
    )


def _use_rfm(model: RfmModel, shop: Any, as_of: Any) -> None:
    _stored(model)
    _asked(lambda: model.score(SHOP, as_of=as_of).to_dict(), lambda: repr(model))


def _use_ltv(model: Any, shop: Any, as_of: Any) -> None:
    _stored(model)
    if isinstance(model, GammaGamma):
        _asked(
            lambda: model.expected_spend(SUMMARY),
            lambda: lifetime_value(BG, model, SUMMARY, horizon=days(90), annual_rate=0.1, margin=0.3),
        )
        return
    if isinstance(model, ShiftedBetaGeometric):
        _asked(
            lambda: model.survival(5), lambda: model.retention_rate(5), lambda: model.residual_renewals(3, 0.1),
            lambda: model.mean_churn,
        )  # fmt: skip
        return
    x = COUNTED if isinstance(model, BgBb) else SUMMARY
    _asked(
        lambda: model.expected_purchases(x, 5.0),
        lambda: model.probability_alive(x, at=0.0),
        lambda: model.purchase_probabilities(x, t=5.0, n=range(3)),
        lambda: model.expected_purchases_new(5.0),
        lambda: model.log_likelihood(x) if hasattr(model, "log_likelihood") else None,
    )


def _use_experiment(test: Experiment, shop: Any, as_of: Any) -> None:
    _stored(test)
    _asked(
        lambda: test.assign(["a", "b", 3]),
        lambda: test.assign(np.arange(20)).counts,
        lambda: test.assign(["a"], at=as_of),
        lambda: test.arm_of("a"),
        lambda: test.arm_of(7, at=as_of),
    )


def _use_chain(chain: TriggerChain, shop: Any, as_of: Any) -> None:
    _stored(chain)
    _asked(lambda: chain.assign(["a", "b"]), lambda: repr(chain))


def _use_uplift(score: UpliftScore, shop: Any, as_of: Any) -> None:
    base, customers, events = shop
    who = customers[0]
    own = [one for one in events if one.customer_id == who.id]
    _stored(score)
    _asked(
        lambda: score.evaluate(base, as_of=as_of).to_dict(),
        lambda: score.explain(base, who.id, as_of=as_of).to_dict(),
        lambda: score.one(None, [], as_of=as_of).to_dict(),
        lambda: str(score.one(who, own, as_of=as_of, tz=base.tz)),
        lambda: score.increments(base, as_of=as_of, margin=2.0, cost=1.0).to_dict(),
        score.table,
        score.needs,
        lambda: score.problems(base.schema()),
    )


def _uplift(rule: random.Random) -> dict[str, Any]:
    terms = [UpliftTerm(feature="x", mean=rule.random()), UpliftTerm(feature="x", kind="missing", mean=rule.random())]
    words = [UpliftTerm(feature="w", kind="word", word=word, mean=0.3) for word in ("a", "b")]
    points = [rule.uniform(-3, 3) for _ in range(4)]
    return UpliftScore(
        name="u", outcome="spend", control="none",
        features={"x": event("purchase").sum(), "w": field("city")}, terms=[*terms, *words],
        arms=[ArmUplift(arm="mail", average=rule.random(), points=points)],
    ).to_dict()  # fmt: skip


def _use_schema(schema: Schema, shop: Any, as_of: Any) -> None:
    _stored(schema)
    _asked(lambda: Segment("x", field("age") > 1).problems(schema))


def _use_recommender(spec: Any, shop: Any, as_of: Any) -> None:
    _stored(spec)
    if not isinstance(spec, (Blend, Fallback, Als)):  # iterations and factors may be many
        _asked(lambda: spec.fit(BOUGHT).recommend(customers=["c0"], k=2, as_of=as_of).to_dict())


def _use_rules(rules: Rules, shop: Any, as_of: Any) -> None:
    _stored(rules)
    _asked(lambda: POPULAR.recommend(customers=["c0", "nobody"], k=3, rules=rules, as_of=as_of).to_dict())


def _use_fitted(model: Any, shop: Any, as_of: Any) -> None:
    _asked(
        lambda: model.recommend(customers=["c0"], k=2, as_of=as_of).to_dict(),
        lambda: model.similar_items("i1", 2),
        lambda: repr(model),
    )


def _use_attribution(model: Any, shop: Any, as_of: Any) -> None:
    _stored(model)
    _asked(lambda: model.attribute(PATHS).to_dict())


def _use_markov(model: MarkovModel, shop: Any, as_of: Any) -> None:
    _stored(model)
    _asked(lambda: model.removal_effects, lambda: model.transition_matrix(), lambda: model.removal_of({"a"}))


def _shop(seed: int = 3, n: int = 40) -> Any:
    rng = np.random.default_rng(seed)
    return CustomerBase.from_orders(
        {
            "customer_id": [f"c{k}" for k in rng.integers(0, 8, n)],
            "time": np.datetime64("2026-01-01") + rng.integers(0, 300, n),
            "value": rng.integers(1, 50, n).astype(float),
            "item": [f"i{k}" for k in rng.integers(0, 6, n)],
            "order": np.arange(n) // 2,
        },
        customer_id="customer_id", time="time", value="value", item="item", order="order",
    )  # fmt: skip


SHOP = _shop()
BOUGHT = Interactions.of(SHOP)
POPULAR = Popular().fit(BOUGHT)
SUMMARY = PurchaseSummary(
    frequency=[0, 2, 5], recency=[0, 10, 30], T=[38, 39, 31], monetary_value=[0, 20, 5.5], unit="week"
)
COUNTED = PurchaseSummary(frequency=[0, 2, 6], recency=[0, 3, 6], T=[6, 6, 6], unit="period")
BG = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
PATHS = Journeys.from_paths(["a > b", "a", "b > a > direct"], conversions=[3, 1, 2], value=[3, 5, 1], nulls=[0, 4, 2])


def _segment(rule: random.Random) -> dict:
    for _ in range(50):
        try:
            return Segment("seg", _RANDOM["some_rule"](rule, AS_OF), description="x").to_dict()
        except RelmarkError:
            continue
    raise AssertionError("no rule of fifty could be built")


def _set(rule: random.Random) -> dict:
    return SegmentSet([Segment.from_dict(_segment(rule) | {"name": name}) for name in "ab"]).to_dict()


DECAYS = [None, half_life(days(30)), linear_decay(days(90)), step_decay({days(5): 1.0, days(30): 0.5})]


def _score(rule: random.Random) -> dict:
    for _ in range(50):
        try:
            return LeadScore(
                name="s",
                groups=[Group("fit", cap=10), Group("engagement", cap=rule.choice([3, 50]))],
                rules=[
                    Rule("when", when=_RANDOM["some_rule"](rule, AS_OF, 1), points=5, group="fit"),
                    Rule("each", each=_RANDOM["some_events"](rule), points=2, group="engagement",
                         decay=rule.choice(DECAYS)),
                ],
                bands={"hot": 10, "warm": 3},
                grades=Grade(fit={"A": 5, "C": 0}, engagement={1: 10, 3: 0}),
            ).to_dict()  # fmt: skip
        except RelmarkError:
            continue
    raise AssertionError("no score of fifty could be built")


def _policy(rule: random.Random) -> dict:
    for _ in range(50):
        try:
            return ContactPolicy(
                "p",
                campaigns=[
                    Campaign("a", who=_RANDOM["some_rule"](rule, AS_OF, 1), trigger=_RANDOM["some_events"](rule),
                             channels=["email", "sms"], control=0.1, limit=3, times=2, hour=field("age")),
                    Campaign("b", channels=["sms"], again=days(7), start="2026-01-01", category="promo"),
                    Chain("c", starts=_RANDOM["some_events"](rule), channels=["email"],
                          late=days(rule.choice([1, 400])),
                          steps=[Step("x"), Step("y", after=days(3), when=_RANDOM["some_rule"](rule, AS_OF, 1))]),
                ],
                channels={"email": None, "sms": _RANDOM["some_rule"](rule, AS_OF, 1)},
                caps=[Cap(1, per="day"), Cap(2, within=days(9), category="promo")],
                quiet=QuietHours("21:00", "09:00", weekdays=[1, 5]), holdout=Holdout(0.1, salt="h", period="month"),
                gap=rule.choice([None, days(1)]),
            ).to_dict()  # fmt: skip
        except RelmarkError:
            continue
    raise AssertionError("no policy of fifty could be built")


def _use_policy(policy: ContactPolicy, shop: Any, as_of: Any) -> None:
    base, customers, events = shop
    who = customers[0]
    own = [one for one in events if one.customer_id == who.id]
    _stored(policy)
    _asked(
        lambda: policy.evaluate(base, as_of=as_of).to_dict(),
        lambda: policy.evaluate(base, as_of=as_of).held.to_dict(),
        lambda: policy.evaluate(base, as_of=as_of).to_events(),
        lambda: policy.one(who, own, as_of=as_of, tz=base.tz).messages,
        lambda: policy.explain(base, who.id, as_of=as_of).to_dict(changes=False),
        lambda: policy.needs(),
    )


def _experiment(rule: random.Random) -> dict:
    rest = rule.choice(
        [{}, {"layer": Layer("email", shares={"t": 0.5, "u": 0.2}, salt="l")}, {"holdout": Holdout(0.1, salt="h")},
         {"namespace": Namespace("n", low=0.1, high=0.6)}]
    )  # fmt: skip
    return Experiment("t", arms={"control": 0.25, "mail": 0.75}, salt="s", coverage=0.9, **rest).to_dict()


LTV = [
    BG, MbgNbd(r=0.5, alpha=6.0, a=0.9, b=1.6), ParetoNbd(r=0.55, alpha=10.6, s=0.6, beta=11.7), Nbd(r=0.4, alpha=4.0),
    BgBb(alpha=1.2, beta=0.75, gamma=0.66, delta=2.78), GammaGamma(p=6.25, q=3.74, v=15.4),
    ShiftedBetaGeometric(alpha=0.7, beta=1.2),
]  # fmt: skip
SPECS = [
    Popular(), NewArrivals(), BuyAgain(), ItemNeighbors(k=3), Ease(), Als(factors=4, iterations=2),
    Blend({Popular(): 1.0, Ease(): 0.5}), Fallback([BuyAgain(), Popular()]),
]  # fmt: skip
ASKED = Rules(
    exclude_bought="always",
    deny=["i1"],
    after_purchase=[
        AfterPurchase(
            of=Category("jacket"), within=days(30), block=["i2", Category("wool", column="of")], boost={"shoes": 2.0}
        )
    ],
)
MODELS = [
    LastNonDirect(["direct"]),
    Linear(),
    PositionBased(0.4, 0.2, 0.4),
    TimeDecay(days(7)),
    Shapley(),
    Markov(order=1),
]

Source = tuple[Callable[[random.Random], dict], Callable[..., Any], Callable[..., None]]

FITTED = [spec.fit(BOUGHT).to_dict() for spec in (Popular(), BuyAgain(), ItemNeighbors(k=2))]
KINDS: dict[str, Source] = {
    "segment": (_segment, Segment, _use_segment),
    "segment_set": (_set, SegmentSet, _use_set),
    "lead_score": (_score, LeadScore, _use_score),
    "rfm": (lambda rule: Rfm(bins=5).fit(SHOP, as_of="2026-11-01").to_dict(), RfmModel, _use_rfm),
    "experiment": (_experiment, Experiment, _use_experiment),
    "trigger_chain": (
        lambda rule: TriggerChain("t", steps=["a", "b"], chain_control=0.1, step_control=0.1, salt="s").to_dict(),
        TriggerChain,
        _use_chain,
    ),
    "uplift_score": (_uplift, UpliftScore, _use_uplift),
    "schema": (lambda rule: SHOP.schema().to_dict(), Schema, _use_schema),
    "rules": (lambda rule: ASKED.to_dict(), Rules, _use_rules),
    "fitted": (lambda rule: FITTED[rule.randrange(len(FITTED))], Fitted, _use_fitted),
    "attribution": (lambda rule: rule.choice(MODELS).to_dict(), AttributionModel, _use_attribution),
    "markov": (lambda rule: Markov(order=1).fit(PATHS).to_dict(), MarkovModel, _use_markov),
    "spec": (lambda rule: rule.choice(SPECS).to_dict(), None, _use_recommender),
} | {type(model).kind: (lambda rule, model=model: model.to_dict(), type(model), _use_ltv) for model in LTV}
OFTEN = ["segment"] * 10 + ["lead_score"] * 6 + ["rfm", "experiment", "rules", "spec"] * 2 + list(KINDS)
KINDS["contact_policy"] = (_policy, ContactPolicy, _use_policy)  # by itself, below


def _read(kind: Any, body: Any, way: str, limits: Any = None) -> Any:
    if way == "dict":
        return spec_from_dict(body) if kind is None else kind.from_dict(body)
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return spec_from_dict(json.loads(text)) if kind is None else kind.from_json(text)


def _check_message(said: str) -> None:
    assert said.strip()
    assert len(said) < 5_000, "the message repeats the whole input"


def _try_one(seed: int, names: list[str] = OFTEN) -> str:
    """Draw one definition, spoil it, read it, and use what was accepted. Return its kind and what became of it."""
    rng = np.random.default_rng([7, seed])
    rule = random.Random(int(rng.integers(2**32)))
    name = str(rng.choice(names))
    make, kind, use = KINDS[name]
    way = str(rng.choice(["dict", "json", "text"] if kind is not None else ["dict"]))
    body = _mutated(make(rule), rng, PLAIN + (OBJECTS if way == "dict" else []))
    as_of = [AS_OF, "2026-11-01", _RANDOM["some_as_of"](rule)][rng.integers(3)]
    if way == "text":
        body = _spoilt_text(json.dumps(make(rule) if rng.random() < 0.7 else body), rng)
    base = _shops(int(rng.integers(20)))
    if name in {"segment", "lead_score", "contact_policy"}:
        for schema in (None, base[0].schema()):
            checked = kind.check(body, schema)  # never raises
            assert isinstance(checked.problems, tuple)
            json.dumps(checked.to_dict())
    try:
        found = _read(kind, body, way)
    except RelmarkError as error:
        _check_message(str(error))
        return f"{name} refused"
    use(found, base, as_of)
    return f"{name} accepted"


_SHOPS: dict[int, Any] = {}


def _shops(seed: int) -> Any:
    """Return one of twenty small bases with its customers and events."""
    if seed not in _SHOPS:
        _SHOPS[seed] = _RANDOM["some_base"](random.Random(seed), ("UTC", "Europe/Berlin")[seed % 2], AS_OF)
    return _SHOPS[seed]


def _try_policy(seed: int) -> str:
    return _try_one(100_000 + seed, ["contact_policy"])


@pytest.mark.slow
def test_spoilt_policies_are_refused_or_work():
    wrong, became = failures(_try_policy, range(600))
    assert not wrong, "\n".join(wrong)
    assert {word.split()[-1] for word in became} == {"accepted", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_spoilt_definitions_are_refused_or_work(part):
    size = SEEDS // PARTS
    wrong, became = failures(_try_one, range(part * size, (part + 1) * size))
    assert not wrong, f"{len(wrong)} of {size}:\n" + "\n".join(wrong)
    assert sum(n for what, n in became.items() if "accepted" in what) > size / 20
    assert sum(n for what, n in became.items() if "refused" in what) > size / 2
