#include "tests/golden/script.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/session/errors.h"
#include "tests/support/fake_plan.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor::testing {
namespace {

constexpr int kRequestsPerFrame = 5;

int Number(const std::map<std::string, std::string>& arguments, const std::string& name,
           int otherwise) {
  const auto it = arguments.find(name);
  return it == arguments.end() ? otherwise : std::stoi(it->second);
}

std::string Describe(const SubscriberMessage& message) {
  if (const auto* m = std::get_if<UpToDate>(&message)) {
    return absl::StrCat("up to date ", ToString(m->placement));
  }
  if (const auto* m = std::get_if<PlacementUpdate>(&message)) {
    const char* mode = m->mode == PlacementMode::kAdvisory  ? "advisory "
                       : m->mode == PlacementMode::kPrepare ? "prepare "
                                                            : "in force ";
    return absl::StrCat(
        mode, ToString(m->plan->position),
        m->base == nullptr ? "" : absl::StrCat(" delta on ", ToString(m->base->position)));
  }
  if (const auto* m = std::get_if<GroupingUpdate>(&message)) {
    return absl::StrCat("grouping ", ToString(m->position), " needs ",
                        ToString(m->needs_placement));
  }
  if (const auto* m = std::get_if<RolloutDecision>(&message)) {
    return absl::StrCat(m->commit ? "commit " : "abort ", ToString(m->position));
  }
  return "progress";
}

}  // namespace

Script::Script() : daemon_([this](const effect::StartSolve& solve) { return Solve(solve); }) {
  deployment_.name = "chat";
  deployment_.model = SmallModel(3, 16, 2);
  deployment_.topology = *Topology::Uniform(2, 2, 4);
  options_.window.bucket_tokens = 64;
  options_.policy.min_window_tokens = 200;
  options_.policy.min_solve_interval = absl::Seconds(1);
  options_.policy.min_commit_interval = absl::Seconds(5);
  options_.policy.coverage_wait = absl::Seconds(60);
  options_.policy.stage_timeout = absl::Seconds(20);
  options_.policy.regression_tokens = 100;
  started_ = daemon_.now();
}

absl::StatusOr<Plan> Script::Solve(const effect::StartSolve& solve) {
  if (!solver_fails_.empty()) {
    return absl::InternalError(solver_fails_);
  }
  Plan plan = LinearPlan(solve.problem->model, solve.problem->topology, variant_);
  if (grouped_) {
    plan.grouping = ByDomain(plan.model, plan.topology, 2);
    if (swapped_) {
      std::vector<float>& cost = plan.grouping.domain_cost;
      std::rotate(cost.begin(), cost.begin() + plan.grouping.nodes, cost.end());
    }
  }
  plan.predicted.emplace();
  plan.predicted->figures.saving_ratio = predicted_saving_;
  return plan;
}

void Script::Print(const std::string& text) { absl::StrAppend(&output_, text, "\n"); }

bool Script::Run(const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
  Arguments arguments;
  for (const std::string& word : words) {
    const std::vector<std::string> parts = absl::StrSplit(word, absl::MaxSplits('=', 1));
    if (parts.size() == 2) {
      arguments[parts[0]] = parts[1];
    }
  }
  Print(absl::StrCat("> ", line));
  const std::string& verb = words[0];
  bool known = true;
  if (verb == "option") {
    for (const auto& [name, value] : arguments) {
      known = known && Option(name, value);
    }
  } else if (verb == "start") {
    Start(arguments);
  } else if (verb == "report") {
    Report(arguments);
  } else if (verb == "advance" && words.size() == 2) {
    absl::Duration duration;
    known = absl::ParseDuration(words[1], &duration);
    for (absl::Duration past; past < duration; past += absl::Milliseconds(500)) {
      SendEmptyFrames();
      daemon_.Advance(absl::Milliseconds(500));
      Settle();
    }
  } else if (verb == "restart") {
    daemon_.Restart();
    for (auto& [id, agent] : agents_) {
      agent.reporting = agent.subscribed = false;
    }
  } else if (verb == "show" && words.size() == 2) {
    Settle();
    Show(words[1]);
  } else {
    known = SolverCommand(words, arguments) || AgentCommand(words, arguments) ||
            OperatorCommand(words, arguments);
  }
  Settle();
  return known;
}

