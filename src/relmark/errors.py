"""The errors of relmark, under the name by which users import them."""

from relmark.core.codes import CODES
from relmark.core.errors import (
    ConvergenceError,
    DataError,
    DefinitionError,
    InputError,
    LimitError,
    MissingColumnError,
    NotEnoughDataError,
    RelmarkError,
)

__all__ = [
    "CODES",
    "ConvergenceError",
    "DataError",
    "DefinitionError",
    "InputError",
    "LimitError",
    "MissingColumnError",
    "NotEnoughDataError",
    "RelmarkError",
]
