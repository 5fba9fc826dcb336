#include "server/observe/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/observe/names.h"

namespace advisor::server {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

// Families in the order of their first sample.
class Families {
 public:
  void Gauge(const std::string& name, const char* help, Labels labels, double value) {
    prometheus::ClientMetric metric;
    metric.gauge.value = value;
    Add(name, help, prometheus::MetricType::Gauge, std::move(labels), metric);
  }
  // `name` without "_total".
  void Counter(const std::string& name, const char* help, Labels labels, double value) {
    prometheus::ClientMetric metric;
    metric.counter.value = value;
    Add(name + "_total", help, prometheus::MetricType::Counter, std::move(labels), metric);
  }
  std::vector<prometheus::MetricFamily> Take() { return std::move(families_); }

 private:
  void Add(const std::string& name, const char* help, prometheus::MetricType type, Labels labels,
           prometheus::ClientMetric metric) {
    const auto [found, is_new] = index_.emplace(name, families_.size());
    if (is_new) {
      families_.push_back({"moe_advisor_" + name, help, type, {}});
    }
    metric.label = std::move(labels);
    families_[found->second].metric.push_back(std::move(metric));
  }

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, size_t> index_;
};

double Number(uint64_t value) { return static_cast<double>(value); }

void AddRuntime(const EngineStatus& engine, const RuntimeStatus& runtime, Families& out) {
  out.Gauge("build_info", "Always 1; the version is in the label.", {{"version", runtime.version}},
            1);
  out.Gauge("start_timestamp_seconds", "When the daemon started.", {},
            static_cast<double>(runtime.started_unix_ms) / 1000);
  out.Gauge("epoch", "Leadership term of the daemon.", {}, Number(engine.epoch));
  out.Gauge("draining", "1 while the daemon stops.", {}, runtime.draining);
  const char* lanes[] = {"reports", "control", "internal"};
  for (size_t i = 0; i < runtime.refused.size(); ++i) {
    out.Counter("mailbox_refused",
                "Messages not taken because too much waited for the decision loop.",
                {{"lane", lanes[i]}}, Number(runtime.refused[i]));
  }
  constexpr char kWrites[] = "Durable writes of plans and settings.";
  const char* kRefused = "Streams refused at the door, or ended because no Hello came.";
  out.Counter("streams_refused", kRefused, {{"reason", "too_fast"}},
              Number(runtime.streams_too_fast));
  out.Counter("streams_refused", kRefused, {{"reason", "too_many_of_peer"}},
              Number(runtime.streams_too_many));
  out.Counter("streams_refused", kRefused, {{"reason", "no_hello"}},
              Number(runtime.streams_without_hello));
  out.Counter("frames_too_fast", "Frames not taken because their reporter sends too many.", {},
              Number(runtime.frames_too_fast));
  out.Counter("store_writes", kWrites, {{"result", "ok"}},
              Number(runtime.store_writes - runtime.store_failures));
  out.Counter("store_writes", kWrites, {{"result", "failed"}}, Number(runtime.store_failures));
  out.Gauge("store_failing", "1 while the last durable write has failed: nothing can be published.",
            {}, !runtime.store_error.empty());
  out.Counter("store_write_seconds", "Time spent in durable writes.", {},
              runtime.store_write_seconds);
  out.Counter("solve_seconds", "Time spent solving.", {}, runtime.solve_seconds);
  out.Gauge("store_damaged_records",
            "Stored records that were found damaged when the daemon started.", {},
            Number(runtime.store_damaged_records));
  constexpr char kStreams[] = "Open streams.";
  out.Gauge("streams", kStreams, {{"service", "report"}}, Number(runtime.report_streams));
  out.Gauge("streams", kStreams, {{"service", "plan"}}, Number(runtime.subscribe_streams));
}

void AddPlan(const DeploymentStatus& d, const std::string& name, Families& out) {
  const Labels of = {{"deployment", name}};
  out.Gauge("plan_epoch", "Epoch of the latest published placement; 0: none.", of,
            Number(d.position.epoch));
  out.Gauge("plan_revision", "Revision of the latest published placement; 0: none.", of,
            Number(d.position.revision));
  out.Gauge("plan_in_force_revision",
            "Revision of the placement that engines were told to run; 0: their initial one.", of,
            Number(d.in_force.revision));
  out.Gauge("grouping_revision", "Revision of the latest grouping; 0: none.", of,
            Number(d.grouping.revision));
  constexpr char kSaving[] =
      "1 - inter-node bytes / the linear baseline's, of the plan in force: predicted on traffic "
      "that the solver had not seen, and measured on what was reported.";
  if (d.predicted_saving) {
    out.Gauge("plan_saving_ratio", kSaving, {{"deployment", name}, {"kind", "predicted"}},
              *d.predicted_saving);
  }
  if (d.measured_saving) {
    out.Gauge("plan_saving_ratio", kSaving, {{"deployment", name}, {"kind", "measured"}},
              *d.measured_saving);
  }
  if (!d.plans.empty() && d.plans.front().published_unix_ms > 0) {
    out.Gauge("plan_published_timestamp_seconds", "When the latest placement was published.", of,
              static_cast<double>(d.plans.front().published_unix_ms) / 1000);
  }
  out.Gauge("active", "1 in active mode, 0 in advisory mode.", of,
            d.deployment.mode == Mode::kActive);
  out.Gauge("frozen", "1 while an operator has stopped publishing.", of, d.frozen);
  out.Gauge("solving", "1 while a solve runs.", of, d.solving);
}

void AddDomains(const DeploymentStatus& d, const std::string& name, Families& out) {
  for (const DomainStatus& domain : d.domains) {
    const Labels of = {{"deployment", name}, {"domain", domain.domain}};
    out.Counter("internode_bytes", "Bytes sent between nodes for tokens known with their experts.",
                of, domain.internode_bytes);
    out.Counter("baseline_internode_bytes",
                "Bytes that the same tokens would have sent under the linear placement.", of,
                domain.baseline_internode_bytes);
    out.Gauge("window_tokens", "Tokens in the window.", of, Number(domain.window_tokens));
    out.Gauge("drift",
              "1 - cosine of the window's expert counts and those solved for, mean over layers.",
              of, domain.drift);
    if (domain.prefill_decode_correlation) {
      out.Gauge("prefill_decode_correlation",
                "Correlation of prefill and decode expert counts, mean over layers.", of,
                *domain.prefill_decode_correlation);
    }
  }
}

void AddFleet(const DeploymentStatus& d, const std::string& name, Families& out) {
  out.Gauge("coverage_ratio", "Share of the nodes whose reporters are live.",
            {{"deployment", name}}, d.coverage);
  out.Gauge("window_bytes", "Memory of the windows.", {{"deployment", name}},
            Number(d.window_bytes));
  int reporters[3] = {};
  for (const ReporterStatus& reporter : d.reporters) {
    ++reporters[static_cast<int>(reporter.liveness)];
  }
  const char* states[] = {"live", "stale", "gone"};
  for (int i = 0; i < 3; ++i) {
    out.Gauge("reporters", "Reporters by liveness.", {{"deployment", name}, {"state", states[i]}},
              reporters[i]);
  }
  // Per domain, not per reporter: names of reporters are in the status, where they cost no series.
  std::map<std::string, int> left_out;
  for (const DomainStatus& domain : d.domains) {
    left_out[domain.domain] = 0;
  }
  for (const ReporterStatus& reporter : d.reporters) {
    for (const LeftOutDomain& domain : reporter.left_out) {
      ++left_out[domain.domain];
    }
  }
  for (const auto& [domain, count] : left_out) {
    out.Gauge("reporters_left_out",
              "Reporters whose experts of the domain lie too far from what most reporters see; the "
              "last solve left their counts out.",
              {{"deployment", name}, {"domain", domain}}, count);
  }
  int subscribers[2] = {};
  for (const SubscriberStatus& subscriber : d.subscribers) {
    subscribers[subscriber.role == Role::kActor] += subscriber.connected;
  }
  constexpr char kSubscribers[] = "Connected subscribers.";
  out.Gauge("subscribers", kSubscribers, {{"deployment", name}, {"role", "observer"}},
            subscribers[0]);
  out.Gauge("subscribers", kSubscribers, {{"deployment", name}, {"role", "actor"}}, subscribers[1]);
}

void AddIngest(const DeploymentCounters& c, const std::string& name, Families& out) {
  const Labels of = {{"deployment", name}};
  constexpr char kReports[] =
      "Report frames: applied, known already, or after a gap (healed by a key frame).";
  out.Counter("reports", kReports, {{"deployment", name}, {"result", "applied"}},
              Number(c.frames_applied));
  out.Counter("reports", kReports, {{"deployment", name}, {"result", "duplicate"}},
              Number(c.frames_duplicate));
  out.Counter("reports", kReports, {{"deployment", name}, {"result", "gap"}}, Number(c.frames_gap));
  out.Counter("key_frames", "Cumulative frames that healed a gap.", of, Number(c.key_frames));
  out.Counter("windows_replayed", "Windows that agents replayed after a restart.", of,
              Number(c.windows_replayed));
  out.Counter("steps", "Engine steps counted.", of, Number(c.steps));
  out.Counter("lost_steps", "Engine steps lost between engine and agent.", of,
              Number(c.lost_steps));
  out.Counter("tokens", "Tokens counted.", of, Number(c.tokens));
  out.Counter("domain_overflows", "Blocks counted under \"other\": too many domains.", of,
              Number(c.domain_overflows));
  for (const auto& [reason, count] : c.rejected_blocks) {
    out.Counter("rejected_blocks", "Blocks of reports that were not counted.",
                {{"deployment", name}, {"reason", NameOf(reason)}}, Number(count));
  }
}

void AddControl(const DeploymentCounters& c, const std::string& name, Families& out) {
  const Labels of = {{"deployment", name}};
  for (const auto& [reason, count] : c.decisions) {
    out.Counter("decisions", "Decisions to publish a plan or to keep the one in force.",
                {{"deployment", name}, {"reason", NameOf(reason)}}, Number(count));
  }
  for (const auto& [phase, count] : c.acks) {
    out.Counter("plan_acks", "Acknowledgements of plans.",
                {{"deployment", name}, {"phase", NameOf(phase)}}, Number(count));
  }
  for (const auto& [reason, count] : c.nacks) {
    out.Counter("plan_nacks", "Plans refused or rolled back by engines.",
                {{"deployment", name}, {"reason", NameOf(reason)}}, Number(count));
  }
  constexpr char kSolves[] = "Solves that ended, by result.";
  out.Counter("solves", kSolves, {{"deployment", name}, {"result", "done"}}, Number(c.solves_done));
  out.Counter("solves", kSolves, {{"deployment", name}, {"result", "failed"}},
              Number(c.solves_failed));
  out.Counter("solves", kSolves, {{"deployment", name}, {"result", "stale"}},
              Number(c.solves_stale));
  out.Counter("solves_started", "Solves begun.", of, Number(c.solves_started));
  out.Counter("plans_published", "Placements published.", of, Number(c.plans_published));
  out.Counter("moved_slots", "Slots whose expert a published placement changed.", of,
              Number(c.slots_moved));
  out.Counter("moved_bytes", "Weights that published placements moved.", of, Number(c.bytes_moved));
  constexpr char kRollouts[] = "Two-phase switches to a placement.";
  out.Counter("rollouts", kRollouts, {{"deployment", name}, {"result", "committed"}},
              Number(c.rollouts_committed));
  out.Counter("rollouts", kRollouts, {{"deployment", name}, {"result", "aborted"}},
              Number(c.rollouts_aborted));
  out.Counter("slow_subscribers", "Subscribers ended because they did not acknowledge in time.", of,
              Number(c.slow_subscribers));
}

}  // namespace

std::string MetricsText(const EngineStatus& engine, const RuntimeStatus& runtime) {
  Families families;
  AddRuntime(engine, runtime, families);
  for (const DeploymentStatus& d : engine.deployments) {
    const std::string& name = d.deployment.name;
    AddPlan(d, name, families);
    AddDomains(d, name, families);
    AddFleet(d, name, families);
    AddIngest(d.counters, name, families);
    AddControl(d.counters, name, families);
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families.Take());
  return std::move(out).str();
}

}  // namespace advisor::server
