"""The loss of connectionist temporal classification [Graves06], and how few frames can spell a text.

A path names one symbol per frame; merging repeats and then dropping blanks (symbol 0) leaves the labels. Hence two
equal labels in a row need a blank between them, and an utterance needs `feasible_frames` frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from common.sending import sent

SHOWN = 5  # items named in a message


def feasible_frames(labels: Sequence[int]) -> int:
    """Fewest frames that can spell the labels: one each, and a blank between two equal ones in a row."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))


def ctc_loss_per_item(
    log_probs: Float[Tensor, "batch frame symbol"],
    num_frames: Int[Tensor, " batch"],
    labels: Int[Tensor, "batch label"],
    num_labels: Int[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """-log Σ p(path) over all paths that spell the labels, in nats, a sum over the utterance [Graves06 Eq. 14].

    Computed in float32 whatever comes in. On a GPU the gradient is added up in no fixed order, so it differs in its
    last bits from run to run; under `torch.use_deterministic_algorithms` the CPU computes it instead, exactly
    repeatable. cuDNN's kernel takes flat labels only and is never chosen, whatever its flags.

    Args:
        num_frames: of each item; what follows is padding and is not read.
        labels: symbols above 0, padded with anything.

    Raises:
        ValueError: an item has fewer frames than its labels need (the loss would be infinite, its gradient NaN), no
            frame, or a label that is no symbol; or these are no log-probabilities. Names items and numbers.
    """
    labels, num_labels, num_frames = (
        labels.cpu(),
        num_labels.cpu(),
        num_frames.cpu(),
    )  # looked at without a GPU
    own = torch.arange(labels.shape[1]) < num_labels[:, None]
    _refuse_impossible(log_probs, num_frames, labels, own)
    device = torch.device("cpu") if torch.are_deterministic_algorithms_enabled() else log_probs.device
    return F.ctc_loss(
        log_probs.float().transpose(0, 1).to(device),
        sent(labels.long().masked_fill(~own, 0), device),
        num_frames.long(),
        num_labels.long(),
        reduction="none",
    ).to(log_probs.device)


def _refuse_impossible(
    log_probs: Float[Tensor, "batch frame symbol"],
    num_frames: Int[Tensor, " batch"],
    labels: Int[Tensor, "batch label"],
    own: Bool[Tensor, "batch label"],
) -> None:
    _, most_frames, num_symbols = log_probs.shape
    refuse_logits(log_probs)
    num_labels = own.sum(1)
    repeats = ((labels[:, 1:] == labels[:, :-1]) & own[:, 1:]).sum(1)
    needed = (num_labels + repeats).clamp(min=1)
    wrong = (own & ((labels < 1) | (labels >= num_symbols))).any(1)
    bad = wrong | (num_frames < needed) | (num_frames > most_frames)
    if not bool(bad.any()):
        return
    reasons = []
    for i in bad.nonzero().flatten().tolist():
        if wrong[i]:
            reason = f"labels must be in 1..{num_symbols - 1}, got {labels[i][own[i]].tolist()}"
        elif num_frames[i] > most_frames:
            reason = f"at most {most_frames} frames are there, got num_frames {int(num_frames[i])}"
        else:
            reason = (
                f"{int(num_labels[i])} labels with {int(repeats[i])} repeats need {int(needed[i])} frames, "
                f"got {int(num_frames[i])}"
            )
        reasons.append(f"item {i}: {reason}")
    more = f" (and {len(reasons) - SHOWN} more)" if len(reasons) > SHOWN else ""
    raise ValueError("; ".join(reasons[:SHOWN]) + more + ". Leave such utterances out when data is indexed")


def refuse_logits(log_probs: Float[Tensor, "*batch symbol"]) -> None:
    """Logits give a loss and a confidence that look fine and are wrong.

    A GPU notices them a little later, tells the rule on stderr and ends the process, since to ask now would be to wait
    for it.
    """
    if log_probs.device.type != "cpu":
        fine = (log_probs.detach() <= 1e-3).all() | log_probs.detach().isnan().any()
        torch._assert_async(fine, "log-probabilities must be 0 or less; apply log_softmax")
        return
    highest = float(log_probs.detach().max()) if log_probs.numel() else 0.0
    if highest > 1e-3:
        raise ValueError(f"log-probabilities must be 0 or less, got {highest:.4g}; apply log_softmax")
