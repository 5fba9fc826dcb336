#ifndef ADVISOR_SERVER_SERVICES_ASSIGNERS_H_
#define ADVISOR_SERVER_SERVICES_ASSIGNERS_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"
#include "core/model/deployment.h"
#include "core/model/plan.h"

namespace advisor::server {

struct AssignedNode {
  Choice choice;
  bool sticky = false;
  struct Ranked {
    Choice choice;
    std::string name;
    double load = 0;  // booked tokens over the node's share of all
  };
  std::vector<Ranked> ranked;            // cheapest first
  std::optional<Microbatch> microbatch;  // unset where the deployment asks for none
  Position grouping;
};

// Where requests of one deployment run: an Assigner over the grouping in use, and the nodes that
// live requests were given before. Thread-safe.
class DeploymentAssigner {
 public:
  DeploymentAssigner(const Deployment& deployment, size_t kept_requests);

  const ModelSpec& model() const { return model_; }
  // From now on by this plan's grouping. Live requests keep their nodes, unless the nodes changed.
  void Use(std::shared_ptr<const Plan> plan, Position grouping);
  AssignedNode Assign(const std::string& request_id, const Prompt& prompt);
  // False: not known.
  bool Release(const std::string& request_id);

 private:
  struct Live {
    NodeId node;
    std::optional<Microbatch> microbatch;
    double decode_tokens = 0;           // as booked
    std::list<uint64_t>::iterator age;  // in ages_
  };
  void UseMicrobatches(const Grouping& grouping);
  void Forget(uint64_t key);

  const ModelSpec model_;
  const size_t kept_requests_;
  std::mutex mutex_;
  Topology topology_;                 // guarded by mutex_, like all below
  std::shared_ptr<const Plan> plan_;  // never null; its grouping may be empty
  Position grouping_;
  std::unique_ptr<Assigner> assigner_;
  std::unique_ptr<Microbatcher> microbatcher_;  // null: requests are not split
  // By a 64-bit hash of the request id: two ids of one hash would share a node, which is harmless.
  absl::flat_hash_map<uint64_t, Live> live_;
  std::list<uint64_t> ages_;  // keys of live_, oldest first
};

// The assigners of all deployments, by name. Deployments are added before it is shared.
class Assigners {
 public:
  // At most so many requests are remembered per deployment; the oldest are forgotten first.
  static constexpr size_t kKeptRequests = 1'000'000;

  void Add(const Deployment& deployment);
  // Null: no such deployment.
  DeploymentAssigner* Find(const std::string& deployment) const;

 private:
  std::map<std::string, std::unique_ptr<DeploymentAssigner>> assigners_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_ASSIGNERS_H_
