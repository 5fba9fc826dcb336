#ifndef ADVISOR_TESTS_SUPPORT_REPORTS_H_
#define ADVISOR_TESTS_SUPPORT_REPORTS_H_

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/model/request.h"
#include "core/session/messages.h"
#include "core/window/report.h"

namespace advisor::testing {

// Counts [layers, experts] in the plainest of the wire's encodings, or a sparse one.
inline EncodedCounts Encode(const std::vector<uint32_t>& cells, int experts, int width,
                            bool sparse) {
  EncodedCounts out;
  out.width = width;
  out.sparse = sparse;
  for (size_t row = 0; row < cells.size(); row += experts) {
    if (sparse) {
      std::string bitmap((experts + 7) / 8, '\0');
      for (int e = 0; e < experts; ++e) {
        if (cells[row + e] != 0) {
          bitmap[e / 8] = static_cast<char>(bitmap[e / 8] | (1 << e % 8));
        }
      }
      out.data += bitmap;
    }
    for (int e = 0; e < experts; ++e) {
      if (!sparse || cells[row + e] != 0) {
        out.data.append(reinterpret_cast<const char*>(&cells[row + e]), width);
      }
    }
  }
  return out;
}

// The narrowest width that holds every count.
inline int WidthFor(const std::vector<uint32_t>& cells) {
  uint32_t largest = 0;
  for (const uint32_t c : cells) {
    largest = std::max(largest, c);
  }
  return largest <= 0xff ? 1 : largest <= 0xffff ? 2 : 4;
}

// Counts of tokens first .. end - 1 of a request.
inline std::vector<uint32_t> CountsOf(const ModelSpec& model, const Request& request, int first,
                                      int end) {
  std::vector<uint32_t> cells(size_t(model.moe_layers) * model.experts, 0);
  for (int t = first; t < end; ++t) {
    for (int l = 0; l < model.moe_layers; ++l) {
      for (int i = 0; i < model.top_k; ++i) {
        ++cells[size_t(l) * model.experts + request.token(model, t, l)[i]];
      }
    }
  }
  return cells;
}

// Rows of a request as agents send samples.
inline std::string EncodeRows(const ModelSpec& model, const Request& request, int first, int end) {
  std::string rows;
  const size_t per_token = size_t(model.moe_layers) * model.top_k;
  for (size_t i = first * per_token; i < end * per_token; ++i) {
    const uint16_t id = request.experts[i];
    rows.append(reinterpret_cast<const char*>(&id), model.experts <= 256 ? 1 : 2);
  }
  return rows;
}

// One frame that carries whole requests: their counts by domain and phase, and every token as a
// sample under the key `first_key` + index.
inline Frame FrameOf(const ModelSpec& model, const std::vector<Request>& requests, uint64_t seq,
                     uint64_t first_key) {
  Frame frame;
  frame.seq_first = frame.seq_last = seq;
  frame.steps = 1;
  frame.last_step = seq;
  std::map<std::pair<std::string, int>, std::pair<uint64_t, std::vector<uint32_t>>> sums;
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& r = requests[i];
    for (int phase = 0; phase < kPhases; ++phase) {
      const int first = phase == 0 ? 0 : r.prompt_tokens;
      const int end = phase == 0 ? r.prompt_tokens : r.tokens;
      if (first == end) {
        continue;
      }
      auto& [tokens, cells] = sums[{r.domain, phase}];
      tokens += end - first;
      const std::vector<uint32_t> more = CountsOf(model, r, first, end);
      cells.resize(more.size(), 0);
      for (size_t c = 0; c < more.size(); ++c) {
        cells[c] += more[c];
      }
      frame.samples.push_back({first_key + i, r.domain, static_cast<Phase>(phase), 0,
                               EncodeRows(model, r, first, end)});
    }
  }
  for (const auto& [key, sum] : sums) {
    ReportBlock block;
    block.domain = key.first;
    block.phase = static_cast<Phase>(key.second);
    block.tokens = sum.first;
    block.counts = Encode(sum.second, model.experts, WidthFor(sum.second), false);
    frame.blocks.push_back(std::move(block));
  }
  return frame;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_REPORTS_H_
