package main

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const (
	echoInitial  = "x-grpc-test-echo-initial"
	echoTrailing = "x-grpc-test-echo-trailing-bin"
)

// echoMetadata echoes the contract's two keys. grpc keeps what is set here until it sends the headers and the trailers,
// whatever the handler returns.
func echoMetadata(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	received, _ := metadata.FromIncomingContext(stream.Context())
	if values := received.Get(echoInitial); len(values) > 0 {
		if err := stream.SetHeader(metadata.MD{echoInitial: values}); err != nil {
			return err
		}
	}
	if values := received.Get(echoTrailing); len(values) > 0 {
		stream.SetTrailer(metadata.MD{echoTrailing: values})
	}
	return handler(srv, stream)
}
