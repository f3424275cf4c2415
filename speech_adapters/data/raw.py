"""What every reader of a package gives: utterances, and the groups that no split may cut."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from common.data.manifest import Entry
from common.data.splits import components


@dataclass(frozen=True, kw_only=True)
class RawUtterance:
    """One stretch of speech, in a file or inside an archive file, and what is said in it."""

    id: str  # unique in its source
    source: str
    language: str
    text: str  # normalised
    raw_text: str  # as the package has it
    keys: tuple[str, ...]  # its group, which goes to one part as a whole; then all else that no split may cut
    speaker: str
    path: str  # relative to the data root
    offset: int = 0
    bytes: int = 0  # 0: the whole file
    format: str = ""  # as `read_audio` takes it; "": the file says
    flaw: str = ""  # why it cannot be used, where the package itself shows it

    @property
    def group(self) -> str:
        return self.keys[0]


def group_names(keys: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Item to the first member of its group: items that share a key, directly or through others, are one group."""
    items = [Entry(id_, "", id_, 0, tuple(sorted(set(links))), "") for id_, links in keys.items()]
    return {id_: group.name for group in components(items) for id_ in group.ids}


def text_key(language: str, text: str) -> str:
    return f"text:{language}:{text}"
