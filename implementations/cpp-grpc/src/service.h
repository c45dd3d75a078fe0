#pragma once

#include <grpcpp/grpcpp.h>

#include "stream.grpc.pb.h"
#include "watch.h"

// The whole contract: the core and every directive.
class StreamService final : public proto::StreamService::Service {
 public:
  grpc::Status List(grpc::ServerContext* context, const proto::StreamRequest* request,
                    grpc::ServerWriter<proto::StreamResponse>* responses) override;
  grpc::Status Record(grpc::ServerContext* context, grpc::ServerReader<proto::StreamRequest>* requests,
                      proto::StreamResponse* answer) override;
  grpc::Status Route(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<proto::StreamResponse, proto::StreamRequest>* stream) override;

 private:
  Watches watches_;
};
