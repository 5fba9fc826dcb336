// The whole decision loop with the real solver under loads that change, or should not matter: small
// models, virtual minutes.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/parallel.h"
#include "core/cost/evaluate.h"
#include "core/grouping/assigner.h"
#include "core/solver/solver.h"
#include "core/window/outliers.h"
#include "core/window/request_sample.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_subscriber.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using testing::FakeDaemon;
using testing::FakeSubscriber;

// A deployment of four nodes whose agents report every second and take every plan at once.
class Fleet {
 public:
  static constexpr int kNodes = 4;

  explicit Fleet(std::function<void(DeploymentOptions*)> change = nullptr)
      : daemon_([](const effect::StartSolve& solve) {
          InlineParallelFor serial;
          return SolvePlan(*solve.problem, *solve.holdout, solve.params, solve.previous.get(),
                           serial);
        }) {
    deployment_.name = "chat";
    deployment_.mode = Mode::kActive;
    deployment_.model = testing::SmallModel(3, 16, 2);
    deployment_.topology = *Topology::Uniform(kNodes, 1, 5);
    options_.window.bucket_tokens = 256;
    options_.window.buckets = 4;
    options_.window.sample_tokens = 512;
    options_.policy.min_window_tokens = 1024;
    options_.policy.min_solve_interval = absl::Seconds(5);
    options_.policy.max_moved_fraction = 1;
    options_.solve.effort = Effort::kQuick;
    if (change) {
      change(&options_);
    }
    daemon_.Start(deployment_, options_);
    for (int n = 0; n < kNodes; ++n) {
      Agent& agent = agents_[n];
      const std::string id = absl::StrCat("agent-", n), node = absl::StrCat("node-", n);
      agent.reports = daemon_.NewStream();
      daemon_.Step(event::ReporterOpened{agent.reports, {"chat", id, {1, 1}, 0, node, 1}});
      agent.subscriber = std::make_unique<FakeSubscriber>(id, node, Incarnation{1, 1}, Role::kActor,
                                                          &daemon_.history());
      agent.plans = daemon_.NewStream();
      daemon_.Step(event::SubscriberOpened{agent.plans, agent.subscriber->Hello("chat")});
    }
  }

  // One second: every node reports `requests` requests of each domain, whose tastes lie
  // `taste` apart from their usual ones.
  void Second(int taste, absl::Duration lasts = absl::Seconds(1)) {
    for (int n = 0; n < kNodes; ++n) {
      std::vector<Request> requests = Requests(taste, 3, &rng_);
      Frame frame = testing::FrameOf(deployment_.model, requests, agents_[n].seq++, next_key_);
      next_key_ += requests.size();
      if (change_frame) {
        change_frame(n, &frame);
      }
      frame.applied = agents_[n].subscriber->applied();
      daemon_.Step(event::ReporterFrame{agents_[n].reports, std::move(frame)});
    }
    daemon_.Advance(lasts, lasts / 10);
    for (Agent& agent : agents_) {
      ReadPlans(&agent);
    }
  }
  std::vector<Request> Requests(int taste, int of_each, Rng* rng) const {
    std::vector<Request> requests;
    for (int i = 0; i < 4 * of_each; ++i) {
      const int domain = i % 4;
      requests.push_back(testing::RandomRequest(deployment_.model, absl::StrCat("r", i), 8, 3,
                                                domain * 4 + taste, rng));
      requests.back().domain = absl::StrCat("d", domain);
    }
    return requests;
  }

  // What a plan saves of the bytes between nodes on traffic nobody has seen.
  double SavingOf(const Plan& plan, int taste) const {
    Rng unseen(4711);
    const Traffic traffic = TrafficOf(taste, &unseen);
    return *EvaluateWithBaseline(plan, traffic, AssignInOrder(plan, traffic), {})->saving_ratio;
  }
  // The same of a plan made for that traffic alone, from nothing.
  double Attainable(int taste) const {
    Rng rng(17);
    Problem problem;
    problem.model = deployment_.model;
    problem.topology = deployment_.topology;
    problem.traffic = TrafficOf(taste, &rng);
    InlineParallelFor serial;
    return SavingOf(*SolvePlan(problem, TrafficOf(taste, &rng), options_.solve, nullptr, serial),
                    taste);
  }
  std::shared_ptr<const Plan> InForce() { return agents_[0].subscriber->in_force(); }
  DeploymentStatus Status() const { return daemon_.Status(); }
  // Placements in the order they came into force.
  const std::vector<std::shared_ptr<const Plan>>& ran() const { return ran_; }
  FakeDaemon& daemon() { return daemon_; }

