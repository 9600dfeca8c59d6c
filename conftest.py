"""Every example in the README, the docs and the docstrings is executed, and what it prints is compared."""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import os
import re
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

_FENCE = re.compile(r"^```(python|text)(?:[ ]+\{?([\w-]+)\}?)?\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"\A<!-- needs: ([\w.]+) -->")
_SERVER = "PostgreSQL"
_MARKED = re.compile(r"<!-- (slow|long) -->")
_ROOT = Path(__file__).parent
_DATA = Path(os.environ.get("RELMARK_DATA") or _ROOT.parent / "shared" / "data")


def _prepare(namespace: dict[str, object]) -> None:
    """Give a page the folder of real data that no package ships, and run its examples away from the repository."""
    namespace["__name__"] = "__page__"
    namespace["DATA"] = _DATA
    namespace["DSN"] = os.environ.get("RELMARK_DSN")


def _run(example: Example) -> None:
    """Execute a python fence in the page's namespace and keep what it printed."""
    out = io.StringIO()
    space = example.namespace
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


def _skip(example: Example) -> None:
    if example.parsed == _SERVER:
        pytest.skip("set RELMARK_DSN to a PostgreSQL database that may be written to, to run this page")
    if "." not in example.parsed:
        pytest.skip(f"install {example.parsed} to run this page")
    pytest.skip(f"{example.parsed} is not in {_DATA}: set RELMARK_DATA to run this page")


def _there(needs: str) -> bool:
    if needs == _SERVER:
        return "RELMARK_DSN" in os.environ
    return (_DATA / needs).exists() if "." in needs else importlib.util.find_spec(needs) is not None


def fences(document: Document):  # noqa: ANN201
    """Yield the python fences, and the text fences that hold their output; '```python no-run' is left alone.

    A page that begins with ``<!-- needs: FILE -->`` reads real data that no package ships, one that needs PostgreSQL
    writes to a database, and one that names a package imports it: they are skipped without it.
    """
    needs = _NEEDS.match(document.text)
    if needs and not _there(needs.group(1)):
        yield Region(0, needs.end(), needs.group(1), _skip)
        return
    for match in _FENCE.finditer(document.text):
        language, mark, body = match.groups()
        if mark == "no-run" or (language == "text" and mark == "shell"):
            continue
        yield Region(match.start(), match.end(), body, _run if language == "python" else _compare)


pytest_collect_file = SybilCollection(
    (
        Sybil(parsers=[fences], path="docs", patterns=["*.md"], setup=_prepare),
        Sybil(parsers=[fences], filenames=["README.md"], setup=_prepare),
        Sybil(
            parsers=[DocTestParser(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)],
            path="src",
            patterns=["*.py"],
        ),
    )
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples of pages that begin with ``<!-- slow -->`` or ``<!-- long -->``: quick tests leave them out."""
    marks = {path: _mark_of(path) for path in {item.path for item in items if item.path.suffix == ".md"}}
    for item in items:
        mark = marks.get(item.path)
        if mark:
            item.add_marker(mark)


def _mark_of(path: Path) -> str | None:
    with path.open(encoding="utf-8") as page:
        found = _MARKED.match(page.readline())
    return found and found.group(1)
