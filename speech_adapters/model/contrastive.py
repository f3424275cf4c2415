"""The self-supervised objective of wav2vec 2.0 [Baevski20 §3]: InfoNCE at masked frames, and a diversity loss.

A masked frame is predicted from its context; the positive is the quantised feature of that frame, the negatives are
those of other masked frames of the same utterance. The diversity loss asks that codebook entries be used evenly. Chance
is `ln(1 + num_negatives)` nats.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from common.sending import sent
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes
from speech_adapters.model.wav2vec2 import Wav2Vec2


class Quantiser(nn.Module):
    """Product quantiser with Gumbel-softmax choices [§2, "Quantization module"; Jang17]."""

    def __init__(self, channels: int, sizes: QuantiserSizes):
        super().__init__()
        self.groups, self.codes = sizes.groups, sizes.codes
        self.logits = nn.Linear(channels, sizes.groups * sizes.codes)
        # Wide logits and codes: with narrow ones every frame takes the same code and nothing is ever learned.
        nn.init.normal_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        self.codebook = nn.Parameter(torch.randn(sizes.groups, sizes.codes, sizes.code_width // sizes.groups))

    def forward(
        self,
        features: Float[Tensor, "frame channel"],
        temperature: float,
        noise: Float[Tensor, "frame group entry"] | None = None,
    ) -> tuple[Float[Tensor, "frame quantised"], Int[Tensor, "frame group"], Float[Tensor, "group entry"]]:
        """Quantised features, their codebook indices, and the mean softmax probability of each entry [Eq. 4's p-bar].

        Training samples indices by Gumbel-softmax with a straight-through gradient; `noise` is standard Gumbel, drawn
        unless given.
        """
        logits = self.logits(features).float().unflatten(1, (self.groups, self.codes))
        probabilities = logits.softmax(dim=2).mean(dim=0)
        if self.training:
            noise = (
                -torch.empty_like(logits).exponential_().log()
                if noise is None
                else sent(noise, logits.device)
            )
            soft = ((logits + noise) / temperature).softmax(dim=2)
            hard = F.one_hot(soft.argmax(dim=2), self.codes).to(soft.dtype)
            chosen = hard - soft.detach() + soft
        else:
            chosen = F.one_hot(logits.argmax(dim=2), self.codes).to(logits.dtype)
        quantised = torch.einsum("fge,gec->fgc", chosen, self.codebook.float())
        return quantised.flatten(1), chosen.argmax(dim=2), probabilities


def perplexity(probabilities: Float[Tensor, "group entry"]) -> Float[Tensor, ""]:
    """`sum_g exp(-sum_e p ln p)`, from `groups` (one entry each) to `groups * entries` (all alike)."""
    return (-(probabilities * (probabilities + 1e-7).log()).sum(dim=1)).exp().sum()


def draw_negatives(
    counts: Int[Tensor, " batch"],
    num_negatives: int,
    uniform: Float[Tensor, "batch masked negative"] | None = None,
) -> Int[Tensor, "batch masked negative"]:
    """For every masked frame of an utterance, places of other masked frames of the same one, with replacement.

    `uniform` are numbers in [0, 1) to draw by, taken from torch unless given. Rows past `counts` and utterances
    with one masked frame point nowhere useful; `contrastive` leaves them out.
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
    context: Float[Tensor, "batch masked width"],
    quantised: Float[Tensor, "batch masked width"],
    indices: Int[Tensor, "batch masked group"],
    counts: Int[Tensor, " batch"],
    negatives: Int[Tensor, "batch masked negative"],
    temperature: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """InfoNCE over cosine similarities [Eq. 3], mean nats of masked frames, and the accuracy in 0..1.

    `-ln exp(sim(c_t, q_t) / k) / sum_q~ exp(sim(c_t, q~) / k)`. A negative with the codebook indices of the positive
    does not count, as in fairseq. Similarities are those of all pairs, from one matrix product an utterance.

    Args:
        quantised: the positives, in the order of `context`.
        counts: masked frames of each utterance; later rows are padding.
        negatives: places of negatives in the utterance, see `draw_negatives`.

    Raises:
        ValueError: no utterance has two masked frames.
    """
    counts = counts.cpu()[:, None]
    scored = (torch.arange(context.shape[1]) < counts) & (counts > 1)
    if not bool(scored.any()):
        raise ValueError(
            "a contrast needs two masked frames in one utterance; mask more or take longer crops"
        )
    similarity = (
        F.normalize(context.float(), dim=2)
        @ F.normalize(quantised.float(), dim=2).transpose(1, 2)
        / temperature
    )
    same = (indices[:, :, None] == indices[:, None]).all(dim=3)
    negative = similarity.masked_fill(same, -torch.inf).gather(2, sent(negatives, same.device))
    logits = torch.cat([similarity.diagonal(dim1=1, dim2=2)[:, :, None], negative], dim=2)
    logits = taken(logits, scored)
    accuracy = (logits[:, 0] > logits[:, 1:].amax(dim=1)).float().mean()
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device)), accuracy


