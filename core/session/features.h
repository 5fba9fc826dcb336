#ifndef ADVISOR_CORE_SESSION_FEATURES_H_
#define ADVISOR_CORE_SESSION_FEATURES_H_

namespace advisor {

// Optional abilities that the two ends of a stream agree on when it opens: what both have is used.
// Their names on the wire are listed in report.proto and plan.proto.
struct Features {
  bool samples = false;          // whole tokens beside the counts
  bool delta_placement = false;  // placements as the difference to one that is held

  friend bool operator==(const Features&, const Features&) = default;
};

constexpr Features operator&(const Features& a, const Features& b) {
  return {a.samples && b.samples, a.delta_placement && b.delta_placement};
}

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_FEATURES_H_
