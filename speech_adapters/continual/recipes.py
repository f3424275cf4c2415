"""What was trained and how: one constant an arm and a language, cut down per scale.

The paper's hours, rates and updates could not be read. Settings of `paper` are fairseq's for BASE, which public
weights were made with, at a fifth of the updates; see docs/papers/continual-pretraining.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from common.measures import mean_of
from common.papers import Scale, Search
from common.schedule import Cosine, InTurn
from speech_adapters.continual.continuing import Continue
from speech_adapters.continual.cost import Cost
from speech_adapters.continual.data import CORPORA, FOLDERS, LANGUAGES, TRANSCRIBED
from speech_adapters.continual.evaluation_settings import Evaluation, ShortTraining
from speech_adapters.continual.measures import LETTERS
from speech_adapters.ctc.measures import CTC_NATS
from speech_adapters.data.sources import TONES
from speech_adapters.model.architecture import BASE, SMALL, TINY, Dropout, Masking
from speech_adapters.model.arm import Arm
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes

# ---- the paper's hardware and corpora: a batch of 25 minutes is for several GPUs (torchrun), 6 minutes fit 80 GB

RECOGNITION = ShortTraining(steps=2000, peak_lr=5e-3, train_s=36_000.0)  # all ten hours
FULL = Continue(
    first_model="wav2vec_small", start_from="wav2vec_small", sources=FOLDERS["fr"], architecture=BASE,
    arm=Arm(kind="full"), extractor_trained=True, steps=50_000, batch_s=1500.0, crop_s=15.0, batch_size=100,
    peak_lr=2e-4, schedule=Cosine(warmup_steps=4000), weight_decay=0.01, betas=(0.9, 0.98),
    clip_norm=10.0, dropout=Dropout(residual=0.1, attention=0.1, features=0.1, layer=0.05),
    objective=ContrastiveObjective(gumbel_start=0.5), bf16=True, workers=8, keep_every=10_000,
    evaluation=Evaluation(
        contrast_on=(*FOLDERS["en"], *FOLDERS["fr"], *FOLDERS["es"]), letters_on=(CORPORA["fr"],),
        first_letters_on=CORPORA["en"], recognition_on=CORPORA["fr"], recognition=RECOGNITION,
    ),
)  # fmt: skip
ADAPTERS = replace(FULL, arm=Arm(kind="adapters"), extractor_trained=False, peak_lr=5e-4)


def _at_paper(recipe: Continue, language: str) -> Continue:
    asked = replace(recipe.evaluation, letters_on=(CORPORA[language],), recognition_on=CORPORA[language])
    return replace(recipe, language=language, sources=FOLDERS[language], evaluation=asked)


# ---- smaller; rates at `mini` are best on dev, see results/tuning-mini.json

SMALL_COSINE = Cosine(final_ratio=0.05)
FULL_MINI = Continue(
    start_from="small-en", sources=LANGUAGES["fr"], architecture=SMALL, arm=Arm(kind="full", bottleneck=64),
    quantiser=QuantiserSizes(codes=64, code_width=64, width=64),
    objective=ContrastiveObjective(diversity_weight=1.0, penalty_weight=0.0, gumbel_start=0.5), steps=360,
    extractor_trained=True, batch_s=16.0, crop_s=8.0, peak_lr=1e-3, schedule=replace(SMALL_COSINE, warmup_steps=36),
    weight_decay=0.01, betas=(0.9, 0.98), clip_norm=1.0, cpu_bf16=True, keep_every=120, log_every=20, cost_s=200.0,
    evaluation=Evaluation(
        recognition_on=TRANSCRIBED["fr"], recognition=ShortTraining(steps=150, peak_lr=5e-3, train_s=900.0)
    ),
)  # fmt: skip
ADAPTERS_MINI = replace(FULL_MINI, arm=Arm(kind="adapters", bottleneck=64), extractor_trained=False)
# What the new language is compared with: the model of the first one, as it is.
SOURCE_MINI = replace(
    FULL_MINI, steps=0, schedule=SMALL_COSINE, keep_every=0, cost_s=80.0,
    evaluation=replace(FULL_MINI.evaluation, letters_on=(TRANSCRIBED["fr"], TRANSCRIBED["es"])),
)  # fmt: skip


def _in(recipe: Continue, language: str, *, recognised: bool = True) -> Continue:
    """The same arm in another language; at `mini` recognisers are trained of French alone."""
    speech = TRANSCRIBED[language]
    asked = replace(recipe.evaluation, letters_on=(speech,), recognition_on=speech if recognised else None)
    return replace(recipe, language=language, sources=LANGUAGES[language], evaluation=asked)


def _gpu(recipe: Continue) -> Continue:
    asked = replace(recipe.evaluation, recognition=replace(recipe.evaluation.recognition, steps=2000))
    return replace(
        recipe, steps=4000, schedule=replace(SMALL_COSINE, warmup_steps=400), keep_every=800, evaluation=asked,
        workers=4, cost_s=240.0,
    )  # fmt: skip


def _night(recipe: Continue) -> Continue:
    """As many updates on a core of a CPU: half an hour."""
    return replace(_gpu(recipe), workers=0, cost_s=2000.0)


def _after_french(recipe: Continue, language: str) -> Continue:
    """A chain: French first, then another language with what French has left, in one run."""
    return replace(
        _in(recipe, language), sources=LANGUAGES["fr"], then=LANGUAGES[language], switch_step=recipe.steps,
        steps=2 * recipe.steps, schedule=InTurn(first_steps=recipe.steps, schedule=recipe.schedule),
    )  # fmt: skip


def _breadth(full: Continue, adapters: Continue) -> dict[str, Continue]:
    """Controls in French, more languages, chains."""
    arms = {
        "FULL_FROZEN_FR": replace(full, extractor_trained=False),
        "SCRATCH_FR": replace(full, start_from="", objective=replace(full.objective, gumbel_start=2.0)),
        "JOINT_FR": replace(full, sources=(*LANGUAGES["en"], *LANGUAGES["fr"])),
        "REPLAY_FR": replace(full, replay_share=0.05),
        "ANCHORED_FR": replace(full, anchor_weight=0.1),
        "LORA_FR": replace(adapters, arm=replace(adapters.arm, kind="lora")),
    }
    for language in ("ru", "it"):
        arms[f"FULL_{language.upper()}"] = _in(full, language)
        arms[f"ADAPTERS_{language.upper()}"] = _in(adapters, language)
    for name, recipe in (("FULL", full), ("ADAPTERS", adapters)):
        arms[f"{name}_FR_THEN_ES"] = _after_french(recipe, "es")
    return arms


# Of those, what a night carries: controls that claims and figures read, and the chains.
_NIGHT_BREADTH = ("FULL_FROZEN_FR", "JOINT_FR", "REPLAY_FR", "FULL_FR_THEN_ES", "ADAPTERS_FR_THEN_ES")


def _smoke(recipe: Continue) -> Continue:
    two_steps = ShortTraining(steps=2, peak_lr=1.25e-2, train_s=600.0)
    asked = Evaluation(
        contrast_on=(TONES,), letters_on=(TONES,), first_letters_on=TONES, recognition_on=TONES, probe=two_steps,
        recognition=replace(two_steps, peak_lr=5e-3, train_s=900.0),
    )  # fmt: skip
    return replace(
        recipe, first_model="random-tiny", start_from="random-tiny", sources=(TONES,), architecture=TINY, steps=4,
        arm=replace(recipe.arm, bottleneck=8), schedule=replace(SMALL_COSINE, warmup_steps=1), batch_s=4.0, crop_s=2.0,
        keep_every=2, log_every=1, quantiser=QuantiserSizes(codes=8, code_width=16, width=16),
        objective=replace(recipe.objective, num_negatives=10), replayed=(TONES,), evaluation=asked, cost_s=5.0,
        masking=Masking(start=0.08, span=6),
    )  # fmt: skip


SOURCE_GPU = replace(
    SOURCE_MINI, evaluation=replace(_gpu(SOURCE_MINI).evaluation, letters_on=tuple(TRANSCRIBED.values()))
)
SOURCE_PAPER = replace(
    FULL, steps=0, schedule=Cosine(), keep_every=0,
    evaluation=replace(FULL.evaluation, letters_on=(CORPORA["fr"], CORPORA["es"])),
)  # fmt: skip
COST = Cost(cost_s=70.0)
COST_GPU = replace(COST, utterances=6, seconds=15.6, repeats=20, bf16=True)  # BASE's 1.4 million samples
# What `make tune-continual-pretraining` tries, the same for both arms, judged on dev; French takes the Spanish rates.
SEARCH = Search(
    arms=("FULL_ES", "ADAPTERS_ES"),
    settings={"peak_lr": (3e-4, 1e-3, 3e-3)},
    measure=mean_of(LETTERS.on(TRANSCRIBED["es"]).name, CTC_NATS.name),
)
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        recipes={
            "FULL_FR": _smoke(FULL_MINI),
            "ADAPTERS_FR": _smoke(ADAPTERS_MINI),
            "SOURCE": replace(_smoke(SOURCE_MINI), steps=0, keep_every=0),
            "COST": replace(COST, architecture=TINY, bottleneck=8, seconds=1.0, repeats=1, cost_s=2.0),
        },
        seeds=1,
        search=Search(
            arms=("FULL_FR", "ADAPTERS_FR"),
            settings={"peak_lr": (1e-3,)},
            measure=mean_of(LETTERS.on(TONES).name, CTC_NATS.name),
        ),
    ),
    "mini": Scale(
        recipes={
            "FULL_FR": FULL_MINI,
            "ADAPTERS_FR": ADAPTERS_MINI,
            "FULL_ES": _in(FULL_MINI, "es", recognised=False),
            "ADAPTERS_ES": _in(ADAPTERS_MINI, "es", recognised=False),
            "SOURCE": SOURCE_MINI,
            "COST": COST,
        },
        seeds=3,
        search=SEARCH,
    ),
    "night": Scale(
        recipes={
            "FULL_FR": _night(FULL_MINI),
            "ADAPTERS_FR": _night(ADAPTERS_MINI),
            "FULL_ES": _in(_night(FULL_MINI), "es", recognised=False),
            "ADAPTERS_ES": _in(_night(ADAPTERS_MINI), "es", recognised=False),
            "SOURCE": replace(SOURCE_MINI, evaluation=_night(FULL_MINI).evaluation),
            "COST": COST,
            **{
                name: recipe
                for name, recipe in _breadth(_night(FULL_MINI), _night(ADAPTERS_MINI)).items()
                if name in _NIGHT_BREADTH
            },
        },
        seeds=3,
        search=SEARCH,
    ),
    "gpu": Scale(
        recipes={
            "FULL_FR": _gpu(FULL_MINI),
            "ADAPTERS_FR": _gpu(ADAPTERS_MINI),
            "FULL_ES": _in(_gpu(FULL_MINI), "es"),
            "ADAPTERS_ES": _in(_gpu(ADAPTERS_MINI), "es"),
            "SOURCE": SOURCE_GPU,
            "COST": COST_GPU,
            **_breadth(_gpu(FULL_MINI), _gpu(ADAPTERS_MINI)),
        },
        seeds=3,
        search=SEARCH,
    ),
    "paper": Scale(
        recipes={
            "FULL_FR": FULL,
            "ADAPTERS_FR": ADAPTERS,
            "FULL_ES": _at_paper(FULL, "es"),
            "ADAPTERS_ES": _at_paper(ADAPTERS, "es"),
            "SOURCE": SOURCE_PAPER,
            "COST": COST_GPU,
        },
        seeds=3,
    ),
}
