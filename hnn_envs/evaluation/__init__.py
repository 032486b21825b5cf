"""How well physics stands in for the truth: metrics, comparisons, and the records that hold the numbers."""
