"""Fuzzing of everything that reads what strangers send: ``targets`` says what is fed to what.

`make test` runs each target on seeds and mutations of them for a moment (tests/unit/test_fuzz_targets.py). For hours,
guided by coverage: ``pip install atheris``, then ``python -m tests.fuzzing verify --seconds 21600``.
"""
