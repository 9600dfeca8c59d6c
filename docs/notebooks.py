"""Draw the pictures of the tutorials into docs/pictures and make a notebook of each in docs/notebooks.

Run ``python docs/notebooks.py``; the site's build does. A tutorial is Markdown. Its python fences become code cells, a
text fence becomes the output of the python fence before it, and everything else becomes Markdown cells. Where the last
value of a python fence is a figure, an image line follows, such as ``![Words](../pictures/PAGE_NAME.svg)``: the figure
is saved there, and is an output of the cell. The outputs are those of the page, which its test compares with what the
code prints, so that a page is executed only as far as its last picture, and not at all without one. A page is executed
again only when its text or the library has changed.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from outputs import FENCE

DOCS = Path(__file__).resolve().parent
IMAGE = re.compile(r"^!\[([^\]]*)\]\(\.\./pictures/([\w-]+)\.svg\)$", re.MULTILINE)
INSTALL = re.compile(r"^\{download\}`.*`pip install ([^`]+)`.*$", re.MULTILINE)
NEEDS = re.compile(r"\A<!-- needs: ([\w.]+) -->")
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
LOCAL_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]*\)")


class Fence(NamedTuple):
    """A python fence with what the page shows of it: what it prints, and the name and words of its picture."""

    code: str
    line: int
    printed: str | None = None
    picture: tuple[str, str] | None = None


def pages() -> list[Path]:
    """Return the tutorials."""
    return sorted((DOCS / "tutorials").glob("*.md"))


def parts(text: str) -> Iterator[str | Fence]:
    """Yield the prose and the python fences of a page, in its order."""
    position, fence = 0, None
    for match in FENCE.finditer(text):
        language, mark, body = match.groups()
        if mark is not None:
            continue
        prose = text[position : match.start()]
        if language == "text":
            if fence is None or fence.printed is not None or prose.strip():
                raise ValueError(f"line {_line(text, match.start())}: a text fence follows no python fence directly")
            fence = fence._replace(printed=body)
        else:
            yield from _with_picture(fence, prose)
            fence = Fence(body, _line(text, match.start()))
        position = match.end()
    yield from _with_picture(fence, text[position:])


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _with_picture(fence: Fence | None, prose: str) -> Iterator[str | Fence]:
    """Yield a fence with the picture that stands at the head of the prose after it, then the rest of that prose."""
    images = list(IMAGE.finditer(prose))
    if images and (fence is None or len(images) > 1 or prose[: images[0].start()].strip()):
        raise ValueError(f"the picture {images[-1][2]} does not follow directly the fence that draws it")
    if fence is not None:
        yield fence._replace(picture=(images[0][2], images[0][1])) if images else fence
    yield prose[images[0].end() :] if images else prose


def draw(page: Path) -> float:
    """Execute a page as far as its last picture, save its pictures as SVG and PNG, and return the seconds it took."""
    begin, text = time.perf_counter(), page.read_text(encoding="utf-8")
    fences = [part for part in parts(text) if isinstance(part, Fence)]
    last = max((place for place, fence in enumerate(fences) if fence.picture), default=-1)
    if last >= 0 and NEEDS.match(text):
        raise ValueError(f"{page.name} has a picture, but its data may be absent where the site is built")
    stamp, made_from = DOCS / "pictures" / f"{page.stem}.drawn", _made_from(page)
    wanted = [DOCS / "pictures" / f"{fence.picture[0]}.svg" for fence in fences if fence.picture]
    if all(file.exists() for file in wanted) and (last < 0 or (stamp.exists() and stamp.read_text() == made_from)):
        return 0.0
    space: dict[str, Any] = {"__name__": "__page__"}
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout, stdout = nowhere, sys.stdout
        try:
            for fence in fences[: last + 1]:
                figure = _run(fence, space, page)
                if (figure is None) != (fence.picture is None):
                    raise ValueError(f"{page.name}, line {fence.line}: a figure and no image line, or the reverse")
                if figure is not None and fence.picture is not None:
                    _save(figure, fence.picture[0], page)
        finally:
            sys.stdout = stdout
    stamp.write_text(made_from)
    return time.perf_counter() - begin


def _made_from(page: Path) -> str:
    """Return a digest of all that a page's pictures are drawn from: its text, this file and the library."""
    found = importlib.util.find_spec("relmark")
    folders = found.submodule_search_locations if found and found.submodule_search_locations else []
    sources = sorted(source for folder in folders for source in Path(folder).rglob("*.py"))
    digest = hashlib.sha256()
    for file in (page, Path(__file__), *sources):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _run(fence: Fence, space: dict[str, Any], page: Path) -> Any:
    """Execute a fence and return its last value where that is a figure."""
    tree = ast.parse(fence.code)
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(_compiled(tree, page), space)  # noqa: S102
    if not isinstance(shown, ast.Expr):
        return None
    value = eval(_compiled(ast.Expression(shown.value), page), space)  # noqa: S307
    return value if hasattr(value, "savefig") else None


