#include "client/replay/replay.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/engine/engine_client.h"
#include "client/replay/router.h"
#include "client/replay/simulated_node.h"
#include "core/base/status_macros.h"

namespace advisor::client {
namespace {

constexpr absl::Duration kAgentDeadline = absl::Seconds(20);
constexpr absl::Duration kGroupingWait = absl::Seconds(2);  // after its placement is in force
constexpr absl::Duration kFlushDeadline = absl::Seconds(10);
// Seconds of a replay stand for minutes: what engines hold back for half a second would be much of
// it.
constexpr absl::Duration kJoin = absl::Milliseconds(100);
constexpr absl::Duration kIdleTick = absl::Milliseconds(5);
constexpr absl::Duration kLookInterval = absl::Milliseconds(500);
constexpr absl::Duration kSettled =
    absl::Seconds(4);  // longer than the last counts take to arrive and be judged
constexpr size_t kMaxWaiting =
    128;  // steps buffered in an engine's client before the run slows down
constexpr size_t kReleaseBatch = 64;

std::string ToText(Position p) {
  return p == Position{} ? "the initial placement"
                         : absl::StrCat("plan ", p.epoch, ".", p.revision);
}

// What one agent has said, and the engine beside it.
struct Seat {
  std::string socket;
  EngineInfo info;                      // under Run::mutex
  std::unique_ptr<SimulatedNode> node;  // once every agent has said where it is
  std::unique_ptr<EngineClient> client;
};

class Run {
 public:
  Run(const Traffic& traffic, const ReplayOptions& options, const Progress& progress)
      : traffic_(traffic), options_(options), progress_(progress) {}
  ~Run() {
    for (const auto& seat : seats_) {
      seat->client.reset();  // its threads call into the rest of this object
    }
  }

  absl::StatusOr<ReplayResult> Play() {
    const absl::Time start = absl::Now();
    RETURN_IF_ERROR(Connect());
    RETURN_IF_ERROR(SeatNodes());
    RETURN_IF_ERROR(PlayHalf(0, result_.sequence.second_half));
    RETURN_IF_ERROR(PlayHalf(result_.sequence.second_half, result_.sequence.order.size()));
    Finish();
    ASSIGN_OR_RETURN(result_.parts, ledger_->Figure());
    result_.tokens = ledger_->tokens();
    result_.seconds = absl::ToDoubleSeconds(absl::Now() - start);
    return std::move(result_);
  }

 private:
  absl::Status Connect();
  absl::Status SeatNodes();
  absl::Status PlayHalf(size_t first, size_t end);
  absl::Status PlayRange(size_t first, size_t end);
  absl::Status AdmitFrom(size_t* next, size_t end);
  absl::StatusOr<NodeId> Home(int played);
  void StepAll();
  void Pace();
  void AwaitPlan(Position after);
  std::string KeptWhy();
  void AwaitGroupings(int wanted, absl::Time deadline);
  bool AllApplied(Position after) const;
  bool Advised(Position after) const;
  void ReleaseEnded(size_t at_least);
  void Finish();
  void Remark(const std::string& line) {
    result_.remarks.push_back(line);
    Say(line);
  }
  void Say(const std::string& line) { progress_(Fraction(), line); }
  double Fraction() const {
    return result_.sequence.order.empty()
               ? 0
               : static_cast<double>(result_.requests + result_.skipped) /
                     static_cast<double>(result_.sequence.order.size());
  }

  const Traffic& traffic_;
  const ReplayOptions& options_;
  const Progress& progress_;
  ReplayResult result_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<int> ended_;
  std::vector<std::unique_ptr<Seat>> seats_;  // by node index once seated
  absl::Time next_tick_ = absl::InfinitePast();
  absl::Time next_look_ = absl::InfinitePast(), seen_since_ = absl::InfinitePast();
  std::string seen_;   // last decision to keep the plan, with the window it was about
  int64_t dealt_ = 0;  // requests that the daemon could not be asked about

