#ifndef ADVISOR_CLIENT_REPLAY_REPORT_H_
#define ADVISOR_CLIENT_REPLAY_REPORT_H_

#include <string>

#include "advisor/v1/admin.pb.h"
#include "client/replay/replay.h"

namespace advisor::client {

// What to say of where the routing comes from: synthetic traces are called so; of real ones that
// say nothing of phases it is said that the split into prompt and decode is a stand-in.
std::string SourceNote(const std::string& source);

// The tables of a run: figures per part of the run beside the baseline and the prediction, then
// every plan.
std::string ReplayText(const ReplayResult& result, const v1::ListPlansResponse& plans);

// The same as one JSON object.
std::string ReplayJson(const ReplayResult& result, const v1::ListPlansResponse& plans,
                       const std::string& source);

// "warm-up, initial placement", "plan 1.1", "mix shifted, plan 1.1", "recovery, plan 1.2".
std::string PartName(const ReplayResult& result, size_t part);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPLAY_REPORT_H_
