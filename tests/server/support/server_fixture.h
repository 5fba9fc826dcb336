#ifndef ADVISOR_TESTS_SERVER_SUPPORT_SERVER_FIXTURE_H_
#define ADVISOR_TESTS_SERVER_SUPPORT_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/convert/limits.h"
#include "server/server.h"
#include "tests/server/support/temporary_folder.h"
#include "tests/support/status_matchers.h"

namespace advisor::testing {

// A server in this process on free ports of loopback, with its store in a fresh folder.
class ServerFixture : public ::testing::Test {
 protected:
  // Options for these deployments.
  server::ServerOptions Options(server::Machine machine, std::vector<Deployment> deployments) {
    server::ServerOptions options;
    options.config.listen = "127.0.0.1:0";
    options.config.http = "127.0.0.1:0";
    options.config.store = folder_ / "store.db";
    options.config.solver_threads = 1;
    options.config.drain_seconds = 30;
    for (Deployment& deployment : deployments) {
      options.deployments.push_back({std::move(deployment), {}});
    }
    options.machine = std::move(machine);
    return options;
  }
  void Start(server::ServerOptions options) {
    absl::StatusOr<std::unique_ptr<server::Server>> started =
        server::Server::Start(std::move(options));
    ASSERT_THAT(started, IsOk());
    server_ = *std::move(started);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
    channel_ = grpc::CreateCustomChannel(server_->grpc_address(),
                                         grpc::InsecureChannelCredentials(), arguments);
  }
  // A call's context with a deadline that only a hanging test reaches.
  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return context;
  }

  TemporaryFolder folder_;
  std::unique_ptr<server::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Matches a grpc::Status.
MATCHER_P2(GrpcStatusIs, code, message, "") {
  *result_listener << arg.error_code() << ": " << arg.error_message();
  return arg.error_code() == code &&
         ::testing::ExplainMatchResult(message, arg.error_message(), result_listener);
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SERVER_SUPPORT_SERVER_FIXTURE_H_
