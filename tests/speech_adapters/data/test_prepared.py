"""Prepared speech: nothing crosses a split, nothing bad slips through, and preparing again changes nothing."""

import tarfile
from dataclasses import dataclass, replace
from multiprocessing import forkserver, get_context

import numpy as np
import pytest
import soundfile
from patience import HANG_S

from common.data import packs as common_packs
from common.data import sealed
from common.data.packages import data_root
from common.data.pcm import levelled
from speech_adapters.data import packs, prepared
from speech_adapters.data.decoding import speech_range
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.raw import RawUtterance, text_key
from speech_adapters.data.source import PARTS
from speech_adapters.data.sources import ASTERISK, PACKAGED
from speech_adapters.data.splits import PRETRAINING_SPLIT, SPLIT, split_parts
from speech_adapters.data.text import normalise

RATE = 16_000
LISTED: list[RawUtterance] = []


@dataclass(frozen=True)
class ToyPackage(PackagedSpeech):
    """A source whose recordings are files of the data root."""

    language = "en"
    name = "toy"

    @property
    def packages(self):
        return ()

    def read(self, root):
        return list(LISTED)


TOY = ToyPackage()


def speech(seed, duration_s=0.8, rate_hz=RATE):
    """Half a second of silence, noise that swells, half a second of silence."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.1, round(duration_s * rate_hz)) * np.hanning(round(duration_s * rate_hz))
    return np.pad(sound, rate_hz // 2).astype(np.float32).clip(-1, 1)


def spelled(number):
    """Digits as letters, since texts lose their digits."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def utterance(name, text="some words", **changes):
    text_keys = (f"words:{text}", text_key("en", normalise(text, "en")))
    return replace(
        RawUtterance(
            id=name, source="toy", language="en", text=normalise(text, "en"), raw_text=text, keys=text_keys,
            speaker="nobody", path=f"toy/{name}.wav",
        ),
        **changes,
    )  # fmt: skip


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A source whose recordings are files of a temporary data root; tests put utterances into its list."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    (tmp_path / "toy").mkdir()
    LISTED.clear()
    return LISTED


def recorded(root, listed, number):
    for i in range(number):
        listed.append(utterance(f"u{i:02d}", f"text {spelled(i)}"))
        soundfile.write(root / listed[-1].path, speech(i), RATE)


def everything(source=TOY):
    return [found for part in PARTS for found in source.utterances(part)]


def test_prepared_samples_are_those_of_the_recording(tmp_path, toy):
    recorded(tmp_path, toy, 12)
    TOY.prepare()
    assert sorted(one.id for one in everything()) == [u.id for u in toy]
    for one in everything():
        whole, _ = soundfile.read(tmp_path / "toy" / f"{one.id}.wav", dtype="float32")
        expected = levelled(whole[one.lead : one.lead + one.samples])
        np.testing.assert_array_equal(one.waveform(), expected)
        assert np.abs(one.waveform()).max() == round(0.9 * 32767)


def test_clips_lie_end_to_end(tmp_path, toy):
    recorded(tmp_path, toy, 12)
    TOY.prepare()
    ends = 0
    for one in sorted(everything(), key=lambda one: one.start):
        assert one.start == ends
        ends += one.samples


def test_silence_is_cut_to_its_margins():
    sound = np.zeros(3 * RATE, np.float32)
    sound[RATE : 2 * RATE] = 0.5
    sound[2 * RATE : 2 * RATE + 800] = 0.5 * 10 ** (-39 / 20)  # within 40 dB: still speech
    sound[2 * RATE + 800 : 2 * RATE + 1_600] = 0.5 * 10 ** (-41 / 20)
    assert speech_range(sound) == (RATE - 1_600, 2 * RATE + 800 + 1_600)


def test_speech_up_to_the_edges_is_kept_whole():
    sound = np.full(4_001, 0.1, np.float32)
    assert speech_range(sound) == (0, 4_001)


def test_preparing_twice_changes_nothing(tmp_path, toy):
    recorded(tmp_path, toy, 5)
    TOY.prepare()
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(tmp_path)}
    toy.clear()  # nobody asks again
    TOY.prepare()
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(tmp_path)} == before
    assert sorted(path.suffix for path in before) == [".json", ".json", ".npy"]


def files(root):
    return [path for path in (root / "speech").iterdir() if path.name != ".writer"]


