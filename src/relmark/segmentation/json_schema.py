"""The JSON schema of a stored segment, made from the table that is also used to read its rule."""

from __future__ import annotations

from relmark.core import shapes
from relmark.core.documents import Limits
from relmark.core.shapes import Shape
from relmark.expressions.json_schema import definitions

__all__ = ["segment_definitions", "segment_shape"]


def segment_shape(limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """Return the shapes of a segment's keys, and the keys that are required."""
    return {
        "name": shapes.name(limits.string),
        "description": {"type": "string", "maxLength": limits.string},
        "rule": {"$ref": "#/$defs/rule"},
    }, ("name", "rule")


def segment_definitions(limits: Limits) -> dict[str, Shape]:
    """Return the definitions that the shape refers to."""
    return {**definitions(limits), "rule": {"$ref": "#/$defs/expression"}}
