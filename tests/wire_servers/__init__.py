"""A correct StreamService on plain HTTP/2 frames, with no gRPC library, cut so that any single frame can be changed."""
