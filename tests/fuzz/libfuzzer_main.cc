// A target as libFuzzer drives it. ADVISOR_FUZZ_SEEDS=FOLDER: its seeds are written there first.
#include <fstream>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* folder = std::getenv("ADVISOR_FUZZ_SEEDS")) {
    int number = 0;
    for (const std::string& seed : advisor::fuzz::Seeds()) {
      std::ofstream(std::string(folder) + "/seed-" + std::to_string(++number), std::ios::binary)
          << seed;
    }
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  advisor::fuzz::Try(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
