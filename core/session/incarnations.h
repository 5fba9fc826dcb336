#ifndef ADVISOR_CORE_SESSION_INCARNATIONS_H_
#define ADVISOR_CORE_SESSION_INCARNATIONS_H_

#include <algorithm>
#include <optional>
#include <vector>

#include "core/session/messages.h"

namespace advisor {

// Which process of a peer counts: the newest accepted one. The last few before it are refused, so
// that a process that was replaced but lives on cannot take its place back.
class Incarnations {
 public:
  enum class Verdict { kNew, kCurrent, kRetired };

  Verdict Judge(const Incarnation& incarnation) const {
    if (current_ == incarnation) {
      return Verdict::kCurrent;
    }
    return std::find(retired_.begin(), retired_.end(), incarnation) == retired_.end()
               ? Verdict::kNew
               : Verdict::kRetired;
  }

  // Retires the current one in favour of `incarnation`.
  void Accept(const Incarnation& incarnation) {
    if (current_.has_value() && *current_ != incarnation) {
      retired_.push_back(*current_);
      if (retired_.size() > kKept) {
        retired_.erase(retired_.begin());
      }
    }
    current_ = incarnation;
  }

 private:
  static constexpr size_t kKept = 8;
  std::optional<Incarnation> current_;
  std::vector<Incarnation> retired_;  // oldest first
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_INCARNATIONS_H_
