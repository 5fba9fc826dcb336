#ifndef ADVISOR_CLIENT_REPLAY_SEQUENCE_H_
#define ADVISOR_CLIENT_REPLAY_SEQUENCE_H_

#include <string>
#include <vector>

#include "core/model/request.h"

namespace advisor::client {

// The order in which a trace is played, each request once.
struct Sequence {
  std::vector<int> order;  // indices into Traffic::requests
  size_t second_half = 0;  // first position of the second half of the run
  // Domains that most of the first half is drawn from; empty: no shift.
  std::vector<std::string> first_mix;
  std::vector<std::string> second_mix;  // and of the second
};

// The trace's own order; with `shift`, reordered so that 9 of 10 requests of one half of the
// domains (by tokens) come in the first half of the run, and as many of the other half's in the
// second. Requests of one mix keep their order. A trace with fewer than two domains cannot shift.
Sequence MakeSequence(const Traffic& traffic, bool shift);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPLAY_SEQUENCE_H_
