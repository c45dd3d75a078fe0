// Command stream-server serves StreamService at a port of the loopback interface.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // requests may come in gzip

	"grpcstream/proto"
)

// How long the open calls may take to finish once the server was told to stop.
const grace = time.Second

func main() {
	port := flag.Int("port", 50051, "the port to listen on")
	flag.Parse()

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.StreamInterceptor(echoMetadata))
	proto.RegisterStreamServiceServer(server, &streamService{})

	told, forget := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer forget()
	go func() {
		<-told.Done()
		time.AfterFunc(grace, server.Stop)
		server.GracefulStop()
	}()
	log.Printf("listening on %v", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
