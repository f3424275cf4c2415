"""Laws of settings: JSON and back is the same value, texts are read by type, and every error says where and what."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import pytest

from common.setting_types import kinds
from common.settings import decode, encode, free, hashed, later, override, settings_hash


class Shape(ABC):
    """A base class that is no dataclass."""

    @abstractmethod
    def area(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Square(Shape):
    side: int = 2

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side must be 1 or more, got {self.side}")

    def area(self) -> float:
        return float(self.side**2)


class Paint:
    @dataclass(frozen=True, kw_only=True)
    class Disc(Shape):
        radius: float
        colour: str = "red"

        def area(self) -> float:
            return 3.14 * self.radius**2


@dataclass(frozen=True)
class Arm:
    kind: str = "full"  # a field that is called as the key that names a class
    layers: int = 0


@dataclass(frozen=True)
class Left:
    number: int = 1


@dataclass(frozen=True)
class Right:
    number: int = 2


@dataclass(frozen=True, kw_only=True)
class Example:
    rate: float = 0.5
    steps: int = 3
    on: bool = False
    name: str = "a"
    limit: int | None = 8
    sources: tuple[str, ...] = ("x",)
    betas: tuple[float, float] = (0.9, 0.99)
    conv: tuple[tuple[int, int], ...] = ((1, 2),)
    arm: Arm = Arm()
    perhaps: Arm | None = None
    shape: Shape = Square()
    shapes: tuple[Shape, ...] = ()
    either: Left | Right = Left()
    every_s: float = free(60.0)


FULL = Example(
    limit=None, sources=(), conv=((1, 2), (3, 4)), arm=Arm("head", 3), perhaps=Arm(), shape=Paint.Disc(radius=1.5),
    shapes=(Square(), Paint.Disc(radius=2.0)), either=Right(7), every_s=1.0,
)  # fmt: skip


# ---- JSON


@pytest.mark.parametrize("value", [Example(), FULL, Square(side=4), Arm("x")])
def test_settings_come_back_from_json_as_they_were(value):
    back = decode(type(value), json.loads(json.dumps(encode(value))))
    assert back == value
    assert json.dumps(encode(back)) == json.dumps(encode(value))


def test_a_class_is_named_only_where_the_declared_type_leaves_it_open():
    told = encode(FULL)
    assert told["arm"] == told["perhaps"] | {"kind": "head", "layers": 3} == {"kind": "head", "layers": 3}
    assert told["shape"] == {"kind": "Paint.Disc", "radius": 1.5, "colour": "red"}
    assert [shape["kind"] for shape in told["shapes"]] == ["Square", "Paint.Disc"]
    assert told["either"] == {"kind": "Right", "number": 7}
    assert "kind" not in told
    assert decode(Shape, told["shape"]) == Paint.Disc(radius=1.5)


def test_a_field_called_kind_cannot_stand_where_a_class_must_be_named():
    @dataclass(frozen=True)
    class Holder:
        held: object = Arm()

    with pytest.raises(TypeError, match="Arm has a field 'kind'"):
        encode(Holder())


def test_what_is_no_value_is_no_setting():
    with pytest.raises(TypeError, match=r"a setting must be a number, .* got \{'a': 1\}"):
        encode(replace(Example(), name={"a": 1}))


def test_free_fields_are_in_no_hash_and_may_be_left_out():
    other = replace(FULL, every_s=2.0)
    assert hashed(other) == hashed(FULL)
    assert "every_s" not in hashed(FULL)
    assert settings_hash(other) == settings_hash(FULL)
    assert encode(other) != encode(FULL)
    assert decode(Example, hashed(FULL)) == replace(FULL, every_s=60.0)


def test_a_free_field_stays_free_where_a_subclass_has_another_default():
    @dataclass(frozen=True, kw_only=True)
    class Often(Example):
        every_s: float = 1.0

    assert hashed(Often()) == hashed(Often(every_s=2.0))


def test_a_field_of_later_is_told_only_where_it_changes_a_number():
    @dataclass(frozen=True, kw_only=True)
    class Before:
        width: int = 1

    @dataclass(frozen=True, kw_only=True)
    class Today(Before):
        epsilon: float = later(0.5)

    assert encode(Today()) == hashed(Today()) == {"width": 1}
    assert encode(Today(epsilon=0.25)) == hashed(Today(epsilon=0.25)) == {"width": 1, "epsilon": 0.25}
    assert [decode(Today, encode(each)) for each in (Today(), Today(epsilon=0.25))] == [
        Today(),
        Today(epsilon=0.25),
    ]
    assert override(Today(), ["epsilon=0.25"]) == Today(epsilon=0.25)


def test_the_hash_is_of_the_class_and_of_sorted_json():
    """sha256 of '["Arm", {"kind": "full", "layers": 0}]', written out."""
    assert settings_hash(Arm()) == "2549392b1671"
    assert len({settings_hash(value) for value in (Arm(), Arm("a"), Left(), Right(1), Left(2))}) == 5


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("stepz", 1, "unknown setting 'stepz' = 1; known settings: arm, betas, .*steps"),
        ("arm", {"kind": "a", "layerz": 2}, "unknown setting 'arm.layerz' = 2; known settings: arm.kind, arm.layers"),
        ("arm", {"kind": "a"}, "arm lacks 'arm.layers', which Arm needs"),
        ("steps", 1.5, "steps must be int, got 1.5"),
        ("steps", True, "steps must be int, got true"),
        ("limit", "a", 'limit must be int or None, got "a"'),
        ("betas", [0.1], "betas must be tuple of float, float, got 1 values"),
        ("conv", [[1, "a"]], 'conv must be int, got "a"'),
        ("shape", {"side": 2}, "shape must name its 'kind', one of Paint.Disc, Square"),
        ("shape", {"kind": "Cube"}, "shape must be one of Paint.Disc, Square, got 'Cube'"),
        ("shape", {"kind": "Square", "side": 0}, "shape.side must be 1 or more, got 0"),
        ("either", {"kind": "Arm"}, "either must be one of Left, Right, got 'Arm'"),
    ],
)  # fmt: skip
def test_json_that_does_not_fit_is_refused_with_its_place(key, value, told):
    with pytest.raises(ValueError, match=told):
        decode(Example, encode(Example()) | {key: value})


def test_an_integer_is_a_float_where_one_is_declared():
    rate = decode(Example, encode(Example()) | {"rate": 1}).rate
    assert (rate, type(rate)) == (1.0, float)


# ---- texts


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("steps=12", "steps", 12),
        ("rate=1", "rate", 1.0),
        ("rate=1e-3", "rate", 1e-3),
        ("rate=inf", "rate", float("inf")),
        ("on=true", "on", True),
        ("on=False", "on", False),
        ("name=7", "name", "7"),
        ("name=", "name", ""),
        ("limit=None", "limit", None),
        ("limit=4", "limit", 4),
        ("sources=a,b", "sources", ("a", "b")),
        ("sources=a", "sources", ("a",)),
        ("sources=", "sources", ()),
        ("sources=[]", "sources", ()),
        ('sources=["a, b"]', "sources", ("a, b",)),
        ("sources=[a, b]", "sources", ("a", "b")),
        ("betas=[0.5, 1]", "betas", (0.5, 1.0)),
        ("betas=(0.5, 1)", "betas", (0.5, 1.0)),
        ("betas=0.5,1", "betas", (0.5, 1.0)),
        ("conv=[[1, 2], [3, 4]]", "conv", ((1, 2), (3, 4))),
        ("arm.layers=3", "arm", Arm(layers=3)),
        ("arm.kind=lora", "arm", Arm("lora")),
        ('arm={"kind": "lora", "layers": 2}', "arm", Arm("lora", 2)),
        ("perhaps=Arm", "perhaps", Arm()),
        ("perhaps=none", "perhaps", None),
        ("shape.side=5", "shape", Square(side=5)),
        ('shape={"kind": "Square", "side": 3}', "shape", Square(side=3)),
        ("shapes=Square,Square", "shapes", (Square(), Square())),
        ("either=Right", "either", Right()),
    ],
)
def test_a_text_is_read_by_the_type_of_its_field(text, key, value):
    changed = override(Example(), [text])
    assert changed == replace(Example(), **{key: value})
    assert type(getattr(changed, key)) is type(value)


def test_another_class_takes_its_own_defaults_and_what_is_set_inside_it_in_any_order():
    wanted = Paint.Disc(radius=3.0, colour="blue")
    texts = ["shape.radius=3", "shape=Paint.Disc", "shape.colour=blue"]
    assert override(Example(), texts).shape == override(Example(), texts[::-1]).shape == wanted


def test_types_decide_and_not_the_value_that_is_there():
    assert override(override(Example(), ["limit=None"]), ["limit=4"]).limit == 4
    assert override(replace(Example(), sources=()), ["sources=1,2"]).sources == ("1", "2")
    assert override(replace(Example(), rate=1), ["rate=0.5"]).rate == 0.5


def test_the_last_of_several_texts_counts_and_none_leaves_all_as_it_is():
    assert override(Example(), ["steps=1", "steps=2"]).steps == 2
    assert override(FULL, []) == FULL


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps", "--set wants key=value, got 'steps'"),
        ("stepz=1", "unknown setting 'stepz'; known settings: arm, .*steps"),
        ("arm.layerz=1", r"unknown setting 'arm\.layerz'; known settings: arm\.kind, arm\.layers"),
        ("steps.more=1", "unknown setting 'steps.more': steps is int, with nothing inside"),
        ("perhaps.layers=1", "perhaps.layers: perhaps is None; also set perhaps=Arm to have one"),
        ("steps=1.5", "steps must be int, such as steps=3; got '1.5'"),
        ("steps=true", "steps must be int, such as steps=3; got 'true'"),
        ("steps=None", "steps must be int, such as steps=3; got 'None'"),
        ("on=1", "on must be bool, such as on=False; got '1'"),
        ("rate=fast", "rate must be float, such as rate=0.5; got 'fast'"),
        ("rate=nan", "rate must be float, such as rate=0.5; got 'nan'"),
        ("betas=0.5", "betas must be tuple of float, float, got 1 values"),
        ("betas=a,b", r"betas must be tuple of float, float, such as betas=0\.9,0\.99; got 'a,b'"),
        ('betas=[0.9, "x"]', 'betas must be float, got "x"'),
        ("arm.layers=x", r"arm\.layers must be int, such as arm\.layers=0; got 'x'"),
        ("conv=1,2", r"conv must be tuple of tuple of int, int, such as conv=\[\[1, 2\]\]; got '1,2'"),
        ("shape=Cube", "shape must be one of Paint.Disc, Square, got 'Cube'"),
        ("shape=Paint.Disc", "shape.radius must be given: Paint.Disc has no default for it"),
        ("shape={", "shape: '{' is no JSON"),
        ("shape.side=0", r"shape\.side must be 1 or more, got 0"),
    ],
)
def test_an_impossible_text_is_refused_with_its_key_and_value(text, told):
    with pytest.raises(ValueError, match=told):
        override(Example(), [text])


def test_an_optional_number_shows_an_example_of_its_type():
    with pytest.raises(ValueError, match="limit must be int or None, such as limit=8; got 'x'"):
        override(replace(Example(), limit=None), ["limit=x"])


def test_kinds_are_all_concrete_classes_below_those_declared():
    assert list(kinds(Shape)) == ["Paint.Disc", "Square"]
    assert list(kinds(Left | Right | None)) == ["Left", "Right"]
    assert dataclasses.is_dataclass(kinds(Shape)["Square"])
