"""What each arm adds and trains: shares to the digit, the identity at the start, nothing moved that is frozen."""

import copy

import pytest
import torch

from speech_adapters.checkpoints.model_files import without_weights
from speech_adapters.model.adapters import (
    EMBEDDED,
    FEATURES,
    INIT_STD,
    WAVEFORM,
    Adapter,
    LoraLinear,
    apply,
    frozen_depth,
    lora_rank,
    share,
)
from speech_adapters.model.architecture import BASE, Architecture
from speech_adapters.model.arm import ARMS, Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2

SIZES = {"conv": ((8, 10, 5), (8, 3, 2), (12, 2, 2)), "width": 24, "layers": 4, "heads": 2, "inner": 40,
         "positional_kernel": 8, "positional_groups": 4}  # fmt: skip
POST, PRE = Architecture(**SIZES), Architecture(**SIZES, pre_norm=True)
EVERY_ARM = [
    *(Arm(kind=kind, layers=2 if kind.startswith("single") else 0, bottleneck=5) for kind in ARMS),
    Arm(kind="adapters", layers=2, bottleneck=5),
    Arm(kind="adapters", layers=2, bottleneck=5, norms="adapted"),
    Arm(kind="adapters", bottleneck=5, inner_norm=False),
    Arm(kind="adapters", bottleneck=5, places="attention"),
    Arm(kind="finetune", layers=3, strict=True),
    Arm(kind="lora", layers=1, bottleneck=5),
    Arm(kind="bitfit", layers=1),
]


def _model(arm, architecture=POST):
    torch.manual_seed(0)
    model = CTCModel(Wav2Vec2(architecture), 6)
    apply(arm, model.encoder, model.head)
    return model


def _waves():
    return torch.randn(2, 400, generator=torch.Generator().manual_seed(1)), torch.tensor([400, 310])


# ---- shares at BASE, with a head of 32 symbols as the paper's


def _share_at_base(arm):
    with without_weights():
        model = CTCModel(Wav2Vec2(BASE), 32)
        apply(arm, model.encoder, model.head)
    return share(model)


@pytest.mark.parametrize(("arm", "trained", "total", "percent"), [
    (Arm(kind="full"), 90_195_872, 94_396_320, "95.55"),
    (Arm(kind="finetune", layers=8), 61_844_384, 94_396_320, "65.52"),
    (Arm(kind="adapters"), 9_560_096, 103_894_944, "9.20"),
    (Arm(kind="adapters", layers=6), 4_810_784, 99_145_632, "4.85"),
], ids=str)  # fmt: skip
def test_shares_are_those_of_the_papers_table(arm, trained, total, percent):
    counted = _share_at_base(arm)
    assert (counted.trained, counted.total, f"{counted.percent:.2f}") == (trained, total, percent)


@pytest.mark.parametrize(("layers", "trained", "percent"), [
    (1, 853_024, "0.90"), (2, 1_644_576, "1.71"), (4, 3_227_680, "3.31"), (6, 4_810_784, "4.85"),
    (8, 6_393_888, "6.35"), (10, 7_976_992, "7.80"), (12, 9_560_096, "9.20"),
])  # fmt: skip
def test_shares_of_adapters_in_the_top_layers(layers, trained, percent):
    counted = _share_at_base(Arm(kind="adapters", layers=layers))
    assert (counted.trained, f"{counted.percent:.2f}") == (trained, percent)


@pytest.mark.parametrize(("layers", "trained"), [
    (1, 12_229_280), (2, 19_317_152), (4, 33_492_896), (6, 47_668_640), (8, 61_844_384), (10, 76_020_128),
    (12, 90_195_872),
])  # fmt: skip
def test_shares_of_fine_tuned_top_layers(layers, trained):
    counted = _share_at_base(Arm(kind="finetune", layers=layers))
    assert (counted.trained, counted.total) == (trained, 94_396_320)


