"""The networks of wav2vec 2.0: encoder, adapters, heads and objectives; nothing here opens a file."""
