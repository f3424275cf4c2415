"""`make docs`: lays the repository's pages out as the documentation site reads them, and builds it.

    python docs/site.py         build/site/index.html, which can be read from file://

Pages stay where the repository shows them; copies under build/pages keep the layout, so that every relative link
leads where it leads in the repository. Files that pages link to are copied as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
LEFT_OUT = {"build", "runs", "data", "tests"}
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
PICTURE = re.compile(r'<img src="([^"]+)"')
FENCE = re.compile(r"(^```.*?^```\n?)", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def pages(root: Path = ROOT) -> list[Path]:
    """Every Markdown page of the repository, relative to its root."""
    found = (path.relative_to(root) for depth in ("*", "*/*", "*/*/*") for path in root.glob(f"{depth}.md"))
    return sorted(
        path
        for path in found
        if path.parts[0] not in LEFT_OUT and not any(part.startswith(".") for part in path.parts)
    )


def lay_out(target: Path, root: Path = ROOT) -> None:
    """Copies the pages, the files that they link to, and what linked pages link to in turn, into an empty folder."""
    shutil.rmtree(target, ignore_errors=True)
    left = [root / page for page in pages(root)]
    known = set(left)
    while left:
        path = left.pop()
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md":
            shutil.copyfile(path, copy)
            continue
        text = path.read_text(encoding="utf-8")
        copy.write_text(_as_the_site_reads_it(text, path), encoding="utf-8")
        linked = [one for one in _linked_files(text, path) if one not in known]
        known.update(linked)
        left += dict.fromkeys(linked)


def _linked_files(text: str, page: Path) -> Iterator[Path]:
    prose = FENCE.sub("", text)
    for place in (*(place for _, place, _ in LINK.findall(prose)), *PICTURE.findall(prose)):
        linked = (page.parent / place).resolve()
        if "://" not in place and linked.is_file():
            yield linked


def _as_the_site_reads_it(text: str, page: Path) -> str:
    """Lists begin after an empty line, which GitHub does not ask for; links to folders are text."""

    def without_folders(found: re.Match[str]) -> str:
        words, place, _ = found.groups()
        return words if "://" not in place and (page.parent / place).is_dir() else found[0]

    parts = FENCE.split(text)
    for i in range(0, len(parts), 2):  # what stands between is code
        lines = list[str]()
        for line in LINK.sub(without_folders, parts[i]).splitlines(keepends=True):
            if (
                ITEM.match(line)
                and lines
                and lines[-1].strip()
                and not re.match(r"\s|[-*] |\d+\.", lines[-1])
            ):
                lines.append("\n")
            lines.append(line)
        parts[i] = "".join(lines)
    return "".join(parts)


def main() -> int:
    if find_spec("material") is None:
        print("error: the site is built by mkdocs-material, which is not installed here;", file=sys.stderr)
        print(f"  {sys.executable} -m pip install 'mkdocs-material>=9.5,<10'", file=sys.stderr)
        return 2
    lay_out(PAGES)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"], cwd=ROOT, check=False
    )
    if built.returncode == 0:
        print(ROOT / "build" / "site" / "index.html")
        print(
            f"with its search, at http://localhost:8000: {sys.executable} -m http.server -d {ROOT}/build/site"
        )
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
