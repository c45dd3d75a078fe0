// The marked RPCs that ended because the client went away.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <vector>

// The tokens of the RPCs whose client went away.
class Watches {
 public:
  void Add(const std::vector<std::string>& tokens);
  bool Saw(const std::string& token);

 private:
  std::mutex mutex_;
  std::set<std::string> gone_;
};

// One RPC while its method runs. As long as it runs, only the client can end the RPC: by a cancel, a reset, a
// disconnect, or the deadline that it set.
class Watch {
 public:
  Watch(grpc::ServerContext* context, Watches* watches) : context_(context), watches_(watches) {}
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void Mark(const std::string& token) { tokens_.push_back(token); }

  // The client went away, although IsCancelled() may not know it yet: a write failed.
  void Gone() { gone_ = true; }

  // Waits for a duration or until the RPC is over; returns CANCELLED if it is over.
  grpc::Status Sleep(std::chrono::milliseconds time) const;

  // Waits until the RPC is over.
  grpc::Status UntilOver() const { return Sleep(std::chrono::hours(24 * 365)); }

 private:
  grpc::ServerContext* context_;
  Watches* watches_;
  std::vector<std::string> tokens_;
  bool gone_ = false;
};
