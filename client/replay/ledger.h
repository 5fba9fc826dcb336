#ifndef ADVISOR_CLIENT_REPLAY_LEDGER_H_
#define ADVISOR_CLIENT_REPLAY_LEDGER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/figures.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor::client {

// What is measured together: tokens of one half of the run under one placement.
struct PartKey {
  int half = 0;        // 0, or 1 after the task mix has shifted
  Position placement;  // {0, 0}: the initial, linear one
  friend auto operator<=>(const PartKey&, const PartKey&) = default;
};

struct PartFigures {
  PartKey key;
  int64_t requests = 0;  // with at least one token here
  int64_t decode_tokens = 0, all_tokens = 0;
  Figures decode,
      all;  // measured: actual homes, the placement in force; with the saving ratios against ...
  Figures baseline_decode,
      baseline_all;  // ... linear placement and requests dealt round-robin in the order of play
  std::shared_ptr<const Plan> plan;  // null: the initial placement
};

// Where every token of the run really went, by request: its home, and under which placement. Not
// thread-safe.
class Ledger {
 public:
  // `traffic` must outlive the ledger. order[i]: index of the i-th request played.
  Ledger(const Traffic& traffic, const Topology& topology, std::vector<int> order,
         size_t second_half);

  // Placements that tokens may name.
  void AddPlan(const std::shared_ptr<const Plan>& plan);
  // Tokens [first, end) of the `played`-th request ran on `home` under `placement`. Ranges of a
  // request follow each other.
  void Ran(int played, int first, int end, NodeId home, Position placement);

  int64_t tokens() const { return tokens_; }
  // By half, then placement. INTERNAL: a placement that was never added.
  absl::StatusOr<std::vector<PartFigures>> Figure() const;

 private:
  struct Piece {
    int played = 0, first = 0, end = 0;
    NodeId home;
  };
  absl::StatusOr<PartFigures> FigurePart(const PartKey& key,
                                         const std::vector<Piece>& pieces) const;

  const Traffic& traffic_;
  const Topology topology_;
  const std::vector<int> order_;
  const size_t second_half_;
  std::map<Position, std::shared_ptr<const Plan>> plans_;
  std::map<PartKey, std::vector<Piece>> parts_;
  int64_t tokens_ = 0;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPLAY_LEDGER_H_
