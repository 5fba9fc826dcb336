#include "core/io/base64_array.h"

#include <bit>

#include "absl/strings/escaping.h"

namespace advisor {
namespace {

// The loop over a fixed width is what the compiler vectorises.
template <int kWidth, typename Int>
void Widen(const std::string& bytes, std::vector<Int>* out) {
  out->resize(bytes.size() / kWidth);
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  for (size_t i = 0; i < out->size(); ++i) {
    Int value = 0;
    for (int b = 0; b < kWidth; ++b) {
      value = static_cast<Int>(value | static_cast<Int>(p[i * kWidth + b]) << (8 * b));
    }
    (*out)[i] = value;
  }
}

}  // namespace

template <typename Int>
std::string EncodeIntegers(const std::vector<Int>& values, int width) {
  std::string bytes(values.size() * width, '\0');
  size_t at = 0;
  for (Int value : values) {
    for (int b = 0; b < width; ++b) {
      bytes[at++] = static_cast<char>(value >> (8 * b) & 0xff);
    }
  }
  return absl::Base64Escape(bytes);
}

template <typename Int>
bool DecodeIntegers(const std::string& text, int width, size_t want, std::vector<Int>* out) {
  std::string bytes;
  if (text.size() != Base64Length(want * width) || !absl::Base64Unescape(text, &bytes) ||
      bytes.size() != want * width) {
    return false;
  }
  if (width == 1) {
    Widen<1>(bytes, out);
  } else if (width == 2) {
    Widen<2>(bytes, out);
  } else {
    Widen<4>(bytes, out);
  }
  return true;
}

template std::string EncodeIntegers(const std::vector<uint16_t>&, int);
template std::string EncodeIntegers(const std::vector<uint32_t>&, int);
template bool DecodeIntegers(const std::string&, int, size_t, std::vector<uint16_t>*);
template bool DecodeIntegers(const std::string&, int, size_t, std::vector<uint32_t>*);

std::string EncodeFloats(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  bits.reserve(values.size());
  for (float value : values) {
    bits.push_back(std::bit_cast<uint32_t>(value));
  }
  return EncodeIntegers(bits, 4);
}

bool DecodeFloats(const std::string& text, size_t want, std::vector<float>* out) {
  std::vector<uint32_t> bits;
  if (!DecodeIntegers(text, 4, want, &bits)) {
    return false;
  }
  out->clear();
  out->reserve(bits.size());
  for (uint32_t value : bits) {
    out->push_back(std::bit_cast<float>(value));
  }
  return true;
}

}  // namespace advisor
