"""Where the time of a step goes, operator by operator: `python -m benchmarks --profile`.

One thread, one step after one that is not looked at. Profiling costs time of its own, most where operators are short.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import pair_similarity, pretraining_steps, speech_steps
from benchmarks.records import measured, options, rounds_of
from benchmarks.speech_peers import VOCABULARY, Contender, Sizes, noise, ours
from common.files import write_atomically
from common.papers import ROOT
from common.provenance import provenance
from speech_adapters.ctc.decoding import greedy
from speech_adapters.model.arm import Arm, usual_bottleneck
from speech_adapters.model.onednn import by_onednn

SHOWN = 10  # operators
Call = Callable[[], object]


def jobs(sizes: Sizes) -> Mapping[str, Callable[[], Call]]:
    """What makes each job, by its name."""
    adapters = Arm(kind="adapters", bottleneck=usual_bottleneck(sizes.architecture))
    pretraining = pretraining_steps.Sizes(architecture=sizes.architecture, utterance_s=sizes.utterance_s)
    everything = pretraining_steps.Learner("ours", pretraining_steps.FULL)
    fine = pair_similarity.contenders(8)["fine, all at once"]
    return {
        "full step": lambda: speech_steps.step(Contender("ours", Arm()), sizes),
        "adapter step": lambda: speech_steps.step(Contender("ours", adapters), sizes),
        "pre-training step": lambda: pretraining_steps.step(everything, pretraining),
        "transcription": lambda: transcribing(sizes),
        "fine-grained step": lambda: pair_similarity.step(fine, pair_similarity.AS_MINI, 48),
    }


def transcribing(sizes: Sizes) -> Call:
    model = by_onednn(ours(sizes.architecture, Arm())).eval()
    waveform = noise(1, sizes.long_s, torch.Generator().manual_seed(0))
    lengths = torch.tensor([waveform.shape[1]])

    @torch.inference_mode()
    def transcribe() -> str:
        return greedy(model(waveform, lengths)[0][0], VOCABULARY)

    return transcribe


def operators(call: Call) -> list[dict[str, Any]]:
    """Those that take most of a call's time themselves."""
    call()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as watched:
        call()
    found = sorted(watched.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in found)
    return [
        {
            "operator": one.key,
            "percent": 100 * one.self_cpu_time_total / total,
            "self_ms": one.self_cpu_time_total / 1e3,
            "calls": one.count,
        }
        for one in found[:SHOWN]
    ]


def write(folder: Path, sizes: Sizes, threads: int, began: Mapping[str, Any]) -> Path:
    """folder/profiles.json"""
    torch.set_num_threads(threads)
    rows = []
    for job, make in jobs(sizes).items():
        found = operators(make())
        rows.append({"job": job, "operators": found})
        print(f"{job}: {found[0]['operator']} {found[0]['percent']:.0f} %", flush=True)
    path = folder / "profiles.json"
    record = {**began, "hardware": provenance(ROOT)["hardware"], "jobs": rows}
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
    return path


if __name__ == "__main__":
    asked = options("Writes where the time of steps goes.", threads=1)
    print(f"written to {write(asked.folder, Sizes(), asked.threads, measured(rounds_of(asked)))}")
