"""Times self-supervised steps of wav2vec 2.0 BASE against other libraries: `python -m benchmarks.pretraining_steps`.

In float32 on a CPU, in bfloat16 by autocast on a GPU, on equal batches, masks and weights, AdamW step included, without
dropout and without the feature penalty, which transformers has not. Everybody hides the same frames and contrasts each
with as many others. The first round is not timed: there everybody's losses must agree, as far as the draws of negatives
let them, and as many weights must get a gradient where the same is trained. transformers takes negatives from the
caller, as in its own example; making them is not timed. Nobody else has adapters in pre-training, so these stand beside
our own other steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Peak, Race, Rounds, peak_memory
from benchmarks.records import options, publish
from benchmarks.speech_peers import Contender, logging_kept, noise, transformers_settings
from benchmarks.speech_steps import Step, one_race
from speech_adapters.checkpoints.interop import Names, fairseq, huggingface, rename_out
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import BASE, SAMPLE_RATE_HZ, Architecture, Masking
from speech_adapters.model.arm import Arm, usual_bottleneck
from speech_adapters.model.contrastive import ContrastiveModel, draw_negatives
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes
from speech_adapters.model.wav2vec2 import Wav2Vec2, span_mask

AGREE = 0.05  # relative: losses of equal weights differ by which negatives and codes were drawn
CONTRAST, TARGETS = ContrastiveObjective(penalty_weight=0.0), QuantiserSizes()
FULL = Arm(kind="full")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is timed; tests take less of it."""

    architecture: Architecture = field(default=BASE)
    utterances: int = 2  # all as long
    utterance_s: float = 4.0
    device: str = "cpu"

    @property
    def batch_s(self) -> float:
        return self.utterances * self.utterance_s


ON_A_GPU = Sizes(utterances=6, utterance_s=15.6, device="cuda")  # about BASE's 1.4 million samples


@dataclass(frozen=True)
class Learner(Contender):
    """Whose network, and what of it is trained."""

    extractor: bool = True  # trained as well

    @property
    def trains(self) -> tuple[Any, ...]:
        return self.arm, self.extractor


Learners = Mapping[str, Learner]  # by what a table calls them, ours first


def contests(sizes: Sizes) -> dict[str, Learners]:
    """Races by name; the last is between arms of our own."""
    adapters = Arm(kind="adapters", bottleneck=usual_bottleneck(sizes.architecture))
    names = {"ours": "ours", "transformers (sdpa)": "transformers", "fairseq": "fairseq"}
    whole, but = "everything", "all but the extractor"
    return {
        whole: {label: Learner(who, FULL) for label, who in names.items()},
        but: {label: Learner(who, FULL, extractor=False) for label, who in names.items()},
        "our own arms": {
            "ours, adapters": Learner("ours", adapters, extractor=False),
            "ours, adapters and the extractor": Learner("ours", adapters),
            f"ours, {but}": Learner("ours", FULL, extractor=False),
            f"ours, {whole}": Learner("ours", FULL),
        },
    }


# ---- steps


@dataclass(frozen=True)
class Work:
    """What everybody is given."""

    waveform: Tensor  # batch sample
    mask: Tensor  # batch frame; as many in every row, since fairseq knows no other way


def work(sizes: Sizes) -> Work:
    """Noise, and masked spans as BASE has them."""
    waveform = noise(sizes.utterances, sizes.utterance_s, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    num_frames = torch.tensor([sizes.architecture.num_frames(round(sizes.utterance_s * SAMPLE_RATE_HZ))])
    mask = span_mask(num_frames, int(num_frames), Masking()).repeat(sizes.utterances, 1)
    return Work(waveform.to(sizes.device), mask.to(sizes.device))


def step(contender: Learner, sizes: Sizes) -> Step:
    """A contender's step, from the same random weights."""
    makers = {"ours": _ours, "transformers": _transformers, "fairseq": _fairseq}
    made = makers[contender.who](contender, sizes.architecture, work(sizes))
    return Step(made.module, half_on_a_gpu(made.loss, sizes.device))


def half_on_a_gpu(loss: Callable[[], Tensor], device: str) -> Callable[[], Tensor]:
    """The loss in bfloat16 where the device is a GPU."""

    def call() -> Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=device == "cuda"):
            return loss()

    return call


def _model(architecture: Architecture) -> ContrastiveModel:
    torch.manual_seed(0)
    return ContrastiveModel(Wav2Vec2(architecture), TARGETS, CONTRAST)


def _carry(architecture: Architecture, names: Names, module: nn.Module) -> None:
    weights = _model(architecture).state_dict()
    stored = StoredModel(
        kind="pretraining", architecture=architecture, tensors=weights, quantiser_sizes=TARGETS
    )
    module.load_state_dict(rename_out(stored, names)[0])


