"""The shapes of stored definitions, as the parts of JSON Schema that they need, and the check of a body against one.

A definition describes its shape once. The JSON Schema for editors and the problems that `check` reports both come from
it. Alternatives are written with if, then and else, so that a validator follows one branch and reports faults in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from relmark.core.checks import shown
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem

__all__ = [
    "DURATION",
    "SPAN",
    "Shape",
    "array",
    "faults",
    "flag",
    "mapping",
    "maybe",
    "name",
    "number",
    "obj",
    "of_annotation",
    "one_of",
    "pair",
    "whole",
    "without_quotes",
]

Shape: TypeAlias = dict[str, Any] | bool
"""A part of a JSON Schema."""
Delegate: TypeAlias = Callable[[str, Any, str], list[Problem] | None]

DURATION: Shape = {
    "type": "string",
    "pattern": "^P(?!$)([0-9]+W|([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9.]+S)?)?)$",
}
SPAN: Shape = {
    "if": {"type": "string"},
    "then": DURATION,
    "else": {
        "type": "object",
        "properties": {unit: {"type": "integer", "minimum": 1} for unit in ("calendar_days", "months")},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    },
}

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
_BOUNDS = {"low": "minimum", "high": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, (list, tuple)),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
_SAID = {"object": "an object", "array": "a list", "string": "a text", "boolean": "true or false", "null": "null",
         "integer": "a whole number", "number": "a number"}  # fmt: skip


# Building blocks


def number(**bounds: float) -> dict[str, Any]:
    """Return the shape of a number within bounds: low, high, above, below."""
    return {"type": "number", **{_BOUNDS[name]: bound for name, bound in bounds.items()}}


def whole(**bounds: int) -> dict[str, Any]:
    """Return the shape of a whole number within bounds."""
    return {"type": "integer", **{_BOUNDS[name]: bound for name, bound in bounds.items()}}


def name(longest: int = 1_024) -> dict[str, Any]:
    """Return the shape of a text that is not empty."""
    return {"type": "string", "minLength": 1, "maxLength": longest}


def flag() -> dict[str, Any]:
    """Return the shape of true or false."""
    return {"type": "boolean"}


def one_of(*words: Any) -> dict[str, Any]:
    """Return the shape of one of some words."""
    return {"enum": list(words)}


def maybe(shape: Shape) -> dict[str, Any]:
    """Return the shape of a value that may be null."""
    return {"if": {"type": "null"}, "then": True, "else": shape}


def array(items: Shape, **bounds: int) -> dict[str, Any]:
    """Return the shape of a list whose items have the same shape; `least` and `most` limit its length."""
    sizes = {"least": "minItems", "most": "maxItems"}
    return {"type": "array", "items": items, **{sizes[bound]: value for bound, value in bounds.items()}}


def pair(first: Shape, second: Shape) -> dict[str, Any]:
    """Return the shape of a list of two."""
    return {"type": "array", "prefixItems": [first, second], "minItems": 2, "maxItems": 2}


def mapping(values: Shape, **more: Any) -> dict[str, Any]:
    """Return the shape of an object with any keys."""
    return {"type": "object", "additionalProperties": values, **more}


def obj(properties: Mapping[str, Shape], required: tuple[str, ...] | list[str] = ()) -> dict[str, Any]:
    """Return the shape of an object with these keys and no other."""
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": dict(properties),
    }


def of_annotation(text: str, known: Mapping[str, Shape]) -> Shape:
    """Return the shape of a setting from its annotation, such as ``"float | None"`` or ``"Literal['a', 'b']"``."""
    if text in known:
        return known[text]
    if text.endswith(" | None"):
        return maybe(of_annotation(text.removesuffix(" | None"), known))
    if text.startswith("Literal["):
        return one_of(*re.findall(r"[\"']([^\"']*)[\"']", text))
    return {"float": number(), "int": whole(), "str": name(), "bool": flag(), "timedelta": DURATION}[text]


# Faults of a body


def faults(value: Any, shape: Shape, path: str = "$", delegate: Delegate | None = None) -> list[Problem]:
    """Return a problem, with its path, for everything in which a value differs from a shape.

    Parameters
    ----------
    value : object
        A parsed JSON value.
    shape : dict or bool
        The shape; no value fits `False`.
    path : str
        The path of the value.
    delegate : callable, optional
        ``delegate(ref, value, path)`` returns the problems of a value whose shape is given by ``$ref``.
    """
    if isinstance(shape, bool):
        return [] if shape else [Problem(path, "unknown_key", f"{shown(value)} is not allowed here.")]
    if "$ref" in shape:
        return (delegate(shape["$ref"], value, path) or []) if delegate else []
    wrong = _simple(value, shape, path)
    if wrong is not None:
        return [wrong]
    found = []
    if isinstance(value, Mapping):
        found += _object_faults(value, shape, path, delegate)
    elif isinstance(value, (list, tuple)):
        found += _array_faults(value, shape, path, delegate)
    if "if" in shape:
        fits = not faults(value, shape["if"], path, delegate)
        branch = shape.get("then" if fits else "else", True)
        found += faults(value, branch, path, delegate)
    return found


def _simple(value: Any, shape: dict[str, Any], path: str) -> Problem | None:
    """Return the problem of a value itself, without its members: a wrong type, word or size; None if there is none."""
    if "type" in shape:
        types = [shape["type"]] if isinstance(shape["type"], str) else shape["type"]
        if not any(_TYPES[one](value) for one in types):
            code = "not_object" if types == ["object"] else "wrong_type"
            said = f"{shown(value)} was given: {' or '.join(_SAID[one] for one in types)} is needed."
            return Problem(path, code, said, _other_spelling(value, types, shape))
    if "const" in shape and not _same(value, shape["const"]):
        said = f"{shown(value)} was given: {shown(shape['const'])} is needed."
        return Problem(path, "wrong_kind", said) if path.endswith(".relmark") else Problem(path, "wrong_value", said)
    if "enum" in shape and not any(_same(value, one) for one in shape["enum"]):
        listed = ", ".join(map(shown, shape["enum"]))
        hint = (
            did_you_mean(value, [one for one in shape["enum"] if isinstance(one, str)])
            if isinstance(value, str)
            else ""
        )
        return Problem(path, "unknown_name", f"{shown(value)} is not one of {listed}.", hint.strip())
    if _TYPES["number"](value):
        return _number_fault(value, shape, path)
    if isinstance(value, str):
        if len(value) < shape.get("minLength", 0):
            return Problem(path, "empty", "a text that is not empty is needed.")
        if len(value) > shape.get("maxLength", math.inf):
            return Problem(
                path, "too_long", f"the text has {len(value):,} characters: {shape['maxLength']:,} are allowed."
            )
        if "pattern" in shape and re.search(shape["pattern"], value) is None:
            return Problem(path, "not_duration", f"{shown(value)} is not a duration.", 'Write "P30D" or "PT2H".')
    return None


def _other_spelling(value: Any, types: list[str], shape: Mapping[str, Any]) -> str:
    """Return a hint how to write a value that has the wrong type, or an empty string."""
    if {"number", "integer"} & set(types):
        return without_quotes(value)
    items = shape.get("items")
    if isinstance(value, Mapping) and types == ["array"] and isinstance(items, dict) and "prefixItems" in items:
        return 'Write a list of pairs, such as [["name", ...]]: their order counts.'
    return ""


def without_quotes(value: Any) -> str:
    """Return a hint for a number that was given as text; for any other value, an empty string."""
    return f"Write {value} without quotes." if isinstance(value, str) and _NUMBER.fullmatch(value) else ""


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and value == other


def _number_fault(value: float, shape: dict[str, Any], path: str) -> Problem | None:
    low, high = shape.get("minimum", -math.inf), shape.get("maximum", math.inf)
    above, below = shape.get("exclusiveMinimum", -math.inf), shape.get("exclusiveMaximum", math.inf)
    if low <= value <= high and (value > above or above == -math.inf) and (value < below or below == math.inf):
        return None
    parts = [("at least", low), ("above", above), ("at most", high), ("below", below)]
    said = " and ".join(f"{word} {bound:g}" for word, bound in parts if math.isfinite(bound))
    return Problem(path, "wrong_value", f"{shown(value)} was given: it must be {said}.")


def _object_faults(
    value: Mapping[str, Any], shape: dict[str, Any], path: str, delegate: Delegate | None
) -> list[Problem]:
    found = []
    known, more = shape.get("properties", {}), shape.get("additionalProperties", True)
    missing = [key for key in shape.get("required", ()) if key not in value]
    found += [Problem(path, "missing_key", f"there is no {key!r}.") for key in missing]
    for key, item in value.items():
        short = str(key)[:64]
        if key in known:
            found += faults(item, known[key], f"{path}.{short}", delegate)
        elif more is False:
            listed = ", ".join(sorted(known)) or "no key"
            found.append(Problem(path, "unknown_key", f"unknown key {short!r}; allowed are {listed}.",
                                 did_you_mean(short, known).strip()))  # fmt: skip
        else:
            found += faults(item, more, f"{path}.{short}", delegate)
    low, high = shape.get("minProperties", 0), shape.get("maxProperties", math.inf)
    if not low <= len(value) <= high:
        found.append(Problem(path, "wrong_length", f"{len(value):,} keys were given: {_sizes(low, high)} are needed."))
    return found


def _array_faults(value: Any, shape: dict[str, Any], path: str, delegate: Delegate | None) -> list[Problem]:
    low, high = shape.get("minItems", 0), shape.get("maxItems", math.inf)
    if not low <= len(value) <= high:
        code = "empty" if not value else "wrong_length"
        return [Problem(path, code, f"{len(value):,} items were given: {_sizes(low, high)} are needed.")]
    first, rest = shape.get("prefixItems", []), shape.get("items", True)
    return [
        one
        for k, item in enumerate(value)
        for one in faults(item, first[k] if k < len(first) else rest, f"{path}[{k}]", delegate)
    ]


def _sizes(low: float, high: float) -> str:
    if low == high:
        return f"{low:,}"
    return f"{low:,} or more" if math.isinf(high) else f"{low:,} to {high:,}"
