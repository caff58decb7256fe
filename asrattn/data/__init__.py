"""Manifests, shards and fingerprints of corpora; nothing here loads torch."""
