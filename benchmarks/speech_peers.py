"""wav2vec 2.0 recognisers of other libraries with the same weights as ours, for the benchmarks of speech.

Nothing is drawn at random while they train: no dropout, no masking, no layer drop. Their conv extractor is frozen as
each library offers it, and in all of them it then runs without a graph: transformers' `freeze_feature_encoder` also
keeps it from asking for a gradient of the waveform, fairseq's `feature_grad_mult=0` means `no_grad`, and from
torchaudio's frozen weights and a waveform autograd builds none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from speech_adapters.checkpoints.interop import Names, fairseq, huggingface, rename_out, torchaudio
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.adapters import apply, lora_rank
from speech_adapters.model.architecture import BASE, SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2

UNIT = "s of audio"
VOCABULARY = Vocabulary.of("en")
LINEARS = ["q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"]  # of a layer


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is timed; tests take less of it."""

    architecture: Architecture = field(default=BASE)
    utterances: int = 4  # of a training batch, all as long
    utterance_s: float = 3.0
    ragged_s: tuple[float, ...] = (3.0, 2.25, 1.5, 0.75)  # of a training batch, padded for who cannot pack
    long_s: float = 15.0  # transcribed alone
    mixed_s: tuple[float, ...] = (4.0, 3.0, 2.0, 1.0)  # transcribed as one padded batch

    @property
    def batch_s(self) -> float:
        return self.utterances * self.utterance_s


@dataclass(frozen=True)
class Contender:
    """Whose network, and what of it is trained."""

    who: str  # "ours", "transformers", "torchaudio" or "fairseq"
    arm: Arm
    keeps: bool = False  # what the frozen layers make is not computed anew; ours alone can
    half: bool = False  # in bfloat16 by autocast
    ragged: bool = False  # utterances of unequal lengths; ours computes nothing on padding
    without: str = ""  # what ours leaves out to show its worth: "packing", "oneDNN" or "fusion"

    @property
    def trains(self) -> tuple[Any, ...]:
        """Contenders for which it is equal must train as many weights."""
        return (self.arm,)

    @property
    def missing(self) -> str:
        """A package that it needs and that is not installed."""
        lora = self.who == "transformers" and self.arm.kind == "lora"
        needed = {"ours": (), "transformers": ("transformers", *(("peft",) if lora else ()))}
        packages = needed.get(self.who, (self.who,))
        return next((package for package in packages if find_spec(package) is None), "")


Contenders = Mapping[str, Contender]  # by what a table calls them, ours first
AnyContender = TypeVar("AnyContender", bound=Contender)


def full() -> Contenders:
    """Everything but the conv extractor is trained."""
    names = {
        "ours": "ours",
        "transformers (sdpa)": "transformers",
        "torchaudio": "torchaudio",
        "fairseq": "fairseq",
    }
    return {label: Contender(who, Arm()) for label, who in names.items()}


def present(contenders: Mapping[str, AnyContender]) -> Mapping[str, AnyContender]:
    """Those whose packages are installed; the others are named."""
    for label, contender in contenders.items():
        if contender.missing:
            print(f"left out: {label} needs {contender.missing} (pip install '.[dev,peers]')")
    return {label: contender for label, contender in contenders.items() if not contender.missing}


@dataclass(frozen=True)
class Net:
    """A recogniser of any library."""

    module: nn.Module
    # Waveforms (batch, sample) and their lengths, None where nothing is padding, to (batch, frame, symbol).
    logits: Callable[[Tensor, Tensor | None], Tensor]


def noise(rows: int, seconds: float, generator: torch.Generator) -> Tensor:
    """Waveforms (batch, sample)."""
    return 0.1 * torch.randn(rows, round(seconds * SAMPLE_RATE_HZ), generator=generator)


