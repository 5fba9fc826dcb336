#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/engine/engine.h"
#include "core/session/awake.h"
#include "proto/convert/limits.h"
#include "server/access/door.h"
#include "server/access/tls.h"
#include "server/observe/http_server.h"
#include "server/observe/log.h"
#include "server/observe/routes.h"
#include "server/runtime/commands.h"
#include "server/runtime/stream_table.h"
#include "server/runtime/task_thread.h"
#include "server/services/admin_service.h"
#include "server/services/assigners.h"
#include "server/services/errors.h"
#include "server/services/grouping_service.h"
#include "server/services/plan_service.h"
#include "server/services/report_service.h"
#include "server/store/sqlite_store.h"
#include "server/store/store_writer.h"
#include "server/version.h"

namespace advisor::server {
namespace {

// Names in gRPC health, besides "" for the whole daemon.
constexpr const char* kServiceNames[] = {"advisor.v1.ReportService", "advisor.v1.PlanService",
                                         "advisor.v1.GroupingService", "advisor.v1.AdminService"};

// In gRPC health: whether plans can be written, and so published. The daemon serves either way.
constexpr char kStoreHealth[] = "advisor.v1.PlanStore";

int Cores() { return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1); }

std::map<std::string, absl::Duration> MinIntervals(
    const std::vector<ConfiguredDeployment>& deployments) {
  std::map<std::string, absl::Duration> intervals;
  for (const ConfiguredDeployment& deployment : deployments) {
    intervals[deployment.deployment.name] = deployment.options.session.min_report_interval;
  }
  return intervals;
}

// `address` with its port replaced; unix sockets have none.
std::string WithPort(const std::string& address, int port) {
  const size_t colon = address.rfind(':');
  return colon == std::string::npos || absl::StartsWith(address, "unix:")
             ? address
             : absl::StrCat(address.substr(0, colon + 1), port);
}

}  // namespace

Machine MakeEngineMachine() {
  auto engine = std::make_shared<Engine>();
  return {[engine](Event event, absl::Time now) { return engine->Step(std::move(event), now); },
          [engine] { return engine->Status(); }};
}

// Members are destroyed from the last to the first: who calls another comes after it.
struct Server::Parts {
  Parts(ServerOptions options, std::unique_ptr<PlanStore> plan_store);

  void CarryOut(Effect effect);
  void Carry(effect::SendReporter& e);
  void Carry(effect::SendSubscriber& e) { publisher.Send(e.stream, e.message); }
  void Carry(effect::EndStream& e);
  void Carry(effect::StartSolve& e) { solver.Start(std::move(e)); }
  void Carry(effect::CancelSolve& e) { solver.Cancel(e.ticket); }
  void Carry(effect::StorePlan& e) { store.Write(std::move(e)); }
  void Carry(effect::StoreState& e) { store.Write(std::move(e)); }
  void Carry(effect::UseGrouping& e);
  void Carry(effect::CommandDone& e) { commands.Done(e); }
  void Carry(effect::Log& e) {
    Log(e.warning ? LogLevel::kWarning : LogLevel::kInfo, e.deployment, e.text);
  }
  void OnTick(absl::Time now);

  void AddDeployments(uint64_t epoch, std::vector<LoadedDeployment> loaded);
  // On the store's thread: the newest plans are served meanwhile.
  void LoadOlderPlans();
  void NoteDamages(const std::string& deployment, const std::vector<std::string>& damages);
  absl::Status StartGrpc();
  absl::Status StartHttp();
  void SetServing(bool serving);
  RuntimeStatus Runtime() const;
  void Drain();

  const DaemonConfig config;
  const std::vector<ConfiguredDeployment> deployments;
  const Clock& clock;
  const absl::Time started = clock.Now();
  const int64_t started_unix_ms = clock.UnixMillis();
  std::atomic<bool> draining{false};
  std::atomic<uint64_t> damaged_records{0};
  bool store_serving = true;  // as gRPC health says; of the engine's thread
  Awake awake;                // likewise
  StreamIds ids;
  const AccessPolicy policy;
  Admission admission;
  StreamTable<ReporterStream> reporters;
  SubscriberPublisher publisher;
  Commands commands;
  Assigners assigners;
  TaskThread readers;
  EngineLoop loop;
  StoreWriter store;
  SolverWorker solver;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::unique_ptr<grpc::Server> grpc_server;
  std::unique_ptr<HttpServer> http_server;
  std::string grpc_address, http_address;
  std::once_flag drained;
};

