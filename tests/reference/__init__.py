"""Tests of the messages and of the reference implementation."""
