"""The conformance suite: one module per behaviour of a StreamService."""