def ours(architecture: Architecture, arm: Arm) -> CTCModel:
    """Always the same random weights."""
    torch.manual_seed(0)
    model = CTCModel(Wav2Vec2(architecture), len(VOCABULARY))
    apply(arm, model.encoder, model.head)
    return model


def weights_of(architecture: Architecture) -> StoredModel:
    """Those of `ours`, without what an arm adds."""
    tensors = ours(architecture, Arm()).state_dict()
    return StoredModel(
        kind="recogniser", architecture=architecture, tensors=tensors, vocabulary=VOCABULARY.symbols
    )


def peer(contender: Contender, architecture: Architecture, weights: StoredModel | None) -> Net:
    """Another library's network, in training mode; without weights it has random ones of its own."""
    makers = {"transformers": _transformers, "torchaudio": _torchaudio, "fairseq": _fairseq}
    return makers[contender.who](architecture, contender.arm, weights)


def _carry(weights: StoredModel | None, names: Names, module: nn.Module) -> None:
    if weights is None:
        return
    tensors, _ = rename_out(weights, names)
    found = module.load_state_dict(tensors, strict=False)
    unexpected = [name for name in found.unexpected_keys if "mask" not in name]
    assert not found.missing_keys, f"weights were not carried: {found.missing_keys}"
    assert not unexpected, f"weights have no place: {unexpected}"


# ---- transformers


def transformers_settings(a: Architecture) -> dict[str, Any]:
    """An architecture in transformers' words, its fastest attention, and nothing drawn at random."""
    channels, kernels, strides = zip(*a.conv, strict=True)
    return {
        "conv_dim": channels, "conv_kernel": kernels, "conv_stride": strides, "conv_bias": a.conv_bias,
        "feat_extract_norm": a.conv_norm, "hidden_size": a.width, "num_hidden_layers": a.layers,
        "num_attention_heads": a.heads, "intermediate_size": a.inner, "do_stable_layer_norm": a.pre_norm,
        "num_conv_pos_embeddings": a.positional_kernel, "num_conv_pos_embedding_groups": a.positional_groups,
        "hidden_dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0,
        "layerdrop": 0.0, "attn_implementation": "sdpa",
    }  # fmt: skip


def _transformers(a: Architecture, arm: Arm, weights: StoredModel | None) -> Net:
    import transformers

    settings = transformers_settings(a) | {
        "vocab_size": len(VOCABULARY), "pad_token_id": 0, "final_dropout": 0.0, "apply_spec_augment": False,
    }  # fmt: skip
    module = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**settings)).train()
    assert module.config._attn_implementation == "sdpa"
    _carry(weights, huggingface.NAMES, module)
    module.freeze_feature_encoder()
    network = _with_lora(module, a, arm) if arm.kind == "lora" else module

    def logits(waveform: Tensor, lengths: Tensor | None) -> Tensor:
        mask = None if lengths is None else (~_padding(waveform, lengths)).long()
        result: Tensor = network(input_values=waveform, attention_mask=mask).logits
        return result

    return Net(network, logits)


def _with_lora(module: Any, a: Architecture, arm: Arm) -> nn.Module:
    """peft's LoRA where our LoRA arm has it, of the same rank, and a trained head."""
    import peft

    with torch.device("meta"):
        rank = lora_rank(Wav2Vec2(a), arm)
    config = peft.LoraConfig(
        r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=LINEARS, modules_to_save=["lm_head"],
        layers_to_transform=arm.chosen(a.layers), layers_pattern="layers",
    )  # fmt: skip
    network: nn.Module = peft.get_peft_model(module, config).train()
    return network


# ---- torchaudio


