#ifndef ADVISOR_CLIENT_AGENT_VISIT_TABLE_H_
#define ADVISOR_CLIENT_AGENT_VISIT_TABLE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/model/placement.h"
#include "core/model/topology.h"

namespace advisor::client {

struct Visits {
  uint64_t remote = 0;  // node visits away from home, summed over tokens and layers
  uint64_t linear_nodes =
      0;  // nodes that the same tokens' experts are on under the linear placement
};

// Which nodes a token of one home is sent to under a placement, and where its experts are under the
// linear one, as node masks per layer and expert, so that counting a token is one lookup per
// expert.
class VisitTable {
 public:
  VisitTable(const ModelSpec& model, const Topology& topology, NodeId home,
             const ServeTable& serve);

  // Adds `tokens` tokens [tokens, layers, top_k] of 1 byte per id (up to 256 experts) or 2 to
  // `counts` [layers, experts]. Ids must be in range.
  Visits AddTokens(std::string_view experts, uint32_t tokens, uint32_t* counts) const;

 private:
  // Two node masks in one word, as wide as the nodes need: remote serving node in the low half,
  // node under the linear placement in the high half. Narrow words keep a layer's row in the first
  // cache.
  using Wide = unsigned __int128;
  template <typename Id>
  Visits AddIds(std::string_view experts, uint32_t tokens, uint32_t* counts) const;
  template <typename Word>
  std::vector<Word> MakeWords(NodeId home, const ServeTable& serve, const ServeTable& linear) const;

  int layers_, experts_, top_k_, nodes_;
  std::vector<uint32_t> words32_;  // [layers, experts], up to 16 nodes
  std::vector<uint64_t> words64_;  // up to 32 nodes
  std::vector<Wide> words128_;     // up to 64 nodes
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_VISIT_TABLE_H_
