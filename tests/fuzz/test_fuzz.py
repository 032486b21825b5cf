"""Some mutants of every kind of file; ``make fuzz`` reads 100 000 of each and prints the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from kinds import KINDS
from tallies import tally

COUNT = 60


@pytest.mark.parametrize("name", list(KINDS))
def test_every_mutant_is_read_as_it_was_or_refused(name: str, tmp_path: Path) -> None:
    assert tally(KINDS[name], tmp_path, COUNT).faults() == []
