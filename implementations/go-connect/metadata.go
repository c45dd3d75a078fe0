package main

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
)

// echoMetadata is an interceptor that sends the contract's two keys back, whatever the handler returns. Values pass as
// they stand in the header, so a binary one stays in its base64.
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
