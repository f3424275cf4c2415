"""No archive fills a disk or ends in an endless loop; a sound one on a full disk is not called damaged."""

import errno
import io
import json
import multiprocessing
import os
import shutil
import signal
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from common import files
from common.data import archives, packages
from common.data.archives import DamagedArchive, UnsafeArchive, unpack
from common.data.packages import FetchError, Package, data_root, fetch

MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch):
    monkeypatch.setattr(archives, "SMALL_BYTES", 3 * MEGABYTE)
    monkeypatch.setattr(archives, "FEW_MEMBERS", 100)


def _tar(path, sizes, kind="gz"):
    with tarfile.open(path, f"w:{kind}") as tar:
        for number, size in enumerate(sizes):
            info = tarfile.TarInfo(f"{number:05d}")
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
    return path


def _zip(path, sizes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, size in enumerate(sizes):
            zipped.writestr(f"{number:05d}", bytes(size))
    return path


def _bytes_below(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("build", "name"), [(_tar, "a.tgz"), (_zip, "a.zip")])
@pytest.mark.parametrize("sizes", [[20 * MEGABYTE], [MEGABYTE] * 20], ids=["one large", "many"])
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, build, name, sizes):
    with pytest.raises(UnsafeArchive, match=rf"^{name}: unpacks to more than 100 times its size.*refused"):
        unpack(build(tmp_path / name, sizes), tmp_path / "in")
    assert _bytes_below(tmp_path / "in") <= 3 * MEGABYTE


def test_a_bomb_of_files_is_refused(tmp_path):
    """A zip tells each member in more bytes than the least."""
    with pytest.raises(UnsafeArchive, match=r"more than \d+ members; refused"):
        unpack(_tar(tmp_path / "a.tgz", [0] * 400), tmp_path / "in")


def test_what_is_not_kept_counts_for_nothing(tmp_path):
    path = _tar(tmp_path / "a.tgz", [10, 20 * MEGABYTE])
    assert [p.name for p in unpack(path, tmp_path / "in", ("00000",))] == ["00000"]


def test_an_ordinary_archive_of_text_is_far_below_the_limits(tmp_path, monkeypatch):
    monkeypatch.undo()
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as tar:
        for path in sorted(Path(archives.__file__).parent.glob("*.py")):
            tar.add(path, path.name)
    written = unpack(tmp_path / "a.tar.xz", tmp_path / "in")
    assert 10 * _bytes_below(tmp_path / "in") < archives.MOST_RATIO * (tmp_path / "a.tar.xz").stat().st_size
    assert len(written) > 10


def test_a_file_with_holes_is_refused_whatever_size_it_claims(tmp_path):
    """As GNU tar writes it: a petabyte that is one hole."""
    info = tarfile.TarInfo("hole")
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole"}
    info.pax_headers = headers | {"GNU.sparse.realsize": str(10**15)}
    holes = b"1\n0\n0\n".ljust(512, b"\0")
    info.size = len(holes)
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(holes))
    with pytest.raises(UnsafeArchive, match="'hole' is a file with holes; refused"):
        unpack(tmp_path / "a.tar", tmp_path / "in")


@pytest.mark.parametrize("size", ["-60", "", "1e3", "0x10", "\u0663"])
def test_a_debian_package_with_a_size_that_is_none_is_damaged(tmp_path, size):
    header = f"{'control':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}".encode() + size.encode().ljust(10) + b"`\n"
    (tmp_path / "a.deb").write_bytes(b"!<arch>\n" + header + bytes(100))
    with pytest.raises(DamagedArchive, match=r"a\.deb is damaged \(member 'control' of size"):
        unpack(tmp_path / "a.deb", tmp_path / "in")


def _encrypted(path):
    """Nobody writes these with Python; the flag is what says so."""
    content = bytearray(_zip(path, [100]).read_bytes())
    content[content.find(b"PK\3\4") + 6] |= 1
    content[content.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


def _of_unknown_compression(path):
    content = bytearray(_zip(path, [100]).read_bytes())
    content[content.find(b"PK\3\4") + 8] = 99
    content[content.find(b"PK\1\2") + 10] = 99
    path.write_bytes(content)


def _doubled(path):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            zipped.writestr("a", "2")


def _through_a_file(path):
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("a", "1")
        zipped.writestr("a/b", "2")


@pytest.mark.parametrize("build", [_encrypted, _of_unknown_compression, _doubled, _through_a_file])
def test_a_zip_that_cannot_be_read_is_one_sentence(tmp_path, build):
    build(tmp_path / "a.zip")
    with pytest.raises(DamagedArchive, match=r"^a\.zip is (damaged|encrypted)"):
        unpack(tmp_path / "a.zip", tmp_path / "in")


@pytest.mark.parametrize(("kind", "name"), [("gz", "a.tgz"), ("xz", "a.tar.xz"), ("bz2", "a.tar")])
def test_an_archive_that_was_cut_or_altered_is_damaged(tmp_path, kind, name):
    path = _tar(tmp_path / name, [50_000], kind)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:40] + bytes(20) + whole[60:], b""):
        path.write_bytes(content)
        with pytest.raises(DamagedArchive, match=rf"^{name} is damaged \("):
            unpack(path, tmp_path / "in")
        shutil.rmtree(tmp_path / "in", ignore_errors=True)


