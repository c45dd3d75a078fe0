"""Servers on plain HTTP/2 frames, each broken in one way."""
