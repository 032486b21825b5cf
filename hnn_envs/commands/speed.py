"""``hnn-envs benchmark speed``: what a step costs here, next to peers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from hnn_envs.commands.console import check_file, console, plain_errors, say, timing
from hnn_envs.evaluation.records import Row

DEFAULT_FOLDER = Path("runs/speed")


def speed(
    quick: Annotated[bool, typer.Option("--quick", help="A moment only, to see that it works.")] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer
        typer.Option(help="Folder for results; by default runs/speed, or nowhere if quick.", file_okay=False),
    ] = None,
    json: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where to write the rows; by default OUT/speed.json.", dir_okay=False),
    ] = None,
) -> None:
    """Measure speed: single environments, batches, rollouts, training, start-up, next to peers that are installed.

    Cases take turns, so that other work on the machine hits all alike; a value is the median over the turns, with its
    standard error. Ratios count; those with a target say whether it is met.
    """
    from hnn_envs.benchmarks.speed import FULL, QUICK, missed, run
    from hnn_envs.benchmarks.speed.peers import PEERS, has_peer
    from hnn_envs.evaluation.records import write_rows

    folder = out or (None if quick else DEFAULT_FOLDER)
    results = json or (folder and folder / "speed.json")
    with plain_errors(), timing() as bar:
        if results is not None:
            check_file(results)
        task = bar.add_task("speed", total=None)

        def progress(done: float, total: float, part: str) -> None:
            bar.update(task, description=f"speed: {part}", completed=done, total=total)

        rows = run(QUICK if quick else FULL, progress)
        if results is not None:
            write_rows(results, rows)
    console.print(_table(rows))
    missing = ", ".join(peer for peer in PEERS if not has_peer(peer))
    if missing:
        say(f"Not installed, and left out: {missing}; pip install 'hnn_envs[peers]' brings them.")
    say("'free' are environments that cost nothing: what they reach is as far as PPO itself lets any get.")
    short = [row for row in rows if missed(row)]
    say(f"{len(short)} of {sum(row.reference is not None for row in rows)} targets missed.")
    if results is not None:
        say(f"results: {results}")


def _table(rows: Sequence[Row]) -> Table:
    from hnn_envs.benchmarks.speed import AT_MOST, missed

    title = "Median of all turns, with its standard error; a pendulum, unless it says otherwise"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # Where the window is narrow the first three give way, so that a verdict is never cut.
    table.add_column("physics", overflow="fold")
    table.add_column("metric", min_width=20)
    table.add_column("value", justify="right")
    table.add_column("target", no_wrap=True, justify="right")
    table.add_column("", no_wrap=True, min_width=len("MISSED"))
    for row in rows:
        target = verdict = ""
        if row.reference is not None:
            target = f"{'<=' if row.metric in AT_MOST else '>='} {row.reference:g}"
            verdict = "[red]MISSED[/red]" if missed(row) else "[green]met[/green]"
        physics = f"{row.system if row.system != 'pendulum' else ''} {escape(row.dynamics)}".strip()
        spread = "" if row.stderr is None else f" ± {_shown(row.stderr, 2)}"
        table.add_row(physics, row.metric.replace("_", " "), f"{_shown(row.value)}{spread} {row.unit}", target, verdict)
    return table


def _shown(value: float, digits: int = 3) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
