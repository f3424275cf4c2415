"""Rules about the repository itself: imports, tracked files, pins, and what `make` offers."""

import ast
import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from patience import HANG_S

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAPERS: dict[str, str] = PYPROJECT["tool"]["reproductions"]["papers"]
PACKAGES = ("common", "video_sr", "speech_adapters", "multimodal_ssl", "benchmarks")
# Each may import those before it.
CLIPS_ROOMS = (
    *("model", "composed", "corpora", "evaluation", "contrast", "former", "search", "data", "arms", "claims"),
    *("report", "figures", "recipes", "paper"),
)
SPEECH_ROOMS = ("model", "data", "checkpoints", "ctc", "pretrain", "inference", "fairseq_plugin")
FORBIDDEN = {  # importer: what it must not import; the longest importer that fits decides
    "common": ("video_sr", "speech_adapters", "multimodal_ssl", "benchmarks"),
    "video_sr": ("speech_adapters", "multimodal_ssl", "benchmarks"),
    "multimodal_ssl": ("video_sr", "speech_adapters", "benchmarks"),
    **{
        f"multimodal_ssl.{room}": (
            *("video_sr", "speech_adapters", "benchmarks"),
            *(f"multimodal_ssl.{other}" for other in CLIPS_ROOMS[place + 1 :]),
        )
        for place, room in enumerate(CLIPS_ROOMS)
    },
    "speech_adapters": (
        "video_sr",
        "multimodal_ssl",
        "benchmarks",
        "speech_adapters.asr",
        "speech_adapters.continual",
    ),
    **{  # a room imports only those named before it
        f"speech_adapters.{room}": (
            "video_sr",
            "multimodal_ssl",
            "benchmarks",
            "speech_adapters.asr",
            "speech_adapters.continual",
            *(f"speech_adapters.{later}" for later in SPEECH_ROOMS[place + 1 :]),
        )
        for place, room in enumerate(SPEECH_ROOMS)
    },
    "speech_adapters.__main__": ("video_sr", "multimodal_ssl", "benchmarks"),  # the tool serves both papers
    "speech_adapters.asr": ("video_sr", "multimodal_ssl", "benchmarks", "speech_adapters.continual"),
    "speech_adapters.continual": ("video_sr", "multimodal_ssl", "benchmarks", "speech_adapters.asr"),
}
MEGABYTE = 1_000_000
MEDIA_AND_PICKLES = {
    *(".mp4", ".mkv", ".mov", ".webm", ".avi", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".g722"),
    *(".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"),
}
# Written so that no pattern matches its own source.
UNWANTED = {
    "a machine's path": re.compile(r"(?<![\w.>}])/(work|root|home|Users)/\w"),
    "a registry's address": re.compile(
        r"(pypi[.]org|pythonhosted[.]org|registry[.]npmjs|deb[.]debian[.]org/)|--(extra-)?index[-]url[ =]"
    ),
    "an unfinished note": re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b"),
}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def python_files(root: Path) -> Iterator[Path]:
    return itertools.chain.from_iterable((root / package).rglob("*.py") for package in PACKAGES)


def imported_modules(path: Path, root: Path) -> set[str]:
    """Every module that the file names in an import, at any depth; `from a import b` names a and a.b."""
    package = path.relative_to(root).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names.update({origin, *(f"{origin}.{alias.name}" for alias in node.names)})
    return names


def wrong_imports(root: Path) -> list[str]:
    wrong = []
    for path in python_files(root):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        rules = [importer for importer in FORBIDDEN if within(module, importer)]
        banned = FORBIDDEN[max(rules, key=len)] if rules else ()
        for name, ban in itertools.product(sorted(imported_modules(path, root)), banned):
            if within(name, ban):
                wrong.append(f"{path.relative_to(root)} imports {name}")
    return wrong


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Under `make -n` or `make -j` the outer make's flags must not reach the make that a test starts.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=HANG_S, check=False
    )


