"""Numbers of published verdicts, so that whoever changes how verdicts are reckoned sees what changes with it."""

import math
import subprocess
import sys

import pytest

from common import papers
from common.claims import judge
from common.papers import ROOT
from multimodal_ssl.claims import CLAIMS as OF_MULTIMODAL
from speech_adapters.asr.claims import CLAIMS as OF_ASR
from speech_adapters.asr.night_claims import CLAIMS as OF_ASR_AT_NIGHT
from speech_adapters.continual.claims import CLAIMS as OF_CONTINUAL
from video_sr.claims import CLAIMS as OF_VIDEO

ASR, CONTINUAL = "speech_adapters/asr", "speech_adapters/continual"
MULTIMODAL, VIDEO = "multimodal_ssl", "video_sr"
CLAIMS = {
    ASR: (*OF_ASR, *OF_ASR_AT_NIGHT),
    CONTINUAL: OF_CONTINUAL,
    MULTIMODAL: OF_MULTIMODAL,
    VIDEO: OF_VIDEO,
}
NAN = math.nan
PUBLISHED = [  # folder, scale, claim, word, then point, low, high and p as far as there are any
    (ASR, "mini", "shares", "upheld", 1),
    (ASR, "mini", "english", "not seen here", 0.5086458709, 0.4240865904, 0.5932051515, 7.22075303e-15),
    (ASR, "mini", "french", "not seen here", -0.4755610033, -0.5581216155, -0.393000391, 7.035281685e-18),
    (ASR, "mini", "english-errors", "upheld", 0.2153323629, 0.1885376684, 0.2421270575, 7.533806369e-22),
    (ASR, "mini", "other-voices", "undecided", 0.4708401219, 0.3694793505, 0.5722008933, 1),
    (ASR, "gpu", "french", "not seen here", -0.266188907, -0.4490800332, -0.08329778082, 0.00493943317),
    (ASR, "night", "whisper-english", "upheld", 0.05435981562, 0.02376011167, 0.08495951958, 0.003938200033),
    (CONTINUAL, "mini", "update-32", "undecided", 12.08370285, 7.53097706, 16.63642863, 0.04518785627),
    (CONTINUAL, "mini", "adapters-alone", "upheld", 25.51774484, 15.67128787, 35.3642018, 0.01221279403),
    (CONTINUAL, "mini", "equal-quality-fr", "undecided", -125.4063869, -277.5225927, 26.709819, 0.09187949089),
    (CONTINUAL, "mini", "kept-es", "upheld", 1),
    (CONTINUAL, "mini", "forgetting-fr", "seen once", 0.2665855289),
    (CONTINUAL, "gpu", "update", "undecided", 1.804739583, -6.398848531, 10.0083277, 0.2357542628),
    (MULTIMODAL, "mini", "fine-over-coarse", "undecided",
     -3.009259259, -24.52828316, 18.50976464, 0.6230804681),
    (MULTIMODAL, "mini", "fine-over-coarse-clean", "upheld",
     23.20601852, 17.51065175, 28.90138529, 1.273236385e-05),
    (MULTIMODAL, "mini", "noise-hurts-coarse-more", "not seen here",
     -26.21527778, -39.13715219, -13.29340336, 0.007420155548),
    (MULTIMODAL, "mini", "attention-detects-noise", "undecided",
     0.00835291539, -0.1352998722, 0.152005703, 0.8344457025),
    (MULTIMODAL, "mini", "learned", "upheld",
     25.6664755, 14.3564695, 36.97648151, 0.0004213503842),
    (VIDEO, "mini", "over-span", "refuted", -1.245701461, -1.759221567, -0.7321813555, 3.765430069e-05),
    (VIDEO, "mini", "structure", "upheld", 0.1105511553, 0.0563827678, 0.1647195429, 0.0002935153555),
    (VIDEO, "mini", "learned-psnr", "upheld", 0.3328674338, 0.1494999303, 0.5162349372, 0.0009661781078),
    (VIDEO, "mini", "steady", "refuted", -0.4528734051, -0.7755671231, -0.1301796872, 0.01759340033),
]  # fmt: skip


def test_judging_on_the_command_line_loads_no_torch():
    line = (
        "import sys; from typer.testing import CliRunner; from common.run import cli; "
        "done = CliRunner().invoke(cli, ['claims', '--json']); print(done.exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]


@pytest.mark.parametrize(("folder", "scale"), sorted({row[:2] for row in PUBLISHED}))
def test_published_verdicts_stay_as_they_are(folder, scale):
    (paper,) = (one for one in papers.papers().values() if one.folder == ROOT / folder)
    verdicts = judge(CLAIMS[folder], paper.evidence(scale, own=False), scale)
    of_claim = {verdict.claim: verdict for verdict in verdicts}
    for claim, word, *numbers in (row[2:] for row in PUBLISHED if row[:2] == (folder, scale)):
        found, wanted = of_claim[claim], [*numbers, *[NAN] * (4 - len(numbers))]
        assert found.word == word
        reckoned = [found.point, found.low, found.high, found.p]
        assert reckoned == pytest.approx(wanted, rel=1e-9, nan_ok=True), claim
