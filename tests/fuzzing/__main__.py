"""Coverage-guided fuzzing of one target, or of all in turn: ``python -m tests.fuzzing [TARGET…] --seconds N``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Each target in a process of its own, since libFuzzer ends the one it runs in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        _fuzz(arguments.one, arguments.seconds)
    import atheris  # noqa: F401, PLC0415 - says at once when it is not installed

    from tests.fuzzing.targets import TARGETS  # noqa: PLC0415 - only once atheris is there

    failed = []
    for name in arguments.targets or TARGETS:
        command = [sys.executable, "-m", "tests.fuzzing", "--one", name, "--seconds", str(arguments.seconds)]
        done = subprocess.run(command, check=False)
        print(f"{name}: {'nothing found' if done.returncode == 0 else f'ended with {done.returncode}'}", flush=True)
        failed += [name] if done.returncode else []
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def _fuzz(name: str, seconds: int) -> None:
    import atheris  # noqa: PLC0415 - not among the dependencies

    with atheris.instrument_imports(include=["trustgraph"]):
        from tests.fuzzing.targets import TARGETS, seeds  # noqa: PLC0415 - instrumented as it loads
    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-max_len=8192", "-print_final_stats=1", "-verbosity=0", "-timeout=10"]
    options.append(f"-artifact_prefix={corpus}/")  # what it dies of is put beside the seeds, and named in its output
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


main()
