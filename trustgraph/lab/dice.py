"""The lab's chance: one stream of numbers a purpose, so that changing one part of a world leaves the rest alone."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose. NumPy may change its distributions between feature releases (NEP 19)."""
    return np.random.Generator(np.random.PCG64([seed, crc32(purpose.encode())]))
