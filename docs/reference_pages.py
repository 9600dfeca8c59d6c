"""What the reference pages need beyond autodoc: tables of names by task, readable signatures, links by name.

``{names-by-task} relmark.metrics`` begins a page: its body has one line per task (``Do this: name, other_name``), and
each name becomes a link with the first line of its docstring. ``{types-in-signatures}`` lists the named types that
signatures of a package use. Annotations are shown as the source writes them, each name linked to its entry.
"""

import ast
import builtins
import collections.abc
import importlib
import inspect
import itertools
import pkgutil
import re
from pathlib import Path
from types import FunctionType, ModuleType

import attrs
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes
from sphinx.ext.napoleon import NumpyDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

import relmark
from relmark.errors import CODES
from relmark.recommend import FactorModel, Fitted

MODULES = {
    info.name: importlib.import_module(info.name) for info in pkgutil.walk_packages(relmark.__path__, "relmark.")
} | {"relmark": relmark}


# ---- tables


def _row(*cells: nodes.Node) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += cell
        row += entry
    return row


def _table(widths: tuple[int, ...], head: nodes.row | None, rows: list[nodes.row], *classes: str) -> nodes.table:
    table = nodes.table(classes=list(classes))
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=width) for width in widths]
    if head is not None:
        top = nodes.thead()
        top += head
        group += top
    body = nodes.tbody()
    body += rows
    group += body
    table += group
    return table


def _inline(text: str, package: str, page: str) -> list[nodes.Node]:
    """Return a line of a docstring, what stands in backticks as code, and with a link where it names a class."""
    parts = re.split(r"``(.+?)``|`(.+?)`|\*(\w+)\*", text)
    out: list[nodes.Node] = []
    for k in range(0, len(parts), 4):
        out.append(nodes.Text(parts[k]))
        if k + 1 < len(parts):
            code = parts[k + 1] or parts[k + 2]
            shown = nodes.literal(text=code) if code else nodes.emphasis(text=parts[k + 3])
            named = parts[k + 2] and re.fullmatch(r"[A-Z]\w*(\.\w+)*", code)
            out.append(_link(code, shown, page, {"py:module": package}) if named else shown)
    return out


class ErrorCodes(Directive):
    """The table of codes, made from the source when the pages are built."""

    def run(self) -> list[nodes.Node]:
        head = _row(nodes.paragraph(text="code"), nodes.paragraph(text="what it says"))
        rows = [
            _row(nodes.paragraph("", "", nodes.literal(text=code)), nodes.paragraph(text=said))
            for code, said in CODES.items()
        ]
        return [_table((25, 75), head, rows)]


def groups(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Return the tasks of a table with their names; a line that begins with a space continues the one before."""
    joined: list[str] = []
    for line in filter(str.strip, lines):
        if line.startswith(" "):
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    split = [line.partition(": ") for line in joined]
    return [(task, [name.strip() for name in names.split(",")]) for task, _, names in split]


def _first_line(thing: object, module: str, name: str) -> str:
    """Return the first line of what documents a name: its docstring, or the string beneath its assignment."""
    documented = inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)
    said = (not documented and _said(module, name)) or inspect.getdoc(thing)
    return str(said).splitlines()[0]


class NamesByTask(SphinxDirective):
    """The names of a package by what they are for."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        rows = []
        for task, names in groups(list(self.content)):
            heading = nodes.entry(morecols=1, classes=["task"])
            heading += nodes.paragraph("", "", nodes.strong(text=task))
            row = nodes.row()
            row += heading
            rows.append(row)
            rows += [
                _row(
                    self._name(package, name),
                    nodes.paragraph("", "", *_inline(_line(package, name), package, self.env.docname)),
                )
                for name in names
            ]
        return [_table((30, 70), None, rows, "names-by-task")]

    def _name(self, package: str, name: str) -> nodes.paragraph:
        if package == "relmark" and inspect.ismodule(_named(package, name)):
            target = {"refdomain": "std", "reftype": "doc", "reftarget": f"/reference/{name}"}
        else:
            target = {"reftarget": f"{package}.{name}"}
        shown = nodes.literal(text=name, classes=["xref", "py"])
        return nodes.paragraph("", "", _link(name, shown, self.env.docname, target))


def _link(name: str, shown: nodes.Node, page: str, more: dict[str, str]) -> addnodes.pending_xref:
    target = {"refdomain": "py", "reftype": "obj", "reftarget": name} | more
    link = addnodes.pending_xref("", refexplicit=True, refwarn=True, refdoc=page, **target)
    link += shown
    return link


def _named(package: str, name: str) -> object:
    thing: object = MODULES[package]
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def _line(package: str, name: str) -> str:
    home, _, last = f"{package}.{name}".rpartition(".")
    return _first_line(_named(package, name), _definer(home, last), last)


# ---- what the source says of its names


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text())


