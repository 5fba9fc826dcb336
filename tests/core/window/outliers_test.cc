#include "core/window/outliers.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/window/snapshot.h"
#include "core/window/statistics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class OutliersTest : public ::testing::Test {
 protected:
  OutliersTest() {
    options_.bucket_tokens = 64;
    options_.sample_tokens = 2048;
    window_ = std::make_unique<TrafficWindow>(model_, options_, 4);
  }
  // `requests` requests of 16 tokens of domain "d", whose taste is `taste`.
  void Report(int reporter, int requests, int taste,
              const std::function<void(Frame*)>& change = nullptr) {
    for (int i = 0; i < requests; ++i) {
      Request r = testing::RandomRequest(model_, "r", 16, 4, taste, &rng_);
      r.domain = "d";
      Frame frame = testing::FrameOf(model_, {r}, 1, next_key_++);
      if (change) {
        change(&frame);
      }
      (*window_->Open(absl::StrCat("agent-", reporter), NodeId(reporter)))
          ->Add(frame.blocks, 1, frame.samples);
    }
  }
  std::vector<std::string> Found() const {
    std::vector<std::string> found;
    for (const Outlier& outlier : FindOutliers(*window_)) {
      EXPECT_EQ(outlier.domain, "d");
      EXPECT_GT(outlier.distance, kOutlierDistance);
      EXPECT_LE(outlier.distance, 1);
      found.push_back(outlier.reporter);
    }
    return found;
  }
  // Samples of tokens that all choose the same experts.
  static void FakeSamples(Frame* frame) {
    for (SampledRequest& sample : frame->samples) {
      for (size_t i = 0; i < sample.experts.size(); ++i) {
        sample.experts[i] = i % 2 == 0 ? 5 : 11;
      }
    }
  }
  static void FakeCounts(const ModelSpec& model, Frame* frame) {
    for (ReportBlock& block : frame->blocks) {
      std::vector<uint32_t> cells(size_t(model.moe_layers) * model.experts, 0);
      for (int l = 0; l < model.moe_layers; ++l) {
        cells[l * model.experts + 5] = cells[l * model.experts + 11] =
            static_cast<uint32_t>(block.tokens);
      }
      block.counts = testing::Encode(cells, model.experts, 4, false);
    }
  }

  ModelSpec model_ = testing::SmallModel(3, 32, 2);
  WindowOptions options_;
  std::unique_ptr<TrafficWindow> window_;
  uint64_t next_key_ = 1;
  Rng rng_{3};
};

TEST_F(OutliersTest, HonestReportersAreNone) {
  for (int reporter = 0; reporter < 4; ++reporter) {
    Report(reporter, 20, 7);
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(OutliersTest, WhoseCountsAreLikeNobodyElses) {
  for (int reporter = 0; reporter < 4; ++reporter) {
    Report(reporter, 20, 7, [&](Frame* frame) {
      if (reporter == 2) {
        FakeCounts(model_, frame);
      }
    });
  }
  EXPECT_EQ(Found(), (std::vector<std::string>{"agent-2"}));
}

TEST_F(OutliersTest, WhoseSamplesAreLikeNobodysCounts) {
  for (int reporter = 0; reporter < 4; ++reporter) {
    Report(reporter, 20, 7, [&](Frame* frame) {
      if (reporter == 1) {
        FakeSamples(frame);
      }
    });
  }
  EXPECT_EQ(Found(), (std::vector<std::string>{"agent-1"}));
}

TEST_F(OutliersTest, NobodyWithoutAMajority) {
  for (int reporter = 0; reporter < 2; ++reporter) {
    Report(reporter, 20, 7 + 16 * reporter);
  }
  EXPECT_THAT(Found(), IsEmpty()) << "one word against another";
  Report(2, 4, 7);
  EXPECT_THAT(Found(), IsEmpty()) << "too few tokens to be the judge";
  for (int reporter = 2; reporter < 4; ++reporter) {
    Report(reporter, 20, 3 + 8 * reporter);
  }
  EXPECT_THAT(Found(), IsEmpty()) << "each its own";
}

TEST_F(OutliersTest, WhoIsLeftOutCountsForNothing) {
  for (int reporter = 0; reporter < 4; ++reporter) {
    Report(reporter, 20, 7);
  }
  const LeftOut left_out = {{"agent-1", "d"}};
  const uint64_t all = CountsByDomain(*window_).at(0).TokensOf(PhaseFilter::kAll);
  const uint64_t rest = CountsByDomain(*window_, left_out).at(0).TokensOf(PhaseFilter::kAll);
  EXPECT_EQ(rest * 4, all * 3);
  double stands_for = 0;
  for (const Request& request : TakeSnapshot(*window_, 0, left_out).train.requests) {
    stands_for += request.weight * request.tokens;
  }
  EXPECT_NEAR(stands_for, static_cast<double>(rest), 1e-6);
  EXPECT_THAT(CountsByDomain(*window_, {{"agent-0", "other"}}), SizeIs(1));
}

// Keys are the reporter's to choose, and small hashes come first.
TEST_F(OutliersTest, TheSampleHoldsNoMoreOfAReporterThanItsShareOfTheCounts) {
  options_.sample_tokens = 512;
  window_ = std::make_unique<TrafficWindow>(model_, options_, 4);
  uint64_t greedy_key = uint64_t{1} << 40;
  std::set<std::string> greedy;
  for (int reporter = 0; reporter < 4; ++reporter) {
    Report(reporter, 40, 7, [&](Frame* frame) {
      if (reporter != 3) {
        return;
      }
      while (RequestSample::RankOf(greedy_key).first >> 56 != 0) {
        ++greedy_key;
      }
      for (SampledRequest& sample : frame->samples) {
        sample.request_key = greedy_key;
      }
      greedy.insert(absl::StrFormat("%016x", greedy_key++));
    });
  }
  int of_greedy = 0, all = 0;
  for (const Request& request : TakeSnapshot(*window_, 0).train.requests) {
    all += request.tokens;
    // The id ends with the key.
    of_greedy += greedy.contains(request.id.substr(request.id.size() - 16)) ? request.tokens : 0;
  }
  EXPECT_GT(of_greedy, 0);
  EXPECT_LE(of_greedy, 512 / 4);
  EXPECT_GT(all, 512 * 9 / 10);
}

}  // namespace
}  // namespace advisor
