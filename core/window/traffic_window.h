#ifndef ADVISOR_CORE_WINDOW_TRAFFIC_WINDOW_H_
#define ADVISOR_CORE_WINDOW_TRAFFIC_WINDOW_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/ids.h"
#include "core/model/model_spec.h"
#include "core/window/domain_table.h"
#include "core/window/options.h"
#include "core/window/reporter_window.h"

namespace advisor {

// The recent traffic of one deployment: a window per reporter, and sums over them.
//
// Every sum is of integers and every order is by name, so it is the same for any interleaving of
// the reporters' frames, as long as no more than max_domains names come (which of them are then
// "other" depends on who came first). Memory: docs/design/0004-windows.md. Not thread-safe.
class TrafficWindow {
 public:
  // `nodes`: of the topology; sizes each reporter's part of the samples.
  TrafficWindow(const ModelSpec& model, const WindowOptions& options, int nodes);

  // The reporter's window, made when there is none. RESOURCE_EXHAUSTED: max_bytes are reserved.
  absl::StatusOr<ReporterWindow*> Open(const std::string& reporter_id, NodeId node);
  ReporterWindow* Find(const std::string& reporter_id);
  // The reporter's counts leave the window.
  void Drop(const std::string& reporter_id);

  const ModelSpec& model() const { return model_; }
  const WindowOptions& options() const { return options_; }
  const std::map<std::string, std::unique_ptr<ReporterWindow>>& reporters() const {
    return reporters_;
  }
  // Names in use, sorted.
  std::vector<std::string> Domains() const;
  uint64_t tokens() const;
  // A reporter has tokens, but has not closed its first bucket yet.
  bool filling() const;
  uint64_t bytes() const { return budget_.reserved; }

 private:
  ModelSpec model_;
  WindowOptions options_;
  uint32_t sample_tokens_;  // per reporter and domain
  DomainTable domains_;
  WindowBudget budget_;
  std::vector<std::vector<uint32_t>> scratch_;
  std::map<std::string, std::unique_ptr<ReporterWindow>> reporters_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_TRAFFIC_WINDOW_H_
