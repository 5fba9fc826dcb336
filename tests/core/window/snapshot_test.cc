#include "core/window/snapshot.h"

#include <set>

#include "core/window/statistics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"
#include "tests/support/slow_window.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using testing::IsOk;

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest() {
    options_.bucket_tokens = 60;
    options_.buckets = 5;
    options_.sample_tokens = 200;
  }
  // Frames of three reporters; "bare" is known by counts only.
  std::vector<std::vector<Frame>> Frames(int per_reporter) {
    std::vector<std::vector<Frame>> frames(3);
    uint64_t key = 1;
    for (int r = 0; r < 3; ++r) {
      for (int i = 0; i < per_reporter; ++i) {
        Traffic traffic = testing::RandomTraffic(model_, 6, 3, &rng_);
        for (Request& request : traffic.requests) {
          request.domain = request.domain == "d2" ? "bare" : request.domain;
        }
        Frame frame = testing::FrameOf(model_, traffic.requests, i + 1, key);
        std::erase_if(frame.samples, [](const SampledRequest& s) { return s.domain == "bare"; });
        frames[r].push_back(std::move(frame));
        key += 6;
      }
    }
    return frames;
  }
  std::unique_ptr<TrafficWindow> Play(const std::vector<std::vector<Frame>>& frames, Rng* rng) {
    auto window = std::make_unique<TrafficWindow>(model_, options_, 2);
    std::vector<size_t> next(frames.size(), 0);
    for (size_t left = frames.size() * frames[0].size(); left > 0;) {
      const size_t r = rng->Below(static_cast<uint32_t>(frames.size()));
      if (next[r] < frames[r].size()) {
        const Frame& frame = frames[r][next[r]++];
        ReporterWindow* reporter =
            *window->Open("agent-" + std::to_string(r), NodeId(static_cast<int>(r % 2)));
        reporter->Add(frame.blocks, frame.steps, frame.samples);
        --left;
      }
    }
    return window;
  }

  ModelSpec model_ = testing::SmallModel(2, 12, 2);
  WindowOptions options_;
  Rng rng_{29};
};

void ExpectEqual(const Traffic& a, const Traffic& b) {
  ASSERT_EQ(a.requests.size(), b.requests.size());
  for (size_t i = 0; i < a.requests.size(); ++i) {
    EXPECT_EQ(a.requests[i].id, b.requests[i].id);
    EXPECT_EQ(a.requests[i].domain, b.requests[i].domain);
    EXPECT_EQ(a.requests[i].prompt_tokens, b.requests[i].prompt_tokens);
    EXPECT_EQ(a.requests[i].experts, b.requests[i].experts);
    EXPECT_EQ(a.requests[i].counts, b.requests[i].counts);
    EXPECT_EQ(a.requests[i].weight, b.requests[i].weight);
  }
}

TEST_F(SnapshotTest, AnyInterleavingGivesTheSameBits) {
  const std::vector<std::vector<Frame>> frames = Frames(30);
  Rng first(1);
  const auto window = Play(frames, &first);
  const Snapshot want = TakeSnapshot(*window, 0.2);
  const std::vector<DomainCounts> counts = CountsByDomain(*window);
  for (uint64_t seed = 2; seed < 12; ++seed) {
    Rng rng(seed);
    const auto other = Play(frames, &rng);
    const Snapshot got = TakeSnapshot(*other, 0.2);
    ExpectEqual(got.train, want.train);
    ExpectEqual(got.holdout, want.holdout);
    const std::vector<DomainCounts> other_counts = CountsByDomain(*other);
    ASSERT_EQ(other_counts.size(), counts.size());
    for (size_t d = 0; d < counts.size(); ++d) {
      EXPECT_EQ(other_counts[d].domain, counts[d].domain);
      EXPECT_EQ(other_counts[d].counts[0], counts[d].counts[0]);
      EXPECT_EQ(other_counts[d].counts[1], counts[d].counts[1]);
    }
  }
}

