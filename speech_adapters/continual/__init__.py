"""Adapters inside the self-supervised pre-training of new languages [Kessler22, arXiv 2107.13530]."""