def test_an_adapter_has_395_776_weights_and_lora_comes_near_two_of_them():
    """2md + d + m, and 2d for the norm, at d = 768 and m = 256; LoRA's rank is rounded."""
    assert share(Adapter(768, 256)).total == 395_776
    with without_weights():
        encoder = Wav2Vec2(BASE)
    rank = lora_rank(encoder, Arm(kind="lora"))
    a_layer = rank * (4 * 2 * 768 + 2 * (768 + 3072))
    assert a_layer == pytest.approx(2 * 395_776, rel=0.01)
    head = 768 * 32 + 32
    assert _share_at_base(Arm(kind="lora")).trained == 12 * a_layer + head


# ---- at the start


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_new_adapter_is_nearly_the_identity(scale):
    torch.manual_seed(0)
    x = scale * torch.randn(2, 50, 768)
    moved = (Adapter(768, 256)(x) - x).abs().max()
    assert 0 < moved < INIT_STD * scale


@torch.no_grad()
@pytest.mark.parametrize("architecture", [POST, PRE], ids=["post", "pre"])
@pytest.mark.parametrize("arm", EVERY_ARM, ids=str)
def test_inserting_leaves_what_the_recogniser_says(arm, architecture):
    torch.manual_seed(0)
    model = CTCModel(Wav2Vec2(architecture), 6).eval()
    before = model(*_waves())[0]
    apply(arm, model.encoder, model.head)
    exact = arm.kind not in ("adapters", "single-adapter")
    torch.testing.assert_close(model.eval()(*_waves())[0], before, atol=0 if exact else 1e-3, rtol=0)


@pytest.mark.parametrize("bottleneck", [0, 24])
def test_a_bottleneck_that_is_none_is_refused_with_its_value(bottleneck):
    with pytest.raises(ValueError, match=rf"in 1\.\.23, got {bottleneck}"):
        Adapter(24, bottleneck)


# ---- a step


@pytest.mark.parametrize("architecture", [POST, PRE], ids=["post", "pre"])
@pytest.mark.parametrize("arm", EVERY_ARM, ids=str)
def test_a_step_moves_what_is_trained_and_nothing_else(arm, architecture):
    model = _model(arm, architecture)
    before = copy.deepcopy(model.state_dict())
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):  # LoRA's lower half has no gradient before the upper one has moved
        optimizer.zero_grad()
        model(*_waves())[0][:, :, 1].sum().backward()
        optimizer.step()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    # Without masks nothing reads the mask vector, a shift of all keys alike cancels in the softmax.
    idle = {name for name in trained if name.endswith(("mask_vector", "key.bias", "key.linear.bias"))}
    assert trained - idle <= moved <= trained


@pytest.mark.parametrize("arm", EVERY_ARM, ids=str)
def test_the_head_is_always_trained_and_the_extractor_never(arm):
    model = _model(arm)
    assert all(weight.requires_grad for weight in model.head.parameters())
    assert not any(weight.requires_grad for weight in model.encoder.extractor.parameters())


def _trained(arm):
    return {name for name, w in _model(arm).encoder.named_parameters() if w.requires_grad}


def _below(names):
    return {name for name in names if not name.startswith("layers.")}


def test_adapters_train_every_layers_norms_or_those_with_an_adapter():
    everywhere = _trained(Arm(kind="adapters", layers=1, bottleneck=5))
    adapted = _trained(Arm(kind="adapters", layers=1, bottleneck=5, norms="adapted"))
    norms = {f"layers.{layer}.{place}_norm.{part}" for layer in range(4)
             for place in ("attention", "feed_forward") for part in ("weight", "bias")}  # fmt: skip
    assert {name for name in everywhere if "after_" not in name} == norms
    assert {name for name in adapted if "after_" not in name} == {
        n for n in norms if n.startswith("layers.3.")
    }


def test_fine_tuning_top_layers_trains_what_is_below_the_transformer_unless_strict():
    loose, strict = (_trained(Arm(kind="finetune", layers=1, strict=strict)) for strict in (False, True))
    assert _below(strict) == set()
    assert {name.split(".")[0] for name in _below(loose)} == {
        "feature_norm", "projection", "mask_vector", "positional", "norm"}  # fmt: skip
    assert loose - _below(loose) == strict
    assert {name.split(".")[1] for name in strict} == {"3"}