def test_two_processes_prepare_once(tmp_path, toy):
    """So many that each decodes in further processes, and in order."""
    recorded(tmp_path, toy, 40)
    forkserver._forkserver._stop()  # one that an earlier test started is no child of a fork
    starts = [get_context("fork").Process(target=TOY.prepare) for _ in range(2)]
    for process in starts:
        process.start()
    for process in starts:
        process.join(HANG_S)
    assert [process.exitcode for process in starts] == [0, 0]
    assert len(files(tmp_path)) == 3
    assert len(everything()) == 40
    assert TOY.verify() == []


def test_an_interrupted_preparation_leaves_nothing_that_counts(tmp_path, toy, monkeypatch):
    recorded(tmp_path, toy, 5)
    with monkeypatch.context() as broken:
        broken.setattr(prepared, "write_atomically", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            TOY.prepare()
    with pytest.raises(ValueError, match="toy is not prepared in"):
        TOY.utterances("train")
    TOY.prepare()
    assert len(everything()) == 5


# ---- bad files and odd ones


def save(**options):
    return lambda path: soundfile.write(path, speech(99, rate_hz=options["samplerate"]), **options)


def stereo(path):
    soundfile.write(path, np.stack([speech(99), speech(98)], 1), RATE)


def nan(path):
    sound = speech(99)
    sound[9_000] = np.nan
    soundfile.write(path, sound, RATE, subtype="FLOAT")


def truncated(path):
    soundfile.write(path, speech(99), RATE)
    path.write_bytes(path.read_bytes()[:9_000])


GOOD = {
    "8-bit": save(samplerate=RATE, subtype="PCM_U8"),
    "8 kHz": save(samplerate=8_000),
    "11 kHz": save(samplerate=11_025),
    "44.1 kHz": save(samplerate=44_100),
    "stereo": stereo,
}
BAD = {
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "truncated": (truncated, "breaks off: promises"),
    "text": (lambda path: path.write_text("once upon a time\n" * 99), "has no sound|cannot be read"),
    "NaN": (nan, "not numbers"),
    "0.01 s": (lambda path: soundfile.write(path, speech(99)[9_000:9_160], RATE), "at least 0.025 s"),
    "silent": (lambda path: soundfile.write(path, np.zeros(RATE), RATE), "is silent"),
    "missing": (lambda path: None, "cannot be read"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_odd_formats_are_read(tmp_path, toy, kind):
    recorded(tmp_path, toy, 1)
    toy.append(utterance("odd", "odd"))
    GOOD[kind](tmp_path / "toy/odd.wav")
    TOY.prepare()
    assert TOY.bad() == ()
    (odd,) = (one for one in everything() if one.id == "odd")
    assert odd.samples / RATE == pytest.approx(0.96, abs=0.06)  # 0.8 s that swell and fade, with margins


@pytest.mark.parametrize("kind", BAD)
def test_every_bad_file_gives_one_named_line_and_leaves_the_rest(tmp_path, toy, capsys, kind):
    recorded(tmp_path, toy, 20)
    toy.append(utterance("broken", "broken"))
    make, says = BAD[kind]
    make(tmp_path / "toy/broken.wav")
    TOY.prepare()
    assert len(everything()) == 20
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "broken" in line)
    assert line.startswith("bad, left out: broken (toy/broken.wav): ")
    assert any(words in line for words in says.split("|"))
    assert [fault.id for fault in TOY.bad()] == ["broken"]


def test_more_bad_files_than_a_twentieth_stop_with_the_list(tmp_path, toy):
    recorded(tmp_path, toy, 19)
    for name in ("empty", "text"):
        toy.append(utterance(name, name))
        BAD[name][0](tmp_path / f"toy/{name}.wav")
    with pytest.raises(ValueError, match=r"at most 5 % .* got 2 of 21:\n  empty \(toy.*\n  text \(toy"):
        TOY.prepare()
    assert files(tmp_path) == []


def test_what_a_rule_leaves_out_is_counted_and_not_bad(tmp_path, toy):
    recorded(tmp_path, toy, 3)
    toy += [
        utterance("digits", "dial 500"),
        utterance("wordless", "..."),
        utterance("flawed", "two", flaw="has two texts"),
        utterance("long", "long"),
        utterance("short", "short"),
        utterance("fast", "thirty letters in a second is more than anybody can say"),
    ]
    soundfile.write(tmp_path / "toy/long.wav", speech(1, 18.0), RATE)
    soundfile.write(tmp_path / "toy/fast.wav", speech(3), RATE)
    soundfile.write(tmp_path / "toy/short.wav", speech(2)[9_000:12_200], RATE)  # 0.2 s
    TOY.prepare()
    assert TOY.bad() == ()
    assert len(everything()) == 3
    assert TOY.left_out() == {
        "has digits, signs or brackets in its text": 1,
        "has more text than its sound can hold": 1,
        "has no words": 1,
        "has two texts": 1,
        "longer than 16 s": 1,
        "shorter than 0.3 s": 1,
    }


# ---- splits


def members(groups, repeats=3):
    """Utterances of many groups; every tenth text is said in another group too."""
    for g in range(groups):
        for r in range(repeats):
            text = f"shared {spelled(g % 7)}" if r == 0 and g % 10 == 0 else f"{spelled(g)} says {spelled(r)}"
            one = utterance(f"g{g:03d}-{r}", text, keys=(f"dialogue:{g}", text_key("en", text)))
            yield one, f"sha of {one.id}"


@pytest.mark.parametrize("split", [SPLIT, PRETRAINING_SPLIT])
def test_neither_text_nor_group_nor_recording_crosses(split):
    items = list(members(300))
    items.append((utterance("again", "same recording, other text"), "sha of g001-1"))
    parts = split_parts(split, items)
    for key_of in (lambda u, _: u.group, lambda u, _: u.text, lambda _, digest: digest):
        where = {}
        for u, digest in items:
            if u.id in parts:
                where.setdefault(key_of(u, digest), set()).add(parts[u.id])
        assert {len(found) for found in where.values()} == {1}
    assert 0 < len(items) - len(parts) <= 30 + 2


def test_what_is_left_out_stands_in_two_parts():
    items = list(members(300))
    parts = split_parts(PRETRAINING_SPLIT, items)
    gone = {u.text for u, _ in items if u.id not in parts}
    assert gone
    assert all(text.startswith("shared") for text in gone)


@pytest.mark.parametrize(
    ("split", "shares"), [(SPLIT, (0.74, 0.08, 0.18)), (PRETRAINING_SPLIT, (0.88, 0.04, 0.08))]
)
def test_parts_have_their_shares(split, shares):
    items = [(utterance(f"u{i}", f"text {spelled(i)}"), f"sha {i}") for i in range(1_500)]
    parts = list(split_parts(split, items).values())
    found = [parts.count(part) / len(parts) for part in PARTS]
    np.testing.assert_allclose(found, shares, atol=4 * np.sqrt(0.25 / 1_500))


def test_a_group_keeps_its_part_whatever_else_there_is():
    items = [(utterance(f"u{i}", f"text {spelled(i)}"), f"sha {i}") for i in range(50)]
    alone = split_parts(SPLIT, items[:10])
    assert len(alone) == 10
    assert alone.items() <= split_parts(SPLIT, items).items()


def test_parallel_languages_stay_parallel():
    """The same group in two languages, other texts and recordings: the same part."""
    english = [(utterance(f"u{i}", f"text {spelled(i)}"), f"sha {i}") for i in range(100)]
    french = [
        (replace(u, language="fr", keys=(u.group, text_key("fr", f"texte {spelled(i)}"))), f"autre {i}")
        for i, (u, _) in enumerate(english)
    ]
    parts = split_parts(SPLIT, english)
    assert len(parts) == 100
    assert split_parts(SPLIT, french) == parts


def test_an_unknown_split_is_refused(toy):
    with pytest.raises(ValueError, match="train, dev or test, got 'valid'"):
        TOY.utterances("valid")


# ---- what identifies the data


def test_the_manifest_is_that_of_the_content(tmp_path, toy):
    recorded(tmp_path, toy, 5)
    TOY.prepare()
    first = prepared.manifest_sha256([TOY])
    for path in files(tmp_path):
        path.unlink()
    soundfile.write(tmp_path / toy[0].path, speech(50), RATE)
    prepared._index.cache_clear()
    TOY.prepare()
    assert prepared.manifest_sha256([TOY]) != first


def test_verifying_names_what_changed(tmp_path, toy):
    recorded(tmp_path, toy, 5)
    TOY.prepare()
    assert TOY.verify() == []
    soundfile.write(tmp_path / toy[0].path, speech(50), RATE)
    (tmp_path / toy[1].path).write_bytes(b"")
    del toy[2]
    found = {fault.id: fault.reason for fault in TOY.verify()}
    assert found.keys() == {"u00", "u01", "u02"}
    assert found["u00"].startswith("sha256 must be ")
    assert "is empty" in found["u01"]
    assert found["u02"] == "missing"


def test_damaged_samples_on_disk_are_found(tmp_path, toy):
    recorded(tmp_path, toy, 3)
    TOY.prepare()
    (store,) = (tmp_path / "speech").glob("*.npy")
    content = bytearray(store.read_bytes())
    content[-20_000] ^= 1
    store.write_bytes(content)
    prepared._mapped.cache_clear()
    assert [fault.reason for fault in TOY.verify()] == ["its prepared samples are not those of the recording"]
    sealed.check_once.cache_clear()  # as the next process begins
    with pytest.raises(
        ValueError, match=r"toy-\w+\.npy: sha256 must be .*remove .*toy-\w+\.\* and start again"
    ):
        TOY.prepare()


# ---- packs


def unpacked(tmp_path, toy, monkeypatch):
    """A second data root that holds a pack and nothing else."""
    recorded(tmp_path, toy, 8)
    toy.append(utterance("digits", "dial 500"))
    digest = prepared.pack(tmp_path / "a.tar", [TOY])
    assert prepared.pack(tmp_path / "b.tar", [TOY]) == digest
    there = tmp_path / "there"
    with tarfile.open(tmp_path / "a.tar") as tar:
        tar.extractall(there, filter="data")
    toy.clear()
    monkeypatch.setenv("DATA_ROOT", str(there))
    return there


def test_speech_from_a_pack_is_the_same(tmp_path, toy, monkeypatch):
    there = unpacked(tmp_path, toy, monkeypatch)
    TOY.prepare()
    from_pack = everything(), prepared.manifest_sha256([TOY]), TOY.left_out()
    sounds = [one.waveform().tolist() for one in everything()]
    assert TOY.verify() == []
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    assert (everything(), prepared.manifest_sha256([TOY]), TOY.left_out()) == from_pack
    assert [one.waveform().tolist() for one in everything()] == sounds
    assert len(sounds) == 8
    assert there.name == "there"


def test_a_damaged_pack_is_named(tmp_path, toy, monkeypatch):
    there = unpacked(tmp_path, toy, monkeypatch)
    store = there / packs.FOLDER / "toy.bin"
    content = bytearray(store.read_bytes())
    content[100] ^= 1
    store.write_bytes(content)
    with pytest.raises(ValueError, match=r"got 1 of 8:\n  u00 .*other bytes at 0 than were packed"):
        TOY.prepare()


def test_a_pack_that_is_too_large_says_what_takes_the_room(tmp_path, toy, monkeypatch):
    monkeypatch.setattr(common_packs, "MOST_PACK_BYTES", 100_000)
    recorded(tmp_path, toy, 3)
    with pytest.raises(ValueError, match=r"must fit 0 MB, got 0.2 \(toy 0.2\)"):
        prepared.pack(tmp_path / "a.tar", [TOY])
    assert not (tmp_path / "a.tar").exists()


# ---- the packages themselves


@pytest.mark.corpus
@pytest.mark.parametrize("source", PACKAGED, ids=lambda source: source.name)
def test_real_speech_obeys_the_law_of_splits(source):
    if not source.index_path().exists():
        pytest.skip(f"{source.name} was not prepared in {data_root()}; run `make data-asr-adapters`")
    parts = [source.utterances(part) for part in PARTS]
    for key in ("text", "group", "id"):
        found = [{getattr(utterance, key) for utterance in part} for part in parts]
        assert sum(map(len, found)) == len(set.union(*found))
        assert all(found)


@pytest.mark.corpus
def test_asterisk_languages_split_alike():
    here = [source for source in ASTERISK.values() if source.index_path().exists()]
    if len(here) < 2:
        pytest.skip(f"fewer than two languages were prepared in {data_root()}; run `make data-asr-adapters`")
    part_of = {}
    for source in here:
        for part in PARTS:
            for utterance in source.utterances(part):
                assert part_of.setdefault(utterance.id, part) == part
    assert len(part_of) > 400
