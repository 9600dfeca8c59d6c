"""Errors: what they are, what they say, and that they survive a process boundary."""

from __future__ import annotations

import pickle

import pytest

from relmark import errors
from relmark.core.names import did_you_mean, nearest


def test_every_error_that_a_caller_causes_is_a_value_error():
    for name in ("InputError", "MissingColumnError", "NotEnoughDataError", "DefinitionError", "LimitError"):
        kind = getattr(errors, name)
        assert issubclass(kind, errors.InputError)
        assert issubclass(kind, ValueError)
        assert issubclass(kind, errors.RelmarkError)
    assert issubclass(errors.MissingColumnError, KeyError)
    assert issubclass(errors.ConvergenceError, RuntimeError)
    assert not issubclass(errors.ConvergenceError, errors.InputError)


def test_a_missing_column_says_its_message_and_not_the_repr_of_it():
    assert str(errors.MissingColumnError("there is no column 'x'")) == "there is no column 'x'"
    assert str(errors.MissingColumnError()) == ""


def test_a_definition_error_names_its_path_code_and_hint():
    error = errors.DefinitionError("no operator '=='", path="$.rule.args[1]", code="unknown", hint="Write '='.")
    assert str(error) == "$.rule.args[1]: no operator '==' Write '='."
    assert (error.path, error.code, error.hint, error.message) == (
        "$.rule.args[1]",
        "unknown",
        "Write '='.",
        "no operator '=='",
    )
    assert str(errors.DefinitionError("bad")) == "bad"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "CODES"])
def test_an_error_comes_back_from_a_pickle(name):
    kind = getattr(errors, name)
    error = kind("bad", path="$.a", code="c", hint="h") if issubclass(kind, errors.DefinitionError) else kind("bad")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_nearest_name_is_found_and_the_work_is_bounded():
    assert nearest("purchse", ["visit", "purchase"]) == "purchase"
    assert nearest("CITY", ["city"]) == "city"
    assert nearest("zzz", ["visit", "purchase"]) is None
    assert did_you_mean("agee", ["age"]) == " Did you mean 'age'?"
    assert did_you_mean("zzz", ["age"]) == ""
    assert nearest("x" * 10_000, ("x" * 63 + str(k) for k in range(10**9))) is not None
