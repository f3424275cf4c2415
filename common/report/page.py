"""One HTML file that shows verdicts, figures, pictures and provenance; it needs no network.

Its only script lays pictures over one another and lets words be heard; without it they stand side by side.
"""

import base64
import hashlib
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.report.cards import Card
from common.report.tables import Cell, Table, number
from common.results import Result, Run

FOLDER = Path(__file__).parent  # of the templates
SIGNATURES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"<?xml": "image/svg+xml",
    b"<svg": "image/svg+xml",
}
SOUNDS = {"audio/wav": b"RIFF", "audio/ogg": b"OggS"}  # that every browser plays, and how they begin


@dataclass(frozen=True)
class Picture:
    """PNG, JPEG or SVG bytes; the caption is also what a screen reader says."""

    caption: str
    content: bytes

    @property
    def drawn(self) -> bool:
        """Lines and letters alone, which may be inverted on a dark page; photographs may not."""
        return self.content.lstrip().startswith((b"<?xml", b"<svg")) and b"<image" not in self.content

    @property
    def data_uri(self) -> str:
        """The picture inside the page's own text."""
        kind = next((kind for start, kind in SIGNATURES.items() if self.content.startswith(start)), None)
        if kind is None:
            raise ValueError(f"{self.caption}: pictures must be PNG, JPEG or SVG, got {self.content[:8]!r}")
        return f"data:{kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class TimedWord:
    """A word and where in its sound it lies, in seconds."""

    text: str
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Sound:
    """WAV or Ogg bytes, with a player; the caption is also what a screen reader says.

    Args:
        words: that were heard in it; each can be played from where it begins.
    """

    caption: str
    content: bytes
    mime: str = "audio/wav"
    words: Sequence[TimedWord] = ()

    @property
    def data_uri(self) -> str:
        """The sound inside the page's own text."""
        if self.mime not in SOUNDS or not self.content.startswith(SOUNDS[self.mime]):
            raise ValueError(
                f"{self.caption}: sounds must be {' or '.join(SOUNDS)}, got {self.content[:8]!r} as {self.mime!r}"
            )
        return f"data:{self.mime};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Panel:
    """Pictures side by side, e.g. what goes in, what each method makes of it, and the truth; or sounds with tables
    of what was made of them.

    Args:
        compared: the pictures show one view, and any two of them can be laid over one another, with a line to move.
    """

    title: str
    pictures: Sequence[Picture] = ()
    sounds: Sequence[Sound] = ()
    tables: Sequence[Table] = ()
    compared: bool = False


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What is shown once it is asked for, by mouse or keyboard.

    Args:
        tables: each folded again, by its own title.
        notes: departures, caveats: a sentence each.
    """

    title: str
    figures: Sequence[Picture] = ()
    panels: Sequence[Panel] = ()
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()

    @property
    def count(self) -> int:
        return len(self.figures) + len(self.panels) + len(self.notes) + len(self.tables)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One paper.

    Args:
        slug: its anchor in the page.
        tables: shown at once.
        figures: see `common.report.figures.to_svg`.
        details: tables that are folded one by one.
        folds: what is folded together; one that holds nothing is left out.
    """

    slug: str
    title: str
    summary: str
    tables: Sequence[Table] = ()
    figures: Sequence[Picture] = ()
    panels: Sequence[Panel] = ()
    details: Sequence[Table] = ()
    folds: Sequence[Fold] = ()

    @property
    def every_panel(self) -> list[Panel]:
        return [*self.panels, *(panel for fold in self.folds for panel in fold.panels)]


def render(
    title: str, paper_sections: Sequence[Section], *, cards: Sequence[Card] = (), intro: str = ""
) -> str:
    """The whole page, cards first."""
    panels = [panel for section in paper_sections for panel in section.every_panel]
    moving = any(panel.compared or any(sound.words for sound in panel.sounds) for panel in panels)
    script = (FOLDER / "page.js.j2").read_text(encoding="utf-8") if moving else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return from_template(
        "page.html.j2",
        title=title,
        sections=paper_sections,
        cards=cards,
        intro=intro,
        script=script,
        script_source=f"; script-src 'sha256-{digest}'" if moving else "",
    )


