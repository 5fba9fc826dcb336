#ifndef ADVISOR_PROTO_CONVERT_LIMITS_H_
#define ADVISOR_PROTO_CONVERT_LIMITS_H_

#include <cstddef>

namespace advisor {

// Limits of the wire that conversion enforces; both ends use them. Those of a model's shape are in
// core/model.
inline constexpr size_t kMaxIdBytes = 128;  // deployment, reporter, subscriber, node
inline constexpr size_t kMaxDomainBytes = 64;
inline constexpr size_t kIncarnationBytes = 16;
inline constexpr size_t kMaxErrorBytes = 256;  // messages of rejects and NACKs
inline constexpr size_t kMaxBlocks = 128;      // per frame
inline constexpr size_t kMaxSamples = 16384;   // sampled requests per frame
inline constexpr size_t kMaxBuckets = 1024;    // per Window
inline constexpr size_t kMaxFramesOnce = 64;   // per ReportOnce
inline constexpr size_t kMaxAckRejects = 16;   // per FrameAck

// Of one message after decompression, as gRPC channel arguments. A plan with the grouping tables of
// 256 layers x 1024 experts x 64 nodes is the largest there is; 58 x 256 x 8 is 0.5 MB.
inline constexpr int kMaxRequestBytes = 4 << 20;
inline constexpr int kMaxResponseBytes = 80 << 20;

inline constexpr unsigned kProtocol = 1;  // spoken by this build

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_LIMITS_H_
