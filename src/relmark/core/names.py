"""Names in errors: the nearest valid name to one that was not understood, and a name with its article."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest", "with_article"]

_LONGEST = 64
_MOST = 1_000


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that is closest to `name` in spelling, or None where none is close.

    The work is bounded: names are cut at 64 characters, and of the options the first 1,000 are looked at.
    """
    candidates = {option[:_LONGEST].casefold(): option for _, option in zip(range(_MOST), options, strict=False)}
    close = difflib.get_close_matches(name[:_LONGEST].casefold(), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ' Did you mean ...?' for the nearest option, or nothing."""
    option = nearest(name, options)
    return f" Did you mean {option!r}?" if option is not None else ""


def with_article(what: str) -> str:
    """Return a noun with the article that its first letter asks for: 'an experiment', 'a segment'."""
    return f"{'an' if what[:1].lower() in 'aeiou' else 'a'} {what}"
