"""What the window shows, as a GIF or an MP4."""

from __future__ import annotations

from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hnn_envs.arrays import Array
from hnn_envs.errors import InvalidOptionError
from hnn_envs.storage import write_atomically

GIF_FPS = 20
GIF_SECONDS = 60  # longer ones do not fit in memory, nor in any mail
GIF_COLOURS = 64


class Gif:
    """A GIF of half the size and a third of the frames, written when it is closed.

    Args:
        path: where it goes.
        fps: of the frames that are added.
    """

    def __init__(self, path: Path, fps: int) -> None:
        self.path = path
        self._every = max(1, round(fps / GIF_FPS))
        self._duration = round(1000 * self._every / fps)
        self._pictures: list[Image.Image] = []
        self._seen = 0

    def add(self, frame: Array) -> None:
        """Adds a frame, uint8, shape (height, width, 3); frames after the first minute are dropped."""
        if self._seen % self._every == 0 and len(self._pictures) < GIF_SECONDS * GIF_FPS:
            picture = Image.fromarray(frame)
            small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BILINEAR)
            self._pictures.append(small.quantize(GIF_COLOURS, dither=Image.Dither.NONE))
        self._seen += 1

    def close(self) -> None:
        """Writes the file; nothing where no frame was added."""
        if not self._pictures:
            return
        buffer = BytesIO()
        first, rest = self._pictures[0], self._pictures[1:]
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=self._duration, loop=0)
        write_atomically(self.path, buffer.getvalue())


class Mp4:
    """An MP4 in full size, written as it goes.

    Args:
        path: where it goes; it has a temporary name until it is closed.
        fps: frames per second.

    Raises:
        InvalidOptionError: imageio-ffmpeg is not installed.
    """

    def __init__(self, path: Path, fps: int) -> None:
        try:
            import imageio_ffmpeg
        except ImportError as error:
            raise InvalidOptionError("an MP4 needs ffmpeg: pip install imageio-ffmpeg; a GIF does not") from error
        self.path = path
        self._write_frames = imageio_ffmpeg.write_frames
        self._fps = fps
        self._sink: Generator[None, Any, None] | None = None
        self._temporary = path.with_name(f".{path.name}.part.mp4")

    def add(self, frame: Array) -> None:
        """Adds a frame, uint8, shape (height, width, 3)."""
        if self._sink is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            size = (frame.shape[1], frame.shape[0])
            self._sink = self._write_frames(str(self._temporary), size, fps=self._fps, macro_block_size=2)
            self._sink.send(None)
        self._sink.send(np.ascontiguousarray(frame).tobytes())

    def close(self) -> None:
        """Finishes the file; nothing where no frame was added."""
        if self._sink is not None:
            self._sink.close()
            self._temporary.replace(self.path)


Recording = Gif | Mp4


def free_name(folder: Path, stem: str, ending: str) -> Path:
    """The first of stem-001.ending, stem-002.ending, ... that does not exist."""
    number = 1
    while (folder / f"{stem}-{number:03d}.{ending}").exists():
        number += 1
    return folder / f"{stem}-{number:03d}.{ending}"