def loaded_by(modules: list[str], suspects: set[str]) -> set[str]:
    """Which of the suspects a fresh interpreter has loaded after importing the modules."""
    done = run(sys.executable, "-c", f"import sys, {', '.join(modules)}\nprint(*sys.modules)")
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()} & suspects


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    # The clone of a continuous integration machine often belongs to another user.
    done = run("git", "-c", "safe.directory=*", "ls-files", "-z")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    if not files:
        pytest.skip("git tracks no file here: not a clone")
    return [path for path in files if path.is_file()]


@pytest.fixture(scope="module")
def lock() -> dict[str, list[tuple[Requirement, str]]]:
    """Pins and their hashes by canonical name; one name may have a pin per Python version."""
    pins: dict[str, list[tuple[Requirement, str]]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8")):
        head, _, hashes = block.partition("\\\n")
        pin = Requirement(head.strip())
        pins.setdefault(canonicalize_name(pin.name), []).append((pin, hashes))
    return pins


# ---- dependencies


def direct_requirements() -> set[str]:
    project = PYPROJECT["project"]
    return {*project["dependencies"], *project["optional-dependencies"]["dev"]}


def test_conda_environment_is_the_lock_and_the_list_of_pyproject():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (pip_section,) = [part["pip"] for part in conda if isinstance(part, dict)]
    # First, because pip takes pin and hash from where a name is mentioned first.
    assert pip_section[0] == "-r requirements.lock"
    assert set(pip_section[1:]) == direct_requirements()


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_lock_satisfies_every_requirement(lock, python):
    environment = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    for requirement in map(Requirement, direct_requirements()):
        pins = [pin for pin, _ in lock[canonicalize_name(requirement.name)]]
        (pin,) = [pin for pin in pins if not pin.marker or pin.marker.evaluate(environment)]
        (version,) = pin.specifier
        assert version.operator == "=="
        assert requirement.specifier.contains(version.version, prereleases=True), f"{requirement} has {pin}"


def test_every_pin_has_hashes(lock):
    pins = list(itertools.chain.from_iterable(lock.values()))
    assert len(pins) > 100
    assert [str(pin) for pin, hashes in pins if "--hash=sha256:" not in hashes] == []


def test_lock_holds_no_address():
    assert (
        re.search(r"://|^ *-[if-]*(index|find)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
        is None
    )


# ---- imports


def test_imports_point_one_way():
    assert wrong_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("common/run.py", "import video_sr.data"),
        ("common/report/page.py", "def f():\n    from video_sr import claims"),
        ("video_sr/data.py", "from speech_adapters import wav2vec2"),
        ("speech_adapters/asr/model.py", "from ..continual import data"),
        ("speech_adapters/model/adapters.py", "from speech_adapters import asr"),
        ("speech_adapters/model/adapters.py", "from speech_adapters.data import prepared"),
        ("multimodal_ssl/model/heads.py", "from multimodal_ssl.composed import plan"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, path, line):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(line)
    assert len(wrong_imports(tmp_path)) >= 1


@pytest.mark.parametrize("package", ["common", "video_sr"])
def test_importing_a_package_is_cheap(package):
    assert loaded_by([package], {"fairseq", "wandb", "lightning", "torch", "av", "matplotlib"}) == set()


def test_judging_needs_no_torch():
    files = [ROOT / "common" / "claims.py", ROOT / "common" / "results.py", *ROOT.glob("common/report/*.py")]
    files += [ROOT / folder.replace(".", "/") / "claims.py" for folder in PAPERS.values()]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files if path.exists()]
    assert modules, "no judging module found"
    assert loaded_by(modules, {"torch", "lightning", "fairseq", "wandb"}) == set()


def test_every_module_says_why_it_exists():
    files = [*python_files(ROOT), *(ROOT / "tests").rglob("*.py")]
    mute = [path for path in files if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert [str(path.relative_to(ROOT)) for path in mute] == []


SHORT_WAIT = re.compile(r"\btimeout=\d|\b(join|wait|poll)\(\d|mark\.timeout|\bsleep\(\d{2}")


def test_no_test_waits_by_a_number_of_its_own():
    """A number that is plenty here is too little on a busy machine; `patience.HANG_S` is for all."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if SHORT_WAIT.search(line) and path != Path(__file__)
    ]
    assert found == []


# ---- what is installed


@pytest.mark.parametrize("command", PYPROJECT["project"]["scripts"])
def test_every_command_answers_help(command):
    module, _, name = PYPROJECT["project"]["scripts"][command].partition(":")
    code = f"import sys; from {module} import {name} as tool; sys.argv = [{command!r}, '--help']; tool()"
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[:2] == ["Usage:", command]


def test_a_wheel_holds_every_module_and_what_modules_read(tmp_path, tracked):
    """All that git tracks in the packages but pages and results; `pip install .` is enough for the tools."""
    for path in tracked:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    wanted = {path.relative_to(ROOT).as_posix() for path in tracked if path.suffix != ".md"}
    wanted = {name for name in wanted if name.split("/")[0] in PACKAGES and "/results/" not in name}
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    done = run(sys.executable, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


# ---- tracked files


def test_tracked_files_stay_small(tracked):
    sizes = {path: path.stat().st_size for path in tracked}
    weights = sum(size for path, size in sizes.items() if "weights" in path.parent.parts)
    assert [f"{path}: {size}" for path, size in sizes.items() if size > 16 * MEGABYTE] == []
    assert weights <= 24 * MEGABYTE
    assert sum(sizes.values()) <= 40 * MEGABYTE


def test_no_media_and_no_pickles_outside_fixtures(tracked):
    fixtures = ROOT / "tests" / "fixtures"
    found = [path for path in tracked if path.suffix.lower() in MEDIA_AND_PICKLES]
    assert [str(path) for path in found if not path.is_relative_to(fixtures)] == []


def unwanted(text: str) -> list[str]:
    return [f"{what}: {hit[0]}" for what, pattern in UNWANTED.items() if (hit := pattern.search(text))]


def test_no_machine_paths_addresses_or_unfinished_notes(tracked):
    found = []
    for path in tracked:
        data = path.read_bytes()
        if b"\0" not in data:
            found += [f"{path.relative_to(ROOT)}: {hit}" for hit in unwanted(data.decode("utf-8"))]
    assert found == []


@pytest.mark.parametrize("text", ["at /ho" + "me/ann/x", "TO" + "DO later", "https://py" + "pi.org/simple"])
def test_an_unwanted_text_is_found(text):
    assert len(unwanted(text)) == 1


# ---- make


def make_targets() -> set[str]:
    database = run("make", "-pnRr", "help").stdout
    phony = re.search(r"^\.PHONY: (.*)$", database, re.MULTILINE)
    assert phony, "the Makefile declares no phony targets"
    return set(phony[1].split())


def test_bare_make_lists_every_target():
    shown = {line.split()[0] for line in run("make").stdout.splitlines() if line.strip()}
    shown |= {name.replace("<paper>", paper) for name, paper in itertools.product(shown, PAPERS)}
    shown |= {name.replace("<folder>", folder) for name, folder in itertools.product(shown, PACKAGES)}
    shown |= {f"data-{paper}" for paper in PAPERS}  # shares the line of `data`
    targets = make_targets()
    assert {"reproduce-extreme-vsr", "pack-asr-adapters", "test-video_sr"} <= targets
    assert targets - shown == set()


def test_every_paper_has_its_targets():
    verbs = ("reproduce", "data", "pack", "tune", "publish")
    assert {f"{verb}-{paper}" for verb, paper in itertools.product(verbs, PAPERS)} <= make_targets()


def test_variables_reach_the_command_line():
    shown = run("make", "-n", "reproduce-extreme-vsr", "SCALE=gpu", "DEVICE=cuda", "SEEDS=2").stdout
    assert "-m common.run reproduce extreme-vsr --scale gpu --device cuda --seeds 2" in shown
