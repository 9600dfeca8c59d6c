"""What `allocate` and the parts of a policy take and refuse at their doors."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from relmark.campaigns import Chain, ContactPolicy, Step, allocate
from relmark.errors import InputError
from relmark.expressions import event

TABLE = {"customer_id": ["x", "y", "z"], "mail": [1.0, 2.0, 3.0], "call": [3.0, 1.0, np.nan]}


def test_a_mapping_and_a_frame_with_ids_give_the_same_allocation():
    mapping = allocate(TABLE, capacity={"mail": 1})
    frame = allocate(pl.DataFrame(TABLE), capacity={"mail": 1})
    array = allocate(np.column_stack([TABLE["mail"], TABLE["call"]]), customer_id=TABLE["customer_id"],
                     offers=["mail", "call"], capacity={"mail": 1})  # fmt: skip
    assert mapping.to_dict() == frame.to_dict() == array.to_dict()
    assert allocate(TABLE, offers=["call"]).to_dict() != mapping.to_dict()


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        (TABLE, {"offers": ["mial"]}, "no column 'mial'"),
        ({"customer_id": ["x"]}, {}, "no offer"),
        ([1.0, 2.0], {}, r"shape \(2,\)"),
        ([[1.0, 2.0]], {"offers": "ab"}, "a list of names"),
        ([[1.0, 2.0]], {"offers": ["a"]}, "2 different names"),
        ([[1.0], [2.0]], {"customer_id": ["x", "x"]}, "twice"),
        ([[1.0, 2.0]], {"cost": [1.0, 2.0, 3.0]}, "shape"),
    ],
)
def test_what_is_wrong_is_named(values, more, said):
    with pytest.raises(InputError, match=said):
        allocate(values, **more)


def test_parts_of_a_policy_are_lists_of_their_types():
    def chain(steps):
        return Chain("c", starts=event("s"), steps=steps, channels=["email"], late=None)

    with pytest.raises(InputError, match="a list of Steps"):
        chain("first")
    with pytest.raises(InputError, match="each element must be a Step"):
        chain(["first"])
    good = chain([Step("one", after=timedelta(0))])
    assert good == chain([Step("one", after=timedelta(0))])
    assert hash(good) == hash(chain([Step("one", after=timedelta(0))]))
    policy = ContactPolicy("p", channels={"email": None}, campaigns=[good])
    assert hash(policy) == hash(ContactPolicy("p", channels={"email": None}, campaigns=[good]))
