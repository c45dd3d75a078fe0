"""Tests of what the suite verifies with."""
