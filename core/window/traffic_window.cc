#include "core/window/traffic_window.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/base/check.h"

namespace advisor {
namespace {

// A node's part of a domain's sample, twice over: nodes do not share a domain's requests evenly.
uint32_t SampleTokensPerReporter(const WindowOptions& options, int nodes) {
  const int parts = std::max(1, nodes);
  return static_cast<uint32_t>(
      std::min(options.sample_tokens, (2 * options.sample_tokens + parts - 1) / parts));
}

}  // namespace

TrafficWindow::TrafficWindow(const ModelSpec& model, const WindowOptions& options, int nodes)
    : model_(model),
      options_(options),
      sample_tokens_(SampleTokensPerReporter(options, nodes)),
      domains_(options.max_domains),
      budget_{options.max_bytes, 0} {
  ADVISOR_CHECK(options.bucket_tokens <= kMaxBucketTokens);
}

absl::StatusOr<ReporterWindow*> TrafficWindow::Open(const std::string& reporter_id, NodeId node) {
  const auto known = reporters_.find(reporter_id);
  if (known != reporters_.end()) {
    known->second->set_node(node);
    return known->second.get();
  }
  const uint64_t bytes = ReporterWindow::InitialBytes(model_, options_, sample_tokens_);
  if (!budget_.Reserve(bytes)) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "reporter \"%s\" needs %d bytes of window, %d of %d are taken: raise window.max_bytes",
        reporter_id, bytes, budget_.reserved, budget_.limit));
  }
  const ReporterWindow::Shared shared{&model_,  &options_, &domains_,
                                      &budget_, &scratch_, sample_tokens_};
  auto& window = reporters_[reporter_id];
  window = std::make_unique<ReporterWindow>(shared, node);
  return window.get();
}

ReporterWindow* TrafficWindow::Find(const std::string& reporter_id) {
  const auto it = reporters_.find(reporter_id);
  return it == reporters_.end() ? nullptr : it->second.get();
}

void TrafficWindow::Drop(const std::string& reporter_id) { reporters_.erase(reporter_id); }

std::vector<std::string> TrafficWindow::Domains() const {
  std::vector<std::string> names;
  for (const auto& [name, holders] : domains_.names()) {
    names.push_back(name);
  }
  return names;
}

bool TrafficWindow::filling() const {
  return std::any_of(reporters_.begin(), reporters_.end(), [](const auto& reporter) {
    return reporter.second->bucket_count() == 0 && reporter.second->open_tokens() > 0;
  });
}

uint64_t TrafficWindow::tokens() const {
  uint64_t tokens = 0;
  for (const auto& [id, window] : reporters_) {
    tokens += window->window_tokens();
  }
  return tokens;
}

}  // namespace advisor
