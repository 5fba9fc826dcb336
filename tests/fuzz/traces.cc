// Trace files, plain and compressed: what is read is valid by the model in the header.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "core/io/trace.h"
#include "tests/fuzz/target.h"
#include "tests/support/files.h"
#include "tests/support/random_traffic.h"

namespace advisor::fuzz {
namespace {

std::string PathFor(bool compressed) {
  return absl::StrCat("/tmp/advisor-fuzz-", getpid(), compressed ? ".jsonl.gz" : ".jsonl");
}

}  // namespace

void Try(const std::string& input) {
  const bool compressed = !input.empty() && input[0] == '\x1f';
  const std::string path = PathFor(compressed);
  std::ofstream(path, std::ios::binary) << input;
  const absl::StatusOr<Traffic> traffic = ReadTrace(path);
  std::filesystem::remove(path);
  if (!traffic.ok()) {
    return;
  }
  for (const Request& request : traffic->requests) {
    Require(Validate(traffic->model, request).ok(), "an invalid request is read");
  }
}

std::vector<std::string> Seeds() {
  Rng rng(1);
  Traffic traffic = testing::RandomTraffic(testing::SmallModel(2, 8, 2), 4, 2, &rng);
  std::vector<std::string> seeds;
  for (const bool compressed : {false, true}) {
    const std::string path = PathFor(compressed);
    Require(WriteTrace(path, traffic).ok(), "a seed cannot be written");
    seeds.push_back(testing::ReadFile(path));
    std::filesystem::remove(path);
  }
  return seeds;
}

}  // namespace advisor::fuzz
