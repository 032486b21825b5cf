"""Rebuilds the shipped checkpoints from their recipes, one process each: ``python training/build.py [NAME ...]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from joblib import Parallel, delayed

from hnn_envs.fitting.recipes import shipped_recipes

CHECKPOINTS = Path(__file__).resolve().parent.parent / "checkpoints"


def build(name: str, data: str | None) -> tuple[str, int]:
    """Follows one recipe in a process of its own and returns its exit status."""
    output = f"{CHECKPOINTS / name}.safetensors"
    command = [sys.executable, "-m", "hnn_envs.cli", "train", name, "--out", output, "--overwrite"]
    done = subprocess.run(command + (["--data", data] if data else []), check=False)  # noqa: S603 - our own command
    return name, done.returncode


def main() -> int:
    """Builds the recipes named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="recipes, by default all; a prefix such as pendulum/ takes several")
    parser.add_argument("--data", help="file or folder of the measured series, for real-pendulum/paper")
    parser.add_argument("--jobs", type=int, help="recipes at a time; by default one per core")
    arguments = parser.parse_args()
    if arguments.jobs is not None and arguments.jobs < 1:
        parser.error(f"--jobs must be a positive integer, not {arguments.jobs}")
    known = shipped_recipes()
    for prefix in arguments.names:
        if not any(name.startswith(prefix) for name in known):
            parser.error(f"no recipe is called or begins with {prefix!r}; there are {', '.join(known)}")
    chosen = [name for name in known if not arguments.names or name.startswith(tuple(arguments.names))]
    results = Parallel(n_jobs=arguments.jobs or -1)(delayed(build)(name, arguments.data) for name in chosen)
    failed = [name for name, status in results if status]
    print(f"{len(chosen) - len(failed)} built, {len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
