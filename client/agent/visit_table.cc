#include "client/agent/visit_table.h"

#include <algorithm>
#include <cstring>

namespace advisor::client {
namespace {

// Tokens that are counted layer by layer at a time: their ids and a layer's rows fit the first
// cache.
constexpr uint32_t kTile = 32;

struct Shape {
  int layers, experts, top_k;
};

// Ones of the low half of a word and of its high half, each in that half's lowest byte. Processors
// of the baseline have no instruction for it, and the builtin would be a call per token and layer.
template <typename Word>
Word OnesOfHalves(Word word) {
  constexpr int kHalf = sizeof(Word) * 4;  // bits
  constexpr Word kAll = ~Word{0};
  word -= (word >> 1) & (kAll / 3);
  word = (word & (kAll / 5)) + ((word >> 2) & (kAll / 5));
  word = (word + (word >> 4)) & (kAll / 17);  // of every byte, in the byte
  for (int shift = 8; shift < kHalf; shift *= 2) {
    word += word >> shift;  // what crosses into a half lands above its lowest byte
  }
  return word & (Word{0xff} | Word{0xff} << kHalf);
}

template <typename Id, typename Word>
Visits Count(const char* ids, uint32_t tokens, const Shape& shape, const Word* words,
             uint32_t* counts) {
  constexpr int kHalf = sizeof(Word) * 4;  // bits
  constexpr Word kLow = (Word{1} << kHalf) - 1;
  const size_t layer_bytes = shape.top_k * sizeof(Id);
  const size_t token_bytes = shape.layers * layer_bytes;
  Visits visits;
  for (uint32_t first = 0; first < tokens; first += kTile) {
    const uint32_t tile = std::min(kTile, tokens - first);
    for (int l = 0; l < shape.layers; ++l) {
      const char* at = ids + first * token_bytes + l * layer_bytes;
      const Word* row_words = words + size_t(l) * shape.experts;
      uint32_t* row_counts = counts + size_t(l) * shape.experts;
      Word ones = 0;
      static_assert(kTile * kHalf <= kLow, "a tile's ones must fit half a word");
      for (uint32_t t = 0; t < tile; ++t, at += token_bytes) {
        Word nodes = 0;
        for (int k = 0; k < shape.top_k; ++k) {
          Id id;
          std::memcpy(&id, at + k * sizeof(Id), sizeof(Id));
          ++row_counts[id];
          nodes |= row_words[id];
        }
        ones += OnesOfHalves(nodes);
      }
      visits.remote += static_cast<uint64_t>(ones & kLow);
      visits.linear_nodes += static_cast<uint64_t>(ones >> kHalf);
    }
  }
  return visits;
}

}  // namespace

VisitTable::VisitTable(const ModelSpec& model, const Topology& topology, NodeId home,
                       const ServeTable& serve)
    : layers_(model.moe_layers),
      experts_(model.experts),
      top_k_(model.top_k),
      nodes_(topology.node_count()) {
  const ServeTable linear(model, topology, LinearPlacement(model, topology), {});
  if (nodes_ <= 16) {
    words32_ = MakeWords<uint32_t>(home, serve, linear);
  } else if (nodes_ <= 32) {
    words64_ = MakeWords<uint64_t>(home, serve, linear);
  } else {
    words128_ = MakeWords<Wide>(home, serve, linear);
  }
}

template <typename Word>
std::vector<Word> VisitTable::MakeWords(NodeId home, const ServeTable& serve,
                                        const ServeTable& linear) const {
  constexpr int kHalf = sizeof(Word) * 4;
  std::vector<Word> words;
  words.reserve(size_t(layers_) * experts_);
  for (int l = 0; l < layers_; ++l) {
    for (int e = 0; e < experts_; ++e) {
      const int node = serve.Serves(l, home.value(), e);
      const Word remote = node == home.value() ? Word{0} : Word{1} << node;
      words.push_back(remote | static_cast<Word>(linear.Holders(l, e)) << kHalf);
    }
  }
  return words;
}

Visits VisitTable::AddTokens(std::string_view experts, uint32_t tokens, uint32_t* counts) const {
  return experts_ <= 256 ? AddIds<uint8_t>(experts, tokens, counts)
                         : AddIds<uint16_t>(experts, tokens, counts);
}

template <typename Id>
Visits VisitTable::AddIds(std::string_view experts, uint32_t tokens, uint32_t* counts) const {
  const Shape shape{layers_, experts_, top_k_};
  return nodes_ <= 16   ? Count<Id>(experts.data(), tokens, shape, words32_.data(), counts)
         : nodes_ <= 32 ? Count<Id>(experts.data(), tokens, shape, words64_.data(), counts)
                        : Count<Id>(experts.data(), tokens, shape, words128_.data(), counts);
}

}  // namespace advisor::client
