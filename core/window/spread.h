#ifndef ADVISOR_CORE_WINDOW_SPREAD_H_
#define ADVISOR_CORE_WINDOW_SPREAD_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/model/model_spec.h"

namespace advisor {

// Cuts a lump of counts into pieces that each obey the laws of counts (a layer sums to tokens x
// top_k, no count above the tokens), evenly to within one count per cell.
//
// A layer's choices, listed by expert, are numbered 0, 1, ...; choice u is given to token u modulo
// `tokens`. An expert is counted at most `tokens` times, so no token gets it twice, and every token
// gets top_k choices. Token t then goes to piece t modulo `pieces`.
class Spread {
 public:
  // The pieces first .. end - 1 of `pieces`, taken together.
  Spread(uint64_t tokens, uint64_t pieces, uint64_t first, uint64_t end)
      : all_(tokens), pieces_(pieces), first_(first), end_(end) {}

  // Tokens of these pieces.
  uint64_t tokens() const { return TokensBelow(all_); }

  // Adds these pieces' share of `lump` [layers, experts] to `cells`, modulo what a cell holds.
  template <typename Cell>
  void AddTo(const ModelSpec& model, const std::vector<uint32_t>& lump,
             std::vector<Cell>* cells) const {
    for (int layer = 0; layer < model.moe_layers; ++layer) {
      uint64_t choice = 0;
      uint64_t before = 0;
      for (int e = 0; e < model.experts; ++e) {
        const size_t cell = size_t(layer) * model.experts + e;
        choice += lump[cell];
        const uint64_t share = ChoicesBelow(choice);
        (*cells)[cell] += static_cast<Cell>(share - before);
        before = share;
      }
    }
  }

 private:
  // Of the tokens 0 .. t - 1, those in these pieces.
  uint64_t TokensBelow(uint64_t t) const {
    const uint64_t rest = t % pieces_;
    return t / pieces_ * (end_ - first_) + std::min(rest, end_) - std::min(rest, first_);
  }
  // Of the choices 0 .. u - 1, those in these pieces.
  uint64_t ChoicesBelow(uint64_t u) const {
    return all_ == 0 ? 0 : u / all_ * TokensBelow(all_) + TokensBelow(u % all_);
  }

  uint64_t all_, pieces_, first_, end_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_SPREAD_H_
