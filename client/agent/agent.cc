#include "client/agent/agent.h"

#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/agent/intake_service.h"
#include "core/base/status_macros.h"
#include "core/io/plan_file.h"
#include "proto/convert/model.h"

namespace advisor::client {
namespace {

uint64_t Random64() {
  static thread_local std::random_device device;
  return uint64_t{device()} << 32 | device();
}

Incarnation NewIncarnation() { return {Random64(), Random64()}; }

std::string IdOf(const AgentOptions& options) {
  return options.id.empty() ? options.node : options.id;
}

PlanSessionOptions SessionOptions(const AgentOptions& options) {
  PlanSessionOptions out;
  out.deployment = options.deployment;
  out.subscriber_id = IdOf(options);
  out.node = options.node;
  out.ability = options.restart_only ? ApplyAbility::kRestartOnly : ApplyAbility::kHotSwap;
  out.wait_for_engines = options.wait_for_engines;
  out.engines = options.engines;
  return out;
}

Hub::StorePlan StoreIn(const std::string& path) {
  return
      [path](const Plan& plan) { return path.empty() ? absl::OkStatus() : WritePlan(path, plan); };
}

// Whether somebody answers on the socket; a file left behind by a killed agent answers nothing.
bool Answers(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) {
    return false;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const bool answers =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return answers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(AgentOptions options,
                                                    std::shared_ptr<grpc::Channel> daemon) {
  RETURN_IF_ERROR(ValidateId("--deployment", options.deployment));
  RETURN_IF_ERROR(ValidateId("--node", options.node));
  RETURN_IF_ERROR(ValidateId("--id", IdOf(options)));
  std::unique_ptr<Agent> agent(new Agent(options, std::move(daemon)));
  RETURN_IF_ERROR(agent->RestorePlan());
  RETURN_IF_ERROR(agent->Listen());
  Hub* hub = &agent->hub_;
  StreamOptions streams = options.streams;
  streams.jitter_seed = Random64();
  agent->report_ = std::make_unique<ReconnectingStream>(
      "report", hub, streams,
      [channel = agent->daemon_, hub] { return RunReportStream(channel, hub); });
  streams.jitter_seed = Random64();
  agent->plans_ = std::make_unique<ReconnectingStream>(
      "plan", hub, streams, [channel = agent->daemon_, hub, streams] {
        return RunPlanStream(channel, hub, streams.progress_timeout);
      });
  return agent;
}

Agent::Agent(const AgentOptions& options, std::shared_ptr<grpc::Channel> daemon)
    : options_(options),
      daemon_(std::move(daemon)),
      hub_({options.deployment, IdOf(options), options.node}, SessionOptions(options),
           &NewIncarnation, StoreIn(options.plan_file)) {}

Agent::~Agent() {
  hub_.Stop();
  if (server_ != nullptr) {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
    server_->Wait();
  }
  report_.reset();
  plans_.reset();
}

absl::Status Agent::RestorePlan() {
  const std::string& path = options_.plan_file;
  if (path.empty() || ::access(path.c_str(), F_OK) != 0) {
    return absl::OkStatus();
  }
  absl::StatusOr<Plan> plan = ReadPlan(path);
  if (!plan.ok()) {
    spdlog::warn("stored plan ignored, the daemon will send it again: {}",
                 std::string(plan.status().message()));
    return absl::OkStatus();
  }
  if (plan->deployment != options_.deployment) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s is a plan of deployment \"%s\", this agent serves \"%s\"; give another --plan-file",
        path, plan->deployment, options_.deployment));
  }
  return hub_.Restore(*std::move(plan));
}

absl::Status Agent::Listen() {
  const std::string& path = options_.socket;
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(absl::StrFormat("--socket has %d bytes, must have 1 .. %d",
                                                      path.size(),
                                                      sizeof(sockaddr_un::sun_path) - 1));
  }
  if (Answers(path)) {
    return absl::UnavailableError(absl::StrFormat(
        "cannot listen on %s: another agent answers there; stop it or give another --socket",
        path));
  }
  intake_ = MakeIntakeService(&hub_, options_.deployment, options_.node);
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort(absl::StrCat("unix:", path), grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(intake_.get());
  // A socket of this machine needs no probing for its bandwidth, and steps fit the window whole.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
  builder.SetMaxReceiveMessageSize(
      64 << 20);  // a prompt of 16 k tokens of 60 layers x top-8, with room
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || bound == 0) {
    return absl::UnavailableError(absl::StrFormat(
        "cannot listen on %s; its folder must exist and be writable, or give another --socket",
        path));
  }
  return absl::OkStatus();
}

}  // namespace advisor::client
