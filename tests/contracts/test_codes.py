"""Every error says which kind of fault it is by a code of one table, and the table has no code that nothing says."""

from __future__ import annotations

import ast
import json
import pickle
import re
from pathlib import Path

import pytest

from relmark import errors
from relmark.core.checks import numbers
from relmark.core.errors import definition_error
from relmark.errors import CODES

SOURCE = Path(errors.__file__).parent
KINDS = sorted(name for name in errors.__all__ if name != "CODES")
ERRORS = {name for name in KINDS if name != "RelmarkError"}
OWN = {name for name in ERRORS if "own_code" in vars(getattr(errors, name))}
PASSED_ON = {"error.code", "first.code", "problem.code", "self.code", "code"}


def _modules() -> list[tuple[str, ast.Module]]:
    files = [path for path in sorted(SOURCE.rglob("*.py")) if path.name not in {"codes.py", "errors.py"}]
    return [(str(path.relative_to(SOURCE)), ast.parse(path.read_text(encoding="utf-8"))) for path in files]


MODULES = _modules()


def _calls(names: set[str]) -> list[tuple[str, ast.Call]]:
    return [
        (f"{path}:{node.lineno}", node)
        for path, module in MODULES
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in names)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in names)
        )
    ]


def _given(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def test_every_argument_that_an_error_names_is_one_of_the_package() -> None:
    known = {"passives"}  # a key of the counts of a survey
    for _, module in MODULES:
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef):
                every = (*node.args.args, *node.args.kwonlyargs, node.args.vararg)
                known |= {node.name, *(one.arg for one in every if one is not None)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                known.add(node.target.id)
    named = [(place, _given(call, "argument")) for place, call in _calls(ERRORS)]
    told = [(place, one.value) for place, one in named if isinstance(one, ast.Constant) and one.value]
    assert len(told) > 500
    assert [(place, name) for place, name in told if re.split(r"[.\[]", str(name))[0] not in known] == []


def test_every_error_is_made_with_a_code_of_the_table() -> None:
    wrong = []
    for place, call in _calls(ERRORS):
        code = _given(call, "code")
        if code is None and call.func.id in OWN:  # type: ignore[attr-defined]
            continue
        if isinstance(code, ast.Constant) and code.value in CODES:
            continue
        if code is None or ast.unparse(code) not in PASSED_ON:
            wrong.append(f"{place}: {'no code' if code is None else ast.unparse(code)}")
    assert wrong == []


def test_every_error_about_an_argument_names_it() -> None:
    nameless = [
        place
        for place, call in _calls({"InputError", "MissingColumnError", "NotEnoughDataError"})
        if call.args and _given(call, "argument") is None
    ]
    assert nameless == []


def test_a_bad_row_is_the_end_of_the_path() -> None:
    with pytest.raises(errors.InputError) as caught:
        numbers("spend", [1.0, 2.0, float("nan")])
    assert (caught.value.path, caught.value.row, caught.value.code) == ("spend[2]", 2, "not_finite")
    with pytest.raises(errors.InputError) as caught:
        numbers("spend", [1.0, -2.0], low=0.0)
    assert (caught.value.path, caught.value.argument, caught.value.code) == ("spend[1]", "spend", "wrong_value")


def test_every_problem_is_told_with_a_code_of_the_table() -> None:
    wrong = []
    for place, call in _calls({"Problem", "fail"}):
        spot = 1 if len(call.args) > 1 and "text_reader" not in place else None
        code = call.args[spot] if spot is not None else _given(call, "code")
        if code is None or (isinstance(code, ast.Constant) and code.value in CODES):
            continue
        if ast.unparse(code) not in PASSED_ON:
            wrong.append(f"{place}: {ast.unparse(code)}")
    assert wrong == []


def test_no_code_is_in_the_table_without_being_used() -> None:
    said = {code.value for _, call in _calls(ERRORS) if isinstance(code := _given(call, "code"), ast.Constant)}
    for _, call in _calls({"Problem", "fail"}):
        said |= {part.value for part in (*call.args, _given(call, "code")) if isinstance(part, ast.Constant)}
    for _, module in MODULES:
        for node in ast.walk(module):
            if isinstance(node, ast.arguments):
                names, values = [one.arg for one in node.kwonlyargs], node.kw_defaults
                said |= {
                    one.value
                    for name, one in zip(names, values, strict=True)
                    if name == "code" and isinstance(one, ast.Constant)
                }
    said |= {getattr(errors, name).own_code for name in OWN}
    assert sorted(set(CODES) - said) == []


def test_every_error_is_raised_nowhere_without_a_message() -> None:
    bare = [
        f"{path}:{node.lineno}"
        for path, module in MODULES
        for node in ast.walk(module)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in ERRORS
    ]
    assert bare == []


def test_codes_are_snake_case_words_with_a_sentence_each() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in CODES)
    assert all(said.endswith(".") and len(said) > 10 for said in CODES.values())
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("name", KINDS)
def test_an_error_says_the_same_to_people_and_to_programs_and_survives_a_pickle(name: str) -> None:
    kind = getattr(errors, name)
    error = kind("age is -1.", code="wrong_value", argument="age", row=3, hint="Drop these rows.")
    for one in (error, pickle.loads(pickle.dumps(error))):
        said = one.to_dict()
        assert json.loads(json.dumps(said)) == said
        assert said["error"] == name
        assert (said["code"], said["argument"], said["hint"]) == ("wrong_value", "age", "Drop these rows.")
        assert said["path"] == ("age[3]" if not issubclass(kind, errors.DefinitionError) else "$")
        assert str(one) == "age is -1. Drop these rows."


def test_what_a_constructor_refuses_keeps_its_code_and_gets_a_place_in_the_definition() -> None:
    error = errors.InputError("bins is 1.", argument="bins", code="wrong_value", hint="Give 2 or more.")
    told = definition_error(error, "$.rfm", {"bins": 1})
    assert told.to_dict() == {
        "error": "DefinitionError", "code": "wrong_value", "argument": "bins", "path": "$.rfm.bins",
        "message": "bins is 1.", "hint": "Give 2 or more.",
    }  # fmt: skip
    assert definition_error(error, "$.rfm").path == "$.rfm"
    assert definition_error(told) is told
    assert definition_error(TypeError("no"), "$.x").path == "$.x"
