#include "core/solver/swap_leveling.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/model/ids.h"
#include "core/model/placement.h"

namespace advisor {
namespace {

class SwapLeveling {
 public:
  SwapLeveling(const Topology& topology, absl::Span<const double> share, absl::Span<int16_t> row)
      : topology_(topology), share_(share), row_(row), load_(topology.gpu_count(), 0) {
    for (int g = 0; g < topology.gpu_count(); ++g) {
      for (int16_t e : Slots(g)) {
        load_[g] += Share(e);
      }
    }
  }

  // Lowers the larger of two loads strictly, one of them the largest of all, so the loads sorted
  // downwards fall in lexicographic order: it ends.
  bool Step(double limit) {
    const int hot = static_cast<int>(std::max_element(load_.begin(), load_.end()) - load_.begin());
    if (load_[hot] <= limit) {
      return false;
    }
    order_.clear();
    for (int g = 0; g < static_cast<int>(load_.size()); ++g) {
      if (g != hot) {
        order_.emplace_back(load_[g], g);
      }
    }
    std::sort(order_.begin(), order_.end());
    return std::any_of(order_.begin(), order_.end(),
                       [&](const auto& cool) { return Swap(hot, cool.second); });
  }

 private:
  absl::Span<int16_t> Slots(int gpu) {
    return row_.subspan(topology_.first_slot(GpuId(gpu)).value(), topology_.slots_on(GpuId(gpu)));
  }
  double Share(int16_t e) const { return e == kEmptySlot ? 0 : share_[e]; }
  static bool Holds(absl::Span<const int16_t> slots, int16_t e) {
    return e != kEmptySlot && std::find(slots.begin(), slots.end(), e) != slots.end();
  }

  bool Swap(int hot, int cool) {
    const absl::Span<int16_t> from = Slots(hot), to = Slots(cool);
    double best = load_[hot] * (1 - 1e-12);
    int16_t *give = nullptr, *take = nullptr;
    for (int16_t& e : from) {
      for (int16_t& f : to) {
        const double shift = Share(e) - Share(f);
        const double larger = std::max(load_[hot] - shift, load_[cool] + shift);
        if (larger < best && !Holds(to, e) && !Holds(from, f)) {
          best = larger;
          give = &e;
          take = &f;
        }
      }
    }
    if (give == nullptr) {
      return false;
    }
    const double shift = Share(*give) - Share(*take);
    load_[hot] -= shift;
    load_[cool] += shift;
    std::swap(*give, *take);
    return true;
  }

  const Topology& topology_;
  absl::Span<const double> share_;  // [experts]
  absl::Span<int16_t> row_;
  std::vector<double> load_;                   // [gpus]
  std::vector<std::pair<double, int>> order_;  // GPUs by rising load
};

}  // namespace

void LevelBySwaps(const Topology& topology, absl::Span<const double> share, double limit,
                  absl::Span<int16_t> row) {
  SwapLeveling leveling(topology, share, row);
  while (leveling.Step(limit)) {
  }
}

}  // namespace advisor
