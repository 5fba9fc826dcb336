// Seeded histories of a whole deployment. ADVISOR_SIM_SEED=N plays one seed; ADVISOR_SIM_SEEDS=N
// plays so many of each kind, from ADVISOR_SIM_FIRST on (scripts/deep plays more).
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/sim/planted_bugs.h"
#include "tests/sim/world.h"

namespace advisor {
namespace {

using testing::Faults;
using ::testing::IsEmpty;
using testing::World;

uint64_t Variable(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::stoull(value);
}

Faults Calm() {
  Faults none;
  none.daemon_killed = none.store_fails = none.store_hangs = none.streams_cut = none.agent_killed =
      none.subscriber_stuck = none.frame_lost = none.frame_doubled = none.window_lost =
          none.operator_acts = 0;
  return none;
}

void Add(const World::Seen& seen, World::Seen* all) {
  all->published += seen.published;
  all->committed += seen.committed;
  all->aborted += seen.aborted;
  all->daemon_restarts += seen.daemon_restarts;
  all->key_frames += seen.key_frames;
  all->windows += seen.windows;
  all->duplicates += seen.duplicates;
  all->quarantined += seen.quarantined;
  all->failed_writes += seen.failed_writes;
  all->clogs += seen.clogs;
}

class SimTest : public ::testing::Test {
 protected:
  // Plays `seeds` histories under these faults; none may break a promise.
  World::Seen Play(const Faults& faults, uint64_t seeds, int ticks = 300) {
    const bool one = std::getenv("ADVISOR_SIM_SEED") != nullptr;
    const uint64_t first = Variable(one ? "ADVISOR_SIM_SEED" : "ADVISOR_SIM_FIRST", 1);
    seeds_ = one ? 1 : Variable("ADVISOR_SIM_SEEDS", seeds);
    World::Seen all;
    for (uint64_t seed = first; seed < first + seeds_; ++seed) {
      World world(seed, faults);
      world.Run(ticks);
      EXPECT_THAT(world.Violations(), IsEmpty()) << "ADVISOR_SIM_SEED=" << seed;
      if (HasFailure()) {
        break;
      }
      Add(world.seen(), &all);
    }
    RecordProperty("histories", static_cast<int>(seeds_));
    RecordProperty("published", all.published);
    RecordProperty("committed", all.committed);
    RecordProperty("daemon_restarts", all.daemon_restarts);
    return all;
  }
  // A history is worth its name when things happened in it; a single seed need not show all.
  void ExpectHappened(std::vector<int> counts) const {
    for (const int count : counts) {
      EXPECT_TRUE(count > 0 || seeds_ < 20);
    }
  }

  uint64_t seeds_ = 0;
};

TEST_F(SimTest, InvariantsHoldInEveryHistory) {
  const World::Seen all = Play({}, 200);
  ExpectHappened({all.published, all.committed, all.aborted, all.daemon_restarts, all.key_frames,
                  all.windows, all.duplicates, all.quarantined, all.failed_writes});
}

// Killed before a write, after it, and between two messages of one push.
TEST_F(SimTest, AKilledDaemonServesTheLastPlanAgain) {
  Faults faults = Calm();
  faults.daemon_killed = 60;
  faults.daemon_killed_inside = 30;
  faults.store_hangs = 15;
  const World::Seen all = Play(faults, 60);
  ExpectHappened({all.daemon_restarts, all.committed, all.windows});
}

// Each agent dies about once in ten seconds.
TEST_F(SimTest, CrashingAgentsCountNothingTwice) {
  Faults faults = Calm();
  faults.agent_killed = 100;
  const World::Seen all = Play(faults, 40);
  ExpectHappened({all.committed, all.published});
}

TEST_F(SimTest, FramesLostDoubledAndReorderedAreCountedOnce) {
  Faults faults = Calm();
  faults.frame_lost = 8;
  faults.frame_doubled = 5;
  faults.streams_cut = 60;
  const World::Seen all = Play(faults, 40);
  ExpectHappened({all.duplicates, all.key_frames});
}

TEST_F(SimTest, SwizzledLinksHealToOnePlacement) {
  Faults faults = Calm();
  faults.links_clogged = 6;
  const World::Seen all = Play(faults, 60);
  ExpectHappened({all.clogs, all.committed});
}

TEST_F(SimTest, LostDecisionsAreSentAgainUntilAllHaveSwitched) {
  Faults faults = Calm();
  faults.decision_lost = 2;
  const World::Seen all = Play(faults, 40);
  ExpectHappened({all.committed});
}

// A minute without links is five leases here: counts leave the windows and come back as sums.
TEST_F(SimTest, APartitionOfAMinuteLosesNoStep) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    World world(seed, Calm());
    world.Run(50);
    world.Partition(600);
    world.Settle();
    EXPECT_THAT(world.Violations(), IsEmpty()) << "seed " << seed;
  }
}

TEST_F(SimTest, TheSameSeedGivesTheSameHistory) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    World first(seed, {}), second(seed, {});
    first.Run(200);
    second.Run(200);
    ASSERT_EQ(first.Log(), second.Log()) << "seed " << seed;
    EXPECT_FALSE(first.Log().empty());
  }
}

// Every mistake must show as what it is within a few histories.
struct Planted {
  const char* name;
  World::Step step;
  const char* shows_as;
};

class PlantedBugTest : public ::testing::TestWithParam<Planted> {};

TEST_P(PlantedBugTest, IsFoundByTheChecker) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Faults faults;
    faults.subscriber_stuck = 15;
    World world(seed, faults, GetParam().step);
    world.Run(200);
    for (const std::string& violation : world.Violations()) {
      if (violation.find(GetParam().shows_as) != std::string::npos) {
        return;
      }
    }
  }
  ADD_FAILURE() << "ten histories did not show \"" << GetParam().shows_as << "\"";
}

INSTANTIATE_TEST_SUITE_P(
    SimTest, PlantedBugTest,
    ::testing::Values(
        Planted{"StagedNotAwaited", testing::bug::CommitsWithoutStaging(), "not staged on"},
        Planted{"RefusalTakenForStaged", testing::bug::TakesRefusalsForStaged(), "not staged on"},
        Planted{"RevisionReused", testing::bug::ReusesPositions(), "is used twice"},
        Planted{"PlanNotPersisted", testing::bug::SkipsWrites([](const PlanRecord& record) {
                  return !record.committed;
                }),
                "before it was durable"},
        Planted{"CommitNotPersisted", testing::bug::SkipsWrites([](const PlanRecord& record) {
                  return record.committed;
                }),
                "sent to be run, not committed"},
        Planted{"StepsDoubled", testing::bug::CountsTwice(), "counted"},
        Planted{"LostStepsHidden", testing::bug::HidesLostSteps(), "lost steps told"}),
    [](const auto& planted) { return planted.param.name; });

}  // namespace
}  // namespace advisor
