#ifndef ADVISOR_CORE_BASE_CHECK_H_
#define ADVISOR_CORE_BASE_CHECK_H_

namespace advisor::internal {
// Prints "file:line: check failed: expression" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression);
}  // namespace advisor::internal

// Aborts in every build when `condition` is false. For bugs of this program only: what a peer, a
// file or a user sent is answered with a Status, never checked.
#define ADVISOR_CHECK(condition)                                        \
  do {                                                                  \
    if (!(condition)) {                                                 \
      ::advisor::internal::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                                   \
  } while (false)

#endif  // ADVISOR_CORE_BASE_CHECK_H_
