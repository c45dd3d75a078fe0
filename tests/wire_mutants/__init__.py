"""Servers on plain HTTP/2 frames that are broken in one way each."""
