#include "core/window/counts.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"

namespace advisor {
namespace {

static_assert(std::endian::native == std::endian::little,
              "counts are read as they lie on the wire");

enum class Sign { kAdd, kSubtract };

struct Row {
  uint64_t sum = 0;
  uint32_t largest = 0;
};

// One dense layer. Plain loops over fixed-width integers: the compiler turns them into SIMD.
template <typename T, Sign sign>
[[gnu::always_inline]] inline Row DenseLoop(const char* bytes, int experts, uint32_t* cells) {
  using Sum = std::conditional_t<sizeof(T) == 4, uint64_t, uint32_t>;  // 1024 x 65535 fits 32 bits
  Sum sum = 0;
  T largest = 0;
  for (int e = 0; e < experts; ++e) {
    T count;
    std::memcpy(&count, bytes + size_t(e) * sizeof(T), sizeof(T));
    cells[e] += sign == Sign::kAdd ? uint32_t{count} : -uint32_t{count};
    sum += count;
    largest = std::max(largest, count);
  }
  return {sum, largest};
}

#if defined(__x86_64__)
// The same for the wider registers of most machines, which a build for all must not take for given.
template <typename T, Sign sign>
[[gnu::target("avx2")]] Row WideDenseLoop(const char* bytes, int experts, uint32_t* cells) {
  return DenseLoop<T, sign>(bytes, experts, cells);
}

const bool kWide = __builtin_cpu_supports("avx2");
#endif

template <typename T, Sign sign>
Row AddDense(const char* bytes, int experts, uint32_t* cells) {
#if defined(__x86_64__)
  if (kWide) {
    return WideDenseLoop<T, sign>(bytes, experts, cells);
  }
#endif
  return DenseLoop<T, sign>(bytes, experts, cells);
}

// One sparse layer: `bitmap` says which experts follow in `bytes`.
template <typename T, Sign sign>
Row AddSparse(const unsigned char* bitmap, const char* bytes, int experts, uint32_t* cells) {
  Row row;
  for (int byte = 0; byte < (experts + 7) / 8; ++byte) {
    for (unsigned bits = bitmap[byte]; bits != 0; bits &= bits - 1) {
      T count;
      std::memcpy(&count, bytes, sizeof(T));
      bytes += sizeof(T);
      cells[byte * 8 + std::countr_zero(bits)] +=
          sign == Sign::kAdd ? uint32_t{count} : -uint32_t{count};
      row.sum += count;
      row.largest = std::max<uint32_t>(row.largest, count);
    }
  }
  return row;
}

// Walks the layers of an encoding whose shape was checked.
class LayerReader {
 public:
  LayerReader(const EncodedCounts& counts, int experts)
      : counts_(counts), experts_(experts), at_(counts.data.data()) {}

  template <Sign sign>
  Row Add(uint32_t* cells) {
    switch (counts_.width) {
      case 1:
        return AddAs<uint8_t, sign>(cells);
      case 2:
        return AddAs<uint16_t, sign>(cells);
      default:
        return AddAs<uint32_t, sign>(cells);
    }
  }

 private:
  template <typename T, Sign sign>
  Row AddAs(uint32_t* cells) {
    if (!counts_.sparse) {
      const Row row = AddDense<T, sign>(at_, experts_, cells);
      at_ += size_t(experts_) * sizeof(T);
      return row;
    }
    const auto* bitmap = reinterpret_cast<const unsigned char*>(at_);
    at_ += (experts_ + 7) / 8;
    size_t set = 0;
    for (int byte = 0; byte < (experts_ + 7) / 8; ++byte) {
      set += std::popcount(bitmap[byte]);
    }
    const Row row = AddSparse<T, sign>(bitmap, at_, experts_, cells);
    at_ += set * sizeof(T);
    return row;
  }

