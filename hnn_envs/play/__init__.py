"""A window in which a user pushes a system, and sees true and learned physics answer side by side."""

from __future__ import annotations

from hnn_envs.play.window import play

__all__ = ["play"]
