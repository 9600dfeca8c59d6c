"""Results that are compared later: to arrays and back through npz and Arrow, and damage that is told."""

from __future__ import annotations

import io
import json

import attrs
import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field
from relmark.errors import DefinitionError
from relmark.recommend import Ease, Interactions, Popular
from relmark.scoring import Group, LeadScore, Rule
from relmark.segmentation import Rfm, RfmGrid, Segment, migration

AS_OF = "2026-02-01"


def base(ids=("a", "b", "c", "d")):
    n = len(ids)
    log = EventLog.from_columns(
        customer_id=[ids[k % n] for k in range(3 * n)], type="purchase",
        time=[f"2026-01-{k + 1:02}T10:00Z" for k in range(3 * n)], value=[float(k + 1) for k in range(3 * n)],
        properties={"item": [f"i{k % 3}" for k in range(3 * n)]},
    )  # fmt: skip
    table = CustomerTable.from_columns(customer_id=list(ids), age=[20 + k for k in range(n - 1)] + [None])
    return CustomerBase(customers=table, events=log)


SCORE = LeadScore(
    name="s", rules=[Rule("old", when=field("age") >= 21, points=3, group="g"),
                     Rule("buys", each=event("purchase"), points=1, cap=2)],
    groups=[Group("g", cap=2)], bands={"hot": 4, "cold": 0},
)  # fmt: skip
RULE = (field("age") >= 21) & (event("purchase").count(within=days(300)) >= 2)
EACH = np.array(["2026-02-01T00:00", "2026-02-02", "2026-02-03", "2026-02-04"], "M8[us]")
RESULTS = {
    "members": lambda: Segment("s", RULE).evaluate(base(), as_of=AS_OF),
    "members of each": lambda: Segment("s", RULE).evaluate(base(), as_of=EACH),
    "members by number": lambda: Segment("s", RULE).evaluate(base((5, 3, 9)), as_of="2026-02-01T09:30Z"),
    "rfm": lambda: Rfm(bins=2, grid=RfmGrid.by_score(2)).score(base(), as_of=AS_OF),
    "scores": lambda: SCORE.evaluate(base(), as_of=AS_OF),
    "scores of each": lambda: SCORE.evaluate(base(), as_of=EACH),
    "recommendations": lambda: Popular().fit(Interactions.of(base())).recommend(customers=["a", "b"], k=2),
    "recommendations by number": lambda: Ease().fit(Interactions.of(base((5, 3, 9)))).recommend(customers=[3, 5], k=2),
    "no recommendations": lambda: Popular().fit(Interactions.of(base())).recommend(customers=[], k=2),
}
ALL = pytest.mark.parametrize("name", RESULTS)


@ALL
def test_a_result_comes_back_from_arrays_npz_and_arrow(name):
    one = RESULTS[name]()
    arrays = one.to_arrays()
    assert all(type(array) is np.ndarray and array.dtype.kind in "biufUM" for array in arrays.values())
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        found = type(one).from_arrays(loaded)
    for back in (type(one).from_arrays(arrays), found):
        assert back.to_dict() == one.to_dict()
        assert str(back) == str(one)
        for column, values in one.to_columns().items():
            assert np.array_equal(np.asarray(back.to_columns()[column]), np.asarray(values)) or values.dtype.kind == "f"
        again = back.to_arrays()
        assert {key: array.tolist() for key, array in again.items() if array.dtype.kind != "f"} == {
            key: array.tolist() for key, array in arrays.items() if array.dtype.kind != "f"
        }
        held = [getattr(back, field.name) for field in attrs.fields(type(one))]
        assert not any(array.flags.writeable for array in held if isinstance(array, np.ndarray))


@ALL
def test_arrays_pass_arrow_and_come_back(name):
    pa = pytest.importorskip("pyarrow")
    one = RESULTS[name]()
    arrays = one.to_arrays()
    carried = {}
    for key, array in arrays.items():
        if array.ndim != 1:
            carried[key] = array
            continue
        back = np.asarray(pa.array(array).to_numpy(zero_copy_only=False))
        carried[key] = back.astype(array.dtype)
    assert type(one).from_arrays(carried).to_dict() == one.to_dict()


@ALL
def test_damage_is_told_whatever_it_is(name):
    one = RESULTS[name]()
    arrays = one.to_arrays()
    for key in [key for key in arrays if key != "relmark"]:
        array = arrays[key]
        with pytest.raises(DefinitionError) as caught:
            type(one).from_arrays({k: a for k, a in arrays.items() if k != key})
        assert caught.value.code in {"missing_key", "damaged"}
        changes = [array.reshape(-1)] if array.ndim > 1 else [array[:-1], array[None]]
        if array.size > 1 and len(set(array.reshape(-1).tolist())) > 1:
            changes.append(array[::-1])
        for changed in changes:
            if changed.shape != array.shape or not np.array_equal(changed, array):
                with pytest.raises(DefinitionError) as caught:
                    type(one).from_arrays({**arrays, key: changed})
                assert caught.value.code in {"damaged", "wrong_shape"}
    head = json.loads(str(arrays["relmark"]))
    for change in (
        {"relmark": "other"},
        {"version": 9},
        {"checksum": "0"},
        {"values": []},
        {"values": {}},
        {"extra": 1},
    ):
        with pytest.raises(DefinitionError):
            type(one).from_arrays({**arrays, "relmark": np.array(json.dumps({**head, **change}))})
    for wrong in ({}, [], None, {**arrays, "more": np.zeros(2)}):
        with pytest.raises(DefinitionError):
            type(one).from_arrays(wrong)


def test_a_file_that_was_cut_off_is_told():
    one = RESULTS["scores"]()
    file = io.BytesIO()
    np.savez(file, **one.to_arrays())
    data = bytearray(file.getvalue())
    place = data.find(b"by_rule")
    data[place + 150 : place + 170] = bytes(20)
    loaded = np.load(io.BytesIO(bytes(data)))
    with pytest.raises(DefinitionError) as caught:
        type(one).from_arrays(loaded)
    assert caught.value.code == "damaged"


def test_a_stored_scoring_is_compared_with_a_later_one():
    first = RESULTS["rfm"]()
    stored = type(first).from_arrays(first.to_arrays())
    later = stored.model.score(base(), as_of="2026-03-01")
    assert migration(stored, later).to_dict() == migration(first, later).to_dict()
    before = RESULTS["members"]()
    rule = Segment("s", RULE)
    after = rule.evaluate(base(), as_of="2026-03-01")
    again = type(before).from_arrays(before.to_arrays())
    assert rule.diff(again, after).to_dict() == rule.diff(before, after).to_dict()


def test_a_fitted_recommender_has_a_fingerprint_of_what_it_knows():
    model = Ease().fit(Interactions.of(base()))
    again = type(model).from_arrays(model.to_arrays())
    assert again.fingerprint == model.fingerprint == Ease(meta={"owner": "x"}).fit(Interactions.of(base())).fingerprint
    assert Ease(regularization=7.0).fit(Interactions.of(base())).fingerprint != model.fingerprint
    assert Ease().fit(Interactions.of(base(("a", "b", "x", "y")))).fingerprint != model.fingerprint
