"""When many answers are one: the whole table for one, two and three servers, as literals."""

from __future__ import annotations

#: What the servers say, F, A or U each, and what follows from it.
QUORUM = """
F F   A A   U U
FF F  FA F  FU F  AF F  AA A  AU U  UF F  UA U  UU U
FFF F FFA F FFU F FAF F FAA F FAU F FUF F FUA F FUU F
AFF F AFA F AFU F AAF F AAA A AAU A AUF F AUA A AUU U
UFF F UFA F UFU F UAF F UAA A UAU U UUF F UUA U UUU U
"""
WORDS = QUORUM.split()
TABLE = list(zip(WORDS[::2], WORDS[1::2], strict=True))
