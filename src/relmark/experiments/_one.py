"""Kernel: the hash of one id in plain Python, for a backend that asks about one customer at a time."""

from __future__ import annotations

import hashlib

import numpy as np

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.hashing import BUCKETS

_BASIS = 2_166_136_261
_PRIME = 16_777_619
_MASK = 0xFFFFFFFF


def one_bucket(customer_id: int | str, salt: str, hash: str = "growthbook") -> int:
    """Return the bucket of one id, 0 to 9,999: what `hash_buckets` gives, in 5 microseconds instead of 200."""
    if isinstance(customer_id, bool) or not isinstance(customer_id, (int, str, np.integer)):
        raise InputError(f"customer_id is {checks.shown(customer_id)}: int or str is needed.")
    if hash == "sha256":
        return int.from_bytes(hashlib.sha256(f"{salt}:{customer_id}".encode()).digest()[:4], "big") % BUCKETS
    return _fnv1a(str(_fnv1a(f"{salt}{customer_id}"))) % BUCKETS


def _fnv1a(text: str) -> int:
    state = _BASIS
    for byte in text.encode():
        state = ((state ^ byte) * _PRIME) & _MASK
    return state
