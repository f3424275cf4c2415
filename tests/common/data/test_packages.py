"""Packages are fetched once, whole or not at all, and nothing in them is trusted."""

import hashlib
import io
import os
import stat
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from common.data import packages
from common.data.archives import UnsafeArchive, unpack
from common.data.packages import FetchError, Package, data_root, fetch, find_pip

STAND_IN = """#!{python}
import os, pathlib, shutil, sys
calls = pathlib.Path({calls!r})
calls.write_text(calls.read_text() + " ".join(sys.argv[1:]) + "\\n")
if "==9.9" in " ".join(sys.argv):
    print("WARNING: Retrying after NewConnectionError", file=sys.stderr)
    print("ERROR: no matching distribution found", file=sys.stderr)
    sys.exit("WARNING: There was an error checking the latest version of pip.")
shutil.copy({archive!r}, sys.argv[sys.argv.index("--dest") + 1])
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A pip that hands out one wheel and notes its calls; no registry is asked."""
    wheel = tmp_path / "clips-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as zipped:
        zipped.writestr("clips/a.txt", "kept")
        zipped.writestr("clips/b.py", "dropped")
    calls, pip = tmp_path / "calls", tmp_path / "bin" / "pip"
    calls.write_text("")
    pip.parent.mkdir()
    pip.write_text(STAND_IN.format(python=sys.executable, calls=str(calls), archive=str(wheel)))
    pip.chmod(0o755)
    monkeypatch.setattr(packages, "find_pip", lambda work: [str(pip)])
    package = Package(
        manager="pip",
        name="clips",
        version="1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        size_bytes=wheel.stat().st_size,
        licence="CC0-1.0",
        files=("clips/*.txt",),
    )
    return package, calls, wheel


def test_only_the_named_files_are_kept(registry, tmp_path):
    package, _, _ = registry
    folder = fetch(package, tmp_path / "root")
    assert folder == tmp_path / "root/packages/pip/clips-1.0"
    assert [p.name for p in (folder / "clips").iterdir()] == ["a.txt"]
    assert [p.name for p in folder.parent.iterdir()] == ["clips-1.0"]  # neither archive nor scratch stays


def test_a_second_fetch_asks_nobody(registry, tmp_path):
    package, calls, _ = registry
    fetch(package, tmp_path / "root")
    fetch(package, tmp_path / "root")
    assert len(calls.read_text().splitlines()) == 1


def test_other_files_wanted_later_are_fetched(registry, tmp_path):
    package, _, _ = registry
    fetch(package, tmp_path / "root")
    folder = fetch(replace(package, files=("clips/*",)), tmp_path / "root")
    assert (folder / "clips/b.py").read_text() == "dropped"


def test_two_papers_keep_different_files_of_one_package(registry, tmp_path):
    """Neither takes the other's away, and neither makes the other fetch again."""
    package, calls, _ = registry
    other = replace(package, files=("clips/b.py",))
    for wanted in (package, other, package, other):
        folder = fetch(wanted, tmp_path / "root")
    assert sorted(p.name for p in (folder / "clips").iterdir()) == ["a.txt", "b.py"]
    assert [p.name for p in folder.parent.iterdir()] == ["clips-1.0"]
    assert len(calls.read_text().splitlines()) == 2


def test_an_interrupted_fetch_leaves_nothing_and_is_done_again(registry, tmp_path, monkeypatch):
    package, calls, _ = registry

    def interrupted(*args):
        unpack(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packages, "unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(package, tmp_path / "root")
    assert not list((tmp_path / "root/packages/pip").iterdir())
    assert (fetch(package, tmp_path / "root") / "clips/a.txt").read_text() == "kept"
    assert len(calls.read_text().splitlines()) == 2


def test_a_folder_without_its_stamp_is_not_trusted(registry, tmp_path):
    """As a kill between two files leaves it."""
    package, _, _ = registry
    half = tmp_path / "root" / package.folder
    (half / "clips").mkdir(parents=True)
    (half / "clips/a.txt").write_text("ha")
    assert (fetch(package, tmp_path / "root") / "clips/a.txt").read_text() == "kept"


def test_other_bytes_are_named_and_used(registry, tmp_path, capsys):
    package, _, _ = registry
    fetch(replace(package, sha256="0" * 64), tmp_path / "root")
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1
    assert package.sha256 in warnings[0]
    assert "0" * 64 in warnings[0]


def test_another_version_is_named_and_used(registry, tmp_path, capsys):
    package, _, _ = registry
    folder = fetch(replace(package, version="9.9"), tmp_path / "root")
    assert (folder / "clips/a.txt").is_file()
    assert "WARNING pip:clips=9.9 is not to be had, took clips-1.0" in capsys.readouterr().err


def test_the_size_is_said_before_the_download(registry, tmp_path, capsys):
    package, _, _ = registry
    fetch(replace(package, size_bytes=12_300_000), tmp_path / "root")
    assert "fetching pip:clips=1.0 (12.3 MB)" in capsys.readouterr().err


def test_why_pip_failed_is_told_without_its_warnings(registry, tmp_path):
    package, _, wheel = registry
    wheel.unlink()
    with pytest.raises(
        FetchError, match=r"could not be fetched: ERROR: no matching distribution found\. Fetch"
    ):
        fetch(replace(package, version="9.9"), tmp_path / "root")


@pytest.mark.parametrize(("manager", "client"), [("apt", "apt-get"), ("npm", "npm")])
def test_without_a_client_the_error_says_what_to_place_where(
    registry, tmp_path, monkeypatch, manager, client
):
    package = replace(registry[0], manager=manager)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=f"no {client}.*clips 1.0.*{package.sha256}.*packages/archives"):
        fetch(package, tmp_path / "root")


