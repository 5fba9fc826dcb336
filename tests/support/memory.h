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

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_MEMORY_H_
