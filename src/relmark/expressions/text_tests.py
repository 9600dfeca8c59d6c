"""Tests of one text: parts, ends, whole words, and globs in bounded time without regular expressions."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["glob_fits", "has_word", "text_test"]


def text_test(op: str, values: tuple[str, ...], *, casefold: bool) -> Callable[[str], bool]:
    """Return the test of one text for a `Matches` node."""
    wanted = tuple(value.casefold() for value in values) if casefold else values
    test = _TESTS[op]
    if casefold:
        return lambda text: test(text.casefold(), wanted)
    return lambda text: test(text, wanted)


def has_word(text: str, word: str) -> bool:
    """Return whether a word, or several words, occur in a text without a letter, digit or underscore next to them."""
    start = text.find(word)
    while start != -1:
        end = start + len(word)
        if not (start > 0 and _in_word(text[start - 1])) and not (end < len(text) and _in_word(text[end])):
            return True
        start = text.find(word, start + 1)
    return False


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def glob_fits(text: str, pattern: str) -> bool:
    """Return whether the whole text matches a pattern of ``*`` (any run) and ``?`` (one character).

    The pieces between stars are searched from the left, each after the one before. This is enough, because an earlier
    match never leaves less text for the rest. The first piece must be at the start, and the last at the end.
    """
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return len(text) == len(pattern) and _fits_at(text, pattern, 0)
    first, *middle, last = pieces
    if len(text) < len(first) + len(last):
        return False
    if not (_fits_at(text, first, 0) and _fits_at(text, last, len(text) - len(last))):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        position = _find_piece(text, piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return True


def _find_piece(text: str, piece: str, start: int, end: int) -> int:
    """Return the first match of a piece within text[start:end], or -1; each character is read once.

    Bit i of the state is set if the piece up to its i-th character matches the text that ends here (shift-and).
    """
    if "?" not in piece:
        return text.find(piece, start, end)
    anywhere = sum(1 << i for i, character in enumerate(piece) if character == "?")
    masks: dict[str, int] = {}
    for i, character in enumerate(piece):
        if character != "?":
            masks[character] = masks.get(character, anywhere) | 1 << i
    state, fits = 0, 1 << (len(piece) - 1)
    for position in range(start, end):
        state = (state << 1 | 1) & masks.get(text[position], anywhere)
        if state & fits:
            return position - len(piece) + 1
    return -1


def _fits_at(text: str, piece: str, position: int) -> bool:
    if "?" not in piece:
        return text.startswith(piece, position)
    found = text[position : position + len(piece)]
    return len(found) == len(piece) and all(b in ("?", a) for a, b in zip(found, piece, strict=True))


_TESTS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "contains": lambda text, values: values[0] in text,
    "contains_all": lambda text, values: all(value in text for value in values),
    "contains_any": lambda text, values: any(value in text for value in values),
    "contains_none": lambda text, values: not any(value in text for value in values),
    "startswith": lambda text, values: text.startswith(values[0]),
    "endswith": lambda text, values: text.endswith(values[0]),
    "like": lambda text, values: glob_fits(text, values[0]),
    "has_word": lambda text, values: any(has_word(text, value) for value in values),
}
