"""Speed and memory, with hardware, date and commit beside every number."""
