#ifndef ADVISOR_SERVER_SERVER_H_
#define ADVISOR_SERVER_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config.h"
#include "server/runtime/clock.h"
#include "server/runtime/engine_loop.h"
#include "server/runtime/solver_worker.h"

namespace advisor::server {

struct ServerOptions {
  DaemonConfig config;
  std::vector<ConfiguredDeployment> deployments;
  bool allow_insecure = false;  // listen off loopback without TLS
  Machine machine;              // the engine
  SolveFunction solve = RunSolve;
  const Clock* clock = &SystemClock();
};

// core/engine's Engine.
Machine MakeEngineMachine();

// The daemon: store, engine, solver, gRPC and HTTP, wired together.
//
// Threads: gRPC's and HTTP's convert and post; one owns the engine and carries out its effects; one
// solves, over a pool; one writes the store. None waits for another but for bounded answers.
class Server {
 public:
  // Serving when returned. Errors: the addresses or the store cannot be used; FAILED_PRECONDITION:
  // a gRPC address off loopback without TLS or allow_insecure.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options);
  ~Server();  // Drain()

  // As configured, with the port that was chosen.
  const std::string& grpc_address() const;
  const std::string& http_address() const;

  // Stops in this order: health says NOT_SERVING and new calls are refused; open streams end with
  // UNAVAILABLE; the engine takes nothing new; the solver is cancelled and joined; the engine works
  // off what waits and is joined; commands without an answer end with UNAVAILABLE; the store writes
  // what it has; gRPC is shut down with the configured deadline; HTTP last. Idempotent.
  void Drain();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVER_H_
