"""The self-supervised objective of wav2vec 2.0 [Baevski20 §3]: tell a masked frame's own code from those of others.

Hidden frames are predicted from context; the answer is the quantised feature of that frame, the wrong answers are
those of other hidden frames of the same utterance. Beside that the codes are to be used evenly. Chance is
`ln(1 + num_negatives)` nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from speech_adapters.model.wav2vec2 import Wav2Vec2


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Sizes of the quantiser and of the space in which contexts meet codes [§4.2]."""

    groups: int = 2
    codes: int = 320  # entries in each group's codebook
    code_width: int = 256  # of all groups together
    width: int = 256  # of the space of comparison


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """How codes are told apart, and what else is asked."""

    num_negatives: int = 100
    temperature: float = 0.1  # of the cosine similarities
    diversity_weight: float = 0.1
    penalty_weight: float = 10.0  # of the mean square of the conv features
    gumbel_start: float = 2.0
    gumbel_end: float = 0.5
    gumbel_factor: float = 0.999995  # a step

    def gumbel(self, step: int) -> float:
        """Gumbel-softmax temperature at a step."""
        return max(self.gumbel_end, self.gumbel_start * self.gumbel_factor**step)

    @property
    def chance(self) -> float:
        """Contrastive loss in nats of one that knows nothing."""
        return math.log(1 + self.num_negatives)


