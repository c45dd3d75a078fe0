"""Tests of targets: how they are named, started, probed, watched and stopped."""
