"""Tests of verdicts as plain values: no test starts a server or a run of pytest."""
