#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "core/base/status_macros.h"
#include "core/io/atomic_file.h"
#include "core/io/deployment_file.h"
#include "core/io/trace.h"
#include "core/synth/generator.h"

namespace advisor::client {
namespace {

struct Options {
  std::string trace, out, name;
  std::string mode = "advisory", phase = "all";
  int nodes = 4, gpus_per_node = 8;
  double extra_slots = 0;
};

// Traces rarely say what an expert weighs. For a model of the presets it is known; without it a
// plan cannot say what its moves cost.
bool TakeExpertBytes(ModelSpec* model) {
  const absl::StatusOr<GeneratorOptions> preset = Preset(model->name);
  if (!preset.ok() || preset->model.experts != model->experts ||
      preset->model.hidden_size != model->hidden_size) {
    return false;
  }
  model->expert_bytes = preset->model.expert_bytes;
  return true;
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(std::unique_ptr<TraceReader> reader, TraceReader::Open(o.trace));
  int64_t requests = 0, tokens = 0;
  Request request;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, reader->Next(&request));
    if (!more) {
      break;
    }
    ++requests;
    tokens += request.tokens;
  }
  Deployment d;
  d.name = o.name;
  d.mode = o.mode == "active" ? Mode::kActive : Mode::kAdvisory;
  d.phase = o.phase == "all"      ? PhaseFilter::kAll
            : o.phase == "decode" ? PhaseFilter::kDecode
                                  : PhaseFilter::kPrefill;
  d.model = reader->model();
  const bool sized = d.model.expert_bytes > 0 || TakeExpertBytes(&d.model);
  const int slots = SlotsPerGpu(d.model.experts, o.extra_slots, o.nodes * o.gpus_per_node);
  ASSIGN_OR_RETURN(d.topology, Topology::Uniform(o.nodes, o.gpus_per_node, slots));
  RETURN_IF_ERROR(Validate(d));
  RETURN_IF_ERROR(WriteFileAtomically(o.out, DeploymentToYaml(d)));
  std::printf("%s: %s, %d layers x %d experts, top-%d; %d nodes x %d GPUs x %d slots\n",
              o.out.c_str(), d.model.name.c_str(), d.model.moe_layers, d.model.experts,
              d.model.top_k, o.nodes, o.gpus_per_node, slots);
  std::printf("%s: %lld requests, %lld tokens\n", o.trace.c_str(), static_cast<long long>(requests),
              static_cast<long long>(tokens));
  if (!sized) {
    std::printf(
        "%s: the trace does not say what an expert weighs; set expert_bytes by hand, or moves "
        "count as free\n",
        o.out.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddInit(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("init", "Write a deployment file for the model of a routing trace");
  command->add_option("--trace", o->trace, "Trace whose header describes the model")->required();
  command->add_option("--name", o->name, "Name of the deployment")->required();
  command->add_option("--mode", o->mode, "Whether engines act on plans")
      ->check(CLI::IsMember({"advisory", "active"}))
      ->capture_default_str();
  command->add_option("--phase", o->phase, "Traffic that the pool serves")
      ->check(CLI::IsMember({"all", "decode", "prefill"}))
      ->capture_default_str();
  command->add_option("--nodes", o->nodes, "Nodes")
      ->check(CLI::Range(1, kMaxNodes))
      ->capture_default_str();
  command->add_option("--gpus-per-node", o->gpus_per_node, "GPUs of each node")
      ->check(CLI::Range(1, kMaxGpus))
      ->capture_default_str();
  command->add_option("--extra-slots", o->extra_slots, "Percent of slots for redundant copies")
      ->check(CLI::Range(0.0, 6400.0))
      ->capture_default_str();
  command->add_option("--out", o->out, "Deployment file to write")->required();
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
