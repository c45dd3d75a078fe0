package main

// The generated code is committed because generating it needs protoc, which `go` does not install. The plugins are tools
// of this module, so go.mod pins them.
//
//go:generate go build -o build/ google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go
//go:generate protoc --plugin=build/protoc-gen-go --plugin=build/protoc-gen-connect-go --proto_path=../../proto --go_out=. --go_opt=module=grpcstream --connect-go_out=. --connect-go_opt=module=grpcstream stream.proto
