"""Measurements of the shipped physics: each module runs one suite and gives rows of one record type."""
