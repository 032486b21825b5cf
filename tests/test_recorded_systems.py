"""Systems that are known by recordings only: everything that compares, plays, measures and reports takes them, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hnn_envs.agents.planning import Planner
from hnn_envs.benchmarks import transfer
from hnn_envs.benchmarks.paper.suite import run as run_paper
from hnn_envs.benchmarks.stability.suite import run as run_stability
from hnn_envs.checkpoints import FORMAT, find_checkpoint, save_checkpoint
from hnn_envs.errors import NoTruthError
from hnn_envs.evaluation.comparison import compare
from hnn_envs.evaluation.records import write_rows
from hnn_envs.evaluation.subjects import Subject
from hnn_envs.figures.animation import write_gif
from hnn_envs.figures.plots import comparison_figure
from hnn_envs.play.session import Session
from hnn_envs.play.window import Window
from hnn_envs.report import write_report
from hnn_envs.systems import SYSTEMS, SystemSpec
from hnn_envs.tasks import TASKS
from hnn_envs.tasks.pendulum import PendulumTask

PICTURES = {"mass-spring": ("spring", "plane"), "pendulum": ("pendulum", "plane"), "two-body": ("bodies",)}

Recorded = Callable[..., str]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The path of a checkpoint of a system that nobody knows: (shipped system, "hnn", picture) -> path."""
    folder = tmp_path_factory.mktemp("recorded")

    def make(system: str = "pendulum", dynamics: str = "hnn", picture: str | None = None) -> str:
        shipped = find_checkpoint(system, dynamics)
        spec = replace(shipped.card.spec, name=f"lab-{system}", picture=picture or shipped.card.spec.picture)
        path = folder / f"{system}-{dynamics}-{picture}.safetensors"
        card = replace(shipped.card, name=f"lab/{dynamics}", spec=spec, format=FORMAT)
        save_checkpoint(path, card, shipped.parameters)
        return str(path)

    return make


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> SystemSpec:
    """A registered description of a system without equations, checkpoints and tasks."""
    spec = replace(SYSTEMS["pendulum"].spec, name="lab-nothing")  # type: ignore[union-attr]
    monkeypatch.setitem(SYSTEMS._entries, spec.name, spec)
    return spec


class TestCompare:
    @pytest.mark.parametrize(("system", "picture"), [(name, one) for name, each in PICTURES.items() for one in each])
    def test_all_are_held_against_the_first(
        self, recorded: Recorded, system: str, picture: str, tmp_path: Path
    ) -> None:
        paths = [recorded(system, name, picture) for name in ("hnn", "baseline")]
        comparison = compare(paths[0], paths, periods=0.5)
        hnn, baseline = comparison.tracks
        assert hnn.state_error == 0
        assert 0 < baseline.state_error < 3
        assert hnn.energy_drift < 1e-3 or system == "two-body"  # whose random start leads to an encounter
        np.testing.assert_array_equal(comparison.reference, hnn.states)
        assert comparison.energy_name == f"learned energy H of {paths[0]}"
        assert np.isnan(baseline.believed_energies).all()
        assert np.isfinite(baseline.energies).all()  # the HNN's along the baseline's path
        figure = comparison_figure(comparison)
        assert figure.axes[1].get_ylabel().startswith("learned energy H")
        assert figure.axes[2].get_ylabel().split() == f"distance to the {paths[0]}".split()
        figure.savefig(tmp_path / "figure.png")
        write_gif(comparison, tmp_path / "film.gif", frames=3)
        assert (tmp_path / "film.gif").stat().st_size > 1000

    def test_a_checkpoint_alone_is_enough(self, recorded: Recorded) -> None:
        comparison = compare(recorded(), periods=0.2)
        assert [track.dynamics for track in comparison.tracks] == ["lab/hnn"]

    def test_without_any_energy_there_is_none(self, recorded: Recorded, tmp_path: Path) -> None:
        comparison = compare(recorded("pendulum", "baseline"), periods=0.2)
        assert np.isnan(comparison.tracks[0].energy_drift)
        comparison_figure(comparison).savefig(tmp_path / "figure.png")
        write_gif(comparison, tmp_path / "film.gif", frames=2)

    def test_the_ode_is_missed_in_one_sentence(self, recorded: Recorded, described: SystemSpec) -> None:
        with pytest.raises(NoTruthError, match="equations of 'lab-pendulum' are not known"):
            compare(recorded(), ["ode", "hnn"])
        with pytest.raises(NoTruthError, match="equations of 'lab-nothing' are not known"):
            compare(described)

    def test_a_system_object_is_taken_and_one_without_a_task_is_drawn(self, tmp_path: Path) -> None:
        own = replace(TASKS["pendulum"].system, gravity=2.0)  # type: ignore[type-var]
        comparison = compare(own, periods=0.3)
        assert [track.dynamics for track in comparison.tracks] == ["ode", "hnn", "baseline"]
        assert Subject.of(own).task is None
        assert comparison.energy_name == "true energy H"
        write_gif(comparison, tmp_path / "film.gif", frames=2)

    def test_starts_lie_amid_the_domain(self, recorded: Recorded) -> None:
        card = find_checkpoint("pendulum", "hnn").card
        subject = Subject.of(recorded())
        starts = np.stack([subject.shown_start(seed, card.domain) for seed in range(200)])
        centre = np.add(card.domain.low, card.domain.high) / 2
        share = np.abs(starts - centre) / card.domain.width
        assert share.max() <= 0.25
        assert share.max() > 0.2


