"""Which parts of a rule an engine can evaluate, and which only numpy can."""

from __future__ import annotations

from relmark.core.errors import InputError
from relmark.expressions import Expression, Selection, nodes
from relmark.expressions.walk import children

__all__ = ["reasons", "unsupported"]

_FIGURES = {
    "active_days",
    "count",
    "count_distinct",
    "days_since_first",
    "days_since_last",
    "exists",
    "first",
    "last",
    "max",
    "mean",
    "min",
    "sum",
}
_ELAPSED = {"days_since_first", "days_since_last"}
_NOT_PORTABLE: dict[type[Expression], str] = {
    nodes.Sample: "the hash of ids",
    nodes.Age: "calendar arithmetic",
    nodes.Clock: "hours and weekdays",
    nodes.InPeriod: "calendar periods",
    nodes.Regularly: "regular activity",
    nodes.LastEvent: "the last event",
    nodes.Sequence: "sequences",
    nodes.Stage: "stages",
}


def unsupported(rule: object, *, tz: str = "UTC") -> tuple[str, ...]:
    """Return the JSON paths of the parts of a rule that only numpy can evaluate; () if an engine can evaluate all.

    Parameters
    ----------
    rule : Expression
        A rule, such as ``segment.rule``.
    tz : str
        The time zone of the business; calendar days are portable only in UTC.

    Examples
    --------
    >>> from relmark import days, event, field, sample
    >>> unsupported((field("age") >= 18) & (event("purchase").count(within=days(30)) >= 2))
    ()
    >>> unsupported((field("age") >= 18) & sample(10, salt="spring"))
    ('$.args[1]',)
    """
    return tuple(reasons(rule, tz=tz))


def reasons(rule: object, *, tz: str = "UTC") -> dict[str, str]:
    """Return the reason for each path that only numpy can evaluate, because engines differ or lack it."""
    if not isinstance(rule, Expression):
        raise InputError(
            f"rule is {rule!r}; it must be a rule, such as segment.rule.", argument="rule", code="wrong_type"
        )
    found: dict[str, str] = {}
    stack: list[tuple[str, Expression | Selection, bool]] = [("$", rule, False)]
    while stack:
        path, node, elapsed_fits = stack.pop()
        why = "" if isinstance(node, Selection) else _why_not(node, tz, elapsed_fits=elapsed_fits)
        if why:
            found[path] = why
            continue
        fits = _takes_elapsed(node)
        stack += reversed([(f"{path}.{key}", child, fits) for key, child in children(node)])
    return found


def _takes_elapsed(node: Expression | Selection) -> bool:
    """Return whether a test of days since an event can become a comparison of two times."""
    match node:
        case nodes.Compare(left=left, right=right):
            return isinstance(left, nodes.Literal) or isinstance(right, nodes.Literal)
        case nodes.Between() | nodes.IsIn() | nodes.IsNull():
            return True
    return False


def _why_not(node: Expression, tz: str, *, elapsed_fits: bool) -> str:
    if type(node) in _NOT_PORTABLE:
        return _NOT_PORTABLE[type(node)]
    match node:
        case nodes.Aggregate(op=op):
            if op not in _FIGURES:
                return "the most frequent value"
            if op in _ELAPSED and not elapsed_fits:
                return "a number of days that is not compared with a fixed number"
            if op == "active_days" and tz != "UTC":
                return "calendar days in a time zone other than UTC"
        case nodes.DateWindow(op="anniversary" | "past_anniversary"):
            return "anniversaries"
        case nodes.Matches(op=op, casefold=casefold):
            if op in {"like", "has_word"}:
                return "globs and whole words"
            if casefold:
                return "case folding"
    return ""
