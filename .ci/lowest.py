"""Print pip constraints that hold relmark to the lowest versions that pyproject.toml names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
wanted = [
    *project["dependencies"],
    *project["optional-dependencies"]["dataframes"],
    *project["optional-dependencies"]["test"],
]
lowest = {found[1]: found[2] for text in wanted if (found := re.match(r"([\w-]+)>=([\d.]+)", text))}
lowest["pyparsing"] = "3.1"  # matplotlib 3.9 calls names that newer ones warn about
print("\n".join(f"{name}=={version}" for name, version in lowest.items()))
