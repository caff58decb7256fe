"""Inference: transcription, streaming, forced-alignment word times, confidence, hallucination filter, export."""
