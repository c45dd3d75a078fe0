"""HTTP/2 and gRPC on the wire, for either side of a connection: frames, header blocks, windows, records, transport."""
