#include "core/session/subscriber_session.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using Meaning = SubscriberSession::AckMeaning;
using testing::IsOk;
using testing::StatusIs;

class SubscriberSessionTest : public ::testing::Test {
 protected:
  void Open(Incarnation incarnation = {0, 1}, Position placement = {}) {
    SubscriberHello hello;
    hello.subscriber_id = "agent";
    hello.incarnation = incarnation;
    hello.role = Role::kActor;
    hello.node = "node-0";
    hello.placement = placement;
    ASSERT_THAT(session_.Admit(hello), IsOk());
    session_.Open(StreamId(1), hello, now_);
  }
  SubscriberSession::AckResult Ack(Position position, AckPhase phase,
                                   NackReason nack = NackReason::kNone) {
    PlanAck ack;
    ack.position = position;
    ack.phase = phase;
    ack.nack = nack;
    ack.nack_message = nack == NackReason::kNone ? "" : "no";
    return session_.Take(ack);
  }

  SubscriberSession session_{"agent"};
  SessionOptions options_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(SubscriberSessionTest, WantsOnlyWhatIsGreater) {
  Open({0, 1}, {1, 5});
  EXPECT_FALSE(session_.WantsPlacement({{1, 5}, 7}, PlacementMode::kInForce));
  EXPECT_FALSE(session_.WantsPlacement({{1, 4}, 7}, PlacementMode::kInForce));
  EXPECT_TRUE(session_.WantsPlacement({{1, 6}, 7}, PlacementMode::kInForce));
  EXPECT_TRUE(session_.WantsPlacement({{2, 1}, 7}, PlacementMode::kInForce));
}

TEST_F(SubscriberSessionTest, PreparedIsNotHeldBeforeItIsApplied) {
  Open({0, 1}, {1, 1});
  session_.SentPlacement({{1, 2}, 9}, PlacementMode::kPrepare, now_);
  EXPECT_EQ(Ack({1, 2}, AckPhase::kReceived).meaning, Meaning::kNothing);
  EXPECT_EQ(Ack({1, 2}, AckPhase::kStaged).meaning, Meaning::kStaged);
  EXPECT_EQ(session_.placement().position, (Position{1, 1}));
  EXPECT_EQ(session_.known(), (Position{1, 2}));
  EXPECT_EQ(Ack({1, 2}, AckPhase::kApplied).meaning, Meaning::kApplied);
  EXPECT_EQ(session_.placement().position, (Position{1, 2}));
  EXPECT_EQ(session_.placement().hash, 9u);
}

TEST_F(SubscriberSessionTest, AdviceSaysNothingAboutWhatIsInForce) {
  Open();
  session_.SentPlacement({{1, 5}, 9}, PlacementMode::kAdvisory, now_);
  Ack({1, 5}, AckPhase::kReceived);
  EXPECT_FALSE(session_.WantsPlacement({{1, 4}, 8}, PlacementMode::kAdvisory));
  EXPECT_TRUE(session_.WantsPlacement({{1, 4}, 8}, PlacementMode::kInForce));
}

TEST_F(SubscriberSessionTest, DeferredMeansReadyOrInForceByWhatWasAsked) {
  Open();
  session_.SentPlacement({{1, 1}, 9}, PlacementMode::kPrepare, now_);
  EXPECT_EQ(Ack({1, 1}, AckPhase::kDeferred).meaning, Meaning::kStaged);
  EXPECT_EQ(session_.placement().position, Position{});
  session_.SentCommit({1, 1}, now_);
  EXPECT_EQ(Ack({1, 1}, AckPhase::kDeferred).meaning, Meaning::kApplied);
  EXPECT_EQ(session_.placement().position, (Position{1, 1}));
}

// Else a group would wait for an engine that is ready, and a delta would build on what it only
// staged.
TEST_F(SubscriberSessionTest, DeferredAfterAnEarlierCommitIsStagedAllTheSame) {
  Open();
  session_.SentPlacement({{1, 1}, 9}, PlacementMode::kPrepare, now_);
  session_.SentCommit({1, 1}, now_);
  session_.SentPlacement({{1, 2}, 10}, PlacementMode::kPrepare, now_);
  EXPECT_EQ(Ack({1, 2}, AckPhase::kDeferred).meaning, Meaning::kStaged);
  EXPECT_EQ(session_.placement().position, Position{});
}

TEST_F(SubscriberSessionTest, NoDeltaWhileSomethingIsUnderWay) {
  Open({0, 1}, {1, 1});
  EXPECT_EQ(session_.Bases().front().position, (Position{1, 1}));
  session_.SentPlacement({{1, 2}, 9}, PlacementMode::kPrepare, now_);
  EXPECT_TRUE(session_.Bases().empty());
  Ack({1, 2}, AckPhase::kReceived);
  Ack({1, 2}, AckPhase::kStaged);
  EXPECT_EQ(session_.Bases().front().position, (Position{1, 1}));
  session_.SentCommit({1, 2}, now_);
  EXPECT_TRUE(session_.Bases().empty());
  Ack({1, 2}, AckPhase::kApplied);
  EXPECT_EQ(session_.Bases().front().position, (Position{1, 2}));
}

TEST_F(SubscriberSessionTest, RefusedContentIsNeverWantedAgain) {
  Open();
  session_.SentPlacement({{1, 1}, 9}, PlacementMode::kAdvisory, now_);
  EXPECT_EQ(Ack({1, 1}, AckPhase::kNack, NackReason::kOutOfMemory).meaning, Meaning::kRefused);
  EXPECT_FALSE(session_.WantsPlacement({{1, 2}, 9}, PlacementMode::kInForce));
  EXPECT_TRUE(session_.WantsPlacement({{1, 2}, 10}, PlacementMode::kInForce));
  Open({0, 2});  // nor by a later process of the same subscriber
  EXPECT_FALSE(session_.WantsPlacement({{1, 2}, 9}, PlacementMode::kInForce));
}

TEST_F(SubscriberSessionTest, WhatIsForgivenIsWantedAgain) {
  session_.SentPlacement({{1, 1}, 11}, PlacementMode::kPrepare, now_);
  Ack({1, 1}, AckPhase::kNack, NackReason::kOutOfMemory);
  EXPECT_TRUE(session_.Refused(11));
  session_.Forgive(11);
  EXPECT_FALSE(session_.Refused(11));
  EXPECT_TRUE(session_.WantsPlacement({{1, 2}, 11}, PlacementMode::kPrepare));
}

TEST_F(SubscriberSessionTest, AHashMismatchIsAnsweredInFullOnce) {
  Open();
  session_.SentPlacement({{1, 1}, 9}, PlacementMode::kAdvisory, now_);
  EXPECT_EQ(Ack({1, 1}, AckPhase::kNack, NackReason::kHashMismatch).meaning, Meaning::kSendFull);
  EXPECT_EQ(Ack({1, 1}, AckPhase::kNack, NackReason::kHashMismatch).meaning, Meaning::kRefused);
}

TEST_F(SubscriberSessionTest, AcknowledgingWhatWasNeverSentEndsTheStream) {
  Open();
  const auto result = Ack({4, 2}, AckPhase::kReceived);
  EXPECT_EQ(result.meaning, Meaning::kEnd);
  EXPECT_THAT(result.status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("(4, 2), which was never")));
}