  std::mutex mutex_;
  std::condition_variable change_;
  int groupings_ = 0;  // heard of, by all agents together
  bool seated_ = false;
  std::vector<std::function<void()>> held_back_;  // plans that came before the nodes were seated
};

absl::Status Run::Connect() {
  Say(absl::StrCat("connecting to ", options_.agent_sockets.size(), " agents"));
  for (const std::string& socket : options_.agent_sockets) {
    auto seat = std::make_unique<Seat>();
    seat->socket = socket;
    Seat* s = seat.get();
    PlanCallbacks callbacks;
    callbacks.on_info = [this, s](const EngineInfo& info) {
      std::lock_guard lock(mutex_);
      s->info = info;
      change_.notify_all();
    };
    auto when_seated = [this](std::function<void()> act) {
      std::unique_lock lock(mutex_);
      if (!seated_) {
        held_back_.push_back(std::move(act));
        return;
      }
      lock.unlock();
      act();
    };
    callbacks.on_placement = [when_seated, s](const std::shared_ptr<const Plan>& plan,
                                              PlacementMode mode) {
      when_seated([s, plan, mode] { s->node->OnPlacement(plan, mode); });
    };
    callbacks.on_decision = [when_seated, s](const RolloutDecision& decision) {
      when_seated([s, decision] { s->node->OnDecision(decision); });
    };
    callbacks.on_grouping = [this](const Grouping&, Position) {
      std::lock_guard lock(mutex_);
      ++groupings_;
      change_.notify_all();
    };
    EngineClientOptions client;
    client.socket = socket;
    client.join = kJoin;
    client.model = traffic_.model;
    seat->client = std::make_unique<EngineClient>(client, callbacks);
    seats_.push_back(std::move(seat));
  }
  std::unique_lock lock(mutex_);
  const bool all = change_.wait_until(lock, absl::ToChronoTime(absl::Now() + kAgentDeadline), [&] {
    return std::all_of(seats_.begin(), seats_.end(),
                       [](const auto& s) { return s->info.has_model; });
  });
  for (const auto& seat : seats_) {
    if (!all && !seat->info.has_model) {
      return absl::UnavailableError(absl::StrFormat(
          "the agent at %s %s; is %s running?", seat->socket,
          seat->info.deployment.empty() ? "does not answer" : "has not heard from its daemon yet",
          seat->info.deployment.empty() ? "it" : "advisord"));
    }
  }
  return absl::OkStatus();
}

// Checks that agents, deployment and trace fit, and puts a simulated engine beside each agent.
absl::Status Run::SeatNodes() {
  const EngineInfo& first = seats_[0]->info;
  result_.deployment = first.deployment;
  result_.topology = first.topology;
  const ModelSpec &want = first.model, &have = traffic_.model;
  if (want.moe_layers != have.moe_layers || want.experts != have.experts ||
      want.top_k != have.top_k) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the trace has [layers, experts, top_k] = [%d, %d, %d], deployment \"%s\" "
                        "has [%d, %d, %d]; play a trace of its model",
                        have.moe_layers, have.experts, have.top_k, first.deployment,
                        want.moe_layers, want.experts, want.top_k));
  }
  std::set<int> nodes;
  for (const auto& seat : seats_) {
    nodes.insert(seat->info.node_index);
    if (seat->info.deployment != first.deployment) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the agent at %s serves deployment \"%s\", the others \"%s\"",
                          seat->socket, seat->info.deployment, first.deployment));
    }
  }
  if (nodes.size() != seats_.size() ||
      static_cast<int>(seats_.size()) != result_.topology.node_count()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d agents on %d nodes, deployment \"%s\" has %d nodes; give --agents one socket for each "
        "node",
        seats_.size(), nodes.size(), first.deployment, result_.topology.node_count()));
  }
  std::sort(seats_.begin(), seats_.end(),
            [](const auto& a, const auto& b) { return a->info.node_index < b->info.node_index; });
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, MakeChannel(options_.daemon));
  router_ = std::make_unique<Router>(result_.deployment, options_.daemon.server, channel);
  result_.sequence = MakeSequence(traffic_, options_.shift);
  ledger_ = std::make_unique<Ledger>(traffic_, result_.topology, result_.sequence.order,
                                     result_.sequence.second_half);
  for (const auto& seat : seats_) {
    EngineClient* client = seat->client.get();
    NodeOutlets outlets;
    outlets.record = [client](EngineStep step) { client->Record(std::move(step)); };
    outlets.confirm = [client](Position position, AckPhase phase, uint64_t step) {
      client->Confirm(position, phase, step);
    };
    seat->node = std::make_unique<SimulatedNode>(traffic_, NodeId(seat->info.node_index), outlets);
  }
  std::vector<std::function<void()>> held_back;
  {
    std::lock_guard lock(mutex_);
    seated_ = true;
    held_back.swap(held_back_);
  }
  for (const auto& act : held_back) {
    act();
  }
  return absl::OkStatus();
}

