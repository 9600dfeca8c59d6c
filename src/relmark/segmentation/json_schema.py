"""The JSON Schema of a stored segment, made from the same table by which it is read."""

from __future__ import annotations

from typing import Any

from relmark.core.documents import Limits
from relmark.expressions import nodes
from relmark.expressions.stored import OPERATIONS

__all__ = ["json_schema"]

_SINGLE = {"contains", "startswith", "endswith", "like"}


def json_schema(limits: Limits | None = None) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a segment's stored form, within limits."""
    limits = limits or Limits()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "segment",
        "type": "object",
        "required": ["relmark", "version", "name", "rule"],
        "additionalProperties": False,
        "properties": {
            "relmark": {"const": "segment"},
            "version": {"type": "integer", "minimum": 1, "maximum": 1},
            "name": {"$ref": "#/$defs/name"},
            "description": {"type": "string", "maxLength": limits.string},
            "rule": {"$ref": "#/$defs/expression"},
        },
        "$defs": {**_parts(limits), "expression": {"oneOf": [_operation(op) for op in sorted(OPERATIONS)]}},
    }


def _operation(op: str) -> dict[str, Any]:
    operation = OPERATIONS[op]
    keys = {**operation.required, **operation.optional}
    properties: dict[str, Any] = {"op": {"const": op}}
    properties |= {key: {"$ref": f"#/$defs/{kind}"} for key, kind in keys.items()}
    if op in _SINGLE:
        properties["values"] = {"type": "array", "items": {"$ref": "#/$defs/name"}, "minItems": 1, "maxItems": 1}
    if op == "in_period":
        properties["unit"] = {"enum": list(nodes.PERIODS)}
    return {
        "type": "object",
        "required": ["op", *operation.required],
        "additionalProperties": False,
        "properties": properties,
    }


def _parts(limits: Limits) -> dict[str, Any]:
    expression, selection = {"$ref": "#/$defs/expression"}, {"$ref": "#/$defs/selection"}
    dated = [
        {
            "type": "object",
            "required": [key],
            "additionalProperties": False,
            "properties": {key: {"type": "string", "format": form}},
        }
        for key, form in (("date", "date"), ("instant", "date-time"))
    ]
    plain = [{"type": "number"}, {"type": "string", "maxLength": limits.string}, {"type": "boolean"}]
    duration = {"type": "string", "pattern": "^P(?!$)([0-9]+W|([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9.]+S)?)?)$"}
    return {
        "name": {"type": "string", "minLength": 1, "maxLength": limits.string},
        "literal": {"oneOf": [*plain, *dated]},
        "values": {"type": "array", "maxItems": limits.members, "items": {"$ref": "#/$defs/literal"}},
        "operand": {"oneOf": [{"$ref": "#/$defs/literal"}, expression]},
        "expressions": {"type": "array", "minItems": 1, "items": expression},
        "duration": duration,
        "period": {"oneOf": [{"enum": list(nodes.PERIODS)}, duration]},
        "moment": {"oneOf": dated},
        "number": {"type": "number"},
        "whole": {"type": "integer"},
        "flag": {"type": "boolean"},
        "selection": {
            "type": "object",
            "required": ["types"],
            "additionalProperties": False,
            "properties": {
                "types": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/name"}},
                "where": expression,
            },
        },
        "selections": {"type": "array", "maxItems": limits.steps, "items": selection},
    }
