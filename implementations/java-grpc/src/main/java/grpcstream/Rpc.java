package grpcstream;

import grpcstream.proto.StreamPoint;
import grpcstream.proto.StreamRequest;
import grpcstream.proto.StreamResponse;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * One RPC that does one thing at a time: it sends as fast as the client reads, waits without holding a thread, and
 * requests the next message once the previous one was answered. A subclass processes a request in {@link #handle}, and
 * passes what follows as {@code then}.
 */
abstract class Rpc implements StreamObserver<StreamRequest> {
    private static final ScheduledExecutorService TIMER = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "sleep");
        thread.setDaemon(true);
        return thread;
    });

    private final ServerCallStreamObserver<StreamResponse> client;
    private final List<String> tokens = new ArrayList<>();
    private String name;
    private int value;
    private int due;
    private Runnable then;
    private ScheduledFuture<?> sleeping;
    private boolean busy;
    private boolean halfClosed;
    private boolean over;

    /** How many responses were sent. */
    int sent;

    /** {@code gone} receives the tokens with which this RPC was marked if the client goes away. */
    Rpc(StreamObserver<StreamResponse> responses, Set<String> gone) {
        client = (ServerCallStreamObserver<StreamResponse>) responses;
        client.setOnReadyHandler(this::drain);
        client.setOnCancelHandler(() -> cancelled(gone));
    }

    /** Processes a request; a status that it throws ends the RPC. */
    abstract void handle(Directive directive);

    /** Processes the half-close. */
    abstract void finish();

    /** Reads the requests one by one. */
    final Rpc reading() {
        client.disableAutoRequest();
        client.request(1);
        return this;
    }

    final void mark(String token) {
        tokens.add(token);
    }

    /** Sends {@code count} responses that count up from {@code first}; int addition wraps as the contract requires. */
    final void send(String name, int first, int count, Runnable then) {
        this.name = name;
        this.value = first;
        this.due = count;
        this.then = then;
        drain();
    }

    final void sleep(int milliseconds, Runnable then) {
        sleeping = TIMER.schedule(() -> guarded(then), milliseconds, TimeUnit.MILLISECONDS);
    }

    final void end() {
        over = true;
        client.onCompleted();
    }

    /** Called when a request was processed: continues with the next, or with the half-close. */
    final void next() {
        busy = false;
        if (halfClosed) {
            finish();
        } else {
            client.request(1);
        }
    }

    @Override
    public final void onNext(StreamRequest request) {
        guarded(() -> {
            busy = true;
            handle(Directive.of(request));
        });
    }

    @Override
    public final void onCompleted() {
        guarded(() -> {
            halfClosed = true;
            if (!busy) {
                finish();
            }
        });
    }

    @Override
    public final void onError(Throwable error) {
        // The cancel handler uses it too.
    }

    /** A timer and the transport may call concurrently, and neither may act on an RPC that is over. */
    private synchronized void guarded(Runnable step) {
        if (over) {
            return;
        }
        try {
            step.run();
        } catch (StatusRuntimeException status) {
            over = true;
            client.onError(status);
        }
    }

    private void drain() {
        guarded(() -> {
            while (due > 0 && client.isReady()) {
                due--;
                sent++;
                StreamPoint point = StreamPoint.newBuilder().setName(name).setValue(value++).build();
                client.onNext(StreamResponse.newBuilder().setPt(point).build());
            }
            if (due == 0 && then != null) {
                Runnable following = then;
                then = null;
                following.run();
            }
        });
    }

    private synchronized void cancelled(Set<String> gone) {
        // The handler may have ended the RPC a moment before.
        if (!over) {
            gone.addAll(tokens);
        }
        over = true;
        if (sleeping != null) {
            sleeping.cancel(false);
        }
    }
}
