"""Benchmarks: ``make bench``, or ``python -m bench [orchestration|steps|latency]``; results in docs/benchmarks.md."""
