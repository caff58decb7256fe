"""Experiments over many trainings: ablation and hyper-parameter sweep."""