  std::function<void(int node, Frame*)> change_frame;

 private:
  struct Agent {
    StreamId reports, plans;
    uint64_t seq = 1;
    size_t read = 0;
    std::unique_ptr<FakeSubscriber> subscriber;
  };

  Traffic TrafficOf(int taste, Rng* rng) const {
    Traffic traffic;
    traffic.model = deployment_.model;
    traffic.requests = Requests(taste, 40, rng);
    for (size_t i = 0; i < traffic.requests.size(); ++i) {
      traffic.requests[i].id = absl::StrCat("r", i);
    }
    return traffic;
  }
  void ReadPlans(Agent* agent) {
    while (agent->read < daemon_.mail(agent->plans).subscriber.size()) {
      const SubscriberMessage message = daemon_.mail(agent->plans).subscriber[agent->read++];
      for (const PlanAck& ack : agent->subscriber->On(message)) {
        daemon_.Step(event::SubscriberAcked{agent->plans, ack});
      }
    }
    const std::shared_ptr<const Plan>& runs = agent->subscriber->in_force();
    if (runs != nullptr && (ran_.empty() || runs->position > ran_.back()->position)) {
      ran_.push_back(runs);
    }
  }

  Deployment deployment_;
  DeploymentOptions options_;
  FakeDaemon daemon_;
  Agent agents_[kNodes];
  uint64_t next_key_ = 1;
  Rng rng_{11};
  std::vector<std::shared_ptr<const Plan>> ran_;
};

TEST(LoadTest, StationaryLoadConvergesAndStops) {
  Fleet fleet;
  for (int second = 0; second < 120; ++second) {
    fleet.Second(0);
  }
  const uint64_t published = fleet.Status().counters.plans_published;
  EXPECT_GE(published, 1u);
  for (int second = 0; second < 480; ++second) {
    fleet.Second(0);
  }
  EXPECT_EQ(fleet.Status().counters.plans_published, published);
  RecordProperty("published", static_cast<int>(published));
}

TEST(LoadTest, OscillatingLoadIsNotFollowedBackAndForth) {
  Fleet fleet;
  for (int second = 0; second < 600; ++second) {
    fleet.Second(second / 15 % 2 == 0 ? 0 : 7);  // a window is 11 s
  }
  EXPECT_LE(fleet.ran().size(), 10u);  // one a minute
  // A slot that gets back what it held before the last placement was moved in vain.
  int moved = 0, in_vain = 0;
  for (size_t i = 1; i < fleet.ran().size(); ++i) {
    for (const Move& move : fleet.ran()[i]->moves) {
      ++moved;
      in_vain += i >= 2 &&
                 fleet.ran()[i - 2]->placement.row(LayerId(move.layer))[move.slot] == move.expert;
    }
  }
  EXPECT_LE(in_vain, moved * 2 / 100);
  // What it stays with is worth having at both ends of the swing together.
  ASSERT_NE(fleet.InForce(), nullptr);
  const double saving =
      (fleet.SavingOf(*fleet.InForce(), 0) + fleet.SavingOf(*fleet.InForce(), 7)) / 2;
  EXPECT_GT(saving, 0);
  RecordProperty("placements", static_cast<int>(fleet.ran().size()));
  RecordProperty("moved", moved);
  RecordProperty("moved_in_vain", in_vain);
  RecordProperty("saving_percent", static_cast<int>(100 * saving));
}

