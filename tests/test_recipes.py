"""Recipes: what may stand in them, that the shipped ones keep their promises, and what following one leaves behind."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured_series import REPOSITORY
from physics import IN_PAPER, TASKED

from hnn_envs import __version__
from hnn_envs.checkpoints import Domain, find_checkpoint, load_checkpoint
from hnn_envs.dynamics import make_dynamics
from hnn_envs.errors import DataError, InvalidOptionError, UnknownNameError
from hnn_envs.evaluation.card_metrics import card_metrics
from hnn_envs.evaluation.episode_error import _largest_error, episode_errors
from hnn_envs.fitting import pipeline
from hnn_envs.fitting.pipeline import follow, make_data
from hnn_envs.fitting.recipes import (
    Recipe,
    load_recipe,
    parse_recipe,
    recipe_of,
    recipes_folder,
    shipped_recipes,
    with_seed,
)
from hnn_envs.pixels.camera import SEED_WINDOW
from hnn_envs.recordings.measured import VARIABLE
from hnn_envs.systems import get_system
from hnn_envs.tasks import tasks_of

TINY = """# A comment, which belongs to the recipe as well.
system = "pendulum"
name = "test/tiny"
seed = 3

[model]
family = "separable"
hidden = [4]
ports = { inputs = true }

[[data]]
source = "box"
count = 200
low = [-3.0, -2.0]
high = [3.0, 2.0]
max_input = 0.5

[domain]
low = [-3.0, -2.0]
high = [3.0, 2.0]

[[stages]]
steps = 30
settings = { batch = 32, learning_rate = 1e-2 }

