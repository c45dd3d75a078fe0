// Command stream-server serves StreamService on a port of the loopback interface.
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

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // requests may be gzip-compressed

	"grpcstream/proto"
)

// How long open calls may take to finish after the server was asked to stop.
const grace = time.Second

func main() {
	port := flag.Int("port", 50051, "the port to listen on")
	byHTTP := flag.Bool("serve-http", false, "serve with net/http and grpc's ServeHTTP instead of grpc's own transport")
	flag.Parse()

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.StreamInterceptor(echoMetadata))
	proto.RegisterStreamServiceServer(server, &streamService{})

	stopping, forget := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer forget()
	log.Printf("listening on %v", listener.Addr())
	if *byHTTP {
		err = serveHTTP(stopping, listener, server)
	} else {
		err = serve(stopping, listener, server)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// serve uses the transport of grpc itself.
func serve(stopping context.Context, listener net.Listener, server *grpc.Server) error {
	go func() {
		<-stopping.Done()
		time.AfterFunc(grace, server.Stop)
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

// serveHTTP uses the HTTP/2 server of net/http, like programs that serve other content on the same port.
func serveHTTP(stopping context.Context, listener net.Listener, server *grpc.Server) error {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	web := &http.Server{Handler: server, Protocols: protocols}
	go func() {
		<-stopping.Done()
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if web.Shutdown(ctx) != nil {
			web.Close()
		}
	}()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
