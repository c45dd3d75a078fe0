// Serves StreamService on the loopback interface: stream-server --port 50051.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <string>

#include "service.h"

namespace {

// How long open calls may take to finish after the server was asked to stop.
constexpr std::chrono::seconds kGrace(1);

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 || std::string(arguments[1]) != "--port") {
    std::cerr << "usage: stream-server --port PORT" << std::endl;
    return 2;
  }
  // Blocked in every thread, so that sigwait() below receives them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  StreamService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(std::string("127.0.0.1:") + arguments[2], grpc::InsecureServerCredentials(), &port);
  // Otherwise a second server could share the port with this one.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::cout << "listening on 127.0.0.1:" << port << std::endl;

  int number = 0;
  sigwait(&signals, &number);
  server->Shutdown(std::chrono::system_clock::now() + kGrace);
  return 0;
}
