#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "client/ctl/command.h"
#include "client/ctl/options.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/io/trace.h"
#include "core/synth/generator.h"

namespace advisor::client {
namespace {

struct Options {
  std::string preset, out;
  int requests = 800, tokens = 200, domains = 4;
  uint64_t seed = 1;
};

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(GeneratorOptions generator, Preset(o.preset));
  generator.requests = o.requests;
  generator.tokens = o.tokens;
  generator.domains = o.domains;
  generator.seed = o.seed;
  ASSIGN_OR_RETURN(const Traffic traffic, Generate(generator));
  return WriteTrace(o.out, traffic);
}

}  // namespace

void AddSynth(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "synth", "Write a synthetic routing trace, calibrated to a model's real one");
  command->add_option("--preset", o->preset, "Model whose routing is imitated")
      ->required()
      ->check(CLI::IsMember(PresetNames()));
  command->add_option("--requests", o->requests, "Requests")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--tokens", o->tokens, "Mean tokens of a request, prompt included")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command->add_option("--domains", o->domains, "Task domains")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "Seed; the same options give the same file")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--out", o->out, "Trace to write: .jsonl, or .jsonl.gz")->required();
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