[[stages]]
optimiser = "levenberg-marquardt"
steps = 5
every = 4
"""


def refusal(text: str) -> str:
    """The message with which a recipe is refused; it always names the file."""
    with pytest.raises(InvalidOptionError) as caught:
        parse_recipe(text, "some.toml")
    assert str(caught.value).startswith("some.toml is not a recipe: ")
    return str(caught.value)


class TestReading:
    @pytest.mark.parametrize("name", shipped_recipes())
    def test_a_shipped_recipe_is_called_as_its_path(self, name: str) -> None:
        assert load_recipe(name).identity == name

    @pytest.mark.parametrize("name", shipped_recipes())
    def test_a_shipped_recipes_model_fits_its_system(self, name: str) -> None:
        recipe = load_recipe(name)
        system = get_system(recipe.system)
        field = recipe.family.build(system.spec, recipe.family.init(system.spec, np.random.default_rng(0)))
        x = system.sample_states(np.random.default_rng(0), 5)
        assert field(x).shape == x.shape

    def test_every_system_has_all_four(self) -> None:
        wanted = {f"{system}/paper/{what}" for system in IN_PAPER for what in ROLES}
        wanted |= {f"{system}/default/{what}" for system in TASKED for what in ROLES}
        assert wanted <= set(shipped_recipes())

    def test_a_file_may_be_anywhere(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text(TINY)
        assert load_recipe(str(path)) == parse_recipe(TINY, "")

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("pendulum/default/hmm", "; did you mean .*pendulum/default/hnn"),
            ("pendulum/hnn", "; did you mean .*pendulum/default/hnn"),
            ("structured", "; did you mean mass-spring/paper/structured or .*"),
            ("README.md", ", such as cart-pole/default/baseline"),
        ],
    )
    def test_an_unknown_recipe_is_refused_with_those_that_are_close(self, name: str, hint: str) -> None:
        allowed = "allowed: the path of a .toml file, or a name in hnn-envs list"
        with pytest.raises(UnknownNameError, match=f"^unknown recipe {name!r}; {allowed}{hint}") as caught:
            load_recipe(name)
        assert 1 <= sum(known in str(caught.value) for known in shipped_recipes()) <= 3

    @pytest.mark.parametrize("name", ["nothere.toml", "no/such.toml"])
    def test_a_file_that_is_missing_is_said_to_be(self, name: str) -> None:
        with pytest.raises(UnknownNameError, match=f"^there is no recipe file {name}$"):
            load_recipe(name)

    def test_the_seed_can_be_another(self) -> None:
        recipe = parse_recipe(TINY, "")
        other = with_seed(recipe, 12)
        assert (other.seed, parse_recipe(other.text, "").seed) == (12, 12)
        assert with_seed(other, 3) == recipe
        tight = parse_recipe(TINY.replace("seed = 3", "seed=3  # of all"), "")
        assert "seed=12  # of all" in with_seed(tight, 12).text
        with pytest.raises(InvalidOptionError, match="a seed is an integer from 0 on, not -1"):
            with_seed(recipe, -1)

    def test_a_file_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "binary.toml"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InvalidOptionError, match=r"binary\.toml is not a recipe"):
            load_recipe(str(path))

    @pytest.mark.parametrize(
        ("old", "new", "cause"),
        [
            ("seed = 3", "seed = ", "Invalid value"),
            ("seed = 3", "seed = -1", "a seed is an integer from 0 on, not -1"),
            ("seed = 3", "seed = 1.5", "seed is 1.5, which is no integer"),
            ("seed = 3", "seed = true", "seed is True, which is no integer"),
            ("seed = 3", "sed = 3", "no setting 'sed'; allowed: system, name, seed"),
            ("seed = 3\n", "", "lacks the setting 'seed'"),
            ('"pendulum"', '"pendula"', "unknown system 'pendula'; allowed: cart-pole"),
            ('"separable"', '"inseparable"', "unknown model family 'inseparable'; allowed: generic"),
            ("hidden = [4]", "hiden = [4]", "no setting 'hiden'; allowed: hidden"),
            ("hidden = [4]", "hidden = 4", "must be a list of positive integers, at most 64, not 4"),
            ('source = "box"', 'source = "sphere"', "unknown data source 'sphere'; allowed: box"),
            ("count = 200", "amount = 200", "no setting 'amount'; allowed: count"),
            ("max_input = 0.5\n", "", "'box' lacks the setting 'max_input'"),
            ('"levenberg-marquardt"', '"newton"', "unknown optimiser 'newton'; allowed: adam, bundle-adjustment"),
            ("every = 4", 'loss = "luck"', "unknown loss 'luck'"),
            ("every = 4", "ever = 4", "a stage has no setting 'ever'; allowed: steps"),
            ("every = 4", 'dtype = "half"', "unknown dtype 'half'; allowed: float32, float64"),
            ("[domain]\nlow = [-3.0, -2.0]", "[domain]\nlow = [-3.0]", "needs 2 limits low"),
            ("[domain]\nlow = [-3.0, -2.0]", "[domain]\nlow = [-3.0, 2.0]", "as many, larger, high"),
            ("[domain]\nlow = [-3.0, -2.0]\n", "[domain]\n", "a domain has low and high, not high"),
            ("[[data]]", "[data]", "is not a recipe"),
        ],
    )
    def test_a_mistake_is_named(self, old: str, new: str, cause: str) -> None:
        assert TINY.count(old) == 1
        assert cause in refusal(TINY.replace(old, new))


ROLES = ("hnn", "baseline")
PAPER_TABLE: dict[str, tuple[dict[str, Any], int, int, float]] = {  # data, steps, batch, weight decay
    "mass-spring": (
        {"trajectories": 50, "duration": 3, "points": 30, "noise": 0.1, "test_share": 0.5, "test_first": False},
        2000,
        0,
        1e-4,
    ),
    "pendulum": (
        {"trajectories": 50, "duration": 3, "points": 45, "noise": 0.1, "test_share": 0.5, "test_first": False},
        2000,
        0,
        1e-4,
    ),
    "real-pendulum": ({"test_share": 0.2}, 2000, 0, 1e-5),
    "two-body": (
        {"trajectories": 1000, "duration": 20, "points": 50, "noise": 0, "test_share": 0.2, "test_first": True},
        10000,
        200,
        0,
    ),
    "three-body": (
        {"trajectories": 5000, "duration": 5, "points": 20, "noise": 0, "test_share": 0.2, "test_first": True},
        10000,
        200,
        0,
    ),
    "pixel-pendulum": (
        {"settings": {"window": list(SEED_WINDOW)}, "test_share": 0.2, "test_first": True},
        10000,
        200,
        1e-5,
    ),
}
PAPER_FAMILIES = {"hnn": "generic", "baseline": "mlp"}
PIXEL_FAMILIES = {"hnn": "pixel-generic", "baseline": "pixel-generic-mlp"}


@pytest.mark.parametrize("system", IN_PAPER)
class TestPaperRecipes:
    @pytest.mark.parametrize("role", ROLES)
    def test_they_are_the_papers_protocol(self, system: str, role: str) -> None:
        """But for one thing: with films, the rate falls."""
        recipe, films = load_recipe(f"{system}/paper/{role}"), system == "pixel-pendulum"
        data, steps, batch, decay = PAPER_TABLE[system]
        source = {"real-pendulum": "measured", "pixel-pendulum": "films"}.get(system, "paper")
        assert recipe.data == [{"source": source, **data}]
        (stage,) = recipe.stages
        assert (stage["steps"], stage["optimiser"]) == (steps, "adam")
        assert stage.get("loss", "derivative") == ("pairs" if films else "derivative")
        falling = {"final_rate": 1e-5} if films else {}
        assert stage["settings"] == {"learning_rate": 1e-3, "batch": batch, "weight_decay": decay, **falling}
        families = PIXEL_FAMILIES if films else PAPER_FAMILIES
        assert recipe.model == {"family": families[role], "hidden": [200, 200]}

    def test_all_are_trained_on_the_same_data(self, system: str) -> None:
        recipes = [load_recipe(name) for name in shipped_recipes() if name.startswith(f"{system}/paper/")]
        assert all(recipe.data == recipes[0].data and recipe.seed == recipes[0].seed for recipe in recipes)


@pytest.mark.parametrize("system", TASKED)
class TestDefaultRecipes:
    def test_both_are_trained_on_the_same_data(self, system: str) -> None:
        first, second = (load_recipe(f"{system}/default/{role}") for role in ROLES)
        assert (first.data, first.seed, first.domain) == (second.data, second.seed, second.domain)

    @pytest.mark.parametrize("role", ROLES)
    def test_they_are_learned_from_100_units_of_time_as_watched_and_from_no_derivative(
        self, system: str, role: str
    ) -> None:
        if system == "pixel-pendulum":
            pytest.skip("learned from films")
        recipe = load_recipe(f"{system}/default/{role}")
        assert {table["source"] for table in recipe.data} == {"watched"}
        assert sum(table["seconds"] for table in recipe.data) == pytest.approx(100)
        assert {table["dt"] for table in recipe.data} == {task.dt for task in tasks_of(system)}
        assert {stage.get("loss", "derivative") for stage in recipe.stages} <= {"impulse", "prediction", "trajectory"}

    @pytest.mark.parametrize("role", ROLES)
    def test_their_domain_covers_the_tasks_limits(self, system: str, role: str) -> None:
        domain = load_recipe(f"{system}/default/{role}").domain
        assert domain is not None
        for task in tasks_of(system):
            # An angle without a limit goes once round.
            angles = np.array([*task.system.spec.angles, *[False] * task.system.spec.dof])
            low = np.where(angles & np.isinf(task.low), -np.pi, task.low)
            high = np.where(angles & np.isinf(task.high), np.pi, task.high)
            assert (np.array(domain["low"]) <= low).all()
            assert (np.array(domain["high"]) >= high).all()

    @pytest.mark.parametrize("role", ROLES)
    def test_their_data_covers_the_tasks_inputs(self, system: str, role: str) -> None:
        recipe = load_recipe(f"{system}/default/{role}")
        largest = [
            table["max_input"] if "max_input" in table else table["settings"]["largest_torque"] for table in recipe.data
        ]
        assert min(largest) >= max(task.max_input for task in tasks_of(system))

    def test_bodies_come_as_close_as_the_task_lets_them(self, system: str) -> None:
        closest = getattr(tasks_of(system)[0], "smallest_separation", None)
        if closest is None:
            pytest.skip("no bodies")
        assert all(table["closest"] < closest for table in load_recipe(f"{system}/default/hnn").data)


class TestData:
    def test_the_sources_shares_are_joined(self) -> None:
        box = TINY[TINY.index("[[data]]") : TINY.index("[domain]")]
        one = make_data(parse_recipe(TINY, ""))
        two = make_data(parse_recipe(TINY.replace("[domain]", f"{box}[domain]"), ""))
        assert [len(share) for share in two] == [2 * len(share) for share in one]
        np.testing.assert_array_equal(two[0].states[: len(one[0])], one[0].states)
        assert not np.array_equal(two[0].states[len(one[0]) :], one[0].states)

    def test_the_seed_decides(self) -> None:
        first, again, other = (make_data(parse_recipe(TINY.replace("seed = 3", f"seed = {n}"), "")) for n in (3, 3, 4))
        np.testing.assert_array_equal(first[0].states, again[0].states)
        assert not np.array_equal(first[0].states, other[0].states)

    def test_a_recipe_needs_data(self) -> None:
        with pytest.raises(InvalidOptionError, match="pendulum/test/tiny has no data"):
            make_data(replace(parse_recipe(TINY, ""), data=[]))

    @pytest.mark.parametrize(("share", "left"), [("0.0", "200 .* and 0"), ("1.0", "0 .* and 200")])
    def test_both_shares_need_data(self, share: str, left: str) -> None:
        text = TINY.replace("max_input = 0.5", f"max_input = 0.5\ntest_share = {share}")
        with pytest.raises(InvalidOptionError, match=f"leaves {left} to test on"):
            make_data(parse_recipe(text, ""))

    def test_a_measured_series_that_is_not_there_is_missed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(VARIABLE, raising=False)
        with pytest.raises(DataError, match="Schmidt and Lipson"):
            make_data(load_recipe("real-pendulum/paper/hnn"))

    def test_the_path_of_the_measured_series_may_be_given(self, tmp_path: Path) -> None:
        path = tmp_path / "series.txt"
        path.write_text("".join(f"0 {t} {0.1 * t} 0.1\n" for t in range(1, 12)))
        train, test = make_data(load_recipe("real-pendulum/paper/hnn"), str(path))
        assert (len(train), len(test)) == (8, 2)


class KilledError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return parse_recipe(TINY, "tiny.toml")


@pytest.fixture(scope="module")
def output(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of the tiny recipe, in a folder of its own that did not exist."""
    path = tmp_path_factory.mktemp("followed") / "new" / "tiny.safetensors"
    follow(recipe, path)
    return path


