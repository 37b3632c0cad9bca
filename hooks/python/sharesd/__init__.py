"""Hooks of sharesd in Python: see sharesd.hook, and sharesd-hooks(7)."""
