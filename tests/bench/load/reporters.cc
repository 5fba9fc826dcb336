#include "tests/bench/load/reporters.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/rng.h"
#include "proto/convert/counts.h"
#include "proto/convert/report.h"

namespace advisor::bench {

v1::ReportRequest MakeFrame(int domains, uint64_t seed, int block_tokens) {
  const ModelSpec model = BenchDeployment().model;
  Rng rng(seed);
  Frame frame;
  frame.steps = 1;
  for (int d = 0; d < domains; ++d) {
    std::vector<uint32_t> counts(size_t(model.moe_layers) * model.experts);
    for (int l = 0; l < model.moe_layers; ++l) {
      for (int t = 0; t < block_tokens; ++t) {
        const uint32_t first = rng.Below(model.experts);
        for (int k = 0; k < model.top_k; ++k) {  // distinct: steps of 31 come round after 256
          ++counts[l * model.experts + (first + 31 * k) % model.experts];
        }
      }
    }
    ReportBlock block;
    block.domain = absl::StrCat("domain-", d);
    block.tokens = block_tokens;
    block.counts = EncodeCounts(counts, model.experts);
    frame.blocks.push_back(std::move(block));
  }
  v1::ReportRequest request;
  *request.mutable_frame() = ToProto(std::move(frame));
  return request;
}

v1::ReportRequest MakeHello(int reporter, uint64_t next_seq, uint64_t incarnation) {
  v1::ReportRequest request;
  *request.mutable_hello() = ToProto(
      ReporterHello{"bench",
                    absl::StrCat("agent-", reporter),
                    {incarnation, static_cast<uint64_t>(reporter)},
                    0,
                    absl::StrCat("node-", reporter % BenchDeployment().topology.node_count()),
                    next_seq});
  return request;
}

}  // namespace advisor::bench
