"""Every example in the README, the docs and the docstrings is executed, and what it prints is compared."""

from __future__ import annotations

import contextlib
import doctest
import io
import re

from sybil import Document, Example, Region, Sybil
from sybil.parsers.rest import DocTestParser

_FENCE = re.compile(r"^```(python|text)(?:[ ]+\{?([\w-]+)\}?)?\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


def _run(example: Example) -> None:
    """Execute a python fence in the page's namespace and keep what it printed."""
    out = io.StringIO()
    space = example.namespace
    space.setdefault("__name__", "__page__")
    line = example.document.text.count("\n", 0, example.start) + 1
    with contextlib.redirect_stdout(out):
        exec(compile("\n" * line + example.parsed, example.path, "exec", dont_inherit=True), space)  # noqa: S102
    space["_printed"] = out.getvalue()


def _compare(example: Example) -> None:
    """Compare a text fence with what the python fence before it printed."""
    printed = example.namespace.get("_printed")
    assert printed is not None, "no python fence comes before this text fence"
    expected = "\n".join(line.rstrip() for line in example.parsed.strip().splitlines())
    actual = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    if expected != actual:
        message = f"the page says:\n{expected}\n\nbut the code prints:\n{actual}"
        raise AssertionError(message)


def fences(document: Document):  # noqa: ANN201
    """Yield the python fences, and the text fences that hold their output; '```python no-run' is left alone."""
    for match in _FENCE.finditer(document.text):
        language, mark, body = match.groups()
        if mark == "no-run" or (language == "text" and mark == "shell"):
            continue
        yield Region(match.start(), match.end(), body, _run if language == "python" else _compare)


pytest_collect_file = (
    Sybil(parsers=[fences], patterns=["README.md", "docs/**/*.md"], excludes=["docs/_build/**"])
    + Sybil(
        parsers=[DocTestParser(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)],
        patterns=["src/**/*.py"],
        setup=lambda namespace: namespace.setdefault("__name__", "__doctest__"),
    )
).pytest()
