"""Write the true output of each python fence into the text fence after it.

Run ``python docs/outputs.py docs/guides/ltv.md ...`` after changing a page, and read the difference before you commit.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("RELMARK_DATA") or ROOT.parent / "shared" / "data")
FENCE = re.compile(r"^```(python|text)(?:[ ]+\{?([\w-]+)\}?)?\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


def refreshed(page: str, name: str) -> str:
    """Return a page with the text fences filled from the python fences before them."""
    space: dict[str, object] = {"__name__": "__page__", "DATA": DATA, "DSN": os.environ.get("RELMARK_DSN")}
    pieces: list[str] = []
    position, printed = 0, ""
    for match in FENCE.finditer(page):
        language, mark, body = match.groups()
        if mark is not None:
            continue
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, name, "exec", dont_inherit=True), space)  # noqa: S102
            printed = "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())
        else:
            pieces += [page[position : match.start()], f"```text\n{printed}\n```"]
            position = match.end()
    return "".join([*pieces, page[position:]])


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        path.write_text(refreshed(path.read_text(), argument))
