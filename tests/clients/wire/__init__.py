"""Tests of the wire client: as a peer of two independent servers, and of servers that mean no good."""
