#ifndef ADVISOR_SERVER_RUNTIME_COMMANDS_H_
#define ADVISOR_SERVER_RUNTIME_COMMANDS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "core/engine/effect.h"

namespace advisor::server {

// Operators' commands that wait for the engine's answer. Thread-safe.
class Commands {
 public:
  using Reply = std::function<void(const effect::CommandDone&)>;

  // The identity to post the command under; `reply` is called exactly once, without the lock.
  CommandId Add(Reply reply);
  // The engine has answered, or the command could not be posted.
  void Done(const effect::CommandDone& done);
  // Answers all that wait and refuses later ones at once.
  void Close(const absl::Status& status);

 private:
  std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<CommandId, Reply> waiting_;
  absl::Status closed_;  // not OK once closed
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_COMMANDS_H_
