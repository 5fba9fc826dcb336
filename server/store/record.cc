#include "server/store/record.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/fingerprint.h"
#include "core/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "server/convert/stored_plan.h"

namespace advisor::server {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

uint64_t HeadHash(const RecordText& text) {
  return Fingerprint()
      .Add(text.deployment)
      .Add(text.position.epoch)
      .Add(text.position.revision)
      .Add(text.head)
      .Add(text.plan_hash)
      .value();
}

std::string NameOf(const RecordText& text) {
  return absl::StrFormat("%s plan %d/%d", text.deployment, text.position.epoch,
                         text.position.revision);
}

// Runs `read` on parsed JSON; nlohmann's exceptions end here.
template <typename Read>
absl::Status ReadJson(const std::string& what, const std::string& text, Read read) {
  try {
    read(Json::parse(text));
    return absl::OkStatus();
  } catch (const Json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", e.what()));
  }
}

}  // namespace

RecordText ToText(const std::string& deployment, const PlanRecord& record) {
  RecordText text;
  text.deployment = deployment;
  text.position = record.plan->position;
  text.plan = ToBytes(*record.plan);
  text.plan_hash = Fingerprint().Add(text.plan).value();
  text.head = Dump({{"content_hash", record.content_hash},
                    {"grouping_epoch", record.grouping.epoch},
                    {"grouping_revision", record.grouping.revision},
                    {"reason", static_cast<int>(record.reason)},
                    {"detail", record.detail},
                    {"published_unix_ms", record.published_unix_ms},
                    {"quarantined", record.quarantined},
                    {"committed", record.committed}});
  text.head_hash = HeadHash(text);
  return text;
}

absl::StatusOr<PlanRecord> ReadHead(const RecordText& text) {
  PlanRecord record;
  RETURN_IF_ERROR(ReadJson(NameOf(text), text.head, [&record](const Json& head) {
    record.content_hash = head.at("content_hash").get<uint64_t>();
    record.grouping.epoch = head.at("grouping_epoch").get<uint64_t>();
    record.grouping.revision = head.at("grouping_revision").get<uint64_t>();
    record.reason = static_cast<DecisionReason>(head.at("reason").get<int>());
    record.detail = head.at("detail").get<std::string>();
    record.published_unix_ms = head.at("published_unix_ms").get<int64_t>();
    record.quarantined = head.at("quarantined").get<bool>();
    record.committed = head.at("committed").get<bool>();
  }));
  return record;
}

absl::StatusOr<PlanRecord> FromText(const RecordText& text) {
  if (HeadHash(text) != text.head_hash || Fingerprint().Add(text.plan).value() != text.plan_hash) {
    return absl::DataLossError(absl::StrCat(NameOf(text), ": content differs from its hash"));
  }
  ASSIGN_OR_RETURN(PlanRecord record, ReadHead(text));
  absl::StatusOr<Plan> plan = PlanFromBytes(text.plan, text.deployment);
  if (!plan.ok()) {
    return absl::Status(plan.status().code(),
                        absl::StrCat(NameOf(text), ": ", std::string(plan.status().message())));
  }
  if (plan->position != text.position || PlacementHash(*plan) != record.content_hash) {
    return absl::DataLossError(absl::StrCat(NameOf(text), ": holds another plan"));
  }
  record.plan = std::make_shared<const Plan>(*std::move(plan));
  return record;
}

std::string ToText(const DeploymentState& state) {
  return Dump({{"mode", ToString(state.mode)},
               {"frozen", state.frozen},
               {"quarantined_hashes", state.quarantined_hashes}});
}

absl::StatusOr<DeploymentState> StateFromText(const std::string& text) {
  DeploymentState state;
  RETURN_IF_ERROR(ReadJson("state", text, [&state](const Json& json) {
    state.mode = json.at("mode") == ToString(Mode::kActive) ? Mode::kActive : Mode::kAdvisory;
    state.frozen = json.at("frozen").get<bool>();
    state.quarantined_hashes = json.at("quarantined_hashes").get<std::vector<uint64_t>>();
  }));
  return state;
}

uint64_t HashOf(const std::string& deployment, const std::string& text) {
  return Fingerprint().Add(deployment).Add(text).value();
}

}  // namespace advisor::server
