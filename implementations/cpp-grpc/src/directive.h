// The directives of the contract: what a name can request.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>

#include "stream.pb.h"

// A parsed name: "!word rest", where the rest may be "number text". The word of an ordinary name is one that no
// method knows.
struct Directive {
  std::string word;
  std::string rest;
};

Directive DirectiveOf(const proto::StreamPoint& point);

// OK if a request has a pt, otherwise INVALID_ARGUMENT.
grpc::Status CheckPoint(const proto::StreamRequest& request);

// Reads the number at the start of the rest of a directive.
grpc::Status ReadNumber(const Directive& directive, int32_t* number);

// Reads "!abort K TEXT": K responses, then the status `end`, whose code is the point's value.
grpc::Status ReadAbort(const Directive& directive, const proto::StreamPoint& point, int32_t* count, grpc::Status* end);

// A response whose value is first + k in int32 arithmetic, which wraps around at 2^31.
proto::StreamResponse Response(const std::string& name, int32_t first, int32_t k);
