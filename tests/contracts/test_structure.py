"""The structure that keeps the package readable: no circles, few late imports, narrow signatures."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import relmark

SOURCE = Path(relmark.__file__).parent
MODULES = {
    "relmark." + ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.name != "__init__.py"  # a package re-exports; who imports a module of it does not need the others
}
ROOMS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py") if path.parent.name != "core")


def checked_only(tree: ast.Module) -> set[ast.AST]:
    """Return what only a type checker reads."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    return {inner for block in blocks for inner in ast.walk(block)}


@functools.cache
def imports(name: str) -> dict[bool, set[str]]:
    """Return the modules of relmark that a module imports as it is loaded (False), and from within functions (True)."""
    tree = ast.parse(MODULES[name].read_text())
    typing = checked_only(tree)
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))]
    inside = {inner for function in functions for inner in ast.walk(function)}
    found: dict[bool, set[str]] = {False: set(), True: set()}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in typing:
            named = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            found[node in inside] |= named & MODULES.keys()
    return found


# What can be written on an expression makes nodes, and nodes are expressions: one concept in four files.
LANGUAGE = {f"relmark.expressions.{name}" for name in ("operators", "nodes", "event_nodes", "selection")}


@pytest.mark.long
def test_no_module_imports_itself_in_a_circle():
    def known(name: str) -> str:
        return "the language" if name in LANGUAGE else name

    graph: dict[str, set[str]] = {}
    for name in MODULES:
        graph.setdefault(known(name), set()).update(map(known, imports(name)[False]))
    graph["the language"].discard("the language")
    assert list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the circle


@pytest.mark.long
def test_the_only_late_imports_are_doors_of_the_rule_language():
    """Every expression reads and writes itself, in modules that need all nodes first."""
    late = {(name, module) for name in MODULES for module in imports(name)[True]}
    doors = {"operators", "selection"}
    assert {name for name, _ in late} <= {f"relmark.expressions.{door}" for door in doors}
    assert {module.rpartition(".")[2] for _, module in late} <= {
        "evaluate", "kinds", "needs", "selection", "stored", "text_writer", "words",
    }  # fmt: skip


def public_callables() -> Iterator[tuple[str, object]]:
    """Yield the public functions, constructors and methods."""
    for module in [relmark, *(importlib.import_module(f"relmark.{room}") for room in ROOMS)]:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing
            elif inspect.isclass(thing) and thing.__module__.startswith("relmark."):
                for attribute, member in vars(thing).items():
                    function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
                    if inspect.isfunction(function) and (attribute == "__init__" or not attribute.startswith("_")):
                        yield f"{module.__name__}.{name}.{attribute}", function


# A frame of orders has a column for each of these; a definition is read on a frame, or learned, with its own settings;
# a report is asked for with all that its definitions differ by.
WIDE = {
    "relmark.CustomerBase.from_orders": 13,
    "relmark.EventLog.purchases": 10,
    "relmark.campaigns.allocate": 10,
    "relmark.engines.apply": 9,
    "relmark.engines.evaluate": 9,
    "relmark.experiments.Experiment.read": 9,
    "relmark.metrics.base_health": 9,
    "relmark.metrics.cohort_retention": 9,
    "relmark.metrics.funnel": 11,
    "relmark.metrics.message_metrics": 11,
    "relmark.metrics.paths": 10,
    "relmark.metrics.unit_economics": 9,
    "relmark.scoring.suggest_points": 9,
}


def test_few_signatures_have_more_than_eight_parameters():
    wide = {}
    for name, function in public_callables():
        if not name.endswith(".__init__"):  # constructors of definitions and results name their fields
            parameters = [p for p in inspect.signature(function).parameters if p not in {"self", "cls"}]
            if len(parameters) > 8:
                wide[name] = len(parameters)
    assert {name: n for name, n in wide.items() if n > WIDE.get(name, 8)} == {}
