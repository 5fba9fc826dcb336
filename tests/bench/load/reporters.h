#ifndef ADVISOR_TESTS_BENCH_LOAD_REPORTERS_H_
#define ADVISOR_TESTS_BENCH_LOAD_REPORTERS_H_

#include <string>

#include "advisor/v1/report.pb.h"
#include "tests/bench/load/bench.h"

namespace advisor::bench {

inline constexpr int kBlockTokens = 512;  // one byte per count: a block is some 15 kB

// A frame of so many tokens of each of `domains` domains; the same for the same seed. Its sequence
// is for the sender to set.
v1::ReportRequest MakeFrame(int domains, uint64_t seed, int block_tokens = kBlockTokens);

// `next_seq` above 1: of an agent with a past, that is asked for its window. Sequences start again
// only with another incarnation.
v1::ReportRequest MakeHello(int reporter, uint64_t next_seq = 1, uint64_t incarnation = 1);

inline void SetSequence(uint64_t seq, v1::ReportRequest* request) {
  request->mutable_frame()->set_seq_first(seq);
  request->mutable_frame()->set_seq_last(seq);
  request->mutable_frame()->set_last_step(seq);
}

}  // namespace advisor::bench

#endif  // ADVISOR_TESTS_BENCH_LOAD_REPORTERS_H_
