"""Definitions as JSON: an envelope with kind and version, canonical text, fingerprints, and bounds before parsing.

What comes from outside (a browser, a partner, a table of stored segments) is checked before it is parsed: how many
bytes it has, how deep its brackets are nested, how many nodes it has. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checked import CheckedDefinition, CheckResult
from relmark.core.checks import one_of, shown, whole
from relmark.core.errors import DefinitionError, InputError, LimitError, definition_error
from relmark.core.names import did_you_mean, with_article
from relmark.core.problems import Problem
from relmark.core.shapes import Shape, faults, number, obj

__all__ = [
    "Definition",
    "JsonBody",
    "Limits",
    "NumbersDefinition",
    "built",
    "canonical",
    "check_keys",
    "envelope",
    "fingerprint",
    "open_envelope",
    "parse_json",
    "read_definition",
    "settings",
]

if TYPE_CHECKING:  # a schema is a definition itself
    from relmark.core.schema import Schema

_T = TypeVar("_T")
Json: TypeAlias = Any
"""What JSON holds: null, a boolean, a number, a text, or lists and objects of these."""
JsonBody: TypeAlias = str | bytes | Mapping[str, Any]
"""JSON text, or the parsed value."""


_BEYOND = 2**63
_STEP_OF_BYTE = np.zeros(256, dtype=np.int64)
_STEP_OF_BYTE[[ord(bracket) for bracket in "([{"]] = 1
_STEP_OF_BYTE[[ord(bracket) for bracket in ")]}"]] = -1
_NESTED = (dict, list, tuple, Mapping)
_PLAIN = frozenset({str, int, float, bool, type(None)})


def _positive(instance: object, attribute: attrs.Attribute[int], value: int) -> None:  # noqa: ARG001
    whole(f"Limits.{attribute.name}", value, low=1)


@attrs.frozen(kw_only=True)
class Limits:
    """How large a definition from outside may be.

    Parameters
    ----------
    bytes : int
        UTF-8 bytes of JSON or text.
    depth : int
        Nesting of brackets.
    nodes : int
        Nodes of a rule, and items outside lists of plain values.
    members : int
        Members of one list of plain values, such as an id set.
    string : int
        Characters of one string.
    steps : int
        Steps of one sequence.
    years : int
        Length of a window, in years.
    """

    bytes: int = attrs.field(default=262_144, validator=_positive)
    depth: int = attrs.field(default=32, validator=_positive)
    nodes: int = attrs.field(default=1_000, validator=_positive)
    members: int = attrs.field(default=100_000, validator=_positive)
    string: int = attrs.field(default=1_024, validator=_positive)
    steps: int = attrs.field(default=16, validator=_positive)
    years: int = attrs.field(default=100, validator=_positive)


def canonical(value: Any) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Any) -> str:
    """Return the sha256 of the canonical text, in hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def check_size(text: str | bytes, limits: Limits) -> None:
    """Raise if a text has more bytes or deeper brackets than allowed; the text is read once and not parsed."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > limits.bytes:
        raise LimitError(
            f"the definition has {len(data):,} bytes: {limits.bytes:,} are allowed.",
            code="too_large",
            hint="Raise Limits.bytes if you trust its source.",
        )
    depth = _bracket_depth(data)
    if depth > limits.depth:
        raise LimitError(
            f"the definition is nested {depth:,} deep: {limits.depth} are allowed.",
            code="too_deep",
            hint="Flatten it, or raise Limits.depth if you trust its source.",
        )


def _outside_strings(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the bytes outside double-quoted strings."""
    codes = np.frombuffer(data, dtype=np.uint8)
    quotes = codes == ord('"')
    slashes = codes == ord("\\")
    if slashes.any():
        # A quote is escaped where the run of backslashes before it is odd.
        position = np.arange(codes.size)
        last_other = np.maximum.accumulate(np.where(slashes, -1, position))
        run = np.concatenate(([0], (position - last_other)[:-1]))
        quotes &= (run & 1) == 0
    outside = (np.cumsum(quotes) & 1) == 0  # inside a string is where an odd number of quotes came before
    return np.asarray(codes[outside])


def _bracket_depth(data: bytes) -> int:
    """Return the deepest nesting of round, square and curly brackets outside double-quoted strings."""
    return int(np.cumsum(_STEP_OF_BYTE[_outside_strings(data)]).max(initial=0))


def _refuse_many(data: bytes, limits: Limits) -> None:
    """Raise if a JSON text opens more objects and lists than nodes are allowed, before any of them is built.

    Every object is a node, and so is every list that is not the value of a key.
    """
    counts = np.bincount(_outside_strings(data), minlength=128)
    if counts[ord("{")] > limits.nodes or counts[ord("[")] > limits.nodes + counts[ord(":")] + 1:
        raise LimitError(f"the definition has more than {limits.nodes:,} nodes.", code="too_many_nodes")