def _with_code(text: str) -> str:
    """Escaped, and what stands between backticks as code."""
    import markupsafe

    parts = (str(markupsafe.escape(part)) for part in text.split("`"))
    return markupsafe.Markup(
        "".join(f"<code>{one}</code>" if place % 2 else one for place, one in enumerate(parts))
    )


def from_template(name: str, **values: object) -> str:
    """A page of the report; every string in it is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tone"] = _tone
    environment.filters["code"] = _with_code
    text: str = environment.get_template(name).render(**values)
    return text


def _tone(tone: str) -> str:
    """A verdict's word as a class name."""
    return tone.replace(" ", "-")


def per_group_table(runs: Sequence[Run], measure: str, unit: str) -> Table:
    """Mean of a measure per group (a picture, a dialogue) and recipe, over items and seeds."""
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for item in run.items:
            if math.isfinite(item.scores.get(measure, math.nan)):
                values[item.part, item.group][run.result.recipe].append(float(item.scores[measure]))
    recipes = sorted({run.result.recipe for run in runs})
    rows = []
    for (part, group), found in sorted(values.items()):
        means = [number(statistics.fmean(found[recipe])) if recipe in found else "–" for recipe in recipes]
        rows.append([Cell(part), Cell(group), *(Cell(mean, "number") for mean in means)])
    return Table(f"{measure} in {unit}, group by group", ("part", "group", *recipes), rows)


def provenance_table(runs: Sequence[Run]) -> Table:
    """Where each run came from; one row per run."""
    columns = (
        "run",
        "scale",
        "commit",
        "settings",
        "data",
        "hardware",
        "versions",
        "finished",
        "test opened",
    )
    rows = []
    for result in (run.result for run in runs):
        hardware = ", ".join(f"{key} {value}" for key, value in result.hardware.items() if value is not None)
        versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
        data = f"manifest {result.manifest_sha256[:12]}" + (
            f", pack {result.pack_sha256[:12]}" if result.pack_sha256 else ""
        )
        rows.append(
            [
                Cell(result.name, "code"),
                Cell(result.scale),
                Cell(result.commit[:12], "code", _told_of_starts(result)),
                Cell(result.settings_hash[:12], "code", f"lock {result.lock_sha256[:12]}"),
                Cell(data),
                Cell(hardware, "", f"{result.threads} threads"),
                Cell(versions),
                Cell(result.finished_at),
                Cell(str(result.test_opened), "number"),
            ]
        )
    return Table("Where the runs came from", columns, rows)


def _told_of_starts(result: Result) -> str:
    """What is to be known of the commits beside the last one."""
    others = sorted({start["commit"][:12] for start in result.starts} - {result.commit[:12]})
    told = ["changed since"] if result.dirty else []
    return ", ".join([*told, *(f"also {commit}" for commit in others)])


def costs_table(runs: Sequence[Run]) -> Table:
    """Seconds, memory and speed of each run."""
    columns = (
        "run",
        "scale",
        "training (s)",
        "scoring (s)",
        "peak memory (MB)",
        "items per second",
        "bad items",
    )
    rows = []
    for result in (run.result for run in runs):
        numbers = [result.wall_s.get("train", math.nan), result.wall_s.get("score", math.nan)]
        numbers += [result.peak_memory_bytes / 1e6, result.items_per_s]
        bad = Cell(
            f"{len(result.bad_items)} ({100 * result.bad_items_share:.2g} %)",
            "number",
            "; ".join(result.bad_items),
        )
        cells = [Cell(number(value), "number") for value in numbers]
        rows.append([Cell(result.name, "code"), Cell(result.scale), *cells, bad])
    return Table("What the runs cost", columns, rows)


def departures(runs: Sequence[Run]) -> list[str]:
    """Every departure from the paper that some run declares, once, in order."""
    return list(dict.fromkeys(departure for run in runs for departure in run.result.departures))
