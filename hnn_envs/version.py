"""The version of this package, which cards and results carry."""

__version__ = "0.1.0"