TEST(LoadTest, AShiftIsFollowedWithinThreeWindows) {
  Fleet fleet([](DeploymentOptions* o) {
    o->policy.min_solve_interval = absl::Seconds(1);
    o->policy.min_commit_interval = absl::ZeroDuration();
  });
  for (int second = 0; second < 60; ++second) {
    fleet.Second(0);
  }
  ASSERT_NE(fleet.InForce(), nullptr);
  const double before = fleet.SavingOf(*fleet.InForce(), 7);
  // A window is 1024 tokens of a reporter, 96 a second.
  for (int second = 0; second < 3 * 11; ++second) {
    fleet.Second(7);
  }
  const double after = fleet.SavingOf(*fleet.InForce(), 7), attainable = fleet.Attainable(7);
  RecordProperty("saving_percent", static_cast<int>(100 * after));
  RecordProperty("attainable_percent", static_cast<int>(100 * attainable));
  EXPECT_LT(before, 0.9 * attainable);
  EXPECT_GE(after, 0.9 * attainable);
}

// What a frame claims: the same hot pair of experts in every layer, a thousandfold. It obeys the
// laws.
void LieInCounts(Frame* frame) {
  for (ReportBlock& block : frame->blocks) {
    block.tokens *= 1000;
    std::vector<uint32_t> cells(3 * 16, 0);
    for (int layer = 0; layer < 3; ++layer) {
      cells[layer * 16 + 5] = cells[layer * 16 + 11] = static_cast<uint32_t>(block.tokens);
    }
    block.counts = testing::Encode(cells, 16, 4, false);
  }
}

// The same pair in every sampled token, under keys whose hashes come first.
void LieInSamples(Frame* frame, uint64_t* next_key) {
  for (SampledRequest& sample : frame->samples) {
    do {
      sample.request_key = (*next_key)++;
    } while (RequestSample::RankOf(sample.request_key).first >> 58 != 0);
    for (size_t i = 0; i < sample.experts.size(); ++i) {
      sample.experts[i] = i % 2 == 0 ? 5 : 11;
    }
  }
}

// What is left of the traffic between nodes after a minute, over what is left without the lie.
struct Poisoned {
  double cost = 0;
  uint64_t window_tokens = 0;
  std::set<std::string> left_out;  // reporters that the status names
};
Poisoned CostOfALie(const std::function<void(Frame*)>& lie) {
  // Enough tokens of each domain to tell a lie by.
  const auto options = [](DeploymentOptions* o) { o->policy.min_window_tokens = 3072; };
  Fleet honest(options), poisoned(options);
  poisoned.change_frame = [&](int node, Frame* frame) {
    if (node == 3) {
      lie(frame);
    }
  };
  for (int second = 0; second < 60; ++second) {
    honest.Second(0);
    poisoned.Second(0);
  }
  EXPECT_NE(honest.InForce(), nullptr);
  EXPECT_NE(poisoned.InForce(), nullptr);
  if (honest.InForce() == nullptr || poisoned.InForce() == nullptr) {
    return {};
  }
  const auto left_out = [](const DeploymentStatus& status) {
    std::set<std::string> reporters;
    for (const ReporterStatus& reporter : status.reporters) {
      for (const LeftOutDomain& domain : reporter.left_out) {
        EXPECT_GT(domain.distance, kOutlierDistance) << reporter.reporter_id << domain.domain;
        reporters.insert(reporter.reporter_id);
      }
    }
    return reporters;
  };
  EXPECT_THAT(left_out(honest.Status()), ::testing::IsEmpty());
  const DeploymentStatus status = poisoned.Status();
  return {
      (1 - poisoned.SavingOf(*poisoned.InForce(), 0)) / (1 - honest.SavingOf(*honest.InForce(), 0)),
      status.window_tokens, left_out(status)};
}

TEST(LoadTest, AReporterThatLiesAThousandfoldIsOneAmongOthers) {
  const Poisoned poisoned = CostOfALie([](Frame* frame) {
    LieInCounts(frame);
    frame->samples.clear();
  });
  const uint64_t full = 4 * 256 * uint64_t{Fleet::kNodes} + 256 * uint64_t{Fleet::kNodes};
  EXPECT_LE(poisoned.window_tokens, full);  // buckets and the open one, of every reporter
  EXPECT_LE(poisoned.cost, 1.05);
  RecordProperty("cost_percent", static_cast<int>(100 * poisoned.cost));
}