# ---- packages


def _package(tmp_path, name="clips-1.0-py3-none-any.whl", **changes):
    """A package whose archive was placed by hand, and the data root."""
    root = tmp_path / "root"
    (root / "packages" / "archives").mkdir(parents=True)
    with zipfile.ZipFile(root / "packages" / "archives" / name, "w") as zipped:
        for letter in "abc":
            zipped.writestr(f"clips/{letter}.txt", letter * 1000)
    fields = {"manager": "pip", "name": "clips", "version": "1.0", "sha256": "0" * 64, "size_bytes": 1}
    return Package(**fields, licence="CC0-1.0", files=("clips/*.txt",), **changes), root


def test_a_sound_archive_on_a_full_disk_is_not_called_damaged(tmp_path, monkeypatch):
    package, root = _package(tmp_path)
    original = Path.open

    class Full(io.BytesIO):
        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", **more: Full() if mode == "xb" else original(self, mode, **more)
    )
    with pytest.raises(OSError, match=r"No space left on device while unpacking clips.*a\.txt") as fault:
        fetch(package, root)
    assert not isinstance(fault.value, FetchError)
    assert not list((root / "packages" / "pip").iterdir())


@pytest.mark.parametrize(
    "content", ["", '{"files": ["clips', "[]", "5", '{"files": 5}', '{"files": [], "kept": {"a": 1}}', "\0"]
)
def test_a_half_written_stamp_costs_one_more_fetch(tmp_path, capsys, content):
    package, root = _package(tmp_path)
    stamp = fetch(package, root) / packages.STAMP
    stamp.write_text(content)
    fetch(package, root)
    assert f"{stamp} is damaged; its package is fetched again" in capsys.readouterr().err
    assert set(json.loads(stamp.read_text())["kept"]) == {f"clips/{letter}.txt" for letter in "abc"}


@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_kept_file_that_is_not_as_unpacked_is_named_and_fetched_again(tmp_path, capsys, damage):
    package, root = _package(tmp_path)
    folder = fetch(package, root)
    fetch(replace(package, files=("clips/c.txt",)), root)
    path = folder / "clips" / "b.txt"
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("b" * 999 if damage == "cut" else "B" * 1000)
    fetch(package, root)
    assert path.read_text() == "b" * 1000
    assert "clips/b.txt is not as unpacked; the package is fetched again" in capsys.readouterr().err


def test_files_that_were_copied_elsewhere_are_hashed_once_and_not_fetched(tmp_path, capsys, monkeypatch):
    package, root = _package(tmp_path)
    folder = fetch(package, root)
    for path in folder.rglob("*.txt"):
        os.utime(path, ns=(1, 1))
    fetch(package, root)
    monkeypatch.setattr(packages, "file_sha256", lambda path: pytest.fail("read again"))
    assert fetch(package, root) == folder
    assert "fetched again" not in capsys.readouterr().err


def test_what_was_kept_before_files_were_hashed_is_hashed_and_kept(tmp_path, capsys):
    package, root = _package(tmp_path)
    stamp = fetch(package, root) / packages.STAMP
    told = json.loads(stamp.read_text())
    del told["kept"]
    stamp.write_text(json.dumps(told))
    fetch(package, root)
    assert len(json.loads(stamp.read_text())["kept"]) == 3
    assert "fetched again" not in capsys.readouterr().err


def _unpack_and_wait(package, root, ready):
    def waits(*told):
        unpack(*told)
        ready.set()
        signal.pause()

    packages.unpack = waits
    fetch(package, root)


def test_what_a_kill_leaves_while_unpacking_is_swept(tmp_path):
    package, root = _package(tmp_path)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    writer = context.Process(target=_unpack_and_wait, args=(package, root, ready))
    writer.start()
    while not ready.is_set():
        assert writer.is_alive()
        time.sleep(0.02)
    writer.kill()
    writer.join()
    files._sweep_once.cache_clear()  # as in the next process
    folder = fetch(package, root)
    assert list(folder.parent.iterdir()) == [folder]


def test_a_data_root_at_home_is_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA_ROOT", "~/d")
    assert data_root() == tmp_path / "d"