Server::Parts::Parts(ServerOptions options, std::unique_ptr<PlanStore> plan_store)
    : config(std::move(options.config)),
      deployments(std::move(options.deployments)),
      clock(*options.clock),
      policy(config.tls.enabled(), config.access),
      admission(config.limits, Cores(), clock),
      reporters(config.max_streams),
      publisher(EncodeSubscribeResponse, config.max_streams),
      loop(
          std::move(options.machine), clock, [this](Effect e) { CarryOut(std::move(e)); },
          [this](absl::Time now) { OnTick(now); }, EngineLoopOptions{}),
      store(
          std::move(plan_store), clock, [this](event::PlanStored e) { loop.Post(std::move(e)); },
          [](const std::string& deployment, const absl::Status& status) {
            Log(LogLevel::kError, deployment,
                absl::StrCat("mode or freeze could not be stored: ",
                             std::string(status.message())));
          }),
      solver(
          config.solver_threads > 0 ? config.solver_threads : Cores(), std::move(options.solve),
          [this](event::SolveDone e) { loop.Post(std::move(e)); }, clock) {}

void Server::Parts::CarryOut(Effect effect) {
  std::visit([this](auto& e) { Carry(e); }, effect);
}

void Server::Parts::Carry(effect::SendReporter& e) {
  if (const auto stream = reporters.Find(e.stream)) {
    stream->Send(e.message);
  }
}

void Server::Parts::Carry(effect::EndStream& e) {
  if (const auto stream = reporters.Find(e.stream)) {
    stream->End(e.status);
  }
  publisher.End(e.stream, e.status);  // no effect on a reporter's: identities are unique
}

void Server::Parts::Carry(effect::UseGrouping& e) {
  if (DeploymentAssigner* assigner = assigners.Find(e.deployment)) {
    assigner->Use(std::move(e.plan), e.grouping);
  }
}

void Server::Parts::OnTick(absl::Time now) {
  admission.Tick(now);
  if (const bool writable = store.counters().last_error.empty(); writable != store_serving) {
    store_serving = writable;
    grpc_server->GetHealthCheckService()->SetServingStatus(kStoreHealth, writable);
    Log(writable ? LogLevel::kInfo : LogLevel::kError, "",
        writable ? "the store can be written again"
                 : absl::StrCat("nothing can be published: ", store.counters().last_error));
  }
  // While this daemon did not run it could not see that a write was done.
  const absl::Duration stall = absl::Seconds(config.write_stall_seconds);
  if (now - awake.Tick(now, stall) < stall) {
    return;
  }
  const int ended = publisher.EndStalled(
      now - stall, absl::ResourceExhaustedError(absl::StrCat(
                       "SLOW_CONSUMER: an update was not read within ", config.write_stall_seconds,
                       " s (write_stall_s); subscribe again")));
  if (ended > 0) {
    Log(LogLevel::kWarning, "",
        absl::StrCat(ended, " of ", publisher.streams().size(),
                     " subscribers did not read for more than ", config.write_stall_seconds,
                     " s (write_stall_s): streams ended"));
  }
}

void Server::Parts::AddDeployments(uint64_t epoch, std::vector<LoadedDeployment> loaded) {
  loop.Post(event::Start{epoch});
  for (size_t i = 0; i < deployments.size(); ++i) {
    const ConfiguredDeployment& configured = deployments[i];
    NoteDamages(configured.deployment.name, loaded[i].damages);
    assigners.Add(configured.deployment);
    loop.Post(event::AddDeployment{configured.deployment, configured.options,
                                   std::move(loaded[i].stored)});
  }
}

void Server::Parts::LoadOlderPlans() {
  for (const ConfiguredDeployment& configured : deployments) {
    const std::string& name = configured.deployment.name;
    store.LoadOlder(name, [this, name](LoadedDeployment older) {
      NoteDamages(name, older.damages);
      if (!older.stored.records.empty()) {
        loop.Post(event::OlderPlans{name, std::move(older.stored.records)});
      }
    });
  }
}

void Server::Parts::NoteDamages(const std::string& deployment,
                                const std::vector<std::string>& damages) {
  damaged_records += damages.size();
  for (const std::string& damage : damages) {
    Log(LogLevel::kError, deployment, absl::StrCat("store: ", damage));
  }
}

absl::Status Server::Parts::StartGrpc() {
  grpc::EnableDefaultHealthCheckService(true);
  if (IsLocal(config.listen) || config.reflection_off_loopback) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  }
  const Door door{policy, admission};
  services.push_back(
      MakeReportService({loop, clock, ids, door, MinIntervals(deployments), reporters, draining}));
  services.push_back(MakePlanService({loop, clock, ids, door, publisher, draining}));
  services.push_back(MakeGroupingService(assigners, door, draining));
  services.push_back(MakeAdminService({loop, clock, commands, door, readers, draining, started}));
  grpc::ServerBuilder builder;
  int port = 0;
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                   MakeCredentials(config.tls));
  builder.AddListeningPort(config.listen, credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else two daemons share a port
  // A peer that vanished without a word is noticed, and its stream closed.
  const LimitOptions& limits = config.limits;
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             limits.hello_timeout_seconds * 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, limits.keepalive_seconds * 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             limits.keepalive_timeout_seconds * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, limits.connection_age_seconds * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             limits.connection_grace_seconds * 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.streams_per_connection);
  if (limits.transport_megabytes > 0) {
    builder.SetResourceQuota(
        grpc::ResourceQuota("advisord").Resize(size_t(limits.transport_megabytes) << 20));
  }
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(kMaxResponseBytes);
  for (const auto& service : services) {
    builder.RegisterService(service.get());
  }
  grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", config.listen,
        ": the address is taken or not of this machine; stop what has it or choose another with "
        "--listen"));
  }
  grpc_address = WithPort(config.listen, port);
  return absl::OkStatus();
}

