"""Every tutorial becomes a notebook with the page's code, outputs and pictures, and notebooks run as they are."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat makes notebooks: pip install --group docs")

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "tutorials").glob("*.md"))
HEAD = '# A page\n\n{download}`A notebook <../notebooks/page.ipynb>`; it needs `pip install "relmark[demo]"`.\n\n'
FIGURE = "```python\nfrom matplotlib.figure import Figure\nprint(1)\nFigure()\n```\n"
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
book.cells = [cell for cell in book.cells if "setup" not in cell.metadata.get("tags", [])]
NotebookClient(book, timeout=300, kernel_name="python3").execute()
nbformat.write(book, sys.argv[1])
"""


def load():
    spec = importlib.util.spec_from_file_location("notebooks_of_docs", DOCS / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(DOCS))  # where it finds its neighbor
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


NOTEBOOKS = load()


def python_fences(text):
    """Return the code of the python fences, line by line, knowing nothing of the converter's expression."""
    found, code = [], None
    for line in text.splitlines():
        if code is None and line == "```python":
            code = []
        elif code is not None and line == "```":
            found.append("\n".join(code))
            code = None
        elif code is not None:
            code.append(line)
    return found


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_is_a_valid_notebook_whose_code_cells_are_its_fences(page):
    text = page.read_text()
    book = NOTEBOOKS.notebook(text)
    nbformat.validate(book)
    assert [cell.source for cell in code_cells(book)] == python_fences(text)
    printed = [output.text for cell in code_cells(book) for output in cell.outputs if output.output_type == "stream"]
    assert printed == re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_begins_with_the_title_and_the_installation_and_points_to_no_file(page):
    book = NOTEBOOKS.notebook(page.read_text())
    assert book.cells[0].source.startswith("# ")
    assert book.cells[1].source.startswith("%pip install --quiet ")
    assert ("DATA = " in book.cells[1].source) == any("DATA /" in cell.source for cell in code_cells(book))
    prose = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert not re.search(r"\]\((?!https?:)|<!--|\{download\}", prose)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_offers_its_own_notebook(page):
    assert f"<../notebooks/{page.stem}.ipynb>`" in page.read_text()


def test_the_arc_names_its_steps_in_the_order_of_the_start_page():
    index = (DOCS / "index.md").read_text()
    block = re.search(r":caption: One year of a grocery chain\n.*?```", index, re.DOTALL).group()
    numbers, names = zip(*re.findall(r"^(\d+)\. .* <tutorials/(\w+)>$", block, re.MULTILINE), strict=True)
    assert numbers == tuple(str(place + 1) for place in range(10))
    for place, name in enumerate(names):
        text = (DOCS / "tutorials" / f"{name}.md").read_text()
        start = re.search(rf"\*\*Step {place + 1} of 10 of one year of a grocery chain\.\*\*.*?\n\n", text, re.DOTALL)
        around = re.findall(r"\]\((\w+)\.md\)", start.group())
        assert tuple(around) == names[max(place - 1, 0) : place] + names[place + 1 : place + 2]


def draw(text, folder, monkeypatch):
    (folder / "pictures").mkdir(exist_ok=True)
    monkeypatch.setattr(NOTEBOOKS, "DOCS", folder)
    page = folder / "page.md"
    page.write_text(text)
    NOTEBOOKS.draw(page)
    return NOTEBOOKS.notebook(text)


def test_the_figure_at_the_end_of_a_fence_is_saved_and_is_an_output(tmp_path, monkeypatch):
    text = f"{HEAD}{FIGURE}\n```text\n1\n```\n\n![A line](../pictures/page_line.svg)\n\nMore.\n"
    book = draw(text, tmp_path, monkeypatch)
    assert (tmp_path / "pictures" / "page_line.svg").exists()
    stream, picture = code_cells(book)[0].outputs
    assert stream.text == "1\n"
    assert picture.data["text/plain"] == "A line"
    assert picture.data["image/png"]
    assert book.cells[-1].source == "More."


def test_a_page_is_drawn_again_only_after_a_change(tmp_path, monkeypatch):
    text = f"{HEAD}{FIGURE}\n![A line](../pictures/page_line.svg)\n"
    draw(text, tmp_path, monkeypatch)
    picture = tmp_path / "pictures" / "page_line.png"
    picture.write_bytes(b"kept")
    draw(text, tmp_path, monkeypatch)
    assert picture.read_bytes() == b"kept"
    draw(f"{text}\nMore.\n", tmp_path, monkeypatch)
    assert picture.read_bytes() != b"kept"


def test_a_picture_that_was_not_drawn_is_left_out_of_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(NOTEBOOKS, "DOCS", tmp_path)
    book = NOTEBOOKS.notebook(f"{HEAD}{FIGURE}\n![A line](../pictures/page_line.svg)\n")
    assert code_cells(book)[0].outputs == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (FIGURE.replace("\nFigure()", "") + "\n![A](../pictures/page_a.svg)\n", "line 5: a figure and no image line"),
        (FIGURE + "\nWords.\n\n" + FIGURE + "\n![A](../pictures/page_a.svg)\n", "line 5: a figure and no image line"),
        (FIGURE + "\nWords.\n\n![A](../pictures/page_a.svg)\n", "page_a does not follow directly"),
        ("![A](../pictures/page_a.svg)\n", "page_a does not follow directly"),
        (FIGURE + "\n![A](../pictures/other_a.svg)\n", "the name of other_a must begin with page_"),
        (FIGURE + "\nWords.\n\n```text\n1\n```\n", "a text fence follows no python fence directly"),
    ],
)
def test_a_picture_or_an_output_out_of_place_is_an_error(body, said, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=said):
        draw(HEAD + body, tmp_path, monkeypatch)


def test_a_page_whose_data_may_be_absent_has_no_picture(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="its data may be absent"):
        draw(f"<!-- needs: some.csv -->\n{HEAD}{FIGURE}\n![A](../pictures/page_a.svg)\n", tmp_path, monkeypatch)


def test_a_page_that_does_not_say_what_to_install_is_an_error():
    with pytest.raises(ValueError, match="pip install"):
        NOTEBOOKS.notebook("# A page\n\nWords.\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rfm_migration", "control_group"])
def test_a_notebook_runs_and_gives_the_outputs_of_the_page(name, tmp_path):
    pytest.importorskip("nbclient", reason="nbclient runs notebooks: pip install --group docs")
    pytest.importorskip("ipykernel", reason="ipykernel runs notebooks: pip install --group docs")
    text = (DOCS / "tutorials" / f"{name}.md").read_text()
    nbformat.write(NOTEBOOKS.notebook(text), tmp_path / "page.ipynb")
    run = [sys.executable, "-c", EXECUTE, str(tmp_path / "page.ipynb")]
    subprocess.run(run, check=True, capture_output=True, text=True, timeout=300)
    fences = [part for part in NOTEBOOKS.parts(text) if isinstance(part, NOTEBOOKS.Fence)]
    cells = code_cells(nbformat.read(tmp_path / "page.ipynb", as_version=4))
    assert len(cells) == len(fences)
    for cell, fence in zip(cells, fences, strict=True):
        printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        assert [line.rstrip() for line in printed.splitlines()] == (fence.printed or "").splitlines()
        shown = ["image/png" in output.data for output in cell.outputs if output.output_type != "stream"]
        assert shown == [True] * (fence.picture is not None)