def parse_json(text: str | bytes, limits: Limits | None = None, *, numbers: bool = True) -> Any:
    """Return the value of a JSON text from outside, after its size was checked.

    Parameters
    ----------
    text : str or bytes
        The text, in UTF-8.
    limits : Limits, optional
        How large it may be.
    numbers : bool
        Whether numbers and texts are checked here. A reader that reports every problem with its place checks them
        itself.

    Raises
    ------
    LimitError
        The text has more bytes, depth, nodes or members, or longer strings, than the limits allow.
    DefinitionError
        The text is not valid JSON, has a key twice in one object, or has NaN or Infinity.
    """
    limits = limits or Limits()
    if not isinstance(text, (str, bytes)):
        hint = "Read the parsed value of JSON text with from_dict." if isinstance(text, Mapping) else ""
        said = f"a definition must be JSON text, not {type(text).__name__}."
        raise DefinitionError(said, code="not_text", hint=hint)
    check_size(text, limits)
    _refuse_many(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, limits)
    try:
        text = text if isinstance(text, str) else text.decode()  # json would guess UTF-16 and UTF-32 too
        constant, integer = (_refuse_constant, _whole) if numbers else (float, _any_whole)
        value = json.loads(text, object_pairs_hook=_object, parse_constant=constant, parse_int=integer)
    except DefinitionError:
        raise
    except (ValueError, RecursionError) as error:
        raise DefinitionError(f"this is not JSON: {str(error)[:200]}.", code="not_json") from None
    if numbers:
        check_nodes(value, limits)
    return value


