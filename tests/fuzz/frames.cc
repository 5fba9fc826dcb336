// A frame from the wire, counted in a window: what is applied obeys the laws, byte for byte.
#include "core/window/traffic_window.h"
#include "proto/convert/report.h"
#include "tests/fuzz/target.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor::fuzz {

void Try(const std::string& input) {
  v1::ReportRequest request;
  if (!request.ParseFromString(input)) {
    return;
  }
  if (request.has_hello()) {
    (void)FromProto(request.hello());
    return;
  }
  if (request.has_window()) {
    (void)FromProto(std::move(*request.mutable_window()));
    return;
  }
  absl::StatusOr<Frame> frame = FromProto(std::move(*request.mutable_frame()));
  if (!frame.ok()) {
    return;
  }
  WindowOptions options;
  options.bucket_tokens = 64;
  options.max_domains = 4;
  TrafficWindow window(testing::SmallModel(3, 16, 2), options, 2);
  ReporterWindow* reporter = *window.Open("agent", NodeId(0));
  const Applied& applied =
      frame->key_frame ? reporter->AddCumulative(frame->blocks, frame->steps, frame->samples)
                       : reporter->Add(frame->blocks, frame->steps, frame->samples);
  uint64_t offered = 0;
  for (const ReportBlock& block : frame->blocks) {
    offered += block.tokens;
  }
  Require(applied.tokens <= offered, "more tokens are counted than were reported");
  Require(reporter->window_tokens() <= applied.tokens, "the window holds more than was counted");
}

std::vector<std::string> Seeds() {
  Rng rng(1);
  std::vector<std::string> seeds;
  for (int i = 0; i < 6; ++i) {
    const ModelSpec model = testing::SmallModel(3, 16, 2);
    Frame frame =
        testing::FrameOf(model, testing::RandomTraffic(model, 1 + i * 4, 2, &rng).requests, 1, 1);
    frame.key_frame = i % 2 == 1;
    frame.key_base_seq = 0;
    v1::ReportRequest request;
    *request.mutable_frame() = ToProto(std::move(frame));
    seeds.push_back(request.SerializeAsString());
  }
  v1::ReportRequest hello;
  *hello.mutable_hello() = ToProto(ReporterHello{"chat", "agent-0", {1, 2}, 3, "node-0", 1});
  seeds.push_back(hello.SerializeAsString());
  return seeds;
}

}  // namespace advisor::fuzz
