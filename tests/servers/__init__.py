"""StreamServices that are correct in different ways, written without the reference implementation."""
