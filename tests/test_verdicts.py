"""Numbers of published verdicts, so that whoever changes how verdicts are reckoned sees what changes with it."""

import math
import subprocess
import sys

import pytest

from common import results
from common.claims import judge
from common.papers import ROOT
from multimodal_ssl.claims import CLAIMS as OF_MULTIMODAL
from speech_adapters.asr.claims import CLAIMS as OF_ASR
from speech_adapters.continual.claims import CLAIMS as OF_CONTINUAL
from video_sr.claims import CLAIMS as OF_VIDEO

ASR, CONTINUAL = "speech_adapters/asr", "speech_adapters/continual"
MULTIMODAL, VIDEO = "multimodal_ssl", "video_sr"
CLAIMS = {ASR: OF_ASR, CONTINUAL: OF_CONTINUAL, MULTIMODAL: OF_MULTIMODAL, VIDEO: OF_VIDEO}
NAN = math.nan
PUBLISHED = [  # folder, scale, claim, word, then point, low, high and p as far as there are any
    (ASR, "mini", "shares", "upheld", 1),
    (ASR, "mini", "english", "not seen here", 0.5702458677, 0.468457576, 0.6720341594, 5.175737431e-12),
    (ASR, "mini", "french", "not seen here", -0.5449602501, -0.6451318308, -0.4447886695, 1.436613947e-16),
    (ASR, "mini", "english-errors", "upheld", 0.2369399968, 0.2042798651, 0.2696001284, 1.068314215e-22),
    (ASR, "mini", "other-voices", "undecided", 0.5496540431, 0.3546366138, 0.7446714724, 1),
    (ASR, "gpu", "french", "not seen here", -0.266188907, -0.4469542167, -0.08542359731, 0.004446675845),
    (CONTINUAL, "mini", "update-32", "undecided", 11.88216629, 5.101223281, 18.66310931, 0.04731806632),
    (CONTINUAL, "mini", "adapters-alone", "upheld", 24.65455071, 15.6237265, 33.68537492, 0.001237363672),
    (CONTINUAL, "mini", "equal-quality-fr", "undecided", -125.4063869, NAN, NAN, 1),
    (CONTINUAL, "mini", "kept-es", "upheld", 1),
    (CONTINUAL, "mini", "forgetting-fr", "seen once", 0.2665855289),
    (CONTINUAL, "gpu", "update", "undecided", 2.870675681, -14.79678409, 20.53813545, 0.6531509202),
    (MULTIMODAL, "mini", "fine-over-coarse", "undecided", -0.6365740741, -20.81259315, 19.53944501, 0.9232147922),
    (MULTIMODAL, "mini", "noise-hurts-coarse-more", "not seen here",
     -17.59259259, -24.48990527, -10.69527991, 2.280149637e-05),
    (MULTIMODAL, "mini", "attention-detects-noise", "undecided",
     -0.001496796895, -0.06839349901, 0.06539990522, 0.9481505671),
    (MULTIMODAL, "mini", "learned", "upheld", 25.6664755, 14.24956607, 37.08338494, 0.0003844672181),
    (VIDEO, "mini", "over-span", "refuted", -1.307983103, -2.084674059, -0.5312921463, 0.00245725922),
    (VIDEO, "mini", "structure", "undecided", 0.1261531599, 0.02514296309, 0.2271633567, 0.0189727281),
    (VIDEO, "mini", "learned-psnr", "upheld", 0.8284328412, 0.368807095, 1.288058587, 0.002211978958),
    (VIDEO, "mini", "steady", "upheld", 0.9606890716, 0.5462417473, 1.375136396, 0.0001378634018),
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
    verdicts = judge(CLAIMS[folder], results.read(ROOT / folder / "results" / scale), scale)
    of_claim = {verdict.claim: verdict for verdict in verdicts}
    for claim, word, *numbers in (row[2:] for row in PUBLISHED if row[:2] == (folder, scale)):
        found, wanted = of_claim[claim], [*numbers, *[NAN] * (4 - len(numbers))]
        assert found.word == word
        reckoned = [found.point, found.low, found.high, found.p]
        assert reckoned == pytest.approx(wanted, rel=1e-9, nan_ok=True), claim
