package grpcstream;

import io.grpc.Server;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;

/** Serves StreamService on the loopback interface: {@code java -jar stream-server.jar --port 50051}. */
public final class StreamServer {
    /** Milliseconds that open calls may take to finish after the server was asked to stop. */
    private static final long GRACE = 1000;

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length != 2 || !arguments[0].equals("--port")) {
            System.err.println("usage: java -jar stream-server.jar --port PORT");
            System.exit(2);
        }
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[1]));
        Server server = NettyServerBuilder.forAddress(address)
                .addService(new StreamService())
                .intercept(new EchoMetadata())
                .build()
                .start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server)));
        System.out.println("listening on 127.0.0.1:" + server.getPort());
        server.awaitTermination();
    }

    private static void stop(Server server) {
        try {
            if (!server.shutdown().awaitTermination(GRACE, TimeUnit.MILLISECONDS)) {
                server.shutdownNow();
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
