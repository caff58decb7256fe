"""Attention-based speech recognition: wave → front-end → encoder → attention decoder → search → text → WER."""

__version__ = "0.1.0"
