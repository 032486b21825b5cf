"""Every example runs, in a short form."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURES = {"figures.py", "screenshots.py"}  # they make the README's pictures
# By test_sb3; ten_lines.py with the README, which shows it; the last by test_recorded_windows.
ELSEWHERE = {"ppo.py", "ten_lines.py", "measured_double_pendulum.py"} | PICTURES
SHORT = {
    "side_by_side.py": ["--steps", "4096", "--frames", "3", "--out", "side.gif"],
    "sac.py": ["--steps", "200"],
    "custom_reward.py": ["--steps", "2048"],
    "mpc.py": ["--episodes", "1", "--steps", "10"],
    "video.py": ["--steps", "5", "--out", "videos"],
    "own_task.py": ["--steps", "10"],
    "explore.py": ["--seconds", "1"],
    "energy_kick.py": ["--frames", "40", "--out", "kick.gif"],
}


def run(name, arguments, monkeypatch, folder):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.syspath_prepend(EXAMPLES)  # as Python does for a script
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHORT) | ELSEWHERE


@pytest.mark.parametrize("name", SHORT)
def test_an_example_runs_from_top_to_bottom(name, monkeypatch, tmp_path, capsys):
    run(name, SHORT[name], monkeypatch, tmp_path)
    assert re.search(r"return|swings|solved", capsys.readouterr().out)


def test_a_learned_pendulum_swings_wider_after_the_kick(monkeypatch, tmp_path, capsys):
    run("energy_kick.py", SHORT["energy_kick.py"], monkeypatch, tmp_path)
    before, after = map(float, re.findall(r"(\d\.\d+) rad", capsys.readouterr().out))
    assert before == pytest.approx(0.4, abs=0.01)
    assert after == pytest.approx(np.arccos(np.cos(0.4) - 4 / 5), abs=0.03)  # 5 (1 - cos q) rises by 4
    assert (tmp_path / "kick.gif").stat().st_size > 1000


def test_pendulum_v1_is_explored_as_gymnasium_ships_it(monkeypatch, tmp_path, capsys):
    run("explore.py", ["--pendulum", "--seconds", "1", "--out", "pendulum.webp"], monkeypatch, tmp_path)
    assert "of random actions: whole" in capsys.readouterr().out
    assert (tmp_path / "pendulum.webp").stat().st_size > 1000


def test_the_pictures_are_there(monkeypatch, tmp_path):
    run("side_by_side.py", ["--steps", "0", "--frames", "3", "--out", "side.gif"], monkeypatch, tmp_path)
    run("video.py", SHORT["video.py"], monkeypatch, tmp_path)
    assert (tmp_path / "side.gif").stat().st_size > 1000
    assert (tmp_path / "videos" / "Pendulum-episode-0.mp4").stat().st_size > 1000


def test_every_example_is_one_page():
    for path in EXAMPLES.glob("*.py"):
        if path.name not in PICTURES:
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 70
