"""Sweeps that a page begins."""
