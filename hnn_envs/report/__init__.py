"""Results as one self-contained HTML page."""

from __future__ import annotations

from hnn_envs.report.page import write_report

__all__ = ["write_report"]
