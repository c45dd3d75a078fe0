"""Targets: parses, starts, probes, supervises and stops what a run is pointed at."""
