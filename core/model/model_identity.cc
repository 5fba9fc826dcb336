#include "core/model/model_identity.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace advisor {
namespace {

std::vector<std::pair<const char*, std::string>> IdentityFields(const ModelSpec& m) {
  return {{"name", m.name},
          {"moe_layers", absl::StrCat(m.moe_layers)},
          {"experts", absl::StrCat(m.experts)},
          {"top_k", absl::StrCat(m.top_k)},
          {"expert_groups", absl::StrCat(m.expert_groups)},
          {"groups_per_token", absl::StrCat(m.groups_per_token)},
          {"expert_bytes", absl::StrCat(m.expert_bytes)}};
}

}  // namespace

std::string IdentityText(const ModelSpec& model) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : IdentityFields(model)) {
    parts.push_back(absl::StrCat(key, " ", value));
  }
  return absl::StrJoin(parts, ", ");
}

std::string IdentityDifference(const ModelSpec& a, const ModelSpec& b) {
  std::vector<std::string> parts;
  const auto of_a = IdentityFields(a), of_b = IdentityFields(b);
  for (size_t i = 0; i < of_a.size(); ++i) {
    if (of_a[i].second != of_b[i].second) {
      parts.push_back(
          absl::StrCat(of_a[i].first, " ", of_a[i].second, " against ", of_b[i].second));
    }
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace advisor
