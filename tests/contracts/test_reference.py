"""The reference pages: every public name in a table by task, every type said, every returned type documented."""

from __future__ import annotations

import builtins
import functools
import importlib
import inspect
import pkgutil
import re
import types
import typing
from inspect import isclass
from pathlib import Path

import pytest

import relmark

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "reference"
MODULES = {
    info.name: importlib.import_module(info.name) for info in pkgutil.walk_packages(relmark.__path__, "relmark.")
} | {"relmark": relmark}
PACKAGES = [
    "relmark",
    *sorted(f"relmark.{name}" for name in relmark.__all__ if inspect.ismodule(getattr(relmark, name))),
]


# ---- what the pages say


def page_of(package: str) -> str:
    return (PAGES / f"{package.partition('.')[2] or 'core'}.md").read_text()


def tasks_of(package: str) -> dict[str, list[str]]:
    """Return the names that a page lists by task."""
    found = re.findall(r"^```\{names-by-task\} (\S+)\n(.*?)^```$", page_of(package), re.DOTALL | re.MULTILINE)
    assert [name for name, _ in found] == [package]
    lines = found[0][1].replace("\n ", " ").strip().splitlines()
    return {line.partition(": ")[0]: line.partition(": ")[2].replace(" ", "").split(",") for line in lines}


