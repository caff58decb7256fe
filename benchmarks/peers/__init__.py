"""Training steps compared with ESPnet and SpeechBrain: python -m benchmarks.peers --help.

Each side runs in a process of its own, in its own environment: `side.py` and `batches.py` import no package but torch.
"""
