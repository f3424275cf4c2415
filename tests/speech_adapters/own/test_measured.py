"""Tables on published sets follow from results, which are of the committed sets; the law of the encoder."""

import json
from hashlib import sha256

import numpy as np
import pytest
import soundfile

from common.report.tables import is_stale
from speech_adapters.checkpoints import by_name
from speech_adapters.own import label_minutes, measured

SETS = sorted(path.stem for path in by_name.PUBLISHED.glob("*.safetensors"))


def test_the_tables_of_the_page_follow_from_their_results():
    assert not is_stale(measured.PAGE.read_text(encoding="utf-8"), measured.PLACE, measured.generated())


def test_results_are_of_the_sets_that_are_here():
    found = {name: one["set_sha256"] for name, one in measured.read(measured.WHISPER).items()}
    weights = {name: (by_name.PUBLISHED / f"{name}.safetensors").read_bytes() for name in SETS}
    assert found.items() <= {name: sha256(content).hexdigest() for name, content in weights.items()}.items()


def test_our_encoder_is_that_of_ctranslate2_within_a_thousandth():
    """Both from the same spectra; values reach 22. Rounding of either is of that size, as double precision tells."""
    found = measured.read(measured.RESULTS)[measured.PARITY]
    assert max(found["encoded"]["ours to theirs"]) <= 1e-3
    assert max(found["encoded"]["ours to exact"]) <= 1e-3
    assert max(found["spectra"]["ours to theirs"]) <= 1e-4


def test_amounts_lie_inside_each_other(tmp_path):
    """Four clips of 90 s by the voice and one by somebody else, who comes in with all alone."""
    (tmp_path / "clips").mkdir()
    lines = [(f"{label_minutes.VOICE}-a", f"{i}.wav", "yes") for i in range(4)] + [
        ("fotaq-en-b", "4.wav", "no")
    ]
    for _, name, _ in lines:
        soundfile.write(tmp_path / "clips" / name, np.zeros(90 * 100, np.int16), 100)
    rows = ["\t".join(line) for line in (("client_id", "path", "sentence"), *lines)]
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "dev.tsv").write_text("\n".join(rows) + "\n")

    def held(path):
        return path.read_text().splitlines()[1:]

    found = {name: held(label_minutes.table(tmp_path, name)) for name in (*label_minutes.AMOUNTS, "all")}
    assert [len(those) for those in found.values()] == [2, 4, 4, 5]
    assert all(those == rows[1 : 1 + len(those)] for those in found.values())
    assert held(label_minutes.dev_table(tmp_path)) == rows[1:5]


def test_amounts_of_unequal_training_are_refused(tmp_path):
    (tmp_path / "en-7min.json").write_text(json.dumps({"settings": {"steps": 300}}))
    label_minutes.refuse_other_steps(tmp_path, 300)
    with pytest.raises(
        ValueError, match=r"--steps must be equal for all amounts: .*en-7min.json has 300, got 20"
    ):
        label_minutes.refuse_other_steps(tmp_path, 20)
