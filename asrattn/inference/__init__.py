"""Using a trained model: transcription, streaming, word times, confidence, hallucination filter, export."""
