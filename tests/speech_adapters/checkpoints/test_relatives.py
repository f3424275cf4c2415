"""HuBERT and data2vec-audio put out what transformers' classes do, and padding changes nothing."""

import json
from dataclasses import replace

import pytest
import speech_peers as peers
import torch

from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.convert import convert, read
from speech_adapters.checkpoints.interop import ConversionError
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.wav2vec2 import normalise_waveform

RELATIVES = {"hubert-base": ("Hubert", peers.BASE_LIKE), "hubert-large": ("Hubert", peers.XLSR_LIKE),
             "data2vec": ("Data2VecAudio", replace(peers.XLSR_LIKE, pre_norm=False, positional_layers=3,
                                                   positional_kernel=9, conv_bias=False))}  # fmt: skip


def theirs(name, a: Architecture, kind="ForCTC"):
    import transformers

    channels, kernels, strides = zip(*a.conv, strict=True)
    more = {"feat_extract_norm": a.conv_norm, "do_stable_layer_norm": a.pre_norm,
            "num_conv_pos_embeddings": a.positional_kernel}  # fmt: skip
    if a.positional_layers:
        more = {"num_conv_pos_embeddings": a.positional_layers, "conv_pos_kernel_size": a.positional_kernel}
    config = getattr(transformers, f"{name}Config")(
        conv_dim=channels, conv_kernel=kernels, conv_stride=strides, conv_bias=a.conv_bias, hidden_size=a.width,
        num_hidden_layers=a.layers, num_attention_heads=a.heads, intermediate_size=a.inner,
        num_conv_pos_embedding_groups=a.positional_groups, vocab_size=len(peers.SYMBOLS), pad_token_id=1, **more,
    )  # fmt: skip
    torch.manual_seed(0)
    return peers._shaken(getattr(transformers, f"{name}{kind}")(config))


def save(model, folder, a):
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": a.normalise_input}))
    vocabulary = {name: row for row, name in enumerate(peers.SYMBOLS)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    return folder


@pytest.fixture(params=RELATIVES)
def relative(request, tmp_path):
    name, a = RELATIVES[request.param]
    model = theirs(name, a)
    return model, a, save(model, tmp_path / "theirs", a)


def waves():
    generator = torch.Generator().manual_seed(2)
    return [0.1 * torch.randn(n, generator=generator) for n in (3001, 2203)]


def test_log_probabilities_are_those_of_transformers(relative):
    model, a, folder = relative
    found = read(folder)
    ours = model_files.build(found.stored).eval()
    order = [peers.SYMBOLS.index(row) for row in ("<pad>", "|", "E", "T", "A", "<s>", "</s>", "<unk>")]
    for wave in waves():
        lengths = torch.tensor([len(wave)])
        x = normalise_waveform(wave[None], lengths, 1e-7) if a.normalise_input else wave[None]
        with torch.no_grad():
            expected = model(x).logits.log_softmax(dim=2)[:, :, order]
            got, _ = ours(wave[None], lengths)
        torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)
    assert found.stored.vocabulary[:3] == ("<blank>", "|", "e")
    assert not found.unused


def test_hidden_states_are_those_of_transformers(relative):
    model, a, folder = relative
    encoder = model_files.build(replace(read(folder).stored, kind="encoder",
                                        tensors=model_files.encoder_tensors(read(folder).stored))).eval()  # fmt: skip
    wave = waves()[0][None]
    lengths = torch.tensor([wave.shape[1]])
    x = normalise_waveform(wave, lengths, 1e-7) if a.normalise_input else wave
    with torch.no_grad():
        expected = model.base_model(x, output_hidden_states=True)
        got = encoder.hidden_states(wave, lengths)
    before = expected.hidden_states[: a.layers]
    for one, other in zip([*got[: a.layers], got[-1]], [*before, expected.last_hidden_state], strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def test_padding_changes_nothing(relative):
    ours = model_files.build(read(relative[2]).stored).eval()
    rows = waves()
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    with torch.no_grad():
        together, frames = ours(batch, torch.tensor([len(row) for row in rows]))
        for place, row in enumerate(rows):
            alone, _ = ours(row[None], torch.tensor([len(row)]))
            torch.testing.assert_close(together[place, : frames[place]], alone[0], atol=1e-5, rtol=1e-4)


def test_there_and_back_is_the_same_to_the_bit(relative, tmp_path):
    """HuBERT is written as wav2vec 2.0, which computes the same."""
    import transformers

    _, a, folder = relative
    convert(folder, tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "again", to="huggingface")
    before, after = model_files.read(tmp_path / "ours.safetensors"), read(tmp_path / "again").stored
    peers.assert_same(before.tensors, after.tensors)
    assert (
        before.architecture
        == after.architecture
        == replace(a, input_epsilon=after.architecture.input_epsilon)
    )
    loaded = transformers.AutoModelForCTC.from_pretrained(tmp_path / "again").eval()
    x, lengths = waves()[0][None], torch.tensor([3001])
    with torch.no_grad():
        expected = loaded(normalise_waveform(x, lengths, 1e-7) if a.normalise_input else x).logits
        got, _ = model_files.build(after).eval()(x, lengths)
    torch.testing.assert_close(got, expected.log_softmax(dim=2), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model_type": "wavlm"}, "model_type must be one of wav2vec2, hubert, data2vec-audio, got 'wavlm'"),
        ({"feat_proj_layer_norm": False}, "feat_proj_layer_norm must be True"),
        ({"conv_pos_batch_norm": True}, "conv_pos_batch_norm must be False"),
    ],
)
def test_other_relatives_are_refused(settings, sentence, tmp_path):
    folder = save(theirs("Hubert", peers.BASE_LIKE), tmp_path / "theirs", peers.BASE_LIKE)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    with pytest.raises(ConversionError, match=sentence):
        read(folder)


def test_fairseq_has_no_place_for_data2vecs_positions(tmp_path):
    name, a = RELATIVES["data2vec"]
    folder = save(theirs(name, a), tmp_path / "theirs", a)
    with pytest.raises(ConversionError, match="no place for data2vec's positions"):
        convert(folder, tmp_path / "theirs.pt", to="fairseq")
