package grpcstream;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;

/** Echoes the contract's two keys, whatever the status. */
final class EchoMetadata implements ServerInterceptor {
    private static final Metadata.Key<String> INITIAL =
            Metadata.Key.of("x-grpc-test-echo-initial", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<byte[]> TRAILING =
            Metadata.Key.of("x-grpc-test-echo-trailing-bin", Metadata.BINARY_BYTE_MARSHALLER);
    private static final Context.Key<ServerCall<?, ?>> CALL = Context.key("call");

    /** Sends the headers of the current RPC; stream observers send them only with the first response. */
    static void sendHeaders() {
        CALL.get().sendHeaders(new Metadata());
    }

    @Override
    public <Q, S> ServerCall.Listener<Q> interceptCall(
            ServerCall<Q, S> call, Metadata received, ServerCallHandler<Q, S> next) {
        ServerCall<Q, S> echoing = new Echoing<>(call, received);
        return Contexts.interceptCall(Context.current().withValue(CALL, echoing), echoing, received, next);
    }

    private static final class Echoing<Q, S> extends SimpleForwardingServerCall<Q, S> {
        private final Metadata received;
        private boolean headersSent;

        Echoing(ServerCall<Q, S> call, Metadata received) {
            super(call);
            this.received = received;
        }

        @Override
        public void sendHeaders(Metadata headers) {
            if (!headersSent) {
                headersSent = true;
                copy(INITIAL, received, headers);
                super.sendHeaders(headers);
            }
        }

        @Override
        public void close(Status status, Metadata trailers) {
            if (received.containsKey(INITIAL)) {
                // Without headers an error is "trailers-only", and the initial metadata would be lost.
                sendHeaders(new Metadata());
            }
            copy(TRAILING, received, trailers);
            super.close(status, trailers);
        }
    }

    private static <T> void copy(Metadata.Key<T> key, Metadata from, Metadata to) {
        Iterable<T> values = from.getAll(key);
        if (values != null) {
            values.forEach(value -> to.put(key, value));
        }
    }
}