def _torchaudio(a: Architecture, arm: Arm, weights: StoredModel | None) -> Net:
    from torchaudio.models import wav2vec2_model

    assert arm.kind == "full", f"torchaudio has no {arm.kind}"
    # `wav2vec2_base` is this with BASE's sizes.
    module = wav2vec2_model(
        extractor_mode=f"{a.conv_norm}_norm", extractor_conv_layer_config=list(a.conv),
        extractor_conv_bias=a.conv_bias, encoder_embed_dim=a.width, encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=a.positional_kernel, encoder_pos_conv_groups=a.positional_groups,
        encoder_num_layers=a.layers, encoder_num_heads=a.heads, encoder_attention_dropout=0.0,
        encoder_ff_interm_features=a.inner, encoder_ff_interm_dropout=0.0, encoder_dropout=0.0,
        encoder_layer_norm_first=a.pre_norm, encoder_layer_drop=0.0, aux_num_out=len(VOCABULARY),
    ).train()  # fmt: skip
    _carry(weights, torchaudio.NAMES, module)
    module.feature_extractor.requires_grad_(False)
    return Net(module, lambda waveform, lengths: module(waveform, lengths)[0])


# ---- fairseq


@contextmanager
def logging_kept() -> Iterator[None]:
    """fairseq lowers the root logger's level when imported, and tells every setting."""
    root, disabled = logging.getLogger(), logging.root.manager.disable
    level = root.level
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)


def _fairseq_settings(a: Architecture) -> dict[str, Any]:
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig

    encoder = {
        "_name": "wav2vec2", "extractor_mode": "layer_norm" if a.conv_norm == "layer" else "default",
        "conv_feature_layers": repr(list(a.conv)), "conv_bias": a.conv_bias, "encoder_embed_dim": a.width,
        "encoder_layers": a.layers, "encoder_attention_heads": a.heads, "encoder_ffn_embed_dim": a.inner,
        "layer_norm_first": a.pre_norm, "conv_pos": a.positional_kernel, "conv_pos_groups": a.positional_groups,
        "dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "dropout_input": 0.0,
        "dropout_features": 0.0, "encoder_layerdrop": 0.0, "feature_grad_mult": 0.0,
    }  # fmt: skip
    task = {"_name": "audio_pretraining", "data": "", "normalize": a.normalise_input}
    # Dropouts and mask are off in these by default; masking is left out by `apply_mask`.
    return asdict(Wav2Vec2CtcConfig()) | {
        "normalize": a.normalise_input, "data": "", "w2v_args": {"model": encoder, "task": task},
        "ddp_backend": "legacy_ddp", "apply_mask": False, "feature_grad_mult": 0.0, "freeze_finetune_updates": 0,
    }  # fmt: skip


def _fairseq(a: Architecture, arm: Arm, weights: StoredModel | None) -> Net:
    with logging_kept():
        from fairseq.models.wav2vec.wav2vec2_asr import Wav2VecCtc
        from omegaconf import OmegaConf

        from speech_adapters.fairseq_plugin.model import insert
        from speech_adapters.fairseq_plugin.names import to_fairseq

        asked = SimpleNamespace(target_dictionary=VOCABULARY.symbols)
        module = Wav2VecCtc.build_model(OmegaConf.create(_fairseq_settings(a)), asked).train()
    _carry(weights, fairseq.names(a), module)
    module.w2v_encoder.w2v_model.feature_extractor.requires_grad_(False)
    if arm.kind == "adapters":
        insert(arm, module.train())
        if weights is not None:
            trained = {name: w for name, w in ours(a, arm).named_parameters() if w.requires_grad}
            module.load_state_dict(to_fairseq(trained), strict=False)
    else:
        assert arm.kind == "full", f"fairseq has no {arm.kind}"

    def logits(waveform: Tensor, lengths: Tensor | None) -> Tensor:
        padding = None if lengths is None else _padding(waveform, lengths)
        result: Tensor = module.get_logits(module(source=waveform, padding_mask=padding))
        return result.transpose(0, 1)

    return Net(module, logits)


def _padding(waveform: Tensor, lengths: Tensor) -> Tensor:
    """True past each utterance's end."""
    return torch.arange(waveform.shape[1]) >= lengths[:, None]
