#include "tests/bench/load/bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "absl/strings/str_cat.h"
#include "core/base/rng.h"
#include "core/model/plan.h"
#include "server/store/sqlite_store.h"

namespace advisor::bench {

void WaitUntil(Time time) {
  std::promise<void> never;
  never.get_future().wait_until(time);
}

void Die(const std::string& why) {
  std::fprintf(stderr, "load_bench: %s\n", why.c_str());
  std::exit(1);
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const auto at = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
  return values[std::clamp<size_t>(at, 1, values.size()) - 1];
}

void Results::Add(const std::string& row, const std::string& figure, const std::string& unit,
                  double value) {
  const auto [at, is_new] = index_.emplace(std::pair{row, figure}, figures_.size());
  if (is_new) {
    figures_.push_back({{row, figure}, {unit, {}}});
  }
  figures_[at->second].second.values.push_back(value);
  std::fprintf(stderr, "%-44s %-28s %10.3f %s\n", row.c_str(), figure.c_str(), value, unit.c_str());
}

void Results::Print() const {
  std::printf("| row | figure | median | least | most |\n|---|---|---|---|---|\n");
  for (const auto& [name, figure] : figures_) {
    const auto [least, most] = std::minmax_element(figure.values.begin(), figure.values.end());
    std::printf("| %s | %s, %s | %.4g | %.4g | %.4g |\n", name.first.c_str(), name.second.c_str(),
                figure.unit.c_str(), Quantile(figure.values, 0.5), *least, *most);
  }
}

Deployment BenchDeployment() {
  Deployment deployment;
  deployment.name = "bench";
  deployment.model.name = "bench";
  deployment.model.moe_layers = 58;
  deployment.model.experts = 256;
  deployment.model.top_k = 8;
  deployment.model.hidden_size = 7168;
  deployment.topology = *Topology::Uniform(8, 4, 9);  // 288 slots: a body of 33.4 kB
  return deployment;
}

DaemonFolder::DaemonFolder(Mode mode, const std::string& session, const std::string& limits)
    : mode_(mode) {
  char name[] = "/tmp/load-bench-XXXXXX";
  path_ = mkdtemp(name);
  std::ofstream(absl::StrCat(path_, "/deployment.yaml"))
      << "deployment: bench\nmode: " << (mode == Mode::kActive ? "active" : "advisory")
      << "\nmodel: {name: bench, moe_layers: 58, experts: 256, top_k: 8, hidden_size: 7168}\n"
         "topology: {nodes: 8, gpus_per_node: 4, slots_per_gpu: 9}\n";
  std::ofstream(absl::StrCat(path_, "/daemon.yaml"))
      << "listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\nstore: store.db\nmax_streams: 20000\n"
         "log_level: error\nlimits: {"
      << limits << "}\ndefaults:\n  policy: {min_window_tokens: 1000000000000}\n"
      << "  window: {max_bytes: 17179869184}\n  session: {"  // 1,000 reporters reserve 6 GB
      << session << "}\ndeployments:\n  - file: deployment.yaml\n";
}

DaemonFolder::~DaemonFolder() { std::filesystem::remove_all(path_); }

void DaemonFolder::StorePlans(bool committed, bool grouping, int plans) const {
  auto store = server::SqliteStore::Open(absl::StrCat(path_, "/store.db"), 64);
  if (!store.ok() || !(*store)->BeginEpoch().ok()) {
    Die(absl::StrCat("cannot write ", path_, "/store.db"));
  }
  const Deployment deployment = BenchDeployment();
  for (int revision = 1; revision <= plans; ++revision) {
    Plan plan;
    plan.deployment = deployment.name;
    plan.position = {1, static_cast<uint64_t>(revision)};
    plan.model = deployment.model;
    plan.topology = deployment.topology;
    plan.placement = LinearPlacement(plan.model, plan.topology);
    for (int n = 0; n < revision; ++n) {  // GPUs from both ends of a layer trade an expert
      auto row = plan.placement.row(LayerId(n % plan.model.moe_layers));
      const int slot = 9 * (n / plan.model.moe_layers);
      std::swap(row[slot], row[row.size() - 1 - slot]);
    }
    if (grouping) {
      Grouping& g = plan.grouping;
      Rng rng(revision);
      g.layers = plan.model.moe_layers;
      g.experts = plan.model.experts;
      g.nodes = plan.topology.node_count();
      g.bias.assign(g.nodes, 0);
      for (size_t i = 0; i < size_t(g.layers) * g.experts * g.nodes; ++i) {
        g.affinity.push_back(static_cast<float>(rng.Uniform()));
      }
      g.node_share.assign(g.nodes, 1.0f / static_cast<float>(g.nodes));
      g.load_slack = 0.1f;
      g.load_slack_requests = 8;
      g.load_price = 1;
      g.decode_per_prompt_token = 0.5f;
    }
    PlanRecord record;
    record.plan = std::make_shared<const Plan>(plan);
    record.content_hash = PlacementHash(plan);
    record.grouping = grouping ? plan.position : Position{};
    record.committed = committed;
    record.published_unix_ms = 1;
    if (const absl::Status status = (*store)->StorePlan(deployment.name, record); !status.ok()) {
      Die(std::string(status.message()));
    }
  }
  // Closing would clear the journal: what lies there while the store is open takes its place.
  const std::vector<std::string> files = {absl::StrCat(path_, "/store.db"),
                                          absl::StrCat(path_, "/store.db-wal")};
  for (const std::string& file : files) {
    std::filesystem::copy_file(file, absl::StrCat(file, ".open"));
  }
  store->reset();
  for (const std::string& file : files) {
    std::filesystem::rename(absl::StrCat(file, ".open"), file);
  }
}

Plan DaemonFolder::LastPlan() const {
  auto store = server::SqliteStore::Open(absl::StrCat(path_, "/store.db"), 64);
  auto loaded = store.ok() ? (*store)->Load("bench") : store.status();
  if (!loaded.ok()) {
    Die(std::string(loaded.status().message()));
  }
  return *loaded->stored.records.back().plan;
}

std::vector<std::string> DaemonFolder::Command(const Programs& programs) const {
  return {programs.advisord, "--config", absl::StrCat(path_, "/daemon.yaml")};
}

}  // namespace advisor::bench
