#include "server/runtime/plan_publisher.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/support/fake_clock.h"

namespace advisor::server {
namespace {

using Body = std::shared_ptr<const std::string>;

class Writer final : public Outbox<Body>::Writer {
 public:
  void StartWrite(const Body& body) override { bodies.push_back(body); }
  void Cancel() override { ++cancels; }
  void Finish(const absl::Status& status) override { final_status = status; }
  std::vector<Body> bodies;
  int cancels = 0;
  absl::Status final_status;
};

class PlanPublisherTest : public ::testing::Test {
 protected:
  // One stream whose writes are done at once.
  Writer& Open(uint64_t id) {
    writers_.push_back(std::make_unique<Writer>());
    boxes_.push_back(std::make_shared<Outbox<Body>>(writers_.back().get(), clock_));
    EXPECT_TRUE(publisher_.streams().Add(StreamId(id), boxes_.back()));
    return *writers_.back();
  }
  void WritesDone() {
    for (const auto& box : boxes_) {
      box->OnWriteDone(true);
    }
  }

  testing::FakeClock clock_;
  int encoded_ = 0;
  PlanPublisher<Body> publisher_{
      [this](const SubscriberMessage& message) {
        ++encoded_;
        return std::make_shared<std::string>(std::to_string(message.index()));
      },
      3};
  std::vector<std::unique_ptr<Writer>> writers_;
  std::vector<std::shared_ptr<Outbox<Body>>> boxes_;
};

TEST_F(PlanPublisherTest, EncodesABodyOnceForAll) {
  Writer& a = Open(1);
  Writer& b = Open(2);
  const auto plan = std::make_shared<const Plan>();
  const PlacementUpdate update{plan, nullptr, PlacementMode::kPrepare};
  publisher_.Send(StreamId(1), update);
  publisher_.Send(StreamId(2), update);
  EXPECT_EQ(encoded_, 1);
  EXPECT_EQ(a.bodies[0], b.bodies[0]);
  WritesDone();
  publisher_.Send(StreamId(1), PlacementUpdate{plan, nullptr, PlacementMode::kInForce});
  publisher_.Send(StreamId(1), PlacementUpdate{plan, plan, PlacementMode::kInForce});
  publisher_.Send(StreamId(1), GroupingUpdate{plan, {1, 1}, {}});
  publisher_.Send(StreamId(2), GroupingUpdate{plan, {1, 1}, {}});
  EXPECT_EQ(encoded_, 4);  // another mode, another base, the grouping
}

TEST_F(PlanPublisherTest, AdviceDoesNotReplaceAPlacementInForceThatWaits) {
  Writer& a = Open(1);
  const auto old = std::make_shared<const Plan>(), in_force = std::make_shared<const Plan>(),
             advice = std::make_shared<const Plan>();
  publisher_.Send(StreamId(1), Progress{});
  publisher_.Send(StreamId(1), PlacementUpdate{old, nullptr, PlacementMode::kInForce});
  publisher_.Send(StreamId(1), PlacementUpdate{in_force, nullptr, PlacementMode::kInForce});
  publisher_.Send(StreamId(1), PlacementUpdate{advice, nullptr, PlacementMode::kAdvisory});
  for (int i = 0; i < 3; ++i) {
    WritesDone();
  }
  EXPECT_EQ(a.bodies.size(), 3u);  // the progress, what is in force, the advice
}

TEST_F(PlanPublisherTest, ForgetsOldBodies) {
  Open(1);
  std::weak_ptr<const Plan> first;
  for (int i = 0; i < 100; ++i) {
    auto plan = std::make_shared<const Plan>();
    if (i == 0) {
      first = plan;
    }
    publisher_.Send(StreamId(1), PlacementUpdate{plan, nullptr, PlacementMode::kAdvisory});
  }
  EXPECT_TRUE(first.expired());
  EXPECT_EQ(encoded_, 100);
}

TEST_F(PlanPublisherTest, SmallMessagesAreEncodedForEach) {
  Writer& a = Open(1);
  publisher_.Send(StreamId(1), Progress{{1, 1}, {1, 1}});
  publisher_.Send(StreamId(9), Progress{});  // not open: nothing happens
  EXPECT_EQ(*a.bodies[0], "1");
}

TEST_F(PlanPublisherTest, LimitsStreams) {
  Open(1);
  Open(2);
  Open(3);
  EXPECT_FALSE(publisher_.streams().Add(StreamId(4), boxes_[0]));
  publisher_.streams().Remove(StreamId(1));
  EXPECT_TRUE(publisher_.streams().Add(StreamId(4), boxes_[0]));
}

TEST_F(PlanPublisherTest, EndsStreams) {
  Writer& a = Open(1);
  Writer& b = Open(2);
  Writer& c = Open(3);
  publisher_.End(StreamId(1), absl::AbortedError("superseded"));
  EXPECT_EQ(a.final_status, absl::AbortedError("superseded"));
  publisher_.Send(StreamId(2), Progress{});
  clock_.Advance(absl::Seconds(6));
  publisher_.Send(StreamId(3), Progress{});
  EXPECT_EQ(publisher_.EndStalled(clock_.Now() - absl::Seconds(5), absl::AbortedError("slow")), 1);
  EXPECT_EQ(b.cancels, 1);
  boxes_[2]->OnWriteDone(true);
  publisher_.EndAll(absl::UnavailableError("draining"));
  EXPECT_EQ(c.final_status, absl::UnavailableError("draining"));
}

}  // namespace
}  // namespace advisor::server
