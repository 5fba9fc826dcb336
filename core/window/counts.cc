#include "core/window/counts.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

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

// One dense layer. Plain loops over fixed-width integers: the compiler turns them into SIMD, the
// better the narrower they are, so sums run in stretches that twice a count's width holds.
template <typename T, Sign sign, typename Cell>
[[gnu::always_inline]] inline Row AddDense(const char* bytes, int experts, Cell* cells) {
  constexpr int kStretch = 256;  // counts: 256 x 255 fits 16 bits
  using Sum = std::conditional_t<sizeof(T) == 1, uint16_t,
                                 std::conditional_t<sizeof(T) == 2, uint32_t, uint64_t>>;
  Row row;
  T largest = 0;
  for (int from = 0; from < experts; from += kStretch) {
    const int to = std::min(experts, from + kStretch);
    Sum sum = 0;
    for (int e = from; e < to; ++e) {
      T count;
      std::memcpy(&count, bytes + size_t(e) * sizeof(T), sizeof(T));
      cells[e] = static_cast<Cell>(sign == Sign::kAdd ? cells[e] + count : cells[e] - count);
      sum += count;
      largest = std::max(largest, count);
    }
    row.sum += sum;
  }
  row.largest = largest;
  return row;
}

// One sparse layer: `bitmap` says which experts follow in `bytes`, which is moved behind them.
template <typename T, Sign sign, typename Cell>
[[gnu::always_inline]] inline Row AddSparse(const unsigned char* bitmap, const char** bytes,
                                            int experts, Cell* cells) {
  Row row;
  for (int byte = 0; byte < (experts + 7) / 8; ++byte) {
    for (unsigned bits = bitmap[byte]; bits != 0; bits &= bits - 1) {
      T count;
      std::memcpy(&count, *bytes, sizeof(T));
      *bytes += sizeof(T);
      Cell& cell = cells[byte * 8 + std::countr_zero(bits)];
      cell = static_cast<Cell>(sign == Sign::kAdd ? cell + count : cell - count);
      row.sum += count;
      row.largest = std::max<uint32_t>(row.largest, count);
    }
  }
  return row;
}

bool Lawful(const ModelSpec& model, uint64_t tokens, const Row& row) {
  return row.sum == tokens * model.top_k && row.largest <= tokens;
}

// The layers 0 .. end - 1 of an encoding whose shape was checked. With `tokens` stops behind the
// first that breaks a law; returns that layer, with *row, or `end`.
template <typename T, Sign sign, typename Cell>
[[gnu::always_inline]] inline int AddLayersAs(const ModelSpec& model, const EncodedCounts& counts,
                                              std::optional<uint64_t> tokens, int end, Cell* cells,
                                              Row* row) {
  const char* at = counts.data.data();
  for (int layer = 0; layer < end; ++layer) {
    if (counts.sparse) {
      const auto* bitmap = reinterpret_cast<const unsigned char*>(at);
      at += (model.experts + 7) / 8;
      *row = AddSparse<T, sign>(bitmap, &at, model.experts, cells);
    } else {
      *row = AddDense<T, sign>(at, model.experts, cells);
      at += size_t(model.experts) * sizeof(T);
    }
    if (tokens.has_value() && !Lawful(model, *tokens, *row)) {
      return layer;
    }
    cells += model.experts;
  }
  return end;
}

template <Sign sign, typename Cell>
[[gnu::always_inline]] inline int AddLayersHere(const ModelSpec& model, const EncodedCounts& counts,
                                                std::optional<uint64_t> tokens, int end,
                                                Cell* cells, Row* row) {
  switch (counts.width) {
    case 1:
      return AddLayersAs<uint8_t, sign>(model, counts, tokens, end, cells, row);
    case 2:
      return AddLayersAs<uint16_t, sign>(model, counts, tokens, end, cells, row);
    default:
      return AddLayersAs<uint32_t, sign>(model, counts, tokens, end, cells, row);
  }
}

#if defined(__x86_64__)
// The same for the wider registers of most machines, which a build for all must not take for given.
template <Sign sign, typename Cell>
[[gnu::target("avx2")]] int AddLayersWide(const ModelSpec& model, const EncodedCounts& counts,
                                          std::optional<uint64_t> tokens, int end, Cell* cells,
                                          Row* row) {
  return AddLayersHere<sign>(model, counts, tokens, end, cells, row);
}

const bool kWide = __builtin_cpu_supports("avx2");
#endif

template <Sign sign, typename Cell>
int AddLayers(const ModelSpec& model, const EncodedCounts& counts, std::optional<uint64_t> tokens,
              int end, Cell* cells, Row* row) {
#if defined(__x86_64__)
  if (kWide) {
    return AddLayersWide<sign>(model, counts, tokens, end, cells, row);
  }
#endif
  return AddLayersHere<sign>(model, counts, tokens, end, cells, row);
}

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

template <typename Cell>
std::optional<CountsFault> AddCheckedTo(const ModelSpec& model, const EncodedCounts& counts,
                                        uint64_t tokens, Cell* cells) {
  if (auto fault = CheckTokens(tokens)) {
    return fault;
  }
  if (auto fault = CheckShape(model, counts)) {
    return fault;
  }
  Row row;
  const int layer = AddLayers<Sign::kAdd>(model, counts, tokens, model.moe_layers, cells, &row);
  if (layer == model.moe_layers) {
    return std::nullopt;
  }
  CountsFault fault = BrokenLaw(model, tokens, row, layer);
  AddLayers<Sign::kSubtract>(model, counts, std::nullopt, layer + 1, cells, &row);
  return fault;
}

}  // namespace

std::optional<CountsFault> AddChecked(const ModelSpec& model, const EncodedCounts& counts,
                                      uint64_t tokens, uint32_t* cells) {
  return AddCheckedTo(model, counts, tokens, cells);
}

std::optional<CountsFault> AddChecked(const ModelSpec& model, const EncodedCounts& counts,
                                      uint64_t tokens, uint16_t* cells) {
  return AddCheckedTo(model, counts, tokens, cells);
}

std::optional<CountsFault> AddUnchecked(const ModelSpec& model, const EncodedCounts& counts,
                                        uint32_t* cells) {
  if (auto fault = CheckShape(model, counts)) {
    return fault;
  }
  Row row;
  AddLayers<Sign::kAdd>(model, counts, std::nullopt, model.moe_layers, cells, &row);
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
