"""A pack is the same bytes for the same content, small enough to carry, and says what belongs in it."""

import os
import subprocess

import pytest

from common.data import packs
from common.data.packs import open_pack, write_pack


def members(root):
    (root / "a.png").write_bytes(b"picture")
    return {"pictures": [("pictures/a.png", root / "a.png")], "words": [("words.json", b"[]")]}


def unpacked(path, root):
    root.mkdir()
    subprocess.run(["tar", "-xf", str(path), "-C", str(root)], check=True)
    return root


def test_equal_content_gives_equal_bytes(tmp_path):
    first = write_pack(tmp_path / "1.tar", "toy", "hash", members(tmp_path))
    os.utime(tmp_path / "a.png", (0, 0))
    (tmp_path / "a.png").chmod(0o600)
    assert write_pack(tmp_path / "2.tar", "toy", "hash", members(tmp_path)) == first
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_an_unpacked_pack_knows_its_files_and_their_manifest(tmp_path):
    write_pack(tmp_path / "p.tar", "toy", "hash", members(tmp_path))
    root = unpacked(tmp_path / "p.tar", tmp_path / "root")
    assert (root / "pictures/a.png").read_bytes() == b"picture"
    pack = open_pack(root, "toy")
    assert (pack.manifest_sha256, sorted(pack.files)) == ("hash", ["pictures/a.png", "words.json"])
    assert pack.faults(root) == []
    (root / "words.json").write_text("[1]")
    (root / "pictures/a.png").unlink()
    assert [bad.path for bad in pack.faults(root)] == ["pictures/a.png", "words.json"]


def test_where_no_pack_was_unpacked_there_is_none(tmp_path):
    assert open_pack(tmp_path, "toy") is None
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs/toy.json").write_text('{"name": "to')
    with pytest.raises(ValueError, match=r"toy\.json is damaged .* unpack the pack again"):
        open_pack(tmp_path, "toy")


def test_a_pack_too_large_names_its_parts_and_leaves_the_old_one(tmp_path, monkeypatch):
    write_pack(tmp_path / "p.tar", "toy", "hash", members(tmp_path))
    before = (tmp_path / "p.tar").read_bytes()
    monkeypatch.setattr(packs, "MOST_PACK_BYTES", 1_000_000)
    large = {"small": [("a", b"a")], "large": [("b", bytes(2_000_000))]}
    with pytest.raises(
        ValueError, match=r"must fit 1 MB, got 2\.0 \(small 0\.0, large 2\.0\); write several packs"
    ):
        write_pack(tmp_path / "p.tar", "toy", "hash", large)
    assert (tmp_path / "p.tar").read_bytes() == before
