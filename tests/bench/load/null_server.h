#ifndef ADVISOR_TESTS_BENCH_LOAD_NULL_SERVER_H_
#define ADVISOR_TESTS_BENCH_LOAD_NULL_SERVER_H_

namespace advisor::bench {

// Serves until killed what the daemon serves, without doing anything: reports are parsed and
// acknowledged, a rollback sends the same 35 kB to every subscriber, encoded once, requests are
// parsed and placed on node 0. What the daemon takes beyond this is its own.
int ServeNull();

}  // namespace advisor::bench

#endif  // ADVISOR_TESTS_BENCH_LOAD_NULL_SERVER_H_
