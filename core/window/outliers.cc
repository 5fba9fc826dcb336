#include "core/window/outliers.h"

#include <algorithm>
#include <cstring>

namespace advisor {
namespace {

// Share of every expert in its layer, [layers, experts].
using Shares = std::vector<float>;

struct Judged {
  const std::string* reporter;
  const RequestSample* sample;
  uint64_t tokens = 0;  // counted
  Shares counts;
};

Shares ToShares(const ModelSpec& model, const std::vector<uint64_t>& cells, uint64_t tokens) {
  const double choices = static_cast<double>(tokens) * model.top_k;
  Shares shares(cells.size());
  for (size_t cell = 0; cell < cells.size(); ++cell) {
    shares[cell] = static_cast<float>(static_cast<double>(cells[cell]) / choices);
  }
  return shares;
}

uint64_t TokensOf(const ReporterWindow& reporter, const ReporterWindow::Domain& domain) {
  uint64_t tokens = 0;
  for (const int slot : domain.slots) {
    tokens += slot < 0 ? 0 : reporter.slots()[slot].window_tokens;
  }
  return tokens;
}

// Of the counts of both phases.
Shares CountShares(const ModelSpec& model, const ReporterWindow& reporter,
                   const ReporterWindow::Domain& domain) {
  std::vector<uint64_t> cells(size_t(model.moe_layers) * model.experts, 0);
  for (const int slot : domain.slots) {
    if (slot < 0) {
      continue;
    }
    reporter.Window(reporter.slots()[slot]).AddTo(cells.data());
  }
  return ToShares(model, cells, TokensOf(reporter, domain));
}

template <typename Id>
void AddRows(const ModelSpec& model, const std::string& rows, std::vector<uint64_t>* cells) {
  const size_t layer_ids = model.top_k, token_ids = layer_ids * model.moe_layers;
  for (size_t i = 0; i < rows.size() / sizeof(Id); ++i) {
    Id id;
    std::memcpy(&id, rows.data() + i * sizeof(Id), sizeof(Id));
    ++(*cells)[i % token_ids / layer_ids * model.experts + id];
  }
}

// Of the first `tokens` in sampling order: those that a snapshot takes. Empty: too few to be
// judged.
Shares SampleShares(const ModelSpec& model, const RequestSample& sample, double tokens) {
  std::vector<uint64_t> cells(size_t(model.moe_layers) * model.experts, 0);
  uint64_t taken = 0;
  for (auto it = sample.requests().begin();
       it != sample.requests().end() && static_cast<double>(taken) < tokens; ++it) {
    for (const std::string& rows : it->second.rows) {
      model.experts <= 256 ? AddRows<uint8_t>(model, rows, &cells)
                           : AddRows<uint16_t>(model, rows, &cells);
      taken += rows.size() / TokenBytes(model);
    }
  }
  return taken < kJudgedTokens ? Shares{} : ToShares(model, cells, taken);
}

Shares MedianOf(const std::vector<Judged>& judged) {
  Shares median(judged.front().counts.size());
  std::vector<float> values(judged.size());
  for (size_t cell = 0; cell < median.size(); ++cell) {
    for (size_t i = 0; i < judged.size(); ++i) {
      values[i] = judged[i].counts[cell];
    }
    const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    median[cell] = *middle;
  }
  return median;
}

double Distance(const ModelSpec& model, const Shares& shares, const Shares& median) {
  double beyond = 0;
  for (size_t cell = 0; cell < shares.size(); ++cell) {
    beyond += std::max(0.0f, shares[cell] - median[cell]);
  }
  return beyond / model.moe_layers;
}

// Reporters with enough tokens of the domain; *tokens: of all reporters.
std::vector<Judged> JudgedOf(const TrafficWindow& window, const std::string& domain,
                             uint64_t* tokens) {
  std::vector<Judged> judged;
  for (const auto& [id, reporter] : window.reporters()) {
    for (const ReporterWindow::Domain& part : reporter->domains()) {
      if (part.name != domain) {
        continue;
      }
      const uint64_t counted = TokensOf(*reporter, part);
      *tokens += counted;
      if (counted >= kJudgedTokens) {
        judged.push_back(
            {&id, &part.sample, counted, CountShares(window.model(), *reporter, part)});
      }
    }
  }
  return judged;
}

}  // namespace

std::vector<Outlier> FindOutliers(const TrafficWindow& window) {
  const ModelSpec& model = window.model();
  std::vector<Outlier> outliers;
  for (const std::string& domain : window.Domains()) {
    uint64_t tokens = 0;
    const std::vector<Judged> judged = JudgedOf(window, domain, &tokens);
    if (judged.size() < 3) {
      continue;
    }
    const Shares median = MedianOf(judged);
    std::vector<Outlier> found;
    for (const Judged& one : judged) {
      const double share = static_cast<double>(one.tokens) / static_cast<double>(tokens);
      const double taken = std::max<double>(kJudgedTokens, share * window.options().sample_tokens);
      const double distance =
          std::max(Distance(model, one.counts, median),
                   Distance(model, SampleShares(model, *one.sample, taken), median));
      if (distance > kOutlierDistance) {
        found.push_back({*one.reporter, domain, distance});
      }
    }
    if (2 * found.size() < judged.size()) {
      outliers.insert(outliers.end(), found.begin(), found.end());
    }
  }
  return outliers;
}

}  // namespace advisor