TEST_F(SubscriberSessionTest, OverdueUntilAnyAcknowledgement) {
  Open();
  const auto overdue = [&](int seconds, absl::Time awake_since = absl::InfinitePast()) {
    return session_.Overdue(options_, now_ + absl::Seconds(seconds), awake_since);
  };
  EXPECT_FALSE(overdue(3600).has_value());
  session_.SentPlacement({{1, 1}, 9}, PlacementMode::kPrepare, now_);
  EXPECT_FALSE(overdue(10).has_value());
  ASSERT_TRUE(overdue(11).has_value());
  EXPECT_EQ(overdue(11)->position, (Position{1, 1}));
  EXPECT_EQ(overdue(11)->age, absl::Seconds(11));
  EXPECT_FALSE(overdue(11, now_ + absl::Seconds(1)).has_value());
  EXPECT_TRUE(overdue(12, now_ + absl::Seconds(1)).has_value());
  Ack({1, 1}, AckPhase::kReceived);
  EXPECT_FALSE(overdue(11).has_value());
}

TEST_F(SubscriberSessionTest, ProgressIsDueBeforeTheIntervalEnds) {
  Open();
  EXPECT_FALSE(session_.ProgressDue(options_, now_ + absl::Seconds(8)));
  EXPECT_TRUE(session_.ProgressDue(options_, now_ + absl::Seconds(9)));
  session_.SentOther(now_ + absl::Seconds(9));
  EXPECT_FALSE(session_.ProgressDue(options_, now_ + absl::Seconds(10)));
}

TEST_F(SubscriberSessionTest, AnOldProcessIsRefused) {
  Open({0, 1});
  Open({0, 2});
  SubscriberHello hello;
  hello.incarnation = {0, 1};
  EXPECT_THAT(session_.Admit(hello),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("STALE_INCARNATION")));
}

}  // namespace
}  // namespace advisor
