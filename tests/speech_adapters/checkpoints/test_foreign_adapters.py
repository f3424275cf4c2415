"""LoRA of PEFT and adapters of MMS, there and back, with the numbers of those who made them."""

import json
from dataclasses import replace

import pytest
import speech_peers as peers
import torch
from safetensors.torch import load_file, save_file
from speech_tool import run, write

from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.adapter_sets import AdapterBank, AdapterSet
from speech_adapters.checkpoints.convert import read
from speech_adapters.checkpoints.foreign_adapters import convert
from speech_adapters.checkpoints.interop import ConversionError, peft
from speech_adapters.model.adapters import apply
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import normalise_waveform

A = peers.XLSR_LIKE
WAVE = 0.1 * torch.randn(1, 1601, generator=torch.Generator().manual_seed(2))
LENGTHS = torch.tensor([1601])


def heard(stored):
    with torch.no_grad():
        return model_files.build(stored).eval()(WAVE, LENGTHS)[0]


# ---- PEFT


@pytest.fixture
def lora(tmp_path):
    """A base of ours as Hugging Face has it, and a recogniser that arm lora made of it."""
    encoder = peers.small("encoder", A, tmp_path / "base.safetensors")
    convert(tmp_path / "base.safetensors", tmp_path / "base", to="huggingface")
    torch.manual_seed(3)
    model = CTCModel(encoder, len(peers.LETTERS))
    apply(Arm(kind="lora", bottleneck=8), model.encoder, model.head)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.1 * torch.randn(weight.shape)
    model_files.save_recogniser(tmp_path / "lora.safetensors", model, peers.LETTERS)
    return tmp_path


def test_names_are_those_of_pefts_wav2vec2_for_ctc(lora):
    """As get_peft_model_state_dict of peft 0.18 to 0.21 has them: neither adapter name nor modules_to_save in them."""
    report = convert(lora / "lora.safetensors", lora / "peft", to="peft")
    found = load_file(lora / "peft" / "adapter_model.safetensors")
    linears = ("attention.k_proj", "attention.out_proj", "attention.q_proj", "attention.v_proj",
               "feed_forward.intermediate_dense", "feed_forward.output_dense")  # fmt: skip
    expected = {
        f"base_model.model.wav2vec2.encoder.layers.{n}.{linear}.lora_{part}.weight"
        for n in range(A.layers)
        for linear in linears
        for part in "AB"
    }
    assert set(found) == expected | {f"base_model.model.lm_head.{part}" for part in ("weight", "bias")}
    settings = json.loads((lora / "peft" / "adapter_config.json").read_text())
    rank = found["base_model.model.wav2vec2.encoder.layers.0.attention.q_proj.lora_A.weight"].shape[0]
    assert (settings["peft_type"], settings["r"], settings["lora_alpha"]) == ("LORA", rank, rank)
    assert settings["target_modules"] == sorted(linear.rpartition(".")[2] for linear in linears)
    assert settings["modules_to_save"] == ["lm_head"]
    assert "vocab_size=5" in str(report)


@pytest.mark.parametrize("base", ["base", "base.safetensors"])
def test_peft_there_and_back_is_the_same_to_the_bit(base, lora):
    convert(lora / "lora.safetensors", lora / "peft", to="peft")
    convert(lora / "peft", lora / "back.safetensors", model=str(lora / base))
    before, after = (model_files.read(lora / f"{name}.safetensors") for name in ("lora", "back"))
    peers.assert_same(before.tensors, after.tensors)
    assert before.vocabulary == after.vocabulary == peers.LETTERS