class ContrastiveModel(nn.Module):
    """wav2vec 2.0 for pre-training: the encoder with its quantiser and the two projections.

    After a forward pass `metrics` has the accuracy of the contrast, and the perplexity of the codebook indices as
    sampled and as expected (which the diversity loss raises), each summed over groups.
    """

    def __init__(
        self, encoder: Wav2Vec2, sizes: QuantiserSizes, objective: ContrastiveObjective | None = None
    ):
        super().__init__()
        self.objective = objective or ContrastiveObjective()
        self.metrics: dict[str, Tensor] = {}
        channels = encoder.architecture.conv[-1][0]
        self.encoder, self.quantiser_sizes = encoder, sizes
        self.quantiser = Quantiser(channels, sizes)
        self.code_projection = nn.Linear(sizes.code_width, sizes.width)
        self.context_projection = nn.Linear(encoder.architecture.width, sizes.width)

    def forward(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        mask: Bool[Tensor, "batch frame"],
        step: int = 0,
        negatives: Int[Tensor, "batch masked negative"] | None = None,
        seeds: Sequence[int] | None = None,
        masked_frames_per_shard: float | None = None,
    ) -> dict[str, Tensor]:
        """Weighted losses on a batch, of whose frames `mask` chooses the masked ones.

        Args:
            negatives: for each masked frame, drawn unless given.
            seeds: of each utterance's Gumbel noise and negatives, which then depend on no other utterance.
            masked_frames_per_shard: masked frames of the global batch divided by its shards; the mean over shards is
                then that over all frames, however they are spread. None takes this batch's own.
        """
        objective = self.objective
        mask = mask.cpu()  # which frames are masked is known to the host, so that it need not wait for a GPU
        features, num_frames = self.encoder.extract(waveform, num_samples)
        x = self.encoder.contextualise(self.encoder.embed(features, num_frames, mask), num_frames)
        counts = mask.sum(dim=1)
        unmasked = taken(self.encoder.feature_norm(features), mask)
        noise, uniform = self._draws(counts, seeds) if seeds else (None, None)
        # Outside autocast: sixteen bits cannot tell similar codes apart.
        with torch.autocast(waveform.device.type, enabled=False):
            quantised, indices, probabilities = self.quantiser(
                unmasked.float(), objective.gumbel(step), noise
            )
            context = _rows(self.context_projection(taken(x, mask).float()), counts)
            positives = _rows(self.code_projection(quantised), counts)
            if negatives is None:
                negatives = draw_negatives(counts, objective.num_negatives, uniform)
            contrast, accuracy = contrastive(
                context, positives, _rows(indices, counts), counts, negatives, objective.temperature
            )
            soft = perplexity(_mean_over_ranks(probabilities, len(unmasked)))
            total = self.quantiser_sizes.groups * self.quantiser_sizes.codes
            share = 1.0
            if masked_frames_per_shard:
                share = int(counts[counts > 1].sum()) / masked_frames_per_shard
            losses = {
                "contrastive": contrast * share,
                "diversity": objective.diversity_weight * (total - soft) / total,
            }
            if objective.penalty_weight:
                losses["penalty"] = objective.penalty_weight * feature_penalty(features.float(), num_frames)
        used = F.one_hot(indices, self.quantiser_sizes.codes).float().mean(dim=0)
        self.metrics = {
            "accuracy": accuracy,
            "perplexity": perplexity(used),
            "soft_perplexity": soft.detach(),
        }
        return losses

    def _draws(self, counts: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Gumbel noise of all masked frames one after another, and numbers to draw negatives by, a row an utterance."""
        shape = (self.quantiser_sizes.groups, self.quantiser_sizes.codes)
        noises, uniforms = [], []
        for count, seed in zip(counts.tolist(), seeds, strict=True):
            # On the CPU, so that the same numbers come out on every device.
            generator = torch.Generator().manual_seed(seed)
            uniforms.append(torch.rand(count, self.objective.num_negatives, generator=generator))
            noises.append(-torch.empty(count, *shape).exponential_(generator=generator).log())
        return torch.cat(noises), nn.utils.rnn.pad_sequence(uniforms, batch_first=True)


def _mean_over_ranks(mean: Tensor, count: int) -> Tensor:
    """Mean over the frames of all ranks, of a mean over `count` of them; gradients reach every rank's."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return mean
    from torch.distributed.nn.functional import all_reduce

    total = torch.tensor(float(count), device=mean.device)
    torch.distributed.all_reduce(total)
    summed: Tensor = all_reduce(mean * count)
    return summed / total


def feature_penalty(
    features: Float[Tensor, "batch frame channel"], num_frames: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Mean square of the conv features, padding left out."""
    own = torch.arange(features.shape[1]) < num_frames.cpu()[:, None]
    return taken(features, own).square().mean()


def taken(x: Tensor, chosen: Tensor) -> Tensor:
    """`x[chosen]`, where the host knows what is chosen and a GPU, which has x, is not waited for."""
    places = chosen.cpu().flatten().nonzero()[:, 0]
    return x.flatten(0, 1)[sent(places, x.device)]


def _rows(flat: Tensor, counts: Tensor) -> Tensor:
    """Frames of all utterances one after another -> one row an utterance, padded with zeros."""
    return nn.utils.rnn.pad_sequence(list(flat.split(counts.tolist())), batch_first=True)
