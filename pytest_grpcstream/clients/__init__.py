"""Clients: one stream interface and the ways to speak it."""
