#ifndef ADVISOR_TESTS_BENCH_SPLIT_H_
#define ADVISOR_TESTS_BENCH_SPLIT_H_

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/rng.h"
#include "core/io/trace.h"
#include "core/synth/generator.h"

namespace advisor::bench {

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}

// A trace of the folder ADVISOR_TRACES, or `requests` of a synthetic preset.
inline Traffic TrafficNamed(const std::string& name, int requests) {
  for (const std::string& preset : PresetNames()) {
    if (name == "synthetic-" + preset) {
      GeneratorOptions options = OrDie(Preset(preset));
      options.requests = requests;
      return OrDie(Generate(options));
    }
  }
  const char* folder = std::getenv("ADVISOR_TRACES");
  if (folder == nullptr) {
    std::fprintf(stderr, "%s: set ADVISOR_TRACES to the folder of the real traces\n", name.c_str());
    std::exit(1);
  }
  return OrDie(ReadTrace(std::string(folder) + "/" + name + ".jsonl.gz"));
}

// What the solver sees, and what it is judged on: requests alternate inside each domain, shuffled
// by seed; both keep the trace's order.
struct Halves {
  Traffic train, holdout;
};

inline Halves Split(const Traffic& all, uint64_t seed) {
  std::map<std::string, std::vector<size_t>> by_domain;
  for (size_t i = 0; i < all.requests.size(); ++i) {
    by_domain[all.requests[i].domain].push_back(i);
  }
  Rng rng(seed);
  std::vector<bool> held(all.requests.size());
  for (auto& [domain, members] : by_domain) {
    for (size_t i = members.size(); i > 1; --i) {
      std::swap(members[i - 1], members[rng.Below(static_cast<uint32_t>(i))]);
    }
    for (size_t i = 0; i < members.size(); ++i) {
      held[members[i]] = i % 2 == 1;
    }
  }
  Halves halves;
  halves.train.model = halves.holdout.model = all.model;
  for (size_t i = 0; i < all.requests.size(); ++i) {
    (held[i] ? halves.holdout : halves.train).requests.push_back(all.requests[i]);
  }
  return halves;
}

}  // namespace advisor::bench

#endif  // ADVISOR_TESTS_BENCH_SPLIT_H_
