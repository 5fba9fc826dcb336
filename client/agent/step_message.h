#ifndef ADVISOR_CLIENT_AGENT_STEP_MESSAGE_H_
#define ADVISOR_CLIENT_AGENT_STEP_MESSAGE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "advisor/v1/intake.pb.h"
#include "client/agent/step.h"

namespace advisor::client {

// Views RecordRequests as Steps. Keeps its memory, so that a steady stream of like messages
// allocates nothing.
class StepReader {
 public:
  // The step points into `request` and this reader until the next call; counts are moved out of it.
  // INVALID_ARGUMENT: too many blocks, a phase that is none, a block without tokens' experts or
  // counts.
  absl::StatusOr<Step> Read(v1::RecordRequest* request);

 private:
  std::vector<StepBlock> blocks_;
  std::vector<RequestRows> rows_;
  std::vector<EncodedCounts> counts_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_STEP_MESSAGE_H_
