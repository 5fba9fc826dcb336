#include "client/replay/router.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "advisor/v1/grouping.grpc.pb.h"
#include "client/reach.h"
#include "core/base/status_macros.h"
#include "core/grouping/assigner.h"
#include "proto/convert/little_endian.h"

namespace advisor::client {
namespace {

constexpr std::chrono::seconds kDeadline{5};

}  // namespace

struct Router::Stub {
  std::unique_ptr<v1::GroupingService::Stub> stub;
};

Router::Router(std::string deployment, std::string server,
               const std::shared_ptr<grpc::Channel>& channel)
    : deployment_(std::move(deployment)),
      server_(std::move(server)),
      stub_(std::make_unique<Stub>(Stub{v1::GroupingService::NewStub(channel)})) {}

Router::~Router() = default;

absl::StatusOr<Router::Answer> Router::Assign(const ModelSpec& model, const Request& request) {
  const Prompt prompt = PromptOf(model, request);
  std::vector<uint32_t> cells, counts;
  for (const PromptCount& c : prompt.counts) {
    cells.push_back(static_cast<uint32_t>(c.layer) * model.experts + c.expert);
    counts.push_back(std::min<uint32_t>(c.count, UINT16_MAX));
  }
  v1::AssignRequest message;
  message.set_deployment(deployment_);
  message.set_request_id(request.id);
  message.set_domain(request.domain);
  message.set_prompt_tokens(static_cast<uint32_t>(prompt.tokens));
  message.set_cells(PackAs<uint32_t>(cells));
  message.set_counts(PackAs<uint16_t>(counts));
  v1::AssignResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  RETURN_IF_ERROR(FromDaemon(server_, stub_->stub->Assign(&context, message, &response)));
  return Answer{NodeId(static_cast<int>(response.node())), response.has_grouping()};
}

void Router::Release(const std::vector<std::string>& request_ids) {
  v1::ReleaseRequest message;
  message.set_deployment(deployment_);
  for (const std::string& id : request_ids) {
    message.add_request_ids(id);
  }
  v1::ReleaseResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  stub_->stub->Release(&context, message, &response);
}

}  // namespace advisor::client
