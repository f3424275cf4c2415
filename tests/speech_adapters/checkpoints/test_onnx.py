"""What onnxruntime computes of a ragged batch is what the recogniser does, and readers find letters where they look."""

import json
from dataclasses import replace

import pytest
import speech_peers as peers
import torch

from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.checkpoints.foreign_adapters import convert
from speech_adapters.checkpoints.interop import ConversionError
from speech_adapters.model.adapters import apply
from speech_adapters.model.architecture import TINY
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is in the extras dev and onnx")
pytest.importorskip("onnx", reason="onnx is in the extras dev and onnx")

DATA2VEC = replace(peers.XLSR_LIKE, pre_norm=False, positional_layers=3, positional_kernel=9)
SIZES = {**peers.ALIKE, "tiny": TINY, "data2vec": DATA2VEC}
LENGTHS = torch.tensor([5003, 3204, 4000])


def batch():
    rows = [0.1 * torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in LENGTHS.tolist()]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def session(folder):
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", SIZES)
def test_log_probabilities_of_a_ragged_batch_are_ours(size, tmp_path):
    model = peers.small("recogniser", SIZES[size], tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "made", to="onnx")
    run = session(tmp_path / "made")
    given = {"input_values": batch().numpy(), "input_lengths": LENGTHS.numpy()}
    (got,) = run.run(["logprobs"], given)
    with torch.no_grad():
        expected, frames = model(batch(), LENGTHS)
    for one, other, num in zip(torch.from_numpy(got), expected, frames.tolist(), strict=True):
        torch.testing.assert_close(one[:num], other[:num], atol=1e-4, rtol=1e-4)
        assert bool((one[num:].argmax(dim=1) == 0).all())  # readers round up: blank past the end


@pytest.mark.parametrize("size", ["base", "xlsr"])
def test_lengths_may_be_left_out(size, tmp_path):
    """sherpa-onnx gives the first of the inputs that have no value of their own."""
    model = peers.small("recogniser", SIZES[size], tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "made", to="onnx")
    run = session(tmp_path / "made")
    assert [one.name for one in run.get_inputs()] == ["input_values"]
    assert run.get_outputs()[0].shape[2] == len(peers.LETTERS)
    rows = batch()[:, :3204]
    (got,) = run.run(None, {"input_values": rows.numpy()})
    with torch.no_grad():
        expected, _ = model(rows, torch.tensor([3204] * 3))
    torch.testing.assert_close(torch.from_numpy(got), expected, atol=1e-4, rtol=1e-4)


def test_a_set_with_its_encoder_becomes_three_files(tmp_path):
    encoder = peers.small("encoder", TINY, tmp_path / "base.safetensors")
    backbone = model_files.backbone_sha256(encoder)
    model = CTCModel(encoder, 29)
    apply(arm := Arm(kind="adapters", bottleneck=4), model.encoder, model.head)
    set_ = AdapterSet.of(model, arm, "en", backbone, {})
    set_.save(tmp_path / "en.safetensors")
    convert(
        tmp_path / "en.safetensors", tmp_path / "made", to="onnx", model=str(tmp_path / "base.safetensors")
    )
    (got,) = session(tmp_path / "made").run(
        None, {"input_values": batch().numpy(), "input_lengths": LENGTHS.numpy()}
    )
    with torch.no_grad():
        expected, _ = model.eval()(batch(), LENGTHS)
    torch.testing.assert_close(torch.from_numpy(got)[0], expected[0], atol=1e-4, rtol=1e-4)
    lines = [line.split(" ") for line in (tmp_path / "made" / "vocab.txt").read_text().splitlines()]
    assert [line[0] for line in lines[:3]] == ["<blk>", "\u2581", set_.vocabulary.symbols[2]]
    assert [int(line[1]) for line in lines] == list(range(29))
    settings = json.loads((tmp_path / "made" / "config.json").read_text())
    assert settings == {"model_type": "wav2vec2-ctc", "subsampling_factor": 320}


def test_symbols_that_are_no_letters_are_left_out(tmp_path):
    torch.manual_seed(0)
    model = CTCModel(peers.small("encoder", TINY, tmp_path / "base.safetensors"), 4)
    symbols = ("<blank>", "|", "a", "<unk>")
    model_files.save_recogniser(tmp_path / "ours.safetensors", model, symbols)
    report = convert(tmp_path / "ours.safetensors", tmp_path / "made", to="onnx")
    assert "1 symbols that are no letters were left out" in str(report)
    assert (tmp_path / "made" / "vocab.txt").read_text() == "<blk> 0\n\u2581 1\na 2\n"


def test_an_encoder_alone_is_refused(tmp_path):
    peers.small("encoder", TINY, tmp_path / "base.safetensors")
    with pytest.raises(ConversionError, match="a recogniser whose symbols have names"):
        convert(tmp_path / "base.safetensors", tmp_path / "made", to="onnx")
