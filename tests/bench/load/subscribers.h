#ifndef ADVISOR_TESTS_BENCH_LOAD_SUBSCRIBERS_H_
#define ADVISOR_TESTS_BENCH_LOAD_SUBSCRIBERS_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/load/bench.h"

namespace advisor::bench {

// Observers on their streams, that acknowledge every placement as RECEIVED.
class Subscribers {
 public:
  // Opens `count` streams, `per_connection` on each connection, and waits until all were answered.
  // `prefix` keeps their names apart from other sets'.
  Subscribers(const std::string& address, int count, int per_connection, const std::string& prefix);
  ~Subscribers();
  Subscribers(const Subscribers&) = delete;
  Subscribers& operator=(const Subscribers&) = delete;

  // Makes the server push a placement; seconds until each has it, none left out.
  std::vector<double> Push();

 private:
  class Stream;
  struct Shared;
  const std::string address_;
  std::unique_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

// Subscribes so many, says so on standard output, and holds them until the program is ended: a
// fleet that can be stopped by a signal.
int HoldSubscribers(const std::string& address, int count);

}  // namespace advisor::bench

#endif  // ADVISOR_TESTS_BENCH_LOAD_SUBSCRIBERS_H_
