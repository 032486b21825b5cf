"""Several physics side by side as one GIF."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from hnn_envs.arrays import Array
from hnn_envs.drawing.canvas import draw_frame
from hnn_envs.drawing.colors import colours_of
from hnn_envs.drawing.view import View
from hnn_envs.evaluation.comparison import Comparison, Track
from hnn_envs.progress import Progress, silent
from hnn_envs.storage import write_atomically

FPS = 20
TRAIL_RECORDS = 60


def write_gif(
    comparison: Comparison,
    path: Path,
    *,
    frames: int = 240,
    size: tuple[int, int] = (360, 360),
    progress: Progress = silent,
) -> None:
    """Writes the tracks of a comparison side by side.

    Args:
        comparison: what to show.
        path: where the GIF goes; written atomically.
        frames: at most so many, spread evenly over the comparison.
        size: width and height of one panel, pixels.
        progress: called after every frame.
    """
    records = np.unique(np.linspace(0, len(comparison.times) - 1, frames).astype(int))
    colours, pictures = colours_of([track.role for track in comparison.tracks]), []
    for count, record in enumerate(records):
        panels = [
            _panel(comparison, track, colour, int(record), size)
            for track, colour in zip(comparison.tracks, colours, strict=True)
        ]
        pictures.append(Image.fromarray(np.concatenate(panels, axis=1)).quantize(64))
        progress(count + 1, len(records), comparison.spec.name)
    buffer = BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=1000 // FPS, loop=0, optimize=False
    )
    write_atomically(path, buffer.getvalue())


def _panel(comparison: Comparison, track: Track, colour: str, record: int, size: tuple[int, int]) -> Array:
    """One physics at one moment; where it has diverged, its last state, faded."""
    finite = np.isfinite(track.states).all(-1)
    shown = record if finite[record] else int(np.flatnonzero(finite[:record])[-1])
    view = View(
        state=track.states[shown],
        trail=track.states[max(0, shown - _trail_length(comparison)) : shown + 1],
        action=np.zeros(len(comparison.spec.inputs)),
        energy=float(track.energies[shown]),
        believed_energy=float(track.believed_energies[shown]),
        dynamics=track.dynamics,
        time=float(comparison.times[record] - comparison.times[0]),
        colour=colour,
        observation_model=track.observation_model,
    )
    picture = draw_frame(comparison.drawing, view, size=size)
    return picture if finite[record] else picture // 3 + 170


def _trail_length(comparison: Comparison) -> int:
    """Records that a third of a period takes, so that trails look alike whatever the sampling."""
    interval = float(comparison.times[1] - comparison.times[0])
    return max(2, min(TRAIL_RECORDS, round(comparison.spec.time_scale / 3 / interval)))
