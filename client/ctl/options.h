#ifndef ADVISOR_CLIENT_CTL_OPTIONS_H_
#define ADVISOR_CLIENT_CTL_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/cost/evaluate.h"
#include "core/model/phase.h"
#include "core/solver/solver.h"

namespace CLI {
class App;
}

namespace advisor::client {

// Options that several commands share. Their text is checked while parsing, so that wrong text is
// wrong usage; the conversions beside them take checked text.
void AddPhaseOption(CLI::App* command, const std::string& help, std::string* text);
PhaseFilter PhaseOf(const std::string& text);

void AddDispatchOption(CLI::App* command, std::string* text);
Dispatch DispatchOf(const std::string& text);

// "none", seconds, or a duration such as 500ms or 2m.
void AddTimeLimitOption(CLI::App* command, std::string* text);
absl::Duration TimeLimitOf(const std::string& text);

void AddJsonFlag(CLI::App* command, bool* json);
void AddThreadsOption(CLI::App* command, int* threads);

// What steers a solve: load caps, objective, effort, seed.
struct SolveFlags {
  SolveParams params;
  std::string objective = "internode_bytes";
  std::string effort = "standard";
  std::string dispatch = "table";
  SolveParams ToParams() const;  // without method and phase
};
void AddSolveFlags(CLI::App* command, SolveFlags* flags);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_OPTIONS_H_
