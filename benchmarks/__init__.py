"""Speed and cost of the program: python -m benchmarks.NAME --help. Results are in README.md."""
