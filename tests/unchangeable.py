"""What a result's arrays must be: its own, and written to by nobody, after a copy too."""

import pickle
from copy import deepcopy

import attrs
import numpy as np
import pytest


def arrays_of(value, depth=0):
    """Yield the arrays that an object holds in its fields."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from arrays_of(item, depth + 1)
    elif isinstance(value, tuple):
        for item in value:
            yield from arrays_of(item, depth + 1)
    elif attrs.has(type(value)) and depth < 5:
        for attribute in attrs.fields(type(value)):
            yield from arrays_of(getattr(value, attribute.name), depth + 1)


def check_unchangeable(made, given):
    """Check that a result's arrays are nobody else's and can be written to by nobody, after a copy too."""
    found = list(arrays_of(made))
    before = [array.copy() for array in found]
    for array in given:
        array[...] = array[::-1].copy()
        array[:1] = array[-1:]
    for copy in (made, pickle.loads(pickle.dumps(made)), deepcopy(made)):
        arrays = list(arrays_of(copy))
        assert len(arrays) == len(before)
        for array, was in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, was)
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[:1] = array[:1]
    return len(found)