class TestFollowing:
    def test_it_writes_a_checkpoint_and_nothing_else(self, output: Path) -> None:
        assert list(output.parent.iterdir()) == [output]
        load_checkpoint(output, "pendulum")

    def test_the_card_holds_the_recipe(self, recipe: Recipe, output: Path) -> None:
        card = load_checkpoint(output).card
        assert (card.system, card.name, card.family, card.seed) == ("pendulum", "test/tiny", "separable", 3)
        assert (card.recipe, card.version) == (TINY, __version__)
        assert recipe_of(load_checkpoint(output)) == recipe

    def test_the_domain_is_the_recipes_with_the_datas_energies(self, recipe: Recipe, output: Path) -> None:
        energies = get_system("pendulum").value(make_data(recipe)[0].states)
        expected = Domain((-3.0, -2.0), (3.0, 2.0), (float(energies.min()), float(energies.max())))
        assert load_checkpoint(output).card.domain == expected

    def test_without_a_domain_it_is_what_the_data_spans(self, tmp_path: Path) -> None:
        text = TINY[: TINY.index("[domain]")] + TINY[TINY.index("[[stages]]") :]
        recipe = parse_recipe(text, "")
        x = make_data(recipe)[0].states
        domain = follow(recipe, tmp_path / "tiny.safetensors").card.domain
        assert (domain.low, domain.high) == (tuple(x.min(axis=(0, 1))), tuple(x.max(axis=(0, 1))))

    def test_a_domain_that_the_data_does_not_cover_is_refused(self, tmp_path: Path) -> None:
        text = TINY.replace("[domain]\nlow = [-3.0, -2.0]", "[domain]\nlow = [-3.0, -2.6]")
        with pytest.raises(InvalidOptionError, match=r"x\[1\] from -2.6 to 2, and its data spans only -1.9") as caught:
            follow(parse_recipe(text, ""), tmp_path / "tiny.safetensors")
        assert "x[0]" not in str(caught.value)
        assert not list(tmp_path.iterdir())

    def test_the_metrics_can_be_measured_again(self, recipe: Recipe, output: Path) -> None:
        checkpoint = load_checkpoint(output)
        assert set(checkpoint.card.metrics) == {"test_loss"}
        assert card_metrics(recipe, checkpoint, make_data(recipe)[1]) == pytest.approx(
            checkpoint.card.metrics, rel=1e-9
        )

    def test_the_test_loss_is_of_what_was_not_trained_on(self, recipe: Recipe, output: Path) -> None:
        x, derivatives, u = make_data(recipe)[1].flat()
        checkpoint = load_checkpoint(output)
        field = checkpoint.build()
        expected = np.square(field(x, u) - derivatives).mean()
        assert checkpoint.card.metrics["test_loss"] == pytest.approx(expected, rel=1e-9)

    def test_default_models_are_held_against_the_ode_over_episodes_too(self, tmp_path: Path) -> None:
        text = TINY.replace("test/", "default/").replace('"pendulum"', '"mass-spring"')
        checkpoint = follow(parse_recipe(text, ""), tmp_path / "tiny.safetensors", measure=card_metrics)
        expected = np.quantile(episode_errors(checkpoint), 0.95)
        assert checkpoint.card.metrics["episode_error_95"] == pytest.approx(expected, rel=1e-6)
        assert expected > 1e-6

    def test_the_mean_believed_energy_is_the_mean_true_energy(self, recipe: Recipe, output: Path) -> None:
        x = make_data(recipe)[0].states
        dynamics = make_dynamics(get_system("pendulum"), str(output))
        assert load_checkpoint(output).card.energy_offset != 0
        assert dynamics.energy(x).mean() == pytest.approx(get_system("pendulum").value(x).mean(), rel=1e-12)

    def test_a_model_without_an_energy_has_no_offset(self, tmp_path: Path) -> None:
        text = TINY.replace('family = "separable"', 'family = "mlp"').replace("ports = { inputs = true }\n", "")
        text = text[: text.index("[[stages]]\noptimiser")]
        assert follow(parse_recipe(text, ""), tmp_path / "tiny.safetensors").card.energy_offset == 0.0

    def test_it_is_deterministic_to_the_byte(self, recipe: Recipe, output: Path, tmp_path: Path) -> None:
        follow(recipe, tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == output.read_bytes()

    @pytest.mark.parametrize("after", [1, 2, 3, 4])
    def test_interrupted_and_resumed_it_is_the_same_to_the_byte(
        self, recipe: Recipe, output: Path, tmp_path: Path, after: int
    ) -> None:
        calls = count(1)

        def report(*_: object) -> None:
            if next(calls) == after:
                raise KilledError

        path = tmp_path / "tiny.safetensors"
        with pytest.raises(KilledError):
            follow(recipe, path, report=report)
        assert [file.name for file in tmp_path.iterdir()] == ["tiny.state.safetensors"]
        follow(recipe, path)
        assert path.read_bytes() == output.read_bytes()
        assert list(tmp_path.iterdir()) == [path]

    def test_a_changed_recipe_does_not_take_up_the_old_run(self, recipe: Recipe, output: Path, tmp_path: Path) -> None:
        path, calls = tmp_path / "tiny.safetensors", count()

        def report(*_: object) -> None:
            if next(calls) == 2:
                raise KilledError

        with pytest.raises(KilledError):
            follow(parse_recipe(TINY.replace("1e-2", "1e-3"), ""), path, report=report)
        follow(recipe, path)
        assert path.read_bytes() == output.read_bytes()

    @pytest.mark.parametrize("change", ["data", "threads", "version"])
    def test_a_run_of_other_data_or_elsewhere_is_not_taken_up(
        self, recipe: Recipe, output: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, calls, words = tmp_path / "tiny.safetensors", count(), list[str]()

        def report(*_: object) -> None:
            if next(calls) == 2:
                raise KilledError

        train, test = make_data(recipe)
        other = replace(train, states=train.states + 1e-9) if change == "data" else train
        with monkeypatch.context() as elsewhere:
            if change == "version":
                elsewhere.setattr(pipeline, "__version__", "0.0.0")
            with pytest.raises(KilledError):
                follow(recipe, path, report=report, shares=(other, test), threads=2 if change == "threads" else 1)
        follow(recipe, path, message=words.append)
        assert path.read_bytes() == output.read_bytes()
        assert sum("training starts anew" in line for line in words) == 1

    def test_milestones_are_told(self, recipe: Recipe, tmp_path: Path) -> None:
        words: list[str] = []
        follow(recipe, tmp_path / "tiny.safetensors", message=words.append)
        assert words == ["making the data", "fitting separable to 160 states", "measuring"]


class TestEpisodeErrors:
    def test_they_are_shares_of_the_domains_width(self) -> None:
        true = np.zeros((3, 1, 2))
        learned = np.array([[[0.0, 0.0]], [[0.5, 0.1]], [[0.2, -0.9]]])
        going = np.ones((3, 1), bool)
        assert _largest_error(true, learned, going, Domain((-1.0, -3.0), (1.0, 3.0), (0, 1))) == [0.25]

    def test_what_comes_after_the_end_does_not_count(self) -> None:
        true, going = np.zeros((3, 1, 2)), np.array([[True], [True], [False]])
        learned = np.array([[[0.0, 0.0]], [[0.1, 0.1]], [[9.0, np.nan]]])
        assert _largest_error(true, learned, going, Domain((0.0, 0.0), (1.0, 1.0), (0, 1))) == [0.1]

    def test_a_model_that_diverges_is_infinitely_wrong(self) -> None:
        true, learned = np.zeros((2, 1, 2)), np.array([[[0.0, 0.0]], [[np.nan, np.nan]]])
        assert np.isinf(_largest_error(true, learned, np.ones((2, 1), bool), Domain((0, 0), (1, 1), (0, 1))))

    def test_every_start_counts_once(self, output: Path) -> None:
        errors = episode_errors(load_checkpoint(output), starts=7)
        assert errors.shape == (7,)
        assert len(set(errors)) == 7

    def test_a_good_model_is_told_from_a_poor_one(self, output: Path) -> None:
        good, poor = (
            episode_errors(model, starts=7) for model in (find_checkpoint("pendulum", "hnn"), load_checkpoint(output))
        )
        assert good.max() < 0.01 < np.median(poor)


class TestFolder:
    def test_recipes_are_in_the_repository_where_nothing_is_installed(self) -> None:
        assert recipes_folder() == REPOSITORY / "training" / "recipes"
