"""Columns that numpy cannot hold as they are meant: refused by name at every door, never misread."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, resolve_identities
from relmark.core import checks
from relmark.errors import DefinitionError, InputError
from relmark.experiments import Experiment, Mean, analyze, hash_fraction
from relmark.ltv import BgNbd, PurchaseSummary
from relmark.scoring import calibrate
from relmark.segmentation import Segment

RAGGED = [[1, 2], [3], []]
MASKED = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
DAYS = np.array(["2026-01-01", "2026-01-02", "2026-01-03"], "M8[D]")
DOORS = {
    "a log's values": lambda column: EventLog.from_columns(
        customer_id=["a", "b", "c"], type="x", time=DAYS, value=column
    ),
    "a table": lambda column: CustomerTable.from_columns(customer_id=["a", "b", "c"], age=column, n=column),
    "a calibration": lambda column: calibrate(column, [True, False, True]),
    "an experiment": lambda column: analyze({"y": column}, ["a", "b", "a"], metrics=[Mean("y")], control="a"),
    "a summary": lambda column: PurchaseSummary(frequency=column, recency=[0, 0, 0], T=[9, 9, 9], unit="week"),
    "a hash": lambda column: hash_fraction(column, seed="s"),
    "an assignment": lambda column: Experiment("t", arms={"a": 0.5, "b": 0.5}).assign(column),
}


@pytest.mark.parametrize("door", [door for door in DOORS if door != "a table"])
def test_lists_of_different_lengths_are_refused(door):
    with pytest.raises(InputError):
        DOORS[door](RAGGED)


@pytest.mark.parametrize("door", DOORS)
def test_a_masked_value_is_not_the_number_under_its_mask(door):
    with pytest.raises(InputError, match="masked value in row 1"):
        DOORS[door](MASKED)


def test_what_masks_nothing_is_a_column():
    assert checks.numbers("x", np.ma.masked_array([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_a_complex_number_is_not_its_real_part():
    with pytest.raises(InputError, match=r"x has \(2\+1j\) in row 1"):
        checks.numbers("x", np.array([1.0, 2 + 1j], dtype=object))


def test_columns_without_a_length_and_scalars_are_refused():
    with pytest.raises(InputError, match=r"email is .*: a column is needed"):
        resolve_identities({"email": iter(["a@x.org"])}, keys=["email"])
    with pytest.raises(InputError, match=r"bands is .*a column is needed"):
        calibrate([1.0, 2.0, 3.0], [True, False, True], bands=7)


def test_rows_dropped_for_their_money_do_not_hide_a_short_column():
    rows = {"user": ["a", "b", "c"], "ts": DAYS[:2], "amount": [1.0, np.nan, 3.0]}
    with pytest.raises(InputError, match="rows"):
        EventLog.purchases(rows, customer_id="user", time="ts", value="amount", on_error="drop")


def test_money_beyond_what_a_float_holds_is_refused():
    rows = {"user": ["a"] * 3, "ts": DAYS, "amount": [1.5e308, 1.5e308, -1.0]}
    with pytest.raises(InputError, match="sum of all values is too large"):
        CustomerBase.from_orders(rows, customer_id="user", time="ts", value="amount").purchases().orders()


@pytest.mark.parametrize("r", [5e-324, 1e-200, 1e200, 1e308])
def test_parameters_of_models_stay_within_what_products_hold(r):
    with pytest.raises(InputError, match="a parameter must lie between 1e-100 and 1e\\+100"):
        BgNbd(r=r, alpha=4.4, a=0.8, b=2.4)


def test_an_array_within_a_stored_definition_is_not_json():
    body = Segment.from_json('{"relmark":"segment","version":1,"name":"x","rule":{"op":"everyone"}}').to_dict()
    for spoiled in (body | {"rule": np.array([1, 2])}, body | {"relmark": np.array([1, 2])}):
        assert Segment.check(spoiled).problems
        with pytest.raises(DefinitionError, match="an array is not JSON"):
            Segment.from_dict(spoiled)
