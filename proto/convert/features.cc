#include "proto/convert/features.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "proto/convert/limits.h"

namespace advisor {
namespace {

constexpr std::pair<const char*, bool Features::*> kNames[] = {
    {"samples", &Features::samples},
    {"delta-placement", &Features::delta_placement},
};

}  // namespace

Features FeaturesNamed(const FeatureNames& names) {
  Features features;
  for (const auto& [name, member] : kNames) {
    features.*member = std::find(names.begin(), names.end(), name) != names.end();
  }
  return features;
}

FeatureNames NamesOf(const Features& features) {
  FeatureNames names;
  for (const auto& [name, member] : kNames) {
    if (features.*member) {
      names.Add(name);
    }
  }
  return names;
}

absl::StatusOr<Features> RequiredFeatures(const FeatureNames& names) {
  const FeatureNames all = NamesOf({true, true});
  for (const std::string& name : names) {
    if (std::find(all.begin(), all.end(), name) == all.end()) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "FEATURE_MISSING: peer requires \"%s\", this end has %s; update the older",
          absl::Utf8SafeCEscape(name.substr(0, kMaxIdBytes)), absl::StrJoin(all, ", ")));
    }
  }
  return FeaturesNamed(names);
}

}  // namespace advisor