_TREES = {name: _tree(module) for name, module in MODULES.items()}
_IMPORTED: dict[str, dict[str, str]] = {}
_DEFINED: dict[str, dict[str, ast.stmt]] = {}
for _name, _body in _TREES.items():
    _IMPORTED[_name] = {
        alias.asname or alias.name: (f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name)
        for node in ast.walk(_body)
        if isinstance(node, (ast.ImportFrom, ast.Import))
        for alias in node.names
    }
    _DEFINED[_name] = {}
    for _node in _body.body:
        if isinstance(_node, (ast.ClassDef, ast.FunctionDef)):
            _DEFINED[_name][_node.name] = _node
        elif isinstance(_node, ast.AnnAssign) and isinstance(_node.target, ast.Name):
            _DEFINED[_name][_node.target.id] = _node
        elif isinstance(_node, ast.Assign) and isinstance(_node.targets[0], ast.Name):
            _DEFINED[_name][_node.targets[0].id] = _node


def _definer(module: str, name: str) -> str:
    """Return the module in which a name that a module has is defined."""
    for _ in range(9):
        if name in _DEFINED.get(module, {}):
            return module
        source = _IMPORTED.get(module, {}).get(name)
        if source is None:
            lazy = getattr(MODULES.get(module), "_HOME", {}).get(name, None)  # names that load when they are first used
            if lazy is None:
                return module
            module = f"relmark.{lazy}"
            continue
        module, _, name = source.rpartition(".")
    return module


