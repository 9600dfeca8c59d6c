"""The JSON Schema of a stored segment, made from the same table by which it is read."""

from __future__ import annotations

from typing import Any

from relmark.core.documents import Limits
from relmark.expressions.json_schema import definitions, plain_shapes

__all__ = ["json_schema"]


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
            "name": plain_shapes(limits)["name"],
            "description": {"type": "string", "maxLength": limits.string},
            "rule": {"$ref": "#/$defs/expression"},
        },
        "$defs": definitions(limits),
    }
