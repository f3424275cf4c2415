"""Every schedule is its formula, bit for bit, and a rate depends on the step alone."""

import math

import pytest

from common.schedule import Cosine, InTurn, TriStage, from_former
from common.settings import decode, encode

STEPS = (1, 7, 102, 700)
WARM = (0, 1, 2, 70)


def cosine(peak, step, steps, warm, floor):
    if step < warm:
        return peak * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def tri_stage(peak, step, steps, warm, hold, floor):
    held_until = warm + hold * steps
    if step < warm:
        return peak * (step + 1) / warm
    if step < held_until:
        return peak
    done = (step - held_until) / max(1.0, steps - held_until)
    return peak * float(max(floor, 1e-6) ** min(1.0, done))


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("warm", WARM)
@pytest.mark.parametrize("floor", [0.0, 0.02, 1.0])
def test_rates_are_the_formulas_bit_for_bit(steps, warm, floor):
    ours, tri = (
        Cosine(warmup_steps=warm, final_ratio=floor),
        TriStage(warmup_steps=warm, hold_share=0.4, final_ratio=floor),
    )
    for step in range(steps + 3):
        assert ours.rate(2e-3, step, steps) == cosine(2e-3, step, steps, warm, floor)
        assert tri.rate(2e-3, step, steps) == tri_stage(2e-3, step, steps, warm, 0.4, floor)


def test_a_cosine_warms_up_linearly_peaks_and_ends_at_its_floor():
    schedule = Cosine(warmup_steps=2, final_ratio=0.1)
    assert [schedule.rate(1.0, step, 102) for step in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert schedule.rate(1.0, 52, 102) == pytest.approx(0.55)  # half-way between the peak and the floor
    assert schedule.rate(1.0, 102, 102) == pytest.approx(0.1)
    assert all(schedule.rate(1.0, step, 102) > schedule.rate(1.0, step + 1, 102) for step in range(2, 101))


def test_a_tri_stage_holds_its_peak_and_decays_by_equal_ratios():
    schedule = TriStage(warmup_steps=10, hold_share=0.4, final_ratio=0.05)
    assert [schedule.rate(1.0, step, 100) for step in (4, 9, 10, 49)] == [0.5, 1.0, 1.0, 1.0]
    assert schedule.rate(1.0, 100, 100) == pytest.approx(0.05)
    assert schedule.rate(1.0, 75, 100) == pytest.approx(0.05**0.5)
    assert TriStage(final_ratio=0.0).rate(1.0, 100, 100) == pytest.approx(1e-6)


def test_two_trainings_in_turn_are_each_a_training_of_its_own():
    schedule = Cosine(warmup_steps=5, final_ratio=0.05)
    both = InTurn(first_steps=50, schedule=schedule)
    rates = [both.rate(1.0, step, 90) for step in range(90)]
    alone = [[schedule.rate(1.0, step, steps) for step in range(steps)] for steps in (50, 40)]
    assert rates == [*alone[0], *alone[1]]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: Cosine(warmup_steps=-1), "warmup_steps must be 0 or more, got -1"),
        (lambda: Cosine(final_ratio=1.1), r"final_ratio must be in 0\.\.1, got 1\.1"),
        (lambda: TriStage(hold_share=-0.1), r"hold_share must be in 0\.\.1, got -0\.1"),
        (lambda: InTurn(first_steps=-2), "first_steps must be 0 or more, got -2"),
    ],
)
def test_an_impossible_schedule_is_refused_with_its_value(wrong, told):
    with pytest.raises(ValueError, match=told):
        wrong()


@pytest.mark.parametrize(
    ("former", "today"),
    [
        ({"warmup_steps": 30, "final_lr_ratio": 0.02}, Cosine(warmup_steps=30, final_ratio=0.02)),
        (
            {"warmup_steps": 70, "final_lr_ratio": 0.05, "hold_share": 0.4},
            TriStage(warmup_steps=70, hold_share=0.4, final_ratio=0.05),
        ),
    ],
)
def test_former_settings_name_the_schedule_they_meant(former, today):
    from common.schedule import Schedule

    told = from_former({"steps": 3, **former})
    assert sorted(told) == ["schedule", "steps"]
    assert decode(Schedule, told["schedule"]) == today
    assert from_former({"schedule": encode(today)}) == {"schedule": encode(today)}
