"""The program's speed and cost: python -m benchmarks.NAME --help. What was measured stands in README.md beside it."""
