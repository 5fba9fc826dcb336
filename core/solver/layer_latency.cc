#include "core/solver/layer_latency.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace advisor {
namespace {

constexpr double kReferenceShare = 0.5;  // of a home's tokens that visit each other node

double Power16(double x) {
  x *= x;
  x *= x;
  x *= x;
  return x * x;
}

double Root16(double x) { return std::sqrt(std::sqrt(std::sqrt(std::sqrt(x)))); }

}  // namespace

void LayerLatency::Cells::Reset(absl::Span<const int64_t> values, double scale) {
  now.assign(values.begin(), values.end());
  staged.assign(values.size(), 0);
  touched.clear();
  power.clear();
  sum = 0;
  for (int64_t x : now) {
    power.push_back(Power16(scale * double(x)));
    sum += power.back();
  }
}

void LayerLatency::Cells::Stage(int cell, int64_t more) {
  if (more != 0) {
    staged[cell] += more;
    touched.push_back(cell);
  }
}

double LayerLatency::Cells::StagedSum(double scale) const {
  double out = sum;
  for (size_t i = 0; i < touched.size(); ++i) {
    const int cell = touched[i];
    if (std::find(touched.begin(), touched.begin() + i, cell) == touched.begin() + i) {
      out += Power16(scale * double(now[cell] + staged[cell])) - power[cell];
    }
  }
  return std::max(out, 0.0);
}

void LayerLatency::Cells::Keep(double scale) {
  for (int cell : touched) {
    now[cell] += staged[cell];
    staged[cell] = 0;
    power[cell] = Power16(scale * double(now[cell]));
  }
  if (!touched.empty()) {
    sum = 0;
    for (double x : power) {
      sum += x;
    }
  }
  touched.clear();
}

void LayerLatency::Cells::Drop() {
  for (int cell : touched) {
    staged[cell] = 0;
  }
  touched.clear();
}

LayerLatency::LayerLatency(const LatencyWeights& weights, Scale scale)
    : weights_(weights), scale_(std::move(scale)), gpus_(scale_.activations.size()) {
  message_scale_ = 1 / std::max<double>(1, double(scale_.token_weight));
  for (int64_t activations : scale_.activations) {
    gpu_scale_.push_back(scale_.top_k / std::max<double>(1, double(activations)));
  }
  sums_.resize(gpus_.size());
  // Sums of a level layer.
  const int pairs = scale_.nodes * (scale_.nodes - 1);
  const double message_sum = pairs * Power16(kReferenceShare / scale_.nodes);
  const double gpu_sum = scale_.gpus * Power16(double(scale_.top_k) / scale_.gpus);
  const std::vector<double> gpu_sums(gpus_.size(), gpu_sum);
  unit_ = double(scale_.token_weight) / Value(message_sum, gpu_sums);
}

double LayerLatency::Value(double message_sum, absl::Span<const double> gpu_sums) const {
  const int pairs = std::max(1, scale_.nodes * (scale_.nodes - 1));
  double on_gpu = 0;  // activations of one token
  for (double sum : gpu_sums) {
    on_gpu += Root16(sum / scale_.gpus) / double(gpu_sums.size());
  }
  const double exchange = weights_.link_ns_per_message_token * Root16(message_sum / pairs);
  const double hand_out = weights_.link_ns_per_gpu_activation * on_gpu;
  return unit_ * (std::max(exchange, hand_out) + weights_.gpu_ns_per_gpu_activation * on_gpu);
}

void LayerLatency::Reset(absl::Span<const int64_t> messages, absl::Span<const int64_t> gpu_load) {
  std::vector<int64_t> between(messages.begin(), messages.end());
  for (int n = 0; n < scale_.nodes; ++n) {
    between[size_t(n) * scale_.nodes + n] = 0;
  }
  messages_.Reset(between, message_scale_);
  for (size_t set = 0; set < gpus_.size(); ++set) {
    gpus_[set].Reset(gpu_load.subspan(set * scale_.gpus, scale_.gpus), gpu_scale_[set]);
    sums_[set] = gpus_[set].sum;
  }
  value_ = Value(messages_.sum, sums_);
}

void LayerLatency::StageMessage(int home, int node, int64_t more) {
  if (home != node) {
    messages_.Stage(home * scale_.nodes + node, more);
  }
}

void LayerLatency::StageGpu(int set, int gpu, int64_t more) { gpus_[set].Stage(gpu, more); }

double LayerLatency::StagedDelta() const {
  for (size_t set = 0; set < gpus_.size(); ++set) {
    sums_[set] = gpus_[set].StagedSum(gpu_scale_[set]);
  }
  return Value(messages_.StagedSum(message_scale_), sums_) - value_;
}

void LayerLatency::Keep() {
  messages_.Keep(message_scale_);
  for (size_t set = 0; set < gpus_.size(); ++set) {
    gpus_[set].Keep(gpu_scale_[set]);
    sums_[set] = gpus_[set].sum;
  }
  value_ = Value(messages_.sum, sums_);
}

void LayerLatency::Drop() {
  messages_.Drop();
  for (Cells& cells : gpus_) {
    cells.Drop();
  }
}

}  // namespace advisor
