"""The JSON schema of a stored lead score."""

from __future__ import annotations

from typing import Any

from relmark.core.documents import Limits
from relmark.core.shapes import Shape
from relmark.expressions.json_schema import definitions, plain_shapes
from relmark.expressions.nodes import PERIODS

__all__ = ["score_definitions", "score_shape"]

_NUMBER = {"type": "number"}
_CAP = {"type": "number", "minimum": 0, "maximum": 1e12}
_FLOOR = {"type": "number", "minimum": -1e12, "maximum": 0}


def score_shape(limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """Return the shapes of a lead score's keys, and the keys that are required."""
    name = plain_shapes(limits)["name"]
    group = _object({"name": name, "cap": _CAP, "floor": _FLOOR}, ["name"])
    marks = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object", "minProperties": 1,
             "additionalProperties": _NUMBER}}  # fmt: skip
    return {
        "name": name,
        "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
        "groups": {"type": "array", "items": group},
        "bands": {"type": "object", "additionalProperties": _NUMBER},
        "grades": _object({"order": {"type": "array", "items": name}, "marks": marks}, ["order", "marks"]),
        "cap": _CAP,
        "floor": _FLOOR,
    }, ("name", "rules")


def score_definitions(limits: Limits) -> dict[str, Shape]:
    """Return the definitions that the shape refers to."""
    plain = plain_shapes(limits)
    return {**definitions(limits), "rule": _rule(plain), "points": _points(plain)}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _rule(plain: dict[str, Any]) -> dict[str, Any]:
    name, duration = plain["name"], plain["duration"]
    steps = {"type": "array", "minItems": 1, "items": _pair(duration, _NUMBER)}
    decay = {
        **_object({"half_life": duration, "linear": duration, "steps": steps}, []),
        "minProperties": 1,
        "maxProperties": 1,
    }
    rule = _object(
        {
            "name": name,
            "when": {"$ref": "#/$defs/expression"},
            "each": {"$ref": "#/$defs/selection"},
            "points": {"$ref": "#/$defs/points"},
            "group": name,
            "cap": _CAP,
            "cap_per": {"type": "string", "if": {"enum": list(PERIODS)}, "else": duration},
            "cap_total": _CAP,
            "floor": _FLOOR,
            "once_per": name,
            "decay": decay,
            "expires": duration,
        },
        ["name", "points"],
    )
    one = {"if": {"required": ["when"]}, "then": {"properties": {"each": False}}, "else": {"required": ["each"]}}
    return {**rule, **one}


def _points(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the shape of points: a number, a calculation, tiers by a count, or a table by value."""
    expression = {"$ref": "#/$defs/expression"}
    source = {"type": ["string", "object"], "if": {"type": "object"}, "then": expression, "else": plain["name"]}
    table = {"type": "array", "minItems": 1, "items": _pair(plain["literal"], _NUMBER)}
    tiers = {"type": "array", "minItems": 1, "items": _pair(_NUMBER, _NUMBER)}
    by_value = _object({"of": source, "table": table, "otherwise": _NUMBER}, ["of", "table"])
    by_count = _object({"tiers": tiers, "of": source}, ["tiers"])
    calculated = _object({"expression": expression}, ["expression"])
    return {
        "type": ["number", "object"],
        "if": {"type": "object"},
        "then": {
            "if": {"required": ["expression"]},
            "then": calculated,
            "else": {"if": {"required": ["tiers"]}, "then": by_count, "else": by_value},
        },
    }


def _pair(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "prefixItems": [first, second], "minItems": 2, "maxItems": 2}
