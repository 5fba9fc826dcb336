#include "server/runtime/commands.h"

#include <utility>

namespace advisor::server {

CommandId Commands::Add(Reply reply) {
  effect::CommandDone refused;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    refused.id = CommandId(++last_);
    if (closed_.ok()) {
      waiting_.emplace(refused.id, std::move(reply));
      return refused.id;
    }
    refused.status = closed_;
  }
  reply(refused);
  return refused.id;
}

void Commands::Done(const effect::CommandDone& done) {
  Reply reply;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = waiting_.find(done.id);
    if (found == waiting_.end()) {
      return;  // refused at Close() before
    }
    reply = std::move(found->second);
    waiting_.erase(found);
  }
  reply(done);
}

void Commands::Close(const absl::Status& status) {
  std::map<CommandId, Reply> waiting;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = status;
    waiting.swap(waiting_);
  }
  for (const auto& [id, reply] : waiting) {
    effect::CommandDone done;
    done.id = id;
    done.status = status;
    reply(done);
  }
}

}  // namespace advisor::server