absl::Status Run::PlayHalf(size_t first, size_t end) {
  const Position before = seats_[0]->node->applied();
  const bool second = first > 0;
  if (second && !result_.sequence.second_mix.empty()) {
    Say("the task mix shifts");
  }
  Say(absl::StrCat("playing requests ", first + 1, " to ", end, " under ", ToText(before)));
  const auto pause =
      first + static_cast<size_t>(options_.pause_at * static_cast<double>(end - first));
  RETURN_IF_ERROR(PlayRange(first, pause));
  AwaitPlan(before);
  return PlayRange(pause, end);
}

// Plays and drains requests [first, end).
absl::Status Run::PlayRange(size_t first, size_t end) {
  size_t next = first;
  bool live = true;
  while (next < end || live) {
    RETURN_IF_ERROR(AdmitFrom(&next, end));
    StepAll();
    live = std::any_of(seats_.begin(), seats_.end(),
                       [](const auto& s) { return s->node->live() > 0; });
    progress_(Fraction(), "");
  }
  ReleaseEnded(1);
  return absl::OkStatus();
}

// Admits requests in order until the next one's node is full.
absl::Status Run::AdmitFrom(size_t* next, size_t end) {
  size_t live = 0;
  for (const auto& seat : seats_) {
    live += seat->node->live();
  }
  const size_t room = seats_.size() * options_.live_per_node;
  for (; *next < end && live < room; ++*next) {
    const Request& request = traffic_.requests[result_.sequence.order[*next]];
    if (request.counts_only() || request.tokens == 0) {
      ++result_.skipped;
      continue;
    }
    ASSIGN_OR_RETURN(const NodeId home, Home(static_cast<int>(*next)));
    seats_[home.value()]->node->Admit(static_cast<int>(*next), result_.sequence.order[*next]);
    ++result_.requests;
    ++live;
  }
  return absl::OkStatus();
}

absl::StatusOr<NodeId> Run::Home(int played) {
  const Request& request = traffic_.requests[result_.sequence.order[played]];
  const absl::StatusOr<Router::Answer> answer = router_->Assign(traffic_.model, request);
  const int nodes = result_.topology.node_count();
  if (answer.ok() && answer->node.value() >= 0 && answer->node.value() < nodes) {
    result_.grouped += answer->grouped;
    return answer->node;
  }
  if (result_.requests == 0) {
    return answer.ok() ? absl::InternalError("the daemon named a node that is not in the topology")
                       : answer.status();
  }
  if (dealt_++ == 0) {
    Say(absl::StrCat(std::string(answer.status().message()), " Requests are dealt round-robin."));
  }
  return NodeId(played % nodes);
}

void Run::StepAll() {
  Pace();
  for (const auto& seat : seats_) {
    seat->node->Step(ledger_.get(), &ended_);
  }
  ReleaseEnded(kReleaseBatch);
}