def test_an_archive_placed_by_hand_needs_no_client(registry, tmp_path, monkeypatch):
    package, calls, wheel = registry
    place = tmp_path / "root/packages/archives"
    place.mkdir(parents=True)
    wheel.rename(place / wheel.name)
    assert (fetch(package, tmp_path / "root") / "clips/a.txt").read_text() == "kept"
    assert not calls.read_text()


def test_a_damaged_archive_is_a_sentence(registry, tmp_path):
    package, _, wheel = registry
    wheel.write_bytes(wheel.read_bytes()[:50])
    with pytest.raises(FetchError, match=r"clips-1\.0-py3-none-any\.whl is damaged"):
        fetch(package, tmp_path / "root")


def test_the_data_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("DATA_ROOT")
    assert data_root() == Path(packages.__file__).parents[2] / "data"


def test_pip_is_found_where_the_environment_has_none(tmp_path, monkeypatch):
    """uv makes environments without pip; the one on the PATH does as well."""
    pip = tmp_path / "pip3"
    pip.write_text("#!/bin/sh\nexit 0\n")
    pip.chmod(pip.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert find_pip(tmp_path) == [str(pip)]


# Archives


def tar_with(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            content = b"content" if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def zip_with(path, name, mode=0o100644, content="content"):
    with zipfile.ZipFile(path, "w") as zipped:
        info = zipfile.ZipInfo("placeholder")
        info.filename, info.external_attr = name, mode << 16  # past ZipInfo's own clean-up
        zipped.writestr(info, content)
    return path


def deb_with(path, *members):
    data = tar_with(path.with_suffix(".tar.gz"), *members).read_bytes()

    def part(name, content):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        return header + content + b"\n" * (len(content) % 2)

    path.write_bytes(b"!<arch>\n" + part("debian-binary", b"2.0") + part("data.tar.gz", data))
    return path


REG, SYM, HARD, FIFO = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE


@pytest.mark.parametrize("build", [tar_with, deb_with], ids=["tgz", "deb"])
@pytest.mark.parametrize(
    "member",
    [
        ("../evil", REG, ""),
        ("a/../../evil", REG, ""),
        ("/etc/evil", REG, ""),
        ("a/link", SYM, "../../evil"),
        ("a/link", SYM, "/etc/passwd"),
        ("a/link", HARD, "../evil"),
        ("pipe", FIFO, ""),
        ("disk", tarfile.BLKTYPE, ""),
    ],
    ids=lambda member: f"{member[0]}->{member[2]}",
)
def test_a_tar_that_reaches_out_is_refused(tmp_path, build, member):
    archive = build(tmp_path / ("a.tgz" if build is tar_with else "a.deb"), ("fine", REG, ""), member)
    with pytest.raises(UnsafeArchive, match=r"^a\."):
        unpack(archive, tmp_path / "in" / "side")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("name", "mode", "content"),
    [
        ("../evil", 0o100644, ""),
        ("/etc/evil", 0o100644, ""),
        ("C:/evil", 0o100644, ""),
        ("a\\..\\evil", 0o100644, ""),
        ("a/link", 0o120777, "../../evil"),
    ],
)
def test_a_zip_that_reaches_out_is_refused(tmp_path, name, mode, content):
    with pytest.raises(UnsafeArchive, match=r"^a\.whl"):
        unpack(zip_with(tmp_path / "a.whl", name, mode, content), tmp_path / "in")
    assert not list(tmp_path.rglob("*evil"))


def test_links_that_stay_inside_are_left_out(tmp_path):
    archive = tar_with(
        tmp_path / "a.tgz", ("./a/real", REG, ""), ("a/link", SYM, "real"), ("hard", HARD, "a/real")
    )
    assert unpack(archive, tmp_path / "in") == [tmp_path / "in/a/real"]


def test_a_deb_is_read_without_dpkg(tmp_path):
    archive = deb_with(tmp_path / "a.deb", ("./usr/share/a.jpg", REG, ""), ("./usr/share/b.txt", REG, ""))
    written = unpack(archive, tmp_path / "in", ("usr/*.jpg",))
    assert [path.read_bytes() for path in written] == [b"content"]


def test_a_pattern_without_a_match_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file that matches c/\*"):
        unpack(tar_with(tmp_path / "a.tgz", ("a", REG, "")), tmp_path / "in", ("a", "c/*"))