bool Script::Option(const std::string& name, const std::string& value) {
  PolicyOptions& policy = options_.policy;
  const std::map<std::string, double*> numbers = {
      {"min_gain", &policy.min_gain},
      {"plan_life_tokens", &policy.plan_life_tokens},
      {"max_moved_fraction", &policy.max_moved_fraction},
      {"min_coverage", &policy.min_coverage}};
  const std::map<std::string, absl::Duration*> durations = {
      {"min_solve_interval", &policy.min_solve_interval},
      {"max_solve_interval", &policy.max_solve_interval},
      {"min_commit_interval", &policy.min_commit_interval},
      {"coverage_wait", &policy.coverage_wait},
      {"stage_timeout", &policy.stage_timeout},
      {"reporter_lease", &options_.session.reporter_lease}};
  if (const auto it = numbers.find(name); it != numbers.end()) {
    return absl::SimpleAtod(value, it->second);
  }
  const auto it = durations.find(name);
  return it != durations.end() && absl::ParseDuration(value, it->second);
}

void Script::Start(const Arguments& arguments) {
  const auto mode = arguments.find("mode");
  deployment_.mode =
      mode != arguments.end() && mode->second == "active" ? Mode::kActive : Mode::kAdvisory;
  daemon_.Start(deployment_, options_);
  running_ = true;
}

void Script::ConnectReporter(Agent* agent, uint64_t incarnation) {
  agent->reports = daemon_.NewStream();
  agent->reporting = true;
  daemon_.Step(event::ReporterOpened{agent->reports,
                                     {"chat",
                                      agent->subscriber->id(),
                                      {0, incarnation},
                                      0,
                                      agent->subscriber->node(),
                                      agent->seq}});
  const auto& mail = daemon_.mail(agent->reports);
  if (!mail.reporter.empty() && std::get<HelloAck>(mail.reporter.front()).want_window) {
    daemon_.Step(event::ReporterWindow{agent->reports, {agent->seq - 1, {}}});
  }
}

void Script::ConnectSubscriber(Agent* agent) {
  agent->plans = daemon_.NewStream();
  agent->subscribed = true;
  agent->read = 0;
  daemon_.Step(event::SubscriberOpened{agent->plans, agent->subscriber->Hello("chat")});
}

void Script::ConnectActor(const std::string& who, const std::string& node) {
  Agent& agent = agents_[who];
  if (agent.subscriber == nullptr) {
    agent.subscriber = std::make_unique<FakeSubscriber>(who, node, Incarnation{0, 1}, Role::kActor,
                                                        &daemon_.history());
  }
  ConnectSubscriber(&agent);
}

void Script::Connect(const std::string& who) {
  for (int n = 0; n < 2; ++n) {
    const std::string id = absl::StrCat("agent-", n);
    if (who != "all" && who != id) {
      continue;
    }
    ConnectActor(id, absl::StrCat("node-", n));
    ConnectReporter(&agents_[id], agents_[id].incarnation);
  }
  if (who == "router") {
    Agent& agent = agents_[who];
    agent.subscriber = std::make_unique<FakeSubscriber>(who, "", Incarnation{0, 1}, Role::kObserver,
                                                        &daemon_.history());
    ConnectSubscriber(&agent);
  }
}

