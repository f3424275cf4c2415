"""Words of texts become an n-gram that other readers understand, and a beam search writes no others."""

import json
from pathlib import Path

import kenlm
import pytest
from speech_tool import ENGLISH, run, talkative, write

from speech_adapters.checkpoints import model_files
from speech_adapters.ctc import ngram
from speech_adapters.inference.recogniser import WordSearch

SENTENCES = ("Put the lamp on the table!", "put the key on the table", "Take the lamp.", "", "take the key")


@pytest.fixture
def arpa(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    (tmp_path / "dev.txt").write_text("take the table\nput the cat on the lamp\n")
    return tmp_path / "words.arpa"


def test_the_perplexity_that_is_told_is_kenlms_of_the_file(arpa, capfd):
    done = run("lm", arpa.parent / "texts.txt", "--out", arpa, "--dev", arpa.parent / "dev.txt", "--order", 2)
    assert done.exit_code == 0, done.output
    theirs = kenlm.Model(str(arpa))
    capfd.readouterr()  # KenLM draws a progress bar
    score = sum(theirs.score(text) for text in ("take the table", "put the cat on the lamp"))
    perplexity = 10 ** (-score / (3 + 6 + 2))  # with </s> of each
    assert done.stdout.splitlines() == [
        f"{arpa}: 2-gram of 4 sentences, 18 words, 7 different",
        f"{arpa.parent / 'dev.txt'}: perplexity {perplexity:.1f} over 9 words, 11.1 % of them unknown",
    ]


def test_unigrams_are_where_other_readers_look_for_words(arpa):
    """pyctcdecode takes the second of the fields that tabs part, between these two lines."""
    assert run("lm", arpa.parent / "texts.txt", "--out", arpa).exit_code == 0
    section = arpa.read_text().partition("\\1-grams:\n")[2].partition("\n\\2-grams:")[0]
    theirs = {line.split("\t")[1] for line in section.splitlines() if line}
    assert theirs - {"<s>", "</s>", "<unk>"} == {"put", "the", "lamp", "on", "table", "key", "take"}
    assert ngram.words_of(arpa) == sorted(theirs - {"<s>", "</s>", "<unk>"})


def test_texts_of_recordings_serve_too(tmp_path):
    rows = [json.dumps({"file_name": "a.wav", "text": text}) for text in SENTENCES if text]
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows))
    done = run("lm", tmp_path, "--out", tmp_path / "words.arpa")
    assert done.exit_code == 0, done.output
    assert "4 sentences, 18 words, 7 different" in done.stdout


def test_beam_search_takes_the_words_of_the_n_gram_that_can_be_spelled(tmp_path, capsys):
    ngram.estimate(["an été", "an ox"], order=2).write_arpa(tmp_path / "some.arpa")
    search = WordSearch(arpa=tmp_path / "some.arpa").over(ENGLISH)
    assert search.vocabulary == ENGLISH
    assert "1 of 3 words" in capsys.readouterr().err


def test_transcribe_and_evaluate_write_words_of_the_n_gram_alone(tmp_path):
    pytest.importorskip("flashlight.lib.text")
    model = tmp_path / "model.safetensors"
    model_files.save_recogniser(model, talkative(), ENGLISH.symbols)
    ngram.estimate(["a b", "b a"], order=2).write_arpa(tmp_path / "ab.arpa")
    write(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("a b a")
    given = ("--model", model, "--lm", tmp_path / "ab.arpa", "--device", "cpu")
    done = run("transcribe", tmp_path / "a.wav", *given, "--json")
    assert done.exit_code == 0, done.output
    assert set(json.loads((tmp_path / "a.json").read_text())["text"].split()) <= {"a", "b"}
    done = run("evaluate", tmp_path, *given, "--json", "--beam", 5)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["lm"] == str(tmp_path / "ab.arpa")
    assert all(set(one["hypothesis"].split()) <= {"a", "b"} for one in told["worst"])


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        (b"\xff\xfe", (), "must be UTF-8, got other bytes at 0"),
        (b"... 12 ...\n", (), "no words in it"),
        (None, (), "no such file or folder"),
        (b"a b\n", ("--order", 5), "no text is long enough for an n-gram of 5 words"),
        (b"a b\n", ("--adapter", "xx"), "no adapter set 'xx'"),
    ],
)
def test_what_makes_no_n_gram_is_one_sentence(content, words, sentence, tmp_path):
    if content is not None:
        (tmp_path / "texts.txt").write_bytes(content)
    done = run("lm", tmp_path / "texts.txt", "--out", tmp_path / "x.arpa", *words)
    assert (done.exit_code, done.stderr.count("\n"), sentence in done.stderr) == (2, 1, True), done.output
    assert not (tmp_path / "x.arpa").exists()


def test_an_n_gram_that_is_there_is_kept(arpa):
    arpa.write_text("mine")
    done = run("lm", arpa.parent / "texts.txt", "--out", arpa)
    assert done.exit_code == 2
    assert Path(arpa).read_text() == "mine"
    with pytest.raises(ValueError, match="lists no words"):
        ngram.words_of(arpa)
