#ifndef ADVISOR_PROTO_CONVERT_MODEL_H_
#define ADVISOR_PROTO_CONVERT_MODEL_H_

#include "absl/status/statusor.h"
#include "advisor/v1/types.pb.h"
#include "core/model/deployment.h"
#include "core/model/figures.h"
#include "core/model/model_spec.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/model/topology.h"

namespace advisor {

// ToProto() takes valid values. FromProto() takes whatever a peer sent: INVALID_ARGUMENT names the
// field, what was got and the limit.

v1::Model ToProto(const ModelSpec& model);
absl::StatusOr<ModelSpec> FromProto(const v1::Model& model);

v1::Topology ToProto(const Topology& topology);
absl::StatusOr<Topology> FromProto(const v1::Topology& topology);

v1::Position ToProto(Position position);
Position FromProto(const v1::Position& position);

v1::Figures ToProto(const Figures& figures);
Figures FromProto(const v1::Figures& figures);

v1::Phase ToProto(Phase phase);
absl::StatusOr<Phase> FromProto(v1::Phase phase);

v1::Mode ToProto(Mode mode);
absl::StatusOr<Mode> FromProto(v1::Mode mode);

// INVALID_ARGUMENT unless `id` is 1 .. 128 bytes of [a-z0-9._-]; `field` is named in the text.
absl::Status ValidateId(const char* field, const std::string& id);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_MODEL_H_
