"""The shape of a stored segment, made from the same table by which its rule is read."""

from __future__ import annotations

from relmark.core import shapes
from relmark.core.documents import Limits
from relmark.core.shapes import Shape
from relmark.expressions.json_schema import definitions

__all__ = ["segment_definitions", "segment_shape"]


def segment_shape(limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """Return the shapes of a segment's keys, and those that have to be there."""
    return {
        "name": shapes.name(limits.string),
        "description": {"type": "string", "maxLength": limits.string},
        "rule": {"$ref": "#/$defs/rule"},
    }, ("name", "rule")


def segment_definitions(limits: Limits) -> dict[str, Shape]:
    """Return what the shape refers to."""
    return {**definitions(limits), "rule": {"$ref": "#/$defs/expression"}}
