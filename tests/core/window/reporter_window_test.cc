#include "core/window/reporter_window.h"

#include "core/window/traffic_window.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/slow_window.h"

namespace advisor {
namespace {

using testing::RandomSums;
using ::testing::SizeIs;
using testing::SlowWindow;
using testing::Sums;
using testing::SumsByKey;

class ReporterWindowTest : public ::testing::Test {
 protected:
  ReporterWindowTest() {
    options_.bucket_tokens = 40;
    options_.bucket_steps = 25;
    options_.buckets = 4;
  }
  ReporterWindow& window() {
    if (traffic_ == nullptr) {
      traffic_ = std::make_unique<TrafficWindow>(model_, options_, 2);
    }
    return **traffic_->Open("agent-0", NodeId(0));
  }
  std::vector<ReportBlock> Blocks(const SumsByKey& sums) {
    std::vector<ReportBlock> blocks;
    for (const auto& [key, value] : sums) {
      blocks.push_back(testing::BlockOf(model_, key, value, &rng_));
    }
    return blocks;
  }
  SumsByKey Frame(uint64_t tokens) {
    SumsByKey sums;
    for (int i = 0; i < 3; ++i) {
      sums[{"d" + std::to_string(rng_.Below(3)), static_cast<int>(rng_.Below(2))}] =
          RandomSums(model_, rng_.Below(static_cast<uint32_t>(tokens) + 1), &rng_);
    }
    return sums;
  }
  static std::vector<uint32_t> Listed(const ReporterWindow::Cells& cells) {
    std::vector<uint32_t> list(cells.size(), 0);
    cells.AddTo(list.data());
    return list;
  }
  std::vector<uint32_t> OpenOfTheFirst() { return Listed(window().Open(window().slots()[0])); }
  SumsByKey Windowed() {
    SumsByKey sums;
    for (const ReporterWindow::Slot& slot : window().slots()) {
      if (slot.window_tokens > 0) {
        sums[{window().domains()[slot.domain].name, static_cast<int>(slot.phase)}] = {
            slot.window_tokens, Listed(window().Window(slot))};
      }
    }
    return sums;
  }

