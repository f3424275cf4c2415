"""Networks that turn one modality into units: video, sound, text."""
