package grpcstream;

import grpcstream.proto.StreamPoint;
import grpcstream.proto.StreamRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/**
 * A parsed name: "!word rest", where the rest may be "number text". The word of an ordinary name is one that no method
 * knows.
 */
record Directive(StreamPoint point, String word, String rest) {

    /** Parses a request's pt; throws INVALID_ARGUMENT if it has none. */
    static Directive of(StreamRequest request) {
        if (!request.hasPt()) {
            throw invalid("a request must have a pt");
        }
        String[] parts = request.getPt().getName().split(" ", 2);
        return new Directive(request.getPt(), parts[0], parts.length > 1 ? parts[1] : "");
    }

    /** The number at the start of the rest. */
    int number() {
        String first = rest.split(" ", 2)[0];
        if (!first.matches("[0-9]{1,9}")) {
            throw invalid(word + " takes a number of at most 9 digits");
        }
        return Integer.parseInt(first);
    }

    /** The status of "!abort K TEXT", whose code is the point's value. */
    StatusRuntimeException abort() {
        number();
        if (point.getValue() < 1 || point.getValue() > 16) {
            throw invalid("!abort takes a status code from 1 to 16, not " + point.getValue());
        }
        String[] parts = rest.split(" ", 2);
        return Status.fromCodeValue(point.getValue())
                .withDescription(parts.length > 1 ? parts[1] : "")
                .asRuntimeException();
    }

    private static StatusRuntimeException invalid(String message) {
        return Status.INVALID_ARGUMENT.withDescription(message).asRuntimeException();
    }
}
