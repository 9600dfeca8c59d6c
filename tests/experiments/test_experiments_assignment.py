"""Assignment: stable hashes, ramping, layers, holdouts, strata, and the refusals at the door."""

import hashlib
import pickle

import attrs
import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, sample
from relmark.errors import DefinitionError, InputError, NotEnoughDataError
from relmark.experiments import (
    BootstrapSums,
    Experiment,
    Holdout,
    Layer,
    Namespace,
    TriggerChain,
    balanced_salt,
    hash_fraction,
    sample_ratio_test,
    stratified_assignment,
)
from relmark.experiments.assignment import sha256_fraction
from relmark.experiments.checks import balance

IDS = np.arange(20_000)
ARMS = {"control": 0.1, "mail": 0.9}


def test_an_assignment_names_codes_and_counts_its_arms():
    a = Experiment("spring", arms=ARMS, salt="2026-spring").assign(IDS)
    assert a.arms == ("control", "mail")
    assert (a.arm == np.array(a.arms)[a.code]).all()
    assert a.counts == {"control": int((a.code == 0).sum()), "mail": int((a.code == 1).sum())}
    assert a.excluded == {}
    assert sample_ratio_test(a.counts, ARMS).passed
    assert set(a.members("control")) == set(IDS[a.code == 0])
    assert "control" in repr(a)
    assert "planned" in str(a)
    assert len(a.to_columns()["customer_id"]) == len(IDS)


def test_one_customer_gets_the_arm_of_the_list_in_any_order():
    test = Experiment("spring", arms=ARMS)
    a = test.assign(IDS)
    assert [test.arm_of(int(i)) for i in IDS[:50]] == a.arm[:50].tolist()
    mixed = np.random.default_rng(0).permutation(IDS)
    assert (test.assign(mixed).arm == a.arm[mixed]).all()


def test_whole_numbers_hash_as_their_text():
    test = Experiment("spring", arms=ARMS)
    assert test.assign([1, 22, 333]).arm.tolist() == test.assign(["1", "22", "333"]).arm.tolist()


def test_arms_are_ranges_of_growthbooks_hash():
    test = Experiment("spring", arms={"a": 0.3, "b": 0.3, "c": 0.4}, salt="s", coverage=0.5)
    f = hash_fraction(IDS, "s")
    expected = np.select([f < 0.15, (f >= 0.3) & (f < 0.45), (f >= 0.6) & (f < 0.8)], [0, 1, 2], -1)
    # The upper ends are those of floating point, 0.3 + 0.5 * 0.3 and so on, as in the SDKs.
    assert (test.assign(IDS).code == expected).mean() > 0.9995
    assert set(test.assign(IDS).reason[expected < 0]) <= {"coverage", ""}


def test_sha256_is_what_a_warehouse_computes():
    expected = [int(hashlib.sha256(f"s:{i}".encode()).hexdigest()[:8], 16) % 10_000 / 10_000 for i in IDS[:100]]
    assert sha256_fraction(IDS[:100], "s").tolist() == expected
    a = Experiment("t", arms={"control": 0.5, "mail": 0.5}, salt="s", hash="sha256").assign(IDS[:100])
    assert (a.code == (np.array(expected) >= 0.5)).all()


def test_holdout_and_layer_and_coverage_say_who_is_outside_and_why():
    layer = Layer("mailings", shares={"spring": 0.5, "survey": 0.3})
    test = Experiment("spring", arms=ARMS, holdout=Holdout(0.05, salt="q2"), layer=layer, coverage=0.8)
    a = test.assign(IDS)
    out = a.code < 0
    assert set(a.reason[out]) == {"holdout", "layer", "coverage"}
    assert (a.reason[~out] == "").all()
    assert (a.arm[out] == "").all()
    assert a.excluded["holdout"] == int(Holdout(0.05, salt="q2").members(IDS).sum())
    assert sum(a.excluded.values()) + sum(a.counts.values()) == len(IDS)
    assert test.arm_of(int(IDS[out][0])) is None
    other = Experiment("survey", arms=ARMS, layer=layer).assign(IDS)
    assert not ((other.code >= 0) & (a.code >= 0)).any()
    assert 0.27 < (other.code >= 0).mean() < 0.33


def test_a_rotating_holdout_holds_out_each_customer_once_in_a_round():
    holdout = Holdout(0.05, salt="u", period="quarter")
    dates = [f"{2026 + q // 4}-{3 * (q % 4) + 2:02d}-15" for q in range(20)]
    held = np.stack([holdout.members(IDS, at=day) for day in dates])
    assert (held.sum(axis=0) == 1).all()
    assert np.allclose(held.mean(axis=1), 0.05, atol=0.006)
    assert (holdout.members(IDS, at="2026-04-01") == holdout.members(IDS, at="2026-06-30")).all()


