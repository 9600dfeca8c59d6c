"""The tokens of the text form: names, numbers, strings and signs, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from relmark.core.checks import shown
from relmark.core.documents import Limits
from relmark.core.errors import DefinitionError, LimitError

__all__ = ["Token", "Tokens", "place"]

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<sign>[=!<>]=|[&|~<>+\-*/()\[\]{},.:=])""",
    re.VERBOSE,
)
_LONGEST_NAME = 64
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", '"': '"', "'": "'", "/": "/"}


class Token(NamedTuple):
    """One token: its kind (number, name, string, sign or end), its value, and its start."""

    kind: str
    value: str | int | float
    start: int


def place(text: str, start: int) -> str:
    """Return a place as ``line:column``, both counted from 1."""
    return f"{text.count(chr(10), 0, start) + 1}:{start - text.rfind(chr(10), 0, start)}"


class Tokens:
    """The tokens of a text, read only as far as they are needed, so that reading stops at the first fault."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._source = _tokens(text, limits)
        self._ahead: list[Token] = []

    def look(self, ahead: int = 0) -> Token:
        """Return a coming token without taking it; after the end, all tokens are ends."""
        while len(self._ahead) <= ahead:
            last = self._ahead[-1] if self._ahead else Token("end", "", 0)
            self._ahead.append(next(self._source, last))
        return self._ahead[ahead]

    def take(self) -> Token:
        """Return the next token and remove it."""
        word = self.look()
        if word.kind != "end":
            del self._ahead[0]
        return word


def _tokens(text: str, limits: Limits) -> Iterator[Token]:
    """Yield the tokens of a text whose size was checked; each character is read once."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            here = text[position]
            hint = "A string is not closed." if here in "\"'" else ""
            raise DefinitionError(
                f"{shown(here)} has no meaning here.", path=place(text, position), code="syntax", hint=hint
            )
        kind, word = str(match.lastgroup), match.group()
        if kind == "number":
            yield Token(kind, _number(word, place(text, position)), position)
        elif kind == "name" and len(word) > _LONGEST_NAME:
            message = f"the word {shown(word[:20])}... has {len(word):,} characters: {_LONGEST_NAME} are allowed."
            raise LimitError(message, path=place(text, position), code="too_long")
        elif kind == "string":
            yield Token(kind, _string(word, text, position, limits), position)
        elif kind != "space":
            yield Token(kind, word, position)
        position = match.end()
    yield Token("end", "", len(text))


def _number(word: str, path: str) -> int | float:
    digits = word.replace("_", "")
    if len(digits) > 40:
        raise DefinitionError(f"{shown(word)} has too many digits.", path=path, code="too_large_number")
    if digits.isdigit():
        if len(digits) > 19:
            raise DefinitionError(f"{shown(word)} has too many digits.", path=path, code="too_large_number")
        return int(digits)
    return float(digits)


def _string(word: str, text: str, position: int, limits: Limits) -> str:
    inside = word[1:-1]
    if len(inside) > 6 * limits.string or "\\" not in inside:
        value = inside
    else:
        value = _ESCAPE.sub(lambda match: _unescaped(match.group(1), text, position), inside)
    if len(value) > limits.string:
        raise LimitError(
            f"the string has {len(value):,} characters: {limits.string:,} are allowed.",
            path=place(text, position),
            code="too_long",
        )
    return value


def _unescaped(code: str, text: str, position: int) -> str:
    if len(code) > 1:
        return chr(int(code[1:], 16))
    if code not in _ESCAPED:
        raise DefinitionError(
            f"\\{code} is not an escape sequence.", path=place(text, position), code="syntax", hint="Write \\\\."
        )
    return _ESCAPED[code]
