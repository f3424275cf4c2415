"""Adapter transfer of wav2vec 2.0 to speech recognition [Thomas22, arXiv 2202.03218]."""
