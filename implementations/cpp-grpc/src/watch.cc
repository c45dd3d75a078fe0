#include "watch.h"

#include <algorithm>
#include <thread>

namespace {

// The synchronous API only reports that an RPC is over when polled.
constexpr std::chrono::milliseconds kLook(10);

}  // namespace

void Watches::Add(const std::vector<std::string>& tokens) {
  const std::lock_guard<std::mutex> lock(mutex_);
  gone_.insert(tokens.begin(), tokens.end());
}

bool Watches::Saw(const std::string& token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return gone_.count(token) > 0;
}

Watch::~Watch() {
  if (!tokens_.empty() && (gone_ || context_->IsCancelled())) watches_->Add(tokens_);
}

grpc::Status Watch::Sleep(std::chrono::milliseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!context_->IsCancelled()) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) return grpc::Status::OK;
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(left, kLook));
  }
  return grpc::Status::CANCELLED;
}
