#ifndef ADVISOR_TESTS_SUPPORT_SLOW_WINDOW_H_
#define ADVISOR_TESTS_SUPPORT_SLOW_WINDOW_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/rng.h"
#include "core/model/model_spec.h"
#include "core/window/options.h"
#include "core/window/report.h"
#include "tests/support/reports.h"

namespace advisor::testing {

// Counts of one domain and phase.
struct Sums {
  uint64_t tokens = 0;
  std::vector<uint32_t> cells;  // [layers, experts]
  void Add(const Sums& other) {
    tokens += other.tokens;
    cells.resize(other.cells.size(), 0);
    for (size_t i = 0; i < cells.size(); ++i) {
      cells[i] += other.cells[i];
    }
  }
  friend bool operator==(const Sums&, const Sums&) = default;
};
using SumsByKey = std::map<std::pair<std::string, int>, Sums>;  // by domain and phase

// The rules of a reporter's window, as plainly as they can be put.
class SlowWindow {
 public:
  SlowWindow(const ModelSpec& model, const WindowOptions& options)
      : model_(model), options_(options) {}

  void Add(const SumsByKey& frame, uint64_t steps) {
    uint64_t tokens = 0;
    for (const auto& [key, sums] : frame) {
      tokens += sums.tokens;
    }
    const uint64_t pieces =
        std::max<uint64_t>(1, (tokens + options_.bucket_tokens - 1) / options_.bucket_tokens);
    for (uint64_t piece = 0; piece < pieces; ++piece) {
      for (const auto& [key, sums] : frame) {
        open_[key].Add(Piece(sums, pieces, piece));
      }
      open_steps_ += steps * (piece + 1) / pieces - steps * piece / pieces;
      if (piece + 1 < pieces) {
        Close();
      }
    }
    if (OpenTokens() >= options_.bucket_tokens || open_steps_ >= options_.bucket_steps) {
      Close();
    }
  }

  void Close() {
    if (OpenTokens() == 0) {
      return;
    }
    closed_.push_back(std::exchange(open_, {}));
    open_steps_ = 0;
    if (closed_.size() > static_cast<size_t>(options_.buckets)) {
      closed_.pop_front();
    }
  }

  // Sums over the closed buckets; only what has tokens.
  SumsByKey Window() const {
    SumsByKey window;
    for (const SumsByKey& bucket : closed_) {
      for (const auto& [key, sums] : bucket) {
        if (sums.tokens > 0) {
          window[key].Add(sums);
        }
      }
    }
    return window;
  }

 private:
  uint64_t OpenTokens() const {
    uint64_t tokens = 0;
    for (const auto& [key, sums] : open_) {
      tokens += sums.tokens;
    }
    return tokens;
  }

  // Deals every choice of a layer to a token, every token to a piece.
  Sums Piece(const Sums& sums, uint64_t pieces, uint64_t piece) const {
    Sums out;
    out.cells.assign(sums.cells.size(), 0);
    for (uint64_t token = 0; token < sums.tokens; ++token) {
      out.tokens += token % pieces == piece ? 1 : 0;
    }
    for (int layer = 0; layer < model_.moe_layers; ++layer) {
      uint64_t choice = 0;
      for (int e = 0; e < model_.experts; ++e) {
        const size_t cell = size_t(layer) * model_.experts + e;
        for (uint32_t i = 0; i < sums.cells[cell]; ++i, ++choice) {
          out.cells[cell] += choice % sums.tokens % pieces == piece ? 1 : 0;
        }
      }
    }
    return out;
  }

  ModelSpec model_;
  WindowOptions options_;
  SumsByKey open_;
  uint64_t open_steps_ = 0;
  std::deque<SumsByKey> closed_;
};

// Counts of `tokens` random tokens that obey the laws.
inline Sums RandomSums(const ModelSpec& model, uint64_t tokens, Rng* rng) {
  Sums sums;
  sums.tokens = tokens;
  sums.cells.assign(size_t(model.moe_layers) * model.experts, 0);
  std::vector<int> order(model.experts);
  for (uint64_t t = 0; t < tokens; ++t) {
    for (int layer = 0; layer < model.moe_layers; ++layer) {
      for (int e = 0; e < model.experts; ++e) {
        order[e] = e;
      }
      for (int i = 0; i < model.top_k; ++i) {
        std::swap(order[i], order[i + static_cast<int>(rng->Below(model.experts - i))]);
        ++sums.cells[size_t(layer) * model.experts + order[i]];
      }
    }
  }
  return sums;
}

inline ReportBlock BlockOf(const ModelSpec& model, const std::pair<std::string, int>& key,
                           const Sums& sums, Rng* rng) {
  ReportBlock block;
  block.domain = key.first;
  block.phase = static_cast<Phase>(key.second);
  block.tokens = sums.tokens;
  int width = WidthFor(sums.cells);
  width = rng->Below(3) == 0 ? 4 : width;
  block.counts = Encode(sums.cells, model.experts, width, rng->Below(2) == 0);
  return block;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_SLOW_WINDOW_H_
