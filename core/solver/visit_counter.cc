#include "core/solver/visit_counter.h"

namespace advisor {

VisitCounter::VisitCounter(const ModelSpec& model, const ServeTable& serve, int nodes,
                           absl::Span<const int> layers)
    : experts_(model.experts),
      top_k_(model.top_k),
      nodes_(nodes),
      first_(model.moe_layers, 0),
      masks_(layers.size() * model.experts * nodes) {
  for (size_t i = 0; i < layers.size(); ++i) {
    first_[layers[i]] = static_cast<int>(i);
    for (int h = 0; h < nodes; ++h) {
      const int16_t* row = serve.ServeRow(layers[i], h);
      for (int e = 0; e < experts_; ++e) {
        masks_[(i * experts_ + e) * nodes + h] = row[e] == h ? 0 : uint64_t{1} << row[e];
      }
    }
  }
}

}  // namespace advisor
