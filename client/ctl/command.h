#ifndef ADVISOR_CLIENT_CTL_COMMAND_H_
#define ADVISOR_CLIENT_CTL_COMMAND_H_

#include <functional>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace advisor::client {

// What the command line asks for: set by the subcommand that was named, run after parsing. Its
// error, one line, is why advisorctl exits with 1.
using Action = std::function<absl::Status()>;

// One function per command, in the file of that name.
void AddSolve(CLI::App& app, Action* action);
void AddAssign(CLI::App& app, Action* action);
void AddEvaluate(CLI::App& app, Action* action);
void AddCompare(CLI::App& app, Action* action);
void AddExplain(CLI::App& app, Action* action);  // online too
void AddFrontier(CLI::App& app, Action* action);
void AddCharacterize(CLI::App& app, Action* action);
void AddInit(CLI::App& app, Action* action);
void AddSynth(CLI::App& app, Action* action);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_COMMAND_H_
