"""``python -m tests.system.internet --out lab-out``: tell the story to a person; exits 1 when it does not come true."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.conftest import PACKAGES, find_program
from tests.system.internet.claims import Claim, claims
from tests.system.internet.narration import Narrator
from tests.system.internet.pictures import draw_pictures
from tests.system.internet.story import DAYS, Story
from tests.system.internet.told import Told
from tests.system.internet.world import Programs, world

NEEDED = ("postfix", "sks", "faketime")


def tell(home: Path, out: Path, programs: Programs, *, quiet: bool = False) -> tuple[Told, list[Claim]]:
    """Have it happen under ``home``, and leave what a person looks at in ``out``."""
    narrator = Narrator(out, quiet=quiet)
    try:
        narrator.cast()
        with world(home, programs, DAYS) as everything:
            told = Story(everything, narrator).tell()
        judged = claims(told)
        narrator.claims(judged)
        for path in draw_pictures(told, out):
            narrator.say(f"picture in {path}")
        return told, judged
    finally:
        narrator.close()


def main() -> int:
    """0 when all came true, 1 when something did not, 69 when a program is missing (sysexits)."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.internet", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("lab-out"), help="where story.txt and the pictures go")
    out = parser.parse_args().out
    paths = {name: find_program(name) for name in NEEDED}
    missing = [f"{name} (Debian package {PACKAGES[name]})" for name, path in paths.items() if not path]
    if os.geteuid() != 0:
        missing.append("root, which Postfix's daemons need to change their user")
    if missing:
        print(f"the lab needs {', '.join(missing)}", file=sys.stderr)
        return 69
    with tempfile.TemporaryDirectory(prefix="trustgraph-lab-") as home:
        try:
            _, judged = tell(Path(home), out, Programs(*(str(paths[name]) for name in NEEDED)))
        except AssertionError as error:
            print(f"\nthe story broke off: {error}. What was told is in {out}/story.txt", file=sys.stderr)
            return 1
    failed = sum(not claim.held for claim in judged)
    print(f"\n{len(judged) - failed} of {len(judged)} came true. The story and its pictures are in {out}/")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
