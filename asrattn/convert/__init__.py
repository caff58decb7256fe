"""Conversion: Whisper models of other programs (Hugging Face, OpenAI, CTranslate2); pretrained encoders, in only."""