class Quantiser(nn.Module):
    """Product quantiser with Gumbel-softmax choices [§2, "Quantization module"; Jang17]."""

    def __init__(self, channels: int, targets: Targets):
        super().__init__()
        self.groups, self.codes = targets.groups, targets.codes
        self.logits = nn.Linear(channels, targets.groups * targets.codes)
        # Wide logits and codes: with narrow ones every frame takes the same code and nothing is ever learned.
        nn.init.normal_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        self.codebook = nn.Parameter(
            torch.randn(targets.groups, targets.codes, targets.code_width // targets.groups)
        )

    def forward(
        self,
        features: Float[Tensor, "frame channel"],
        temperature: float,
        noise: Float[Tensor, "frame group entry"] | None = None,
    ) -> tuple[Float[Tensor, "frame code"], Int[Tensor, "frame group"], Float[Tensor, "group entry"]]:
        """Codes, which entries they are, and how often each entry is expected [Eq. 4's p-bar].

        Training draws entries by Gumbel-softmax and lets gradients through as if they were soft; `noise` is standard
        Gumbel, drawn unless given.
        """
        logits = self.logits(features).float().unflatten(1, (self.groups, self.codes))
        usage = logits.softmax(dim=2).mean(dim=0)
        if self.training:
            noise = -torch.empty_like(logits).exponential_().log() if noise is None else noise
            soft = ((logits + noise) / temperature).softmax(dim=2)
            hard = F.one_hot(soft.argmax(dim=2), self.codes).to(soft.dtype)
            chosen = hard - soft.detach() + soft
        else:
            chosen = F.one_hot(logits.argmax(dim=2), self.codes).to(logits.dtype)
        codes = torch.einsum("fge,gec->fgc", chosen, self.codebook.float())
        return codes.flatten(1), chosen.argmax(dim=2), usage


def perplexity(usage: Float[Tensor, "group entry"]) -> Float[Tensor, ""]:
    """`sum_g exp(-sum_e p ln p)`, from `groups` (one entry each) to `groups * entries` (all alike)."""
    return (-(usage * (usage + 1e-7).log()).sum(dim=1)).exp().sum()


def draw_negatives(
    counts: Int[Tensor, " batch"],
    num_negatives: int,
    uniform: Float[Tensor, "batch hidden negative"] | None = None,
) -> Int[Tensor, "batch hidden negative"]:
    """For every hidden frame of an utterance, places of other hidden frames of the same one, with replacement.

    `uniform` are numbers in [0, 1) to draw by, taken from torch unless given. Rows past `counts` and utterances
    with one hidden frame point nowhere useful; `contrastive` leaves them out.
    """
    most = int(counts.max())
    others = (counts - 1).clamp(min=1)[:, None, None]
    if uniform is None:
        uniform = torch.rand(len(counts), most, num_negatives, device=counts.device)
    drawn = (uniform * others).long()
    own = torch.arange(most, device=counts.device)[None, :, None]
    # Skipping one's own place makes the rest uniform.
    return (drawn + (drawn >= own)).clamp(max=most - 1)


def contrastive(
    context: Float[Tensor, "batch hidden width"],
    codes: Float[Tensor, "batch hidden width"],
    entries: Int[Tensor, "batch hidden group"],
    counts: Int[Tensor, " batch"],
    negatives: Int[Tensor, "batch hidden negative"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """InfoNCE over cosine similarities [Eq. 3], nats a hidden frame, and the share of frames that are right.

    `-ln exp(sim(c_t, q_t) / k) / sum_q~ exp(sim(c_t, q~) / k)`. A negative that is the same code as the answer
    does not count, as in fairseq. Similarities are those of all pairs, from one matrix product an utterance.

    Raises:
        ValueError: no utterance has two hidden frames.
    """
    asked = (torch.arange(context.shape[1], device=counts.device) < counts[:, None]) & (counts[:, None] > 1)
    if not bool(asked.any()):
        raise ValueError(
            "a contrast needs two hidden frames in one utterance; mask more or take longer clips"
        )
    similarity = (
        F.normalize(context.float(), dim=2) @ F.normalize(codes.float(), dim=2).transpose(1, 2) / temperature
    )
    same = (entries[:, :, None] == entries[:, None]).all(dim=3)
    rival = similarity.masked_fill(same, -torch.inf).gather(2, negatives)
    logits = torch.cat([similarity.diagonal(dim1=1, dim2=2)[:, :, None], rival], dim=2)[asked]
    right = (logits[:, 0] > logits[:, 1:].amax(dim=1)).float().mean()
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device)), right


class Pretraining(nn.Module):
    """An encoder with the quantiser and the two projections that only pre-training needs.

    After a forward pass `watched` tells whether it learns: the share of hidden frames told apart, and the perplexity of
    the codes as used and as expected (which the diversity term raises), each summed over groups.
    """

    def __init__(self, encoder: Wav2Vec2, targets: Targets, contrast: Contrast | None = None):
        super().__init__()
        self.contrast = contrast or Contrast()
        self.watched: dict[str, Tensor] = {}
        channels = encoder.architecture.conv[-1][0]
        self.encoder, self.targets = encoder, targets
        self.quantiser = Quantiser(channels, targets)
        self.code_projection = nn.Linear(targets.code_width, targets.width)
        self.context_projection = nn.Linear(encoder.architecture.width, targets.width)

    def forward(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        hidden: Bool[Tensor, "batch frame"],
        step: int = 0,
        negatives: Int[Tensor, "batch hidden negative"] | None = None,
        seeds: Sequence[int] | None = None,
        frames_a_shard: float | None = None,
    ) -> dict[str, Tensor]:
        """Weighted losses on a batch whose frames `hidden` are masked.

        Args:
            negatives: for each hidden frame, drawn unless given.
            seeds: of each utterance's Gumbel noise and negatives, so that no utterance's draws depend on another's.
            frames_a_shard: hidden frames of the global batch divided by its shards; the mean over shards is then that
                over all frames, however they are spread. None takes this batch's own.
        """
        contrast = self.contrast
        features, num_frames = self.encoder.extract(waveform, num_samples)
        x = self.encoder.contextualise(self.encoder.embed(features, num_frames, hidden), num_frames)
        counts = hidden.sum(dim=1)
        picked = self.encoder.feature_norm(features)[hidden]
        noise, uniform = self._draws(counts, seeds) if seeds else (None, None)
        # Outside autocast: sixteen bits cannot tell similar codes apart.
        with torch.autocast(waveform.device.type, enabled=False):
            codes, entries, usage = self.quantiser(picked.float(), contrast.gumbel(step), noise)
            context = _rows(self.context_projection(x[hidden].float()), counts)
            answers = _rows(self.code_projection(codes), counts)
            if negatives is None:
                negatives = draw_negatives(counts, contrast.num_negatives, uniform)
            nce, right = contrastive(
                context, answers, _rows(entries, counts), counts, negatives, contrast.temperature
            )
            soft = perplexity(_mean_over_ranks(usage, len(picked)))
            total = self.targets.groups * self.targets.codes
            losses = {
                "contrastive": nce
                * (int(counts[counts > 1].sum()) / frames_a_shard if frames_a_shard else 1.0),
                "diversity": contrast.diversity_weight * (total - soft) / total,
            }
            if contrast.penalty_weight:
                losses["penalty"] = contrast.penalty_weight * own_mean_square(features.float(), num_frames)
        used = F.one_hot(entries, self.targets.codes).float().mean(dim=0)
        self.watched = {"accuracy": right, "perplexity": perplexity(used), "soft_perplexity": soft.detach()}
        return losses

    def _draws(self, counts: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Gumbel noise of all hidden frames one after another, and numbers to draw negatives by, a row an utterance."""
        shape = (self.targets.groups, self.targets.codes)
        noises, uniforms = [], []
        for count, seed in zip(counts.tolist(), seeds, strict=True):
            # On the CPU, so that the same numbers come out on every device.
            generator = torch.Generator().manual_seed(seed)
            uniforms.append(torch.rand(count, self.contrast.num_negatives, generator=generator))
            noises.append(-torch.empty(count, *shape).exponential_(generator=generator).log())
        device = counts.device
        return torch.cat(noises).to(device), nn.utils.rnn.pad_sequence(uniforms, batch_first=True).to(device)


def _mean_over_ranks(mean: Tensor, count: int) -> Tensor:
    """Mean over the frames of all ranks, of a mean over `count` of them; gradients reach every rank's."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return mean
    from torch.distributed.nn.functional import all_reduce

    total = torch.tensor(float(count), device=mean.device)
    torch.distributed.all_reduce(total)
    summed: Tensor = all_reduce(mean * count)
    return summed / total


def own_mean_square(
    features: Float[Tensor, "batch frame channel"], num_frames: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Mean square of the features of the utterances' own frames."""
    own = torch.arange(features.shape[1], device=features.device) < num_frames[:, None]
    return features[own].square().mean()


def _rows(flat: Tensor, counts: Tensor) -> Tensor:
    """Frames of all utterances one after another -> one row an utterance, padded with zeros."""
    return nn.utils.rnn.pad_sequence(list(flat.split(counts.tolist())), batch_first=True)
