"""Video, audio and text in one space, matched part by part [Wang21, arXiv 2112.12182]."""
