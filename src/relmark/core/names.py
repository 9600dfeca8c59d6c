"""Names in errors: the valid name that is nearest to an unknown one, and a name with its article."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest", "with_article"]

_LONGEST = 64
_MOST = 1_000


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that is closest to `name` in spelling, or None if none is close.

    The work is limited: names are cut after 64 characters, and only the first 1,000 options are compared.
    """
    candidates = {option[:_LONGEST].casefold(): option for _, option in zip(range(_MOST), options, strict=False)}
    close = difflib.get_close_matches(name[:_LONGEST].casefold(), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ' Did you mean ...?' with the nearest option, or an empty string."""
    option = nearest(name, options)
    return f" Did you mean {option!r}?" if option is not None else ""


def with_article(what: str) -> str:
    """Return a noun with its article, by the first letter: 'an experiment', 'a segment'."""
    return f"{'an' if what[:1].lower() in 'aeiou' else 'a'} {what}"
