"""The tables of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from hnn_envs.evaluation.records import Row
from hnn_envs.systems import SystemSpec

Key = tuple[str, str, str]
"""System, dynamics, metric."""

ENOUGH_STARTS = 100  # of fewer, a test finds the same distribution whatever they are of
GAIN = 10.0  # the HNN should be valid for so many times as long as the baseline


def table(header: Sequence[str], lines: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """A table that scrolls by itself where the page is narrow; cells are HTML already.

    Args:
        header: titles.
        lines: cells.
        words: how many columns from the left are words and not numbers.
    """
    head = "".join(f"<th{_kind(index, words)}>{title}</th>" for index, title in enumerate(header))
    body = "".join(
        "<tr>" + "".join(f"<td{_kind(index, words)}>{cell}</td>" for index, cell in enumerate(line)) + "</tr>"
        for line in lines
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(index: int, words: int) -> str:
    return ' class="words"' if index < words else ""


def by_key(rows: Sequence[Row]) -> dict[Key, Row]:
    """Rows by system, dynamics and metric; a later one replaces an earlier."""
    return {(row.system, row.dynamics, row.metric): row for row in rows}


def number(value: float | None, digits: int = 2) -> str:
    """A number for readers: powers of ten where it is very small or large."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "diverged"
    if value == 0 or 0.01 <= abs(value) < 1e4:
        return f"{value:.{digits + 1}g}" if abs(value) < 1000 else f"{value:,.0f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}&times;10<sup>{int(exponent)}</sup>".replace("-", "&minus;")


def uncertain(row: Row | None) -> str:
    """A value with its standard error."""
    if row is None:
        return "-"
    error = f" <small>&plusmn; {number(row.stderr, 1)}</small>" if row.stderr else ""
    return number(row.value) + error


def paper_table(rows: Sequence[Row]) -> str:
    """Test loss and energy MSE of every model, beside what was published."""
    found = by_key(rows)
    metrics = [name for name in ("test_loss", "energy_mse") if any(row.metric == name for row in rows)]
    lines = []
    for system, dynamics in dict.fromkeys((row.system, row.dynamics) for row in rows):
        cells = [escape(system), escape(dynamics)]
        for metric in metrics:
            row = found.get((system, dynamics, metric))
            cells += [uncertain(row), number(row.reference) if row is not None else "-"]
        if any(cell != "-" for cell in cells[2:]):
            lines.append(cells)
    titles = [title for metric in metrics for title in (metric.replace("_", " "), "to hold against")]
    return table(["system", "physics", *titles], lines, words=2)


def stability_table(rows: Sequence[Row]) -> str:
    """The stability benchmark in one line per physics."""
    found = by_key(rows)
    columns = {
        "max_relative_energy_error": "largest energy error",
        "energy_trend": "energy trend per period",
        "significant_drift": "drift",
        "valid_prediction_time": "valid for",
        "reversal_error": "reversal error",
        "symplecticity_defect": "symplecticity defect",
        "momentum_drift": "momentum drift",
        "angular_momentum_drift": "angular momentum drift",
        "microseconds_per_step": "&micro;s per step",
    }
    lines = []
    for system, dynamics in dict.fromkeys((row.system, row.dynamics) for row in rows):
        cells = [_stability_cell(_row_of(found, system, dynamics, metric), metric) for metric in columns]
        lines.append([escape(system), escape(dynamics), *cells])
    return table(["system", "physics", *columns.values()], lines, words=2)


def _row_of(found: dict[Key, Row], system: str, dynamics: str, metric: str) -> Row | None:
    """The row of a metric; where the true energy is not known, that of the learned one."""
    learned = metric.replace("energy", "learned_energy")
    return found.get((system, dynamics, metric)) or found.get((system, dynamics, learned))


def escapes_table(rows: Sequence[Row]) -> str:
    """What becomes of three bodies, statistically; nothing where that was not run."""
    found = by_key(rows)
    columns = {
        "max_relative_energy_error_apart": "largest energy error before an encounter",
        "max_relative_energy_error": "through all encounters",
        "encountered": "met closely",
        "escaped": "lost a body",
        "escape_time": "median time until then",
        "escape_p_value": "p, times of escape",
        "encounter_p_value": "p, times of encounter",
    }
    lines = [
        [escape(row.system), escape(row.dynamics)]
        + [uncertain(found.get((row.system, row.dynamics, metric))) for metric in columns]
        for row in rows
        if row.metric == "escaped"
    ]
    return table(["system", "physics", *columns.values()], lines, words=2) if lines else ""


