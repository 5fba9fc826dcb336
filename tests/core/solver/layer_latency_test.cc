#include "core/solver/layer_latency.h"

#include <cmath>
#include <vector>

#include "core/base/rng.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

constexpr int kNodes = 3, kGpus = 5;

LayerLatency::Scale SomeScale() { return {kNodes, kGpus, 2, 1000, {4000, 500}}; }

// The mean of order 16, by pow.
double Mean16(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) {
    sum += std::pow(v, 16) / double(x.size());
  }
  return std::pow(sum, 1.0 / 16);
}

// The definition, in ns for one token.
double Time(const LatencyWeights& w, const std::vector<int64_t>& messages,
            const std::vector<int64_t>& loads) {
  std::vector<double> pairs;
  for (int h = 0; h < kNodes; ++h) {
    for (int n = 0; n < kNodes; ++n) {
      if (n != h) {
        pairs.push_back(double(messages[h * kNodes + n]) / 1000);
      }
    }
  }
  double on_gpu = 0;
  for (int set = 0; set < 2; ++set) {
    std::vector<double> gpus;
    for (int g = 0; g < kGpus; ++g) {
      gpus.push_back(double(loads[set * kGpus + g]) * 2 / SomeScale().activations[set]);
    }
    on_gpu += Mean16(gpus) / 2;
  }
  return std::max(w.link_ns_per_message_token * Mean16(pairs),
                  w.link_ns_per_gpu_activation * on_gpu) +
         w.gpu_ns_per_gpu_activation * on_gpu;
}

TEST(LayerLatencyTest, IsProportionalToTheDefinitionThroughChanges) {
  for (const LatencyWeights& w : {LatencyWeights{40, 0.1, 3}, LatencyWeights{1, 20, 3}}) {
    Rng rng(1);
    std::vector<int64_t> messages(kNodes * kNodes), loads(2 * kGpus);
    for (int64_t& x : messages) {
      x = 50 + rng.Below(200);
    }
    for (int64_t& x : loads) {
      x = 100 + rng.Below(800);
    }
    LayerLatency latency(w, SomeScale());
    latency.Reset(messages, loads);
    const double unit = latency.value() / Time(w, messages, loads);
    EXPECT_GT(unit, 0);
    for (int step = 0; step < 300; ++step) {
      std::vector<int64_t> next_messages = messages, next_loads = loads;
      for (int i = 0; i < 4; ++i) {
        const int cell = static_cast<int>(rng.Below(kNodes * kNodes));
        const int64_t more = int64_t{rng.Below(40)} - 20;
        if (next_messages[cell] + more >= 0) {
          next_messages[cell] += more;
          latency.StageMessage(cell / kNodes, cell % kNodes, more);
        }
        const int load = static_cast<int>(rng.Below(2 * kGpus));
        if (next_loads[load] + more >= 0) {
          next_loads[load] += more;
          latency.StageGpu(load / kGpus, load % kGpus, more);
        }
      }
      const double want = unit * Time(w, next_messages, next_loads);
      EXPECT_NEAR(latency.value() + latency.StagedDelta(), want, 1e-9 * want);
      if (rng.Below(2) == 0) {
        latency.Keep();
        messages = next_messages;
        loads = next_loads;
      } else {
        latency.Drop();
      }
      EXPECT_NEAR(latency.value(), unit * Time(w, messages, loads), 1e-9 * want);
    }
  }
}

TEST(LayerLatencyTest, ALevelLayerOfHalfMessagesCostsAVisitAToken) {
  LayerLatency latency({30, 0.1, 5}, {kNodes, kGpus, 2, 600, {1000}});
  latency.Reset(std::vector<int64_t>(kNodes * kNodes, 100), std::vector<int64_t>(kGpus, 200));
  EXPECT_NEAR(latency.value(), 600, 1e-9);
}

TEST(LayerLatencyTest, OneNodeSendsNothing) {
  LayerLatency latency({0, 0.1, 5}, {1, 2, 1, 100, {100}});
  latency.Reset(std::vector<int64_t>{70}, std::vector<int64_t>{50, 50});
  EXPECT_NEAR(latency.value(), 100, 1e-9);
}

}  // namespace
}  // namespace advisor
