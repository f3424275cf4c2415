"""So many hours of a corpus, drawn by seed and kept as a list: which hours they were changes error rates.

Somebody else's ten hours are other ten hours, so a list is a file with a hash and goes where results go.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from common.data.audio import AudioError, probe_audio
from common.data.manifest import Bad
from common.data.packages import data_root
from common.files import write_atomically
from common.strict_json import parsed
from speech_adapters.data.corpora.corpus import Corpus


@dataclass(frozen=True)
class Pick:
    """One drawn utterance."""

    id: str
    speaker: str
    duration_s: float  # of the header, to the millisecond


@dataclass(frozen=True)
class Hours:
    """A drawn part of a corpus."""

    corpus: str  # its name
    version: str
    seed: int
    hours: float  # asked for
    picks: tuple[Pick, ...]  # sorted by id
    bad: tuple[Bad, ...] = ()  # passed over: without a readable header. Not in the file

    @property
    def duration_s(self) -> float:
        return sum(pick.duration_s for pick in self.picks)

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(sorted({pick.speaker for pick in self.picks}))

    @property
    def sha256(self) -> str:
        """Over the lines of the list."""
        return hashlib.sha256(self._lines().encode()).hexdigest()

    def of(self, corpus: Corpus) -> Corpus:
        """The drawn utterances.

        Raises:
            ValueError: another corpus or release, or utterances that it lacks.
        """
        if (corpus.name, corpus.version) != (self.corpus, self.version):
            raise ValueError(
                f"the list is of {self.corpus} {self.version}, got {corpus.name} {corpus.version}"
            )
        ids = {pick.id for pick in self.picks}
        found = tuple(utterance for utterance in corpus.utterances if utterance.id in ids)
        if missing := sorted(ids - {utterance.id for utterance in found}):
            raise ValueError(
                f"{corpus.name} lacks {len(missing)} of {len(ids)} listed: {', '.join(missing[:5])}"
            )
        return replace(corpus, utterances=found)

    def write(self, path: Path) -> None:
        """A line of JSON that says what the list is, then ID<TAB>SPEAKER<TAB>SECONDS a line; atomically."""
        head = {
            "corpus": self.corpus,
            "version": self.version,
            "seed": self.seed,
            "hours": self.hours,
            "utterances": len(self.picks),
            "duration_s": round(self.duration_s, 3),
            "speakers": self.speakers,
            "sha256": self.sha256,
        }
        write_atomically(path, (json.dumps(head, ensure_ascii=False) + "\n" + self._lines()).encode())

    def _lines(self) -> str:
        return "".join(f"{pick.id}\t{pick.speaker}\t{pick.duration_s:.3f}\n" for pick in self.picks)

    @classmethod
    def read(cls, path: Path) -> "Hours":
        """
        Raises:
            ValueError: no such list, or its lines are not those that were hashed.
        """
        head_line, _, lines = path.read_text(encoding="utf-8").partition("\n")
        try:
            head = parsed(head_line)
            rows = [line.split("\t") for line in lines.removesuffix("\n").split("\n")]
            picks = tuple(Pick(id, speaker, float(seconds)) for id, speaker, seconds in rows)
            found = cls(head["corpus"], head["version"], head["seed"], head["hours"], picks)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no list of drawn hours: {error}") from error
        if found.sha256 != head["sha256"]:
            raise ValueError(f"{path} must have sha256 {head['sha256']} over its lines, got {found.sha256}")
        return found


def draw_hours(corpus: Corpus, hours: float, seed: int) -> Hours:
    """Utterances in an order that seed and id alone decide, up to the last that still fits into `hours`.

    Falls short by less than an utterance, and never exceeds. With one seed the shorter draw lies in the longer, and
    no order of files, no machine and no file that came later changes who precedes whom. Reads the headers of the
    drawn files alone; their lengths stay in the result.

    Raises:
        ValueError: hours that are not above 0, or more than the corpus has (with what it has).
    """
    if not hours > 0:
        raise ValueError(f"hours must be above 0, got {hours:g}")
    order = sorted(corpus.utterances, key=lambda utterance: _rank(utterance.id, seed))
    root, picks, bad, total_s = data_root(), [], [], 0.0
    for utterance in order:
        length_s = _length_s(root / utterance.path)
        if isinstance(length_s, str):
            bad.append(Bad(utterance.id, utterance.path, length_s))
            continue
        if total_s + length_s > 3600 * hours:
            break
        total_s += length_s
        picks.append(Pick(utterance.id, utterance.speaker, round(length_s, 3)))
    else:
        if total_s < 3600 * hours:
            raise ValueError(f"{corpus.name} has {total_s / 3600:.3f} h, asked for {hours:g} h; draw fewer")
    if not picks:
        raise ValueError(f"{hours:g} h must hold an utterance; the first of {corpus.name} is longer")
    picks.sort(key=lambda pick: pick.id)
    return Hours(corpus.name, corpus.version, seed, hours, tuple(picks), tuple(bad))


def _length_s(path: Path) -> float | str:
    """Seconds, or why they are not known."""
    try:
        return probe_audio(path).duration_s or "its header tells no length"
    except AudioError as error:
        return str(error)


def _rank(id: str, seed: int) -> bytes:
    return hashlib.sha256(f"hours-{seed}\n{id}".encode()).digest()
