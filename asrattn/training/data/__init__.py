"""From a corpus to batches: dataset, sampler, concatenation, Lightning data module."""