def test_a_rotating_holdout_takes_an_instant_a_customer_and_a_time_zone():
    holdout = Holdout(0.5, salt="u", period="month", tz="Asia/Omsk")
    at = [["2026-01-31T17:00Z", "2026-01-31T19:00Z"][k % 2] for k in IDS.tolist()]
    early, late = holdout.members(IDS, at="2026-01-15"), holdout.members(IDS, at="2026-02-15")
    wanted = np.where(IDS % 2 == 0, early, late)
    assert (holdout.members(IDS, at=at) == wanted).all()  # Omsk is six hours ahead
    local = np.where(IDS % 2 == 0, np.datetime64("2026-01-31T23:00"), np.datetime64("2026-02-01T01:00"))
    assert (holdout.members(IDS, at=local) == wanted).all()  # without a zone it is the holdout's
    days = np.where(IDS % 2 == 0, np.datetime64("2026-01-31"), np.datetime64("2026-02-01"))
    assert (holdout.members(IDS, at=days) == wanted).all()
    assert holdout.holds(1, at="2026-02-01T00:30") == late[1]
    with pytest.raises(InputError, match="tz is 'Omsk'"):
        Holdout(0.5, salt="u", period="month", tz="Omsk")


def test_a_rotating_holdout_needs_to_know_when():
    with pytest.raises(InputError, match="depend on the time"):
        Holdout(0.05, salt="u", period="year").members(IDS)
    with pytest.raises(InputError, match="no period"):
        Holdout(0.05, salt="u").period_of("2026-01-01")
    test = Experiment("spring", arms=ARMS, holdout=Holdout(0.05, salt="u", period="year"))
    assert test.arm_of(1, at="2026-05-01") in {"control", "mail", None}


def test_strata_are_split_as_planned_and_by_chance():
    strata = np.where(IDS % 7 == 0, "big", "small")
    arms = {"control": 0.1, "a": 0.45, "b": 0.45}
    a = stratified_assignment(IDS, strata, arms=arms, salt="s")
    for stratum in ("big", "small"):
        here = strata == stratum
        for arm, share in arms.items():
            assert abs((a.arm[here] == arm).sum() - share * here.sum()) < 1
    other = stratified_assignment(IDS, strata, arms=arms, salt="other")
    assert 0.3 < (a.arm == other.arm).mean() < 0.55


def test_people_alone_in_their_stratum_still_have_the_planned_chance():
    a = stratified_assignment(IDS, IDS, arms={"control": 0.2, "mail": 0.8}, salt="s")
    assert abs((a.arm == "control").mean() - 0.2) < 0.015


def test_a_salt_is_found_with_which_the_arms_are_alike():
    rng = np.random.default_rng(1)
    spend = rng.lognormal(2, 1, 500)
    test = Experiment("small", arms={"control": 0.5, "mail": 0.5})
    found = balanced_salt(test, IDS[:500], {"spend": spend}, threshold=0.02)
    assert found.balance.worst <= 0.02
    assert found.tries > 1
    assert found.experiment.salt == found.salt
    assert (found.experiment.assign(IDS[:500]).code == found.experiment.assign(IDS[:500]).code).all()
    assert found.to_dict()["salt"] == found.salt
    assert "tries" in repr(found)
    with pytest.raises(NotEnoughDataError, match="none of 2 salts"):
        balanced_salt(test, IDS[:500], {"spend": spend}, threshold=1e-9, tries=2)


def test_balance_finds_a_draw_that_was_not_fair():
    rng = np.random.default_rng(1)
    spend = rng.normal(10, 2, 4000)
    arm = np.where(spend + rng.normal(0, 2, 4000) > 10, "mail", "control")
    found = balance({"spend": spend, "constant": np.ones(4000)}, arm, columns=["spend", "constant"])
    assert not found.check().passed
    assert found.worst > 0.5
    assert np.isnan(found.difference[found.column == "constant"]).all()
    fair = balance({"spend": spend}, rng.permutation(arm)).check()
    assert fair.passed
    assert balance({"constant": np.ones(4)}, ["control", "mail"] * 2).check().message.startswith("nothing varies")
    assert np.isnan(balance({"constant": np.ones(4)}, ["control", "mail"] * 2).worst)


