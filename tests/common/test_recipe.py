"""Laws of settings: overriding reads types, hashing sees every setting, rates depend on the step alone."""

import dataclasses
from dataclasses import dataclass

import pytest
from toy_recipe import Toy

from common.recipe import Shard
from common.schedule import Cosine, Schedule
from common.settings import override

KEPT_OUT = {
    "cost_s",
    "workers",
    "log_every",
    "save_every_s",
    "preview_every",
    "keep_every",
}  # change no number


@dataclass(frozen=True, kw_only=True)
class Optional(Toy):
    bottleneck: int | None = 8
    sizes: tuple[float, ...] = (1.0, 2.0)


def test_override_reads_each_value_as_its_settings_type():
    changed = override(
        Toy(), ["steps=3", "peak_lr=1", "bf16=True", "betas=[0.5, 0.6]", "data=7", "weight_decay=1e-3"]
    )
    assert (changed.steps, changed.peak_lr, changed.bf16, changed.betas) == (3, 1.0, True, (0.5, 0.6))
    assert (changed.data, changed.weight_decay) == ("7", 1e-3)
    assert isinstance(changed.peak_lr, float)


def test_only_an_optional_setting_takes_none():
    none = override(Optional(steps=1), ["bottleneck=None", "sizes=[1, 3]"])
    assert (none.bottleneck, none.sizes) == (None, (1.0, 3.0))
    assert override(none, ["bottleneck=4"]).bottleneck == 4
    with pytest.raises(ValueError, match="steps must be int, such as steps=1; got 'null'"):
        override(Optional(steps=1), ["steps=null"])


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("leaning_rate=1", "unknown setting 'leaning_rate'; known settings: .*peak_lr"),
        ("steps", "--set wants key=value, got 'steps'"),
        ("steps=1.5", "steps must be int, such as steps=12; got '1.5'"),
        ("steps=true", "got 'true'"),
        ("bf16=1", "bf16 must be bool, such as bf16=False; got '1'"),
        ("peak_lr=fast", "peak_lr must be float, such as peak_lr=0.02; got 'fast'"),
        ('betas=[0.9, "x"]', "betas must be float, got"),
        ("steps=-1", "steps must be 0 or more, got -1"),
        ("accumulate=0", "accumulate must be 1 or more, got 0"),
        ("accumulate=3", "accumulate must divide batch_size, got 3 for 4 items"),
        ("log_every=0", "log_every must be 1 or more, got 0"),
    ],
)
def test_an_impossible_setting_is_refused_with_its_value(assignment, told):
    with pytest.raises(ValueError, match=told):
        override(Toy(), [assignment])


def _other(value):
    if isinstance(value, Schedule):
        return Cosine(warmup_steps=1)
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value[:-1], value[-1] / 2)
    if value == "":  # of `compile`
        return "default"
    return value + ("x" if isinstance(value, str) else 1)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Toy)])
def test_every_setting_changes_the_hash_except_what_changes_no_number(field):
    toy = Toy(batch_size=1)
    changes = {field: _other(getattr(toy, field))} | ({"batch_size": 2} if field == "accumulate" else {})
    other = dataclasses.replace(toy, **changes)
    same = dataclasses.replace(toy, batch_size=2) if field == "accumulate" else toy
    assert (other.settings_hash() == same.settings_hash()) == (field in KEPT_OUT)


def test_equal_settings_of_another_class_are_another_recipe():
    @dataclass(frozen=True, kw_only=True)
    class Other(Toy):
        pass

    assert Toy().settings() == Other().settings()
    assert Toy().settings_hash() != Other().settings_hash()


def test_rate_warms_up_linearly_peaks_and_ends_at_its_floor():
    toy = Toy(steps=102, schedule=Cosine(warmup_steps=2, final_ratio=0.1), peak_lr=1.0)
    assert [toy.lr(step) for step in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert toy.lr(52) == pytest.approx(0.55)  # half-way between the peak and the floor
    assert toy.lr(102) == pytest.approx(0.1)
    assert all(toy.lr(step) > toy.lr(step + 1) for step in range(2, 101))


@pytest.mark.parametrize(("index", "count"), [(1, 1), (-1, 2), (2, 2)])
def test_a_shard_outside_its_batch_is_refused(index, count):
    with pytest.raises(ValueError, match=rf"shard index must be in 0..{count - 1}, got {index}"):
        Shard(index, count)
