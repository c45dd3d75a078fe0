#include "directive.h"

#include <algorithm>

namespace {

// The text before the first space, and everything after it.
Directive Cut(const std::string& text) {
  const auto space = text.find(' ');
  if (space == std::string::npos) return {text, ""};
  return {text.substr(0, space), text.substr(space + 1)};
}

grpc::Status Invalid(const std::string& message) { return {grpc::StatusCode::INVALID_ARGUMENT, message}; }

}  // namespace

Directive DirectiveOf(const proto::StreamPoint& point) { return Cut(point.name()); }

grpc::Status CheckPoint(const proto::StreamRequest& request) {
  return request.has_pt() ? grpc::Status::OK : Invalid("a request must have a pt");
}

grpc::Status ReadNumber(const Directive& directive, int32_t* number) {
  const std::string first = Cut(directive.rest).word;
  const bool digits = std::all_of(first.begin(), first.end(), [](char one) { return '0' <= one && one <= '9'; });
  if (first.empty() || first.size() > 9 || !digits) {
    return Invalid(directive.word + " takes a number of at most 9 digits");
  }
  *number = std::stoi(first);
  return grpc::Status::OK;
}

grpc::Status ReadAbort(const Directive& directive, const proto::StreamPoint& point, int32_t* count, grpc::Status* end) {
  if (const auto status = ReadNumber(directive, count); !status.ok()) return status;
  if (point.value() < 1 || point.value() > 16) {
    return Invalid("!abort takes a status code from 1 to 16, not " + std::to_string(point.value()));
  }
  *end = grpc::Status(static_cast<grpc::StatusCode>(point.value()), Cut(directive.rest).rest);
  return grpc::Status::OK;
}

proto::StreamResponse Response(const std::string& name, int32_t first, int32_t k) {
  proto::StreamResponse response;
  response.mutable_pt()->set_name(name);
  // Unsigned, because only unsigned overflow is defined.
  response.mutable_pt()->set_value(static_cast<int32_t>(static_cast<uint32_t>(first) + static_cast<uint32_t>(k)));
  return response;
}
