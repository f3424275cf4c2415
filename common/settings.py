"""Settings are values: frozen dataclasses of numbers, words, tuples and other such dataclasses, and nothing else.

Here they become JSON and come back, get a name by their hash, and are changed by `key=value` texts. Types decide, as
the fields declare them; nothing is guessed from the value that a field happens to hold.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from common import setting_types as of_type
from common.setting_types import kinds
from common.strict_json import parsed

T = TypeVar("T")
KIND = "kind"  # key that names a class, where the declared type alone does not
WORDS: Mapping[str, Any] = {"True": True, "true": True, "False": False, "false": False}
NONE = ("None", "none", "null")
EXAMPLES = {bool: True, int: 8, float: 0.1, str: "name"}


def free(default: T) -> T:
    """A field that changes no number, such as how often to log: runs that differ in it are the same run."""
    return typing.cast(T, field(default=default, metadata={"free": True}))


def later(default: T) -> T:
    """A field that runs were published without: at its default, which is what they did, settings do not tell it."""
    return typing.cast(T, field(default=default, metadata={"later": True}))


# ---- to JSON


def encode(value: Any) -> Any:
    """A value of settings as JSON holds it; `decode` gives it back.

    A dataclass is a dict of its fields. Where a field is declared as a base class or as a union of classes, the dict
    also says which one under "kind".
    """
    return _encode(value, type(value), True)


def hashed(value: Any) -> Any:
    """As `encode`, without the fields that are `free`, at any depth: what can change a number."""
    return _encode(value, type(value), False)


def settings_hash(value: Any) -> str:
    """Twelve hex digits that name exactly these settings and the class that reads them."""
    text = json.dumps([type(value).__name__, hashed(value)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _encode(value: Any, declared: Any, with_free: bool) -> Any:
    if value is None or type(value) in of_type.SCALARS:
        return value
    if isinstance(value, tuple):
        parts = of_type.parts_of_tuple(declared, len(value), repr(value))
        return [_encode(part, of, with_free) for part, of in zip(value, parts, strict=True)]
    cls = type(value)
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"a setting must be a number, a word, None, a tuple or a dataclass, got {value!r}")
    hints, left_out = of_type.hints(cls), set() if with_free else set(of_type.free_fields(cls))
    left_out |= {key for key, default in of_type.later_fields(cls).items() if getattr(value, key) == default}
    told = {
        key: _encode(getattr(value, key), hints[key], with_free)
        for key in of_type.fields(cls)
        if key not in left_out
    }
    if of_type.classes(declared) == [cls]:
        return told
    if KIND in told:
        raise TypeError(
            f"{of_type.name_of(cls)} has a field {KIND!r}, so it cannot be one of several classes"
        )
    return {KIND: of_type.name_of(cls), **told}


# ---- from JSON


def decode(cls: type[T], encoded: Any, path: str = "") -> T:
    """The value that `encode` or `hashed` turned into JSON; `free` and `later` fields that are not there take their
    defaults.

    Args:
        cls: its class, or a base class of the one that the JSON names as its "kind".
        path: where in the settings it stands, for errors.

    Raises:
        ValueError: a key that is unknown or missing, an unknown kind or a wrong type, with the dotted path.
    """
    return typing.cast(T, _decode(cls, encoded, path))


def _decode(declared: Any, encoded: Any, path: str) -> Any:
    members = of_type.members(declared)
    if encoded is None and type(None) in members:
        return None
    if type(encoded) in members and isinstance(encoded, of_type.SCALARS):
        return encoded
    if type(encoded) is int and float in members:
        return float(encoded)
    if isinstance(encoded, list | tuple) and of_type.tuple_of(declared):
        parts = of_type.parts_of_tuple(declared, len(encoded), path)
        return tuple(_decode(of, part, path) for part, of in zip(encoded, parts, strict=True))
    if isinstance(encoded, Mapping) and of_type.classes(declared):
        return _decode_fields(declared, encoded, path)
    raise ValueError(f"{_place(path)} must be {of_type.spelled(declared)}, got {json.dumps(encoded)}")


def _decode_fields(declared: Any, encoded: Mapping[str, Any], path: str) -> Any:
    classes = of_type.classes(declared)
    alone = classes[0] if len(classes) == 1 and of_type.is_concrete(classes[0]) else None
    if KIND in encoded and not (alone and KIND in of_type.fields(alone)):
        cls = _kind(declared, encoded[KIND], path)
        encoded = {key: value for key, value in encoded.items() if key != KIND}
    elif alone:
        cls = alone
    else:
        raise ValueError(f"{_place(path)} must name its {KIND!r}, one of {', '.join(kinds(declared))}")
    known, hints = of_type.fields(cls), of_type.hints(cls)
    for key in encoded:
        if key not in known:
            raise ValueError(_unknown(cls, key, path, json.dumps(encoded[key])))
    for key in known:
        if key not in encoded and key not in of_type.free_fields(cls) | of_type.later_fields(cls).keys():
            raise ValueError(
                f"{_place(path)} lacks {_under(path, key)!r}, which {of_type.name_of(cls)} needs"
            )
    return _made(
        cls, {key: _decode(hints[key], value, _under(path, key)) for key, value in encoded.items()}, path
    )


# ---- from texts


def override(value: T, assignments: Iterable[str]) -> T:
    """The value with `key=value` texts applied; dots lead into nested settings, such as `arm.bottleneck=16`.

    Tuples are written as `a,b` or as JSON, a nested dataclass by the name of its class with that class's defaults,
    and what is optional may be `None`. Among several texts for one key the last one counts.

    Raises:
        ValueError: an unknown key (the known ones are listed), a text that its type cannot be, or settings that do
            not go together.
    """
    wanted = _Wanted()
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise ValueError(f"--set wants key=value, got {assignment!r}")
        wanted.put(key.strip().split("."), text)
    return typing.cast(T, _changed(value, wanted, ""))


@dataclass
class _Wanted:
    """What the texts ask of one field: a text of its own, and what they ask of the fields in it."""

    text: str | None = None
    inside: dict[str, _Wanted] = field(default_factory=dict)

    def put(self, keys: list[str], text: str) -> None:
        if keys:
            self.inside.setdefault(keys[0], _Wanted()).put(keys[1:], text)
        else:
            self.text = text


def _changed(value: Any, wanted: _Wanted, path: str) -> Any:
    """A dataclass, or the class of one that is still to be made, with everything asked for inside it."""
    cls = value if isinstance(value, type) else type(value)
    known, hints = of_type.fields(cls), of_type.hints(cls)
    fields = {} if value is cls else {key: getattr(value, key) for key in known}
    for key, asked in wanted.inside.items():
        if key not in known:
            raise ValueError(_unknown(cls, key, path))
        old = fields[key] if key in fields else of_type.default(known[key])
        fields[key] = _asked(hints[key], old, asked, _under(path, key))
    for key, setting in known.items():
        if key not in fields and of_type.default(setting) is dataclasses.MISSING:
            raise ValueError(
                f"{_under(path, key)} must be given: {of_type.name_of(cls)} has no default for it"
            )
    return _made(cls, fields, path)


def _asked(declared: Any, old: Any, wanted: _Wanted, path: str) -> Any:
    new = old if wanted.text is None else _read(declared, wanted.text, old, path)
    if isinstance(new, type):
        return _changed(new, wanted, path)
    if wanted.inside and not dataclasses.is_dataclass(new):
        inner = f"{path}.{next(iter(wanted.inside))}"
        if of_type.classes(declared):
            is_so = "not given" if new is dataclasses.MISSING else new
            raise ValueError(
                f"{inner}: {path} is {is_so}; also set {path}={' or '.join(kinds(declared))} to have one"
            )
        raise ValueError(
            f"unknown setting {inner!r}: {path} is {of_type.spelled(declared)}, with nothing inside"
        )
    return _changed(new, wanted, path) if wanted.inside else new


def _read(declared: Any, text: str, old: Any, path: str) -> Any:
    """A text as the declared type has it; of a dataclass that is named, the class."""
    members = of_type.members(declared)
    if type(None) in members and text in NONE:
        return None
    for scalar in (bool, int, float):
        if scalar in members and (number := _number(scalar, text)) is not None:
            return number
    if of_type.classes(declared):
        if text.startswith("{"):
            return _decode(declared, _json(text, path), path)
        return _kind(declared, text, path)
    if of_type.tuple_of(declared):
        return _read_tuple(declared, text, old, path)
    if str in members:
        return text
    raise ValueError(_wrong(declared, text, old, path))


def _number(scalar: type, text: str) -> Any:
    if scalar is bool:
        return WORDS.get(text)
    try:
        number = scalar(text)
    except ValueError:
        return None
    return None if isinstance(number, float) and math.isnan(number) else number


def _read_tuple(declared: Any, text: str, old: Any, path: str) -> Any:
    try:
        encoded = parsed(text)
        if isinstance(encoded, list):
            return _decode(declared, encoded, path)
    except json.JSONDecodeError:
        pass
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    words = [word.strip() for word in inner.split(",")]
    if words[-1] == "":  # nothing at all, or a comma at the end
        words.pop()
    parts = of_type.parts_of_tuple(declared, len(words), path)
    try:
        read = [_read(of, word, dataclasses.MISSING, path) for word, of in zip(words, parts, strict=True)]
    except ValueError as error:
        raise ValueError(_wrong(declared, text, old, path)) from error
    return tuple(_changed(part, _Wanted(), path) if isinstance(part, type) else part for part in read)


def _kind(declared: Any, name: Any, path: str) -> type:
    known = kinds(declared)
    if name not in known:
        raise ValueError(f"{_place(path)} must be one of {', '.join(known)}, got {name!r}")
    return known[name]


def _json(text: str, path: str) -> Any:
    try:
        return parsed(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: {text!r} is no JSON: {error}") from error


# ---- to texts


def assignments(value: Any, path: str = "") -> list[str]:
    """`key=value` texts of every setting, which `override` reads back: what a person would type to get them all."""
    cls: type = type(value)
    texts: list[str] = []
    hints = of_type.hints(cls)
    for key in of_type.fields(cls):
        inner, place = getattr(value, key), _under(path, key)
        if not dataclasses.is_dataclass(inner):
            encoded = _encode(inner, hints[key], True) if isinstance(inner, tuple) else inner
            texts.append(f"{place}={_written(encoded)}")
            continue
        if of_type.members(hints[key]) != (type(inner),) or len(kinds(hints[key])) > 1:
            texts.append(f"{place}={of_type.name_of(type(inner))}")
        texts += assignments(inner, place)
    return texts


# ---- errors


def _made(cls: type, fields: dict[str, Any], path: str) -> Any:
    try:
        return cls(**fields)
    except ValueError as error:
        if not path:
            raise
        named = str(error).partition(" ")[0] in of_type.fields(cls)
        raise ValueError(f"{path}.{error}" if named else f"{path}: {error}") from error


def _place(path: str) -> str:
    return path or "the settings"


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _unknown(cls: type, key: str, path: str, value: str = "") -> str:
    known = ", ".join(sorted(_under(path, name) for name in of_type.fields(cls)))
    what = f"{_under(path, key)!r}" + (f" = {value}" if value else "")
    return f"unknown setting {what}; known settings: {known}"


def _wrong(declared: Any, text: str, old: Any, path: str) -> str:
    if old is None or old is dataclasses.MISSING:
        of = next((member for member in of_type.members(declared) if member in EXAMPLES), None)
        old = EXAMPLES.get(of) if of else None
    example = "" if old is None else f", such as {path}={_written(old)}"
    return f"{path} must be {of_type.spelled(declared)}{example}; got {text!r}"


def _written(value: Any) -> str:
    """As a person would write it after `=`."""
    if not isinstance(value, tuple | list):
        return str(value)
    flat = value and all(isinstance(part, of_type.SCALARS) for part in value)
    return ",".join(map(str, value)) if flat else json.dumps(value, default=encode)
