"""Everything that is reported of a learned model, measured on stretches of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hnn_envs.arrays import Array
from hnn_envs.checkpoints import Checkpoint
from hnn_envs.errors import DataError
from hnn_envs.fitting.windows import Stepper
from hnn_envs.hamiltonian import HamiltonianFlow, VectorField
from hnn_envs.learning.kept import Kept
from hnn_envs.learning.report import Report, report_of
from hnn_envs.learning.setting import Setting
from hnn_envs.learning.shares import Shares, Span, stretches_of
from hnn_envs.learning.systems import domain_of
from hnn_envs.learning.trust import Spread, coverage, deviation, energy_balance, predict, spread_ahead, valid_time
from hnn_envs.models import Family, Parameters, make_family
from hnn_envs.recordings.recording import Recording
from hnn_envs.recordings.windows import Watched, watch
from hnn_envs.systems import SystemSpec


@dataclass(frozen=True)
class Fields:
    """A model and the members of its ensemble.

    Attributes:
        model: what predicts.
        members: what tells its spread.
    """

    model: VectorField
    members: tuple[VectorField, ...]

    @classmethod
    def of(cls, family: Family, spec: SystemSpec, parameters: Parameters, members: Sequence[Parameters]) -> Fields:
        """The fields with these parameters."""
        return cls(family.build(spec, parameters), tuple(family.build(spec, each) for each in members))

    def spread(self, watched: Watched, spans: Sequence[Span], stepper: Stepper, noise: Array) -> Spread:
        """Spread and errors on stretches of a recording whose samples have this noise."""
        return spread_ahead(watched, spans, self.model, self.members, stepper, noise)


def measure(
    fields: Fields, watched: Watched, spans: Sequence[Span], stepper: Stepper, scale: float, noise: Array
) -> dict[str, float]:
    """The metrics of a model on stretches that it was not learned from.

    Args:
        fields: the model.
        watched: the recording.
        spans: the stretches.
        stepper: how the model is stepped.
        scale: what calibrates the spread.
        noise: standard deviation of the samples, shape (observed,).
    """
    reach = valid_time(predict(watched, spans, fields.model, stepper))
    metrics = {
        "valid_prediction_time": reach.median,
        "valid_prediction_time_low": reach.low,
        "valid_prediction_time_high": reach.high,
        "valid_to_the_end": reach.whole,
        "noise_share": float((noise / deviation(watched)).mean()),
        "seconds": watched.recording.seconds,
    }
    if fields.members:
        metrics["spread_coverage"] = coverage(fields.spread(watched, spans, stepper, noise), scale)
    if isinstance(fields.model, HamiltonianFlow):
        metrics["energy_balance"] = energy_balance(watched, spans, fields.model)
    return metrics


def checked(checkpoint: Checkpoint, recording: Recording) -> Report:
    """The report of a checkpoint on a recording that it was not learned from.

    Raises:
        DataError: the recording has other coordinates or inputs than the checkpoint's system.
    """
    card = checkpoint.card
    own, given = (card.spec.dof, len(card.spec.inputs)), (recording.dof, len(recording.inputs))
    if own != given:
        raise DataError(
            f"recording {recording.name!r} has {given[0]} coordinates and {given[1]} inputs, and the model of "
            f"{card.system!r} has {own[0]} and {own[1]}"
        )
    watched = watch(recording)
    spans = stretches_of(watched)
    setting = Setting(watched, card.spec, Shares((), (), tuple(spans)), 1.0, 0, Kept(None, ""))
    fields = Fields.of(make_family(card.family, card.settings), card.spec, checkpoint.parameters, checkpoint.members)
    noise = card.metrics.get("noise_share", 0.0) * deviation(watched)
    metrics = measure(fields, watched, spans, setting.stepper, card.spread_scale, noise)
    measured = replace(card, metrics=metrics, domain=domain_of(watched, None))
    return report_of(measured, len(checkpoint.members))
