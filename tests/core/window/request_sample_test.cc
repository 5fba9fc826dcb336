#include "core/window/request_sample.h"

#include <algorithm>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor {
namespace {

class RequestSampleTest : public ::testing::Test {
 protected:
  SampledRequest Rows(uint64_t key, const Request& request, int first, int end) {
    const bool prefill = first < request.prompt_tokens;
    return {key, "d", prefill ? Phase::kPrefill : Phase::kDecode,
            static_cast<uint32_t>(prefill ? first : first - request.prompt_tokens),
            testing::EncodeRows(model_, request, first, end)};
  }
  ModelSpec model_ = testing::SmallModel(2, 9, 2);
  Rng rng_{23};
};

TEST_F(RequestSampleTest, KeepsTheRequestsOfSmallestHash) {
  RequestSample sample(50);
  std::set<RequestSample::Rank> ranks;
  for (uint64_t key = 1; key <= 40; ++key) {
    const Request r = testing::RandomRequest(model_, "r", 5, 2, 0, &rng_);
    sample.Add(model_, Rows(key, r, 0, 2), 0);
    sample.Add(model_, Rows(key, r, 2, 5), 0);
    ranks.insert(RequestSample::RankOf(key));
  }
  ASSERT_EQ(sample.requests().size(), 10u);
  EXPECT_EQ(sample.tokens(), 50u);
  auto want = ranks.begin();
  for (const auto& [rank, tokens] : sample.requests()) {
    EXPECT_EQ(rank, *want++);
    EXPECT_EQ(tokens.rows[0].size(), 2 * TokenBytes(model_));
    EXPECT_EQ(tokens.rows[1].size(), 3 * TokenBytes(model_));
  }
}

TEST_F(RequestSampleTest, RowsKnownAlreadyAreSkipped) {
  RequestSample sample(50);
  const Request r = testing::RandomRequest(model_, "r", 10, 0, 0, &rng_);
  sample.Add(model_, Rows(7, r, 0, 4), 0);
  sample.Add(model_, Rows(7, r, 2, 6), 0);
  sample.Add(model_, Rows(7, r, 1, 3), 0);
  sample.Add(model_, Rows(7, r, 6, 10), 1);
  EXPECT_EQ(sample.requests().begin()->second.rows[1], testing::EncodeRows(model_, r, 0, 10));
}

TEST_F(RequestSampleTest, ARequestThatHadToLeaveStaysOut) {
  RequestSample sample(4);
  std::vector<uint64_t> keys = {1, 2, 3};
  std::sort(keys.begin(), keys.end(), [](uint64_t a, uint64_t b) {
    return RequestSample::RankOf(a) < RequestSample::RankOf(b);
  });
  const Request r = testing::RandomRequest(model_, "r", 6, 0, 0, &rng_);
  sample.Add(model_, Rows(keys[2], r, 0, 3), 0);
  sample.Add(model_, Rows(keys[0], r, 0, 3), 0);
  EXPECT_EQ(sample.requests().size(), 1u);
  sample.Add(model_, Rows(keys[2], r, 3, 4), 0);
  EXPECT_EQ(sample.requests().size(), 1u);
  EXPECT_EQ(sample.requests().begin()->second.key, keys[0]);
  // With room again, new requests are taken.
  sample.Expire(model_, 1);
  EXPECT_EQ(sample.tokens(), 0u);
  sample.Add(model_, Rows(keys[2], r, 0, 3), 1);
  EXPECT_EQ(sample.requests().size(), 1u);
}

TEST_F(RequestSampleTest, OneRequestNeverExceedsTheBound) {
  RequestSample sample(4);
  const Request r = testing::RandomRequest(model_, "r", 9, 0, 0, &rng_);
  sample.Add(model_, Rows(1, r, 0, 9), 0);
  EXPECT_EQ(sample.tokens(), 4u);
}

TEST_F(RequestSampleTest, ChecksRows) {
  const Request r = testing::RandomRequest(model_, "r", 3, 0, 0, &rng_);
  SampledRequest rows = Rows(1, r, 0, 3);
  EXPECT_FALSE(CheckSample(model_, rows).has_value());
  rows.experts.pop_back();
  EXPECT_EQ(CheckSample(model_, rows)->reason, RejectReason::kSample);
  rows = Rows(1, r, 0, 3);
  rows.experts[6] = 9;
  EXPECT_EQ(CheckSample(model_, rows)->layer, 1);
  rows = Rows(1, r, 0, 3);
  rows.experts[1] = rows.experts[0];
  EXPECT_EQ(CheckSample(model_, rows)->reason, RejectReason::kSample);
  rows.experts.clear();
  EXPECT_TRUE(CheckSample(model_, rows).has_value());
}

}  // namespace
}  // namespace advisor
