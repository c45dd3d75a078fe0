"""Verdicts: about a test, a requirement and a run, and what may change them."""
