"""Targets that are reached by TLS, with client certificates and with metadata, as a user's command line asks for it."""