// Holds the rate asked for, and never runs ahead of what the agents count.
void Run::Pace() {
  if (options_.steps_per_second > 0) {
    const absl::Time now = absl::Now();
    next_tick_ = std::max(next_tick_ + absl::Seconds(1 / options_.steps_per_second),
                          now - absl::Milliseconds(100));
    absl::SleepFor(next_tick_ - now);
  }
  for (const auto& seat : seats_) {
    const absl::Time give_up = absl::Now() + absl::Seconds(1);
    while (seat->client->Status().waiting > kMaxWaiting && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
}

bool Run::AllApplied(Position after) const {
  const Position first = seats_[0]->node->applied();
  return first > after && std::all_of(seats_.begin(), seats_.end(),
                                      [&](const auto& s) { return s->node->applied() == first; });
}

bool Run::Advised(Position after) const {
  return std::any_of(seats_.begin(), seats_.end(), [&](const auto& s) {
    return s->node->advisory() != nullptr && s->node->advisory()->position > after;
  });
}

// Idles until every engine runs a plan newer than `after`, or none is to be expected; bounded.
void Run::AwaitPlan(Position after) {
  if (AllApplied(after)) {
    return;
  }
  const absl::Time start = absl::Now();
  const absl::Time deadline = start + options_.plan_wait;
  int groupings = 0;
  {
    std::lock_guard lock(mutex_);
    groupings = groupings_;
  }
  Say(
      absl::StrFormat("idle: real traffic would go on, a trace is short; waiting up to %s for the "
                      "daemon to publish",
                      absl::FormatDuration(options_.plan_wait)));
  std::string kept;
  while (!AllApplied(after) && !Advised(after) && kept.empty() && absl::Now() < deadline) {
    absl::SleepFor(kIdleTick);
    StepAll();
    kept = KeptWhy();
  }
  if (!AllApplied(after)) {
    const std::string now = ToText(seats_[0]->node->applied());
    Remark(Advised(after) ? "the deployment is in advisory mode: engines are told not to act "
                            "(`advisorctl mode` changes that)"
           : kept.empty()
               ? absl::StrFormat(
                     "no new plan within %s, going on under %s (`advisorctl explain` says why)",
                     absl::FormatDuration(options_.plan_wait), now)
               : absl::StrFormat("the daemon keeps %s: %s", now, kept));
    return;
  }
  AwaitGroupings(groupings + static_cast<int>(seats_.size()),
                 std::min(deadline, absl::Now() + kGroupingWait));
  Say(absl::StrFormat("%s is in force on all %d nodes after %.1f s",
                      ToText(seats_[0]->node->applied()), seats_.size(),
                      absl::ToDoubleSeconds(absl::Now() - start)));
}

// The daemon's decision to keep the plan, once it has stood for a while over an unchanged window;
// else empty.
std::string Run::KeptWhy() {
  const absl::Time now = absl::Now();
  if (!options_.look || now < next_look_) {
    return "";
  }
  next_look_ = now + kLookInterval;
  const absl::StatusOr<DaemonView> view = options_.look(result_.deployment);
  const std::string seen =
      view.ok() && view->keeps_plan ? absl::StrCat(view->decision, "/", view->window_tokens) : "";
  if (seen != seen_ || seen.empty()) {
    seen_ = seen;
    seen_since_ = now;
    return "";
  }
  return now - seen_since_ >= kSettled ? view->decision : "";
}

// The grouping follows once its placement is applied; every agent tells its engine.
void Run::AwaitGroupings(int wanted, absl::Time deadline) {
  std::unique_lock lock(mutex_);
  change_.wait_until(lock, absl::ToChronoTime(deadline), [&] { return groupings_ >= wanted; });
}

void Run::ReleaseEnded(size_t at_least) {
  if (ended_.size() < at_least) {
    return;
  }
  std::vector<std::string> ids;
  for (int request : ended_) {
    ids.push_back(traffic_.requests[request].id);
  }
  router_->Release(ids);
  ended_.clear();
}

void Run::Finish() {
  Say("waiting for the agents to count the last steps");
  const absl::Time deadline = absl::Now() + kFlushDeadline;
  for (const auto& seat : seats_) {
    seat->client->Flush(deadline);
    const EngineClientStatus status = seat->client->Status();
    result_.steps += status.steps;
    result_.lost_steps += status.steps - status.confirmed;
  }
  if (dealt_ > 0) {
    result_.remarks.push_back(absl::StrCat(
        dealt_, " requests were dealt round-robin because the daemon could not be asked"));
  }
}

}  // namespace

absl::StatusOr<ReplayResult> Replay(const Traffic& traffic, const ReplayOptions& options,
                                    const Progress& progress) {
  if (options.agent_sockets.empty()) {
    return absl::InvalidArgumentError("no agents; give --agents one socket for each node");
  }
  if (traffic.requests.empty()) {
    return absl::InvalidArgumentError("the trace has no requests");
  }
  Run run(traffic, options, progress);
  return run.Play();
}

}  // namespace advisor::client
