#include "server/services/admin_service.h"

#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "advisor/v1/admin.grpc.pb.h"
#include "core/base/status_macros.h"
#include "core/io/plan_file.h"
#include "core/io/trace.h"
#include "proto/convert/model.h"
#include "proto/convert/status.h"
#include "server/convert/admin.h"
#include "server/observe/log.h"
#include "server/services/errors.h"
#include "server/version.h"

namespace advisor::server {
namespace {

using Reactor = grpc::ServerUnaryReactor;
using CallContext = grpc::CallbackServerContext;

absl::StatusOr<const DeploymentStatus*> FindDeployment(const EngineStatus& engine,
                                                       const std::string& name) {
  for (const DeploymentStatus& deployment : engine.deployments) {
    if (deployment.deployment.name == name) {
      return &deployment;
    }
  }
  return NoDeploymentError(name);
}

absl::StatusOr<std::shared_ptr<const Plan>> FindPlan(const DeploymentStatus& deployment,
                                                     Position position) {
  for (const PlanRecord& record : deployment.plans) {  // newest first
    if (position == Position{} || record.plan->position == position) {
      return record.plan;
    }
  }
  if (position == Position{}) {
    return absl::NotFoundError(
        absl::StrFormat("deployment \"%s\" has no plan yet", deployment.deployment.name));
  }
  return absl::NotFoundError(
      absl::StrFormat("deployment \"%s\" keeps no plan %d/%d; its plans are in `advisorctl plans`",
                      deployment.deployment.name, position.epoch, position.revision));
}

// Sends a window as a routing trace, piece by piece, none of it on the engine's thread. Deletes
// itself when the call is over.
class WindowReactor final : public grpc::ServerWriteReactor<v1::GetWindowResponse> {
 public:
  // Once, unless Finish() is called.
  void Send(std::shared_ptr<const Traffic> window) {
    window_ = std::move(window);
    Proceed(Add(TraceHeader(*window_)));
  }

  void OnWriteDone(bool ok) override {
    Proceed(ok ? absl::OkStatus() : absl::CancelledError("the caller is gone"));
  }
  void OnDone() override { delete this; }

 private:
  static constexpr size_t kPieceBytes = 256 << 10;

  absl::Status Add(const absl::StatusOr<std::string>& line) {
    if (line.ok()) {
      unsent_ += *line;
    }
    return line.status();
  }

  void Proceed(absl::Status status) {
    while (status.ok() && unsent_.size() < kPieceBytes && next_ < window_->requests.size()) {
      status = Add(TraceLine(window_->model, window_->requests[next_++]));
    }
    if (!status.ok() || unsent_.empty()) {
      Finish(ToGrpc(status));
      return;
    }
    piece_.set_trace(unsent_.substr(0, kPieceBytes));
    unsent_.erase(0, kPieceBytes);
    StartWrite(&piece_);
  }

  std::shared_ptr<const Traffic> window_;
  size_t next_ = 0;  // request
  std::string unsent_;
  v1::GetWindowResponse piece_;
};

absl::Status LoopBusyError() {
  return absl::UnavailableError("the decision loop has too much waiting; try again");
}

class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(AdminServiceContext context) : context_(context) {}

 private:
  // ---- Reading

  Reactor* GetStatus(CallContext* context, const v1::GetStatusRequest* request,
                     v1::GetStatusResponse* response) override {
    return Answer(context, "GetStatus", request->deployment(),
                  [=, this](const EngineStatus& engine) -> absl::Status {
                    const absl::Time now = context_.clock.Now();
                    response->set_version(kVersion);
                    response->set_epoch(engine.epoch);
                    response->set_uptime_s(absl::ToDoubleSeconds(now - context_.started));
                    if (!request->deployment().empty()) {
                      ASSIGN_OR_RETURN(const DeploymentStatus* found,
                                       FindDeployment(engine, request->deployment()));
                      *response->add_deployments() = ToProto(*found, now);
                      return absl::OkStatus();
                    }
                    for (const DeploymentStatus& deployment : engine.deployments) {
                      *response->add_deployments() = ToProto(deployment, now);
                    }
                    return absl::OkStatus();
                  });
  }

