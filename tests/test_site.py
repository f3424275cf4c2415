"""The documentation site holds every page, each link and anchor leads somewhere, and it asks no other machine."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
import yaml
from documents import DOCUMENTS
from repository import ROOT

spec = importlib.util.spec_from_file_location("site_of_documents", ROOT / "docs" / "site.py")
site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site)


class Loader(yaml.SafeLoader):
    """Which takes a tag of Python for nothing."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def leaves(nav):
    if isinstance(nav, str):
        return [nav]
    return [leaf for one in (nav.values() if isinstance(nav, dict) else nav) for leaf in leaves(one)]


def test_every_page_is_in_the_navigation_once():
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    assert sorted(leaves(config["nav"])) == sorted(map(str, DOCUMENTS)) == sorted(map(str, site.pages()))


def test_copies_keep_the_layout_and_what_pages_link_to(tmp_path):
    (tmp_path / "from" / "docs").mkdir(parents=True)
    (tmp_path / "from" / "docs" / "code.py").write_text("1")
    (tmp_path / "from" / "docs" / "seen.png").write_bytes(b"2")
    page = "Told\n- one\n- two\n\n[it](code.py), [all](../docs)\n\n```\nas it is\n- [all](../docs)\n```\n"
    page += '<img src="seen.png" width="9" alt="it">\n\n[card](deep/in/there/card.md)\n'
    deep = tmp_path / "from" / "docs" / "deep" / "in" / "there"
    deep.mkdir(parents=True)
    (deep / "card.md").write_text("[beside](other.md)")
    (deep / "other.md").write_text("[back](card.md)")
    (tmp_path / "from" / "docs" / "page.md").write_text(page)
    site.lay_out(tmp_path / "to", tmp_path / "from")
    assert (tmp_path / "to" / "docs" / "code.py").read_text() == "1"
    assert (tmp_path / "to" / "docs" / "seen.png").read_bytes() == b"2"
    assert (tmp_path / "to" / "docs" / "deep" / "in" / "there" / "other.md").is_file()
    laid = (tmp_path / "to" / "docs" / "page.md").read_text()
    assert laid == page.replace("Told\n-", "Told\n\n-", 1).replace("[all](../docs)", "all", 1)


class Page(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("script", "img", "iframe") and found.get("src"):
            self.loaded.append(found["src"])
        elif tag == "link" and found.get("href") and found.get("rel") != "canonical":
            self.loaded.append(found["href"])


@pytest.mark.slow
def test_the_site_is_whole_and_stands_alone(tmp_path):
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("build/", f"{tmp_path}/")
    (tmp_path / "mkdocs.yml").write_text(config)
    site.lay_out(tmp_path / "pages")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(tmp_path / "mkdocs.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    root = tmp_path / "site"
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in root.rglob("*.html")}
    assert len(pages) > len(DOCUMENTS)
    for path, page in pages.items():
        assert [one for one in page.loaded if re.match(r"(\w+:)?//", one)] == [], path
        for link in page.links:
            place, _, anchor = unquote(link).partition("#")
            if re.match(r"(\w+:|/)", place) or path.name == "404.html":
                continue
            target = (path.parent / place).resolve() if place else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(root)}: {link}"
            assert not anchor or target.suffix != ".html" or anchor in pages[target].ids, f"{path}: {link}"
