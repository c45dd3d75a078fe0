"""Tests of the wire client against two independent gRPC stacks and against hostile servers."""
