#include "core/solver/visit_counter.h"

#include <algorithm>
#include <bit>

namespace advisor {
namespace {

constexpr int kWordBits = 64;

// The bits set in every lane, each sum in its lane. std::popcount() is a call on processors without
// the instruction, which we are built for.
template <int kLane>
uint64_t OnesOfLanes(uint64_t x) {
  x -= x >> 1 & 0x5555555555555555;
  x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
  if constexpr (kLane > 8) {
    x = (x + (x >> 8)) & 0x00ff00ff00ff00ff;
  }
  if constexpr (kLane > 16) {
    x = (x + (x >> 16)) & 0x0000ffff0000ffff;
  }
  if constexpr (kLane > 32) {
    x = (x + (x >> 32)) & 0x00000000ffffffff;
  }
  return x;
}

}  // namespace

VisitCounter::VisitCounter(const ModelSpec& model, const ServeTable& serve, int nodes,
                           absl::Span<const int> layers)
    : experts_(model.experts),
      top_k_(model.top_k),
      nodes_(nodes),
      lane_(std::max(8, static_cast<int>(std::bit_ceil(unsigned(nodes))))),
      words_((nodes * lane_ + kWordBits - 1) / kWordBits),
      add_(lane_ == 8    ? &VisitCounter::AddInLanes<8>
           : lane_ == 16 ? &VisitCounter::AddInLanes<16>
           : lane_ == 32 ? &VisitCounter::AddInLanes<32>
                         : &VisitCounter::AddInLanes<64>),
      layers_(layers.begin(), layers.end()),
      lanes_(layers.size() * model.experts * words_, 0) {
  const int lanes_of_word = kWordBits / lane_;
  for (size_t i = 0; i < layers.size(); ++i) {
    for (int h = 0; h < nodes; ++h) {
      const int16_t* row = serve.ServeRow(layers[i], h);
      const int shift = h % lanes_of_word * lane_;
      for (int e = 0; e < experts_; ++e) {
        lanes_[(i * experts_ + e) * words_ + h / lanes_of_word] |=
            row[e] == h ? 0 : uint64_t{1} << row[e] << shift;
      }
    }
  }
}

template <int kLane>
void VisitCounter::AddInLanes(const uint16_t* experts, int64_t weight, int64_t* visits) const {
  constexpr int kLanesOfWord = kWordBits / kLane;
  constexpr int kMaxWords = kLane * kLane / kWordBits;
  constexpr uint64_t kLaneMask = ~uint64_t{0} >> (kWordBits - kLane);
  // So many layers' sums fit a lane.
  constexpr size_t kLayersOfSum = kLane == 8 ? 31 : 4095;
  const int words = kMaxWords == 1 ? 1 : words_;
  uint64_t sums[kMaxWords];
  for (size_t first = 0; first < layers_.size(); first += kLayersOfSum) {
    std::fill(sums, sums + words, 0);
    for (size_t i = first; i < std::min(first + kLayersOfSum, layers_.size()); ++i) {
      const uint16_t* ids = experts + size_t(layers_[i]) * top_k_;
      const uint64_t* lanes = lanes_.data() + i * experts_ * words;
      uint64_t visited[kMaxWords];
      std::copy_n(lanes + size_t(ids[0]) * words, words, visited);
      for (int k = 1; k < top_k_; ++k) {
        for (int w = 0; w < words; ++w) {
          visited[w] |= lanes[size_t(ids[k]) * words + w];
        }
      }
      for (int w = 0; w < words; ++w) {
        sums[w] += OnesOfLanes<kLane>(visited[w]);
      }
    }
    for (int n = 0; n < nodes_; ++n) {
      const uint64_t sum = sums[n / kLanesOfWord] >> (n % kLanesOfWord * kLane) & kLaneMask;
      visits[n] += weight * static_cast<int64_t>(sum);
    }
  }
}

}  // namespace advisor