TEST_F(SnapshotTest, CountsInPiecesAreThoseAtAStretch) {
  Rng rng(1);
  const auto window = Play(Frames(30), &rng);
  const LeftOut left_out = {{"agent-1", "d0"}};
  const std::vector<DomainCounts> want = CountsByDomain(*window, left_out);
  CountsScan scan;
  for (int again = 0; again < 2; ++again) {
    EXPECT_FALSE(scan.Continue(*window, left_out, 1));  // one reporter at a time
    EXPECT_FALSE(scan.Continue(*window, left_out, 1));
    EXPECT_TRUE(scan.Continue(*window, left_out, 1));
    const std::vector<DomainCounts> got = scan.Take();
    ASSERT_EQ(got.size(), want.size());
    for (size_t d = 0; d < want.size(); ++d) {
      EXPECT_EQ(got[d].domain, want[d].domain);
      for (int phase = 0; phase < kPhases; ++phase) {
        EXPECT_EQ(got[d].tokens[phase], want[d].tokens[phase]);
        EXPECT_EQ(got[d].counts[phase], want[d].counts[phase]);
      }
    }
  }
}

TEST_F(SnapshotTest, RequestsAreValidWholeAndStandForTheWindow) {
  Rng rng(1);
  const auto window = Play(Frames(30), &rng);
  const Snapshot snapshot = TakeSnapshot(*window, 0.25);
  std::set<std::string> train_ids;
  for (const Traffic* traffic : {&snapshot.train, &snapshot.holdout}) {
    double weighted = 0;
    for (const Request& request : traffic->requests) {
      EXPECT_THAT(Validate(model_, request), IsOk());
      EXPECT_EQ(request.counts_only(), request.domain == "bare");
      weighted += request.counts_only() ? 0 : request.weight * request.tokens;
      if (traffic == &snapshot.train) {
        train_ids.insert(request.id);
      } else if (!request.counts_only()) {
        EXPECT_FALSE(train_ids.contains(request.id)) << "seen by the solver";
      }
    }
    uint64_t window_tokens = 0;
    for (const DomainCounts& domain : CountsByDomain(*window)) {
      window_tokens += domain.domain == "bare" ? 0 : domain.TokensOf(PhaseFilter::kAll);
    }
    EXPECT_NEAR(weighted, static_cast<double>(window_tokens), 1e-6 * weighted);
  }
  const double share = static_cast<double>(snapshot.holdout.requests.size()) /
                       (snapshot.holdout.requests.size() + snapshot.train.requests.size());
  EXPECT_NEAR(share, 0.25, 0.1);
}

TEST_F(SnapshotTest, SumsOfTheNewestBucketsAreHeldOut) {
  Rng rng(1);
  const auto window = Play(Frames(30), &rng);
  const Snapshot snapshot = TakeSnapshot(*window, 0.2);
  std::vector<uint32_t> sum(size_t(model_.moe_layers) * model_.experts, 0);
  for (const Traffic* traffic : {&snapshot.train, &snapshot.holdout}) {
    for (const Request& request : traffic->requests) {
      for (size_t c = 0; c < request.counts.size(); ++c) {
        sum[c] += request.counts[c];
      }
    }
  }
  std::vector<uint32_t> want(sum.size(), 0);
  for (const DomainCounts& domain : CountsByDomain(*window)) {
    for (int phase = 0; domain.domain == "bare" && phase < kPhases; ++phase) {
      for (size_t c = 0; c < domain.counts[phase].size(); ++c) {
        want[c] += domain.counts[phase][c];
      }
    }
  }
  EXPECT_EQ(sum, want);
}

TEST_F(SnapshotTest, PartsOfOneRequestFromTwoReportersAreOne) {
  TrafficWindow window(model_, options_, 2);
  const Request r = testing::RandomRequest(model_, "r", 60, 20, 0, &rng_);
  Frame whole = testing::FrameOf(model_, {r}, 1, 77);
  (*window.Open("a", NodeId(0)))->Add(whole.blocks, 1, {&whole.samples[0], 1});
  (*window.Open("b", NodeId(1)))->Add(whole.blocks, 1, {&whole.samples[1], 1});
  const Snapshot snapshot = TakeSnapshot(window, 0.5);
  ASSERT_EQ(snapshot.train.requests.size(), 1u);
  EXPECT_EQ(snapshot.train.requests[0].experts, r.experts);
  EXPECT_EQ(snapshot.train.requests[0].prompt_tokens, 20);
  EXPECT_TRUE(snapshot.holdout.requests.empty());
}

}  // namespace
}  // namespace advisor
