#include "client/agent/hub.h"

#include <condition_variable>
#include <mutex>
#include <vector>

#include "core/model/plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor::client {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::SmallModel;
using ::testing::ElementsAre;

// A plan file on a disk that hangs until it is told to go on.
class Disk {
 public:
  absl::Status Write(const Plan& plan) {
    std::unique_lock lock(mutex_);
    ++begun_;
    change_.notify_all();
    change_.wait(lock, [&] { return !hangs_; });
    written_.push_back(plan.position.revision);
    return status_;
  }
  void WaitBegun(int writes) {
    std::unique_lock lock(mutex_);
    change_.wait(lock, [&] { return begun_ >= writes; });
  }
  void GoOn(absl::Status status = absl::OkStatus()) {
    std::lock_guard lock(mutex_);
    hangs_ = false;
    status_ = std::move(status);
    change_.notify_all();
  }
  std::vector<uint64_t> written() const {
    std::lock_guard lock(mutex_);
    return written_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable change_;
  bool hangs_ = true;
  int begun_ = 0;
  absl::Status status_;
  std::vector<uint64_t> written_;
};

class HubTest : public ::testing::Test {
 protected:
  static PlanSessionOptions Options() {
    PlanSessionOptions options;
    options.deployment = "chat";
    options.subscriber_id = options.node = "node-0";
    return options;
  }
  void Publish(uint64_t revision, PlacementMode mode = PlacementMode::kInForce) {
    hub_.OnPlacement(
        {1, revision}, {},
        [&](const Plan*) -> absl::StatusOr<Plan> {
          Plan plan;
          plan.model = SmallModel(2, 8, 2);
          plan.topology = *Topology::Uniform(2, 1, 5);
          Rng rng(revision);
          plan.placement = RandomPlacement(plan.model, plan.topology, &rng);
          return plan;
        },
        mode);
  }
  // What has been said since the last call, once there is something.
  std::vector<std::pair<uint64_t, AckPhase>> Said() {
    std::vector<std::pair<uint64_t, AckPhase>> said;
    for (const PlanAck& ack : hub_.WaitAcks(absl::InfiniteFuture(), [] { return false; }).acks) {
      said.emplace_back(ack.position.revision, ack.phase);
    }
    return said;
  }

  Disk disk_;
  Hub hub_{{"chat", "node-0", "node-0"},
           Options(),
           [] {
             return Incarnation{1, 2};
           },
           [this](const Plan& plan) { return disk_.Write(plan); }};
};

TEST_F(HubTest, ADiskThatHangsHoldsUpOnlyWhatSaysThatThePlanIsKept) {
  Publish(1);
  disk_.WaitBegun(1);
  EXPECT_THAT(Said(), ElementsAre(std::pair(1, AckPhase::kReceived)));
  EXPECT_EQ(hub_.Status().in_force, (Position{1, 1}));  // engines are told without the disk
  Watch engine({});
  EXPECT_TRUE(hub_.NextFor(&engine).has_value());

  disk_.GoOn();
  EXPECT_THAT(Said(),
              ElementsAre(std::pair(1, AckPhase::kStaged), std::pair(1, AckPhase::kApplied)));
  EXPECT_THAT(disk_.written(), ElementsAre(1));
  hub_.OnUpToDate({1, 1});  // nothing is being written: said at once
  EXPECT_THAT(Said(), ElementsAre(std::pair(1, AckPhase::kApplied)));
}

TEST_F(HubTest, OnlyTheNewestOfThePlansThatWaitIsWritten) {
  Publish(1);
  disk_.WaitBegun(1);
  Publish(2);
  Publish(3);
  EXPECT_THAT(Said(),
              ElementsAre(std::pair(1, AckPhase::kReceived), std::pair(2, AckPhase::kReceived),
                          std::pair(3, AckPhase::kReceived)));
  disk_.GoOn();
  const auto said = Said();
  EXPECT_THAT(disk_.written(), ElementsAre(1, 3));
  ASSERT_EQ(said.size(), 6u);  // none before the newest was written
  EXPECT_EQ(said.back(), std::pair(uint64_t{3}, AckPhase::kApplied));
}

TEST_F(HubTest, APlanThatCannotBeWrittenIsRefused) {
  Publish(1);
  disk_.WaitBegun(1);
  disk_.GoOn(absl::ResourceExhaustedError("disk full"));
  std::vector<std::pair<uint64_t, AckPhase>> said = Said();
  if (said.size() == 1) {
    const auto rest = Said();
    said.insert(said.end(), rest.begin(), rest.end());
  }
  EXPECT_THAT(said, ElementsAre(std::pair(1, AckPhase::kReceived), std::pair(1, AckPhase::kNack)));
}

TEST_F(HubTest, WhatWaitsForTheDiskDiesWithItsStream) {
  Publish(1);
  disk_.WaitBegun(1);
  EXPECT_EQ(Said().size(), 1u);
  EXPECT_EQ(hub_.PlanHello().placement, (Position{1, 1}));  // a new stream
  disk_.GoOn();
  Publish(1, PlacementMode::kInForce);  // the daemon asks again
  EXPECT_THAT(Said().front(), std::pair(uint64_t{1}, AckPhase::kReceived));
}

}  // namespace
}  // namespace advisor::client
