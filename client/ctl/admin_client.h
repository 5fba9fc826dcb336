#ifndef ADVISOR_CLIENT_CTL_ADMIN_CLIENT_H_
#define ADVISOR_CLIENT_CTL_ADMIN_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "advisor/v1/admin.pb.h"
#include "client/channel.h"

namespace advisor::client {

// The daemon's operator side. Every call has a deadline (10 s, GetWindow 1 min, SolveNow 10 min).
// UNAVAILABLE: "cannot reach advisord at ...: why; is it running?".
class AdminClient {
 public:
  static absl::StatusOr<std::unique_ptr<AdminClient>> Create(const ChannelOptions& options);
  virtual ~AdminClient() = default;

  virtual absl::StatusOr<v1::GetStatusResponse> GetStatus(const v1::GetStatusRequest& request) = 0;
  virtual absl::StatusOr<v1::ListPlansResponse> ListPlans(const v1::ListPlansRequest& request) = 0;
  virtual absl::StatusOr<v1::GetPlanResponse> GetPlan(const v1::GetPlanRequest& request) = 0;
  virtual absl::StatusOr<v1::ExplainResponse> Explain(const v1::ExplainRequest& request) = 0;
  // The window as the text of a routing trace.
  virtual absl::StatusOr<std::string> GetWindow(const v1::GetWindowRequest& request) = 0;
  virtual absl::StatusOr<v1::SolveNowResponse> SolveNow(const v1::SolveNowRequest& request) = 0;
  virtual absl::StatusOr<v1::SetModeResponse> SetMode(const v1::SetModeRequest& request) = 0;
  virtual absl::StatusOr<v1::SetFrozenResponse> SetFrozen(const v1::SetFrozenRequest& request) = 0;
  virtual absl::StatusOr<v1::RollbackResponse> Rollback(const v1::RollbackRequest& request) = 0;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_ADMIN_CLIENT_H_