def test_bitfit_trains_biases_and_lora_low_rank_terms_alone():
    biases = _trained(Arm(kind="bitfit"))
    assert biases == {name for name in _model(Arm(kind="head")).encoder.state_dict()
                      if name.startswith("layers.") and name.endswith("bias")}  # fmt: skip
    terms = _trained(Arm(kind="lora", layers=2, bottleneck=5))
    linears = {*(f"attention.{n}" for n in ("query", "key", "value", "output")), "expand", "contract"}
    assert terms == {f"layers.{layer}.{linear}.{half}.weight" for layer in (2, 3) for linear in linears
                     for half in ("up", "down")}  # fmt: skip


def test_lora_adds_the_product_of_its_halves():
    torch.manual_seed(0)
    linear = torch.nn.Linear(7, 5)
    lora = LoraLinear(linear, rank=2)
    torch.nn.init.normal_(lora.up.weight)
    x = torch.randn(1, 3, 7)
    merged = linear.weight + lora.up.weight @ lora.down.weight
    torch.testing.assert_close(lora(x), torch.nn.functional.linear(x, merged, linear.bias))


# ---- which layers


def test_layers_are_counted_from_the_top_and_single_ones_from_below():
    assert Arm(kind="adapters", layers=2).chosen(12) == [10, 11]
    assert Arm(kind="finetune").chosen(3) == [0, 1, 2]
    assert Arm(kind="single-adapter", layers=1).chosen(12) == [0]


@pytest.mark.parametrize(("arm", "message"), [
    (Arm(kind="adapters", layers=13), r"in 0\.\.12, 0 for all for adapters, got 13"),
    (Arm(kind="single-finetune"), r"in 1\.\.12 for single-finetune, got 0"),
])  # fmt: skip
def test_layers_that_are_not_there_are_refused(arm, message):
    with pytest.raises(ValueError, match=message):
        arm.chosen(12)


@pytest.mark.parametrize("setting", [{"kind": "prefix"}, {"norms": "some"}])
def test_unknown_kinds_are_refused_with_the_known_ones(setting):
    with pytest.raises(ValueError, match=r"must be one of .*, got '(prefix|some)'"):
        Arm(**setting)


# ---- how deep nothing is trained


@pytest.mark.parametrize(("arm", "depth"), [
    (Arm(kind="full"), FEATURES),
    (Arm(kind="finetune", layers=1), FEATURES),
    (Arm(kind="finetune", layers=1, strict=True), EMBEDDED + 3),
    (Arm(kind="single-finetune", layers=2, strict=True), EMBEDDED + 1),
    (Arm(kind="adapters", bottleneck=5), EMBEDDED),
    (Arm(kind="adapters", layers=1, bottleneck=5), EMBEDDED),
    (Arm(kind="adapters", layers=1, bottleneck=5, norms="adapted"), EMBEDDED + 3),
    (Arm(kind="single-adapter", layers=2, bottleneck=5, norms="adapted"), EMBEDDED + 1),
    (Arm(kind="head"), EMBEDDED + 4),
    (Arm(kind="lora", layers=2, bottleneck=5), EMBEDDED + 2),
    (Arm(kind="bitfit", layers=1), EMBEDDED + 3),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("architecture", [POST, PRE], ids=["post", "pre"])
def test_what_is_frozen_below_is_as_deep_as_the_arm_leaves_it(arm, depth, architecture):
    assert frozen_depth(_model(arm, architecture).encoder) == depth


def test_a_trained_extractor_or_last_norm_counts():
    encoder = _model(Arm(kind="head"), PRE).encoder
    encoder.norm.requires_grad_(True)
    assert frozen_depth(encoder) == EMBEDDED + 3
    encoder.extractor.requires_grad_(True)
    assert frozen_depth(encoder) == WAVEFORM
