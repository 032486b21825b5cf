"""Data that models are fitted to: where it comes from, and how it is held."""