def test_a_lora_of_two_matrices_with_a_factor_adds_what_peft_adds(lora):
    """W x + alpha / r B A x, on a base with a head, through names without the encoder's."""
    whole = peers.huggingface_model(A, "recogniser")
    whole.save_pretrained(lora / "whole")
    torch.manual_seed(4)
    a, b = torch.randn(2, A.width), torch.randn(A.width, 2)
    name = "base_model.model.wav2vec2.encoder.layers.1.attention.v_proj.lora_{}.weight"
    (lora / "theirs").mkdir()
    save_file({name.format("A"): a, name.format("B"): b}, lora / "theirs" / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "base_model_name_or_path": str(lora / "whole")}
    (lora / "theirs" / "adapter_config.json").write_text(json.dumps(settings))
    report = convert(lora / "theirs", lora / "ours.safetensors")
    assert "factor 3 was multiplied" in str(report)
    with torch.no_grad():
        whole.wav2vec2.encoder.layers[1].attention.v_proj.weight += 3 * b @ a
        expected = whole(normalise_waveform(WAVE, LENGTHS, 1e-7)).logits.log_softmax(dim=2)
    torch.testing.assert_close(
        heard(model_files.read(lora / "ours.safetensors")), expected, atol=1e-4, rtol=1e-4
    )


def test_peft_itself_loads_it_and_says_the_same(lora):
    theirs = pytest.importorskip("peft", reason="peft is in the extra peers")
    import transformers

    convert(lora / "lora.safetensors", lora / "peft", to="peft")
    base = transformers.Wav2Vec2ForCTC.from_pretrained(lora / "base", vocab_size=len(peers.LETTERS))
    model = theirs.PeftModel.from_pretrained(base, lora / "peft").eval()
    with torch.no_grad():
        got = model(normalise_waveform(WAVE, LENGTHS, A.input_epsilon)).logits.log_softmax(dim=2)
    expected = heard(model_files.read(lora / "lora.safetensors"))
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"peft_type": "IA3"}, "peft_type must be 'LORA'"), ({"use_dora": True}, "use_dora must be False")],
)
def test_other_kinds_of_peft_are_refused(settings, sentence, lora):
    convert(lora / "lora.safetensors", lora / "peft", to="peft")
    path = lora / "peft" / peft.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    with pytest.raises(ConversionError, match=sentence):
        convert(lora / "peft", lora / "back.safetensors", model=str(lora / "base"))


def test_what_is_no_lora_or_has_no_base_is_one_sentence(lora):
    peers.small("recogniser", A, lora / "plain.safetensors")
    with pytest.raises(ConversionError, match="train a recogniser with --arm lora"):
        convert(lora / "plain.safetensors", lora / "peft", to="peft")
    convert(lora / "lora.safetensors", lora / "peft", to="peft")
    with pytest.raises(ConversionError, match="does not name the model it belongs to; give --model"):
        convert(lora / "peft", lora / "back.safetensors")
    peers.small("encoder", replace(A, width=32, heads=8), lora / "wide.safetensors")
    with pytest.raises(ConversionError, match="must have 32 along axis"):
        convert(lora / "peft", lora / "back.safetensors", model=str(lora / "wide.safetensors"))


# ---- MMS


