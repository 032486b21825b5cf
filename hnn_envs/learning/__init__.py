"""From a recording of a user's own system to a simulator, and how far that can be trusted."""

from __future__ import annotations

from hnn_envs.learning.model import LearnedModel
from hnn_envs.learning.pipeline import learn
from hnn_envs.learning.report import Report

__all__ = ["LearnedModel", "Report", "learn"]
