#include "client/ctl/frontier.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "client/ctl/options.h"
#include "client/ctl/table.h"
#include "client/ctl/trial.h"
#include "core/base/status_macros.h"
#include "core/exec/thread_pool.h"
#include "core/io/atomic_file.h"
#include "core/io/deployment_file.h"
#include "core/io/plan_file.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kFactors[] = {2, 5, 20};
constexpr double kUsualExtraSlots[] = {0, 12.5, 25, 50, 75, 100, 150, 200, 300, 400, 500, 600, 700};

struct Options {
  std::string deployment, html;
  std::vector<std::string> traces, holdouts;
  std::vector<double> extra_slots{std::begin(kUsualExtraSlots), std::end(kUsualExtraSlots)};
  std::vector<int> nodes;
  SolveFlags flags;
  std::string phase = "decode";
  int threads = 1;
  bool json = false;
};

// The deployment's GPUs over `nodes` nodes; as they are where that is the deployment's own number.
absl::StatusOr<Topology> TopologyOf(const Deployment& deployment, int nodes, int slots_per_gpu) {
  const Topology& own = deployment.topology;
  if (nodes == own.node_count()) {
    std::vector<NodeSpec> specs = own.nodes();
    for (NodeSpec& spec : specs) {
      spec.slots_per_gpu = slots_per_gpu;
    }
    return Topology::Create(std::move(specs));
  }
  if (own.gpu_count() % nodes != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the deployment's %d GPUs do not divide over %d nodes; give other --nodes",
                        own.gpu_count(), nodes));
  }
  return Topology::Uniform(nodes, own.gpu_count() / nodes, slots_per_gpu);
}

// Walks along the memory of one number of nodes.
class Walk {
 public:
  Walk(const Options& options, const Deployment& deployment, const Traffic& train,
       const Traffic& holdout, ParallelFor& parallel)
      : options_(options), holdout_(holdout), parallel_(parallel), deployment_(deployment) {
    problem_ = ProblemOf(deployment, train, nullptr);
    params_ = options.flags.ToParams();
    params_.phase = deployment.phase;
  }

  // The points asked for, and those needed to name the memory of every factor to the slot.
  absl::Status Run(int nodes, Frontier* out) {
    nodes_ = nodes;
    points_.clear();
    for (const double percent : options_.extra_slots) {
      if (percent <= 100.0 * (nodes - 1)) {  // beyond, everything can be local already
        RETURN_IF_ERROR(Measure(SlotsOf(percent), percent));
      }
    }
    for (const double factor : kFactors) {
      RETURN_IF_ERROR(Narrow(factor));
      const auto first = FirstReaching(factor);
      out->reached.push_back({nodes, factor, std::nullopt});
      if (first != points_.end()) {
        out->reached.back().extra_slots_percent = first->spare_percent;
      }
    }
    out->points.insert(out->points.end(), points_.begin(), points_.end());
    return absl::OkStatus();
  }

 private:
  int SlotsOf(double percent) const {
    return SlotsPerGpu(problem_.model.experts, percent, deployment_.topology.gpu_count());
  }

  double SpareOf(int slots) const {
    return 100.0 *
           (static_cast<double>(slots) * deployment_.topology.gpu_count() / problem_.model.experts -
            1);
  }

  std::vector<FrontierPoint>::iterator FirstReaching(double factor) {
    return std::find_if(points_.begin(), points_.end(), [factor](const FrontierPoint& p) {
      return TrafficFactor(p.figures) >= factor;
    });
  }

  // Halves the gap below the first point that reaches `factor` until it is one slot wide.
  absl::Status Narrow(double factor) {
    for (;;) {
      const auto first = FirstReaching(factor);
      if (first == points_.end() || first == points_.begin()) {
        return absl::OkStatus();
      }
      const int below = std::prev(first)->slots_per_gpu, above = first->slots_per_gpu;
      if (above - below < 2) {
        return absl::OkStatus();
      }
      const int middle = (below + above) / 2;
      RETURN_IF_ERROR(Measure(middle, SpareOf(middle)));
    }
  }

