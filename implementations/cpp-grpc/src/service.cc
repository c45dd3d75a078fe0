#include "service.h"

#include <string>
#include <vector>

#include "directive.h"

namespace {

constexpr int32_t kListResponses = 7;
constexpr char kRecordName[] = "gRPC Stream Server: Record";
constexpr char kRouteName[] = "gRPC Stream Server: Route";
constexpr char kInitialKey[] = "x-grpc-test-echo-initial";
constexpr char kTrailingKey[] = "x-grpc-test-echo-trailing-bin";

// Echoes the contract's two keys, whatever the status.
void EchoMetadata(grpc::ServerContext* context) {
  for (const auto& [key, value] : context->client_metadata()) {
    if (key == kInitialKey) context->AddInitialMetadata(kInitialKey, std::string(value.data(), value.size()));
    if (key == kTrailingKey) context->AddTrailingMetadata(kTrailingKey, std::string(value.data(), value.size()));
  }
}

grpc::Status Sleep(const Directive& directive, const Watch& watch) {
  int32_t milliseconds = 0;
  if (const auto status = ReadNumber(directive, &milliseconds); !status.ok()) return status;
  return watch.Sleep(std::chrono::milliseconds(milliseconds));
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const auto& text : texts) {
    if (&text != &texts.front()) joined += ',';
    joined += text;
  }
  return joined;
}

// Writes `count` responses that count up from `first`; returns CANCELLED if the client went away.
template <typename Stream>
grpc::Status Write(Stream* stream, const std::string& name, int32_t first, int32_t count, Watch* watch) {
  for (int32_t k = 0; k < count; ++k) {
    if (!stream->Write(Response(name, first, k))) {
      watch->Gone();
      return grpc::Status::CANCELLED;
    }
  }
  return grpc::Status::OK;
}

}  // namespace

grpc::Status StreamService::List(grpc::ServerContext* context, const proto::StreamRequest* request,
                                 grpc::ServerWriter<proto::StreamResponse>* responses) {
  Watch watch(context, &watches_);
  EchoMetadata(context);
  auto status = CheckPoint(*request);
  const auto& point = request->pt();
  const auto directive = DirectiveOf(point);
  int32_t first = point.value();
  int32_t count = kListResponses;
  grpc::Status end;
  if (directive.word == "!abort") {
    first = 0;
    if (status.ok()) status = ReadAbort(directive, point, &count, &end);
  } else if (directive.word == "!finish") {
    count = 0;
  } else if (directive.word == "!repeat") {
    status = ReadNumber(directive, &count);
  } else if (directive.word == "!sleep") {
    status = Sleep(directive, watch);
  } else if (directive.word == "!watch") {
    watch.Mark(directive.rest);
    responses->SendInitialMetadata();
    status = watch.UntilOver();
  } else if (directive.word == "!cancelled") {
    first = watches_.Saw(directive.rest) ? 1 : 0;
    count = 1;
  }
  if (status.ok()) status = Write(responses, point.name(), first, count, &watch);
  return status.ok() ? end : status;
}

grpc::Status StreamService::Record(grpc::ServerContext* context, grpc::ServerReader<proto::StreamRequest>* requests,
                                   proto::StreamResponse* answer) {
  Watch watch(context, &watches_);
  EchoMetadata(context);
  int32_t received = 0;
  std::vector<std::string> texts;
  bool echo = false;
  proto::StreamRequest request;
  while (requests->Read(&request)) {
    if (const auto status = CheckPoint(request); !status.ok()) return status;
    const auto& point = request.pt();
    const auto directive = DirectiveOf(point);
    ++received;
    if (directive.word == "!abort") {
      int32_t count = 0;
      grpc::Status end;
      const auto status = ReadAbort(directive, point, &count, &end);
      return status.ok() ? end : status;
    }
    if (directive.word == "!finish") break;
    if (directive.word == "!echo") {
      echo = true;
      texts.push_back(directive.rest);
    } else if (directive.word == "!sleep") {
      if (const auto status = Sleep(directive, watch); !status.ok()) return status;
    } else if (directive.word == "!watch") {
      watch.Mark(directive.rest);
    } else {
      texts.push_back(point.name());
    }
  }
  *answer = echo ? Response(Joined(texts), received, 0) : Response(kRecordName, 1, 0);
  return grpc::Status::OK;
}

grpc::Status StreamService::Route(grpc::ServerContext* context,
                                  grpc::ServerReaderWriter<proto::StreamResponse, proto::StreamRequest>* stream) {
  Watch watch(context, &watches_);
  EchoMetadata(context);
  int32_t sent = 0;
  proto::StreamRequest request;
  while (stream->Read(&request)) {
    if (const auto status = CheckPoint(request); !status.ok()) return status;
    const auto& point = request.pt();
    const auto directive = DirectiveOf(point);
    std::string name = kRouteName;
    int32_t first = sent;
    int32_t count = 1;
    if (directive.word == "!abort") {
      grpc::Status end;
      const auto status = ReadAbort(directive, point, &count, &end);
      return status.ok() ? end : status;
    }
    if (directive.word == "!finish") return grpc::Status::OK;
    if (directive.word == "!repeat") {
      if (const auto status = ReadNumber(directive, &count); !status.ok()) return status;
      name = point.name();
      first = point.value();
    } else if (directive.word == "!echo") {
      name = point.name();
      first = point.value();
    } else if (directive.word == "!sleep") {
      if (const auto status = Sleep(directive, watch); !status.ok()) return status;
    } else if (directive.word == "!watch") {
      watch.Mark(directive.rest);
    }
    if (const auto status = Write(stream, name, first, count, &watch); !status.ok()) return status;
    sent += count;
  }
  return grpc::Status::OK;
}
