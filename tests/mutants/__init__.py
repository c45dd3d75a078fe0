"""Servicers that are each broken in one way, and the requirement that must catch each of them."""
