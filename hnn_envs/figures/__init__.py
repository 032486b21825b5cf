"""Figures and animations of rollouts: matplotlib and GIFs, from what evaluation gives."""
