"""Tests of the plugin: real runs of pytest on real servers."""