def _ours(contender: Learner, a: Architecture, given: Work) -> Step:
    model = _model(a).train()
    apply(contender.arm, model.encoder)
    model.to(given.waveform.device).encoder.extractor.requires_grad_(contender.extractor)
    lengths = torch.full(given.waveform.shape[:1], given.waveform.shape[1], device=given.waveform.device)

    def loss() -> Tensor:
        return torch.stack(list(model(given.waveform, lengths, given.mask).values())).sum()

    return Step(model, loss)


def _transformers(contender: Learner, a: Architecture, given: Work) -> Step:
    import transformers

    settings = transformers_settings(a) | {
        "num_codevector_groups": TARGETS.groups, "num_codevectors_per_group": TARGETS.codes,
        "codevector_dim": TARGETS.code_width, "proj_codevector_dim": TARGETS.width,
        "diversity_loss_weight": CONTRAST.diversity_weight, "num_negatives": CONTRAST.num_negatives,
        "feat_quantizer_dropout": 0.0,
    }  # fmt: skip
    module = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**settings)).train()
    assert module.config._attn_implementation == "sdpa"
    _carry(a, huggingface.NAMES, module)
    module.to(given.waveform.device)
    if not contender.extractor:
        module.freeze_feature_encoder()
    places = _places_in_batch(given.mask)
    count = int(given.mask.sum())

    def loss() -> Tensor:
        found: Tensor = module(
            given.waveform, mask_time_indices=given.mask, sampled_negative_indices=places
        ).loss
        return found / count

    return Step(module, loss)


def _places_in_batch(mask: Tensor) -> Tensor:
    """Negatives as transformers wants them: for every frame, numbers of frames counted through the whole batch."""
    counts = mask.sum(dim=1)
    drawn = draw_negatives(counts, CONTRAST.num_negatives)
    frames = mask.nonzero()[:, 1].reshape(len(mask), -1)
    rows = torch.arange(len(mask), device=mask.device)[:, None, None]
    places = torch.zeros(*mask.shape, CONTRAST.num_negatives, dtype=torch.long, device=mask.device)
    places[mask] = (frames[rows, drawn] + rows * mask.shape[1]).flatten(0, 1)
    return places


def _fairseq(contender: Learner, a: Architecture, given: Work) -> Step:
    with logging_kept():
        from fairseq.criterions.wav2vec_criterion import Wav2vecCriterion
        from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

        settings = asdict(Wav2Vec2Config()) | {
            "extractor_mode": "layer_norm" if a.conv_norm == "layer" else "default",
            "conv_feature_layers": repr(list(a.conv)), "conv_bias": a.conv_bias, "encoder_embed_dim": a.width,
            "encoder_layers": a.layers, "encoder_attention_heads": a.heads, "encoder_ffn_embed_dim": a.inner,
            "layer_norm_first": a.pre_norm, "conv_pos": a.positional_kernel, "conv_pos_groups": a.positional_groups,
            "quantize_targets": True, "latent_groups": TARGETS.groups, "latent_vars": TARGETS.codes,
            "latent_dim": TARGETS.code_width, "final_dim": TARGETS.width, "num_negatives": CONTRAST.num_negatives,
            "dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "encoder_layerdrop": 0.0,
            "feature_grad_mult": float(contender.extractor),
        }  # fmt: skip
        module = Wav2Vec2Model(Wav2Vec2Config(**settings)).train()
    _carry(a, fairseq.names(a), module)
    module.to(given.waveform.device).feature_extractor.requires_grad_(contender.extractor)
    weights = [CONTRAST.diversity_weight, CONTRAST.penalty_weight]
    criterion = Wav2vecCriterion(SimpleNamespace(), infonce=True, loss_weights=weights)
    inputs = {"source": given.waveform, "padding_mask": None, "mask_indices": given.mask}
    sample = {"net_input": inputs, "id": torch.arange(len(given.waveform))}

    def loss() -> Tensor:
        summed, count, _ = criterion(module, sample)
        mean: Tensor = summed / count
        return mean

    return Step(module, loss)


# ---- all of it


def races(sizes: Sizes, rounds: Rounds) -> list[Race]:
    """The contests, losses as equal as the draws let them be."""
    return one_race(
        "self-supervised step", contests(sizes), lambda learner: step(learner, sizes), AGREE,
        (sizes.utterance_s,) * sizes.utterances, rounds,
    )  # fmt: skip


def peaks(sizes: Sizes, rounds: Rounds) -> list[Peak]:
    """Most memory of a fresh process that trains two steps."""
    found: dict[Learner, Peak] = {}
    for job, contenders in contests(sizes).items():
        for label, contender in contenders.items():
            if contender not in found and not contender.missing:
                found[contender] = peak_memory(
                    f"{job}: {label}", module="benchmarks.pretraining_steps", maker="step",
                    arguments=(contender, sizes), threads=rounds.threads,
                )  # fmt: skip
    return list(found.values())


if __name__ == "__main__":
    sizes = ON_A_GPU if torch.cuda.is_available() else Sizes()
    publish(
        "pretraining_steps",
        options("Times self-supervised steps of wav2vec 2.0 BASE.", threads=2),
        {"steps": partial(races, sizes), "memory": partial(peaks, sizes)},
    )
