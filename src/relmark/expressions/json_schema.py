"""The JSON Schema of stored expressions, made from the table that is also used to read them."""

from __future__ import annotations

from typing import Any

from relmark.core.documents import Limits
from relmark.expressions import nodes
from relmark.expressions.operations import OPERATIONS

__all__ = ["definitions", "plain_shapes"]

_SINGLE = {"contains", "startswith", "endswith", "like"}


def definitions(limits: Limits) -> dict[str, Any]:
    """Return the ``$defs`` of a document that contains expressions: ``expression``, ``selection`` and their parts."""
    return {**_defined(limits), "expression": _expression(limits)}


def _expression(limits: Limits) -> dict[str, Any]:
    """Return the definition of an expression, which checks its ``op`` first.

    It is a binary tree over the operators; each leaf is the shape of operators with the same keys. In this way a
    validator follows one branch and reports what is wrong in it. An alternative of all operators would try each of them
    at every level, and a chain of conditions would need fifty tests per node.
    """
    parts = plain_shapes(limits) | {name: {"$ref": f"#/$defs/{name}"} for name in _defined(limits)}
    parts["expression"] = {"$ref": "#/$defs/expression"}
    shapes: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for op in sorted(OPERATIONS):
        shape = _shape(op, parts)
        shapes.setdefault(repr(shape), ([], shape))[0].append(op)
    known = {"properties": {"op": {"enum": sorted(OPERATIONS)}}, "required": ["op"]}
    return {"type": "object", **known, "if": known, "then": _branch(list(shapes.values()))}


def _branch(shapes: list[tuple[list[str], dict[str, Any]]]) -> dict[str, Any]:
    """Return the shape of an object that depends on its operator."""
    if len(shapes) == 1:
        return shapes[0][1]
    first, second = shapes[: len(shapes) // 2], shapes[len(shapes) // 2 :]
    chosen = {"properties": {"op": {"enum": sorted(op for ops, _ in first for op in ops)}}}
    return {"if": chosen, "then": _branch(first), "else": _branch(second)}


def _shape(op: str, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of an operator and the shapes of their values."""
    operation = OPERATIONS[op]
    properties: dict[str, Any] = {"op": True}
    properties |= {key: parts[kind] for key, kind in {**operation.required, **operation.optional}.items()}
    if op in _SINGLE:
        properties["values"] = {"type": "array", "items": parts["name"], "minItems": 1, "maxItems": 1}
    if op == "in_period":
        properties["unit"] = {"enum": list(nodes.PERIODS)}
    return {"required": ["op", *operation.required], "additionalProperties": False, "properties": properties}


def plain_shapes(limits: Limits) -> dict[str, Any]:
    """Return the schemas of values without parts; they are repeated where they are used, as references are slower."""
    duration = {"type": "string", "pattern": "^P(?!$)([0-9]+W|([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9.]+S)?)?)$"}
    dates = {"date": {"type": "string", "format": "date"}, "instant": {"type": "string", "format": "date-time"}}
    moment = {
        "type": "object", "additionalProperties": False, "properties": dates, "minProperties": 1, "maxProperties": 1,
    }  # fmt: skip
    return {
        "name": {"type": "string", "minLength": 1, "maxLength": limits.string},
        "duration": duration,
        "span": {
            "if": {"type": "string"},
            "then": duration,
            "else": {
                "type": "object",
                "properties": {name: {"type": "integer", "minimum": 1} for name in ("calendar_days", "months")},
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
        },
        "during": {
            "type": "object",
            "properties": {
                "unit": {"enum": list(nodes.PERIODS)},
                "offset": {"type": "integer", "maximum": 0},
                "count": {"type": "integer", "minimum": 1},
            },
            "required": ["unit"],
            "additionalProperties": False,
        },
        "period": {"type": "string", "if": {"enum": list(nodes.PERIODS)}, "else": duration},
        "moment": moment,
        "number": {"type": "number"},
        "whole": {"type": "integer"},
        "flag": {"type": "boolean"},
        "literal": {
            "type": ["number", "string", "boolean", "object"],
            "maxLength": limits.string,
            "if": {"type": "object"},
            "then": moment,
        },
    }


def _defined(limits: Limits) -> dict[str, Any]:
    """Return the definitions that refer to expressions, or to many values."""
    plain, expression = plain_shapes(limits), {"$ref": "#/$defs/expression"}
    listed = {"type": "array", "minItems": 1, "items": plain["name"]}
    types = {"if": {"type": "string"}, "then": {"const": "any"}, "else": listed}
    selection = {
        "type": "object",
        "required": ["types"],
        "additionalProperties": False,
        "properties": {"types": types, "where": expression},
    }
    return {
        "names": {"type": "array", "maxItems": limits.steps, "items": plain["name"]},
        "values": {"type": "array", "maxItems": limits.members, "items": plain["literal"]},
        "ids": {
            "type": "array",
            "maxItems": limits.members,
            "items": {"type": ["integer", "string"], "minLength": 1, "maxLength": limits.string},
        },
        "operand": {
            "if": {"type": "object", "required": ["op"]},
            "then": expression,
            "else": plain["literal"],
        },
        "expressions": {"type": "array", "minItems": 1, "items": expression},
        "selection": selection,
        "selections": {"type": "array", "maxItems": limits.steps, "items": {"$ref": "#/$defs/selection"}},
    }