absl::Status Server::Parts::StartHttp() {
  const Observed observed = {[this] { return loop.Status(); }, [this] { return Runtime(); }};
  ASSIGN_OR_RETURN(http_server, HttpServer::Start(config.http, [observed](const std::string& path) {
                     return Route(observed, path);
                   }));
  http_address = WithPort(config.http, http_server->port());
  return absl::OkStatus();
}

void Server::Parts::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = grpc_server->GetHealthCheckService();
  health->SetServingStatus(serving);
  health->SetServingStatus(kStoreHealth, serving);
  for (const char* name : kServiceNames) {
    health->SetServingStatus(name, serving);
  }
}

RuntimeStatus Server::Parts::Runtime() const {
  RuntimeStatus runtime;
  runtime.version = kVersion;
  runtime.now = clock.Now();
  runtime.uptime_s = absl::ToDoubleSeconds(runtime.now - started);
  runtime.started_unix_ms = started_unix_ms;
  runtime.draining = draining;
  runtime.refused = loop.refused();
  const Admission::Counters refused = admission.counters();
  runtime.streams_too_fast = refused.too_fast;
  runtime.streams_too_many = refused.too_many;
  runtime.streams_without_hello = refused.no_hello;
  runtime.frames_too_fast = refused.frames_too_fast;
  const StoreCounters counters = store.counters();
  runtime.store_writes = counters.writes;
  runtime.store_failures = counters.failures;
  runtime.store_error = counters.last_error;
  runtime.store_write_seconds = counters.seconds;
  runtime.store_damaged_records = damaged_records;
  runtime.solve_seconds = solver.seconds();
  runtime.report_streams = reporters.size();
  runtime.subscribe_streams = publisher.streams().size();
  return runtime;
}

void Server::Parts::Drain() {
  std::call_once(drained, [this] {
    draining = true;
    if (grpc_server != nullptr) {
      SetServing(false);
    }
    for (const auto& stream : reporters.All()) {
      stream->End(DrainingError());
    }
    publisher.EndAll(DrainingError());
    loop.Close();
    solver.Stop();
    loop.Stop();
    commands.Close(DrainingError());
    readers.Stop();
    store.Stop();
    if (grpc_server != nullptr) {
      grpc_server->Shutdown(std::chrono::system_clock::now() +
                            std::chrono::seconds(config.drain_seconds));
      grpc_server.reset();
    }
    http_server.reset();
  });
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options) {
  if (!IsLocal(options.config.listen) && !options.config.tls.enabled() && !options.allow_insecure) {
    return absl::FailedPreconditionError(
        absl::StrCat("will not listen on ", options.config.listen,
                     " without TLS: anyone on the network could report and roll back; configure "
                     "`tls`, bind to loopback or a unix socket, or give --allow-insecure"));
  }
  int kept_plans = 1;
  for (const ConfiguredDeployment& deployment : options.deployments) {
    kept_plans = std::max(kept_plans, deployment.options.session.kept_plans);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteStore> store,
                   SqliteStore::Open(options.config.store, kept_plans));
  ASSIGN_OR_RETURN(const uint64_t epoch, store->BeginEpoch());
  std::vector<LoadedDeployment> loaded;
  for (const ConfiguredDeployment& deployment : options.deployments) {
    ASSIGN_OR_RETURN(LoadedDeployment one, store->Load(deployment.deployment.name));
    loaded.push_back(std::move(one));
  }
  auto parts = std::make_unique<Parts>(std::move(options), std::move(store));
  parts->AddDeployments(epoch, std::move(loaded));
  absl::Status status = parts->StartHttp();
  if (status.ok()) {
    status = parts->StartGrpc();
  }
  if (!status.ok()) {
    parts->Drain();
    return status;
  }
  parts->LoadOlderPlans();  // before the loop asks for a write
  parts->loop.Start();      // last: a daemon that cannot listen decides nothing and logs nothing
  parts->SetServing(true);
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { Drain(); }
const std::string& Server::grpc_address() const { return parts_->grpc_address; }
const std::string& Server::http_address() const { return parts_->http_address; }
void Server::Drain() { parts_->Drain(); }

}  // namespace advisor::server
