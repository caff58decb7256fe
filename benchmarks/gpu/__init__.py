"""Measurements on a GPU, part by part; benchmarks/gpu.sh runs them all."""
