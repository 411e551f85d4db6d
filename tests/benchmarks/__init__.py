"""Benchmarks: ``make bench`` prints their tables. Not part of ``make test``: times depend on the machine."""