def _compiled(tree: ast.Module | ast.Expression, page: Path) -> CodeType:
    return compile(tree, page.name, "exec" if isinstance(tree, ast.Module) else "eval", dont_inherit=True)


def _save(figure: Any, name: str, page: Path) -> None:
    if not name.startswith(f"{page.stem}_"):
        raise ValueError(
            f"{page.name}: the name of {name} must begin with {page.stem}_, so that no other page draws it"
        )
    figure.savefig(DOCS / "pictures" / f"{name}.svg", metadata={"Date": None})
    figure.savefig(DOCS / "pictures" / f"{name}.png")


def notebook(text: str) -> nbformat.NotebookNode:
    """Return a page as a notebook, with the pictures that have been drawn."""
    cells = [_setup(text)]
    for part in parts(text):
        if isinstance(part, Fence):
            cells.append(new_code_cell(part.code.rstrip("\n"), outputs=list(_outputs(part))))
        elif prose := _portable(part):
            cells.append(new_markdown_cell(prose))
    if len(cells) > 1 and cells[1].cell_type == "markdown":
        title, _, rest = cells[1].source.partition("\n")  # the title first, then what to install
        cells[:2] = [new_markdown_cell(title), cells[0], *([new_markdown_cell(rest.strip())] if rest.strip() else [])]
    for place, cell in enumerate(cells):
        cell.id = f"cell-{place}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _setup(text: str) -> nbformat.NotebookNode:
    """Return the cell that installs what the page needs, and says where its data are if no package ships them."""
    install = INSTALL.search(text)
    if install is None:
        raise ValueError("the page has no line that begins with {download} and says what to `pip install`")
    code = f"%pip install --quiet {install[1]}"
    if needs := NEEDS.match(text):
        code += f'\n\nfrom pathlib import Path\n\nDATA = Path(".")  # the folder that holds {needs[1]}'
    return new_code_cell(code, metadata={"tags": ["setup"]})


def _outputs(fence: Fence) -> Iterator[nbformat.NotebookNode]:
    if fence.printed is not None:
        yield new_output("stream", name="stdout", text=fence.printed)
    if fence.picture is not None:
        name, words = fence.picture
        file = DOCS / "pictures" / f"{name}.png"
        if file.exists():
            data = {"image/png": base64.b64encode(file.read_bytes()).decode(), "text/plain": words}
            yield new_output("display_data", data=data)


def _portable(prose: str) -> str:
    """Return prose without what only the site has: comments, the line of the download, links to other pages."""
    prose = INSTALL.sub("", COMMENT.sub("", prose))
    return re.sub(r"\n{3,}", "\n\n", LOCAL_LINK.sub(r"\1", prose)).strip()


def make() -> None:
    """Draw all pictures, two pages at a time, and write all notebooks."""
    for folder in ("pictures", "notebooks"):
        (DOCS / folder).mkdir(exist_ok=True)
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawned, max_tasks_per_child=1) as pool:
        for page, seconds in zip(pages(), pool.map(draw, pages()), strict=True):
            if "--times" in sys.argv:
                print(f"{page.stem:24} {seconds:6.1f} s")
    for page in pages():
        made = notebook(page.read_text(encoding="utf-8"))
        nbformat.validate(made)
        nbformat.write(made, DOCS / "notebooks" / f"{page.stem}.ipynb")


if __name__ == "__main__":
    make()
