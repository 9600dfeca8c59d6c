"""Sphinx configuration: guides and tutorials in Markdown, the reference from the docstrings."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from relmark import plots

sys.path.insert(0, str(Path(__file__).parent))

project = "relmark"
author = "the relmark developers"
copyright = "2026, the relmark developers"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference_pages"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "relmark"
html_static_path = ["static"]
html_css_files = ["wide.css", "reference.css"]
html_search_scorer = str(Path(__file__).parent / "static" / "search_scorer.js")
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "misc.highlighting_failure", "ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
nitpicky = True
# Links to names of relmark have to be found. Types of other projects and the words of docstrings are no links.
nitpick_ignore_regex = [
    ("py:(?!obj).*", r"(?!relmark\.).*"),
    ("py:obj", r"(?!relmark\.)[a-z_][\w.]*(\(\))?|.*[^\w.].*"),
]
nitpick_ignore = [  # what nobody outside of relmark makes or reads
    ("py:class", "relmark.campaigns.campaign.Unsaid"),
    ("py:class", "relmark.expressions.event_rows.EventScope"),
    ("py:class", "relmark.scoring._one.ScoreProgram"),
]
default_role = "py:obj"
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = False
napoleon_use_ivar = True
add_module_names = False


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
    """Draw the pictures, of results and of the tutorials, before pages are read."""
    app.connect("builder-inited", make_notebooks)  # type: ignore[attr-defined]
    app.connect("builder-inited", draw_pictures)  # type: ignore[attr-defined]