// frames=N: from every reporter; taste=T: shift of the experts the domains use; saving=P: percent
// of the baseline's visits that the engines measured less.
void Script::Report(const Arguments& arguments) {
  const int taste = Number(arguments, "taste", 0);
  for (int i = 0; i < Number(arguments, "frames", 1); ++i) {
    for (auto& [id, agent] : agents_) {
      if (!agent.reporting) {
        continue;
      }
      std::vector<Request> requests;
      for (int r = 0; r < kRequestsPerFrame; ++r) {
        const int domain = r % 2;
        requests.push_back(RandomRequest(deployment_.model, "r", 8, 3, domain * 8 + taste, &rng_));
        requests.back().domain = absl::StrCat("d", domain);
      }
      Frame frame = FrameOf(deployment_.model, requests, agent.seq++, next_key_);
      next_key_ += kRequestsPerFrame;
      frame.applied = agent.subscriber->applied();
      if (arguments.contains("saving")) {
        for (ReportBlock& block : frame.blocks) {
          block.visit_tokens = block.tokens;
          block.baseline_remote_visits = 100.0 * static_cast<double>(block.tokens);
          block.remote_visits = block.tokens * (100 - Number(arguments, "saving", 0));
        }
      }
      daemon_.Step(event::ReporterFrame{agent.reports, std::move(frame)});
    }
    daemon_.Advance(absl::Milliseconds(500));
    Settle();
  }
}

// As agents do when nothing happens, so that they count as live.
void Script::SendEmptyFrames() {
  for (auto& [id, agent] : agents_) {
    if (agent.reporting) {
      Frame frame;
      frame.seq_first = frame.seq_last = agent.seq++;
      frame.applied = agent.subscriber->applied();
      daemon_.Step(event::ReporterFrame{agent.reports, std::move(frame)});
    }
  }
}

bool Script::SolverCommand(const std::vector<std::string>& words, const Arguments& arguments) {
  if (words[0] != "solver" || words.size() < 2) {
    return false;
  }
  variant_ = Number(arguments, "variant", variant_);
  swapped_ = Number(arguments, "swapped", swapped_ ? 1 : 0) != 0;
  predicted_saving_ = Number(arguments, "predicts", 0) / 100.0;
  solver_fails_ = words[1] == "fails" ? "no plan" : "";
  grouped_ = words[1] != "linear";
  if (words[1] == "holds") {
    daemon_.hold_solve = true;
  } else if (words[1] == "releases") {
    daemon_.ReleaseHeld();
  }
  return true;
}

bool Script::AgentCommand(const std::vector<std::string>& words, const Arguments& arguments) {
  if (words.size() != 2 &&
      !(words.size() == 3 && (words[0] == "report-as" || arguments.contains("node")))) {
    return false;
  }
  const auto it = agents_.find(words[1]);
  if (words[0] == "connect" && arguments.contains("node")) {
    ConnectActor(words[1], arguments.at("node"));
  } else if (words[0] == "connect") {
    Connect(words[1]);
  } else if (words[0] == "store") {
    daemon_.fail_store = words[1] == "fails";
  } else if (it == agents_.end()) {
    return false;
  } else if (words[0] == "disconnect") {
    Agent& agent = it->second;
    if (agent.reporting) {
      daemon_.Step(event::ReporterClosed{agent.reports});
    }
    daemon_.Step(event::SubscriberClosed{agent.plans});
    agent.reporting = agent.subscribed = false;
  } else if (words[0] == "silence") {
    it->second.subscriber->silent = true;
  } else if (words[0] == "refuse") {
    it->second.subscriber->refuses_all = true;
  } else if (words[0] == "accept") {
    it->second.subscriber->refuses_all = it->second.subscriber->silent = false;
  } else if (words[0] == "report-as") {
    ConnectReporter(&it->second, std::stoull(words[2]));
  } else {
    return false;
  }
  return true;
}

bool Script::OperatorCommand(const std::vector<std::string>& words, const Arguments& arguments) {
  const CommandId id(next_command_++);
  const bool force = words.size() > 1 && words[1] == "force";
  if (words[0] == "freeze" || words[0] == "unfreeze") {
    daemon_.Step(event::SetFrozen{id, "chat", words[0] == "freeze"});
  } else if (words[0] == "solve-now") {
    daemon_.Step(event::SolveNow{id, "chat", force});
  } else if (words[0] == "mode" && words.size() == 2) {
    daemon_.Step(
        event::SetMode{id, "chat", words[1] == "active" ? Mode::kActive : Mode::kAdvisory});
  } else if (words[0] == "rollback") {
    Position to;
    if (words.size() == 3) {
      to = {std::stoull(words[1]), std::stoull(words[2])};
    }
    daemon_.Step(event::Rollback{id, "chat", to});
  } else if (words[0] == "topology" && words.size() >= 2) {
    deployment_.topology =
        *Topology::Uniform(Number(arguments, "nodes", 2), 2, std::stoi(words[1]));
    daemon_.Step(event::UpdateDeployment{deployment_, options_});
  } else {
    return false;
  }
  return true;
}

