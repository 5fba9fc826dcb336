#ifndef ADVISOR_CLIENT_REPLAY_ROUTER_H_
#define ADVISOR_CLIENT_REPLAY_ROUTER_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/ids.h"
#include "core/model/request.h"

namespace advisor::client {

// Asks the daemon's GroupingService where requests should run, from their prompts alone.
class Router {
 public:
  Router(std::string deployment, std::string server, const std::shared_ptr<grpc::Channel>& channel);
  ~Router();

  struct Answer {
    NodeId node;
    bool grouped = false;  // by a grouping; false: dealt round-robin
  };
  absl::StatusOr<Answer> Assign(const ModelSpec& model, const Request& request);
  // Requests that have ended. A failure costs only the daemon's view of load.
  void Release(const std::vector<std::string>& request_ids);

 private:
  struct Stub;
  const std::string deployment_, server_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPLAY_ROUTER_H_
