#include "proto/convert/counts.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "proto/convert/little_endian.h"

namespace advisor {
namespace {

template <typename Wire>
std::string EncodeSparse(absl::Span<const uint32_t> counts, int experts, size_t size) {
  const size_t bitmap_bytes = (experts + 7) / 8;
  std::string out(size, '\0');
  char* p = out.data();
  for (size_t first = 0; first < counts.size(); first += experts) {
    char* bitmap = p;
    p += bitmap_bytes;
    for (int e = 0; e < experts; ++e) {
      if (counts[first + e] != 0) {
        bitmap[e / 8] = static_cast<char>(bitmap[e / 8] | 1 << (e % 8));
        const auto wire = static_cast<Wire>(counts[first + e]);
        std::memcpy(p, &wire, sizeof(Wire));
        p += sizeof(Wire);
      }
    }
  }
  return out;
}

template <typename Wire>
std::string Encode(absl::Span<const uint32_t> counts, int experts, bool sparse, size_t size) {
  return sparse ? EncodeSparse<Wire>(counts, experts, size) : PackAs<Wire>(counts);
}

// False when the data ends early or late.
template <typename Wire>
bool DecodeSparse(const std::string& data, int experts, absl::Span<uint32_t> out) {
  const size_t bitmap_bytes = (experts + 7) / 8;
  const char* p = data.data();
  const char* const end = p + data.size();
  for (size_t first = 0; first < out.size(); first += experts) {
    if (size_t(end - p) < bitmap_bytes) {
      return false;
    }
    const char* bitmap = p;
    p += bitmap_bytes;
    for (int e = 0; e < experts; ++e) {
      if (bitmap[e / 8] >> (e % 8) & 1) {
        if (size_t(end - p) < sizeof(Wire)) {
          return false;
        }
        Wire wire;
        std::memcpy(&wire, p, sizeof(Wire));
        out[first + e] = wire;
        p += sizeof(Wire);
      }
    }
  }
  return p == end;
}

template <typename Wire>
bool Decode(const EncodedCounts& encoded, int experts, std::vector<uint32_t>* out) {
  return encoded.sparse ? DecodeSparse<Wire>(encoded.data, experts, absl::MakeSpan(*out))
                        : UnpackAs<Wire>(encoded.data, *out);
}

}  // namespace

EncodedCounts EncodeCounts(absl::Span<const uint32_t> counts, int experts) {
  uint32_t largest = 0;
  size_t nonzero = 0;
  for (const uint32_t count : counts) {
    largest = std::max(largest, count);
    nonzero += count != 0;
  }
  EncodedCounts out;
  out.width = largest < 1u << 8 ? 1 : largest < 1u << 16 ? 2 : 4;
  const size_t layers = counts.size() / experts;
  const size_t dense_size = counts.size() * out.width;
  const size_t sparse_size = layers * ((experts + 7) / 8) + nonzero * out.width;
  out.sparse = sparse_size < dense_size;
  const size_t size = out.sparse ? sparse_size : dense_size;
  switch (out.width) {
    case 1:
      out.data = Encode<uint8_t>(counts, experts, out.sparse, size);
      break;
    case 2:
      out.data = Encode<uint16_t>(counts, experts, out.sparse, size);
      break;
    default:
      out.data = Encode<uint32_t>(counts, experts, out.sparse, size);
  }
  return out;
}

absl::StatusOr<std::vector<uint32_t>> DecodeCounts(const EncodedCounts& encoded, int layers,
                                                   int experts) {
  std::vector<uint32_t> out(size_t(layers) * experts, 0);
  bool fits = false;
  switch (encoded.width) {
    case 1:
      fits = Decode<uint8_t>(encoded, experts, &out);
      break;
    case 2:
      fits = Decode<uint16_t>(encoded, experts, &out);
      break;
    case 4:
      fits = Decode<uint32_t>(encoded, experts, &out);
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrFormat("counts have width %d, must be 1, 2 or 4 bytes", encoded.width));
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s counts of width %d have %d bytes, which does not fit %d layers x %d experts",
        encoded.sparse ? "sparse" : "dense", encoded.width, encoded.data.size(), layers, experts));
  }
  return out;
}

v1::Counts ToProto(EncodedCounts counts) {
  v1::Counts out;
  out.set_width(counts.width);
  out.set_sparse(counts.sparse);
  out.set_data(std::move(counts.data));
  return out;
}

EncodedCounts FromProto(v1::Counts&& counts) {
  EncodedCounts out;
  out.width = static_cast<int>(std::min<uint32_t>(counts.width(), 255));
  out.sparse = counts.sparse();
  out.data = std::move(*counts.mutable_data());
  return out;
}

std::string EncodeExperts(absl::Span<const uint16_t> ids, int experts) {
  return experts <= 256 ? PackAs<uint8_t>(ids) : PackAs<uint16_t>(ids);
}

absl::StatusOr<std::vector<uint16_t>> DecodeExperts(const std::string& data, size_t ids,
                                                    int experts) {
  const size_t width = experts <= 256 ? 1 : 2;
  // Before anything is allocated: `ids` may come from a peer too.
  if (data.size() / width != ids || data.size() % width != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "experts have %d bytes, must have %d ids of %d byte(s)", data.size(), ids, width));
  }
  std::vector<uint16_t> out(ids);
  width == 1 ? UnpackAs<uint8_t>(data, out) : UnpackAs<uint16_t>(data, out);
  const auto bad = std::find_if(out.begin(), out.end(), [&](uint16_t e) { return e >= experts; });
  if (bad != out.end()) {
    return absl::InvalidArgumentError(absl::StrFormat("id %d at position %d, must be below %d",
                                                      *bad, bad - out.begin(), experts));
  }
  return out;
}

}  // namespace advisor
