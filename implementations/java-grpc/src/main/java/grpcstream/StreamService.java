package grpcstream;

import grpcstream.proto.StreamRequest;
import grpcstream.proto.StreamResponse;
import grpcstream.proto.StreamServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The whole contract: the core and every directive. */
final class StreamService extends StreamServiceGrpc.StreamServiceImplBase {
    private static final int LIST_RESPONSES = 7;
    private static final String RECORD_NAME = "gRPC Stream Server: Record";
    private static final String ROUTE_NAME = "gRPC Stream Server: Route";

    /** The tokens of the marked RPCs that ended because the client went away. */
    private final Set<String> gone = ConcurrentHashMap.newKeySet();

    @Override
    public void list(StreamRequest request, StreamObserver<StreamResponse> responses) {
        new ListRpc(responses).onNext(request);
    }

    @Override
    public StreamObserver<StreamRequest> record(StreamObserver<StreamResponse> responses) {
        return new RecordRpc(responses).reading();
    }

    @Override
    public StreamObserver<StreamRequest> route(StreamObserver<StreamResponse> responses) {
        return new RouteRpc(responses).reading();
    }

    /** Answers one request with responses that count up from its value. */
    private final class ListRpc extends Rpc {
        ListRpc(StreamObserver<StreamResponse> responses) {
            super(responses, gone);
        }

        @Override
        void handle(Directive directive) {
            String name = directive.point().getName();
            int value = directive.point().getValue();
            switch (directive.word()) {
                case "!abort" -> {
                    RuntimeException status = directive.abort();
                    send(name, 0, directive.number(), () -> {
                        throw status;
                    });
                }
                case "!finish" -> end();
                case "!repeat" -> send(name, value, directive.number(), this::end);
                case "!sleep" -> sleep(directive.number(), () -> send(name, value, LIST_RESPONSES, this::end));
                case "!watch" -> {
                    mark(directive.rest());
                    EchoMetadata.sendHeaders();
                }
                case "!cancelled" -> send(name, gone.contains(directive.rest()) ? 1 : 0, 1, this::end);
                default -> send(name, value, LIST_RESPONSES, this::end);
            }
        }

        @Override
        void finish() {
            throw new IllegalStateException("grpc-java calls List only with its one request");
        }
    }

    /** Reads requests up to the half-close and answers once. */
    private final class RecordRpc extends Rpc {
        private final List<String> texts = new ArrayList<>();
        private int received;
        private boolean echo;

        RecordRpc(StreamObserver<StreamResponse> responses) {
            super(responses, gone);
        }

        @Override
        void handle(Directive directive) {
            received++;
            switch (directive.word()) {
                case "!abort" -> throw directive.abort();
                case "!finish" -> finish();
                case "!echo" -> {
                    echo = true;
                    texts.add(directive.rest());
                    next();
                }
                case "!sleep" -> sleep(directive.number(), this::next);
                case "!watch" -> {
                    mark(directive.rest());
                    next();
                }
                default -> {
                    texts.add(directive.point().getName());
                    next();
                }
            }
        }

        @Override
        void finish() {
            if (echo) {
                send(String.join(",", texts), received, 1, this::end);
            } else {
                send(RECORD_NAME, 1, 1, this::end);
            }
        }
    }

    /** Answers each request as soon as it is read. */
    private final class RouteRpc extends Rpc {
        RouteRpc(StreamObserver<StreamResponse> responses) {
            super(responses, gone);
        }

        @Override
        void handle(Directive directive) {
            String name = directive.point().getName();
            int value = directive.point().getValue();
            switch (directive.word()) {
                case "!abort" -> throw directive.abort();
                case "!finish" -> end();
                case "!repeat" -> send(name, value, directive.number(), this::next);
                case "!echo" -> send(name, value, 1, this::next);
                case "!sleep" -> sleep(directive.number(), this::answer);
                case "!watch" -> {
                    mark(directive.rest());
                    answer();
                }
                default -> answer();
            }
        }

        private void answer() {
            send(ROUTE_NAME, sent, 1, this::next);
        }

        @Override
        void finish() {
            end();
        }
    }
}