def _stability_cell(row: Row | None, metric: str) -> str:
    if row is not None and metric == "significant_drift":
        return "yes" if row.value else "none"
    if row is not None and metric == "valid_prediction_time":
        return f"{number(row.value)} <small>{escape(row.unit)}</small>"
    return uncertain(row)


def rows_table(rows: Sequence[Row]) -> str:
    """Any rows, one line each."""
    lines = [
        [
            escape(row.system) or "-",
            escape(row.dynamics),
            escape(row.metric.replace("_", " ")),
            uncertain(row),
            escape(row.unit),
            number(row.reference),
        ]
        for row in rows
    ]
    return table(["system", "physics", "metric", "value", "unit", "to hold against"], lines, words=3)


def targets_table(rows: Sequence[Row], spec_of: Callable[[str], SystemSpec | None]) -> str:
    """What was asked of the default HNN, and what was measured.

    Args:
        rows: of the stability benchmark.
        spec_of: what a system is, by its name; None where that is not known.
    """
    found = by_key(rows)
    systems = dict.fromkeys(row.system for row in rows)
    lines = [line for system in systems for line in _targets_of(system, spec_of(system), found)]
    return table(["system", "asked of the HNN", "measured", "", "baseline"], lines, words=2) if lines else ""


def _targets_of(system: str, spec: SystemSpec | None, found: dict[Key, Row]) -> list[list[str]]:
    def value(metric: str, dynamics: str = "hnn") -> float | None:
        row = found.get((system, dynamics, metric))
        return None if row is None else row.value

    def line(words: str, metric: str, limit: float) -> list[str]:
        mine = value(metric)
        return [system, words, number(mine), _verdict(mine is None or mine < limit), number(value(metric, "baseline"))]

    if value("max_relative_energy_error") is None:
        return []
    lines = []
    # The energy of a flow that is neither damped nor chaotic should stay; a discrete map has an energy of its own.
    if spec is not None and not (spec.dissipative or spec.chaotic or spec.stepping):
        lines.append(
            line("largest relative energy error below 10<sup>&minus;3</sup>", "max_relative_energy_error", 1e-3)
        )
        trend, drift = value("energy_trend"), value("significant_drift")
        if drift is not None:
            other = value("significant_drift", "baseline")
            theirs = "-" if other is None else "drift" if other else "no drift"
            shown = f"{'drift' if drift else 'no drift'} <small>({number(trend)} per period)</small>"
            lines.append([system, "no significant trend of the energy error", shown, _verdict(drift == 0), theirs])
        horizon = value("horizon")
        lines += _validity(system, value("valid_prediction_time"), value("valid_prediction_time", "baseline"), horizon)
        if value("reversal_error") is not None:
            lines.append(line("reversal error below 10<sup>&minus;6</sup>", "reversal_error", 1e-6))
    if value("max_relative_energy_error_apart") is not None:
        words = "largest relative energy error before a close encounter below 10<sup>&minus;3</sup>"
        lines.append(line(words, "max_relative_energy_error_apart", 1e-3))
    if spec is not None and spec.bodies and spec.chaotic and value("relative_energy_error_95") is not None:
        words = "relative energy error through all encounters below {} from {} of all starts"
        for metric, limit, shown, share in (
            ("median_relative_energy_error", 1e-4, "10<sup>&minus;4</sup>", "half"),
            ("relative_energy_error_95", 1e-2, "10<sup>&minus;2</sup>", "95 %"),
        ):
            lines.append(line(words.format(shown, share), metric, limit))
    chance = value("escape_p_value")
    if chance is not None:
        words = "times of escape compatible with the ODE's (log-rank test, p above 0.05)"
        theirs = number(value("escape_p_value", "baseline"))
        few = chance > 0.05 and (value("starts") or 0) < ENOUGH_STARTS
        verdict = "too few starts to tell" if few else _verdict(chance > 0.05)
        lines.append([system, words, f"p = {number(chance)}", verdict, theirs])
    lines.append(line("symplecticity defect below 10<sup>&minus;9</sup>", "symplecticity_defect", 1e-9))
    return lines


def _validity(system: str, mine: float | None, theirs: float | None, horizon: float | None) -> list[list[str]]:
    if mine is None or theirs is None:
        return []
    words = f"valid for {GAIN:g} times as long as the baseline"
    to_the_end = horizon is not None and mine >= horizon
    met = mine >= GAIN * theirs
    verdict = "horizon too short to tell" if to_the_end and not met else _verdict(met)
    shown = f"{'at least ' if to_the_end else ''}{number(mine)} periods"
    return [[system, words, shown, verdict, f"{number(theirs)} periods"]]


def _verdict(met: bool) -> str:
    return '<span class="met">met</span>' if met else '<span class="missed">missed</span>'
