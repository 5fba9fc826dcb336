#include "core/window/snapshot.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/rng.h"

namespace advisor {
namespace {

// Keys are held out by a hash of their own: the sampling hash would hold out one end of the sample.
constexpr uint64_t kHoldoutSalt = 0x686f6c646f757431;

// One domain of one reporter.
struct Source {
  const ReporterWindow* reporter;
  const ReporterWindow::Domain* domain;
  uint64_t window_tokens = 0;
};

// One sampled request with the parts that different reporters hold of it.
struct Part {
  size_t source;  // index
  const SampledTokens* tokens;
};
struct Sampled {
  RequestSample::Rank rank;
  std::vector<Part> parts;
  uint64_t held_out_by = 0;  // smaller: held out first
};

void AppendRows(const ModelSpec& model, const std::string& rows, std::vector<uint16_t>* experts) {
  if (model.experts <= 256) {
    for (const char id : rows) {
      experts->push_back(static_cast<unsigned char>(id));
    }
    return;
  }
  for (size_t at = 0; at < rows.size(); at += 2) {
    uint16_t id;
    std::memcpy(&id, rows.data() + at, sizeof(id));
    experts->push_back(id);
  }
}

Request ToRequest(const ModelSpec& model, const std::string& domain, const Sampled& sampled) {
  Request request;
  request.id = absl::StrFormat("%s-%016x", domain, sampled.rank.second);  // unique over domains
  request.domain = domain;
  for (int phase = 0; phase < kPhases; ++phase) {
    for (const Part& part : sampled.parts) {
      AppendRows(model, part.tokens->rows[phase], &request.experts);
    }
    const auto rows =
        static_cast<int>(request.experts.size() / (size_t(model.moe_layers) * model.top_k));
    request.prompt_tokens = phase == 0 ? rows : request.prompt_tokens;
    request.tokens = rows;
  }
  return request;
}

std::vector<Source> SourcesOf(const TrafficWindow& window, const std::string& domain,
                              const LeftOut& left_out) {
  std::vector<Source> sources;
  for (const auto& [id, reporter] : window.reporters()) {
    for (const ReporterWindow::Domain& part : reporter->domains()) {
      if (part.name != domain || left_out.contains({id, domain})) {
        continue;
      }
      Source source{reporter.get(), &part};
      for (const int slot : part.slots) {
        source.window_tokens += slot < 0 ? 0 : reporter->slots()[slot].window_tokens;
      }
      sources.push_back(source);
    }
  }
  return sources;
}

size_t RowBytes(const SampledTokens& tokens) {
  return tokens.rows[0].size() + tokens.rows[1].size();
}

// A domain's sampled requests in sampling order, at most `sample_tokens` of them, and of a reporter
// one request, or its share by counted tokens.
std::vector<Sampled> SampledOf(const TrafficWindow& window, const std::vector<Source>& sources,
                               uint64_t window_tokens) {
  std::map<RequestSample::Rank, Sampled> requests;
  for (size_t i = 0; i < sources.size(); ++i) {
    for (const auto& [rank, tokens] : sources[i].domain->sample.requests()) {
      Sampled& sampled = requests[rank];
      sampled.rank = rank;
      sampled.parts.push_back({i, &tokens});
      sampled.held_out_by = Mix64(rank.second ^ kHoldoutSalt);
    }
  }
  const size_t max_bytes = size_t(window.options().sample_tokens) * TokenBytes(window.model());
  size_t bytes = 0;
  std::vector<size_t> bytes_of(sources.size(), 0);
  std::vector<Sampled> kept;
  for (auto& [rank, sampled] : requests) {
    size_t more = 0;
    bool beyond_share = false;
    for (const Part& part : sampled.parts) {
      const double share = static_cast<double>(sources[part.source].window_tokens) /
                           static_cast<double>(window_tokens);
      const size_t of_source = bytes_of[part.source];
      beyond_share = beyond_share ||
                     (of_source > 0 && static_cast<double>(of_source + RowBytes(*part.tokens)) >
                                           share * static_cast<double>(max_bytes));
      more += RowBytes(*part.tokens);
    }
    if (beyond_share) {
      continue;
    }
    bytes += more;
    if (bytes > max_bytes && !kept.empty()) {
      break;
    }
    for (const Part& part : sampled.parts) {
      bytes_of[part.source] += RowBytes(*part.tokens);
    }
    kept.push_back(std::move(sampled));
  }
  return kept;
}

// How many of `requests` are held out, at least one and not all where there are two.
size_t HoldoutCount(size_t requests, double share) {
  if (requests < 2 || share <= 0) {
    return 0;
  }
  const auto wanted = static_cast<size_t>(std::llround(static_cast<double>(requests) * share));
  return std::clamp<size_t>(wanted, 1, requests - 1);
}

void Weigh(uint64_t window_tokens, size_t from, std::vector<Request>* requests) {
  double tokens = 0;
  for (size_t i = from; i < requests->size(); ++i) {
    tokens += (*requests)[i].tokens;
  }
  for (size_t i = from; i < requests->size(); ++i) {
    (*requests)[i].weight = static_cast<double>(window_tokens) / tokens;
  }
}

void AddSampled(const TrafficWindow& window, const std::string& domain, uint64_t window_tokens,
                const std::vector<Sampled>& sampled, double holdout_share, Snapshot* out) {
  std::vector<std::pair<uint64_t, uint64_t>> order;
  for (const Sampled& request : sampled) {
    order.push_back({request.held_out_by, request.rank.second});
  }
  std::sort(order.begin(), order.end());
  const size_t held_out = HoldoutCount(sampled.size(), holdout_share);
  const size_t train_from = out->train.requests.size();
  const size_t holdout_from = out->holdout.requests.size();
  for (const Sampled& request : sampled) {
    const std::pair<uint64_t, uint64_t> place{request.held_out_by, request.rank.second};
    const bool out_of_train = held_out > 0 && place <= order[held_out - 1];
    Request r = ToRequest(window.model(), domain, request);
    out->holdout_tokens += out_of_train ? r.tokens : 0;
    (out_of_train ? out->holdout : out->train).requests.push_back(std::move(r));
  }
  Weigh(window_tokens, train_from, &out->train.requests);
  Weigh(window_tokens, holdout_from, &out->holdout.requests);
}

// Adds buckets from_age .. to_age - 1 of a slot to `sums`.
void AddBuckets(const ReporterWindow& reporter, const ReporterWindow::Slot& slot, int from_age,
                int to_age, Request* sums) {
  for (int age = from_age; age < to_age; ++age) {
    const uint64_t tokens = reporter.BucketTokens(slot, age);
    if (tokens == 0) {
      continue;
    }
    const ReporterWindow::Cells bucket = reporter.Bucket(slot, age);
    sums->counts.resize(bucket.size(), 0);
    bucket.AddTo(sums->counts.data());
    sums->tokens += static_cast<int>(tokens);
  }
}

void AddSums(const std::vector<Source>& sources, const std::string& domain, double holdout_share,
             Snapshot* out) {
  std::map<std::pair<int, NodeId>, std::pair<Request, Request>> sums;  // train, holdout
  for (const Source& source : sources) {
    const ReporterWindow& reporter = *source.reporter;
    const int buckets = reporter.bucket_count();
    const auto newest = static_cast<int>(HoldoutCount(buckets, holdout_share));
    for (const int index : source.domain->slots) {
      if (index >= 0) {
        const ReporterWindow::Slot& slot = reporter.slots()[index];
        auto& [train, holdout] = sums[{static_cast<int>(slot.phase), reporter.node()}];
        AddBuckets(reporter, slot, 0, newest, &holdout);
        AddBuckets(reporter, slot, newest, buckets, &train);
      }
    }
  }
  for (auto& [key, pair] : sums) {
    for (auto [side, request] :
         {std::pair{&out->train, &pair.first}, {&out->holdout, &pair.second}}) {
      if (request->tokens > 0) {
        request->id = absl::StrFormat("sums-%s-%s-%d", domain,
                                      ToString(static_cast<Phase>(key.first)), key.second.value());
        request->domain = domain;
        request->prompt_tokens = key.first == 0 ? request->tokens : 0;
        side->requests.push_back(std::move(*request));
      }
    }
  }
}

}  // namespace

Snapshot TakeSnapshot(const TrafficWindow& window, double holdout_share, const LeftOut& left_out) {
  Snapshot out;
  for (Traffic* traffic : {&out.train, &out.holdout}) {
    traffic->model = window.model();
    traffic->source = "window";
  }
  for (const std::string& domain : window.Domains()) {
    const std::vector<Source> sources = SourcesOf(window, domain, left_out);
    uint64_t tokens = 0;
    for (const Source& source : sources) {
      tokens += source.window_tokens;
    }
    if (tokens == 0) {
      continue;
    }
    const std::vector<Sampled> sampled = SampledOf(window, sources, tokens);
    if (sampled.empty()) {
      AddSums(sources, domain, holdout_share, &out);
    } else {
      AddSampled(window, domain, tokens, sampled, holdout_share, &out);
    }
  }
  return out;
}

}  // namespace advisor