  Reactor* ListPlans(CallContext* context, const v1::ListPlansRequest* request,
                     v1::ListPlansResponse* response) override {
    return Answer(context, "ListPlans", request->deployment(),
                  [=](const EngineStatus& engine) -> absl::Status {
                    ASSIGN_OR_RETURN(const DeploymentStatus* found,
                                     FindDeployment(engine, request->deployment()));
                    for (const PlanRecord& record : found->plans) {
                      *response->add_plans() = ToProto(record);
                    }
                    return absl::OkStatus();
                  });
  }

  Reactor* GetPlan(CallContext* context, const v1::GetPlanRequest* request,
                   v1::GetPlanResponse* response) override {
    return Answer(context, "GetPlan", request->deployment(),
                  [=](const EngineStatus& engine) -> absl::Status {
                    ASSIGN_OR_RETURN(const DeploymentStatus* found,
                                     FindDeployment(engine, request->deployment()));
                    ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> plan,
                                     FindPlan(*found, FromProto(request->position())));
                    response->set_plan_json(PlanToJson(*plan));
                    return absl::OkStatus();
                  });
  }

  Reactor* Explain(CallContext* context, const v1::ExplainRequest* request,
                   v1::ExplainResponse* response) override {
    return Answer(context, "Explain", request->deployment(),
                  [=, this](const EngineStatus& engine) -> absl::Status {
                    ASSIGN_OR_RETURN(const DeploymentStatus* found,
                                     FindDeployment(engine, request->deployment()));
                    const absl::Time now = context_.clock.Now();
                    for (const DecisionRecord& decision : found->decisions) {
                      *response->add_decisions() = ToProto(decision, now);
                    }
                    return absl::OkStatus();
                  });
  }

  grpc::ServerWriteReactor<v1::GetWindowResponse>* GetWindow(
      CallContext* context, const v1::GetWindowRequest* request) override {
    auto* reactor = new WindowReactor;
    Order(
        *context, {"GetWindow", request->deployment(), ""},
        [request](CommandId id) {
          return event::GetWindow{id, request->deployment()};
        },
        [this, reactor](const effect::CommandDone& done) {
          if (!done.status.ok()) {
            reactor->Finish(ToGrpc(done.status));
            return;
          }
          context_.readers.Post([reactor, window = done.window] { reactor->Send(window); });
        });
    return reactor;
  }

  // ---- Commands

  Reactor* SolveNow(CallContext* context, const v1::SolveNowRequest* request,
                    v1::SolveNowResponse* response) override {
    return Command(
        context, {"SolveNow", request->deployment(), request->force() ? "force" : ""},
        [request](CommandId id) {
          return event::SolveNow{id, request->deployment(), request->force()};
        },
        [response](const effect::CommandDone& done) {
          response->set_reason(ToProto(done.reason));
          response->set_detail(done.detail);
          if (done.position != Position{}) {
            *response->mutable_position() = advisor::ToProto(done.position);
          }
        });
  }

  Reactor* SetMode(CallContext* context, const v1::SetModeRequest* request,
                   v1::SetModeResponse*) override {
    const absl::StatusOr<Mode> mode = FromProto(request->mode());
    if (!mode.ok()) {
      return Finish(context, mode.status());
    }
    return Command(context, {"SetMode", request->deployment(), ToString(*mode)},
                   [request, mode = *mode](CommandId id) {
                     return event::SetMode{id, request->deployment(), mode};
                   });
  }

  Reactor* SetFrozen(CallContext* context, const v1::SetFrozenRequest* request,
                     v1::SetFrozenResponse*) override {
    return Command(context,
                   {"SetFrozen", request->deployment(), request->frozen() ? "freeze" : "unfreeze"},
                   [request](CommandId id) {
                     return event::SetFrozen{id, request->deployment(), request->frozen()};
                   });
  }

