package main

// The generated code is committed because generating it needs protoc, which `go` does not install. The plugins are tools
// of this module, so go.mod pins them.
//
//go:generate go build -o build/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
//go:generate protoc --plugin=build/protoc-gen-go --plugin=build/protoc-gen-go-grpc --proto_path=../../proto --go_out=. --go_opt=module=grpcstream --go-grpc_out=. --go-grpc_opt=module=grpcstream stream.proto
