"""Turning trajectories into models: data sets, losses, optimisers and the trainer."""