@pytest.mark.parametrize(
    "definition",
    [
        Experiment("spring", arms=ARMS, salt="s", coverage=0.5, control="mail", hash="sha256"),
        Experiment(
            "spring",
            arms={"b": 0.5, "a": 0.5},
            holdout=Holdout(0.05, salt="h", period="month", tz="Europe/Berlin"),
            layer=Layer("l", shares={"z": 0.2, "spring": 0.5}, salt="x"),
        ),
        Holdout(0.1, salt="h"),
        Layer("l", shares={"b": 0.1, "a": 0.2}),
        TriggerChain("w", steps=["a", "b"], chain_control=0.1, step_control=0.2, holdout=Holdout(0.1, salt="h")),
    ],
)
def test_definitions_survive_json_with_the_order_of_their_arms(definition):
    again = type(definition).from_json(definition.to_json())
    assert again == definition
    assert again.fingerprint == definition.fingerprint
    if isinstance(definition, Experiment):
        assert list(again.arms) == list(definition.arms)
        assert again.control_arm == definition.control_arm


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"relmark": "experiment", "version": 1, "name": "x", "arms": {"a": 1}}, "pairs"),
        ({"relmark": "experiment", "version": 1, "name": "x", "arms": [["a", 0.5], ["a", 0.5]]}, "twice"),
        ({"relmark": "experiment", "version": 1, "name": "x", "arms": [["a", 0.5], ["b", 0.4]]}, "sum to 0.9"),
        ({"relmark": "experiment", "version": 1, "name": "x", "arms": [["a", 0.5], ["b", 0.5]], "salz": 1}, "salt"),
        ({"relmark": "experiment", "version": 9, "name": "x", "arms": []}, "version"),
        (
            {
                "relmark": "experiment",
                "version": 1,
                "name": "x",
                "arms": [["a", 0.5], ["b", 0.5]],
                "holdout": {"relmark": "layer", "version": 1},
            },
            "holdout",
        ),
    ],
)
def test_a_stored_experiment_that_makes_no_sense_is_refused(document, message):
    with pytest.raises(DefinitionError, match=message):
        Experiment.from_dict(document)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Experiment("x", arms={"a": 0.5, "b": 0.4}), "sum to 0.9"),
        (lambda: Experiment("x", arms={"a": 1.0}), "at least two arms"),
        (lambda: Experiment("x", arms={"a": 0.0, "b": 1.0}), "above 0"),
        (lambda: Experiment("", arms=ARMS), "not empty"),
        (lambda: Experiment("x", arms=ARMS, coverage=0), "coverage"),
        (lambda: Experiment("x", arms=ARMS, hash="md5"), "sha256"),
        (lambda: Experiment("x", arms=ARMS, control="no"), "control is 'no'"),
        (lambda: Experiment("x", arms=ARMS, layer=Layer("l", shares={"xx": 0.5})), "Did you mean 'xx'"),
        (lambda: Experiment("x", arms=ARMS).assign([[1, 2]]), "shape"),
        (lambda: Experiment("x", arms=ARMS).assign([1]).members("no"), "arm is 'no'"),
        (lambda: Experiment("x", arms=ARMS).arm_of(1.5), "int or str"),
        (lambda: Experiment("x", arms=ARMS).arm_of(True), "int or str"),
        (lambda: Holdout(1.5, salt="h"), "share"),
        (lambda: Holdout(0.5, salt="h", period="week"), "month"),
        (lambda: Layer("l", shares={"a": 0.7, "b": 0.7}), "sum to 1.4"),
        (lambda: Layer("l", shares={}), "mapping"),
        (lambda: stratified_assignment([1, 2], ["a"], arms=ARMS, salt="s"), "strata has 1 rows"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_definition_keeps_arms_of_its_own():
    arms = {"control": 0.5, "mail": 0.5}
    test = Experiment("x", arms=arms)
    arms["mail"] = 0.9
    assert test.arms["mail"] == 0.5


def test_definitions_and_results_pickle():
    test = Experiment("x", arms=ARMS, holdout=Holdout(0.1, salt="h"), layer=Layer("l", shares={"x": 0.5}))
    assert pickle.loads(pickle.dumps(test)) == test
    a = pickle.loads(pickle.dumps(test.assign(IDS[:100])))
    assert (a.code == test.assign(IDS[:100]).code).all()


def test_a_stored_holdout_inside_may_be_wrong_in_its_own_way():
    body = Experiment("x", arms=ARMS, holdout=Holdout(0.1, salt="h")).to_dict()
    body["holdout"]["share"] = 7
    with pytest.raises(DefinitionError, match="share"):
        Experiment.from_dict(body)
    body["holdout"]["version"] = 99
    with pytest.raises(DefinitionError, match="version"):
        Experiment.from_dict(body)
    chain = TriggerChain("w", steps=["a"], chain_control=0.1, step_control=0.2)
    assert TriggerChain.from_json(chain.to_json()) == chain


# Several draws that meet in one customer


def shares(a):
    return {arm: n / max(sum(a.counts.values()), 1) for arm, n in a.counts.items()}


ROLE_SALTS = ["spring", "весна", "😀", "a/b", "layer:spring"]


@pytest.mark.parametrize("salt", ROLE_SALTS)
def test_roles_of_one_name_are_drawn_apart(salt):
    ids = np.arange(100_000)
    alone = Experiment(salt, arms={"control": 0.1, "mail": 0.9})
    in_layer = attrs.evolve(alone, layer=Layer(salt, shares={salt: 0.5, "other": 0.5}))
    held = attrs.evolve(alone, holdout=Holdout(0.05, salt=salt))
    for test in (in_layer, held):
        assert abs(shares(test.assign(ids))["control"] - 0.1) < 0.005
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=ids))
    twenty = base.measure({"in": sample(20, salt=salt)}, as_of="2026-01-01")["in"].astype(bool)
    assert abs(shares(alone.assign(ids[twenty]))["control"] - 0.1) < 0.01
    layer, holdout = Layer(salt, shares={"a": 0.2, "b": 0.8}), Holdout(0.2, salt=salt)
    drawn = [twenty, layer.members(ids, "a"), holdout.members(ids), alone.assign(ids).arm == "control"]
    chain = TriggerChain(salt, steps=["a", "b"], chain_control=0.2, step_control=0.2)
    drawn += [chain.step(name).assign(ids).arm == "control" for name in ("a", "b")]
    drawn.append(stratified_assignment(ids, np.zeros(len(ids)), arms=ARMS, salt=salt).arm == "control")
    correlations = np.corrcoef(np.array(drawn))
    assert np.abs(correlations[~np.eye(len(drawn), dtype=bool)]).max() < 0.02