@pytest.fixture
def mms(tmp_path):
    """transformers' model with adapters, its folder, and the adapters of a language as it saves them."""
    import transformers

    plain = peers.huggingface_model(A, "recogniser")
    config = plain.config
    config.adapter_attn_dim = 4
    torch.manual_seed(5)
    model = peers._shaken(transformers.Wav2Vec2ForCTC(config))
    folder = tmp_path / "mms"
    model.save_pretrained(folder)
    save_file(model._get_adapters(), folder / "adapter.fra.safetensors")
    rows = {name: row for row, name in enumerate(peers.SYMBOLS)}
    (folder / "vocab.json").write_text(json.dumps({"fra": rows, "eng": {"a": 0}}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return model, folder


def test_an_adapter_of_mms_says_what_transformers_says(mms, tmp_path):
    model, folder = mms
    convert(folder / "adapter.fra.safetensors", tmp_path / "fra.safetensors")
    found = AdapterSet.load(tmp_path / "fra.safetensors")
    assert (found.language, found.arm.places, found.arm.bottleneck) == ("fra", "output", 4)
    order = [peers.SYMBOLS.index(row) for row in ("<pad>", "|", "E", "T", "A", "<s>", "</s>", "<unk>")]
    with torch.no_grad():
        logits = model(normalise_waveform(WAVE, LENGTHS, 1e-7)).logits
    expected = logits.log_softmax(dim=2)[:, :, order]
    base = read(folder)
    assert base.stored.kind == "encoder" and "left out" in base.notes[0]  # noqa: PT018
    bank = AdapterBank(model_files.build(base.stored))
    bank.add("fra", found)
    torch.testing.assert_close(bank.log_probs(WAVE, LENGTHS, ["fra"])[0], expected[0], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(heard(found.merged(base.stored)), expected, atol=2e-5, rtol=1e-4)


def test_mms_there_and_back_is_the_same_to_the_bit_and_loads_in_transformers(mms, tmp_path):
    model, folder = mms
    convert(folder / "adapter.fra.safetensors", tmp_path / "fra.safetensors")
    convert(tmp_path / "fra.safetensors", folder / "adapter.new.safetensors", to="mms")
    before, after = (load_file(folder / f"adapter.{name}.safetensors") for name in ("fra", "new"))
    heads = ("lm_head.weight", "lm_head.bias")
    peers.assert_same(*({k: t for k, t in table.items() if k not in heads} for table in (before, after)))
    order = [peers.SYMBOLS.index(row) for row in ("<pad>", "|", "E", "T", "A", "<s>", "</s>", "<unk>")]
    assert all(torch.equal(before[name][order], after[name]) for name in heads)  # rows in our order
    model.config._name_or_path = str(folder)
    model.load_adapter("new", local_files_only=True)
    assert torch.equal(model.lm_head.bias, before["lm_head.bias"][order])


def test_a_converted_adapter_transcribes(mms, tmp_path):
    convert(mms[1] / "adapter.fra.safetensors", tmp_path / "fra.safetensors")
    done = run(
        "transcribe", write(tmp_path / "a.wav"), "--model", mms[1], "--adapter", tmp_path / "fra.safetensors"
    )
    assert done.exit_code == 0, done.output


def test_our_adapters_have_no_place_in_mms(tmp_path):
    encoder = peers.small("encoder", A, tmp_path / "base.safetensors")
    backbone = model_files.backbone_sha256(encoder)
    model = CTCModel(encoder, 29)
    apply(arm := Arm(kind="adapters", bottleneck=4), model.encoder, model.head)
    AdapterSet.of(model, arm, "en", backbone, {}).save(tmp_path / "en.safetensors")
    with pytest.raises(ConversionError, match="no norms of a language's own"):
        convert(tmp_path / "en.safetensors", tmp_path / "adapter.eng.safetensors", to="mms")


def test_an_adapter_of_another_network_is_refused(mms, tmp_path):
    peers.small("encoder", replace(A, layers=2), tmp_path / "other.safetensors")
    given = {"model": str(tmp_path / "other.safetensors")}
    with pytest.raises(ConversionError, match="is of another network"):
        convert(mms[1] / "adapter.fra.safetensors", tmp_path / "x.safetensors", **given)


def test_a_set_becomes_a_whole_recogniser(tmp_path):
    encoder = peers.small("encoder", A, tmp_path / "base.safetensors")
    backbone = model_files.backbone_sha256(encoder)
    model = CTCModel(encoder, 29)
    apply(arm := Arm(kind="adapters", bottleneck=4), model.encoder, model.head)
    set_ = AdapterSet.of(model, arm, "en", backbone, {"model": str(tmp_path / "base.safetensors")})
    set_.save(tmp_path / "en.safetensors")
    convert(tmp_path / "en.safetensors", tmp_path / "whole.safetensors")
    with torch.no_grad():
        expected = model.eval()(WAVE, LENGTHS)[0]
    torch.testing.assert_close(heard(model_files.read(tmp_path / "whole.safetensors")), expected)
