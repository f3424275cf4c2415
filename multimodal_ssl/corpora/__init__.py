"""Public corpora of videos, sounds and texts in their published layouts, read from a folder that somebody placed.

Nothing is fetched: videos vanish from hosts, so a corpus is what lies on the disk, with what is missing counted.

    howto100m.howto100m(path)           narrated videos; `howto100m.narrations` draws clips and candidates from them
    youcook2.youcook2(path, "validation")   msrvtt.msrvtt(path, "1k-A")         clips with sentences
    ucf101.ucf101(path, 1, "train")     hmdb51.hmdb51(path, 1, "train")         clips with an action
    esc50.esc50(path, 1, "train")       audioset.audioset(path, "eval")         sounds with labels
    folder.folder(path)                 anybody's videos with .vtt, .srt or .json beside them

Paths are relative to `DATA_ROOT` or absolute. Archives are unpacked first: several of these corpora are published as
.rar, which only a program of its own opens. A reader streams: it yields an `AnnotatedClip`, a `NarratedVideo` or a
`Bad` as lines come, and `collected` keeps them.
"""
