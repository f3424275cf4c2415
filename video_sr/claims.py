"""What the paper says and what we ask beside it, each as a margin over raw scores.

Only title, authors and most of the abstract could be read. Its tables are known from memory alone, so they stand
in the `paper` column as remembered and unverified, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from common.bootstrap import Arms
from common.claims import Claim
from common.kinds import Superior
from common.sample import Drawn

PSNR, SSIM = "psnr[rgb,crop0,u8]", "ssim[rgb,crop0,u8,gauss11]"
STRUCTURE = "ssim[rgb,crop0,u8,gauss11,quarter]"
TEMPORAL, CONSISTENCY = "tdiff[rgb,u8]", "lr-psnr[rgb,crop0,u8]"
PSNR_OF_COPIES = f"copies/{PSNR}"  # with copies of the middle frame in place of its neighbours
JUDGED = ("mini", "gpu", "paper")
UNSEEN = ("photographs", "vid3oc")  # what stands for the challenge's test set: at `paper` the set itself
NOT_AT_PAPER = {
    "paper": "at this scale the test set is Vid3oC, real recordings throughout; see the claims above"
}
NOT_AT_SMOKE = {"smoke": "made-up textures prove the path from file to verdict and judge nothing"}
REMEMBERED = "remembered: bicubic 20.69 dB / 0.577, entries 21.77 to 22.83 dB / 0.611 to 0.645, unverified"
STRUCTURE_BAR = 0.9
CONSISTENT_DB = 40.0


# Every margin is a mean over groups (pictures, recordings) of the mean over their clips.


def gain(arm: str, over: str, measure: str, sign: float = 1.0) -> Callable[[Arms], Drawn]:
    """Margin: how much more of a measure one arm has than another on the same items; -1 for how much less."""
    return lambda arms: arms[arm].group_mean(sign * (arms[arm][measure] - arms[over][measure]))


def own_gain(arm: str, measure: str, other: str) -> Callable[[Arms], Drawn]:
    """Margin: how much more of a measure an arm has than of another measure of its own."""
    return lambda arms: arms[arm].group_mean(arms[arm][measure] - arms[arm][other])


def bar(arm: str, measure: str, height: float, sign: float = 1.0) -> Callable[[Arms], Drawn]:
    """Margin: how far a measure is above a bar; with sign -1, below it."""
    return lambda arms: arms[arm].group_mean(sign * (arms[arm][measure] - height))


_question = partial(
    Claim, where="our question", paper="no number", kind=Superior(), scales=JUDGED, not_testable=NOT_AT_SMOKE,
    question=True, parts=UNSEEN,
)  # fmt: skip

TITLE = "AIM 2020 challenge on x16 video super-resolution (arXiv 2009.06290)"

CLAIMS = (
    Claim(
        id="structure",
        says="x16 destroys the structure of a picture, not only its texture: even reduced to a quarter, where x4 would "
        f"lose nothing, what bicubic restores is unlike the truth (our bar: SSIM below {STRUCTURE_BAR}).",
        where="abstract",
        paper="no number",
        reads=("BICUBIC",),
        kind=Superior(),
        margin=bar("BICUBIC", STRUCTURE, STRUCTURE_BAR, -1),
        unit="SSIM",
        parts=UNSEEN,
        scales=JUDGED,
        not_testable=NOT_AT_SMOKE,
        consistent_with=True,
    ),
    Claim(
        id="trade-off",
        says="Plausible high frequencies (track 2) cost fidelity (track 1): a network trained for perception has a "
        "lower PSNR.",
        where="abstract",
        paper="no number",
        reads=("PERCEPTUAL", "WIDE"),
        kind=Superior(),
        margin=gain("WIDE", "PERCEPTUAL", PSNR),
        unit="dB",
        parts=UNSEEN,
        scales=("paper",),
        not_testable=NOT_AT_SMOKE
        | dict.fromkeys(
            ("mini", "gpu"),
            "the perceptual entries are not built yet",
        ),
    ),
    _question(
        id="learned-psnr",
        says="A learned network beats bicubic in PSNR on pictures it has never seen.",
        paper=REMEMBERED,
        reads=("EVESRNET", "BICUBIC"),
        margin=gain("EVESRNET", "BICUBIC", PSNR),
        unit="dB",
        headline=True,
    ),
    _question(
        id="learned-ssim",
        says="A learned network beats bicubic in SSIM on pictures it has never seen.",
        paper=REMEMBERED,
        reads=("EVESRNET", "BICUBIC"),
        margin=gain("EVESRNET", "BICUBIC", SSIM),
        unit="SSIM",
    ),
    _question(
        id="learned-real",
        says="A learned network beats bicubic in PSNR on real recordings, though it was trained on made camera "
        "motion alone.",
        reads=("EVESRNET", "BICUBIC"),
        margin=gain("EVESRNET", "BICUBIC", PSNR),
        parts=("clips",),
        not_testable=NOT_AT_SMOKE | NOT_AT_PAPER,
        unit="dB",
    ),
    _question(
        id="single-frame",
        says="The single-frame wide-activation network beats bicubic in PSNR on pictures it has never seen.",
        paper="remembered: CET CVLab 21.77 dB, bicubic 20.69 dB, unverified",
        reads=("WIDE", "BICUBIC"),
        margin=gain("WIDE", "BICUBIC", PSNR),
        unit="dB",
    ),
    _question(
        id="several-frames-trained",
        says="Several frames beat one: EVESRNet trained and tested on a window of frames against the same network "
        "trained and tested on copies of the middle one.",
        reads=("EVESRNET", "COPIES"),
        margin=gain("EVESRNET", "COPIES", PSNR),
        unit="dB",
    ),
    _question(
        id="several-frames-tested",
        says="The gain comes from the neighbours: the trained EVESRNet loses PSNR when its window holds "
        "copies of the middle frame.",
        reads=("EVESRNET",),
        margin=own_gain("EVESRNET", PSNR, PSNR_OF_COPIES),
        unit="dB",
    ),
    _question(
        id="several-frames-real",
        says="Several frames beat one on real recordings as well.",
        reads=("EVESRNET", "COPIES"),
        margin=gain("EVESRNET", "COPIES", PSNR),
        parts=("clips",),
        not_testable=NOT_AT_SMOKE | NOT_AT_PAPER,
        unit="dB",
    ),
    _question(
        id="steady",
        says="The output is steadier over time than bicubic's: its frame-to-frame changes are nearer to the truth's.",
        reads=("EVESRNET", "BICUBIC"),
        margin=gain("EVESRNET", "BICUBIC", TEMPORAL, sign=-1),
        unit="8-bit levels",
    ),
    _question(
        id="keeps-input",
        says=f"The output keeps the input: degraded again it agrees to more than {CONSISTENT_DB:.0f} dB (our bar).",
        reads=("EVESRNET",),
        margin=bar("EVESRNET", CONSISTENCY, CONSISTENT_DB),
        unit="dB",
    ),
)