  Reactor* Rollback(CallContext* context, const v1::RollbackRequest* request,
                    v1::RollbackResponse* response) override {
    return Command(
        context,
        {"Rollback", request->deployment(),
         absl::StrFormat("to %d.%d", request->to().epoch(), request->to().revision())},
        [request](CommandId id) {
          return event::Rollback{id, request->deployment(), FromProto(request->to())};
        },
        [response](const effect::CommandDone& done) {
          *response->mutable_position() = advisor::ToProto(done.position);
        });
  }

  // ---- Both

  static Reactor* Finish(CallContext* context, const absl::Status& status) {
    Reactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  // A command as it is written into the log.
  struct Asked {
    const char* method;
    std::string deployment;
    std::string what;
  };
  static void Audit(const Peer& peer, const Asked& asked, const absl::Status& status) {
    Log(LogLevel::kInfo, asked.deployment,
        absl::StrFormat("audit: %s asked for %s%s%s: %s", peer.name(), asked.method,
                        asked.what.empty() ? "" : " ", asked.what, status.ToString()));
  }

  template <typename Fill>
  Reactor* Answer(CallContext* context, const char* method, const std::string& deployment,
                  Fill fill) {
    const Peer peer = PeerOf(*context);
    if (const absl::Status allowed = Allow(context_.door, peer, Right::kAdmin, deployment);
        !allowed.ok()) {
      return Finish(context, allowed);
    }
    Log(LogLevel::kDebug, deployment, absl::StrCat("audit: ", peer.name(), " read ", method));
    if (context_.draining) {
      return Finish(context, DrainingError());
    }
    Reactor* reactor = context->DefaultReactor();
    const bool asked = context_.loop.Ask(
        [this, reactor, fill = std::move(fill)](std::shared_ptr<const EngineStatus> engine) {
          context_.readers.Post([reactor, fill, engine = std::move(engine)] {
            reactor->Finish(ToGrpc(fill(*engine)));
          });
        });
    if (!asked) {
      reactor->Finish(ToGrpc(LoopBusyError()));
    }
    return reactor;
  }

  // Asks the engine on behalf of the caller; `reply` is called exactly once, with a refusal too.
  template <typename MakeEvent>
  void Order(const CallContext& context, Asked asked, MakeEvent make_event, Commands::Reply reply) {
    Peer peer = PeerOf(context);
    effect::CommandDone refused;
    refused.status = Allow(context_.door, peer, Right::kAdmin, asked.deployment);
    if (!refused.status.ok()) {
      Audit(peer, asked, refused.status);
      return reply(refused);
    }
    if (context_.draining) {
      refused.status = DrainingError();
      return reply(refused);
    }
    const CommandId id =
        context_.commands.Add([peer = std::move(peer), asked = std::move(asked),
                               reply = std::move(reply)](const effect::CommandDone& done) {
          Audit(peer, asked, done.status);
          reply(done);
        });
    if (!context_.loop.Post(make_event(id))) {
      refused.id = id;
      refused.status = LoopBusyError();
      context_.commands.Done(refused);
    }
  }

  template <typename MakeEvent>
  Reactor* Command(CallContext* context, Asked asked, MakeEvent make_event,
                   std::function<void(const effect::CommandDone&)> fill = nullptr) {
    Reactor* reactor = context->DefaultReactor();
    Order(*context, std::move(asked), make_event,
          [reactor, fill = std::move(fill)](const effect::CommandDone& done) {
            if (done.status.ok() && fill) {
              fill(done);
            }
            reactor->Finish(ToGrpc(done.status));
          });
    return reactor;
  }

  const AdminServiceContext context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(AdminServiceContext context) {
  return std::make_unique<AdminService>(context);
}

}  // namespace advisor::server
