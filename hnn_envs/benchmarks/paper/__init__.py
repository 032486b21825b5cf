"""The seed paper's tables, measured again."""
