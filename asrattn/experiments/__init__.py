"""Experiments over many training runs: ablation and hyper-parameter sweep."""
