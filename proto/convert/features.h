#ifndef ADVISOR_PROTO_CONVERT_FEATURES_H_
#define ADVISOR_PROTO_CONVERT_FEATURES_H_

#include <google/protobuf/repeated_field.h>

#include <string>

#include "absl/status/statusor.h"
#include "core/session/features.h"

namespace advisor {

using FeatureNames = google::protobuf::RepeatedPtrField<std::string>;

// Names that this build does not know are ignored.
Features FeaturesNamed(const FeatureNames& names);
FeatureNames NamesOf(const Features& features);

// Features that a peer cannot do without. FAILED_PRECONDITION FEATURE_MISSING: one is not known
// here.
absl::StatusOr<Features> RequiredFeatures(const FeatureNames& names);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_FEATURES_H_
