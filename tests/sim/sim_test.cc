// Seeded histories of a whole deployment. ADVISOR_SIM_SEED=N plays one seed; ADVISOR_SIM_SEEDS=N
// plays so many, from ADVISOR_SIM_FIRST on.
#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "tests/sim/world.h"

namespace advisor {
namespace {

uint64_t Variable(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::stoull(value);
}

TEST(SimTest, InvariantsHoldInEveryHistory) {
  const bool one = std::getenv("ADVISOR_SIM_SEED") != nullptr;
  const uint64_t first = Variable(one ? "ADVISOR_SIM_SEED" : "ADVISOR_SIM_FIRST", 1);
  const uint64_t seeds = one ? 1 : Variable("ADVISOR_SIM_SEEDS", 300);
  testing::World::Seen all;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE("ADVISOR_SIM_SEED=" + std::to_string(seed));
    testing::World world(seed);
    world.Run(300);
    if (HasFailure()) {
      return;
    }
    const testing::World::Seen& seen = world.seen();
    all.published += seen.published;
    all.committed += seen.committed;
    all.aborted += seen.aborted;
    all.daemon_restarts += seen.daemon_restarts;
    all.key_frames += seen.key_frames;
    all.windows += seen.windows;
    all.duplicates += seen.duplicates;
    all.quarantined += seen.quarantined;
    all.failed_writes += seen.failed_writes;
  }
  // The histories are worth their name: each of these happened.
  for (const int happened :
       {all.published, all.committed, all.aborted, all.daemon_restarts, all.key_frames, all.windows,
        all.duplicates, all.quarantined, all.failed_writes}) {
    EXPECT_TRUE(happened > 0 || seeds < 20);
  }
  RecordProperty("published", all.published);
  RecordProperty("committed", all.committed);
  RecordProperty("aborted", all.aborted);
  RecordProperty("daemon_restarts", all.daemon_restarts);
}

TEST(SimTest, TheSameSeedGivesTheSameHistory) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    testing::World first(seed), second(seed);
    first.Run(200);
    second.Run(200);
    ASSERT_EQ(first.Log(), second.Log()) << "ADVISOR_SIM_SEED=" << seed;
    EXPECT_FALSE(first.Log().empty());
  }
}

}  // namespace
}  // namespace advisor
