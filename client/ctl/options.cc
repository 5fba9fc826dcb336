#include "client/ctl/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "absl/strings/numbers.h"

namespace advisor::client {
namespace {

constexpr double kLargestCap = 1000;

bool ParseTimeLimit(const std::string& text, absl::Duration* out) {
  double seconds = 0;
  if (text == "none") {
    *out = absl::InfiniteDuration();
  } else if (absl::SimpleAtod(text, &seconds)) {
    *out = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, out)) {
    return false;
  }
  return *out > absl::ZeroDuration();
}

}  // namespace

void AddPhaseOption(CLI::App* command, const std::string& help, std::string* text) {
  command->add_option("--phase", *text, help)
      ->check(CLI::IsMember({"all", "decode", "prefill"}))
      ->capture_default_str();
}

PhaseFilter PhaseOf(const std::string& text) {
  return text == "decode"    ? PhaseFilter::kDecode
         : text == "prefill" ? PhaseFilter::kPrefill
                             : PhaseFilter::kAll;
}

void AddDispatchOption(CLI::App* command, std::string* text) {
  command
      ->add_option("--dispatch", *text,
                   "How engines pick remote copies: by the plan's table, or (what if) so that each "
                   "token visits the "
                   "fewest nodes")
      ->check(CLI::IsMember({"table", "cover"}))
      ->capture_default_str();
}

Dispatch DispatchOf(const std::string& text) {
  return text == "cover" ? Dispatch::kCover : Dispatch::kTable;
}

void AddTimeLimitOption(CLI::App* command, std::string* text) {
  command
      ->add_option("--time-limit", *text,
                   "Outer stop: none, seconds, or a duration such as 500ms or 2m. The plan says "
                   "when it struck")
      ->check(
          [](const std::string& value) {
            absl::Duration limit;
            return ParseTimeLimit(value, &limit)
                       ? std::string()
                       : "must be none or a duration above 0, such as 30s";
          },
          "DURATION")
      ->capture_default_str();
}

absl::Duration TimeLimitOf(const std::string& text) {
  absl::Duration limit = absl::InfiniteDuration();
  ParseTimeLimit(text, &limit);
  return limit;
}

void AddJsonFlag(CLI::App* command, bool* json) {
  command->add_flag("--json", *json, "Print JSON instead of a table");
}

void AddThreadsOption(CLI::App* command, int* threads) {
  *threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 64);
  command
      ->add_option("--threads", *threads, "Threads to solve with; the plan does not depend on them")
      ->check(CLI::Range(1, 256));
}

SolveParams SolveFlags::ToParams() const {
  SolveParams result = params;
  result.objective = *ParseObjective(objective);
  result.effort = *ParseEffort(effort);
  result.dispatch = DispatchOf(dispatch);
  return result;
}

void AddSolveFlags(CLI::App* command, SolveFlags* flags) {
  command
      ->add_option("--node-load-cap", flags->params.node_load_cap,
                   "Most loaded node over the mean, in every layer, on the solver's own traffic")
      ->check(CLI::Range(1.0, kLargestCap))
      ->capture_default_str();
  command->add_option("--gpu-load-cap", flags->params.gpu_load_cap, "The same for GPUs")
      ->check(CLI::Range(1.0, kLargestCap))
      ->capture_default_str();
  command->add_option("--objective", flags->objective, "What is minimised")
      ->check(CLI::IsMember({"internode_bytes", "balance", "latency"}))
      ->capture_default_str();
  command
      ->add_option("--effort", flags->effort,
                   "Iteration budget: the same seed gives the same plan on any machine")
      ->check(CLI::IsMember({"quick", "standard", "thorough"}))
      ->capture_default_str();
  AddDispatchOption(command, &flags->dispatch);
  command->add_option("--seed", flags->params.seed, "Seed of everything random")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace advisor::client
