"""``hnn-envs list``: what there is."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from hnn_envs.commands.console import console, plain_errors, say
from hnn_envs.errors import CheckpointError
from hnn_envs.ids import ENVIRONMENTS


def list_everything() -> None:
    """List environments, checkpoints with their metrics, recipes and integrators."""
    from hnn_envs.checkpoints import checkpoint_path, load_checkpoint, shipped_checkpoints
    from hnn_envs.fitting.recipes import shipped_recipes
    from hnn_envs.integrators import INTEGRATORS
    from hnn_envs.systems import spec_of
    from hnn_envs.tasks import get_task
    from hnn_envs.tasks.actuation import actuation_of

    environments = _table("Environments", "id", "system", "state", "action", "steps", "dt", whole=2)
    checkpoints = _table("Checkpoints", "system", "dynamics=", "family", "test loss", "episode error", whole=3)
    problems, systems = [], dict[str, None]()
    with plain_errors():
        for name, (task_name, steps) in ENVIRONMENTS.items():
            task = get_task(task_name)
            spec = spec_of(task.system)
            row = (str(2 * spec.dof), str(actuation_of(task).actions), str(steps), f"{task.dt:.4g}")
            environments.add_row(f"hnn_envs:hnn_envs/{name}-v0", spec.name, *row)
            systems[spec.name] = None
        for system in systems:
            for shipped in shipped_checkpoints(system):
                try:
                    card = load_checkpoint(checkpoint_path(system, shipped), system).card
                except CheckpointError as error:
                    problems.append(str(error))
                    checkpoints.add_row(system, shipped, "unusable, see below")
                    continue
                loss, deviation = (_shown(card.metrics.get(name)) for name in ("test_loss", "episode_error_95"))
                checkpoints.add_row(system, shipped, card.family, loss, deviation)
    console.print(environments, checkpoints)
    say(
        "An id takes its physics as the argument dynamics; for tools that pass none, PendulumHNN-v0 and\n"
        "PendulumBaseline-v0 stand for learned physics, and so for the others. hnn_envs:hnn_envs/Learned-v0 takes the\n"
        "file of what was learned from a recording of your own.\n"
        "dt is the time per step. Test loss: mean square error of x' on unseen data; of the seed's models of films,\n"
        "what they were trained to lower. Episode error: largest deviation from the ODE in an episode, as a share\n"
        "of the domain's width, 95th percentile of 100 episodes.\n"
    )
    for problem in problems:
        say(f"unusable: {problem}")
    say(f"Integrators: {', '.join(INTEGRATORS)}")
    say("Recipes, for hnn-envs train:")
    for recipe in shipped_recipes():
        say(f"  {recipe}")


def _table(title: str, *columns: str, whole: int) -> Table:
    """A table whose first columns, ``whole`` in number, are never cut."""
    table = Table(*columns, title=title, box=SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in table.columns[:whole]:
        column.no_wrap = True
    return table


def _shown(metric: float | None) -> str:
    return "" if metric is None else f"{metric:.1e}"
