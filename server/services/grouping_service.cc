#include "server/services/grouping_service.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "advisor/v1/grouping.grpc.pb.h"
#include "core/base/status_macros.h"
#include "core/model/request_id.h"
#include "proto/convert/limits.h"
#include "proto/convert/little_endian.h"
#include "proto/convert/model.h"
#include "proto/convert/status.h"
#include "server/services/errors.h"

namespace advisor::server {
namespace {

constexpr size_t kMaxCells = 1 << 20;
constexpr int kMaxReleased = 4096;

absl::StatusOr<Prompt> PromptFrom(const v1::AssignRequest& request, const ModelSpec& model) {
  Prompt prompt;
  prompt.domain = request.domain();
  if (request.prompt_tokens() > uint32_t{std::numeric_limits<int>::max()}) {
    return absl::InvalidArgumentError(
        absl::StrFormat("prompt_tokens is %d, which is too many", request.prompt_tokens()));
  }
  prompt.tokens = static_cast<int>(request.prompt_tokens());
  const size_t size = request.cells().size() / sizeof(uint32_t);
  std::vector<uint32_t> cells(size <= kMaxCells ? size : 0);
  std::vector<uint16_t> counts(cells.size());
  if (size > kMaxCells || !UnpackAs<uint32_t>(request.cells(), cells) ||
      !UnpackAs<uint16_t>(request.counts(), counts)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("cells have %d bytes and counts %d, must be 4 and 2 for each of at most %d",
                        request.cells().size(), request.counts().size(), kMaxCells));
  }
  const uint32_t limit = model.moe_layers * model.experts;
  prompt.counts.reserve(size);
  for (size_t i = 0; i < size; ++i) {
    if (cells[i] >= limit) {
      return absl::InvalidArgumentError(
          absl::StrFormat("cells[%d] is %d, must be below %d layers x %d experts", i, cells[i],
                          model.moe_layers, model.experts));
    }
    prompt.counts.push_back({static_cast<uint16_t>(cells[i] / model.experts),
                             static_cast<uint16_t>(cells[i] % model.experts), counts[i]});
  }
  return prompt;
}

class GroupingService final : public v1::GroupingService::CallbackService {
 public:
  GroupingService(const Assigners& assigners, const Door& door, const std::atomic<bool>& draining)
      : assigners_(assigners), door_(door), draining_(draining) {}

 private:
  grpc::ServerUnaryReactor* Assign(grpc::CallbackServerContext* context,
                                   const v1::AssignRequest* request,
                                   v1::AssignResponse* response) override {
    const absl::Status allowed = Allow(*context, request->deployment());
    return Finish(context, allowed.ok() ? Place(*request, response) : allowed);
  }
  grpc::ServerUnaryReactor* Release(grpc::CallbackServerContext* context,
                                    const v1::ReleaseRequest* request,
                                    v1::ReleaseResponse* response) override {
    const absl::Status allowed = Allow(*context, request->deployment());
    return Finish(context, allowed.ok() ? Forget(*request, response) : allowed);
  }

  absl::Status Allow(const grpc::CallbackServerContext& context,
                     const std::string& deployment) const {
    // Who calls is looked up only where it matters: Assign is on every request's path.
    return door_.policy.enforced()
               ? server::Allow(door_, PeerOf(context), Right::kRouter, deployment)
               : absl::OkStatus();
  }

  static grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                          const absl::Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  absl::StatusOr<DeploymentAssigner*> Find(const std::string& deployment) const {
    if (draining_) {
      return DrainingError();
    }
    DeploymentAssigner* assigner = assigners_.Find(deployment);
    if (assigner == nullptr) {
      return NoDeploymentError(deployment);
    }
    return assigner;
  }

  absl::Status Place(const v1::AssignRequest& request, v1::AssignResponse* response) const {
    ASSIGN_OR_RETURN(DeploymentAssigner * assigner, Find(request.deployment()));
    const size_t id_bytes = request.request_id().size();
    if (id_bytes == 0 || id_bytes > kMaxRequestIdBytes) {
      return absl::InvalidArgumentError(absl::StrFormat("request_id has %d bytes, must be 1 to %d",
                                                        id_bytes, kMaxRequestIdBytes));
    }
    ASSIGN_OR_RETURN(const Prompt prompt, PromptFrom(request, assigner->model()));
    const AssignedNode assigned = assigner->Assign(request.request_id(), prompt);
    response->set_node(assigned.choice.node.value());
    response->set_spilled(assigned.choice.spilled);
    response->set_sticky(assigned.sticky);
    if (assigned.microbatch.has_value()) {
      response->set_microbatch(*assigned.microbatch);
    }
    for (const AssignedNode::Ranked& ranked : assigned.ranked) {
      v1::RankedNode* out = response->add_ranked();
      out->set_node(ranked.choice.node.value());
      out->set_name(ranked.name);
      out->set_cost(ranked.choice.cost);
      out->set_load(ranked.load);
      if (ranked.choice.node == assigned.choice.node) {
        response->set_name(ranked.name);
      }
    }
    if (assigned.grouping != Position{}) {
      *response->mutable_grouping() = ToProto(assigned.grouping);
    }
    return absl::OkStatus();
  }

  absl::Status Forget(const v1::ReleaseRequest& request, v1::ReleaseResponse* response) const {
    ASSIGN_OR_RETURN(DeploymentAssigner * assigner, Find(request.deployment()));
    if (request.request_ids_size() > kMaxReleased) {
      return absl::InvalidArgumentError(absl::StrFormat("request_ids has %d entries, limit is %d",
                                                        request.request_ids_size(), kMaxReleased));
    }
    uint32_t released = 0;
    for (const std::string& id : request.request_ids()) {
      released += assigner->Release(id);
    }
    response->set_released(released);
    return absl::OkStatus();
  }

  const Assigners& assigners_;
  const Door door_;
  const std::atomic<bool>& draining_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeGroupingService(const Assigners& assigners, const Door& door,
                                                   const std::atomic<bool>& draining) {
  return std::make_unique<GroupingService>(assigners, door, draining);
}

}  // namespace advisor::server
