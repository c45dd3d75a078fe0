"""A correct StreamService on plain HTTP/2 frames, without a gRPC library, so that each frame can be changed."""