void Script::Show(const std::string& what) {
  const DeploymentStatus status = daemon_.Status();
  if (what == "status") {
    Print(absl::StrFormat("mode %s%s, latest %s, in force %s, grouping %s, coverage %.2f",
                          ToString(status.deployment.mode), status.frozen ? " frozen" : "",
                          ToString(status.position), ToString(status.in_force),
                          ToString(status.grouping), status.coverage));
  } else if (what == "plans") {
    for (const PlanRecord& record : status.plans) {
      Print(absl::StrCat("plan ", ToString(record.plan->position), " ", ToString(record.reason),
                         record.committed ? " committed" : "",
                         record.quarantined ? " quarantined" : ""));
    }
  } else if (what == "reporters") {
    for (const ReporterStatus& r : status.reporters) {
      Print(absl::StrFormat("%s frames %d duplicates %d steps %d lost %d", r.reporter_id, r.frames,
                            r.duplicate_frames, r.steps, r.lost_steps));
    }
  } else if (what == "agents") {
    for (const auto& [id, agent] : agents_) {
      Print(absl::StrCat(id, " runs ", ToString(agent.subscriber->applied())));
    }
  }
}

void Script::DeliverTo(Agent* agent) {
  if (!agent->subscribed) {
    return;
  }
  while (agent->read < daemon_.mail(agent->plans).subscriber.size()) {
    const SubscriberMessage message = daemon_.mail(agent->plans).subscriber[agent->read++];
    if (!std::holds_alternative<Progress>(message)) {
      Print(absl::StrCat("  ", agent->subscriber->id(), " <- ", Describe(message)));
    }
    for (const PlanAck& ack : agent->subscriber->On(message)) {
      daemon_.Step(event::SubscriberAcked{agent->plans, ack});
    }
  }
}

void Script::Settle() {
  if (!running_) {
    return;
  }
  for (int round = 0; round < 10; ++round) {
    PrintNews();
    for (auto& [id, agent] : agents_) {
      DeliverTo(&agent);
    }
  }
}

void Script::PrintNews() {
  const DeploymentStatus status = daemon_.Status();
  uint64_t decisions = 0;
  for (const auto& [reason, count] : status.counters.decisions) {
    decisions += count;
  }
  decisions_seen_ = std::min(decisions_seen_, decisions);  // a restart counts anew
  for (uint64_t i = decisions - decisions_seen_; i > 0; --i) {
    const DecisionRecord& record = status.decisions[i - 1];
    Print(absl::StrFormat(
        "  %.1fs %s%s: %s", absl::ToDoubleSeconds(record.at - started_), ToString(record.reason),
        record.position == Position{} ? "" : " " + ToString(record.position), record.detail));
  }
  decisions_seen_ = decisions;
  for (; commands_seen_ < daemon_.commands().size(); ++commands_seen_) {
    const effect::CommandDone& done = daemon_.commands()[commands_seen_];
    const std::string answer = !done.status.ok()                      ? done.status.ToString()
                               : done.reason == DecisionReason::kNone ? "done"
                                                                      : ToString(done.reason);
    Print(absl::StrCat("  answer: ", answer,
                       done.position == Position{} ? "" : " " + ToString(done.position)));
  }
  for (auto& [id, agent] : agents_) {
    for (const StreamId stream : {agent.reports, agent.plans}) {
      std::optional<absl::Status>& ended = daemon_.mail(stream).ended;
      if (ended.has_value()) {
        Print(absl::StrCat("  ", id, " ended: ", ended->ToString()));
        ended.reset();
        (stream == agent.reports ? agent.reporting : agent.subscribed) = false;
      }
    }
  }
}

}  // namespace advisor::testing