def directives(text: str):
    """Yield the directives of a page for names of Python with what is indented below each."""
    blocks = re.findall(r"^```\{eval-rst\}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    for block in blocks:
        for match in re.finditer(r"^\.\. ([\w:-]+):: (\S+)\n((?:   .*\n|\n(?=   ))*)", block, re.MULTILINE):
            yield match.groups()


@functools.cache
def documented(*, with_members: bool = False) -> dict[str, object]:
    """Return what has an entry on a page, by the full name of the entry; or what has its members there too."""
    found: dict[str, object] = {}
    for page in sorted(PAGES.glob("*.md")):
        here = ""
        for kind, name, body in directives(page.read_text()):
            if kind in {"automodule", "currentmodule"}:
                here = name
            if kind == "automodule" and ":no-members:" not in body:
                left_out = re.findall(r":exclude-members: (.*)", body)
                names = set(MODULES[name].__all__) - set(", ".join(left_out).split(", "))
                offered = {f"{name}.{each}": getattr(MODULES[name], each) for each in names if ":members:" in body}
                # of an object or an alias autodoc makes no entry by itself
                found |= {each: thing for each, thing in offered.items() if inspect.isroutine(thing) or isclass(thing)}
            elif with_members and ":members:" not in body and kind != "autofunction":
                continue
            elif kind in {"autoclass", "autofunction", "autodata", "py:data"}:
                full = name if name.startswith("relmark.") else f"{here}.{name}"
                found[full] = resolved(full)
            elif kind in {"types-in-signatures", "words"}:
                found |= {f"{name}.{each}": resolved(f"{name}.{each}") for each in body.split()}
    return found


def resolved(name: str) -> object:
    module, rest = name, []
    while module not in MODULES:
        module, _, last = module.rpartition(".")
        rest.insert(0, last)
    return functools.reduce(getattr, rest, MODULES[module])


# ---- what the package offers


def public() -> dict[str, object]:
    """Return the names of all packages, and the classes and functions that are documented from their modules."""
    offered = {f"{home}.{name}": getattr(MODULES[home], name) for home in PACKAGES for name in MODULES[home].__all__}
    distinct: dict[int, tuple[str, object]] = {}
    for name, thing in [*offered.items(), *documented(with_members=True).items()]:
        if isclass(thing) or inspect.isfunction(thing):
            distinct.setdefault(id(thing), (name, thing))
    return dict(distinct.values())


def callables():
    """Yield every public function, constructor, method and property of relmark by its name."""
    seen = set()
    for name, thing in public().items():
        if inspect.isfunction(thing):
            yield name, thing
        for attribute in dir(thing) if isclass(thing) else ():
            member = inspect.getattr_static(thing, attribute)
            inner = getattr(member, "fget", None) or getattr(member, "__func__", None) or getattr(member, "func", None)
            function = inner if inspect.isfunction(inner) else member
            if attribute.startswith("_") and attribute not in {"__init__", "__call__", "__getitem__"}:
                continue
            if not inspect.isfunction(function) or id(function) in seen:
                continue
            if function.__module__.startswith("relmark") or attribute == "__init__":
                seen.add(id(function))
                yield f"{name}.{attribute}", function


def classes_in(hint: object, seen: frozenset[object] = frozenset()) -> set[type]:
    """Return the classes of relmark that an annotation names."""
    if isinstance(hint, typing.TypeVar):
        return set().union(*(classes_in(each) for each in (*hint.__constraints__, hint.__bound__)))
    if isinstance(hint, type) and not typing.get_args(hint):
        return {hint} if hint.__module__.startswith("relmark") else set()
    return set().union(*(classes_in(each) for each in typing.get_args(hint))) if typing.get_args(hint) else set()


class Foreign:
    """A name of another library in an annotation."""

    def __class_getitem__(cls, _: object) -> type[Foreign]:
        return cls


class Words(dict):
    """Names in annotations: of the module, else classes of relmark that are imported for a type checker alone."""

    def __missing__(self, name: str) -> object:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        homes = [module for module in MODULES.values() if name in vars(module)]
        return vars(homes[0])[name] if homes else Foreign


def returned(function: types.FunctionType) -> set[type]:
    note = function.__annotations__.get("return")
    names = Words(vars(MODULES[function.__module__])) if function.__module__ in MODULES else Words()
    return classes_in(eval(note, {}, names) if isinstance(note, str) else note)


# ---- what must hold


@pytest.mark.parametrize("package", PACKAGES)
def test_a_page_begins_with_a_table_that_has_every_public_name_under_one_task(package):
    tasks = tasks_of(package)
    listed = [name for names in tasks.values() for name in names]
    assert sorted(listed) == sorted(MODULES[package].__all__)
    assert all(task and task[0].isupper() for task in tasks)
    if package != "relmark.errors":  # which says first what an error is
        assert page_of(package).index("{names-by-task}") < page_of(package).index("{eval-rst}")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_entry_on_a_page(package):
    entries = {id(thing) for thing in documented().values()}
    pages = "".join(page.read_text() for page in PAGES.glob("*.md"))
    missing = [
        name
        for name in MODULES[package].__all__
        if id(getattr(MODULES[package], name)) not in entries
        and not (inspect.ismodule(getattr(MODULES[package], name)) and f"automodule:: {package}.{name}\n" in pages)
    ]
    assert not missing


# What may be anything, and why.
ANYTHING = {
    "relmark.Orders.__getitem__(key)": "a name, names, a mask, rows or a slice",
    "relmark.Orders.__getitem__(return)": "a column of a name, and `Rows` of all else",
    "relmark.core.base.Measurable.measure(as_of)": "instants, or the `AsOf` of columns",
    "relmark.core.base.Measurable.measure(return)": "a Column, or an array of any type",
    "relmark.core.checked.CheckResult.__init__(definition)": "whatever was checked: a segment, a score, a model",
    "relmark.core.columns.Column.of(values)": "a column of any library",
    "relmark.core.columns.Column.value(return)": "one value of whatever kind the column has",
    "relmark.experiments.reading.Divided.evaluate(as_of)": "instants, or the `AsOf` of columns",
    "relmark.experiments.reading.Divided.evaluate(return)": "the result of whatever divides people",
    "relmark.recommend.Recommendations.__getitem__(key)": "a name, names, a mask, rows or a slice",
    "relmark.recommend.Recommendations.__getitem__(return)": "a column of a name, and `Rows` of all else",
    **dict.fromkeys(
        [
            f"relmark.recommend.{name}.__init__(spec)"
            for name in MODULES["relmark.recommend"].__all__
            if name == "FactorModel" or name.startswith("Fitted")
        ],
        "the settings of the model, whose class differs from model to model",
    ),
}


def is_any(note: object) -> bool:
    """Tell whether an annotation says nothing: Any by itself or as one of several types."""
    text = note if isinstance(note, str) else repr(note)
    flat = text
    while (inner := re.sub(r"\[[^\[\]]*\]", "", flat)) != flat:
        flat = inner
    return bool({"Any", "typing.Any"} & {part.strip() for part in flat.split("|")})


def test_no_public_signature_says_any_where_a_type_can_be_said():
    loose = {
        f"{name}({parameter})"
        for name, function in callables()
        for parameter, note in function.__annotations__.items()
        if is_any(note)
    }
    assert loose - set(ANYTHING) == set()
    assert set(ANYTHING) <= loose, "a reason that is no longer needed"


def test_any_is_found_alone_and_among_others_but_not_inside_of_a_container():
    assert is_any("Any")
    assert is_any("str | Any")
    assert is_any(typing.Any)
    assert not is_any("dict[str, Any] | None")
    assert not is_any("npt.NDArray[Any]")
    assert not is_any("Anything")


def test_every_type_that_a_public_function_returns_has_an_entry_on_a_page():
    entries = {id(thing) for thing in documented().values()}
    missing = {
        f"{kind.__module__}.{kind.__qualname__}, which {name} returns"
        for name, function in callables()
        for kind in returned(function)
        if id(kind) not in entries
    }
    assert missing == set()


def test_a_class_that_has_an_entry_is_imported_from_a_public_module():
    classes = [name for name, thing in documented().items() if isclass(thing)]
    assert not [name for name in classes if any(part.startswith("_") for part in name.split("."))]


def test_the_walk_sees_functions_methods_properties_and_constructors():
    names = {name for name, _ in callables()}
    assert {
        "relmark.metrics.funnel",
        "relmark.CustomerBase.column",
        "relmark.experiments.Experiment.drawn",
        "relmark.Event.__init__",
        "relmark.CustomerTable.from_frame",
    } <= names
    assert classes_in(list[relmark.Event] | None) == {relmark.Event}
