"""Sphinx configuration: guides and tutorials in Markdown, the reference from the docstrings."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

from relmark import plots
from relmark.errors import CODES

project = "relmark"
author = "the relmark developers"
copyright = "2026, the relmark developers"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "relmark"
html_static_path = ["static"]
html_css_files = ["wide.css"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "misc.highlighting_failure", "ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
add_module_names = False


class ErrorCodes(Directive):
    """The table of codes, made from the source when the pages are built."""

    def run(self) -> list[nodes.Node]:
        table = nodes.table()
        group = nodes.tgroup(cols=2)
        group += [nodes.colspec(colwidth=25), nodes.colspec(colwidth=75)]
        head, body = nodes.thead(), nodes.tbody()
        head += _row(nodes.paragraph(text="code"), nodes.paragraph(text="what it says"))
        for code, said in CODES.items():
            body += _row(nodes.paragraph("", "", nodes.literal(text=code)), nodes.paragraph(text=said))
        group += [head, body]
        table += group
        return [table]


def _row(*cells: nodes.Node) -> nodes.Node:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += cell
        row += entry
    return row


def draw_pictures(_: object) -> None:
    """Draw every picture of the tests' results into docs/pictures, where the pages show them."""
    docs = Path(__file__).parent
    path = docs.parent / "tests" / "plots" / "results_to_draw.py"
    spec = importlib.util.spec_from_file_location("results_to_draw", path)
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    (docs / "pictures").mkdir(exist_ok=True)
    for name, result in results.results().items():
        plots.draw(result).figure.savefig(docs / "pictures" / f"{name}.svg", metadata={"Date": None})


def make_notebooks(_: object) -> None:
    """Draw the pictures of the tutorials and make their notebooks, which the pages offer for download."""
    subprocess.run([sys.executable, str(Path(__file__).with_name("notebooks.py"))], check=True)  # noqa: S603


def setup(app: object) -> None:
    """Register the directive, and draw the pictures before pages are read."""
    app.connect("builder-inited", make_notebooks)  # type: ignore[attr-defined]
    app.add_directive("error-codes", ErrorCodes)  # type: ignore[attr-defined]
    app.connect("builder-inited", draw_pictures)  # type: ignore[attr-defined]