  ModelSpec model_ = testing::SmallModel(3, 10, 2);
  WindowOptions options_;
  Rng rng_{17};
  std::unique_ptr<TrafficWindow> traffic_;
};

TEST_F(ReporterWindowTest, AgreesWithTheSlowWindow) {
  SlowWindow slow(model_, options_);
  for (int i = 0; i < 400; ++i) {
    const uint64_t size = rng_.Below(10) == 0 ? 400 : 8;  // now and then a lump of many buckets
    const SumsByKey frame = Frame(size);
    const uint64_t steps = rng_.Below(6);
    EXPECT_THAT(window().Add(Blocks(frame), steps, {}).refused, SizeIs(0));
    slow.Add(frame, steps);
    ASSERT_EQ(Windowed(), slow.Window()) << "frame " << i;
  }
}

// The agent's sums run on whatever arrives; the window sees frames, gaps and key frames.
TEST_F(ReporterWindowTest, KeyFramesBringWhatWasMissedOnce) {
  SlowWindow slow(model_, options_);
  SumsByKey sent, counted;
  uint64_t steps_sent = 0, steps_counted = 0;
  for (int i = 0; i < 400; ++i) {
    const SumsByKey frame = Frame(rng_.Below(12) == 0 ? 200 : 6);
    const uint64_t steps = 1 + rng_.Below(3);
    for (const auto& [key, sums] : frame) {
      sent[key].Add(sums);
    }
    steps_sent += steps;
    if (rng_.Below(4) == 0) {
      continue;  // lost
    }
    if (steps_counted + steps == steps_sent) {
      window().Add(Blocks(frame), steps, {});
      slow.Add(frame, steps);
    } else {
      const Applied& applied = window().AddCumulative(Blocks(sent), steps_sent, {});
      EXPECT_THAT(applied.refused, SizeIs(0));
      EXPECT_EQ(applied.steps, steps_sent - steps_counted);
      SumsByKey missed = sent;
      for (auto& [key, sums] : missed) {
        const Sums& known = counted[key];
        sums.tokens -= known.tokens;
        for (size_t c = 0; c < known.cells.size(); ++c) {
          sums.cells[c] -= known.cells[c];
        }
      }
      slow.Add(missed, applied.steps);
    }
    counted = sent;
    steps_counted = steps_sent;
    ASSERT_EQ(Windowed(), slow.Window()) << "frame " << i;
  }
}

// Running sums go round at 2^16 many times over, with the largest buckets and frames there may be.
TEST_F(ReporterWindowTest, NothingIsLostWhereSumsGoRound) {
  model_ = testing::SmallModel(1, 3, 2);
  options_.bucket_tokens = kMaxBucketTokens;
  SlowWindow slow(model_, options_);
  const std::pair<std::string, int> key{"d", 1};
  Sums sent;
  uint64_t steps = 0;
  for (int i = 0; i < 60; ++i) {
    const uint64_t most = i % 10 == 7 ? 5 * kMaxBucketTokens : kMaxBucketTokens;
    const Sums frame = RandomSums(model_, rng_.Below(static_cast<uint32_t>(most)), &rng_);
    sent.Add(frame);
    ++steps;
    if (i % 4 == 3) {
      window().AddCumulative(Blocks({{key, sent}}), steps, {});
    } else {
      window().Add(Blocks({{key, frame}}), 1, {});
    }
    slow.Add({{key, frame}}, 1);
    ASSERT_EQ(Windowed(), slow.Window()) << "frame " << i;
    ASSERT_EQ(Listed(window().Counted(window().slots()[0])), sent.cells) << "frame " << i;
  }
  EXPECT_GT(sent.cells[0], 10u << 16);
}

TEST_F(ReporterWindowTest, ARefusedBlockIsNotSmuggledBackByAKeyFrame) {
  const Sums good = RandomSums(model_, 10, &rng_);
  Sums bad = RandomSums(model_, 10, &rng_);
  ++bad.cells[3];
  const auto with = [&](const Sums& sums) { return SumsByKey{{{"d", 1}, sums}}; };
  window().Add(Blocks(with(good)), 1, {});
  const Applied& applied = window().Add(Blocks(with(bad)), 1, {});
  ASSERT_THAT(applied.refused, SizeIs(1));
  EXPECT_EQ(applied.refused[0].fault.reason, RejectReason::kSumLaw);
  EXPECT_EQ(applied.refused[0].tokens, 10u);
  EXPECT_EQ(applied.tokens, 0u);
  Sums sent = good;
  sent.Add(bad);
  sent.Add(good);
  EXPECT_THAT(window().AddCumulative(Blocks(with(sent)), 3, {}).refused, SizeIs(0));
  Sums counted = good;
  counted.Add(good);
  EXPECT_EQ(OpenOfTheFirst(), counted.cells);
}

TEST_F(ReporterWindowTest, AfterAnUnreadableBlockCountingGoesOnFromTheKeyFrame) {
  const Sums sums = RandomSums(model_, 5, &rng_);
  const auto with = [&](const Sums& s) { return SumsByKey{{{"d", 1}, s}}; };
  window().Add(Blocks(with(sums)), 1, {});
  std::vector<ReportBlock> unreadable = Blocks(with(sums));
  unreadable[0].counts.data.pop_back();
  EXPECT_EQ(window().Add(unreadable, 1, {}).refused.at(0).fault.reason, RejectReason::kShape);
  Sums sent;
  for (int i = 0; i < 3; ++i) {
    sent.Add(sums);
  }
  // The third frame was lost: its 5 tokens cannot be told from the unreadable ones.
  const Applied& aligned = window().AddCumulative(Blocks(with(sent)), 3, {});
  ASSERT_THAT(aligned.refused, SizeIs(1));
  EXPECT_EQ(aligned.refused[0].tokens, 5u);
  EXPECT_EQ(aligned.tokens, 0u);
  sent.Add(sums);
  EXPECT_EQ(window().AddCumulative(Blocks(with(sent)), 4, {}).tokens, 5u);
  EXPECT_EQ(window().slots()[0].open_tokens, 10u);
}

TEST_F(ReporterWindowTest, AKeyFrameThatFallsIsRefused) {
  const SumsByKey sums{{{"d", 0}, RandomSums(model_, 12, &rng_)}};
  window().Add(Blocks(sums), 1, {});
  const SumsByKey fewer{{{"d", 0}, RandomSums(model_, 11, &rng_)}};
  const Applied& applied = window().AddCumulative(Blocks(fewer), 2, {});
  ASSERT_THAT(applied.refused, SizeIs(1));
  EXPECT_EQ(applied.refused[0].fault.reason, RejectReason::kRegression);
  EXPECT_EQ(window().slots()[0].open_tokens, 12u);
}

TEST_F(ReporterWindowTest, DomainsWithoutRoomAreOther) {
  options_.max_domains = 2;
  SumsByKey sums;
  for (const char* name : {"a", "b", "c", "e"}) {
    sums[{name, 1}] = RandomSums(model_, 3, &rng_);
  }
  const Applied& applied = window().Add(Blocks(sums), 1, {});
  EXPECT_EQ(applied.overflowed_blocks, 2u);
  EXPECT_EQ(applied.tokens, 12u);
  ASSERT_THAT(window().domains(), SizeIs(3));
  EXPECT_EQ(window().domains()[2].name, "other");
  EXPECT_EQ(window().slots()[2].open_tokens, 6u);
  // As sums: what the key frame has under "c" and "e" was counted under "other".
  EXPECT_EQ(window().AddCumulative(Blocks(sums), 1, {}).tokens, 0u);
}

TEST_F(ReporterWindowTest, WithoutMemoryDomainsAreOther) {
  options_.max_bytes = ReporterWindow::InitialBytes(model_, options_, 4096);
  EXPECT_EQ(window().Add(Blocks({{{"a", 1}, RandomSums(model_, 3, &rng_)}}), 1, {}).tokens, 3u);
  EXPECT_EQ(window().domains().back().name, "other");
  EXPECT_FALSE(traffic_->Open("agent-1", NodeId(1)).ok());
  traffic_->Drop("agent-0");
  EXPECT_EQ(traffic_->bytes(), 0u);
  EXPECT_TRUE(traffic_->Open("agent-1", NodeId(1)).ok());
}

TEST_F(ReporterWindowTest, NamesThatDiedOutMakeRoomAfterRebase) {
  options_.max_domains = 1;
  window().Add(Blocks({{{"old", 1}, RandomSums(model_, 3, &rng_)}}), 1, {});
  for (int i = 0; i < 8; ++i) {
    window().Add(Blocks({{{"new", 1}, RandomSums(model_, 40, &rng_)}}), 1, {});
  }
  EXPECT_EQ(traffic_->Domains(), (std::vector<std::string>{"old", "other"}));
  window().Rebase();
  window().Add(Blocks({{{"new", 1}, RandomSums(model_, 40, &rng_)}}), 1, {});
  EXPECT_EQ(traffic_->Domains(), (std::vector<std::string>{"new", "other"}));
}

TEST_F(ReporterWindowTest, BadNamesAreRefusedAndTheRestCounts) {
  SumsByKey sums{{{std::string(65, 'x'), 1}, RandomSums(model_, 3, &rng_)},
                 {{"tab\there", 1}, RandomSums(model_, 3, &rng_)},
                 {{"", 1}, RandomSums(model_, 3, &rng_)}};
  const Applied& applied = window().Add(Blocks(sums), 1, {});
  ASSERT_THAT(applied.refused, SizeIs(2));
  EXPECT_EQ(applied.refused[0].fault.reason, RejectReason::kDomainName);
  EXPECT_EQ(applied.tokens, 3u);
}

TEST_F(ReporterWindowTest, VisitsOfKeyFramesAreWhatIsNew) {
  std::vector<ReportBlock> blocks = Blocks({{{"d", 1}, RandomSums(model_, 4, &rng_)}});
  blocks[0].visit_tokens = 4;
  blocks[0].remote_visits = 6;
  blocks[0].baseline_remote_visits = 8.5;
  EXPECT_EQ(window().Add(blocks, 1, {}).visits.at(0).remote_visits, 6u);
  blocks = Blocks({{{"d", 1}, {4, OpenOfTheFirst()}}});
  blocks[0].visit_tokens = 9;
  blocks[0].remote_visits = 10;
  blocks[0].baseline_remote_visits = 12;
  const Applied& applied = window().AddCumulative(blocks, 2, {});
  ASSERT_THAT(applied.visits, SizeIs(1));
  EXPECT_EQ(applied.visits[0].tokens, 5u);
  EXPECT_EQ(applied.visits[0].remote_visits, 4u);
  EXPECT_DOUBLE_EQ(applied.visits[0].baseline_remote_visits, 3.5);
}

}  // namespace
}  // namespace advisor
