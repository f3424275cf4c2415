"""Adapters trained inside fairseq: what is trained there, where adapters sit, and the way to our names and back."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from patience import HANG_S
from torch import Tensor

from common.checkpoint import CheckpointError
from speech_adapters.checkpoints.adapter_sets import AdapterSet, WrongBackbone
from speech_adapters.checkpoints.interop import fairseq as interop
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.fairseq_plugin import names
from speech_adapters.model.adapters import Adapter, apply, share
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2

PLUGIN = Path(names.__file__).parent
CONV = ((8, 10, 5), *((8, 3, 2),) * 4, *((8, 2, 2),) * 2)
SIZES = {"conv": CONV, "width": 24, "layers": 3, "heads": 2, "inner": 48, "positional_kernel": 16,
         "positional_groups": 4}  # fmt: skip
POST_NORM = Architecture(**SIZES)
PRE_NORM = Architecture(**SIZES, pre_norm=True, conv_norm="layer", conv_bias=True)
SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>", "E", "|", "A")  # a dictionary in another order than ours


def encoder_of(architecture: Architecture, seed: int = 0) -> Wav2Vec2:
    torch.manual_seed(seed)
    return Wav2Vec2(architecture).eval()


def write_pretrained(path: Path, encoder: Wav2Vec2) -> None:
    stored = StoredModel(kind="encoder", architecture=encoder.architecture, tensors=encoder.state_dict())
    interop.write(path, stored)


@pytest.fixture(scope="module")
def fairseq_models() -> Iterator[object]:
    level = logging.getLogger().level
    from fairseq import models

    import speech_adapters.fairseq_plugin.model  # noqa: F401  registers ours

    logging.getLogger().setLevel(level)  # fairseq lowers it for everybody
    return models


@pytest.fixture
def build(fairseq_models, tmp_path):
    """A `wav2vec_ctc_adapters` over the encoder, as `fairseq-hydra-train` builds it."""
    from omegaconf import OmegaConf

    class Task:
        target_dictionary = SYMBOLS

    def built(encoder: Wav2Vec2, name: str = "wav2vec_ctc_adapters", **settings):
        write_pretrained(tmp_path / "pretrained.pt", encoder)
        model = {"_name": name, "w2v_path": str(tmp_path / "pretrained.pt"), "normalize": False, "data": "",
                 "ddp_backend": "legacy_ddp"}  # fmt: skip
        return fairseq_models.build_model(OmegaConf.create(model | settings), Task()).eval()

    return built


def shake(model: torch.nn.Module) -> None:
    """Adapters that are far from the identity, norms that are not those of pre-training."""
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.3 * torch.randn(weight.shape, generator=generator)


def log_probs_of(model: torch.nn.Module, waveform: Tensor) -> Tensor:
    with torch.no_grad():
        output = model(source=waveform[None], padding_mask=torch.zeros(1, len(waveform), dtype=torch.bool))
        return model.get_normalized_probs(output, log_probs=True)[:, 0]


def our_log_probs(model: CTCModel, waveform: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(waveform[None], torch.tensor([len(waveform)]))[0][0]


def with_adapters(encoder: Wav2Vec2, arm: Arm, adapters: dict[str, Tensor]) -> CTCModel:
    model = CTCModel(encoder, len(SYMBOLS))
    apply(arm, encoder, model.head)
    assert model.load_state_dict(adapters, strict=False).unexpected_keys == []
    return model


# ---- inside fairseq


@pytest.mark.parametrize("architecture", [POST_NORM, PRE_NORM], ids=["post-norm", "pre-norm"])
@pytest.mark.parametrize(("layers", "norms"), [(0, "all"), (2, "adapted")])
def test_adapters_of_fairseq_give_the_same_log_probabilities_in_our_recogniser(
    build, architecture, layers, norms
):
    model = build(encoder_of(architecture), adapter_bottleneck=8, adapter_layers=layers, adapter_norms=norms)
    shake(model)
    arm = Arm(kind="adapters", layers=layers, bottleneck=8, norms=norms)
    ours = with_adapters(encoder_of(architecture), arm, names.from_fairseq(model.state_dict(), norms))
    waveform = torch.randn(8000)
    theirs = log_probs_of(model, waveform)
    assert theirs.std() > 0.1
    # Float32 and two orders of summation: about 1e-6.
    torch.testing.assert_close(our_log_probs(ours, waveform), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("norms", ["all", "adapted"])
def test_fairseq_trains_what_our_arm_trains(build, norms):
    model = build(encoder_of(POST_NORM), adapter_bottleneck=8, adapter_layers=2, adapter_norms=norms)
    ours = CTCModel(encoder_of(POST_NORM), len(SYMBOLS))
    apply(Arm(kind="adapters", layers=2, bottleneck=8, norms=norms), ours.encoder, ours.head)
    trained = {name for name, weight in ours.named_parameters() if weight.requires_grad}
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == set(
        names.to_fairseq(dict.fromkeys(trained, torch.zeros(1)))
    )
    assert share(model).trained == share(ours).trained


def test_new_adapters_hardly_change_what_fairseq_computes(build):
    waveform, encoder = torch.randn(8000), encoder_of(POST_NORM)
    bare, adapted = build(encoder, name="wav2vec_ctc"), build(encoder, adapter_bottleneck=8)
    adapted.load_state_dict(bare.state_dict(), strict=False)
    difference = (log_probs_of(bare, waveform) - log_probs_of(adapted, waveform)).abs().max()
    assert 0 < difference < 1e-3


def test_without_settings_all_layers_have_adapters_of_256_channels(build):
    model = build(encoder_of(Architecture(**SIZES | {"width": 264, "inner": 8})))
    adapters = [module for module in model.modules() if isinstance(module, Adapter)]
    assert [adapter.down.out_features for adapter in adapters] == [256] * 2 * POST_NORM.layers


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layer_type": "conformer"}, "conformer"),
        ({"ddp_backend": "fully_sharded"}, "fully_sharded"),
        ({"adapter_layers": 4, "adapter_bottleneck": 8}, "got 4"),
        ({"adapter_norms": "some"}, "'some'"),
        ({"adapter_bottleneck": 24}, "1..23, got 24"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_value(build, settings, told):
    with pytest.raises(ValueError, match=told):
        build(encoder_of(POST_NORM), **settings)


# ---- names


def test_names_there_and_back_change_nothing(build):
    model = build(encoder_of(POST_NORM), adapter_bottleneck=8)
    adapters = names.from_fairseq(model.state_dict())
    theirs = names.to_fairseq(adapters)
    assert len(adapters) == len(theirs) == 3 * (2 * 6 + 4) + 2
    assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in theirs.items())
    assert names.from_fairseq(theirs).keys() == adapters.keys()


def test_half_precision_becomes_single():
    adapters = {"encoder.layers.0.after_attention.up.bias": torch.ones(2), "head.bias": torch.ones(3)}
    halves = {name: weight.half() for name, weight in names.to_fairseq(adapters).items()}
    assert {weight.dtype for weight in names.from_fairseq(halves).values()} == {torch.float32}


def test_weights_without_adapters_and_tensors_of_others_are_refused():
    with pytest.raises(ValueError, match="without adapters"):
        names.from_fairseq({"w2v_encoder.proj.bias": torch.ones(3)})
    with pytest.raises(ValueError, match=r"encoder\.layers\.0\.expand\.bias"):
        names.to_fairseq({"encoder.layers.0.expand.bias": torch.ones(3)})
    with pytest.raises(ValueError, match="'some'"):
        names.from_fairseq({}, norms="some")


def test_a_checkpoint_without_adapters_is_refused_by_its_models_name(tmp_path):
    write_pretrained(tmp_path / "pretrained.pt", encoder_of(POST_NORM))
    with pytest.raises(ValueError, match=r"pretrained\.pt must hold a wav2vec_ctc_adapters, got wav2vec2"):
        names.read_adapters(tmp_path / "pretrained.pt")
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"broken\.pt"):
        names.read_adapters(tmp_path / "broken.pt")


def test_reading_what_fairseq_trained_needs_no_fairseq():
    code = "import sys, speech_adapters.fairseq_plugin.names\nassert 'fairseq' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_S)


# ---- the example, and a run


def test_the_example_is_base_10h_but_for_what_its_first_lines_say():
    import importlib.util

    [package] = importlib.util.find_spec("fairseq").submodule_search_locations
    base = Path(package) / "examples" / "wav2vec" / "config" / "finetuning" / "base_10h.yaml"
    theirs, ours = (yaml.safe_load(path.read_text()) for path in (base, PLUGIN / "adapters_10h.yaml"))
    different = {
        f"{part}.{key}"
        for part in theirs | ours
        for key in theirs.get(part, {}) | ours.get(part, {})
        if theirs.get(part, {}).get(key) != ours.get(part, {}).get(key)
    }
    assert different == {
        "common.user_dir",
        "dataset.validate_after_updates",
        "distributed_training.distributed_world_size",
        "optimization.lr",
        "optimization.max_update",
        "optimization.update_freq",
        "model._name",
        "model.adapter_bottleneck",
        "model.adapter_layers",
        "model.adapter_norms",
        "model.freeze_finetune_updates",
    }
    batches = [c["distributed_training"]["distributed_world_size"] * c["optimization"]["update_freq"][0]
               for c in (theirs, ours)]  # fmt: skip
    assert batches[0] == batches[1]


def write_corpus(folder: Path) -> None:
    import soundfile

    generator = np.random.default_rng(0)
    (folder / "dict.ltr.txt").write_text("".join(f"{symbol} 1\n" for symbol in SYMBOLS[4:]))
    for split in ("train", "dev"):
        rows = [str(folder)]
        for number, num_samples in enumerate((8000, 8500, 9000, 9500)):
            name = f"{split}-{number}.wav"
            soundfile.write(folder / name, 0.1 * generator.standard_normal(num_samples), 16_000)
            rows.append(f"{name}\t{num_samples}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")
        (folder / f"{split}.ltr").write_text("A E | A |\n" * 4)


def hydra_train(folder: Path, *overrides: str) -> None:
    command = [
        str(Path(sys.executable).with_name("fairseq-hydra-train")),
        *("--config-dir", str(PLUGIN), "--config-name", "adapters_10h", f"common.user_dir={PLUGIN}"),
        *(
            f"task.data={folder}",
            f"model.w2v_path={folder / 'pretrained.pt'}",
            f"hydra.run.dir={folder / 'run'}",
        ),
        *("common.fp16=false", "common.cpu=true", "dataset.num_workers=0", "dataset.valid_subset=dev"),
        *("dataset.required_batch_size_multiple=1", "optimization.update_freq=[1]"),
        *("model.adapter_bottleneck=8", "model.mask_channel_length=4", *overrides),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fairseq")
    write_pretrained(folder / "pretrained.pt", encoder_of(POST_NORM))
    write_corpus(folder)
    hydra_train(folder, "optimization.max_update=20")
    return folder


@pytest.mark.slow
def test_training_in_fairseq_changes_adapters_norms_and_head_alone(trained):
    checkpoint = torch.load(trained / "run" / "checkpoints" / "checkpoint_last.pt", weights_only=False)
    assert checkpoint["optimizer_history"][-1]["num_updates"] == 20
    before = torch.load(trained / "pretrained.pt")["model"]
    prefix = "w2v_encoder.w2v_model."
    shared = {name for name in before if prefix + name in checkpoint["model"]}
    changed = {name for name in shared if not torch.equal(before[name], checkpoint["model"][prefix + name])}
    norms = {name for name in before if ".layers." in name and "layer_norm" in name}
    assert changed == norms
    assert len(shared) == len(before) - 4  # but for the two projections of pre-training
    ups = [w for name, w in names.read_adapters(_last(trained)).items() if name.endswith("up.bias")]
    assert len(ups) == 6
    assert all(up.abs().max() > 0 for up in ups)  # zero at the start


@pytest.mark.slow
def test_adapters_that_fairseq_trained_load_back(trained, fairseq_models, tmp_path):
    from fairseq.checkpoint_utils import load_model_ensemble_and_task

    [theirs], _, _ = load_model_ensemble_and_task([str(_last(trained))])
    names.adapter_set(_last(trained), encoder_of(POST_NORM), "en").save(tmp_path / "en.safetensors")
    adapters = AdapterSet.load(tmp_path / "en.safetensors")
    assert adapters.vocabulary.symbols == ("<blank>", "|", "e", "a", "<pad>", "</s>", "<unk>")
    waveform = torch.randn(8000)
    expected = log_probs_of(theirs.eval(), waveform)[:, [0, 5, 4, 6, 1, 2, 3]]
    ours = our_log_probs(adapters.recogniser(encoder_of(POST_NORM)), waveform)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def in_16_bits(checkpoint: Path, folder: Path) -> Path:
    """As a run with bf16 leaves it: every weight is rounded, and saved in 32 bits."""
    content = torch.load(checkpoint, weights_only=False)
    content["cfg"]["common"]["bf16"] = True
    content["model"] = {name: weight.bfloat16().float() for name, weight in content["model"].items()}
    torch.save(content, folder / "bf16.pt")
    return folder / "bf16.pt"


@pytest.mark.slow
def test_a_run_of_16_bits_still_belongs_to_its_encoder(trained, tmp_path):
    rounded = in_16_bits(_last(trained), tmp_path)
    whole, half = (names.adapter_set(path, encoder_of(POST_NORM), "en") for path in (_last(trained), rounded))
    assert whole.backbone == half.backbone


@pytest.mark.slow
def test_adapters_of_fairseq_are_refused_for_another_encoder(trained):
    with pytest.raises(WrongBackbone, match=r"model\.w2v_path"):
        names.adapter_set(_last(trained), encoder_of(POST_NORM, seed=1), "en")


@pytest.mark.slow
def test_a_run_of_fairseq_goes_on_from_its_last_checkpoint(trained):
    hydra_train(trained, "optimization.max_update=22")
    log = (trained / "run" / "hydra_train.log").read_text()
    assert "@ 20 updates)" in log
    assert torch.load(_last(trained), weights_only=False)["optimizer_history"][-1]["num_updates"] == 22


def _last(folder: Path) -> Path:
    return folder / "run" / "checkpoints" / "checkpoint_last.pt"
