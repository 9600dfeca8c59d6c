"""The codes of errors and problems: stable words by which a program can tell what kind of thing is wrong.

A message may be reworded, but a code does not change. Every error and every problem of a definition has one of these
codes, so that a user interface can show its own text and a service can map it to a response.
"""

from __future__ import annotations

__all__ = ["CODES"]

CODES: dict[str, str] = {
    "bad_text": "A text holds a null character or half of a surrogate pair.",
    "circle": "Segments build on each other in a circle.",
    "conflicting_arguments": "Two arguments, or two values, exclude each other.",
    "damaged": "Stored arrays differ from those that were saved: values changed, rows moved, or a part is missing.",
    "duplicate": "A name, an id or a row is given twice.",
    "duplicate_key": "A key is given twice in one JSON object, or in one list of pairs.",
    "empty": "Something is empty that needs at least one member.",
    "missing_argument": "The call needs an argument, a column or a setting that was not given.",
    "missing_column": "The data have no such column, field or property.",
    "missing_key": "A stored definition lacks a key.",
    "missing_value": "A required value is missing (None, NaN, NaT or masked).",
    "mixed_types": "Values that belong together are of different types, such as int and str ids.",
    "no_time_zone": "An instant is needed, but the time has no zone.",
    "not_converged": "An iterative method did not reach its tolerance.",
    "not_duration": "A text or an object is not a length of time.",
    "not_enough_data": "The data are valid, but there are too few for the calculation.",
    "not_finite": "A number is NaN or infinite.",
    "not_here": "A part of a rule is in a place where it has no meaning, such as prop() outside of where=.",
    "not_installed": "An optional package is needed but is not installed.",
    "not_json": "A text is not JSON.",
    "not_mergeable": "Two parts cannot be added: they count different things.",
    "not_object": "A JSON object is needed.",
    "not_portable": "A part of a rule cannot be written for the engine: evaluate it with numpy.",
    "not_rule": "A value was given where a rule is needed.",
    "not_storable": "A value or a setting has no stored form.",
    "not_supported": "The object does not support this call; the message names what does.",
    "not_text": "JSON or rule text is needed.",
    "not_value": "A rule or a selection of events was used as a plain value.",
    "syntax": "The text of a rule does not follow its grammar.",
    "too_deep": "A definition is nested deeper than the limits allow.",
    "too_large": "An input is larger than the limits, or the memory, allow.",
    "too_large_number": "A number is beyond 64 bits, or is a whole number that float64 cannot hold exactly.",
    "too_long": "A text is longer than the limits allow.",
    "too_long_window": "A window of time is longer than the limits allow.",
    "too_many": "A list has more members than the limits allow.",
    "too_many_nodes": "A definition has more parts than the limits allow.",
    "too_many_steps": "A sequence has more steps than the limits allow.",
    "unknown_event": "There are no events of this type.",
    "unknown_field": "Customers have no such field.",
    "unknown_key": "A stored definition has a key that it may not have.",
    "unknown_model": "A stored model is of an unknown kind.",
    "unknown_name": "A name is not one of those that are possible here.",
    "unknown_operator": "A stored rule has an unknown operator.",
    "unknown_property": "Events of this type have no such property.",
    "unknown_segment": "There is no segment of this name.",
    "unknown_version": "A stored form has a version that this version of relmark does not read.",
    "wrong_kind": "A stored definition is of another kind than the one needed.",
    "wrong_length": "Columns that belong together have different lengths.",
    "wrong_shape": "An array has the wrong number of axes or columns.",
    "wrong_type": "A value has the wrong type.",
    "wrong_value": "A value has the right type but is not allowed.",
}
"""Every code and its meaning."""
