// Command stream-server serves StreamService on a port of the loopback interface, in gRPC's protocol and in Connect's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"grpcstream/proto/protoconnect"
)

// How long open calls may take to finish after the server was asked to stop.
const grace = time.Second

func main() {
	port := flag.Int("port", 50051, "the port to listen on")
	flag.Parse()

	mux := http.NewServeMux()
	mux.Handle(protoconnect.NewStreamServiceHandler(&streamService{}, connect.WithInterceptors(echoMetadata{})))
	server := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // gRPC needs HTTP/2, and this server has no TLS

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	stopping, forget := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer forget()
	stopped := make(chan error, 1)
	go func() {
		<-stopping.Done()
		due, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(due), server.Close())
	}()
	log.Printf("listening on %v", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-stopped; err != nil {
		log.Print(err)
	}
}
