#include "core/engine/journal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/session/errors.h"

namespace advisor {

void Journal::Decide(const Verdict& verdict, Position position, Turn& turn) {
  Record(verdict, position, turn.now);
  const bool published = IsPublish(verdict.reason);
  Log(!published,
      absl::StrCat(published ? "published " + ToString(position) : "kept the plan", ", reason ",
                   ToString(verdict.reason), ": ", verdict.detail),
      turn);
}

void Journal::Wait(const Verdict& verdict, Turn& turn) {
  if (verdict.reason == waiting_for_) {
    return;
  }
  waiting_for_ = verdict.reason;
  Record(verdict, {}, turn.now);
  Log(false, absl::StrCat("waiting, reason ", ToString(verdict.reason), ": ", verdict.detail),
      turn);
}

void Journal::Record(const Verdict& verdict, Position position, absl::Time now) {
  ++counters.decisions[verdict.reason];
  decisions_.push_front({verdict.reason, verdict.detail, now, position});
  if (decisions_.size() > kKept) {
    decisions_.pop_back();
  }
}

void Journal::Log(bool warning, std::string text, Turn& turn) const {
  turn.effects.push_back(effect::Log{warning, deployment_, std::move(text)});
}

}  // namespace advisor
