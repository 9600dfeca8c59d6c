"""What comes of many seeded tries: each that raised, with its seed, and how many ended how."""

import traceback
from collections.abc import Callable


def failures(one: Callable[[int], str], seeds: range) -> tuple[list[str], dict[str, int]]:
    """Return what went wrong with its seed, and how many were accepted and refused."""
    wrong, became = [], {}
    for seed in seeds:
        try:
            what = one(seed)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told with its seed)
            where = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:160]} ({where.name}, line {where.lineno})")
        else:
            became[what] = became.get(what, 0) + 1
    return wrong, became
