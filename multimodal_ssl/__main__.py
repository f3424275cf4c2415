"""The tool: `python -m multimodal_ssl index|search|train|evaluate|embed`; what is heavy is imported once it runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from common.command import complain, plain_errors, tool
from common.progress import progress
from multimodal_ssl.own import commands
from multimodal_ssl.search.clock import clock

if TYPE_CHECKING:
    from multimodal_ssl.model.matcher import Matcher
    from multimodal_ssl.search.index import Index
    from multimodal_ssl.search.query import Hit, Question
    from multimodal_ssl.search.weights import Trained

KEPT = "videos that were finished are kept; the same command goes on"
MOST_GAPS = 10  # told of a video
DEFAULT_INDEX = Path("clip-index")

app = tool("Find moments in videos by what is seen: index a folder once, then search it with words.")
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@app.command()
def index(
    videos: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of videos, at any depth.")],
    out: Annotated[Path, typer.Option(help="The index, a folder of its own.")] = DEFAULT_INDEX,
    model: Annotated[
        str | None,
        typer.Option(
            help="films, fine, or a run's weights.safetensors; default films, fetched once (99 MB)."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1000,
            help="Frames looked at per second, fewer make windows longer; default what the model is made for, 2 or 4.",
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            help="Bits of a number of a vector, 16 or 8: half the disk, scores of unit vectors off by 0.002; default "
            "16, or what an index has that is there."
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option(help="Remove what was made of videos that are gone; else it is kept and told.")
    ] = False,
    moved: Annotated[
        bool, typer.Option(help="The index is of these videos, which lay elsewhere when it was made.")
    ] = False,
    approximate: Annotated[
        bool, typer.Option(help="Make a graph too, for `search --approximate` of 100,000 windows and more.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Makes a folder of videos searchable, or brings its index up to date.

    Every video is cut into overlapping windows of as many frames as the model was trained on. Videos that are new or
    changed are indexed, all others are kept: a stopped command goes on when it is given again. Those that are gone
    leave the index with --prune alone, since a drive may only not be mounted. A file that cannot be decoded to its end
    is named with the reason, what came before is searchable, the others go on, and the exit code is 1.

    \b
    python -m multimodal_ssl index videos/
    python -m multimodal_ssl index videos/ --out holiday-index --rate 2
    python -m multimodal_ssl search "a suspension bridge" --index holiday-index
    """
    with plain_errors(stopped=KEPT, too_large="a window is"):
        from common.runtime import find_device
        from multimodal_ssl import python_api
        from multimodal_ssl.search import near
        from multimodal_ssl.search.index import left_out, video_files
        from multimodal_ssl.search.vectors import check_bits

        files = video_files(videos)
        check_bits(bits)
        if approximate:
            near.check_installed()
        finder = python_api.load(model, device=device)
        if finder.trained.quality:
            typer.echo(f"{finder.trained.name}: {finder.trained.quality}", err=True)
        if notice := find_device(device).notice:
            typer.echo(notice, err=True)
        index = finder.begin(videos, out, rate, moved=moved, bits=bits)
        if others := left_out(videos):
            told = ", ".join(f"{count} {suffix}" for suffix, count in others.items())
            complain(_shown(f"left out, no videos by their names: {told}"))
        counts: Counter[str] = Counter()
        with progress("indexing", len(files), "video") as bar:
            for outcome in finder.update(index, files, prune=prune):
                counts[outcome.what] += 1
                if outcome.what == "failed":
                    complain(_shown(f"{outcome.video.path}: {outcome.video.fault}"))
                if outcome.what in ("indexed", "failed"):
                    for gap in _first(outcome.video.gaps):
                        complain(_shown(f"{outcome.video.path}: {gap}"))
                if outcome.what == "missing":
                    complain(
                        _shown(
                            f"{outcome.video.path}: is gone; what was made of it is kept, --prune removes it"
                        )
                    )
                if outcome.what not in ("missing", "removed"):
                    bar.advance()
        if approximate:
            with progress("linking", index.num_videos, "video") as bar:
                near.build(index, bar.advance)
        typer.echo(_summary(index, counts))
        if counts["failed"]:
            raise typer.Exit(1)


