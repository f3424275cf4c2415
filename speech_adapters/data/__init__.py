"""From audio files, packages and corpora to prepared speech, its texts, crops and batches."""
