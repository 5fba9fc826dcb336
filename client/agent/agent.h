#ifndef ADVISOR_CLIENT_AGENT_AGENT_H_
#define ADVISOR_CLIENT_AGENT_AGENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/agent/hub.h"
#include "client/agent/streams.h"

namespace advisor::client {

struct AgentOptions {
  std::string deployment;
  std::string node;
  std::string id;                                        // empty: the node's name
  std::string socket = "/run/advisor/agent.sock";        // of the intake
  std::string plan_file = "/var/lib/advisor/plan.json";  // empty: plans are not stored
  bool wait_for_engines = false;                         // see PlanSessionOptions
  int engines = 1;
  bool restart_only = false;
  StreamOptions streams;
};

// The sidecar: intake on a unix socket, a Report and a Subscribe stream to the daemon, the plan
// file. Runs on with the last plan while the daemon is away.
class Agent {
 public:
  // INVALID_ARGUMENT: an option. UNAVAILABLE: the socket cannot be listened on.
  // FAILED_PRECONDITION: the stored plan is of another deployment or lacks the node. An unreadable
  // plan file is moved aside in the log's words and not an error: the daemon sends the plan again.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(AgentOptions options,
                                                      std::shared_ptr<grpc::Channel> daemon);
  // Hands over the last counts, ends every stream.
  ~Agent();

  AgentStatus Status() const { return hub_.Status(); }

 private:
  Agent(const AgentOptions& options, std::shared_ptr<grpc::Channel> daemon);
  absl::Status RestorePlan();
  absl::Status Listen();

  const AgentOptions options_;
  std::shared_ptr<grpc::Channel> daemon_;
  Hub hub_;
  std::unique_ptr<grpc::Service> intake_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ReconnectingStream> report_, plans_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_AGENT_H_
