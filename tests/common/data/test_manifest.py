"""A manifest is its content: order does not count, a changed byte does, and every bad item is named."""

import hashlib
from dataclasses import replace

import pytest

from common.data.manifest import Bad, Entry, Manifest, check_bad_share


def entry(root, id, content=b"content", keys=("scene:a",), part="train"):
    (root / f"{id}.txt").write_bytes(content)
    return Entry(id, f"{id}.txt", hashlib.sha256(content).hexdigest(), len(content), keys, part)


def decode(entry, path):
    path.read_text(encoding="ascii")


def test_what_is_written_is_read(tmp_path):
    manifest = Manifest((entry(tmp_path, "b", keys=("scene:ä", "speaker:1")), entry(tmp_path, "a")))
    manifest.write(tmp_path / "set" / "manifest.jsonl")
    assert Manifest.read(tmp_path / "set" / "manifest.jsonl") == manifest
    assert len((tmp_path / "set" / "manifest.jsonl").read_text().splitlines()) == 2


def test_the_hash_sees_every_field_and_no_order(tmp_path):
    a, b = entry(tmp_path, "a"), entry(tmp_path, "b")
    whole = Manifest((a, b)).sha256
    assert Manifest((b, a)).sha256 == whole
    for change in (
        {"sha256": "0"},
        {"keys": ("x",)},
        {"part": "test"},
        {"path": "c"},
        {"bytes": 1},
        {"id": "c"},
    ):
        assert Manifest((replace(a, **change), b)).sha256 != whole


def test_the_hash_of_the_empty_manifest_is_that_of_nothing():
    assert Manifest(()).sha256 == hashlib.sha256(b"").hexdigest()


def test_an_id_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="more than once: a"):
        Manifest((entry(tmp_path, "a"), entry(tmp_path, "a")))


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(ValueError, match=r"m\.jsonl line 1"):
        Manifest.read(tmp_path / "m.jsonl")


def test_verify_names_missing_changed_and_undecodable(tmp_path):
    names = ("fine", "gone", "changed", "garbled")
    manifest = Manifest(tuple(entry(tmp_path, n, b"\xff" if n == "garbled" else b"ok") for n in names))
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "changed.txt").write_bytes(b"okay")
    bad = {item.id: item.reason for item in manifest.verify(tmp_path, decode)}
    assert set(bad) == {"gone", "changed", "garbled"}
    assert bad["gone"] == "missing"
    assert hashlib.sha256(b"okay").hexdigest() in bad["changed"]
    assert hashlib.sha256(b"ok").hexdigest() in bad["changed"]
    assert bad["garbled"].startswith("UnicodeDecodeError: 'ascii' codec")


def test_every_entry_is_decoded_once(tmp_path):
    one = entry(tmp_path, "a")
    seen = []
    Manifest((one, replace(one, id="b"))).verify(tmp_path, lambda entry, path: seen.append((entry.id, path)))
    assert seen == [("a", tmp_path / "a.txt"), ("b", tmp_path / "a.txt")]


def test_the_cap_is_a_share_and_lists_the_bad():
    bad = [Bad("a", "a.txt", "missing"), Bad("b", "b.txt", "empty")]
    assert check_bad_share(bad, 100, cap=0.02) == 0.02
    with pytest.raises(
        ValueError, match=r"(?s)1 % of items may be bad, got 2 of 100.*a \(a.txt\): missing.*b.txt"
    ):
        check_bad_share(bad, 100, cap=0.01)
    with pytest.raises(ValueError, match="got 0"):
        check_bad_share([], 0, cap=0.5)