TEST(LoadTest, AReporterWhoseTokensAreLikeNobodysIsLeftOut) {
  for (const char* lie : {"counts_and_samples", "samples", "half_of_the_samples_taken_first"}) {
    const bool counts = lie[0] == 'c', half = lie[0] == 'h';
    uint64_t next_key = uint64_t{1} << 40;
    const Poisoned poisoned = CostOfALie([&](Frame* frame) {
      if (counts) {
        LieInCounts(frame);
      }
      const std::vector<SampledRequest> truth = frame->samples;
      LieInSamples(frame, &next_key);
      for (size_t i = 0; half && i < truth.size(); i += 2) {
        frame->samples[i] = truth[i];
      }
    });
    EXPECT_LE(poisoned.cost, 1.05) << lie;
    EXPECT_EQ(poisoned.left_out.size(), 1u) << lie;
    RecordProperty(lie, static_cast<int>(100 * poisoned.cost));
  }
}

// A lie that keeps near the truth is believed: what it can do is bounded by its share of the
// tokens.
TEST(LoadTest, AReporterThatLiesInHalfOfItsTokensIsAnEighthOfTheTraffic) {
  uint64_t next_key = uint64_t{1} << 40;
  const Poisoned poisoned = CostOfALie([&](Frame* frame) {
    Frame lie = *frame;
    LieInSamples(&lie, &next_key);
    for (size_t i = 0; i < frame->samples.size(); i += 2) {
      frame->samples[i].experts = lie.samples[i].experts;
    }
  });
  EXPECT_LE(poisoned.cost, 1.25);
  EXPECT_THAT(poisoned.left_out, ::testing::IsEmpty());
  RecordProperty("cost_percent", static_cast<int>(100 * poisoned.cost));
}

// Clocks pace decisions; what is in a window, and so in a plan, they do not touch.
TEST(LoadTest, ClocksAtAnyRateLeaveWindowsAndPlansTheSame) {
  std::map<std::string, std::set<uint64_t>> plans;
  for (const absl::Duration second :
       {absl::Seconds(1), absl::Seconds(2), absl::Milliseconds(500)}) {
    Fleet fleet([](DeploymentOptions* o) { o->policy.min_window_tokens = 1u << 30; });  // no solve
    for (int i = 0; i < 30; ++i) {
      fleet.Second(0, second);
    }
    fleet.daemon().Step(event::SolveNow{CommandId(1), "chat", true});
    const auto& solve = fleet.daemon().last_solve();
    ASSERT_TRUE(solve.has_value());
    uint64_t tokens = 0;
    for (const Request& request : solve->problem->traffic.requests) {
      tokens += static_cast<uint64_t>(request.tokens);
    }
    plans["tokens"].insert(tokens);
    plans["plan"].insert(PlacementHash(*fleet.Status().plans.front().plan));
    plans["grouping"].insert(GroupingHash(fleet.Status().plans.front().plan->grouping));
  }
  for (const auto& [what, distinct] : plans) {
    EXPECT_EQ(distinct.size(), 1u) << what;
  }
}

// Zeros, counts that break the laws, then silence: nothing is decided on it, the last good plan
// stays.
TEST(LoadTest, RubbishAndSilencePublishNothing) {
  Fleet fleet;
  for (int second = 0; second < 60; ++second) {
    fleet.Second(0);
  }
  const DeploymentStatus good = fleet.Status();
  ASSERT_NE(good.in_force, Position{});
  fleet.change_frame = [](int node, Frame* frame) {
    for (ReportBlock& block : frame->blocks) {
      if (node % 2 == 0) {
        block.tokens = 0;
        std::fill(block.counts.data.begin(), block.counts.data.end(), '\0');
      } else {
        block.counts.data[0] = static_cast<char>(block.counts.data[0] + 1);
      }
    }
    frame->samples.clear();
  };
  for (int second = 0; second < 120; ++second) {
    fleet.Second(7);
  }
  EXPECT_GT(fleet.Status().counters.rejected_blocks[RejectReason::kSumLaw], 0u);
  fleet.daemon().Advance(absl::Minutes(10), absl::Seconds(1));
  EXPECT_EQ(fleet.Status().counters.plans_published, good.counters.plans_published);
  EXPECT_EQ(fleet.Status().in_force, good.in_force);
  EXPECT_EQ(fleet.Status().decisions.front().reason, DecisionReason::kLowCoverage);
}

}  // namespace
}  // namespace advisor