def _first(gaps: Sequence[str]) -> list[str]:
    """The gaps that are told of one video; a film that is damaged all along has thousands."""
    more = [f"and {len(gaps) - MOST_GAPS} gaps more"] if len(gaps) > MOST_GAPS else []
    return [*gaps[:MOST_GAPS], *more]


def _summary(index: Index, counts: Counter[str]) -> str:
    windows = sum(len(video.times_s) for video, _ in index.videos())
    done = ", ".join(f"{counts[what]} {what}" for what in ("indexed", "kept", "missing", "removed", "failed"))
    return f"{index.folder}: {windows} windows of {index.cut}, by {index.model}; videos: {done}"


@app.command()
def search(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...", help="What is to be seen, in English words; several are several searches."
        ),
    ] = None,
    like: Annotated[
        list[Path] | None, typer.Option(metavar="PICTURE", help="Find what looks like it; repeatable.")
    ] = None,
    index: Annotated[Path, typer.Option(help="What the index command made.")] = DEFAULT_INDEX,
    top: Annotated[int, typer.Option(min=1, help="Results; none shares a moment with a better one.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; of several searches a list.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the pictures, times and links of what is found.")
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(help="Draw into this .png where and when each phrase matched the first result."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model, if it no longer lies where the index was made with it.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Where the videos lie now, if they were moved since.")
    ] = None,
    approximate: Annotated[
        bool,
        typer.Option(
            help="Score only the windows that the graph of `index --approximate` proposes; default all."
        ),
    ] = False,
) -> None:
    """Finds the moments that fit a sentence or a picture best, in an index.

    The order is that of the model's own score; the score of one pooled vector a side stands beside it and is not mixed
    in. Both lie in -1 to 1, and only those of one search compare; none says that nothing fits. The first search fetches
    the vectors of 400,000 words (76 MB); without a network, by `fine` alone, the words of its own captions serve.

    \b
    python -m multimodal_ssl search "a suspension bridge" "a cat" --html found.html
    python -m multimodal_ssl search --like dog.jpg --top 20 --json > found.json
    python -m multimodal_ssl search "a suspension bridge" --explain why.png
    """
    with plain_errors(too_large="the index is"):
        texts, pictures = text or [], like or []
        _check_search(texts, pictures, html, explain)
        held, answers = _answers(index, model, videos, texts, pictures, top, approximate)
        reports = [answer.report for answer in answers]
        for note in dict.fromkeys(note for report in reports for note in report["notes"]):
            typer.echo(f"note: {note}", err=True)
        if as_json:
            typer.echo(json.dumps(reports if len(reports) > 1 else reports[0], indent=1))
        else:
            typer.echo("\n\n".join(_table(report, named=len(reports) > 1) for report in reports))
        if html:
            from common.files import write_atomically
            from multimodal_ssl.search import contact_sheet

            write_atomically(html, contact_sheet.page(reports).encode())
            typer.echo(f"{html}: written", err=True)
        if explain:
            from multimodal_ssl.search import explain as explaining

            (answer,) = answers
            explained = explaining.explain(held, answer.matcher, answer.question, answer.hits[0])
            figure = explaining.draw(held, answer.question, answer.hits[0], explained)
            figure.savefig(explain, dpi=120)
            typer.echo(f"{explain}: drawn", err=True)


class _Answer(NamedTuple):
    matcher: Matcher
    question: Question
    hits: list[Hit]
    report: dict[str, Any]