  const EncodedCounts& counts_;
  int experts_;
  const char* at_;
};

std::optional<CountsFault> CheckSparseShape(const ModelSpec& model, const EncodedCounts& counts) {
  const size_t bitmap_bytes = (model.experts + 7) / 8;
  const unsigned last_mask = model.experts % 8 == 0 ? 0xff : (1u << model.experts % 8) - 1;
  size_t at = 0;
  for (int layer = 0; layer < model.moe_layers; ++layer) {
    size_t set = 0;
    if (counts.data.size() - at < bitmap_bytes) {
      return CountsFault{RejectReason::kShape, layer, "the data ends inside a bitmap"};
    }
    for (size_t byte = 0; byte < bitmap_bytes; ++byte) {
      const auto bits = static_cast<unsigned char>(counts.data[at + byte]);
      set += std::popcount(bits);
      if (byte + 1 == bitmap_bytes && (bits & ~last_mask) != 0) {
        return CountsFault{
            RejectReason::kShape, layer,
            absl::StrFormat("the bitmap names an expert beyond the last, %d", model.experts - 1)};
      }
    }
    at += bitmap_bytes;
    if (counts.data.size() - at < set * counts.width) {
      return CountsFault{
          RejectReason::kShape, layer,
          absl::StrFormat("%d bytes of counts are left, the bitmap names %d of %d bytes",
                          counts.data.size() - at, set, counts.width)};
    }
    at += set * counts.width;
  }
  if (at != counts.data.size()) {
    return CountsFault{RejectReason::kShape, model.moe_layers - 1,
                       absl::StrFormat("%d bytes follow the last layer", counts.data.size() - at)};
  }
  return std::nullopt;
}

std::optional<CountsFault> CheckShape(const ModelSpec& model, const EncodedCounts& counts) {
  if (counts.width != 1 && counts.width != 2 && counts.width != 4) {
    return CountsFault{RejectReason::kShape, 0,
                       absl::StrFormat("width is %d, must be 1, 2 or 4 bytes", counts.width)};
  }
  if (counts.sparse) {
    return CheckSparseShape(model, counts);
  }
  const size_t want = size_t(model.moe_layers) * model.experts * counts.width;
  if (counts.data.size() != want) {
    return CountsFault{
        RejectReason::kShape, 0,
        absl::StrFormat("%d bytes of counts, must be %d layers x %d experts x %d bytes = %d",
                        counts.data.size(), model.moe_layers, model.experts, counts.width, want)};
  }
  return std::nullopt;
}

std::optional<CountsFault> CheckTokens(uint64_t tokens) {
  if (tokens <= kMaxBlockTokens) {
    return std::nullopt;
  }
  return CountsFault{RejectReason::kTooManyTokens, 0,
                     absl::StrFormat("%d tokens in one block, at most %d: send frames more often",
                                     tokens, kMaxBlockTokens)};
}

bool Lawful(const ModelSpec& model, uint64_t tokens, const Row& row) {
  return row.sum == tokens * model.top_k && row.largest <= tokens;
}

CountsFault BrokenLaw(const ModelSpec& model, uint64_t tokens, const Row& row, int layer) {
  if (row.largest > tokens) {
    return {RejectReason::kCountAboveTokens, layer,
            absl::StrFormat("an expert is counted %d times, the block has %d tokens", row.largest,
                            tokens)};
  }
  return {RejectReason::kSumLaw, layer,
          absl::StrFormat("counts sum to %d, must be %d tokens x top_k %d = %d", row.sum, tokens,
                          model.top_k, tokens * model.top_k)};
}

}  // namespace

std::optional<CountsFault> AddChecked(const ModelSpec& model, const EncodedCounts& counts,
                                      uint64_t tokens, uint32_t* cells) {
  if (auto fault = CheckTokens(tokens)) {
    return fault;
  }
  if (auto fault = CheckShape(model, counts)) {
    return fault;
  }
  LayerReader reader(counts, model.experts);
  for (int layer = 0; layer < model.moe_layers; ++layer) {
    const Row row = reader.Add<Sign::kAdd>(cells + size_t(layer) * model.experts);
    if (!Lawful(model, tokens, row)) {
      LayerReader again(counts, model.experts);
      for (int undo = 0; undo <= layer; ++undo) {
        again.Add<Sign::kSubtract>(cells + size_t(undo) * model.experts);
      }
      return BrokenLaw(model, tokens, row, layer);
    }
  }
  return std::nullopt;
}

std::optional<CountsFault> AddUnchecked(const ModelSpec& model, const EncodedCounts& counts,
                                        uint32_t* cells) {
  if (auto fault = CheckShape(model, counts)) {
    return fault;
  }
  LayerReader reader(counts, model.experts);
  for (int layer = 0; layer < model.moe_layers; ++layer) {
    reader.Add<Sign::kAdd>(cells + size_t(layer) * model.experts);
  }
  return std::nullopt;
}

std::optional<CountsFault> CheckLaws(const ModelSpec& model, uint64_t tokens,
                                     const uint32_t* cells) {
  if (auto fault = CheckTokens(tokens)) {
    return fault;
  }
  for (int layer = 0; layer < model.moe_layers; ++layer) {
    Row row;
    for (int e = 0; e < model.experts; ++e) {
      const uint32_t count = cells[size_t(layer) * model.experts + e];
      row.sum += count;
      row.largest = std::max(row.largest, count);
    }
    if (!Lawful(model, tokens, row)) {
      return BrokenLaw(model, tokens, row, layer);
    }
  }
  return std::nullopt;
}

const char* ToString(RejectReason reason) {
  switch (reason) {
    case RejectReason::kShape:
      return "shape";
    case RejectReason::kSumLaw:
      return "sum_law";
    case RejectReason::kCountAboveTokens:
      return "count_above_tokens";
    case RejectReason::kTooManyTokens:
      return "too_many_tokens";
    case RejectReason::kRegression:
      return "regression";
    case RejectReason::kDomainName:
      return "domain_name";
    case RejectReason::kSample:
      return "sample";
  }
  return "unknown";
}

}  // namespace advisor
