"""The JSON schema of a stored contact policy, made of those of its parts."""

from __future__ import annotations

from relmark.campaigns.campaign import Campaign, Chain
from relmark.campaigns.caps import Cap
from relmark.campaigns.quiet_hours import QuietHours
from relmark.core import shapes
from relmark.core.assignment import Holdout
from relmark.core.documents import Limits
from relmark.core.shapes import Shape
from relmark.expressions.json_schema import definitions

__all__ = ["policy_definitions", "policy_shape"]

MOST = 200
"""The largest number of campaigns, of caps and of channels in one policy."""


def policy_shape(limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """Return the shapes of a policy's keys, and the required keys."""
    rule: Shape = {"$ref": "#/$defs/rule"}
    entry: Shape = {
        "if": {"type": "object", "required": ["steps"]},
        "then": Chain._shape(limits),  # noqa: SLF001  (of this package)
        "else": Campaign._shape(limits),  # noqa: SLF001
    }
    channel = shapes.pair(shapes.name(limits.string), shapes.maybe(rule))
    return {
        "name": shapes.name(limits.string),
        "description": {"type": "string", "maxLength": limits.string},
        "campaigns": shapes.array(entry, least=1, most=MOST),
        "channels": shapes.array(channel, least=1, most=MOST),
        "transactional_channels": shapes.array(channel, most=MOST),
        "caps": shapes.array(Cap._shape(limits), most=MOST),  # noqa: SLF001
        "gap": shapes.maybe(shapes.DURATION),
        "quiet": QuietHours._shape(),  # noqa: SLF001
        "holdout": Holdout.document_shape(limits),
        "prefer": {"$ref": "#/$defs/expression"},
        "at_most": shapes.whole(low=1),
    }, ("name", "campaigns", "channels")


def policy_definitions(limits: Limits) -> dict[str, Shape]:
    """Return the definitions to which the shape refers."""
    return {**definitions(limits), "rule": {"$ref": "#/$defs/expression"}}
