"""What a learned model is worth, in words and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hnn_envs.checkpoints import Card

FAMILIES = ("trigonometric", "mechanical", "generic", "mlp")
TITLES = {
    "trigonometric": "trigonometric machine",
    "mechanical": "mechanical network",
    "generic": "generic HNN",
    "mlp": "plain network",
}
SCORE = "prediction_error/"
"""What metrics of the families' errors are called: this and the family's name."""
POOR = 0.5
"""Error over a time scale from which a model is no simulator."""
TRUSTED = 0.9, 0.99
"""Coverage of two standard deviations below which a spread is too small, and above which it is too large."""


@dataclass(frozen=True)
class Report:
    """How far a model can be trusted; printing it shows the text.

    Attributes:
        system: its name.
        family: the family that was chosen.
        scores: error of each family over a time scale on the stretches to choose by, 0 to 1.
        metrics: everything that was measured on stretches that nothing was fitted to or chosen by.
        domain: (title, low, high) of every state component and input that the recording covers.
        time_unit: of times.
        time_scale: about a period.
        members: of the ensemble.
    """

    system: str
    family: str
    scores: dict[str, float]
    metrics: dict[str, float]
    domain: tuple[tuple[str, float, float], ...]
    time_unit: str
    time_scale: float
    members: int = 0
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        lines = [f"{self.system}: {TITLES.get(self.family, self.family)}", *self.notes, "", *self._measured()]
        if self.scores:
            lines += ["", "error over a period on held-out stretches, by family (0 perfect, 1 useless):"]
            best = min(self.scores.values())
            lines += [
                f"  {TITLES.get(name, name):<24}{value:8.4f}{'  <- chosen' if name == self.family else ''}"
                for name, value in self.scores.items()
            ]
            if self.scores.get("mlp", math.inf) <= best:
                lines.append("  the plain network predicts best here: no energy explains this recording better")
        lines += ["", "the recording covers:"]
        lines += [f"  {title:<24}{low:10.4g} to {high:10.4g}" for title, low, high in self.domain]
        return "\n".join(lines)

    __repr__ = __str__

    def _measured(self) -> list[str]:
        lines = []
        unit, found = self.time_unit, self.metrics
        if "valid_prediction_time" in found:
            low, high = found["valid_prediction_time_low"], found["valid_prediction_time_high"]
            whole = found.get("valid_to_the_end", 0.0)
            lines.append(
                f"predictions stay valid for {found['valid_prediction_time']:.3g} {unit} (median; 95 % interval "
                f"{low:.3g} to {high:.3g} {unit}; a period is about {self.time_scale:.3g} {unit})"
            )
            if whole >= 0.5:
                lines.append(f"  {whole:.0%} of them to the end of the held-out stretch, so that it may be longer")
        if "spread_coverage" in found:
            covered = found["spread_coverage"]
            verdict = "too small" if covered < TRUSTED[0] else "cautious" if covered > TRUSTED[1] else "calibrated"
            lines.append(f"{covered:.0%} of errors lie within two standard deviations of the spread ({verdict})")
        if "energy_balance" in found:
            left = found["energy_balance"]
            lines.append(
                f"{left:.1%} of the change of energy is not explained by work and friction on the recorded path"
            )
        if found.get("noise_share") is not None:
            lines.append(f"noise in the recording: {found['noise_share']:.2g} of each component's deviation (mean)")
        return lines


def report_of(card: Card, members: int = 0) -> Report:
    """The report that a card holds."""
    spec, domain = card.spec, card.domain
    titles = [coordinate.title for coordinate in spec.coordinates]
    titles += [coordinate.momentum_title for coordinate in spec.coordinates]
    covered = list(zip(titles, domain.low, domain.high, strict=True))
    for each, limits in zip(spec.inputs, domain.inputs or (), strict=False):
        covered.append((f"{each.name} ({each.unit})" if each.unit else each.name, *limits))
    metrics = {name: float(value) for name, value in card.metrics.items()}
    scores = {name.removeprefix(SCORE): value for name, value in metrics.items() if name.startswith(SCORE)}
    rest = {name: value for name, value in metrics.items() if not name.startswith(SCORE)}
    poor = scores.get(card.family, 0.0) > POOR
    notes = ("it predicts hardly anything of what was held out: record more, or more of what matters",) if poor else ()
    return Report(
        card.system,
        card.family,
        {name: scores[name] for name in (*FAMILIES, *sorted(scores)) if name in scores},
        rest,
        tuple(covered),
        spec.time_unit,
        spec.time_scale,
        members,
        notes,
    )
