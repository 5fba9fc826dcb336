#ifndef ADVISOR_PROTO_CONVERT_COUNTS_H_
#define ADVISOR_PROTO_CONVERT_COUNTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "advisor/v1/types.pb.h"
#include "core/session/messages.h"

namespace advisor {

// Encodes counts [layers, experts] in the narrowest width that holds the largest one, dense or with
// bitmaps, whichever is smaller. The time is one pass over the counts and one over the output.
EncodedCounts EncodeCounts(absl::Span<const uint32_t> counts, int experts);

// The inverse. INVALID_ARGUMENT: a width other than 1, 2, 4, or a size that does not fit
// layers x experts. Never reads outside `encoded.data`, whatever a peer sent.
absl::StatusOr<std::vector<uint32_t>> DecodeCounts(const EncodedCounts& encoded, int layers,
                                                   int experts);

v1::Counts ToProto(EncodedCounts counts);
EncodedCounts FromProto(v1::Counts&& counts);

// Whole tokens [tokens, layers, top_k], 1 byte per id for up to 256 experts, else 2: the encoding
// of SampledRequest.experts and StepBlock.experts.
std::string EncodeExperts(absl::Span<const uint16_t> ids, int experts);
// INVALID_ARGUMENT: not `ids` ids, or an id at or above `experts`; the text names the first one.
absl::StatusOr<std::vector<uint16_t>> DecodeExperts(const std::string& data, size_t ids,
                                                    int experts);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_COUNTS_H_
