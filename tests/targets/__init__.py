"""Tests of how targets are named, started, watched and ended."""
