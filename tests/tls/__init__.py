"""Targets that are reached over TLS, with client certificates and with metadata, as the settings say."""
