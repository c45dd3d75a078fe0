"""Verdicts on a test, a requirement and a run, and what changes them: expected failures and allowances."""
