"""What may watch an exploration: callbacks, one of which writes logs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from hnn_envs.exploration.learners import Learned
from hnn_envs.exploration.planning import Plan
from hnn_envs.exploration.trials import Trial
from hnn_envs.parsing import user_path


class Callback:
    """Is told about everything that happens; a subclass says what it does with it."""

    def on_learned(self, seconds: float, learned: Learned) -> None:
        """Something was learned.

        Args:
            seconds: experience that it was learned from.
            learned: what it is.
        """

    def on_plan(self, seconds: float, plan: Plan) -> None:
        """A trial was planned, and is played next.

        Args:
            seconds: experience so far.
            plan: what is followed.
        """

    def on_trial(self, seconds: float, trial: Trial) -> None:
        """A trial was played.

        Args:
            seconds: experience with it.
            trial: what happened.
        """


class Log(Callback):
    """Writes how an exploration goes as TensorBoard's events, and as CSV where TensorBoard is not installed.

    Steps are those of the environment.

    Args:
        folder: where to write.
    """

    def __init__(self, folder: str | Path) -> None:
        from stable_baselines3.common.logger import configure

        self._logger = configure(str(user_path(folder)), ["tensorboard" if find_spec("tensorboard") else "csv"])

    def on_learned(self, seconds: float, learned: Learned) -> None:
        """Notes how far measurements and steps are off."""
        for name, values in (("noise", learned.noise), ("disturbance", learned.disturbance)):
            for index, value in enumerate(values.tolist()):
                self._logger.record(f"learned/{name}_{index}", value)

    def on_plan(self, seconds: float, plan: Plan) -> None:
        """Notes what the rehearsals promise."""
        self._logger.record("plan/rehearsed", plan.rehearsed)
        self._logger.record("plan/cost", float(plan.trajectory.cost))

    def on_trial(self, seconds: float, trial: Trial) -> None:
        """Writes what was noted, with the trial."""
        self._logger.record("trial/seconds", trial.seconds)
        self._logger.record("trial/planned", float(trial.planned))
        self._logger.record("trial/solved", float(trial.solved))
        self._logger.record("experience_seconds", seconds)
        self._logger.dump(round(seconds / trial.dt))
