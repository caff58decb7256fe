"""Training data: datasets, batch sampler (bucketing), utterance concatenation, LightningDataModule."""
