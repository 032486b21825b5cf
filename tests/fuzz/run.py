"""``make fuzz``: many mutants of each kind, each kind in a process of its own, and what came of them.

python tests/fuzz/run.py COUNT [KIND ...]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kinds import KINDS
from tallies import tally

ONE = "--one"
MEMORY = Path("/dev/shm")  # noqa: S108 - a disk takes longer to write a mutant than all the rest


def main() -> int:
    """All kinds, or those that are named; the exit status says whether anything was amiss."""
    count, names = sys.argv[1], sys.argv[2:] or list(KINDS)
    failed = [subprocess.run([sys.executable, __file__, ONE, count, name]).returncode for name in names]  # noqa: S603
    return int(any(failed))


def one(count: int, name: str) -> int:
    """One kind, in this process, whose memory is then its own."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        found = tally(KINDS[name], Path(folder), count)
    faults = found.faults()
    print(f"{name}: {found}; {time.perf_counter() - began:.0f} s in all", flush=True)  # noqa: T201
    for fault in faults[:20]:
        print(f"  {fault}", flush=True)  # noqa: T201
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(one(int(sys.argv[2]), sys.argv[3]) if sys.argv[1] == ONE else main())
