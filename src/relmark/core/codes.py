"""The codes of errors and problems: few, stable words by which a program tells what kind of thing is wrong.

A message may be reworded; a code stays. Every error and every problem of a definition carries one of these, so that a
user interface words it in its own language, and a service maps it to an answer.
"""

from __future__ import annotations

__all__ = ["CODES"]

CODES: dict[str, str] = {
    "bad_text": "A text holds a null character or half of a surrogate pair.",
    "circle": "Segments build on each other in a circle.",
    "conflicting_arguments": "Two arguments, or two values, exclude each other.",
    "damaged": "Stored arrays are not those that were saved: values changed, rows moved, or something was cut off.",
    "duplicate": "A name, an id or a row is given twice.",
    "duplicate_key": "A key is given twice in one JSON object, or in one list of pairs.",
    "empty": "Something is empty that needs at least one member.",
    "missing_argument": "What was asked needs an argument, a column or a setting that was not given.",
    "missing_column": "The data have no such column, field or property.",
    "missing_key": "A stored definition lacks a key.",
    "missing_value": "A value is missing (None, NaN, NaT or masked) where one is needed.",
    "mixed_types": "Values that belong together are of different types, such as int and str ids.",
    "no_time_zone": "A time has no zone where an instant is needed.",
    "not_converged": "An iterative method did not reach its tolerance.",
    "not_duration": "A text or an object is not a length of time.",
    "not_enough_data": "The data are valid, but too few for what was asked.",
    "not_finite": "A number is NaN or infinite.",
    "not_here": "A part of a rule stands where it means nothing, such as prop() outside of where=.",
    "not_installed": "An optional package is needed and is not there.",
    "not_json": "A text is not JSON.",
    "not_mergeable": "Two parts cannot be added: they count different things.",
    "not_object": "A JSON object is needed.",
    "not_portable": "A part of a rule that engines cannot say: evaluate it with numpy.",
    "not_rule": "A value stands where a rule is needed.",
    "not_storable": "A value or a setting has no stored form.",
    "not_supported": "The object cannot answer this question; the message says which can.",
    "not_text": "JSON or rule text is needed.",
    "not_value": "A rule or a selection of events was used as a plain value.",
    "syntax": "The text of a rule does not follow its grammar.",
    "too_deep": "Nested deeper than the limits allow.",
    "too_large": "Larger than the limits, or the memory, allow.",
    "too_large_number": "A number beyond 64 bits, or a whole number that float64 cannot hold exactly.",
    "too_long": "A text is longer than the limits allow.",
    "too_long_window": "A window of time is longer than the limits allow.",
    "too_many": "A list has more members than the limits allow.",
    "too_many_nodes": "A definition has more parts than the limits allow.",
    "too_many_steps": "A sequence has more steps than the limits allow.",
    "unknown_event": "There are no events of this type.",
    "unknown_field": "Customers have no such field.",
    "unknown_key": "A stored definition has a key that it may not have.",
    "unknown_model": "A stored model of a kind that is not known.",
    "unknown_name": "A name is none of those that are known here.",
    "unknown_operator": "A stored rule has an operator that is not known.",
    "unknown_property": "Events of this type have no such property.",
    "unknown_segment": "There is no segment of this name.",
    "unknown_version": "A stored form of a version that this relmark does not read.",
    "wrong_kind": "A stored definition of another kind than was asked for.",
    "wrong_length": "Columns that belong together have different lengths.",
    "wrong_shape": "An array has another number of axes or columns than is needed.",
    "wrong_type": "A value is of another type than is needed.",
    "wrong_value": "A value is of the right type and outside of what is allowed.",
}
"""Every code, with what it says."""
