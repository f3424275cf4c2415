"""What was prepared is what is read, or one sentence with the way out."""

import numpy as np
import pytest

from common.data import sealed
from common.data.arrays import save_array


@pytest.fixture
def folder(tmp_path):
    """Two arrays, of which one lies deeper."""
    for name in ("a.npy", "deep/b.npy"):
        save_array(tmp_path / name, np.arange(1000))
    sealed.seal(tmp_path / sealed.SEAL, tmp_path.rglob("*.npy"))
    return tmp_path


def _read_anew(folder):
    """As the next process would."""
    sealed._sealed.cache_clear()
    sealed.check_once.cache_clear()
    return sealed.mapped(folder / "a.npy", folder / sealed.SEAL)


def test_what_was_prepared_is_read_and_found_sound(folder):
    assert np.array_equal(_read_anew(folder), np.arange(1000))
    assert np.array_equal(sealed.mapped(folder / "deep" / "b.npy", folder / sealed.SEAL), np.arange(1000))
    sealed.check_once(folder / sealed.SEAL)
    assert sealed.faults(folder / sealed.SEAL) == []


def test_a_zeroed_block_is_found_by_hash_and_hashed_once_a_run(folder, monkeypatch):
    content = bytearray((folder / "deep" / "b.npy").read_bytes())
    content[4000:6000] = bytes(2000)
    (folder / "deep" / "b.npy").write_bytes(content)
    _read_anew(folder)
    told = r"b\.npy: sha256 must be [0-9a-f]{64}, is [0-9a-f]{64}; remove .* and start again"
    with pytest.raises(ValueError, match=told):
        sealed.check_once(folder / sealed.SEAL)
    assert [(bad.id, bad.reason[:6]) for bad in sealed.faults(folder / sealed.SEAL)] == [
        ("deep/b.npy", "sha256")
    ]
    sealed.seal(folder / sealed.SEAL, [folder / "deep" / "b.npy"])  # prepared anew
    sealed.check_once(folder / sealed.SEAL)
    monkeypatch.setattr(sealed, "file_sha256", lambda path: pytest.fail("hashed twice"))
    sealed.check_once(folder / sealed.SEAL)


@pytest.mark.parametrize("is_sealed", [True, False])
@pytest.mark.parametrize("damage", ["cut", "emptied", "deleted", "longer", "no array"])
def test_an_array_that_is_not_whole_is_one_sentence(folder, damage, is_sealed):
    path = folder / "a.npy"
    whole = path.read_bytes()
    contents = {"cut": whole[:-500], "emptied": b"", "longer": whole + b"more", "no array": bytes(len(whole))}
    path.unlink() if damage == "deleted" else path.write_bytes(contents[damage])
    if not is_sealed:
        (folder / sealed.SEAL).unlink()
        if damage == "longer":
            return
    with pytest.raises(ValueError, match=r"a\.npy: .*; remove .* and start again"):
        _read_anew(folder)


@pytest.mark.parametrize("content", ["", "[]", "5", '{"a.npy": 1}', '{"a.npy": ["x", "y"]}', '{"a.npy'])
def test_a_damaged_seal_is_one_sentence(folder, content):
    (folder / sealed.SEAL).write_text(content)
    with pytest.raises(ValueError, match=r"prepared\.json is damaged .* start again"):
        _read_anew(folder)


def test_what_was_prepared_before_there_were_seals_is_read_as_it_is(tmp_path):
    save_array(tmp_path / "a.npy", np.arange(3))
    assert sealed.mapped(tmp_path / "a.npy", tmp_path / sealed.SEAL).tolist() == [0, 1, 2]
    sealed.check_once(tmp_path / sealed.SEAL)


def test_parts_are_sealed_one_after_another(folder):
    save_array(folder / "c.npy", np.arange(5))
    sealed.seal(folder / sealed.SEAL, [folder / "c.npy"])
    (folder / "a.npy").write_bytes(b"")
    assert [bad.id for bad in sealed.faults(folder / sealed.SEAL)] == ["a.npy"]


def test_what_is_prepared_under_one_name_has_a_seal_of_its_own(tmp_path):
    for name in ("one", "two"):
        save_array(tmp_path / f"{name}.npy", np.arange(1000))
        sealed.seal(sealed.seal_of(tmp_path / f"{name}.npy"), [tmp_path / f"{name}.npy"])
    (tmp_path / "one.npy").write_bytes(b"")
    sealed.check_once(sealed.seal_of(tmp_path / "two.npy"))
    told = r"one\.npy: must hold 8128 bytes, holds 0; remove .*one\.\* and start again"
    with pytest.raises(ValueError, match=told):
        sealed.check_once(sealed.seal_of(tmp_path / "one.json"))
