"""Long rollouts: energy, prediction, reversal, symplecticity."""