def test_bootstrap_weights_are_drawn_apart_from_the_arms_that_a_balanced_salt_found():
    ids = np.arange(50_000)
    arm = Experiment("x", arms={"control": 0.5, "mail": 0.5}, salt="s/0").assign(ids)
    sums = BootstrapSums.from_columns(np.ones(len(ids)), arm, ids, salt="s", resamples=20)
    assert np.abs(sums.weight[:, 0] / sums.people - 1).max() < 0.03


def test_equal_salts_in_one_chain_of_roles_are_refused():
    layer = Layer("mailings", shares={"x": 1.0}, salt="s")
    with pytest.raises(InputError, match="the experiment and its holdout have the same salt 's'"):
        Experiment("x", arms=ARMS, salt="s", holdout=Holdout(0.1, salt="s"))
    with pytest.raises(InputError, match="the experiment and its layer have the same salt"):
        Experiment("x", arms=ARMS, salt="s", layer=layer)
    with pytest.raises(InputError, match="its layer and its holdout have the same salt"):
        Experiment("x", arms=ARMS, layer=layer, holdout=Holdout(0.1, salt="s"))
    with pytest.raises(InputError, match="the chain and its holdout have the same salt"):
        TriggerChain("w", steps=["a"], chain_control=0.1, step_control=0.1, salt="s", holdout=Holdout(0.1, salt="s"))
    with pytest.raises(InputError, match="the seed of another draw"):
        Experiment("x", arms=ARMS, salt="layer:s", layer=layer)
    body = Experiment("x", arms=ARMS, salt="t", holdout=Holdout(0.1, salt="s")).to_dict()
    with pytest.raises(DefinitionError, match="have the same salt"):
        Experiment.from_dict({**body, "salt": "s"})
    assert Experiment("x", arms=ARMS, layer=Layer("x", shares={"x": 1.0}), holdout=Holdout(0.1, salt="x"))


def test_no_two_chains_share_the_draw_of_a_step():
    one = TriggerChain("a/b", steps=["c"], chain_control=0.1, step_control=0.5)
    two = TriggerChain("a", steps=["b/c"], chain_control=0.1, step_control=0.5)
    assert one.step("c").salt != two.step("b/c").salt


def test_shares_that_nearly_sum_to_one_are_those_of_the_sdks():
    test = Experiment("x", arms={"a": 0.333, "b": 0.333, "c": 0.333})
    assert test.drawn.ranges[-1] == pytest.approx((0.666, 0.999))
    drawn = test.assign(IDS)
    assert 0 < (drawn.reason == "coverage").mean() < 0.003
    assert sum(drawn.shares) == pytest.approx(1)
    assert sample_ratio_test(drawn.counts, dict(zip(drawn.arms, drawn.shares, strict=True))).passed
    with pytest.raises(InputError, match=r"arms sum to 0\.98"):
        Experiment("x", arms={"a": 0.49, "b": 0.49})


def test_namespaces_are_stored_and_their_ranges_checked():
    test = Experiment("x", arms=ARMS, namespace=Namespace("n", 0.2, 0.7))
    assert Experiment.from_json(test.to_json()) == test
    inside = test.assign(IDS).code >= 0
    assert 0.45 < inside.mean() < 0.55
    assert [test.arm_of(int(i)) is not None for i in IDS[:200]] == inside[:200].tolist()
    with pytest.raises(InputError, match=r"low and high are 0\.7 and 0\.2"):
        Namespace("n", 0.7, 0.2)
