// Plans from the wire and from files: what is accepted is valid, and reads back as it was.
#include "absl/strings/str_cat.h"
#include "core/io/plan_file.h"
#include "proto/convert/plan.h"
#include "tests/fuzz/target.h"
#include "tests/support/sample_plan.h"

namespace advisor::fuzz {
namespace {

void RunPlacement(const std::string& bytes) {
  static const Plan base = testing::SamplePlan(1);
  v1::PlacementUpdate update;
  if (!update.ParseFromString(bytes)) {
    return;
  }
  for (const Plan* held : {static_cast<const Plan*>(nullptr), &base}) {
    const auto decoded = FromProto(update, held);
    Require(!decoded.ok() || Validate(decoded->plan).ok(), "an invalid placement is accepted");
  }
}

void RunGrouping(const std::string& bytes) {
  v1::GroupingUpdate update;
  if (update.ParseFromString(bytes)) {
    (void)FromProto(update);
  }
}

void RunFile(const std::string& json) {
  const absl::StatusOr<Plan> plan = ParsePlan(json, "plan.json");
  if (!plan.ok()) {
    return;
  }
  Require(Validate(*plan).ok(), "an invalid plan is read");
  const absl::StatusOr<Plan> again = ParsePlan(PlanToJson(*plan), "again.json");
  Require(again.ok(), "what was written cannot be read");
  Require(PlacementHash(*again) == PlacementHash(*plan), "what was written reads as another plan");
}

}  // namespace

void Try(const std::string& input) {
  if (input.empty()) {
    return;
  }
  const std::string rest = input.substr(1);
  switch (input[0] % 4) {
    case 0:
      return RunPlacement(rest);
    case 1:
      return RunGrouping(rest);
    case 2: {
      v1::SubscribeRequest request;
      if (request.ParseFromString(rest)) {
        (void)FromProto(request.hello());
        (void)FromProto(request.ack());
      }
      return;
    }
    default:
      return RunFile(rest);
  }
}

std::vector<std::string> Seeds() {
  const auto plan = std::make_shared<const Plan>(testing::SamplePlan(2));
  const auto base = std::make_shared<const Plan>(testing::SamplePlan(1));
  const auto bytes = [](char kind, const auto& message) {
    return absl::StrCat(std::string(1, kind), message.SerializeAsString());
  };
  v1::SubscribeRequest hello;
  SubscriberHello who;
  who.deployment = "chat";
  who.subscriber_id = "agent-0";
  who.incarnation = {1, 2};
  *hello.mutable_hello() = ToProto(who);
  v1::SubscribeRequest ack;
  *ack.mutable_ack() = ToProto(PlanAck{});
  return {bytes(0, ToProto(PlacementUpdate{plan, nullptr, PlacementMode::kPrepare})),
          bytes(0, ToProto(PlacementUpdate{plan, base, PlacementMode::kInForce})),
          bytes(1, ToProto(GroupingUpdate{plan, {1, 2}, {1, 2}})),
          bytes(2, hello),
          bytes(2, ack),
          absl::StrCat("\x03", PlanToJson(*plan))};
}

}  // namespace advisor::fuzz
