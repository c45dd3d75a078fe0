"""Targets: named, started, probed, watched and ended."""