class TestPlay:
    @pytest.mark.parametrize(("system", "picture"), [(name, one) for name, each in PICTURES.items() for one in each])
    def test_it_is_played(self, recorded: Recorded, system: str, picture: str, tmp_path: Path) -> None:
        paths = [recorded(system, name, picture) for name in ("hnn", "baseline")]
        session = Session(paths[0], paths, seed=0)
        assert session.energy_name == f"learned energy H of {paths[0]}"
        window = Window(session, folder=tmp_path)
        for _ in range(3):
            session.tick(np.ones(session.inputs))
            window.update()
        window.close()
        session.kick()
        first, second = session.tracks
        assert np.isfinite(first.energies).all()
        assert not np.array_equal(first.x, second.x)

    def test_inputs_are_of_a_size_that_moves_it(self, recorded: Recorded) -> None:
        session = Session(recorded(), seed=0)
        width = find_checkpoint("pendulum", "hnn").card.domain.width[1]
        (largest,) = session.subject.actuation(session.domain).sizes
        assert largest * session.subject.spec.time_scale == pytest.approx(width)
        before = session.tracks[0].x
        session.kick()
        assert session.tracks[0].x[1] - before[1] == pytest.approx(width / 8)

    def test_without_any_energy_it_is_played_as_well(self, recorded: Recorded, tmp_path: Path) -> None:
        window = Window(Session(recorded("pendulum", "baseline"), seed=0), folder=tmp_path)
        window.update()
        window.close()


class TestStability:
    def test_all_are_held_against_the_first_in_half_its_step(self, recorded: Recorded, tmp_path: Path) -> None:
        paths = [recorded("pendulum", name) for name in ("hnn", "baseline")]
        rows = run_stability([paths[0]], paths, steps=120, starts=4, jobs=1, folder=tmp_path)
        found = {(row.dynamics, row.metric): row.value for row in rows}
        assert {row.system for row in rows} == {"lab-pendulum"}
        assert found[paths[0], "max_relative_learned_energy_error"] < 1e-4
        assert found[paths[0], "state_rmse"] < 1e-4
        assert found[paths[1], "state_rmse"] > found[paths[0], "state_rmse"]
        assert not any("relative_energy" in row.metric for row in rows)
        assert (paths[1], "max_relative_learned_energy_error") not in found  # a baseline has no energy of its own

    def test_two_bodies(self, recorded: Recorded, tmp_path: Path) -> None:
        rows = run_stability([recorded("two-body")], steps=30, starts=3, jobs=1, folder=tmp_path)
        assert {row.metric for row in rows} >= {"max_relative_learned_energy_error", "reversal_error", "state_rmse"}

    def test_in_processes_of_its_own(self, recorded: Recorded, tmp_path: Path) -> None:
        assert run_stability([recorded()], steps=20, starts=3, jobs=2, folder=tmp_path)

    def test_what_cannot_be_run_is_left_out_or_refused(
        self, described: SystemSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(NoTruthError, match="equations of 'lab-nothing' are not known"):
            run_stability([described.name], folder=tmp_path)
        monkeypatch.setattr(SYSTEMS, "_entries", {"lab-nothing": described, "mass-spring": SYSTEMS["mass-spring"]})
        said: list[str] = []
        rows = run_stability(steps=5, starts=2, jobs=1, folder=tmp_path, message=said.append)
        assert {row.system for row in rows} == {"mass-spring"}
        assert said == ["lab-nothing is left out: its equations are not known, and there is no checkpoint of it"]


class TestReport:
    @pytest.mark.parametrize(("system", "picture"), [(name, one) for name, each in PICTURES.items() for one in each])
    def test_the_page_shows_it(self, recorded: Recorded, system: str, picture: str, tmp_path: Path) -> None:
        paths = [recorded(system, name, picture) for name in ("hnn", "baseline")]
        rows = run_stability([paths[0]], paths, steps=30, starts=3, jobs=1, folder=tmp_path)
        write_rows(tmp_path / "stability.json", rows)
        write_report([tmp_path], tmp_path / "page.html")
        text = (tmp_path / "page.html").read_text()
        data = json.loads(text.rpartition('id="data">')[2].partition("</script>")[0])
        assert f'data-system="lab-{system}"' in text
        scene = data["animations"][f"lab-{system}"]
        assert scene["kind"] == picture
        assert len({track["colour"] for track in scene["tracks"]} | {"#000000"}) == 2  # beside the default ones: grey
        lines = data["figures"][f"lab-{system}"]["error"]["data"]
        assert {line["line"]["color"] for line in lines} == {"#0072B2", "#E69F00"}


class TestAgents:
    def test_transfer_and_paper_say_what_is_missing(
        self, recorded: Recorded, described: SystemSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = PendulumTask(system=described)  # type: ignore[arg-type]
        monkeypatch.setitem(TASKS._entries, "lab-task", task)
        with pytest.raises(NoTruthError, match="cannot be played under the ODE"):
            transfer.run(["lab-task"])
        said: list[str] = []
        assert run_paper([described.name], message=said.append) == []
        assert said == ["lab-nothing is left out: the paper has no such system"]

    def test_a_planner_takes_a_task_and_a_checkpoint(self, recorded: Recorded) -> None:
        card = find_checkpoint("pendulum", "hnn").card
        task = PendulumTask(system=replace(card.spec, name="lab-pendulum"))  # type: ignore[arg-type]
        assert Planner(task, recorded()).plan(np.array([0.1, 0.0])).shape == (1,)
