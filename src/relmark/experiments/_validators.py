"""Validators of attrs fields: each names the field, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from relmark.core import checks

__all__ = ["name", "number", "one_of", "optional", "positive", "share", "within"]

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def name(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse a value that is not a text, or is empty."""
    checks.text(attribute.name, value)


def share(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse a value that is not between 0 and 1 (exclusive)."""
    checks.fraction(attribute.name, value)


def positive(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse a value that is not a finite number above zero."""
    checks.positive(attribute.name, value)


def number(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse a value that is not a finite number."""
    checks.number(attribute.name, value)


def within(**bounds: float) -> Validator:
    """Return a validator of a number within bounds: low, high, above, below."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        checks.number(attribute.name, value, **bounds)

    return check


def one_of(*words: str) -> Validator:
    """Return a validator of one of some words."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        checks.one_of(attribute.name, value, words)

    return check


optional = attrs.validators.optional
