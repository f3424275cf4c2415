"""A model.bin that is written here is read back; every malformed one is one sentence; the published one is pinned."""

import re
import struct

import numpy as np
import pytest
import torch

from speech_adapters.checkpoints import by_name, convert, ctranslate2, model_files, whisper_base
from speech_adapters.checkpoints.interop import ConversionError
from speech_adapters.model.architecture import WHISPER_TINY
from speech_adapters.model.whisper import Whisper

KINDS = {np.dtype("f4"): 0, np.dtype("i1"): 1, np.dtype("i2"): 2, np.dtype("f2"): 4, np.dtype("u2"): 5}


def text(words):
    return struct.pack("<H", len(words) + 1) + words.encode() + b"\0"


def packed(name, array):
    shape = b"".join(struct.pack("<I", size) for size in array.shape)
    head = text(name) + struct.pack("<B", array.ndim) + shape + struct.pack("<B", KINDS[array.dtype])
    return head + struct.pack("<I", array.nbytes) + array.tobytes()


def model(tensors, version=6, specification="WhisperSpec", aliases=(("a", "b"),)):
    head = struct.pack("<I", version) + text(specification) + struct.pack("<II", 3, len(tensors))
    tail = struct.pack("<I", len(aliases)) + b"".join(text(one) + text(other) for one, other in aliases)
    return head + b"".join(packed(*item) for item in tensors.items()) + tail


def theirs(encoder):
    """An encoder's tensors under CTranslate2's names."""
    ours = {name: tensor.numpy() for name, tensor in encoder.state_dict().items()}
    found = {"encoder/num_heads": np.array(encoder.architecture.heads, np.int16),
             "encoder/position_encodings/encodings": ours["places"],
             "decoder/alibi": np.array(0, np.int8)}  # fmt: skip
    kinds = {"weight": "gamma", "bias": "beta"}
    for kind in ("weight", "bias"):
        for number in (0, 1):
            found[f"encoder/conv{number + 1}/{kind}"] = ours[f"extractor.convs.{number}.{kind}"]
        found[f"encoder/layer_norm/{kinds[kind]}"] = ours[f"norm.{kind}"]
        for number in range(encoder.architecture.layers):
            there, here = f"encoder/layer_{number}", f"layers.{number}"
            stacked = [ours[f"{here}.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            found |= {
                f"{there}/self_attention/linear_0/{kind}": np.concatenate(stacked),
                f"{there}/self_attention/linear_1/{kind}": ours[f"{here}.attention.output.{kind}"],
                f"{there}/self_attention/layer_norm/{kinds[kind]}": ours[f"{here}.attention_norm.{kind}"],
                f"{there}/ffn/layer_norm/{kinds[kind]}": ours[f"{here}.feed_forward_norm.{kind}"],
                f"{there}/ffn/linear_0/{kind}": ours[f"{here}.expand.{kind}"],
                f"{there}/ffn/linear_1/{kind}": ours[f"{here}.contract.{kind}"],
            }
    return found


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Whisper(WHISPER_TINY)


@pytest.fixture(scope="module")
def tensors(encoder):
    return theirs(encoder)


def test_an_encoder_comes_back_as_it_was(encoder, tensors, tmp_path):
    (tmp_path / "model.bin").write_bytes(model(tensors))
    report = convert.convert(tmp_path / "model.bin", tmp_path / "ours.safetensors")
    assert (report.source, report.architecture) == ("ctranslate2", WHISPER_TINY)
    found = model_files.load_encoder(tmp_path / "ours.safetensors")
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    with pytest.raises(ConversionError, match="for which huggingface has no place"):
        convert.convert(tmp_path / "ours.safetensors", tmp_path / "hf", "huggingface")


@pytest.mark.parametrize("kind", ["f2", "bf16"])
def test_half_precision_is_kept(kind, encoder, tensors, tmp_path):
    def halved(array):
        if array.dtype != np.float32:
            return array
        return array.astype("f2") if kind == "f2" else (array.view(np.uint32) >> 16).astype("u2")

    (tmp_path / "model.bin").write_bytes(model({name: halved(array) for name, array in tensors.items()}))
    found = ctranslate2.read(tmp_path / "model.bin").tensors["layers.0.expand.weight"].float()
    torch.testing.assert_close(found, encoder.layers[0].expand.weight.data, atol=1e-3, rtol=1e-2)


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


NORM = "encoder/layer_1/ffn/layer_norm/beta"
MALFORMED = {
    "empty": (lambda t: b"", "ends inside the version"),
    "another version": (lambda t: model(t, version=5), "of binary version 6, got 'WhisperSpec' of 5"),
    "another model": (lambda t: model(t, specification="TransformerSpec"), "got 'TransformerSpec' of 6"),
    "cut off": (lambda t: model(t)[:5000], "ends inside"),
    "too long": (lambda t: model(t) + b"x", "must end after its aliases, 1 bytes are left"),
    "a count beyond reason": (lambda t: model({})[:22] + b"\xff" * 4, "must have at most 10000 tensors"),
    "no norm": (lambda t: model(without(t, NORM)), f"has no {NORM}"),
    "another shape": (lambda t: model(t | {NORM: np.zeros(5, "f4")}), f"{NORM} must be 24, got 5"),
    "no number": (lambda t: model(t | {NORM: np.full(24, np.nan, "f4")}), f"{NORM} holds values that are no numbers"),
    "quantised": (lambda t: model(t | {NORM: np.zeros(24, "i1")}), f"{NORM} is quantised to integers"),
    "no heads": (lambda t: model(without(t, "encoder/num_heads")), "does not say how many heads"),
    "heads that do not divide": (lambda t: model(t | {"encoder/num_heads": np.array(5, np.int16)}),
                                 "heads must divide the width 24, got 5"),
    "no layers": (lambda t: model({k: v for k, v in t.items() if "layer_0" not in k}), "has no encoder/layer_0"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_one_sentence(case, tensors, tmp_path):
    made, sentence = MALFORMED[case]
    (tmp_path / "model.bin").write_bytes(made(tensors))
    with pytest.raises(ConversionError, match=re.escape(sentence)) as caught:
        ctranslate2.read(tmp_path / "model.bin")
    assert "\n" not in str(caught.value)


def test_a_size_that_lies_makes_nothing_of_itself(tensors, tmp_path):
    """4 GB are promised, some bytes are there."""
    content = model({"encoder/layer_norm/beta": tensors["encoder/layer_norm/beta"]})
    place = content.index(struct.pack("<I", 24))
    (tmp_path / "model.bin").write_bytes(content[:place] + b"\xff\xff\xff\x3f" + content[place + 4 :])
    with pytest.raises(ConversionError, match=r"must have 4294967292 bytes, got 96"):
        ctranslate2.read(tmp_path / "model.bin")


@pytest.mark.corpus
def test_the_packages_hold_the_encoder_that_is_pinned():
    if not whisper_base.place().exists():
        pytest.skip(f"{whisper_base.NAME} is not in DATA_ROOT; `transcribe` and `finetune` fetch it")
    assert by_name.sha256(whisper_base.NAME).startswith("96f3a01d18f4")
    assert not by_name.load(whisper_base.NAME).layers[0].attention.key.bias.any()
