// The directives of the contract: what a name asks for beyond the usual.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>

#include "stream.pb.h"

// A name taken apart: "!word rest", where the rest may be "number text". An ordinary name has a word too, which no
// method knows.
struct Directive {
  std::string word;
  std::string rest;
};

Directive DirectiveOf(const proto::StreamPoint& point);

// Whether a request has its pt; one without is the caller's mistake.
grpc::Status CheckPoint(const proto::StreamRequest& request);

// Reads the number that the rest of a directive begins with.
grpc::Status ReadNumber(const Directive& directive, int32_t* number);

// Reads "!abort K TEXT": K responses, then the status `end`, the code of which is the point's value.
grpc::Status ReadAbort(const Directive& directive, const proto::StreamPoint& point, int32_t* count, grpc::Status* end);

// A response whose value is first + k in int32 arithmetic, which wraps at 2^31.
proto::StreamResponse Response(const std::string& name, int32_t first, int32_t k);