def _any_whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= 20 else Decimal(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DefinitionError(f"the key {twice[:64]!r} is given twice in one object.", code="duplicate_key")
    return body


def _refuse_constant(name: str) -> Any:
    raise DefinitionError(f"{name} is not a JSON number.", code="not_finite", hint="Leave the value out.")


def _whole(digits: str) -> int:
    value = int(digits) if len(digits) <= 20 else _BEYOND
    if not -_BEYOND <= value < _BEYOND:
        raise DefinitionError(f"{digits[:24]} is beyond 64 bits.", code="too_large_number", hint="Give it as a string.")
    return value


def check_nodes(value: Any, limits: Limits) -> None:
    """Raise if a parsed value has too many nodes, too long a list or string, or a number that is not finite.

    Nodes are objects, and lists within lists. The keys of one object and the values of one list are limited by
    `limits.members`.
    """
    nodes = 0
    stack: list[tuple[Any, str, int]] = [(value, "$", 0)]
    while stack:
        item, path, depth = stack.pop()
        if depth > limits.depth:
            raise LimitError(
                f"the definition is nested more than {limits.depth} deep.", path=path[:200], code="too_deep"
            )
        if isinstance(item, _NESTED) and len(item) > limits.members:
            raise LimitError(f"{len(item):,} values: {limits.members:,} are allowed.", path=path, code="too_many")
        if isinstance(item, Mapping):
            nodes += 1
            _check_members(item, path, limits)
            for key, child in item.items():
                if isinstance(child, _NESTED):
                    stack.append((child, f"{path}.{str(key)[:64]}", depth + 1))
                elif type(child) is not str or len(child) > limits.string or not child.isascii():
                    _check_plain(child, f"{path}.{str(key)[:64]}", limits)
        elif isinstance(item, (list, tuple)):
            inner = [
                (k, child) for k, child in enumerate(item) if type(child) not in _PLAIN and isinstance(child, _NESTED)
            ]
            if nodes + len(inner) > limits.nodes:
                raise LimitError(
                    f"the definition has more than {limits.nodes:,} nodes.", path=path, code="too_many_nodes"
                )
            nodes += sum(not isinstance(child, Mapping) for _, child in inner)
            stack += [(child, f"{path}[{k}]", depth + 1) for k, child in inner]
            _check_members(item, path, limits)
        else:
            _check_plain(item, path, limits)
        if nodes > limits.nodes:
            raise LimitError(f"the definition has more than {limits.nodes:,} nodes.", path="$", code="too_many_nodes")


def _check_members(items: Iterable[Any], path: str, limits: Limits) -> None:
    """Check the plain members of a list, or the keys of an object; short ASCII strings and integers pass quickly."""
    for k, item in enumerate(items):
        kind = type(item)
        if kind is str and len(item) <= limits.string and item.isascii():
            continue
        if kind is int and -_BEYOND <= item < _BEYOND:
            continue
        if not isinstance(item, _NESTED):
            _check_plain(item, f"{path}[{k}]", limits)


def _check_plain(item: Any, path: str, limits: Limits) -> None:
    """Raise if a string is too long or not valid text, or a number is not finite or beyond 64 bits."""
    if isinstance(item, str):
        if len(item) > limits.string:
            raise LimitError(
                f"a string of {len(item):,} characters: {limits.string:,} are allowed.", path=path, code="too_long"
            )
        if not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError:
                raise DefinitionError("a string holds half a surrogate pair.", path=path, code="not_text") from None
    elif isinstance(item, np.ndarray):
        raise DefinitionError("an array is not JSON: give a list.", path=path, code="wrong_type")
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise DefinitionError(f"{item} is not finite.", path=path, code="not_finite")
    elif isinstance(item, int) and not -_BEYOND <= item < _BEYOND:
        raise DefinitionError(
            "this whole number is beyond 64 bits.", path=path, code="too_large_number", hint="Give it as a string."
        )


def check_keys(
    body: Any, *, required: Iterable[str], optional: Iterable[str] = (), path: str = "$", what: str = "definition"
) -> Mapping[str, Any]:
    """Return an object that has every required key and no unknown one, or raise with the nearest valid name."""
    if not isinstance(body, Mapping):
        said = f"{with_article(what)} must be a JSON object, not {_in_json(body)}."
        raise DefinitionError(said, path=path, code="not_object")
    required = tuple(required)
    known = dict.fromkeys((*required, *optional))
    for key in body:
        if key not in known:
            raise DefinitionError(
                f"unknown key {str(key)[:64]!r} in {with_article(what)}; it may have {', '.join(sorted(known))}.",
                path=path,
                code="unknown_key",
                hint=did_you_mean(str(key), known).strip(),
            )
    for key in required:
        if key not in body:
            raise DefinitionError(f"the {what} has no {key!r}.", path=path, code="missing_key")
    return body


def _in_json(value: Any) -> str:
    """Return the JSON name of the type of a value that is not an object."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def open_envelope(document: Any, kind: str, version: int) -> dict[str, Any]:
    """Return the content of an envelope ``{"relmark": kind, "version": n, ...}`` without these two keys."""
    if not isinstance(document, Mapping):
        said = f"{with_article(kind)} must be a JSON object, not {_in_json(document)}."
        hint = "Read JSON text with from_json." if isinstance(document, (str, bytes)) else ""
        raise DefinitionError(said, code="not_object", hint=hint)
    found = document.get("relmark")
    if not isinstance(found, str) or found != kind:
        raise DefinitionError(
            f"a stored {kind} is needed, but "
            + ("this has no key 'relmark'." if found is None else f"this is a {str(found)[:64]!r}."),
            path="$.relmark" if found is not None else "$",
            code="wrong_kind",
        )
    given = document.get("version")
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= version:
        newer = isinstance(given, int) and not isinstance(given, bool) and given > version
        known = "1" if version == 1 else f"1 to {version}"
        raise DefinitionError(
            f"version {shown(given)} of {with_article(kind)} is unknown; this relmark reads version {known}.",
            path="$.version",
            code="unknown_version",
            hint="Update relmark if the definition is newer." if newer else 'Write a whole number: "version": 1.',
        )
    return {key: value for key, value in document.items() if key not in {"relmark", "version"}}


_META_BYTES = 16_384
_LABELS = frozenset({"name", "description"})


def _noted(value: object) -> dict[str, Any]:
    """Return a copy of the notes that people attach to a definition: plain JSON of limited size."""
    if value is None or value == {}:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(
            f"meta is {shown(value)}: a mapping is needed, such as {{'owner': 'crm'}}.",
            argument="meta",
            code="wrong_type",
        )
    try:
        text = canonical(_plain_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"meta cannot be written as JSON: {str(error)[:100]}.", argument="meta", code="not_storable"
        ) from None
    if len(text.encode("utf-8", "surrogatepass")) > _META_BYTES:
        raise InputError(
            f"meta is {len(text):,} characters long as JSON: at most {_META_BYTES:,} bytes are allowed.",
            argument="meta",
            code="too_large",
        )
    return json.loads(text)  # type: ignore[no-any-return]


def _plain_json(value: Any) -> Any:
    """Return mappings and tuples as dicts and lists; refuse keys that are not strings, which JSON would convert."""
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a key is not a string")
        return {name: _plain_json(item) for name, item in value.items()}
    return [_plain_json(item) for item in value] if isinstance(value, (list, tuple)) else value


@attrs.frozen(eq=False, repr=False)
class Definition:
    """The base class of all that can be stored: segments, scores, models and others.

    It gives them `to_dict`, `to_json`, `from_dict`, `from_json`, `json_schema`, `check` and `fingerprint`. A subclass
    names its `kind` and `version`, writes and reads its body, and describes the shape of that body.

    Parameters
    ----------
    meta : mapping, optional
        Notes of your own, such as an owner or tags: plain JSON of at most 16 KiB. They are stored with the definition;
        the fingerprint and equality ignore them.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    meta: Mapping[str, Any] = attrs.field(
        factory=dict, kw_only=True, eq=False, repr=False, converter=_noted, metadata={"stored": False}
    )

    def _body(self) -> dict[str, Any]:
        """Return the JSON-ready body without the envelope."""
        raise AssertionError(f"{type(self).__name__} has no body")

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        """Return the definition that a checked envelope holds."""
        raise AssertionError(f"{cls.__name__} has no reader")

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:  # noqa: ARG003
        """Return the shapes of the body's keys, and the names of the required ones."""
        raise AssertionError(f"{cls.__name__} has no shape")

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:  # noqa: ARG003
        """Return the shapes to which the shape refers by ``$ref``."""
        return {}

    @classmethod
    def _told(cls, ref: str, value: Any, path: str, schema: Schema | None, limits: Limits) -> list[Problem]:
        """Return the problems of a part of the body to which the shape refers."""
        defined = cls._definitions(limits)[ref.rpartition("/")[2]]
        return faults(value, defined, path, lambda one, item, place: cls._told(one, item, place, schema, limits))

    def _meaning(self) -> dict[str, Any]:
        """Return the part of the body that the fingerprint covers: all but its name and description."""
        return {key: value for key, value in self._body().items() if key not in _LABELS}

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form: ``{"relmark": kind, "version": n, ...}``."""
        noted = {"meta": json.loads(canonical(self.meta))} if self.meta else {}
        return {"relmark": self.kind, "version": self.version, **self._body(), **noted}

    def to_json(self) -> str:
        """Return the canonical JSON text of the stored form."""
        return canonical(self.to_dict())

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], limits: Limits | None = None) -> Self:
        """Read a definition from its stored form; anything unknown in it is an error that gives the JSON path."""
        limits = limits or Limits()
        if isinstance(document, Mapping):  # a text would be checked as one string of a definition
            check_nodes(document, limits)
        return cls._read_content(open_envelope(document, cls.kind, cls.version), limits)

    @classmethod
    def from_json(cls, text: str | bytes, limits: Limits | None = None) -> Self:
        """Read a definition from JSON text, whose size is checked before it is parsed."""
        limits = limits or Limits()
        return cls._read_content(open_envelope(parse_json(text, limits), cls.kind, cls.version), limits)

    @classmethod
    def _read_content(cls, content: dict[str, Any], limits: Limits) -> Self:
        whole_form = {"relmark": cls.kind, "version": cls.version, **content}
        noted = content.pop("meta", None)
        definition = cls._from_body(content, limits)
        wrong = faults(whole_form, cls.document_shape(limits))  # parts given by $ref have their own readers
        if wrong:  # a constructor accepts more than a stored form may hold, such as a tuple of names or a single name
            raise wrong[0].error()
        if noted is not None:
            try:
                object.__setattr__(definition, "meta", _noted(noted))
            except InputError as error:
                raise definition_error(error, keys={"meta": noted}) from None
        return definition

    @classmethod
    def document_shape(cls, limits: Limits) -> dict[str, Any]:
        """Return the shape of the stored form, including the envelope."""
        properties, required = cls._shape(limits)
        return obj({**envelope(cls.kind, cls.version), **properties}, ["relmark", "version", *required])

    @classmethod
    def json_schema(
        cls, limits: Limits | None = None, *, draft: Literal["2020-12", "07"] = "2020-12"
    ) -> dict[str, Any]:
        """Return the JSON Schema of the stored form, for editors and user interfaces.

        Parameters
        ----------
        limits : Limits, optional
            How large it may be.
        draft : {"2020-12", "07"}
            The draft of JSON Schema: 07 is for validators that do not support later ones, such as fastjsonschema.
        """
        limits = limits or Limits()
        defined = cls._definitions(limits)
        shape = {"title": cls.kind.replace("_", " "), **cls.document_shape(limits)}
        shape |= {"$defs": defined} if defined else {}
        if one_of("draft", draft, _DRAFTS) == "07":
            shape = _as_draft_7(shape)
        return {"$schema": _DRAFTS[draft], **shape}

    @classmethod
    def check(cls, body: JsonBody, schema: Schema | None = None, limits: Limits | None = None) -> CheckedDefinition:
        """Check a definition from outside: return it, or None with a list of every problem; it never raises.

        Parameters
        ----------
        body : str, bytes or mapping
            JSON text, or the parsed value.
        schema : Schema, optional
            The fields and events of the data, for definitions that contain rules.
        limits : Limits, optional
            How large it may be.
        """
        limits = limits or Limits()
        try:
            content = parse_json(body, limits) if isinstance(body, (str, bytes)) else body
            check_nodes(content, limits)
            open_envelope(content, cls.kind, cls.version)
        except DefinitionError as error:
            return CheckResult(None, (Problem.of(error),))
        shape = cls.document_shape(limits)
        found = faults(content, shape, "$", lambda ref, item, place: cls._told(ref, item, place, schema, limits))
        if found:
            return CheckResult(None, tuple(dict.fromkeys(found)))
        try:
            return CheckResult(cls.from_dict(content, limits), ())
        except InputError as error:
            return CheckResult(None, (Problem.of(error),))

    @property
    def fingerprint(self) -> str:
        """The sha256 of its meaning; the name, the description and `meta` do not change it."""
        return fingerprint({"relmark": self.kind, "version": self.version, **self._meaning()})


class NumbersDefinition(Definition):
    """A model whose public fields are plain numbers; its stored form has these parameters by name."""

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:  # noqa: ARG003
        return {name: number() for name in cls._names()}, tuple(cls._names())

    @classmethod
    def _names(cls) -> list[str]:
        return [attribute.name for attribute in attrs.fields(cls) if attribute.metadata.get("stored", True)]

    def _body(self) -> dict[str, Any]:
        return {name: float(getattr(self, name)) for name in self._names()}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        names = cls._names()
        check_keys(body, required=names, what=cls.kind)
        for name in names:
            if isinstance(body[name], bool) or not isinstance(body[name], (int, float)):
                raise DefinitionError(f"{body[name]!r} is not a number.", path=f"$.{name}", code="wrong_type")
        return cls(**body)


def read_definition(document: object, limits: Limits | None = None) -> Definition:
    """Read a definition of any kind from its stored form; the package of that kind must be imported.

    Raises
    ------
    DefinitionError
        Its kind is unknown, or its content is not valid for its kind.
    """
    if not isinstance(document, Mapping):
        raise DefinitionError(f"{shown(document)} is not a stored form: an object is needed.", code="not_object")
    found = document.get("relmark")
    waiting: list[type[Definition]] = [Definition]
    while waiting:
        kind = waiting.pop(0)
        if isinstance(found, str) and vars(kind).get("kind") == found and "__attrs_attrs__" in vars(kind):
            return kind.from_dict(document, limits)
        waiting += kind.__subclasses__()
    raise DefinitionError(
        f"{shown(found)} is not a known kind of definition.",
        path="$.relmark",
        code="wrong_kind",
        hint="Import the package that defines it.",
    )


_DRAFTS = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "07": "http://json-schema.org/draft-07/schema#",
}


def _as_draft_7(shape: Any) -> Any:
    """Return a shape in which the items of a pair are written as in draft 7."""
    if isinstance(shape, dict):
        return {"items" if key == "prefixItems" else key: _as_draft_7(part) for key, part in shape.items()}
    return [_as_draft_7(part) for part in shape] if isinstance(shape, list) else shape


def envelope(kind: str, version: int) -> dict[str, Shape]:
    """Return the shapes of the keys that every stored definition has in addition to its body."""
    return {
        "relmark": {"const": kind},
        "version": {"type": "integer", "minimum": 1, "maximum": version},
        "meta": {"type": "object"},
    }


def settings(cls: type) -> list[attrs.Attribute[Any]]:
    """Return the fields of a definition that its stored form has."""
    return [field for field in attrs.fields(cls) if field.metadata.get("stored", True)]


def built(cls: type[_T], body: Mapping[str, Any]) -> _T:
    """Return the object of a stored body; an error of its validators becomes a DefinitionError."""
    try:
        return cls(**body)
    except (InputError, TypeError, ValueError) as error:
        raise definition_error(error, keys=body) from None


def pairs_of(value: Any, path: str) -> dict[str, Any]:
    """Return a stored list of [name, number] as a mapping in its order."""
    good = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
    )
    if not good:
        raise DefinitionError("a list of [name, number] pairs is needed.", path=path, code="wrong_type")
    pairs: dict[str, Any] = dict(value)
    if len(pairs) < len(value):
        raise DefinitionError("a name is given twice.", path=path, code="duplicate_key")
    return pairs
