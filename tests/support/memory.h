#ifndef ADVISOR_TESTS_SUPPORT_MEMORY_H_
#define ADVISOR_TESTS_SUPPORT_MEMORY_H_

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace advisor::testing {

// Resident memory of this process.
inline int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

// What bounds of resident memory are multiplied with. AddressSanitizer surrounds every block and
// holds freed ones back.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr int64_t kMemoryFactor = 3;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr int64_t kMemoryFactor = 3;
#else
inline constexpr int64_t kMemoryFactor = 1;
#endif
#else
inline constexpr int64_t kMemoryFactor = 1;
#endif

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_MEMORY_H_
