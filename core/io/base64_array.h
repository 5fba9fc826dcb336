#ifndef ADVISOR_CORE_IO_BASE64_ARRAY_H_
#define ADVISOR_CORE_IO_BASE64_ARRAY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace advisor {

// Arrays as base64 of little-endian values, in traces and plan files.

// Characters of the padded base64 text of so many bytes.
constexpr size_t Base64Length(size_t bytes) { return (bytes + 2) / 3 * 4; }

// Unsigned integers of `width` bytes: 1, 2 or 4.
template <typename Int>
std::string EncodeIntegers(const std::vector<Int>& values, int width);

// False when `text` is not base64 of exactly `want` integers; nothing is allocated before its
// length is checked.
template <typename Int>
bool DecodeIntegers(const std::string& text, int width, size_t want, std::vector<Int>* out);

std::string EncodeFloats(const std::vector<float>& values);
bool DecodeFloats(const std::string& text, size_t want, std::vector<float>* out);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_BASE64_ARRAY_H_
