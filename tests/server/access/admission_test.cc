#include "server/access/admission.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/convert/status.h"
#include "tests/server/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() {
    limits_.new_streams_per_second = 10;
    limits_.streams_per_peer = 2;
    admission_.emplace(limits_, 2, clock_);
  }
  absl::Status Open(uint64_t id, const std::string& identity = "", bool counts = true) {
    return admission_->Open(StreamId(id), {identity, "somewhere"}, counts,
                            [this, id](const absl::Status& status) {
                              ended_.push_back(id);
                              last_ = status;
                            });
  }

  testing::FakeClock clock_;
  LimitOptions limits_;
  std::optional<Admission> admission_;
  std::vector<uint64_t> ended_;
  absl::Status last_;
};

TEST(NewStreamsPerSecondTest, FollowsTheCores) {
  EXPECT_EQ(NewStreamsPerSecond({}, 2), 300);
  EXPECT_EQ(NewStreamsPerSecond({}, 64), 2000);
  LimitOptions limits;
  limits.new_streams_per_second = 7;
  EXPECT_EQ(NewStreamsPerSecond(limits, 64), 7);
}

TEST_F(AdmissionTest, StreamsThatComeTooFastAreToldToComeBack) {
  for (uint64_t id = 1; id <= 10; ++id) {
    EXPECT_THAT(Open(id), IsOk());
  }
  EXPECT_THAT(Open(11),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("TOO_MANY_NEW_STREAMS")));
  clock_.Advance(absl::Milliseconds(100));
  EXPECT_THAT(Open(12), IsOk());
  EXPECT_FALSE(Open(13).ok());
  EXPECT_EQ(admission_->counters().too_fast, 2u);
}

TEST_F(AdmissionTest, TurnsOfThoseSentAwayAreAsFarApartAsStreamsMayOpen) {
  for (uint64_t id = 1; id <= 10; ++id) {
    ASSERT_THAT(Open(id), IsOk());
  }
  EXPECT_EQ(RetryDelayOf(Open(11)), absl::Seconds(1));
  EXPECT_EQ(RetryDelayOf(Open(12)), absl::Milliseconds(1100));
  clock_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(RetryDelayOf(Open(13)), absl::Milliseconds(1150));
  for (uint64_t id = 14; id < 1000; ++id) {
    EXPECT_LE(RetryDelayOf(Open(id)), Admission::kLongestWait);
  }
  clock_.Advance(absl::Minutes(5));  // all turns are over
  for (uint64_t id = 1001; id <= 1010; ++id) {
    ASSERT_THAT(Open(id), IsOk());
  }
  EXPECT_EQ(RetryDelayOf(Open(1011)), absl::Seconds(1));
}

TEST_F(AdmissionTest, APeerHasSoManyStreamsAtATime) {
  EXPECT_THAT(Open(1, "a"), IsOk());
  EXPECT_THAT(Open(2, "a"), IsOk());
  EXPECT_THAT(Open(3, "a"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("streams_per_peer is 2")));
  EXPECT_THAT(Open(4, "b"), IsOk());
  EXPECT_THAT(Open(5, "a", false), IsOk());  // speaks for many
  admission_->Close(StreamId(3));            // was refused: frees nothing
  EXPECT_FALSE(Open(6, "a").ok());
  admission_->Close(StreamId(1));
  EXPECT_THAT(Open(7, "a"), IsOk());
}

TEST_F(AdmissionTest, AStreamThatSaysNothingIsEnded) {
  ASSERT_THAT(Open(1), IsOk());
  ASSERT_THAT(Open(2), IsOk());
  ASSERT_THAT(Open(3), IsOk());
  admission_->HelloCame(StreamId(2));
  admission_->Close(StreamId(3));
  clock_.Advance(absl::Seconds(5));
  admission_->Tick(clock_.Now());
  EXPECT_TRUE(ended_.empty());
  clock_.Advance(absl::Milliseconds(1));
  admission_->Tick(clock_.Now());
  admission_->Tick(clock_.Now());
  EXPECT_EQ(ended_, std::vector<uint64_t>{1});
  EXPECT_THAT(last_, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("NO_HELLO")));
  EXPECT_EQ(admission_->counters().no_hello, 1u);
}

}  // namespace
}  // namespace advisor::server