  // Keeps points_ sorted by slots; does nothing where the slots were measured before.
  absl::Status Measure(int slots, double percent) {
    const auto at = std::lower_bound(
        points_.begin(), points_.end(), slots,
        [](const FrontierPoint& point, int value) { return point.slots_per_gpu < value; });
    if (at != points_.end() && at->slots_per_gpu == slots) {
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(problem_.topology, TopologyOf(deployment_, nodes_, slots));
    ASSIGN_OR_RETURN(
        const Trial trial,
        SolveAndJudge(absl::StrFormat("%d nodes, %.4g %% spare slots", nodes_, SpareOf(slots)),
                      problem_, params_, holdout_,
                      {PhaseOf(options_.phase), params_.dispatch, problem_.time_model}, parallel_));
    points_.insert(at, {nodes_, percent, slots, SpareOf(slots), trial.figures});
    return absl::OkStatus();
  }

  const Options& options_;
  const Traffic& holdout_;
  ParallelFor& parallel_;
  const Deployment& deployment_;
  Problem problem_;
  SolveParams params_;
  int nodes_ = 0;
  std::vector<FrontierPoint> points_;
};

std::string FactorName(double factor) { return absl::StrFormat("%gx", factor); }

std::string FactorText(const Figures& figures) {
  if (!figures.saving_ratio.has_value()) {
    return "-";
  }
  const double factor = TrafficFactor(figures);
  return std::isfinite(factor) ? absl::StrFormat("%.2fx", factor) : "none left";
}

void PrintText(const Frontier& frontier) {
  Table table({"nodes", "spare slots", "slots/GPU", "saved", "less by", "inter-node bytes/token",
               "node load", "GPU load", "pair message"});
  for (const FrontierPoint& p : frontier.points) {
    const Figures& f = p.figures;
    table.AddRow(
        {absl::StrCat(p.nodes), absl::StrFormat("%.4g %%", p.spare_percent),
         absl::StrCat(p.slots_per_gpu), f.saving_ratio.has_value() ? Percent(*f.saving_ratio) : "-",
         FactorText(f), absl::StrFormat("%.0f", f.internode_bytes_per_token.value_or(0)),
         absl::StrFormat("%.3f", f.node_load.mean), absl::StrFormat("%.3f", f.gpu_load.mean),
         absl::StrFormat("%.3f", f.max_pair_message.value_or(0))});
  }
  std::printf("%s\n", table.ToText().c_str());
  for (const FrontierReached& r : frontier.reached) {
    if (r.factor == kFactors[0]) {
      std::printf("%s%d nodes:", r.nodes == frontier.reached.front().nodes ? "" : "\n", r.nodes);
    }
    std::printf("%s %s less at %s", r.factor == kFactors[0] ? "" : ",",
                FactorName(r.factor).c_str(),
                r.extra_slots_percent.has_value()
                    ? absl::StrFormat("%.4g %%", *r.extra_slots_percent).c_str()
                    : "no memory measured");
  }
  std::printf("\n");
}

void PrintJson(const Frontier& frontier) {
  Json points = Json::array(), reached = Json::object();
  for (const FrontierPoint& p : frontier.points) {
    points.push_back({{"nodes", p.nodes},
                      {"extra_slots_percent", p.extra_slots_percent},
                      {"slots_per_gpu", p.slots_per_gpu},
                      {"spare_percent", p.spare_percent},
                      {"figures", Json::parse(FiguresToJson(p.figures))}});
  }
  for (const FrontierReached& r : frontier.reached) {
    reached[FactorName(r.factor)].push_back(
        {{"nodes", r.nodes},
         {"extra_slots_percent",
          r.extra_slots_percent.has_value() ? Json(*r.extra_slots_percent) : Json()}});
  }
  std::printf("%s\n", Json{{"points", points}, {"reached", reached}}.dump().c_str());
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Deployment deployment, ReadDeployment(o.deployment));
  ASSIGN_OR_RETURN(Traffic train, ReadTracesOf(o.traces, o.deployment, deployment.model));
  Traffic holdout;
  if (o.holdouts.empty()) {
    Traffic all = std::move(train);
    SplitHoldout(std::move(all), kHalves, &train, &holdout);
  } else {
    ASSIGN_OR_RETURN(holdout, ReadTracesOf(o.holdouts, o.deployment, deployment.model));
  }
  const std::unique_ptr<ParallelFor> parallel = MakeThreadPool(o.threads);
  Frontier frontier{deployment.model.name, train.source, deployment.topology.gpu_count(), {}, {}};
  std::vector<int> nodes = o.nodes;
  if (nodes.empty()) {
    nodes.push_back(deployment.topology.node_count());
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  for (const int n : nodes) {  // wrong usage is found before anything takes time
    RETURN_IF_ERROR(TopologyOf(deployment, n, 1).status());
  }
  Walk walk(o, deployment, train, holdout, *parallel);
  for (const int n : nodes) {
    RETURN_IF_ERROR(walk.Run(n, &frontier));
  }
  if (!o.html.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(o.html, FrontierPage(frontier).ToHtml()));
  }
  if (o.json) {
    PrintJson(frontier);
  } else {
    PrintText(frontier);
  }
  return absl::OkStatus();
}

}  // namespace

double TrafficFactor(const Figures& figures) {
  const double left = 1 - figures.saving_ratio.value_or(0);
  return left > 0 ? 1 / left : std::numeric_limits<double>::infinity();
}

void AddFrontier(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "frontier",
      "What fewer inter-node bytes cost in memory: `joint` at rising numbers of spare slots, "
      "judged "
      "on requests that it has not seen, and the memory at which traffic falls by 2x, 5x and 20x. "
      "Where that lies between two numbers asked for, those between are tried too");
  command
      ->add_option("--deployment", o->deployment,
                   "Deployment file (YAML): model, GPUs, phase; its slots are not used")
      ->required();
  command->add_option("--trace", o->traces, "Routing trace to solve on; may be given several times")
      ->required();
  command->add_option("--holdout", o->holdouts,
                      "Routing trace to judge on; may be given several times. Without it, every "
                      "second request of each domain is held out of --trace");
  command
      ->add_option("--extra-slots", o->extra_slots,
                   "Percent of spare slots, separated by commas; what is beyond (nodes - 1) x 100, "
                   "where everything can be local, is left out")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 6400.0))
      ->capture_default_str();
  command
      ->add_option("--nodes", o->nodes,
                   "Numbers of nodes to spread the deployment's GPUs over, separated by commas; "
                   "default: the deployment's own")
      ->delimiter(',')
      ->check(CLI::Range(2, kMaxNodes));
  command->add_option("--html", o->html, "Write a page with charts there");
  AddPhaseOption(command, "Tokens judged", &o->phase);
  AddSolveFlags(command, &o->flags);
  AddThreadsOption(command, &o->threads);
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