def _answers(
    index: Path, model: str | None, videos: Path | None, texts: list[str], pictures: list[Path], top: int,
    approximate: bool,
) -> tuple[Index, list[_Answer]]:  # fmt: skip
    """What is found by every text and then by every picture; all are read before the first is searched for."""
    from multimodal_ssl.search import likeness, near, query, weights
    from multimodal_ssl.search.index import Index

    held = Index.read(index)
    held = replace(held, videos_folder=videos.absolute()) if videos else held
    trained = weights.load(model or held.model)
    held.check_model(trained.name, trained.sha256)
    asked, told = [], ""
    if texts:
        vocabulary, told = trained.vocabulary()
        asked = [query.ask(trained, text, vocabulary) for text in texts]
    asked += [likeness.ask_like(trained, picture) for picture in pictures]
    graph = near.read(held) if approximate else None
    answers = []
    with progress("searching", len(asked) * held.num_videos, "video") as bar:
        for matcher, question in asked:
            proposed = graph.propose(question) if graph else None
            hits, num_windows = query.search(held, matcher, question, top, bar.advance, proposed)
            if not hits:
                raise ValueError(f"{index} holds no windows: none of its videos could be decoded")
            report = _report(held, trained, question, hits, num_windows)
            scored = sum(map(len, (proposed or {}).values()))
            only = f"only the {scored} windows that the graph proposes were scored" if graph else ""
            notes = [note for note in (told if question.words else "", only, *question.notes) if note]
            answers.append(_Answer(matcher, question, hits, report | {"notes": notes}))
    return held, answers


def _check_search(texts: list[str], pictures: list[Path], html: Path | None, explain: Path | None) -> None:
    """
    Raises:
        ValueError: what was asked for cannot be done, before any of it is.
    """
    if not texts and not pictures:
        raise ValueError("what is to be found? give a TEXT, or --like PICTURE")
    if explain and (explain.suffix.lower() != ".png" or not explain.parent.is_dir()):
        raise ValueError(f"{explain}: the picture must be a .png in a folder that is there")
    if html and (html.suffix.lower() not in (".html", ".htm") or not html.parent.is_dir()):
        raise ValueError(f"{html}: the page must be a .html in a folder that is there")
    if explain and (pictures or len(texts) > 1):
        raise ValueError("--explain draws the phrases of one TEXT; ask for that one alone")


def _report(
    index: Index, trained: Trained, question: Question, hits: list[Hit], num_windows: int
) -> dict[str, Any]:
    found = [
        {
            "video": str(index.videos_folder / hit.video.path),
            "start_s": hit.start_s,
            "stop_s": hit.stop_s,
            "score": round(hit.score, 4),
            "pooled": round(hit.pooled, 4),
            "picture": str(hit.picture),
        }
        for hit in hits
    ]
    of_words = bool(question.words)
    return {
        "text" if of_words else "like": question.text,
        "model": index.model,
        "score_is": f"{trained.matching.similarity.name}, "
        + (trained.learned if of_words else "of places with places, not trained for"),
        "pooled_is": question.pooled_is,
        "windows": num_windows,
        "left_out": {"no vector": question.unknown, "too many": question.cut},
        "in_no_caption_of_the_training": question.unseen,
        "found": found,
    }


def _table(report: dict[str, Any], named: bool) -> str:
    heading = "as trained" if report["score_is"].endswith("as trained") else "own score"
    lines = [_shown(f"{report.get('text') or report['like']}:")] if named else []
    lines += [f"{heading:>10}  {'pooled':>7}  {'from':>10}  {'to':>10}  video, picture"]
    for hit in report["found"]:
        scores = f"{hit['score']:>10.3f}  {hit['pooled']:>7.3f}"
        times = "  ".join(f"{clock(hit[key]):>10}" for key in ("start_s", "stop_s"))
        lines.append(_shown(f"{scores}  {times}  {hit['video']}  {hit['picture']}"))
    told = f"best of {report['windows']} windows, by {report['model']}"
    return "\n".join([*lines, f"{told}; {report['score_is']}; pooled: {report['pooled_is']}"])


def _shown(text: str) -> str:
    """File names need not be UTF-8, which a terminal needs, and may hold what breaks its lines."""
    plain = "".join(
        char if char.isprintable() or ord(char) >= 160 else f"\\x{ord(char):02x}"
        for char in text.replace("\n", "\\n")
    )
    return plain.encode("utf-8", "backslashreplace").decode()


app.command()(commands.train)
app.command()(commands.evaluate)
app.command()(commands.embed)


if __name__ == "__main__":
    app(prog_name="python -m multimodal_ssl")
