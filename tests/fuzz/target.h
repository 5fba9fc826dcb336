#ifndef ADVISOR_TESTS_FUZZ_TARGET_H_
#define ADVISOR_TESTS_FUZZ_TARGET_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace advisor::fuzz {

// What every target file defines. One input: must not crash, hang or break what it checks, whatever
// the bytes.
void Try(const std::string& input);
// Inputs that reach deep, to start from.
std::vector<std::string> Seeds();

// A promise was broken: ends the program, as a crash does, so that fuzzers keep the input.
inline void Require(bool holds, const std::string& what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what.c_str());
    std::abort();
  }
}

// An input as a source of choices; zeros once it is used up.
class Choices {
 public:
  explicit Choices(const std::string& input) : input_(input) {}
  bool empty() const { return at_ >= input_.size(); }
  uint8_t Next() { return empty() ? 0 : static_cast<uint8_t>(input_[at_++]); }
  uint8_t Below(uint8_t limit) { return static_cast<uint8_t>(Next() % limit); }
  bool Flag() { return (Next() & 1) != 0; }

 private:
  const std::string& input_;
  size_t at_ = 0;
};

}  // namespace advisor::fuzz

#endif  // ADVISOR_TESTS_FUZZ_TARGET_H_
