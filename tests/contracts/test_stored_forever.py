"""What has once been stored is read for ever: the texts and fingerprints of earlier releases, kept in a file.

The file ``stored_definitions.json`` only grows. Definitions of a new kind or with a new option are added by
``python tests/contracts/test_stored_forever.py``; a line that changes is a promise that is broken.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from relmark.expressions import Expression

HERE = Path(__file__).parent
KEPT = HERE / "stored_definitions.json"
MADE = runpy.run_path(str(HERE / "definitions.py"))
RULES = runpy.run_path(str(HERE.parent / "expressions" / "test_every_node.py"))["EXAMPLES"]
KINDS = {"Expression": Expression} | {type(one).__name__: type(one) for one in MADE["DEFINITIONS"]}
STORED = [tuple(line) for line in json.loads(KEPT.read_text(encoding="utf-8"))] if KEPT.exists() else []


@pytest.mark.parametrize(("kind", "text", "mark"), STORED, ids=[f"{kind}-{mark[:8]}" for kind, _, mark in STORED])
def test_what_an_earlier_release_stored_means_the_same(kind, text, mark):
    read = KINDS[kind].from_json(text)
    assert read.fingerprint == mark
    assert read.to_json() == text


def test_every_definition_and_every_operator_is_kept():
    kept = {mark for _, _, mark in STORED}
    assert [MADE["called"](one) for one in MADE["DEFINITIONS"] if one.fingerprint not in kept] == []
    assert [op for op, one in RULES.items() if one.fingerprint not in kept] == []


if __name__ == "__main__":
    rules = [("Expression", one.to_json(), one.fingerprint) for one in RULES.values()]
    now = [(type(one).__name__, one.to_json(), one.fingerprint) for one in MADE["DEFINITIONS"]] + rules
    KEPT.write_text(json.dumps(list(dict.fromkeys([*STORED, *now])), indent=0, ensure_ascii=False) + "\n")