def _said(module: str, name: str) -> str:
    """Return the string beneath an assignment, which documents it."""
    body = _TREES[module].body
    for node, after in itertools.pairwise(body):
        if node is _DEFINED[module].get(name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return inspect.cleandoc(str(after.value.value))
    return ""


# ---- signatures as the source writes them


class _Linked(ast.NodeTransformer):
    """Put the full name, which a link needs, in the place of each name of an annotation."""

    def __init__(self, module: str) -> None:
        self.module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        full = _full(self.module, node.id)
        home, _, last = full.rpartition(".")
        stands_for = _stands_for(home, last)
        if last in _type_variables(home):
            return node
        if stands_for:
            return _Linked(home).visit(ast.parse(stands_for, mode="eval").body)
        return node if full == node.id else ast.UnaryOp(op=ast.Invert(), operand=ast.parse(full, mode="eval").body)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        first, _, rest = ast.unparse(node).partition(".")
        full = f"{_full(self.module, first)}.{rest}"
        return ast.UnaryOp(op=ast.Invert(), operand=ast.parse(full, mode="eval").body)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        outer = ast.unparse(node.value).rpartition(".")[2]
        if outer == "Literal":
            return ast.Subscript(value=self.visit(node.value), slice=node.slice)
        if outer in {"NDArray", "type", "Callable"} and ast.unparse(node.slice) == "Any":
            return self.visit(node.value)  # of any dtype: the bare name says so
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node


def _type_variables(module: str) -> set[str]:
    """Return the words of a module that stand for any type."""
    bound = {name: getattr(node, "value", None) for name, node in _DEFINED.get(module, {}).items()}
    calls = {name: value for name, value in bound.items() if isinstance(value, ast.Call)}
    return {name for name, call in calls.items() if ast.unparse(call.func) == "TypeVar" and len(call.args) == 1}


def _stands_for(module: str, name: str) -> str:
    """Return what is shown in the place of a short alias that has no entry of its own."""
    node = _DEFINED.get(module, {}).get(name)
    value = ast.unparse(node.value) if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value else ""
    if value.startswith("TypeVar("):  # one of several types, or a word that stands for any
        return " | ".join(ast.unparse(choice) for choice in node.value.args[1:])  # type: ignore[union-attr]
    if isinstance(node, ast.Assign):
        return "" if module == "relmark.core.checks" else value
    return value if value.startswith("Literal[") and len(value) <= 60 else ""


_PLAIN = {"np": "numpy", "npt": "numpy.typing", "Any": "typing.Any"}
_HOMES: dict[str, list[str]] = {}
for _name, _nodes in _DEFINED.items():
    for _word in _nodes:
        _HOMES.setdefault(_word, []).append(f"{_name}.{_word}")


def _elsewhere(module: str, name: str) -> str:
    """Return the full name of what a converter of another module takes: of the same package where there is a choice."""
    if hasattr(builtins, name):
        return name
    if hasattr(collections.abc, name):
        return f"collections.abc.{name}"
    homes = _HOMES.get(name, [name])
    package = ".".join(module.split(".")[:2]) + "."
    return next((home for home in homes if home.startswith(package)), homes[0])


def _full(module: str, name: str) -> str:
    if name in _DEFINED.get(module, {}):
        return f"{module}.{name}"
    source = _IMPORTED.get(module, {}).get(name)
    if source is None:
        return _PLAIN.get(name) or _elsewhere(module, name)
    if source.startswith("relmark"):
        home, _, last = source.rpartition(".")
        return f"{_definer(home, last)}.{last}"
    return source


def rendered(annotation: object, module: str) -> object:
    """Return an annotation with full names, as autodoc prints it; an annotation that is not text is left unchanged."""
    if not isinstance(annotation, str):
        held = re.fullmatch(r"typing\.Optional\[ForwardRef\('(.+)'\)\]", repr(annotation))
        if held is None:
            return annotation
        annotation = f"{held[1]} | None"
    tree = ast.fix_missing_locations(_Linked(module).visit(ast.parse(annotation, mode="eval").body))
    return re.sub(r"\((~[\w.]+)\)(?=\[)", r"\1", ast.unparse(tree))


def _functions(thing: type) -> list[FunctionType]:
    found = []
    for member in vars(thing).values():
        inner = getattr(member, "fget", None) or getattr(member, "__func__", None) or getattr(member, "func", None)
        function = inner if isinstance(inner, FunctionType) else member
        if isinstance(function, FunctionType):
            found.append(function)
    return found


def write_annotations() -> None:
    """Give every function of relmark, in this process alone, annotations that autodoc prints as the source has them."""
    seen: set[int] = set()
    for name, module in MODULES.items():
        for thing in list(vars(module).values()):
            if getattr(thing, "__module__", None) != name:
                continue
            if inspect.isclass(thing):
                functions = _functions(thing)
                if isinstance(vars(thing).get("__annotations__"), dict):
                    held = vars(thing)["__annotations__"]
                    held.update({word: rendered(note, name) for word, note in held.items()})
            else:
                functions = [thing] if isinstance(thing, FunctionType) else []
            for function in functions:
                if id(function) not in seen:
                    seen.add(id(function))
                    notes = function.__annotations__
                    function.__annotations__ = {word: rendered(note, name) for word, note in notes.items()}


class TypesInSignatures(SphinxDirective):
    """Entries of the named types of a package, each with what it stands for and the string beneath it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for name in filter(None, map(str.strip, self.content)):
            module, _, last = f"{self.arguments[0]}.{name}".rpartition(".")
            stands_for = rendered(_value(module, last), module)
            lines += [f".. currentmodule:: {module}", "", f".. py:type:: {last}", f"   :canonical: {stands_for}", ""]
            lines += [f"   {line}".rstrip() for line in _said(module, last).splitlines()]
            lines.append("")
        return self.parse_text_to_nodes("\n".join(lines))


class Words(SphinxDirective):
    """Entries of objects that a rule is written with, such as ``event``: what calling them and their methods give."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        lines = [f".. currentmodule:: {package}", ""]
        for name in filter(None, map(str.strip, self.content)):
            kind = type(_named(package, name))
            if "__call__" in vars(kind):
                lines += self._entry(name, kind, vars(kind)["__call__"])
            else:
                lines += [f".. py:data:: {name}", "", f"   {_line(package, name)}", ""]
            for method, member in vars(kind).items():
                if isinstance(member, staticmethod):
                    lines += self._entry(f"{name}.{method}", member, member)
        return self.parse_text_to_nodes("\n".join(lines))

    def _entry(self, name: str, documented: object, called: object) -> list[str]:
        function = getattr(called, "__func__", called)
        given = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        signature = inspect.signature(function).replace(parameters=given)
        text = str(NumpyDocstring(inspect.getdoc(documented) or "", self.config, what="function"))
        body = [f"   {line}".rstrip() for line in text.splitlines()]
        return [f".. py:function:: {name}{stringify_signature(signature)}", "", *body, ""]


def _value(module: str, name: str) -> str:
    value = _DEFINED[module][name].value  # type: ignore[attr-defined]
    return value.value if isinstance(value, ast.Constant) else ast.unparse(value)


def write_overloads() -> None:
    """Write the signatures of overloads, which autodoc reads from the source, in the same way."""
    for name in MODULES:
        analyzer = ModuleAnalyzer.for_module(name)  # kept by Sphinx, which asks for it again
        analyzer.analyze()
        for overloads in analyzer.overloads.values():
            overloads[:] = [
                overload.replace(
                    parameters=[
                        parameter.replace(annotation=_overloaded(parameter.annotation, name))
                        for parameter in overload.parameters.values()
                    ],
                    return_annotation=_overloaded(overload.return_annotation, name),
                )
                for overload in overloads
            ]


def _overloaded(annotation: object, module: str) -> object:
    return annotation if annotation is inspect.Signature.empty else rendered(annotation, module)


def show_constructors(
    _app: object, what: str, _name: str, thing: object, _options: object, signature: str | None, note: str | None
) -> tuple[str, str | None] | None:
    """Show no constructor of a protocol, and of what only relmark makes: with private fields, or fitted.

    What attrs makes for each object, such as an empty mapping, is shown as an ellipsis.
    """
    if what == "class" and getattr(thing, "_is_protocol", False):
        return "", None
    if what != "class" or not attrs.has(thing):
        return None
    inner = any(field.init and field.name.startswith("_") for field in attrs.fields(thing))
    if inner or issubclass(thing, (Fitted, FactorModel)):
        return "", None
    return (signature or "").replace("= NOTHING", "= ..."), note


# ---- links


def link_exactly(_app: object, doctree: nodes.document) -> None:
    """Let no link go to just any entry that ends with its word: `.size` is a field of the result that is returned."""
    for node in doctree.findall(addnodes.pending_xref):
        if node.get("refdomain") == "py" and node.hasattr("refspecific"):
            del node["refspecific"]


def link_by_name(app: object, env: object, node: nodes.Element, shown: nodes.Node) -> nodes.Node | None:
    """Find the entry that a name means when the name is not the full one under which the entry stands."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains["py"]  # type: ignore[attr-defined]
    target = node["reftarget"].removesuffix("()")
    last = target.rpartition(".")[2]
    if re.fullmatch(r"[a-z]+", target):  # a word such as "segment", or an argument or a field such as "ids"
        return None
    alone = re.fullmatch(r"[a-z_]+", target)  # may be an argument: no link to a method that has its name
    ending = [
        name
        for name, entry in domain.objects.items()
        if name.endswith(f".{target}") and not (alone and entry.objtype in {"method", "property", "attribute"})
    ]
    if target.startswith("relmark."):
        meant = _object(target)
        same = [name for name in domain.objects if name.endswith(f".{last}")]
        ending = [name for name in same if meant is not None and _object(name) is meant]
    if not ending and node["reftype"] == "obj" and "." in target:  # a field, which its class describes
        owner = target.rpartition(".")[0]
        ending = [name for name in domain.objects if name.endswith(f".{owner}") and attrs.has(_class(name))]
        if not any(hasattr(_class(name), last) for name in ending):
            return None
    if not ending or len({id(_object(name)) for name in ending}) > 1:
        return None
    entry = domain.objects[min(ending, key=len)]
    builder = app.builder  # type: ignore[attr-defined]
    reference = nodes.reference("", "", internal=True, reftitle=target)
    reference["refuri"] = builder.get_relative_uri(node["refdoc"], entry.docname) + "#" + entry.node_id
    reference += shown
    return reference


def _class(name: str) -> type:
    thing = _object(name)
    return thing if isinstance(thing, type) else type(None)


def _object(name: str) -> object | None:
    module, rest = name, []
    while module not in MODULES:
        module, _, last = module.rpartition(".")
        rest.insert(0, last)
        if not module:
            return None
    thing: object = MODULES[module]
    for part in rest:
        thing = inspect.getattr_static(thing, part, None) if inspect.isclass(thing) else getattr(thing, part, None)
    return thing


def setup(app: object) -> None:
    """Register the directives and the links."""
    app.add_directive("error-codes", ErrorCodes)  # type: ignore[attr-defined]
    app.add_directive("names-by-task", NamesByTask)  # type: ignore[attr-defined]
    app.add_directive("types-in-signatures", TypesInSignatures)  # type: ignore[attr-defined]
    app.add_directive("words", Words)  # type: ignore[attr-defined]
    app.connect("autodoc-process-signature", show_constructors)  # type: ignore[attr-defined]
    app.connect("doctree-read", link_exactly)  # type: ignore[attr-defined]
    app.connect("missing-reference", link_by_name)  # type: ignore[attr-defined]
    write_annotations()
    write_overloads()
