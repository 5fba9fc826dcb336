#include <array>

#include "core/solver/solver.h"

namespace advisor {
namespace {

template <typename Enum, size_t n>
std::optional<Enum> ParseAs(const std::array<Enum, n>& values, const std::string& text) {
  for (Enum value : values) {
    if (text == ToString(value)) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

const char* ToString(Method method) {
  switch (method) {
    case Method::kJoint:
      return "joint";
    case Method::kLinear:
      return "linear";
    case Method::kEplb:
      return "eplb";
    case Method::kPaper:
      return "paper";
    case Method::kGreedyCoactivation:
      return "greedy-coactivation";
  }
  return "unknown";
}

const char* ToString(Objective objective) {
  switch (objective) {
    case Objective::kInternodeBytes:
      return "internode_bytes";
    case Objective::kBalance:
      return "balance";
    case Objective::kLatency:
      return "latency";
  }
  return "unknown";
}

const char* ToString(Effort effort) {
  switch (effort) {
    case Effort::kQuick:
      return "quick";
    case Effort::kStandard:
      return "standard";
    case Effort::kThorough:
      return "thorough";
  }
  return "unknown";
}

std::optional<Method> ParseMethod(const std::string& text) {
  return ParseAs(std::array{Method::kJoint, Method::kLinear, Method::kEplb, Method::kPaper,
                            Method::kGreedyCoactivation},
                 text);
}

std::optional<Objective> ParseObjective(const std::string& text) {
  return ParseAs(std::array{Objective::kInternodeBytes, Objective::kBalance, Objective::kLatency},
                 text);
}

std::optional<Effort> ParseEffort(const std::string& text) {
  return ParseAs(std::array{Effort::kQuick, Effort::kStandard, Effort::kThorough}, text);
}

}  // namespace advisor
