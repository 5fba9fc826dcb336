#include "client/ctl/admin_client.h"

#include <grpcpp/client_context.h>

#include <chrono>
#include <utility>

#include "advisor/v1/admin.grpc.pb.h"
#include "client/reach.h"
#include "core/base/status_macros.h"

namespace advisor::client {
namespace {

constexpr std::chrono::seconds kDeadline{10};
constexpr std::chrono::seconds kWindowDeadline{60};
constexpr std::chrono::seconds kSolveDeadline{600};

class GrpcAdminClient final : public AdminClient {
 public:
  GrpcAdminClient(std::string server, const std::shared_ptr<grpc::Channel>& channel)
      : server_(std::move(server)), stub_(v1::AdminService::NewStub(channel)) {}

  absl::StatusOr<v1::GetStatusResponse> GetStatus(const v1::GetStatusRequest& request) override {
    return Call<v1::GetStatusResponse>(&v1::AdminService::Stub::GetStatus, request);
  }
  absl::StatusOr<v1::ListPlansResponse> ListPlans(const v1::ListPlansRequest& request) override {
    return Call<v1::ListPlansResponse>(&v1::AdminService::Stub::ListPlans, request);
  }
  absl::StatusOr<v1::GetPlanResponse> GetPlan(const v1::GetPlanRequest& request) override {
    return Call<v1::GetPlanResponse>(&v1::AdminService::Stub::GetPlan, request);
  }
  absl::StatusOr<v1::ExplainResponse> Explain(const v1::ExplainRequest& request) override {
    return Call<v1::ExplainResponse>(&v1::AdminService::Stub::Explain, request);
  }
  absl::StatusOr<std::string> GetWindow(const v1::GetWindowRequest& request) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kWindowDeadline);
    const auto reader = stub_->GetWindow(&context, request);
    std::string text;
    v1::GetWindowResponse piece;
    while (reader->Read(&piece)) {
      text += piece.trace();
    }
    RETURN_IF_ERROR(FromDaemon(server_, reader->Finish()));
    return text;
  }
  absl::StatusOr<v1::SolveNowResponse> SolveNow(const v1::SolveNowRequest& request) override {
    return Call<v1::SolveNowResponse>(&v1::AdminService::Stub::SolveNow, request, kSolveDeadline);
  }
  absl::StatusOr<v1::SetModeResponse> SetMode(const v1::SetModeRequest& request) override {
    return Call<v1::SetModeResponse>(&v1::AdminService::Stub::SetMode, request);
  }
  absl::StatusOr<v1::SetFrozenResponse> SetFrozen(const v1::SetFrozenRequest& request) override {
    return Call<v1::SetFrozenResponse>(&v1::AdminService::Stub::SetFrozen, request);
  }
  absl::StatusOr<v1::RollbackResponse> Rollback(const v1::RollbackRequest& request) override {
    return Call<v1::RollbackResponse>(&v1::AdminService::Stub::Rollback, request);
  }

 private:
  template <typename Response, typename Method, typename Request>
  absl::StatusOr<Response> Call(Method method, const Request& request,
                                std::chrono::seconds deadline = kDeadline) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    Response response;
    RETURN_IF_ERROR(FromDaemon(server_, ((*stub_).*method)(&context, request, &response)));
    return response;
  }

  const std::string server_;
  const std::unique_ptr<v1::AdminService::Stub> stub_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AdminClient>> AdminClient::Create(const ChannelOptions& options) {
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, MakeChannel(options));
  return std::make_unique<GrpcAdminClient>(options.server, channel);
}

}  // namespace advisor::client
