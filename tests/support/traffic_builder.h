#ifndef ADVISOR_TESTS_SUPPORT_TRAFFIC_BUILDER_H_
#define ADVISOR_TESTS_SUPPORT_TRAFFIC_BUILDER_H_

#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/model/request.h"

namespace advisor::testing {

// Traffic written out by hand, for tests whose expected figures are computed by hand.
//   TrafficBuilder b(/*layers=*/2, /*experts=*/4, /*top_k=*/1);
//   b.Add("a", "code", /*prompt_tokens=*/1, {{0, 1}, {3, 2}});  // token 0: expert 0 in layer 0, 1
//   in layer 1
class TrafficBuilder {
 public:
  TrafficBuilder(int layers, int experts, int top_k) {
    traffic_.model.name = "by-hand";
    traffic_.model.moe_layers = layers;
    traffic_.model.experts = experts;
    traffic_.model.top_k = top_k;
    traffic_.model.hidden_size = 16;
    traffic_.source = "by hand";
  }

  // One row per token: layer 0's top_k experts, then layer 1's, and so on.
  Request& Add(std::string id, std::string domain, int prompt_tokens,
               const std::vector<std::vector<uint16_t>>& tokens) {
    Request r;
    r.id = std::move(id);
    r.domain = std::move(domain);
    r.tokens = static_cast<int>(tokens.size());
    r.prompt_tokens = prompt_tokens;
    for (const std::vector<uint16_t>& token : tokens) {
      r.experts.insert(r.experts.end(), token.begin(), token.end());
    }
    return Take(std::move(r));
  }

  // A request known by sums: [layers, experts], layer by layer.
  Request& AddCounts(std::string id, std::string domain, int tokens, std::vector<uint32_t> counts) {
    Request r;
    r.id = std::move(id);
    r.domain = std::move(domain);
    r.tokens = tokens;
    r.counts = std::move(counts);
    return Take(std::move(r));
  }

  const Traffic& traffic() const { return traffic_; }

 private:
  Request& Take(Request r) {
    ADVISOR_CHECK(Validate(traffic_.model, r).ok());
    traffic_.requests.push_back(std::move(r));
    return traffic_.requests.back();
  }

  Traffic traffic_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_TRAFFIC_BUILDER_H_
