"""Public speech corpora in their own layouts, read from a folder or an archive that somebody placed there.

Nothing is fetched: releases vanish from hubs, so a corpus is what lies on the disk, named by version and hash. Recipes
hold them as sources (`public.PublicCorpus`), which these functions read.

    libri.librispeech(path, "train-clean-100")      libri.libri_light(path, "10h")
    commonvoice.common_voice(path, "fr", "train")   multilingual.mls(path, "fr", "train", "10h")
    folders.labelled_folder(path, "en")             folders.audio_folder(path)      without texts, one by one
    hours.draw_hours(corpus, 10, seed=1)            a part of a corpus, kept as a list with its hash

Paths are relative to `DATA_ROOT` or absolute.
"""
