package main

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
)

// echoMetadata is an interceptor that echoes the contract's two keys, whatever the handler returns. Values are copied
// from the header unchanged, so a binary one stays in base64.
type echoMetadata struct{}

func (echoMetadata) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		copyValues(conn.ResponseHeader(), conn.RequestHeader(), "X-Grpc-Test-Echo-Initial")
		copyValues(conn.ResponseTrailer(), conn.RequestHeader(), "X-Grpc-Test-Echo-Trailing-Bin")
		return next(ctx, conn)
	}
}

// The service has no unary method, and this is not a client.

func (echoMetadata) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (echoMetadata) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func copyValues(to, from http.Header, key string) {
	for _, value := range from.Values(key) {
		to.Add(key, value)
	}
}
