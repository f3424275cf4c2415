"""Adapters in wav2vec 2.0: recognition (`asr`) and continued pre-training (`continual`)."""
