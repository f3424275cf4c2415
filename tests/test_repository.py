"""Rules about the repository itself: imports, lengths, tracked files and pins."""

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import PACKAGES, PAPERS, PYPROJECT, ROOT, run, tracked_files

# Each may import those before it.
CLIPS_ROOMS = (
    *(
        "measures",
        "model",
        "composed",
        "corpora",
        "evaluation",
        "contrast",
        "former",
        "films",
        "search",
        "own",
        "data",
        "arms",
    ),
    *("claims", "report", "recipes", "paper", "python_api"),
)
SPEECH_ROOMS = ("model", "data", "checkpoints", "ctc", "pretrain", "inference", "own", "fairseq_plugin")
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


def loaded_by(modules: list[str], suspects: set[str]) -> set[str]:
    """Which of the suspects a fresh interpreter has loaded after importing the modules."""
    done = run(sys.executable, "-c", f"import sys, {', '.join(modules)}\nprint(*sys.modules)")
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()} & suspects


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if not (files := tracked_files()):
        pytest.skip("git tracks no file here: not a clone")
    return files


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


def circles(root: Path) -> list[list[str]]:
    """Files that import each other, at any depth and however late; one list a circle."""
    files = {".".join(path.relative_to(root).with_suffix("").parts): path for path in python_files(root)}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    arrows = {name: imported_modules(path, root) & set(files) - {name} for name, path in files.items()}
    reach: dict[str, set[str]] = {}
    for start in arrows:
        reach[start], left = set(), list(arrows[start])
        while left:
            if (one := left.pop()) not in reach[start]:
                reach[start].add(one)
                left += arrows[one]
    found = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in arrows if a in reach[a]}
    return sorted(map(list, found))


def test_no_files_import_each_other_in_a_circle():
    assert circles(ROOT) == []


def test_a_circle_is_found_however_late_it_closes(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "a.py").write_text("from common import b")
    (tmp_path / "common" / "b.py").write_text("def f():\n    from common.c import g")
    (tmp_path / "common" / "c.py").write_text("import common.a")
    assert circles(tmp_path) == [["common.a", "common.b", "common.c"]]


@pytest.mark.parametrize("package", PACKAGES)
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


LONGEST_FILE, LONGEST_TESTS, LONGEST_FUNCTION = 400, 450, 50  # lines; CONTRIBUTING.md names them
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "misc", "tools"}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body; a docstring is none, a table that is returned as written is one."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    tables = [
        node for node in body if isinstance(node, ast.Return) and isinstance(node.value, ast.List | ast.Dict)
    ]
    whole = function.end_lineno - body[0].lineno + 1 if body else 0
    return whole - sum(node.end_lineno - node.lineno for node in tables)


def too_long(path: Path, root: Path) -> list[str]:
    text, name = path.read_text(encoding="utf-8"), path.relative_to(root)
    limit = LONGEST_TESTS if name.parts[0] == "tests" else LONGEST_FILE
    found = [f"{name}: {lines} lines"] if (lines := len(text.splitlines())) > limit else []
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return found + [
        f"{name}: {function.name} has {length(function)} lines"
        for function in functions
        if length(function) > LONGEST_FUNCTION
    ]


def test_files_and_functions_stay_short():
    files = [*python_files(ROOT), *(ROOT / "tests").rglob("*.py")]
    assert list(itertools.chain.from_iterable(too_long(path, ROOT) for path in files)) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("x = 1\n" * 400, 0),
        ("x = 1\n" * 401, 1),
        ("def f():\n" + "    x = 1\n" * 51, 1),
        ('def f():\n    """It\n' + "    says.\n" * 60 + '    """\n' + "    x = 1\n" * 50, 0),
        ("def f():\n    return [\n" + "        1,\n" * 60 + "    ]\n", 0),
    ],
)
def test_what_is_too_long_is_found(tmp_path, text, number):
    (tmp_path / "a.py").write_text(text)
    assert len(too_long(tmp_path / "a.py", tmp_path)) == number


def test_no_file_has_a_name_that_says_nothing():
    files = [*python_files(ROOT), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in files if EMPTY_NAMES & {path.stem, path.parent.name}] == []


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


# ---- tracked files


def test_tracked_files_stay_small(tracked):
    sizes = {path: path.stat().st_size for path in tracked}
    weights = sum(size for path, size in sizes.items() if "weights" in path.parent.parts)
    assert [f"{path}: {size}" for path, size in sizes.items() if size > 16 * MEGABYTE] == []
    assert weights <= 64 * MEGABYTE
    assert sum(sizes.values()) <= 96 * MEGABYTE


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
