"""The documentation is executed: no example may slip past the collector."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path

import pytest
from sybil import Document

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])


def collector():
    spec = importlib.util.spec_from_file_location("page_conftest", ROOT / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python_fences(text: str) -> int:
    """Count the python fences that should run, line by line, knowing nothing of the collector's expression."""
    inside, count = False, 0
    for line in text.splitlines():
        if line.startswith("```"):
            if not inside and line.strip().startswith("```python") and "no-run" not in line:
                count += 1
            inside = not inside
    return count


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_fence_of_a_page_is_collected(page, monkeypatch):
    module = collector()
    monkeypatch.setattr(module, "_NEEDS", __import__("re").compile(r"\Anever matches"))
    found = sum(1 for region in module.fences(Document(page.read_text(), str(page))) if region.evaluator is module._run)
    assert found == python_fences(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_uses_a_fence_that_nothing_collects(page):
    for line in page.read_text().splitlines():
        assert not line.startswith(("```pycon", "```py ", "```Python", "~~~")), line


def test_pages_that_need_data_say_so_on_their_first_line():
    for page in PAGES:
        text = page.read_text()
        if "DATA /" in text:
            assert text.startswith("<!-- needs: "), page


def test_a_wrong_output_is_an_error():
    module = collector()
    text = "```python\nprint(1)\n```\n\n```text\n2\n```\n"
    document = Document(text, "page.md")
    regions = list(module.fences(document))
    assert len(regions) == 2
    for region in regions:
        document.add(region)
    first, second = document.examples()
    first.evaluate()
    with pytest.raises(AssertionError, match="the code prints"):
        second.evaluate()


def test_readme_s_timings_are_those_of_the_page_that_the_benchmarks_write():
    runner = runpy.run_path(str(ROOT / "benchmarks" / "run.py"))
    found = runner["sections"]((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"))
    assert set(found) == set(runner["NAMES"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert runner["claims"](found) in readme
    assert runner["with_claims"](readme, found) == readme


def test_every_benchmark_is_run_by_the_one_command():
    runner = runpy.run_path(str(ROOT / "benchmarks" / "run.py"))
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"run", "timing"}
    assert files == set(runner["NAMES"])
