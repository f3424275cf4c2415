"""What the fields of settings are declared as, read off the type hints: which classes, tuples and numbers they take."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

SCALARS = (bool, int, float, str)


@cache
def hints(cls: type) -> dict[str, Any]:
    """Declared types of a class's attributes, by name; they must be importable where the class is defined."""
    return typing.get_type_hints(cls)


@cache
def fields(cls: type) -> dict[str, dataclasses.Field[Any]]:
    """Fields of a dataclass by name."""
    return {setting.name: setting for setting in dataclasses.fields(cls)}


def default(setting: dataclasses.Field[Any]) -> Any:
    """What a field is when nothing is said; MISSING of one that must be given."""
    if setting.default_factory is not dataclasses.MISSING:
        return setting.default_factory()
    return setting.default


def members(declared: Any) -> tuple[Any, ...]:
    """Of a union all, else the type alone."""
    union = isinstance(declared, types.UnionType) or typing.get_origin(declared) is typing.Union
    return typing.get_args(declared) if union else (declared,)


def tuple_of(declared: Any) -> Any:
    """The tuple among the members of a type, or None."""
    return next((member for member in members(declared) if typing.get_origin(member) is tuple), None)


def parts_of_tuple(declared: Any, count: int, path: str) -> tuple[Any, ...]:
    """The type of each of `count` values; `path` says in an error where the tuple stands."""
    arguments = typing.get_args(tuple_of(declared))
    if arguments[1:] == (...,):
        return arguments[:1] * count
    if count != len(arguments):
        raise ValueError(f"{path} must be {spelled(declared)}, got {count} values")
    return arguments


def classes(declared: Any) -> list[type]:
    """Classes among the members of a type that are no scalars: dataclasses and their base classes."""
    return [
        member
        for member in members(declared)
        if isinstance(member, type) and member not in (*SCALARS, type(None)) and not typing.get_origin(member)
    ]


def kinds(declared: Any) -> dict[str, type]:
    """Classes that a field of that type may hold, by name: those declared and all that derive from them.

    Only modules that were imported count; a paper's package imports those that its recipes need.
    """
    found: dict[str, type] = {}
    left = classes(declared)
    while left:
        cls = left.pop()
        left += cls.__subclasses__()
        if is_concrete(cls) and found.setdefault(name_of(cls), cls) is not cls:
            raise TypeError(f"two classes are called {name_of(cls)}: {found[name_of(cls)]} and {cls}")
    return dict(sorted(found.items()))


def is_concrete(cls: type) -> bool:
    return dataclasses.is_dataclass(cls) and not inspect.isabstract(cls)


def name_of(cls: type) -> str:
    """`Cosine`, or `EVESRNet.Sizes` of a class in a class."""
    return cls.__qualname__.rpartition("<locals>.")[2]


@cache
def free_fields(cls: type) -> frozenset[str]:
    """Names of fields that change no number; a field that is free stays so where a subclass gives another default."""
    declared = [base for base in cls.__mro__ if dataclasses.is_dataclass(base)]
    return frozenset(f.name for base in declared for f in dataclasses.fields(base) if f.metadata.get("free"))


@cache
def later_fields(cls: type) -> Mapping[str, Any]:
    """Names and defaults of fields that runs were published without."""
    return {f.name: f.default for f in dataclasses.fields(cls) if f.metadata.get("later")}


def spelled(declared: Any) -> str:
    """A type in words: `int or None`, `tuple of str`, `Schedule (Cosine, TriStage)`."""
    return " or ".join(map(_spelled_alone, members(declared)))


def _spelled_alone(member: Any) -> str:
    arguments = typing.get_args(member)
    if member is type(None):
        return "None"
    if typing.get_origin(member) is tuple:
        inner = arguments[:1] if arguments[1:] == (...,) else arguments
        return f"tuple of {', '.join(map(spelled, inner))}"
    if member in SCALARS:
        return str(member.__name__)
    known = list(kinds(member))
    return name_of(member) if known == [name_of(member)] else f"{name_of(member)} ({', '.join(known)})"
