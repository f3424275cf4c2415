"""Everything with weights: encoders of video, audio and text, heads, similarities, losses; and the vocabulary."""
