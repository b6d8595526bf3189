"""Pixel work on planes: one set of functions per kind of memory, one contract."""
